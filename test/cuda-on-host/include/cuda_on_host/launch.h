// Kernel launches: the typed templates of the CUDA runtime.
#pragma once

#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../cuda_runtime_api.h"

namespace cuda_on_host {

/// A launch that has not run yet. `thread` executes one CUDA thread.
struct Launch {
  const void* kernel = nullptr;
  dim3 grid, block;
  size_t shared = 0;
  std::function<void()> thread;
};

/// Checks the launch as the CUDA runtime does, and puts it into the stream.
cudaError_t submit(Launch launch, cudaStream_t stream);

}  // namespace cuda_on_host

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  static_assert((!std::is_reference_v<Parameters> && ...), "a kernel takes its parameters by value");
  static_assert((std::is_trivially_copyable_v<Parameters> && ...),
                "parameters are copied to the device bit by bit");
  static_assert((sizeof(Parameters) + ... + 0) <= 32764, "a kernel has at most 32,764 bytes of parameters");
  using Values = std::tuple<std::remove_cv_t<Parameters>...>;
  cuda_on_host::Launch launch;
  launch.kernel = reinterpret_cast<const void*>(kernel);
  launch.grid = config->gridDim;
  launch.block = config->blockDim;
  launch.shared = config->dynamicSmemBytes;
  launch.thread = [kernel, values = Values(std::forward<Arguments>(arguments)...)] {
    std::apply(kernel, values);
  };
  return cuda_on_host::submit(std::move(launch), config->stream);
}

template <class T>
cudaError_t cudaFuncSetAttribute(T* kernel, cudaFuncAttribute attribute, int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}
template <class T>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, T* kernel) {
  return cudaFuncGetAttributes(attributes, reinterpret_cast<const void*>(kernel));
}
template <class T>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, T* kernel, int threads,
                                                          size_t shared) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, reinterpret_cast<const void*>(kernel), threads,
                                                       shared);
}
template <class T>
cudaError_t cudaMemcpyToSymbol(T& symbol, const void* from, size_t bytes, size_t offset = 0) {
  return cudaMemcpy(reinterpret_cast<char*>(&symbol) + offset, from, bytes, cudaMemcpyHostToDevice);
}
