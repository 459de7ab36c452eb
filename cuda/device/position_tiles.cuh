// Tensor-core operands whose rows lie in shared memory one position after the other, as the weight gradient
// reads both of its operands: the product sums over the rows, so every fragment is transposed on its way to
// registers.
#pragma once

#include <cstdint>

#include "tile.cuh"

namespace spherenet::cuda {

/// [rows, Columns] of T in chunks of 16 bytes. 16-bit rows are swizzled: eight rows of one chunk, which a
/// matrix load reads at once, lie in different banks, and so do four chunks of two rows, which eight lanes
/// write at once. 32-bit rows are padded to 8 words beyond a multiple of 32, so that rows t and columns g of
/// a fragment (t < 4, g < 8) do.
template <class T, int Columns>
struct PositionTile {
  static_assert(Columns % 32 == 0);
  static constexpr int kChunk = 16 / sizeof(T);
  static constexpr int kChunks = Columns / kChunk;
  static constexpr int kPitch = sizeof(T) == 4 ? Columns + 8 : Columns;

  /// Offset in elements of the first element of a chunk.
  __device__ static int at(int row, int chunk) {
    if constexpr (sizeof(T) == 4) return row * kPitch + chunk * kChunk;
    int swizzled = chunk ^ (row >> 1 & 3);
    if (kChunks % 8 == 0) swizzled ^= (row & 1) << 2;
    return row * kPitch + swizzled * kChunk;
  }
};

/// One step of a product along the rows: 16 of them for 16-bit operands, 8 for tf32.
template <class T>
constexpr int kStepRows = sizeof(T) == 4 ? 8 : 16;

/// float32 split into two tf32 numbers, whose three larger products make a float32 product.
template <bool Exact>
__device__ __forceinline__ void splitTf32(float x, uint32_t& high, uint32_t& low) {
  high = roundToTf32(x);
  if constexpr (Exact) low = roundToTf32(x - __uint_as_float(high));
}

/// sums[m][n] += a^T b over `kStepRows` rows that begin at `row`, for 16 * MTiles columns of a from aColumn
/// and 8 * NTiles of b from bColumn (multiples of 16). `Exact`: float32 products out of three tf32 ones.
template <bool Exact, int MTiles, int NTiles, class T, class A, class B>
__device__ __forceinline__ void multiplyRows(float (&sums)[MTiles][NTiles][4], const T* a, int aColumn,
                                             const T* b, int bColumn, int row, A, B) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (sizeof(T) == 2) {
    static_assert(NTiles % 2 == 0);
    uint32_t as[MTiles][4];
#pragma unroll
    for (int m = 0; m < MTiles; ++m)
      loadMatricesTransposed(as[m],
                             a + A::at(row + lane / 16 * 8 + lane % 8, aColumn / 8 + 2 * m + lane / 8 % 2));
#pragma unroll
    for (int n = 0; n < NTiles; n += 2) {
      uint32_t bs[4];
      loadMatricesTransposed(bs, b + B::at(row + lane % 16, bColumn / 8 + n + lane / 16));
      const uint32_t first[2] = {bs[0], bs[1]}, second[2] = {bs[2], bs[3]};
#pragma unroll
      for (int m = 0; m < MTiles; ++m) {
        multiplyAdd(T{}, sums[m][n], as[m], first);
        multiplyAdd(T{}, sums[m][n + 1], as[m], second);
      }
    }
  } else {
    const int g = lane / 4, t = lane % 4;
    uint32_t high[MTiles][4], low[MTiles][4];
#pragma unroll
    for (int m = 0; m < MTiles; ++m)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        splitTf32<Exact>(a[(row + t + i / 2 * 4) * A::kPitch + aColumn + 16 * m + g + i % 2 * 8], high[m][i],
                         low[m][i]);
#pragma unroll
    for (int n = 0; n < NTiles; ++n) {
      uint32_t bHigh[2], bLow[2];
#pragma unroll
      for (int i = 0; i < 2; ++i)
        splitTf32<Exact>(b[(row + t + 4 * i) * B::kPitch + bColumn + 8 * n + g], bHigh[i], bLow[i]);
#pragma unroll
      for (int m = 0; m < MTiles; ++m) {
        if constexpr (Exact) {
          multiplyAdd(T{}, sums[m][n], low[m], bHigh);
          multiplyAdd(T{}, sums[m][n], high[m], bLow);
        }
        multiplyAdd(T{}, sums[m][n], high[m], bHigh);
      }
    }
  }
}

}  // namespace spherenet::cuda
