// Stands in for cuda/ in builds without the CUDA toolkit.
#include "backend.h"

namespace spherenet {

CudaStatus cudaStatus() {
  CudaStatus status;
  status.reason = "built without CUDA (by node-gyp, with --no-cuda, or where no nvcc was found)";
  return status;
}

}  // namespace spherenet
