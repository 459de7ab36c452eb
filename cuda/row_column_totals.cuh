// What becomes of the sums of device/row_column_sums.cuh: those of several row blocks and of several chunks
// are added up.
#pragma once

#include <algorithm>

#include "context.h"
#include "device/angular.cuh"
#include "device/row_column_sums.cuh"

namespace spherenet::cuda {

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

template <class T, int Sums>
void launchColumnTotals(const Context& context, const ColumnTotals<T, Sums>& totals, unsigned sums = Sums) {
  launch(context, columnTotals<T, Sums>, dim3(static_cast<unsigned>(ceilDivide(totals.columns, 32)), sums),
         kColumnTotalsThreads, sizeof(ColumnTotalsShared), totals);
}

constexpr int kRowTotalsThreads = 256;

/// out[i] = sum over the chunks [chunk, count] / norms[i], where `squared` / norms[i]^2.
template <class T>
__global__ void __launch_bounds__(kRowTotalsThreads)
    rowTotals(const T* __restrict__ partial, int chunks, int64_t count, const T* __restrict__ norms,
              bool squared, T* __restrict__ out) {
  for (int64_t i = int64_t{blockIdx.x} * kRowTotalsThreads + threadIdx.x; i < count;
       i += int64_t{gridDim.x} * kRowTotalsThreads) {
    T sum = 0;
#pragma unroll 1
    for (int chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * count + i];
    const T inverse = inverseNormOf(norms[i]);
    out[i] = sum * inverse * (squared ? inverse : T(1));
  }
}

template <class T>
void launchRowTotals(const Context& context, const T* partial, int chunks, int64_t count, const T* norms,
                     bool squared, T* out) {
  const int64_t blocks = std::min<int64_t>(ceilDivide(count, kRowTotalsThreads), 8 * context.multiprocessors);
  launch(context, rowTotals<T>, dim3(static_cast<unsigned>(blocks)), kRowTotalsThreads, 0, partial, chunks,
         count, norms, squared, out);
}

}  // namespace spherenet::cuda
