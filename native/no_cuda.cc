// Stands in for cuda/ in builds without the CUDA toolkit.
#include "backend.h"

namespace spherenet {

std::unique_ptr<Backend> makeCudaBackend() {
  throw std::runtime_error("device cuda is not available: " + cudaStatus().reason);
}

CudaStatus cudaStatus() {
  CudaStatus status;
  status.reason = "built without CUDA (by node-gyp, with --no-cuda, or where no nvcc was found)";
  return status;
}

}  // namespace spherenet
