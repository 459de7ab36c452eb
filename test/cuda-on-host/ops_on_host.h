// CudaOps on the CPU for checks that know nothing of streams: arrays of the host serve as device memory, and
// an op has run when its call returns.
#pragma once

#include <cuda_on_host/controls.h>
#include <cuda_runtime.h>

#include "../../cuda/context.h"
#include "../../cuda/cuda_memory.h"
#include "../../cuda/cuda_ops.h"

namespace spherenet::test {

/// A device's ops, and what they need. `precision` is that of float32 convolutions.
class SynchronousOps {
 public:
  explicit SynchronousOps(Precision precision = Precision::Float32) : memory_(newStream()), ops_(context_) {
    cuda_on_host::runSynchronously(true);
    cudaDeviceProp properties;
    cuda::check(cudaGetDeviceProperties(&properties, 0), "device properties");
    context_.stream = stream_;
    context_.memory = &memory_;
    context_.multiprocessors = properties.multiProcessorCount;
    context_.sharedMemoryPerBlock = static_cast<int>(properties.sharedMemPerBlockOptin);
    context_.computeCapability = 10 * properties.major + properties.minor;
    context_.precision = precision;
  }
  SynchronousOps(const SynchronousOps&) = delete;
  SynchronousOps& operator=(const SynchronousOps&) = delete;
  ~SynchronousOps() { cuda_on_host::runSynchronously(false); }

  operator Ops&() { return ops_; }
  cuda::Context& context() { return context_; }

 private:
  cudaStream_t newStream() {
    cuda::check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
    return stream_;
  }

  cudaStream_t stream_ = nullptr;
  cuda::Memory memory_;
  cuda::Context context_;
  cuda::CudaOps ops_;
};

}  // namespace spherenet::test
