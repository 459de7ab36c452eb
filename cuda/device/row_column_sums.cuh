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
  /// Vectors of a lane, at most; more would take registers. Element by element one is enough: what is
  /// neither aligned nor a multiple of a vector may as well have more chunks.
  __host__ __device__ static constexpr int mostVectors(int width) { return width == 1 ? 1 : 2; }

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
  /// rows. `most`: vectors of a lane.
  RowColumnGrid(int64_t rowCount, int64_t columns, int width, int64_t repeats, int multiprocessors, int most)
      : rows(rowCount), columnVectors(static_cast<int>(columns / width)) {
    chunks = (columnVectors + 32 * most - 1) / (32 * most);
    chunkVectors = (columnVectors + chunks - 1) / chunks;
    while (lanes < 32 && lanes < chunkVectors) lanes *= 2;
    while (lanes * vectors < chunkVectors) ++vectors;
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
#pragma unroll 1
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

}  // namespace spherenet::cuda
