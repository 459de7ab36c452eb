// What the losses over rows of classes share: a row is the work of a warp, or of a block where rows are long.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "ptx.cuh"
#include "reduce.cuh"

namespace spherenet::cuda {

constexpr int kLossThreads = 512;

struct LossShared {
  double scratch[kBlockScratch];
};

/// The threads of a row.
template <bool WholeBlock>
struct RowTeam {
  LossShared& shared;
  int thread, size;     // of the row
  int64_t first, step;  // rows

  __device__ __forceinline__ explicit RowTeam(LossShared& s) : shared(s) {
    constexpr int kWarps = kLossThreads / kWarpSize;
    size = WholeBlock ? kLossThreads : kWarpSize;
    thread = static_cast<int>(threadIdx.x) % size;
    first = WholeBlock ? blockIdx.x : int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
    step = WholeBlock ? gridDim.x : int64_t{gridDim.x} * kWarps;
  }
  __device__ __forceinline__ double sum(double value) const {
    if constexpr (WholeBlock) return blockSum(value, shared.scratch);
    return warpSum(value);
  }
  /// NaN counts as the least value.
  __device__ __forceinline__ double most(double value) const {
    if constexpr (WholeBlock) return blockMax(value, shared.scratch, value);
    return warpMax(value);
  }
};

/// *loss = the mean of the rows' losses; on one block, after a barrier for it.
template <class T>
__device__ __forceinline__ void writeMeanLoss(const double* losses, int64_t rows, LossShared& shared,
                                              T* loss) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < rows; i += kLossThreads) sum += losses[i];
  sum = blockSum(sum, shared.scratch);
  if (threadIdx.x == 0) *loss = static_cast<T>(sum / static_cast<double>(rows));
}

template <class T>
__global__ void __launch_bounds__(kLossThreads, 1) meanLoss(const double* losses, int64_t rows, T* loss) {
  writeMeanLoss(losses, rows, dynamicShared<LossShared>(), loss);
}

}  // namespace spherenet::cuda
