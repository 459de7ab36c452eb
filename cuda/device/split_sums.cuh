// The second step of a product whose inner dimension was split: the partial sums are added in order, and then
// comes what epilogue.cuh does for a whole one.
#pragma once

#include "epilogue.cuh"

namespace spherenet::cuda {

constexpr int kCombineThreads = 128, kCombineRows = 16, kCombineColumns = 128;

/// Sum of one value over the splits, which lie `stride` apart.
__device__ __forceinline__ float sumOfSplits(const float* partial, int splits, int64_t stride) {
  float sum = 0;
  for (int split = 0; split < splits; ++split) sum += partial[split * stride];
  return sum;
}

/// Where a pixel's patch lies in the source.
template <class T>
struct PatchPlace {
  const T* patch;
  int h, w;

  __device__ __forceinline__ PatchPlace(const GemmArguments& g, const Gather& gather, int64_t pixel,
                                        int group) {
    const int index = static_cast<int>(pixel), line = index / gather.w.grid;
    h = line % gather.h.grid * gather.h.stride + gather.h.first;
    w = index % gather.w.grid * gather.w.stride + gather.w.first;
    patch = static_cast<const T*>(g.source) +
            static_cast<int64_t>(line / gather.h.grid) * gather.imageSize() +
            (h * gather.w.source + w) * gather.channels + group * g.groupChannels;
  }
};

struct CombineShared {
  AngularColumn columns[kCombineColumns];
  Quad<float> rescaling[3][kCombineColumns / 4];  // once more: a quad's centers, factors and shifts at once
  Gather gather;
  GemmArguments arguments;  // filled only for exactSplits(), which is not inlined
};

/// The sum of squares of a filter, of a pixel's patch, over all splits, with epsilon.
__device__ __forceinline__ float columnSquares(const GemmArguments& g, int filter) {
  return sumOfSplits(g.partialColumns + filter, g.splits, static_cast<int64_t>(g.groups) * g.columns) +
         g.epsilon;
}
__device__ __forceinline__ float rowSquares(const GemmArguments& g, int64_t pixel, int group) {
  return sumOfSplits(g.partialRows + pixel * g.groups + group, g.splits, g.pixels * g.groups) + g.epsilon;
}

/// Computes again, in float64, what combineSplits() could not in float32, of this thread's pixels and
/// columns.
template <class T>
__device__ __noinline__ void exactSplits(const CombineShared& shared, int column, int columns) {
  const GemmArguments& g = shared.arguments;
  const Gather& gather = shared.gather;
  const int thread = static_cast<int>(threadIdx.x);
  const double epsilon = static_cast<double>(g.epsilon);
#pragma unroll 1
  for (int filter = column; filter < column + min(columns, 4); ++filter) {
    const int group = filter / g.columns;
    const T* const w = static_cast<const T*>(g.filters) + static_cast<int64_t>(filter) * gather.depth();
    const bool wide = isnan(inverseNorm(columnSquares(g, filter)));
    if (wide && blockIdx.x == 0 && thread < 32)
      g.nw[filter] = clampedNorm(exactSquares(w, gather.depth()) + epsilon);
#pragma unroll 1
    for (int row = thread / 32; row < kCombineRows; row += kCombineThreads / 32) {
      const int64_t pixel = static_cast<int64_t>(blockIdx.x) * kCombineRows + row;
      if (pixel >= g.pixels) break;
      const bool wideRow = isnan(inverseNorm(rowSquares(g, pixel, group)));
      if (!wide && !wideRow) continue;
      const PatchPlace<T> place(g, gather, pixel, group);
      if (wideRow && filter % g.columns == 0)
        g.nx[pixel * g.groups + group] =
            clampedNorm(exactSums(gather, place.patch, place.h, place.w, w).squares + epsilon);
      const float cosine = exactCosine(gather, place.patch, place.h, place.w, w, g.epsilon);
      storeAngle<T>(g, shared.columns[filter % kCombineColumns], pixel * g.groups * g.columns + filter,
                    cosine);
    }
  }
}

/// Grid: x = blocks of kCombineRows pixels, y = blocks of kCombineColumns columns of all groups.
template <class T>
__global__ void __launch_bounds__(kCombineThreads) combineSplits(const GemmArguments g) {
  const int thread = static_cast<int>(threadIdx.x), channels = g.groups * g.columns;
  const int firstColumn = static_cast<int>(blockIdx.y) * kCombineColumns, place = thread % 32 * 4;
  const int column = firstColumn + place, columns = channels - column;
  const bool angular = g.result == GemmResult::Angular;
  auto& shared = dynamicShared<CombineShared>();
  bool exact = false;
  static_assert(kCombineThreads == kCombineColumns);
  if (const int filter = firstColumn + thread; angular && filter < channels) {
    const float squares = columnSquares(g, filter);
    const AngularColumn constants = angularColumn(g, filter, squares);
    shared.columns[thread] = constants;
    const FilterRescaling<float>& r = constants.rescaling;
    shared.rescaling[0][thread / 4].at[thread % 4] = r.center;
    shared.rescaling[1][thread / 4].at[thread % 4] = r.factor;
    shared.rescaling[2][thread / 4].at[thread % 4] = r.shift;
    exact = isnan(constants.inverse);
    if (blockIdx.x == 0) g.nw[filter] = sqrtf(squares);
  }
  __syncthreads();
  const bool follows = angular && g.rescaling.follows;
  AngularFilter<float> filters[4];
  float factors[4];  // or the bias
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    factors[e] = g.bias && e < columns ? g.bias[column + e] : 0;
    if (!angular) continue;
    factors[e] = shared.columns[place + e].inverse;
    filters[e] = shared.columns[place + e].filter();
  }

#pragma unroll 1
  for (int row = thread / 32; row < kCombineRows && columns > 0; row += kCombineThreads / 32) {
    const int64_t pixel = static_cast<int64_t>(blockIdx.x) * kCombineRows + row;
    if (pixel >= g.pixels) break;
    const int64_t at = pixel * channels + column;
    float values[4] = {}, x[4] = {};
    if (g.result == GemmResult::MinusRow) loadQuad(x, static_cast<const T*>(g.x) + at, columns, g.quads);
#pragma unroll 4
    for (int split = 0; split < g.splits; ++split) {
      float part[4];
      loadQuad(part, g.partialSums + split * g.outputSize + at, columns, g.quads);
#pragma unroll
      for (int e = 0; e < 4; ++e) values[e] += part[e];
    }
    int group = -1;
    float inverse = 0;  // of the group's patch
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      if (e >= columns) continue;
      const int filter = column + e;
      if (angular) {
        if (filter / g.columns != group) {
          group = filter / g.columns;
          const float squares = rowSquares(g, pixel, group);
          inverse = inverseNorm(squares);
          exact |= isnan(inverse);
          if (filter % g.columns == 0) g.nx[pixel * g.groups + group] = sqrtf(squares);
        }
        values[e] = angularValue<sizeof(T) == 2>(g.op, filters[e], values[e] * (inverse * factors[e]));
      } else if (g.result == GemmResult::MinusRow) {
        values[e] -= (x[e] - x[e] == 0 ? x[e] : 0.0f) * g.partialRows[pixel * g.groups + filter / g.columns];
      } else {
        values[e] += factors[e];
      }
    }
    if (follows) {  // read here: in registers all the time, they would leave room for fewer blocks
      const auto read = [&](int which) { return shared.rescaling[which][place / 4]; };
      const Quad<float> center = read(0), factor = read(1), shift = read(2);
      FilterRescaling<float> rescaling[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) rescaling[e] = {center.at[e], factor.at[e], shift.at[e]};
      rescaleQuad<T>(g, rescaling, at, values, columns);
    }
    storeQuad(static_cast<T*>(g.output) + at, values, columns, g.quads);
  }

  if (!__syncthreads_or(exact)) return;
  if (thread == 0) {
    shared.gather = Gather(g, 0);
    shared.arguments = g;
  }
  __syncthreads();
  exactSplits<T>(shared, column, columns);
}

}  // namespace spherenet::cuda
