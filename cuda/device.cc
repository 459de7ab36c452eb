// Which CUDA devices there are, and why they cannot be used where they cannot. The first one is used;
// CUDA_VISIBLE_DEVICES, which the driver reads, chooses it. Host code only: the runtime is
// linked statically and finds the driver by itself, so this loads and answers on machines without one.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "../native/backend.h"

namespace spherenet {
namespace {

// The oldest driver (release branch on Linux) that serves this major version of the CUDA runtime.
constexpr int kOldestDriver = CUDART_VERSION >= 13000 ? 580 : 525;
// The oldest compute capability in CMAKE_CUDA_ARCHITECTURES, times ten.
constexpr int kOldestArchitecture = 80;

/// "13.0" for 13000.
std::string versionName(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string driverTooOld(int driverVersion) {
  return "the NVIDIA driver is too old: it serves CUDA " + versionName(driverVersion) +
         ", and this build needs CUDA " + versionName(CUDART_VERSION / 1000 * 1000) + " (driver " +
         std::to_string(kOldestDriver) + " or newer)";
}

bool isSupported(const CudaStatus::Device& device) {
  return device.major * 10 + device.minor >= kOldestArchitecture;
}

std::vector<CudaStatus::Device> listDevices(int count) {
  std::vector<CudaStatus::Device> devices;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    devices.push_back({properties.name, properties.major, properties.minor, properties.totalGlobalMem});
  }
  return devices;
}

bool allHidden() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible && (!*visible || std::string_view(visible) == "-1");
}

/// The sentence that says why no device can be used; "" where one can. `error` is what counting devices gave.
std::string whyNot(const CudaStatus& status, cudaError_t error) {
  if (status.driverVersion == 0) return "no NVIDIA driver was found (libcuda.so.1 is missing)";
  if (status.driverVersion / 1000 < CUDART_VERSION / 1000 || error == cudaErrorInsufficientDriver)
    return driverTooOld(status.driverVersion);
  if (error == cudaErrorNoDevice)
    return allHidden() ? "no GPU is visible: CUDA_VISIBLE_DEVICES hides them all"
                       : "the NVIDIA driver found no GPU";
  if (error != cudaSuccess) return std::string("the NVIDIA driver failed: ") + cudaGetErrorString(error);
  if (status.devices.empty()) return "no GPU answered the driver";
  const CudaStatus::Device& first = status.devices.front();
  if (isSupported(first)) return "";
  return "the GPU is too old: " + first.name + " has compute capability " + std::to_string(first.major) +
         "." + std::to_string(first.minor) + ", and " + versionName(kOldestArchitecture * 100) +
         " or newer is needed (CUDA_VISIBLE_DEVICES chooses another GPU)";
}

CudaStatus query() {
  CudaStatus status;
  status.compiled = true;
  cudaDriverGetVersion(&status.driverVersion);  // leaves 0 where there is no driver
  cudaRuntimeGetVersion(&status.runtimeVersion);
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess) status.devices = listDevices(count);
  cudaGetLastError();  // the failure is told in `reason`; it must not surface in a later call
  status.reason = whyNot(status, error);
  status.available = status.reason.empty();
  return status;
}

}  // namespace

CudaStatus cudaStatus() {
  static const CudaStatus status = query();
  return status;
}

}  // namespace spherenet
