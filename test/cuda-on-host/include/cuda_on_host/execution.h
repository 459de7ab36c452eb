// What a kernel sees of its execution: its indices, barriers, shared memory and asynchronous copies. A CUDA
// thread is a fiber, a block runs on one thread of the CPU; runtime/block.cc holds the bodies.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "vector_types.h"

inline constinit thread_local uint3 threadIdx{};
inline constinit thread_local uint3 blockIdx{};
inline constinit thread_local dim3 blockDim{};
inline constinit thread_local dim3 gridDim{};
constexpr int warpSize = 32;

namespace cuda_on_host {

enum class Barrier : uint8_t { Plain, Count, And, Or };

/// Waits for every thread of the block; the answer of `kind` over all `predicate`.
int blockBarrier(Barrier kind, int predicate);

/// What lanes of a warp do together. Each lane hands in its part, which stays where it is (on the lane's
/// stack) until the lane goes on; the last one of `mask` to arrive runs `combine` on all parts, null where a
/// lane takes no part.
using Combine = void (*)(void* const* parts, uint32_t mask);
void warpCollective(const char* name, uint32_t mask, void* part, Combine combine);
/// The lane of the calling thread in its warp.
int laneIndex();

/// The block's shared memory; `needed` bytes must be there.
void* sharedMemory(size_t needed, size_t alignment);
/// The offset in shared memory of `pointer`, which must lie in it.
uint32_t sharedOffset(const void* pointer, size_t bytes, size_t alignment, const char* user);

void beginCopy(void* shared, const void* global, size_t bytes, bool valid);
void commitCopies();
void waitForCopies(int pending);

/// Prints what is wrong in a kernel, with the thread that found it, and aborts.
[[noreturn]] void fail(const char* sentence, ...) __attribute__((format(printf, 1, 2)));

}  // namespace cuda_on_host

inline void __syncthreads() {
  cuda_on_host::blockBarrier(cuda_on_host::Barrier::Plain, 0);
}
inline int __syncthreads_count(int predicate) {
  return cuda_on_host::blockBarrier(cuda_on_host::Barrier::Count, predicate);
}
inline int __syncthreads_and(int predicate) {
  return cuda_on_host::blockBarrier(cuda_on_host::Barrier::And, predicate);
}
inline int __syncthreads_or(int predicate) {
  return cuda_on_host::blockBarrier(cuda_on_host::Barrier::Or, predicate);
}

inline void __threadfence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __threadfence_block() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __trap() {
  cuda_on_host::fail("the kernel called __trap()");
}
