// What becomes of the sums over positions that a weight gradient consists of: partial sums are added up in a
// fixed order, a SphereConv's filter direction is subtracted, and the result is rounded to the dtype of dw.
#pragma once

#include "angular.cuh"
#include "conv_geometry.cuh"
#include "numeric.cuh"

namespace spherenet::cuda {

/// dw, and what to subtract from it (w, q, nw are null for a plain convolution). Filters and dw are float32
/// or of the activations' dtype T.
template <class T>
struct WeightOutput {
  using C = Compute<T>;

  ConvGeometry geometry;
  const T *x, *dy;
  const void* w;
  const C *q, *nw;
  void* dw;
  bool filtersAreFloat, gradientIsFloat;  // where T has 16 bits
};

/// The sum of one element once more: in float64, without the NaN and infinities of x. Where they are, h is 0
/// (their patches pass nothing back), so a product that is not finite there only is left out.
template <class T>
__device__ inline double finiteSum(const WeightOutput<T>& out, int filter, int element) {
  const ConvGeometry& g = out.geometry;
  const int tap = element / g.groupChannels;
  const int channel = filter / g.groupFilters * g.groupChannels + element % g.groupChannels;
  const int down = tap / g.kw * g.dilationH, across = tap % g.kw * g.dilationW;
  double sum = 0;
  const T* dy = out.dy + filter;
  for (int image = 0; image < g.images; ++image)
    for (int i = 0; i < g.oh; ++i)
      for (int j = 0; j < g.ow; ++j, dy += g.o) {
        const int row = i * g.strideH - g.padTop + down, column = j * g.strideW - g.padLeft + across;
        if (row < 0 || row >= g.h || column < 0 || column >= g.w) continue;
        const Compute<T> x = toCompute(out.x[((int64_t{image} * g.h + row) * g.w + column) * g.c + channel]);
        if (x - x == 0) sum += static_cast<double>(x) * static_cast<double>(toCompute(*dy));
      }
  return sum;
}

/// What to subtract from a filter's gradient, as a multiple of the filter: q / nw^2.
template <class T>
__device__ __forceinline__ Compute<T> alongFilter(const WeightOutput<T>& out, int filter) {
  if (!out.q) return 0;
  const Compute<T> inverse = inverseNormOf(out.nw[filter]);
  return out.q[filter] * inverse * inverse;
}

/// dw at `index`, of all filters, from its sum over positions.
template <class T>
__device__ __forceinline__ void storeWeight(const void* w, bool filtersAreFloat, Compute<T> along, void* dw,
                                            bool gradientIsFloat, int64_t index, Compute<T> sum) {
  if (w) {
    const Compute<T> weight = loadFilter<T>(w, filtersAreFloat, index);
    if (weight - weight == 0) sum -= weight * along;
  }
  if constexpr (sizeof(T) == 2) {
    if (gradientIsFloat) {
      static_cast<float*>(dw)[index] = sum;
      return;
    }
  }
  static_cast<T*>(dw)[index] = toStorage<T>(sum);
}
template <class T>
__device__ __forceinline__ void storeWeight(const WeightOutput<T>& out, Compute<T> along, int64_t index,
                                            Compute<T> sum) {
  storeWeight<T>(out.w, out.filtersAreFloat, along, out.dw, out.gradientIsFloat, index, sum);
}

/// Two neighbours, or the first of them. Called, not inlined: a block does it for every pair it has, once.
template <class T>
__device__ __noinline__ void storeWeights(const void* w, bool filtersAreFloat, Compute<T> along, void* dw,
                                          bool gradientIsFloat, int64_t index, bool both, Compute<T> first,
                                          Compute<T> second) {
  storeWeight<T>(w, filtersAreFloat, along, dw, gradientIsFloat, index, first);
  if (both) storeWeight<T>(w, filtersAreFloat, along, dw, gradientIsFloat, index + 1, second);
}

constexpr int kWeightSumWarps = 8;
constexpr int kWeightSumColumns = 128;  // elements of a block, four a lane

template <class C>
struct WeightSumShared {
  C at[kWeightSumWarps][kWeightSumColumns];
};

/// dw from `splits` partial sums [split, element], `pitch` elements apart (a multiple of 4). Warps take
/// splits in turn.
template <class T>
__global__ void __launch_bounds__(32 * kWeightSumWarps, 4)
    sumWeights(WeightOutput<T> out, const Compute<T>* __restrict__ partial, int splits, int64_t pitch) {
  using C = Compute<T>;
  auto& shared = dynamicShared<WeightSumShared<C>>();
  const int size = out.geometry.filterSize();
  const int64_t count = int64_t{out.geometry.o} * size, first = int64_t{blockIdx.x} * kWeightSumColumns;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  C sums[4] = {};
  if (first + 4 * lane < count) {
    // What lies between count and pitch is rubbish that nobody reads.
    const C* at = partial + first + 4 * lane;
#pragma unroll 4
    for (int split = warp; split < splits; split += kWeightSumWarps) {
      struct alignas(16) Four {
        C at[4];
      };
      const Four four = *reinterpret_cast<const Four*>(at + split * pitch);
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[i] += four.at[i];
    }
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) shared.at[warp][4 * lane + i] = sums[i];
  __syncthreads();
  const int64_t index = first + threadIdx.x;
  if (threadIdx.x >= kWeightSumColumns || index >= count) return;
  C sum = 0;
#pragma unroll
  for (int i = 0; i < kWeightSumWarps; ++i) sum += shared.at[i][threadIdx.x];
  const Quotient filter = divide(index, size);
  const int o = static_cast<int>(filter.value), element = static_cast<int>(filter.rest);
  if (out.q && !(sum - sum == 0)) sum = static_cast<C>(finiteSum(out, o, element));
  storeWeight(out, alongFilter(out, o), index, sum);
}

/// Where x may be NaN or infinite, an element that a block has finished by itself.
template <class T>
__device__ inline void mendWeight(const WeightOutput<T>& out, int filter, int element) {
  storeWeight(out, alongFilter(out, filter), int64_t{filter} * out.geometry.filterSize() + element,
              static_cast<Compute<T>>(finiteSum(out, filter, element)));
}

}  // namespace spherenet::cuda
