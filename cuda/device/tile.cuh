// Tiles of a matrix product: their extents, the layout of their operands in shared memory, fragments, and the
// products of the operand types.
//
// Both operands lie with the inner dimension contiguous, in slices of 64 bytes a row (32 16-bit or 16 float32
// elements), which are two steps of a tensor-core instruction for every type. A row's four chunks of 16 bytes
// are swapped by exclusive-or with bits 1 and 2 of the row: eight rows of one chunk (ldmatrix) lie in
// different banks, and so do the four chunks of two rows (copies).
#pragma once

#include "numeric.cuh"
#include "ptx.cuh"

namespace spherenet::cuda {

constexpr int kRowBytes = 64;
constexpr int kChunkBytes = 16;
constexpr int kChunks = kRowBytes / kChunkBytes;
constexpr int kSteps = 2;  // tensor-core steps (of two chunks) in a slice

#ifdef __CUDA_ARCH__
constexpr int kArchitecture = __CUDA_ARCH__ / 10;  // 90 for sm_90
#else
constexpr int kArchitecture = 90;  // the execution on the CPU takes the path of this one
#endif

/// Byte offset of a chunk in a tile of rows.
__device__ __forceinline__ int chunkOffset(int row, int chunk) {
  return row * kRowBytes + ((chunk ^ (row >> 1 & 3)) * kChunkBytes);
}

// ---- operand types

struct Bfloat16Operand {
  using Storage = __nv_bfloat16;
  static constexpr bool kExact = false;
};
struct Float16Operand {
  using Storage = __half;
  static constexpr bool kExact = false;
};
/// float32 rounded to tf32.
struct Tf32Operand {
  using Storage = float;
  static constexpr bool kExact = false;
};
/// float32 as the sum of two tf32 numbers: three products for one.
struct Float32Operand {
  using Storage = float;
  static constexpr bool kExact = true;
};

/// Adds the squares of the elements in 32 bits of a fragment.
template <class T>
__device__ __forceinline__ float addSquares(float sum, uint32_t bits) {
  if constexpr (std::is_same_v<T, float>) {
    const float v = __uint_as_float(bits);
    return fmaf(v, v, sum);
  } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    const float low = __uint_as_float(bits << 16), high = __uint_as_float(bits & 0xffff0000u);
    return fmaf(high, high, fmaf(low, low, sum));
  } else {
    const float low = __half2float(__ushort_as_half(static_cast<unsigned short>(bits & 0xffffu)));
    const float high = __half2float(__ushort_as_half(static_cast<unsigned short>(bits >> 16)));
    return fmaf(high, high, fmaf(low, low, sum));
  }
}

// ---- tiles

/// A block's tile and those of its warps. `Blocks`: how many blocks share a multiprocessor; it bounds
/// registers.
template <int Rows, int Columns, int WarpRows, int WarpColumns, int Blocks>
struct GemmTile {
  static constexpr int kRows = Rows, kColumns = Columns, kBlocks = Blocks;
  static constexpr int kWarpRows = WarpRows, kWarpColumns = WarpColumns;
  static constexpr int kWarpsDown = Rows / WarpRows, kWarpsAcross = Columns / WarpColumns;
  static constexpr int kThreads = 32 * kWarpsDown * kWarpsAcross;
  static constexpr int kRowTiles = WarpRows / 16, kColumnTiles = WarpColumns / 8;
  static constexpr int kStageBytes = (Rows + Columns) * kRowBytes;
  // Eight columns of padding let the accumulators' 8-byte stores of four rows fall into different banks.
  static constexpr int kStagingStride = Columns + 8;
  static constexpr int kStagingBytes = Rows * kStagingStride * static_cast<int>(sizeof(float));
  static_assert(Rows % WarpRows == 0 && Columns % WarpColumns == 0 && WarpRows % 16 == 0 &&
                WarpColumns % 16 == 0);
};

/// What one warp multiplies in a step.
template <class Tile>
struct Fragments {
  uint32_t a[Tile::kRowTiles][4];
  uint32_t b[Tile::kColumnTiles][2];
};

/// A warp's place in the block's tile.
template <class Tile>
struct WarpPlace {
  int lane, down, across, firstRow, firstColumn;

  __device__ __forceinline__ WarpPlace() {
    const int thread = static_cast<int>(threadIdx.x), warp = thread / 32;
    lane = thread % 32;
    down = warp % Tile::kWarpsDown;
    across = warp / Tile::kWarpsDown;
    firstRow = down * Tile::kWarpRows;
    firstColumn = across * Tile::kWarpColumns;
  }
};

/// The addresses of a lane's matrix rows.
///
/// Warps whose coordinates add up to an odd number take the two chunks of a step in swapped order: a
/// permutation of the inner dimension, the same for both operands, which the product does not see. Two warps
/// that share rows (or columns) so have different halves of each step in the same registers, and each adds up
/// squares of its own half.
template <class Tile>
struct FragmentLoader {
  int a, b;  // byte offsets of the first matrices

  __device__ __forceinline__ explicit FragmentLoader(const WarpPlace<Tile>& warp) {
    const int swap = (warp.down ^ warp.across) & 1, lane = warp.lane;
    a = chunkOffset(warp.firstRow + lane % 16, lane / 16 ^ swap);
    b = Tile::kRows * kRowBytes +
        chunkOffset(warp.firstColumn + lane % 8 + lane / 16 * 8, lane / 8 % 2 ^ swap);
  }

  template <int Step>
  __device__ __forceinline__ void load(Fragments<Tile>& to, const unsigned char* stage) const {
    // The next step is two chunks on, which in the swapped order is the other value of their upper bit.
    const unsigned char* const rows = stage + (a ^ Step * 2 * kChunkBytes);
    const unsigned char* const columns = stage + (b ^ Step * 2 * kChunkBytes);
#pragma unroll
    for (int i = 0; i < Tile::kRowTiles; ++i) loadMatrices(to.a[i], rows + i * 16 * kRowBytes);
#pragma unroll
    for (int j = 0; j < Tile::kColumnTiles; j += 2) {
      uint32_t pair[4];
      loadMatrices(pair, columns + j * 8 * kRowBytes);
      to.b[j][0] = pair[0];
      to.b[j][1] = pair[1];
      to.b[j + 1][0] = pair[2];
      to.b[j + 1][1] = pair[3];
    }
  }
};

/// A warp's sums.
template <class Tile>
struct Accumulators {
  float at[Tile::kRowTiles][Tile::kColumnTiles][4];
};

/// A warp's share of the sums of squares: of rows g and g + 8 of each 16, and of column g of each 8 (g = lane
/// / 4).
template <class Tile>
struct SquareSums {
  // Of four or more warps at the same columns, the first two add up the first half of these, the next two the
  // rest.
  static constexpr int kColumnShares = Tile::kWarpsDown >= 4 ? 2 : 1;
  static constexpr int kColumnTiles = Tile::kColumnTiles / kColumnShares;
  float rows[Tile::kRowTiles][2];
  float columns[kColumnTiles];

  /// The first of the column tiles that a warp adds up.
  __device__ __forceinline__ static int firstColumnTile(const WarpPlace<Tile>& warp) {
    return kColumnShares == 1 ? 0 : warp.down / 2 % 2 * kColumnTiles;
  }

  /// With a second warp at the same rows, the registers of one half of the step are this warp's share.
  template <class T>
  __device__ __forceinline__ void add(const Fragments<Tile>& f) {
#pragma unroll
    for (int i = 0; i < Tile::kRowTiles; ++i)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        rows[i][half] = addSquares<T>(rows[i][half], f.a[i][half]);
        if constexpr (Tile::kWarpsAcross == 1) rows[i][half] = addSquares<T>(rows[i][half], f.a[i][half + 2]);
      }
    const bool upper = firstColumnTile(WarpPlace<Tile>()) != 0;
#pragma unroll
    for (int j = 0; j < kColumnTiles; ++j) {
      const uint32_t share = upper ? f.b[j + Tile::kColumnTiles - kColumnTiles][0] : f.b[j][0];
      columns[j] = addSquares<T>(columns[j], share);
      if constexpr (Tile::kWarpsDown == 1) columns[j] = addSquares<T>(columns[j], f.b[j][1]);
    }
  }
};

/// Rounds fragments to what the tensor cores take of them.
template <class Operand, class Tile>
__device__ __forceinline__ void roundFragments(Fragments<Tile>& f) {
  if constexpr (std::is_same_v<Operand, Tf32Operand>) {
#pragma unroll
    for (auto& a : f.a)
#pragma unroll
      for (uint32_t& v : a) v = roundToTf32(__uint_as_float(v));
#pragma unroll
    for (auto& b : f.b)
#pragma unroll
      for (uint32_t& v : b) v = roundToTf32(__uint_as_float(v));
  }
}

/// value = big + small + some 2^-22 of it.
__device__ __forceinline__ void splitTf32(uint32_t value, uint32_t& big, uint32_t& small) {
  big = roundToTf32(__uint_as_float(value));
  small = roundToTf32(__uint_as_float(value) - __uint_as_float(big));
}

/// sums += a b of one step.
template <class Operand, class Tile>
__device__ __forceinline__ void multiply(Accumulators<Tile>& sums, const Fragments<Tile>& f) {
  using T = typename Operand::Storage;
  if constexpr (!Operand::kExact) {
#pragma unroll
    for (int i = 0; i < Tile::kRowTiles; ++i)
#pragma unroll
      for (int j = 0; j < Tile::kColumnTiles; ++j) multiplyAdd(T{}, sums.at[i][j], f.a[i], f.b[j]);
  } else {
    uint32_t big[Tile::kColumnTiles][2], small[Tile::kColumnTiles][2];
#pragma unroll
    for (int j = 0; j < Tile::kColumnTiles; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) splitTf32(f.b[j][e], big[j][e], small[j][e]);
#pragma unroll
    for (int i = 0; i < Tile::kRowTiles; ++i) {
      uint32_t bigA[4], smallA[4];
#pragma unroll
      for (int e = 0; e < 4; ++e) splitTf32(f.a[i][e], bigA[e], smallA[e]);
        // Small terms first; each pass over the columns leaves their sums time to arrive.
#pragma unroll
      for (int j = 0; j < Tile::kColumnTiles; ++j) multiplyAdd(T{}, sums.at[i][j], smallA, big[j]);
#pragma unroll
      for (int j = 0; j < Tile::kColumnTiles; ++j) multiplyAdd(T{}, sums.at[i][j], bigA, small[j]);
#pragma unroll
      for (int j = 0; j < Tile::kColumnTiles; ++j) multiplyAdd(T{}, sums.at[i][j], bigA, big[j]);
    }
  }
}

}  // namespace spherenet::cuda
