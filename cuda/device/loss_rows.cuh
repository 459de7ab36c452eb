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

/// The threads of a row. Which ones they are is known at run time only: a template would double the losses'
/// code, and memory is their limit.
struct RowTeam {
  LossShared& shared;
  bool wholeBlock;
  int thread, size;     // of the row
  int64_t first, step;  // rows

  __device__ __forceinline__ RowTeam(LossShared& s, bool whole) : shared(s), wholeBlock(whole) {
    constexpr int kWarps = kLossThreads / kWarpSize;
    size = wholeBlock ? kLossThreads : kWarpSize;
    thread = static_cast<int>(threadIdx.x) & (size - 1);
    first = wholeBlock ? blockIdx.x : int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
    step = wholeBlock ? gridDim.x : int64_t{gridDim.x} * kWarps;
  }
  __device__ __forceinline__ double sum(double value) const {
    return wholeBlock ? blockSum(value, shared.scratch) : warpSum(value);
  }
  /// NaN counts as the least value.
  __device__ __forceinline__ double most(double value) const {
    return wholeBlock ? blockMax(value, shared.scratch, value) : warpMax(value);
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
