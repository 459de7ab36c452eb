// What the launchers of cuda/*.cu share: the stream they launch on, its device, scratch memory, errors. Host
// code.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <stdexcept>
#include <type_traits>

#include "../native/backend.h"

namespace spherenet::cuda {

/// A failed call of the CUDA runtime.
class CudaError : public std::runtime_error {
 public:
  CudaError(cudaError_t code, const char* what);
  const cudaError_t code;
};

/// Throws CudaError unless `code` is cudaSuccess; `what` names the call.
void check(cudaError_t code, const char* what);

class Memory;

/// The stream and the device of one backend. Launchers take all they need to know from it.
struct Context {
  cudaStream_t stream = nullptr;
  Memory* memory = nullptr;
  int multiprocessors = 0;
  int sharedMemoryPerBlock = 0;  // bytes a block may ask for
  int computeCapability = 0;     // 90 for 9.0
  Precision precision = Precision::Tf32;
};

/// Scratch memory for the work launched while it lives; stream-ordered like all memory. 256-byte aligned.
class Workspace {
 public:
  Workspace(const Context& context, size_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  const Context& context_;
  void* data_ = nullptr;
};

/// Allows `kernel` to be launched with this much dynamic shared memory (above 48 KiB it has to be asked for).
void allowSharedMemory(const void* kernel, size_t bytes);

/// Launches a kernel on the context's stream; an empty grid is no launch. gridDim.y and .z hold at most
/// 65,535: what may be larger rides in .x.
template <class... Parameters>
void launch(const Context& context, void (*kernel)(Parameters...), dim3 grid, unsigned threads, size_t shared,
            std::type_identity_t<Parameters>... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  allowSharedMemory(reinterpret_cast<const void*>(kernel), shared);
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared;
  config.stream = context.stream;
  check(cudaLaunchKernelEx(&config, kernel, arguments...), "kernel launch");
}

constexpr int64_t ceilDivide(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace spherenet::cuda
