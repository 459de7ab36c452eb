#include "context.h"

#include <string>
#include <unordered_set>

#include "cuda_memory.h"

namespace spherenet::cuda {

CudaError::CudaError(cudaError_t error, const char* what)
    : std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error)), code(error) {}

void check(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  cudaGetLastError();  // an error that leaves the context usable must not surface in a later call
  throw CudaError(code, what);
}

Workspace::Workspace(const Context& context, size_t bytes)
    : context_(context), data_(context.memory->allocate(bytes)) {}

Workspace::~Workspace() {
  context_.memory->release(data_);
}

void allowSharedMemory(const void* kernel, size_t bytes) {
  constexpr size_t kAlwaysAllowed = size_t{48} << 10;
  if (bytes <= kAlwaysAllowed) return;
  // Per thread, so that no lock is needed; every thread sets the same number, the most that the device has.
  static thread_local std::unordered_set<const void*> allowed;
  if (!allowed.insert(kernel).second) return;
  try {
    int most = 0;
    check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), "device attributes");
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most), "shared memory");
  } catch (...) {
    allowed.erase(kernel);
    throw;
  }
}

}  // namespace spherenet::cuda
