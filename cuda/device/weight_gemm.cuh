// The weight gradient as a product on tensor cores: sums[filter][tap, channel] over positions of
// h[position][filter] times x[the position's pixel under the tap][channel]. Both operands come as rows of
// positions.
#pragma once

#include "conv_geometry.cuh"
#include "position_tiles.cuh"
#include "weight_sums.cuh"

namespace spherenet::cuda {

/// A block of four warps multiplies [positions, Rows filters] by [positions, Columns taps and channels].
template <class OperandType, int Rows, int Columns, bool Chunks>
struct WeightTile {
  using Operand = OperandType;
  using T = typename Operand::Storage;
  static constexpr int kRows = Rows, kColumns = Columns;
  static constexpr bool kChunked = Chunks;  // x is copied in chunks of 16 bytes, else element by element
  static constexpr int kThreads = 128, kStages = 3;
  static constexpr int kDepth = 64 / sizeof(T);  // positions of a stage: two steps of the product
  // Warps lie 2 x 2, or where there are few columns one above the other.
  static constexpr int kWarpsDown = Columns == 32 ? 4 : 2;
  static constexpr int kWarpRows = Rows / kWarpsDown, kWarpColumns = Columns * kWarpsDown / 4;
  static constexpr int kRowTiles = kWarpRows / 16, kColumnTiles = kWarpColumns / 8;
  static constexpr int kThreadsPerRow = kThreads / kDepth;
  // Blocks of a multiprocessor, which bounds registers.
  static constexpr int kBlocks = Operand::kExact || (!Chunks && Columns > 32) || Rows == 128 ? 2 : 3;
  using A = PositionTile<T, Rows>;
  using B = PositionTile<T, Columns>;
  static_assert(Rows % (16 * kWarpsDown) == 0 && kWarpColumns % 16 == 0);
};

/// A warp's first filter and column in the tile.
template <class Tile>
struct WarpCorner {
  int row, column;

  __device__ __forceinline__ WarpCorner() {
    const int warp = static_cast<int>(threadIdx.x) / 32;
    row = warp % Tile::kWarpsDown * Tile::kWarpRows;
    column = warp / Tile::kWarpsDown * Tile::kWarpColumns;
  }
};

/// One column of x's side: its tap's place and the offset from the patch's first element.
struct WeightColumn {
  int down, across, offset;
};

/// x as an operand whose NaN and infinities count as 0. Beyond the largest tf32 number its rounding would be
/// infinity.
template <class T>
__device__ __forceinline__ T finiteOperand(T x) {
  const float value = toCompute(x);
  if constexpr (sizeof(T) == 4) {
    constexpr float kLargest = 0x1.ffcp127f;
    if (fabsf(value) <= kLargest) return value;
    return value - value == 0 ? copysignf(kLargest, value) : 0.0f;
  } else {
    return value - value == 0 ? x : toStorage<T>(0);
  }
}

/// Coordinates so far outside that no tap brings them back.
constexpr int kFarOutside = 1 << 29;

__device__ __forceinline__ WeightColumn weightColumn(const ConvGeometry& g, int column) {
  if (column >= g.filterSize()) return {kFarOutside, 0, 0};
  const int tap = column / g.groupChannels;
  const int down = tap / g.kw * g.dilationH, across = tap % g.kw * g.dilationW;
  return {down, across, (down * g.w + across) * g.c + column - tap * g.groupChannels};
}

template <class Tile>
struct WeightShared {
  using T = typename Tile::T;
  alignas(128) T a[Tile::kStages][Tile::kDepth * Tile::A::kPitch];
  alignas(128) T b[Tile::kStages][Tile::kDepth * Tile::B::kPitch];
  WeightColumn columns[Tile::kChunked ? 1 : Tile::kColumns];
};

struct WeightPass {
  int rowTiles, columnTiles;
  int64_t positionsPerSplit;  // a multiple of the depth, below 2^31
  Position step;              // the depth
  bool chunkedRows;           // h is copied in chunks of 16 bytes
};

/// Brings x's side of the product into shared memory. Each thread fills one row of each stage, every
/// kThreadsPerRow-th chunk (or element) of it, so it follows one position only. `FiniteOnly` (element by
/// element): NaN and infinities count as 0.
template <class Tile, bool FiniteOnly = false>
class ColumnLoader {
 public:
  using T = typename Tile::T;

  __device__ ColumnLoader(const ConvGeometry& g, const WeightPass& pass, WeightShared<Tile>& shared,
                          const T* x, int group, int firstColumn, int64_t begin, int64_t end)
      : g_(g),
        shared_(shared),
        x_(x + int64_t{group} * g.groupChannels),
        row_(static_cast<int>(threadIdx.x) / Tile::kThreadsPerRow),
        part_(static_cast<int>(threadIdx.x) % Tile::kThreadsPerRow),
        left_(static_cast<int>(end - begin) - row_),
        position_(Position::at(g, begin + row_)),
        step_(pass.step) {
    if constexpr (Tile::kChunked) {
#pragma unroll
      for (int i = 0; i < kParts; ++i)
        columns_[i] = weightColumn(g, firstColumn + (part_ + i * Tile::kThreadsPerRow) * kChunk);
    } else {
      for (int i = static_cast<int>(threadIdx.x); i < Tile::kColumns; i += Tile::kThreads)
        shared_.columns[i] = weightColumn(g, firstColumn + i);
      __syncthreads();
    }
  }

  /// Whether the next position of this thread's is before the end.
  __device__ __forceinline__ bool isInside() const {
    return left_ > 0;
  }

  /// Begins to bring the next positions into a stage; what goes through registers is stored by finish().
  __device__ __forceinline__ void start(int stage) {
    const int top = isInside() ? position_.top(g_) : kFarOutside, left = position_.left(g_);
    const int64_t corner = ((int64_t{position_.image} * g_.h + top) * g_.w + left) * g_.c;
    const auto covers = [&](const WeightColumn& column) {
      return static_cast<unsigned>(top + column.down) < static_cast<unsigned>(g_.h) &&
             static_cast<unsigned>(left + column.across) < static_cast<unsigned>(g_.w);
    };
    if constexpr (Tile::kChunked) {
#pragma unroll
      for (int i = 0; i < kParts; ++i) {
        // Addresses that are not valid are not read.
        copyAsync16(shared_.b[stage] + Tile::B::at(row_, part_ + i * Tile::kThreadsPerRow),
                    x_ + (corner + columns_[i].offset), covers(columns_[i]));
      }
    } else {
#pragma unroll
      for (int i = 0; i < kElements; ++i) {
        const WeightColumn column = shared_.columns[part_ + i * Tile::kThreadsPerRow];
        values_[i] = covers(column) ? x_[corner + column.offset] : toStorage<T>(0);
      }
    }
    left_ -= Tile::kDepth;
    position_.advance(g_, step_);
  }

  __device__ __forceinline__ void finish(int stage) {
    if constexpr (!Tile::kChunked) {
#pragma unroll
      for (int i = 0; i < kElements; ++i) {
        const int element = part_ + i * Tile::kThreadsPerRow;
        shared_.b[stage][Tile::B::at(row_, element / kChunk) + element % kChunk] =
            FiniteOnly ? finiteOperand(values_[i]) : values_[i];
      }
    }
  }

 private:
  static constexpr int kChunk = 16 / sizeof(T);
  static constexpr int kParts = Tile::B::kChunks / Tile::kThreadsPerRow;
  static constexpr int kElements = Tile::kChunked ? 1 : Tile::kColumns / Tile::kThreadsPerRow;

  const ConvGeometry& g_;
  WeightShared<Tile>& shared_;
  const T* x_;  // the group's first channel
  int row_, part_;
  int left_;  // positions from this thread's on
  Position position_;
  const Position& step_;
  WeightColumn columns_[kParts];
  T values_[kElements];
};

/// Brings both sides of the product into shared memory, h's like x's.
template <class Tile>
class WeightLoader {
 public:
  using T = typename Tile::T;

  __device__ WeightLoader(const ConvGeometry& g, const WeightPass& pass, WeightShared<Tile>& shared,
                          const T* dy, const T* x, int group, int firstRow, int firstColumn, int64_t begin,
                          int64_t end)
      : g_(g),
        shared_(shared),
        columns_(g, pass, shared, x, group, firstColumn, begin, end),
        row_(static_cast<int>(threadIdx.x) / Tile::kThreadsPerRow),
        part_(static_cast<int>(threadIdx.x) % Tile::kThreadsPerRow),
        rowsLeft_(g.groupFilters - firstRow),
        chunkedRows_(pass.chunkedRows) {
    dy_ = dy + (begin + row_) * g.o + int64_t{group} * g.groupFilters + firstRow;
  }

  /// Begins to bring the next positions into a stage; what goes through registers is stored by finish().
  __device__ __forceinline__ void start(int stage) {
    const bool inside = columns_.isInside();
    if (Tile::kChunked || chunkedRows_) {
#pragma unroll
      for (int i = 0; i < kParts; ++i) {
        const int chunk = part_ + i * Tile::kThreadsPerRow;
        const bool valid = inside && chunk * kChunk < rowsLeft_;
        copyAsync16(shared_.a[stage] + Tile::A::at(row_, chunk), dy_ + chunk * kChunk, valid);
      }
    } else {
#pragma unroll
      for (int i = 0; i < kElements; ++i) {
        const int element = part_ + i * Tile::kThreadsPerRow;
        values_[i] = inside && element < rowsLeft_ ? dy_[element] : toStorage<T>(0);
      }
    }
    dy_ += int64_t{Tile::kDepth} * g_.o;
    columns_.start(stage);
  }

  __device__ __forceinline__ void finish(int stage) {
    if constexpr (Tile::kChunked) return;
    if (!chunkedRows_) {
#pragma unroll
      for (int i = 0; i < kElements; ++i) {
        const int element = part_ + i * Tile::kThreadsPerRow;
        shared_.a[stage][Tile::A::at(row_, element / kChunk) + element % kChunk] = values_[i];
      }
    }
    columns_.finish(stage);
  }

 private:
  static constexpr int kChunk = 16 / sizeof(T);
  static constexpr int kParts = Tile::A::kChunks / Tile::kThreadsPerRow;
  static constexpr int kElements = Tile::kChunked ? 1 : Tile::kRows / Tile::kThreadsPerRow;

  const ConvGeometry& g_;
  WeightShared<Tile>& shared_;
  ColumnLoader<Tile> columns_;
  const T* dy_;  // this thread's row
  int row_, part_, rowsLeft_;
  bool chunkedRows_;
  T values_[kElements];
};

/// Grid: x = splits * column tiles * row tiles, the last fastest, so that blocks which read the same
/// positions run together; z = group. `partial` [split, filter, element], `pitch` elements apart; null where
/// there is one split, which then writes dw.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    weightGemm(WeightOutput<typename Tile::T> out, WeightPass pass, float* partial, int64_t pitch) {
  using T = typename Tile::T;
  auto& shared = dynamicShared<WeightShared<Tile>>();
  const ConvGeometry& g = out.geometry;
  const int rowTile = static_cast<int>(blockIdx.x) % pass.rowTiles;
  const int rest = static_cast<int>(blockIdx.x) / pass.rowTiles, columnTile = rest % pass.columnTiles;
  const int split = rest / pass.columnTiles, group = static_cast<int>(blockIdx.z);
  const int64_t begin = split * pass.positionsPerSplit,
                end = min(g.positions(), begin + pass.positionsPerSplit);
  const int firstRow = rowTile * Tile::kRows, firstColumn = columnTile * Tile::kColumns;

  const int lane = static_cast<int>(threadIdx.x) % 32;
  const WarpCorner<Tile> corner;
  float sums[Tile::kRowTiles][Tile::kColumnTiles][4] = {};

  WeightLoader<Tile> loader(g, pass, shared, out.dy, out.x, group, firstRow, firstColumn, begin, end);
  const int stages = static_cast<int>((end - begin + Tile::kDepth - 1) / Tile::kDepth);
#pragma unroll
  for (int stage = 0; stage < Tile::kStages - 1; ++stage) {
    if (stage < stages) {
      loader.start(stage);
      loader.finish(stage);
    }
    commitCopies();
  }
  int reading = 0, writing = Tile::kStages - 1;
  for (int stage = 0; stage < stages; ++stage) {
    waitForCopies<Tile::kStages - 2>();
    // All have this stage, and none still reads the one before, which is filled next.
    __syncthreads();
    const bool more = stage + Tile::kStages - 1 < stages;
    if (more) loader.start(writing);
    commitCopies();
#pragma unroll
    for (int row = 0; row < Tile::kDepth; row += kStepRows<T>)
      multiplyRows<Tile::Operand::kExact>(sums, shared.a[reading], corner.row, shared.b[reading],
                                          corner.column, row, typename Tile::A{}, typename Tile::B{});
    if (more) loader.finish(writing);
    reading = reading == Tile::kStages - 1 ? 0 : reading + 1;
    writing = writing == Tile::kStages - 1 ? 0 : writing + 1;
  }

  const int size = g.filterSize();
  const int row = firstRow + corner.row + lane / 4, column = firstColumn + corner.column + lane % 4 * 2;
  bool finite = true;
#pragma unroll
  for (int m = 0; m < Tile::kRowTiles; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int filterInGroup = row + 16 * m + 8 * half;
      if (filterInGroup >= g.groupFilters) continue;
      const int filter = group * g.groupFilters + filterInGroup;
      const float along = partial ? 0.0f : alongFilter(out, filter);
#pragma unroll
      for (int n = 0; n < Tile::kColumnTiles; ++n) {
        const int element = column + 8 * n;
        if (element >= size) continue;
        const int64_t index = int64_t{filter} * size + element;
        const float* const pair = sums[m][n] + 2 * half;
        const bool both = element + 1 < size;
        if (!partial) {
          finite = finite && pair[0] - pair[0] == 0 && !(both && pair[1] - pair[1] != 0);
          storeWeights<T>(out.w, out.filtersAreFloat, along, out.dw, out.gradientIsFloat, index, both,
                          pair[0], pair[1]);
          continue;
        }
        float* const to = partial + split * pitch + index;
        if (size % 2 == 0) {
          *reinterpret_cast<float2*>(to) = make_float2(pair[0], pair[1]);
        } else {
          to[0] = pair[0];
          if (both) to[1] = pair[1];
        }
      }
    }
  if (partial || !out.q || finite) return;
    // NaN or infinities in x: this thread's elements again, without them. Rolled up, as it hardly ever runs.
#pragma unroll 1
  for (int i = 0; i < Tile::kRowTiles * Tile::kColumnTiles * 4; ++i) {
    const int filterInGroup = row + i / (4 * Tile::kColumnTiles) * 16 + i / 2 % 2 * 8;
    const int element = column + i / 4 % Tile::kColumnTiles * 8 + i % 2;
    if (filterInGroup < g.groupFilters && element < size)
      mendWeight(out, group * g.groupFilters + filterInGroup, element);
  }
}

}  // namespace spherenet::cuda
