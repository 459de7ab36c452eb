// The state of the emulated device that the parts of the runtime share: errors, the lost context.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>

namespace cuda_on_host {

/// What took the context down; cudaSuccess while it lives.
std::atomic<cudaError_t>& lostContext();

/// What a call returns for `error`: the reason why no call works (no device, context lost, called from a host
/// function of a stream), or else `error`, which cudaGetLastError then tells this thread.
cudaError_t answer(cudaError_t error = cudaSuccess);

/// Waits for all work of all streams.
void synchronizeAllStreams();

/// Whether the memory was allocated as device memory, or as pinned host memory.
bool isDeviceMemory(const void* memory);
bool isPinnedMemory(const void* memory);

/// Set while the calling thread runs a host function of a stream, where calls into CUDA are not allowed.
bool& inHostFunction();

}  // namespace cuda_on_host
