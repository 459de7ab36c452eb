// Sums and maxima over the lanes of a warp and the threads of a block, in a fixed order: the same bits on
// every run.
#pragma once

#include <cuda_runtime.h>

namespace spherenet::cuda {

constexpr int kWarpSize = 32;
/// Elements of shared scratch that the block reductions need.
constexpr int kBlockScratch = 32;

/// combine(a, b) over the values of `lanes` neighbouring lanes (a power of two, the groups aligned to it);
/// each lane receives the result. combine must be commutative, bit by bit. All lanes of the warp take part.
template <class T, class Combine>
__device__ __forceinline__ T warpReduce(T value, Combine combine, int lanes = kWarpSize) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(0xFFFFFFFFu, value, distance));
  }
  return value;
}

template <class T>
__device__ __forceinline__ T warpSum(T value, int lanes = kWarpSize) {
  return warpReduce(
      value, [](T a, T b) { return a + b; }, lanes);
}

/// NaN counts as the least value, as max() has it.
template <class T>
__device__ __forceinline__ T warpMax(T value, int lanes = kWarpSize) {
  return warpReduce(
      value, [](T a, T b) { return max(a, b); }, lanes);
}

/// combine over the values of all threads of the block (blockDim.x a multiple of 32); each thread receives
/// the result. `scratch`: kBlockScratch elements in shared memory, free again on return. `neutral`: what
/// leaves any value alone. A barrier for the block: all threads take part.
template <class T, class Combine>
__device__ __forceinline__ T blockReduce(T value, T* scratch, T neutral, Combine combine) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize,
            warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int warps = static_cast<int>(blockDim.x) / kWarpSize;
  value = warpReduce(value, combine);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = warpReduce(lane < warps ? scratch[lane] : neutral, combine);
  __syncthreads();
  return value;
}

template <class T>
__device__ __forceinline__ T blockSum(T value, T* scratch) {
  return blockReduce(value, scratch, T(0), [](T a, T b) { return a + b; });
}

/// NaN counts as the least value; `lowest`: what a block without any other value gives.
template <class T>
__device__ __forceinline__ T blockMax(T value, T* scratch, T lowest) {
  return blockReduce(value, scratch, lowest, [](T a, T b) { return max(a, b); });
}

}  // namespace spherenet::cuda
