// Of the CUDA runtime what cuda/device.cc asks, in terms of a libcuda.so.1 that is looked for at run time:
// with it the loader's tests have an addon that asks a driver, where there is no CUDA toolkit.
#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include "../../../native/backend.h"

namespace {

template <class F>
F* driverFunction(const char* name) {
  static void* const driver = dlopen("libcuda.so.1", RTLD_NOW);
  return driver ? reinterpret_cast<F*>(dlsym(driver, name)) : nullptr;
}

}  // namespace

cudaError_t cudaDriverGetVersion(int* version) {
  auto* const ask = driverFunction<int(int*)>("cuDriverGetVersion");
  *version = 0;
  if (ask) ask(version);
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  int version = 0;
  cudaDriverGetVersion(&version);
  if (version / 1000 < CUDART_VERSION / 1000) return cudaErrorInsufficientDriver;
  auto* const start = driverFunction<int(unsigned)>("cuInit");
  if (start && start(0) != 0) return cudaErrorUnknown;
  return cudaErrorNoDevice;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp*, int) {
  return cudaErrorInvalidDevice;
}

cudaError_t cudaGetLastError() {
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t) {
  return "unknown error";
}

namespace spherenet {

std::unique_ptr<Backend> makeCudaBackend() {
  throw std::runtime_error("device cuda is not available: " + cudaStatus().reason);
}

}  // namespace spherenet
