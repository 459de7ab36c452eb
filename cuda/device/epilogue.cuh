// What follows the main loop of an implicit GEMM: norms, angles, bias, the radial part of the data gradient,
// and coalesced stores, from sums that lie in shared memory.
#pragma once

#include "angular.cuh"
#include "exact_cosine.cuh"
#include "rescaling.cuh"

namespace spherenet::cuda {

/// What turns the sums of a column into angles, and these into what follows.
struct AngularColumn {
  float inverse;      // 1 / nw
  float slope, gain;  // all that the values of g need of its AngularFilter
  FilterRescaling<float> rescaling;

  __device__ __forceinline__ AngularFilter<float> filter() const {
    AngularFilter<float> f;
    f.slope = slope;
    f.gain = gain;
    return f;
  }
};

/// A block's shared memory.
template <class Tile, class T, int Stages>
struct BlockShared {
  using Storage = T;
  static constexpr int kStageBytes = Stages * Tile::kStageBytes;
  static constexpr int kBytes = kStageBytes > Tile::kStagingBytes ? kStageBytes : Tile::kStagingBytes;
  alignas(
      128) unsigned char memory[kBytes];  // operands, and after the main loop the sums [rows][kStagingStride]
  PatchRow rows[Tile::kRows];
  int32_t pixels[Tile::kRows];       // output pixel of each row, -1 behind the last
  float rowSquares[2][Tile::kRows];  // shares of up to two warps
  float columnSquares[2][Tile::kColumns];
  float rowFactors[Tile::kRows];  // 1 / nx (Angular), box(r) (MinusRow)
  AngularColumn columns[Tile::kColumns];
  Gather gather;
  OutputTile<T> tile;
  GemmArguments arguments;  // filled only for exactTile(), which is not inlined
};

/// Sum of r, whose source positions lie `stride` apart, over the taps of a row's patch.
__device__ inline float boxSum(const Gather& g, const PatchRow& row, int firstImage, const float* r,
                               int stride) {
  const int64_t position =
      static_cast<int64_t>(firstImage) * g.h.source * g.w.source + row.offset / g.channels;
  float sum = 0;
  for (int down = 0; down < g.h.taps; ++down) {
    if (static_cast<unsigned>(row.h + down * g.h.step) >= static_cast<unsigned>(g.h.source)) continue;
#pragma unroll 4
    for (int across = 0; across < g.w.taps; ++across) {
      const int64_t at = position + down * g.h.step * g.w.source + across * g.w.step;
      if (static_cast<unsigned>(row.w + across * g.w.step) < static_cast<unsigned>(g.w.source))
        sum += r[at * stride];
    }
  }
  return sum;
}

// ---- results of quads of columns

template <class T>
struct alignas(4 * sizeof(T)) Quad {
  T at[4];
};

template <class T>
__device__ __forceinline__ void storeQuad(T* to, const float (&values)[4], int columns, bool whole) {
  if (whole) {
    Quad<T> quad;
#pragma unroll
    for (int e = 0; e < 4; ++e) quad.at[e] = toStorage<T>(values[e]);
    *reinterpret_cast<Quad<T>*>(to) = quad;
  } else {
#pragma unroll
    for (int e = 0; e < 4; ++e)
      if (e < columns) to[e] = toStorage<T>(values[e]);
  }
}

template <class T>
__device__ __forceinline__ void loadQuad(float (&values)[4], const T* from, int columns, bool whole) {
  if (whole) {
    const Quad<T> quad = *reinterpret_cast<const Quad<T>*>(from);
#pragma unroll
    for (int e = 0; e < 4; ++e) values[e] = toCompute(quad.at[e]);
  } else {
#pragma unroll
    for (int e = 0; e < 4; ++e) values[e] = e < columns ? toCompute(from[e]) : 0.0f;
  }
}

/// values -= x * factor, where NaN and infinities in x count as zero.
template <class T>
__device__ __forceinline__ void subtractRow(float (&values)[4], const T* x, float factor, int columns,
                                            bool whole) {
  float row[4];
  loadQuad(row, x, columns, whole);
#pragma unroll
  for (int e = 0; e < 4; ++e) values[e] -= (row[e] - row[e] == 0 ? row[e] : 0.0f) * factor;
}

/// Calls f with the operator as a constant.
template <class F>
__device__ __forceinline__ void withOperator(AngularOperator op, F&& f) {
  switch (op) {
    case AngularOperator::Cosine:
      return f(std::integral_constant<AngularOperator, AngularOperator::Cosine>{});
    case AngularOperator::Linear:
      return f(std::integral_constant<AngularOperator, AngularOperator::Linear>{});
    case AngularOperator::Sigmoid:
      return f(std::integral_constant<AngularOperator, AngularOperator::Sigmoid>{});
    case AngularOperator::SquaredCosine:
      return f(std::integral_constant<AngularOperator, AngularOperator::SquaredCosine>{});
  }
}

__device__ __forceinline__ float filterK(const GemmArguments& g, int filter) {
  return g.kTensor ? g.kTensor[filter * g.kStride] : g.k;
}

/// `squares`: the filter's, with epsilon.
__device__ __forceinline__ AngularColumn angularColumn(const GemmArguments& g, int filter, float squares) {
  const AngularFilter<float> f = angularFilter<float>(g.op, filterK(g, filter));
  return {inverseNorm(squares), f.slope, f.gain, filterRescaling(g.rescaling, filter)};
}

/// Keeps the angles of a quad of columns, from element `at` on, where that is asked for, and makes of them
/// what follows: of the angles as they are stored, which is what the backward pass knows.
template <class T>
__device__ __forceinline__ void rescaleQuad(const GemmArguments& g,
                                            const FilterRescaling<float> (&rescaling)[4], int64_t at,
                                            float (&values)[4], int columns) {
  const Rescaling<float>& r = g.rescaling;
  if (r.y) storeQuad(static_cast<T*>(r.y) + at, values, columns, g.quads);
#pragma unroll
  for (int e = 0; e < 4; ++e) values[e] = rescaling[e].at(r.relu, toCompute(toStorage<T>(values[e])));
}

/// Stores one angle that was computed again, and what follows.
template <class T>
__device__ __forceinline__ void storeAngle(const GemmArguments& g, const AngularColumn& column, int64_t at,
                                           float cosine) {
  const Rescaling<float>& r = g.rescaling;
  const T y = toStorage<T>(angularValue<sizeof(T) == 2>(g.op, column.filter(), cosine));
  if (r.y) static_cast<T*>(r.y)[at] = y;
  static_cast<T*>(g.output)[at] = r.follows ? toStorage<T>(column.rescaling.at(r.relu, toCompute(y))) : y;
}

// ---- the tile

/// Accumulators and sums of squares to shared memory.
template <class Tile, bool Norms, class Shared>
__device__ __forceinline__ void stageSums(const Accumulators<Tile>& sums, const SquareSums<Tile>& squares,
                                          Shared& shared) {
  const WarpPlace<Tile> warp;
  float* const staging = reinterpret_cast<float*>(shared.memory);
  const int row = warp.firstRow + warp.lane / 4, pair = warp.lane % 4;
#pragma unroll
  for (int i = 0; i < Tile::kRowTiles; ++i)
#pragma unroll
    for (int j = 0; j < Tile::kColumnTiles; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float* const to =
            staging + (row + 16 * i + 8 * half) * Tile::kStagingStride + warp.firstColumn + 8 * j;
        *reinterpret_cast<float2*>(to + 2 * pair) =
            make_float2(sums.at[i][j][2 * half], sums.at[i][j][2 * half + 1]);
      }
  if constexpr (Norms) {
    const auto overFour = [](float v) {
      v += __shfl_xor_sync(0xffffffffu, v, 1);
      return v + __shfl_xor_sync(0xffffffffu, v, 2);
    };
#pragma unroll
    for (int i = 0; i < Tile::kRowTiles; ++i)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float sum = overFour(squares.rows[i][half]);
        if (pair == 0) shared.rowSquares[warp.across][row + 16 * i + 8 * half] = sum;
      }
#pragma unroll
    for (int j = 0; j < SquareSums<Tile>::kColumnTiles; ++j) {
      const float sum = overFour(squares.columns[j]);
      const int column = warp.firstColumn + 8 * (SquareSums<Tile>::firstColumnTile(warp) + j) + warp.lane / 4;
      if (pair == 0) shared.columnSquares[warp.down % 2][column] = sum;
    }
  }
}

/// Walks the tile quad by quad: `begin(column)` returns what is called for the rows of a quad of columns,
/// with (row, pixel, values), and changes the values before they are stored. A thread has `Batch` rows under
/// way at once, all of them before the first is stored: what hides the time of loads and of long chains of
/// arithmetic. What begin() returns may have follow(pixel, values), called where `follows` before a row is
/// stored.
template <class Tile, int Batch, class S, class Shared, class Begin>
__device__ __forceinline__ void writeTile(const GemmArguments& g, const Shared& shared, S* output,
                                          const Begin& begin, bool follows = false) {
  constexpr int kQuads = Tile::kColumns / 4, kLanes = kQuads > 16 ? 32 : kQuads;
  constexpr int kRowStep = Tile::kThreads / kLanes;
  static_assert(kQuads <= 32 && Tile::kRows % (kRowStep * Batch) == 0);
  const int thread = static_cast<int>(threadIdx.x), column = thread % kLanes * 4;
  const int columns = shared.tile.columns - column;
  if (column < Tile::kColumns && columns > 0) {
    const auto finish = begin(column);
    const float* const staging = reinterpret_cast<const float*>(shared.memory) + column;
    const int64_t channels = static_cast<int64_t>(g.groups) * g.columns;
    output += shared.tile.firstFilter + column;
    for (int first = thread / kLanes; first < Tile::kRows; first += kRowStep * Batch) {
      if (shared.pixels[first] < 0) break;
      float values[Batch][4];
#pragma unroll
      for (int b = 0; b < Batch; ++b) {
        const int row = first + b * kRowStep;
        const float4 sums = *reinterpret_cast<const float4*>(staging + row * Tile::kStagingStride);
        values[b][0] = sums.x;
        values[b][1] = sums.y;
        values[b][2] = sums.z;
        values[b][3] = sums.w;
        finish(row, shared.pixels[row], values[b]);
      }
      if constexpr (requires { finish.follow(0, values[0]); }) {
        // Apart from the arithmetic of the rows, whose chains a branch between them would line up.
        if (follows) {
#pragma unroll
          for (int b = 0; b < Batch; ++b)
            if (const int32_t pixel = shared.pixels[first + b * kRowStep]; pixel >= 0)
              finish.follow(pixel, values[b]);
        }
      }
#pragma unroll
      for (int b = 0; b < Batch; ++b)
        if (const int32_t pixel = shared.pixels[first + b * kRowStep]; pixel >= 0)
          storeQuad(output + pixel * channels, values[b], columns, g.quads);
    }
  }
}

/// Norms of the tile's rows and columns: reported, and their inverses kept for the angles. Split sums are
/// only handed on. Whether a norm was outside of what float32 can do.
template <class Tile, class Shared>
__device__ __forceinline__ bool finishNorms(const GemmArguments& g, Shared& shared) {
  const auto& tile = shared.tile;
  const int thread = static_cast<int>(threadIdx.x), group = static_cast<int>(blockIdx.y);
  const int64_t split = blockIdx.z;
  bool exact = false;
  for (int row = thread; row < Tile::kRows; row += Tile::kThreads) {
    const int32_t pixel = shared.pixels[row];
    float squares = shared.rowSquares[0][row];
    if constexpr (Tile::kWarpsAcross > 1) squares += shared.rowSquares[1][row];
    if (pixel < 0) continue;
    const int64_t at = static_cast<int64_t>(pixel) * g.groups + group;
    if (g.splits > 1) {
      if (tile.reportsRows) g.partialRows[split * g.pixels * g.groups + at] = squares;
      continue;
    }
    squares += g.epsilon;
    const float inverse = inverseNorm(squares);
    shared.rowFactors[row] = inverse;
    exact |= isnan(inverse);
    if (tile.reportsRows) g.nx[at] = sqrtf(squares);
  }
  for (int column = thread; column < Tile::kColumns; column += Tile::kThreads) {
    float squares = shared.columnSquares[0][column];
    if constexpr (Tile::kWarpsDown > 1) squares += shared.columnSquares[1][column];
    if (column >= tile.columns) continue;
    const int filter = tile.firstFilter + column;
    if (g.splits > 1) {
      if (tile.reportsColumns) g.partialColumns[split * g.groups * g.columns + filter] = squares;
      continue;
    }
    squares += g.epsilon;
    const AngularColumn constants = angularColumn(g, filter, squares);
    shared.columns[column] = constants;
    exact |= isnan(constants.inverse);
    if (tile.reportsColumns) g.nw[filter] = sqrtf(squares);
  }
  return exact;
}

/// Computes again, in float64, the rows and columns whose factors are NaN. One thread an element: slow, and
/// rare.
template <class Tile, class Shared>
__device__ __noinline__ void exactTile(const Shared& shared) {
  using T = typename Shared::Storage;
  const GemmArguments& g = shared.arguments;
  const auto& tile = shared.tile;
  const int thread = static_cast<int>(threadIdx.x);
  const auto filterAt = [&](int column) { return tile.filters + static_cast<int64_t>(column) * tile.depth; };
  const double epsilon = static_cast<double>(g.epsilon);
  for (int row = thread; row < Tile::kRows && tile.reportsRows; row += Tile::kThreads) {
    if (shared.pixels[row] < 0 || !isnan(shared.rowFactors[row])) continue;
    const PatchRow& patch = shared.rows[row];
    const ExactSums sums =
        exactSums(shared.gather, tile.origin + patch.offset, patch.h, patch.w, tile.filters);
    g.nx[static_cast<int64_t>(shared.pixels[row]) * g.groups + blockIdx.y] =
        clampedNorm(sums.squares + epsilon);
  }
  for (int column = thread; column < Tile::kColumns && tile.reportsColumns; column += Tile::kThreads)
    if (column < tile.columns && isnan(shared.columns[column].inverse))
      g.nw[tile.firstFilter + column] = clampedNorm(exactSquares(filterAt(column), tile.depth) + epsilon);
  for (int i = thread; i < Tile::kRows * Tile::kColumns; i += Tile::kThreads) {
    const int row = i / Tile::kColumns, column = i % Tile::kColumns;
    if (shared.pixels[row] < 0 || column >= tile.columns) continue;
    if (!isnan(shared.rowFactors[row]) && !isnan(shared.columns[column].inverse)) continue;
    const PatchRow& patch = shared.rows[row];
    const float cosine =
        exactCosine(shared.gather, tile.origin + patch.offset, patch.h, patch.w, filterAt(column), g.epsilon);
    const int64_t at =
        static_cast<int64_t>(shared.pixels[row]) * g.groups * g.columns + tile.firstFilter + column;
    storeAngle<T>(g, shared.columns[column], at, cosine);
  }
}

/// y = g(c) of a quad of columns, and what follows.
template <class T, AngularOperator Op, class Shared>
struct AngularQuad {
  const GemmArguments& g;
  const Shared& shared;
  int column, columns;
  float factors[4];
  AngularFilter<float> filters[4];
  FilterRescaling<float> rescaling[4];

  __device__ __forceinline__ AngularQuad(const GemmArguments& arguments, const Shared& block, int first)
      : g(arguments), shared(block), column(first), columns(block.tile.columns - first) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      factors[e] = shared.columns[column + e].inverse;
      filters[e] = shared.columns[column + e].filter();
      if (g.rescaling.follows) rescaling[e] = shared.columns[column + e].rescaling;
    }
  }
  __device__ __forceinline__ void operator()(int row, int32_t, float (&values)[4]) const {
    const float rowFactor = shared.rowFactors[row];
#pragma unroll
    for (int e = 0; e < 4; ++e)
      values[e] = angularValue<sizeof(T) == 2>(Op, filters[e], values[e] * (rowFactor * factors[e]));
  }
  __device__ __forceinline__ void follow(int32_t pixel, float (&values)[4]) const {
    const int64_t at = static_cast<int64_t>(pixel) * g.groups * g.columns + shared.tile.firstFilter + column;
    rescaleQuad<T>(g, rescaling, at, values, columns);
  }
};

/// The values of a quad do not wait for each other, and those of precise angles keep the arithmetic units
/// busy by themselves.
template <class Tile, class Shared>
__device__ __forceinline__ void writeAngles(const GemmArguments& g, const Shared& shared) {
  using T = typename Shared::Storage;
  constexpr int kBatch = sizeof(T) == 2 ? 2 : 1;
  withOperator(g.op, [&](auto op) {
    const auto begin = [&](int column) {
      return AngularQuad<T, decltype(op)::value, Shared>(g, shared, column);
    };
    writeTile<Tile, kBatch>(g, shared, static_cast<T*>(g.output), begin, g.rescaling.follows);
  });
}

/// y = sum + bias, or sum - x box(r).
template <class Tile, class Shared>
__device__ __forceinline__ void writeSums(const GemmArguments& g, const Shared& shared) {
  using T = typename Shared::Storage;
  const int64_t channels = static_cast<int64_t>(g.groups) * g.columns;
  if (g.result == GemmResult::MinusRow) {
    writeTile<Tile, 8>(g, shared, static_cast<T*>(g.output), [&](int column) {
      const T* const x = static_cast<const T*>(g.x) + shared.tile.firstFilter + column;
      const int columns = shared.tile.columns - column;
      return [&g, &shared, x, channels, columns](int row, int32_t pixel, float(&values)[4]) {
        subtractRow(values, x + max(pixel, 0) * channels, shared.rowFactors[row], columns, g.quads);
      };
    });
  } else {
    writeTile<Tile, 4>(g, shared, static_cast<T*>(g.output), [&](int column) {
      struct Bias {
        float at[4];
      } bias;
#pragma unroll
      for (int e = 0; e < 4; ++e)
        bias.at[e] =
            g.bias && column + e < shared.tile.columns ? g.bias[shared.tile.firstFilter + column + e] : 0.0f;
      return [bias](int, int32_t, float(&values)[4]) {
#pragma unroll
        for (int e = 0; e < 4; ++e) values[e] += bias.at[e];
      };
    });
  }
}

/// The sums of one split, as they are.
template <class Tile, class Shared>
__device__ __forceinline__ void writePartialSums(const GemmArguments& g, const Shared& shared) {
  writeTile<Tile, 4>(g, shared, g.partialSums + static_cast<int64_t>(blockIdx.z) * g.outputSize,
                     [](int) { return [](int, int32_t, float(&)[4]) {}; });
}

}  // namespace spherenet::cuda
