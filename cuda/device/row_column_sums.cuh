// One pass over a matrix [rows, columns] that yields sums along both axes: column sums stay in registers
// while a thread walks down the rows, row sums are taken by shuffles. All sums have a fixed order.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "ptx.cuh"

namespace spherenet::cuda {

/// How the matrix is shared out. A lane owns up to `vectors` vectors of `width` consecutive columns, `lanes`
/// of a warp lie along a row, so that 32 / lanes rows are read at once; what does not fit into one warp goes
/// into further column chunks, and blocks of rows fill the device. Block index = chunk * rowBlocks + row
/// block.
struct RowColumnGrid {
  static constexpr int kThreads = 256;
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kMaxVectors = 2;  // of a lane; more would take registers, and code for few widths

  /// Rows a lane has in flight.
  __host__ __device__ static constexpr int rowsInFlight(int vectors) { return vectors == 1 ? 4 : 2; }

  int64_t rows = 0;
  int columnVectors = 0;  // of a row
  int lanes = 1;          // a power of two
  int vectors = 1;
  int chunks = 1;
  int chunkVectors = 0;
  int rowBlocks = 0;

  RowColumnGrid() = default;
  /// `repeats`: how many such matrices one launch covers. Blocks that fit on the device at once share the
  /// rows.
  RowColumnGrid(int64_t rowCount, int64_t columns, int width, int64_t repeats, int multiprocessors)
      : rows(rowCount), columnVectors(static_cast<int>(columns / width)) {
    chunks = (columnVectors + 32 * kMaxVectors - 1) / (32 * kMaxVectors);
    chunkVectors = (columnVectors + chunks - 1) / chunks;
    int best = 0;
    for (int each = 1; each <= kMaxVectors; ++each) {
      int along = 1;
      while (along < 32 && along * each < chunkVectors) along *= 2;
      if (along * each < chunkVectors || (best > 0 && along * each >= best)) continue;
      best = along * each;
      lanes = along;
      vectors = each;
    }
    const int64_t tiles = (rows + tileRows() - 1) / tileRows(), resident = 4 * int64_t{multiprocessors};
    rowBlocks = static_cast<int>(std::min(tiles, std::max<int64_t>(1, resident / (repeats * chunks))));
  }

  __host__ __device__ int rowsAtOnce() const { return 32 / lanes; }
  /// Rows of a block and step.
  __host__ __device__ int64_t tileRows() const {
    return int64_t{kWarps} * rowsInFlight(vectors) * rowsAtOnce();
  }
};

/// Where the column sums of a block's warps are added up.
template <class T, int Width, int Vectors, int Sums>
struct ColumnSumsShared {
  T at[Sums][Width][32 * Vectors];
};

/// Calls, for the rows of row block `rowBlock` and the vectors of column chunk `chunk`,
///   visit(row, step, count, vector, columnSums, rowSums)
/// which handles elements (row + i step, vector * Width + j) for i < count <= rowsInFlight, adds to
/// columnSums[j][sum] and rowSums[i]; then, on one lane, finishRow(row, sum over the chunk). At the end
/// partial[sum * columns + column] are the column sums over the block's rows.
template <int Width, int Vectors, int Sums, class T, class Visit, class FinishRow>
__device__ __forceinline__ void rowColumnSums(const RowColumnGrid& grid, int rowBlock, int chunk,
                                              ColumnSumsShared<T, Width, Vectors, Sums>& shared,
                                              int64_t columns, T* partial, const Visit& visit,
                                              const FinishRow& finishRow) {
  constexpr int kRows = RowColumnGrid::rowsInFlight(Vectors);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int along = lane & (grid.lanes - 1), step = grid.rowsAtOnce();
  const int firstVector = chunk * grid.chunkVectors;
  const int endVector = min(grid.columnVectors, firstVector + grid.chunkVectors);

  T columnSums[Vectors][Width][Sums] = {};
  const int64_t tileRows = grid.tileRows();
  for (int64_t tile = rowBlock * tileRows; tile < grid.rows; tile += grid.rowBlocks * tileRows) {
    const int64_t row = tile + warp * kRows * step + lane / grid.lanes;
    const int64_t left = grid.rows > row ? (grid.rows - row + step - 1) / step : 0;
    const int count = static_cast<int>(min(left, int64_t{kRows}));
    T rowSums[kRows] = {};
#pragma unroll
    for (int v = 0; v < Vectors; ++v) {
      const int vector = firstVector + v * grid.lanes + along;
      if (vector < endVector && count > 0) visit(row, step, count, vector, columnSums[v], rowSums);
    }
    for (int offset = grid.lanes / 2; offset > 0; offset /= 2) {
#pragma unroll
      for (int i = 0; i < kRows; ++i) rowSums[i] += __shfl_xor_sync(0xffffffffu, rowSums[i], offset);
    }
    if (along == 0) {
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        if (i < count) finishRow(row + i * step, rowSums[i]);
    }
  }

  // Lanes that share columns, then warps, in order.
#pragma unroll
  for (int v = 0; v < Vectors; ++v)
#pragma unroll
    for (int j = 0; j < Width; ++j)
#pragma unroll
      for (int s = 0; s < Sums; ++s)
        for (int offset = grid.lanes; offset < 32; offset *= 2)
          columnSums[v][j][s] += __shfl_xor_sync(0xffffffffu, columnSums[v][j][s], offset);
  for (int turn = 0; turn < RowColumnGrid::kWarps; ++turn) {
    if (warp == turn && lane < grid.lanes) {
#pragma unroll
      for (int v = 0; v < Vectors; ++v)
#pragma unroll
        for (int j = 0; j < Width; ++j)
#pragma unroll
          for (int s = 0; s < Sums; ++s) {
            T& sum = shared.at[s][j][v * grid.lanes + along];
            sum = turn == 0 ? columnSums[v][j][s] : sum + columnSums[v][j][s];
          }
    }
    __syncthreads();
  }
  const int chunkColumns = (endVector - firstVector) * Width;
  for (int i = static_cast<int>(threadIdx.x); i < chunkColumns; i += RowColumnGrid::kThreads)
#pragma unroll
    for (int s = 0; s < Sums; ++s)
      partial[s * columns + int64_t{firstVector} * Width + i] = shared.at[s][i % Width][i / Width];
}

/// What becomes of the column sums of all row blocks: out[s] [columns], or where `shared` one number, the sum
/// over the columns too. A null output is left out.
template <class T, int Sums>
struct ColumnTotals {
  const T* partial = nullptr;  // [blocks, Sums, columns]
  int blocks = 0;
  int64_t columns = 0;
  T* out[Sums] = {};
  bool shared[Sums] = {};
};

constexpr unsigned kColumnTotalsThreads = 1024;

struct ColumnTotalsShared {
  double at[32][33];
};

/// Grid: x = 32 columns (block 0 takes all of a shared sum), y = sum.
template <class T, int Sums>
__global__ void __launch_bounds__(kColumnTotalsThreads) columnTotals(ColumnTotals<T, Sums> totals) {
  auto& shared = dynamicShared<ColumnTotalsShared>();
  const int s = static_cast<int>(blockIdx.y), lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  T* out = totals.out[0];
  bool all = totals.shared[0];
#pragma unroll
  for (int i = 1; i < Sums; ++i)
    if (i == s) out = totals.out[i], all = totals.shared[i];
  if (!out || (all && blockIdx.x > 0)) return;  // the whole block
  const int64_t first = int64_t{blockIdx.x} * 32 + lane;
  double sum = 0;
  for (int64_t column = first; column < (all ? totals.columns : min(totals.columns, first + 1)); column += 32)
    for (int block = warp; block < totals.blocks; block += 32)
      sum += static_cast<double>(totals.partial[(int64_t{block} * Sums + s) * totals.columns + column]);
  shared.at[warp][lane] = sum;
  __syncthreads();
  // Each warp adds up one column.
  sum = shared.at[lane][warp];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, offset);
  if (!all) {
    const int64_t column = int64_t{blockIdx.x} * 32 + warp;
    if (lane == 0 && column < totals.columns) out[column] = static_cast<T>(sum);
    return;
  }
  __syncthreads();
  if (lane == 0) shared.at[0][warp] = sum;
  __syncthreads();
  if (threadIdx.x > 0) return;
  sum = 0;
  for (int i = 0; i < 32; ++i) sum += shared.at[0][i];
  *out = static_cast<T>(sum);
}

}  // namespace spherenet::cuda
