// Kernel launches: the limits of the hardware, faults on demand, attributes of kernels.
#include <cuda_on_host/controls.h>
#include <cuda_on_host/launch.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "device.h"
#include "grid.h"
#include "settings.h"
#include "stream.h"

namespace cuda_on_host {
namespace {

constexpr size_t kSharedWithoutAsking = 48 << 10, kSharedAtMost = 227 << 10,
                 kSharedPerMultiprocessor = 228 << 10;
constexpr unsigned kMaxThreads = 1024, kMaxGridYZ = 65535, kMaxGridX = 2147483647;

struct State {
  std::mutex mutex;
  std::map<const void*, size_t> allowedShared;  // by kernel, where asked for
  int64_t launches = 0, failAt = settings().failLaunch, refuseAt = settings().refuseLaunch;
  cudaError_t failure = cudaErrorIllegalAddress;
};

State& state() {
  static State* const instance = new State;
  return *instance;
}

size_t allowedShared(const void* kernel) {
  const auto found = state().allowedShared.find(kernel);
  return found == state().allowedShared.end() ? kSharedWithoutAsking
                                              : std::max(found->second, kSharedWithoutAsking);
}

bool fits(const Launch& launch) {
  const dim3 g = launch.grid, b = launch.block;
  if (g.x == 0 || g.y == 0 || g.z == 0 || b.x == 0 || b.y == 0 || b.z == 0) return false;
  if (g.x > kMaxGridX || g.y > kMaxGridYZ || g.z > kMaxGridYZ) return false;
  return b.x <= kMaxThreads && b.y <= kMaxThreads && b.z <= 64 && uint64_t{b.x} * b.y * b.z <= kMaxThreads;
}

}  // namespace

cudaError_t submit(Launch launch, cudaStream_t stream) {
  if (const cudaError_t error = answer(); error != cudaSuccess) return error;
  if (!fits(launch)) return answer(cudaErrorInvalidConfiguration);
  cudaError_t failure = cudaSuccess;
  {
    const std::lock_guard lock(state().mutex);
    if (launch.shared > allowedShared(launch.kernel)) return answer(cudaErrorInvalidValue);
    const int64_t number = ++state().launches;
    if (number == state().refuseAt) return answer(cudaErrorLaunchOutOfResources);
    if (number == state().failAt) failure = state().failure;
  }
  if (failure != cudaSuccess) return submitTo(stream, [failure] { lostContext() = failure; });
  return submitTo(stream, [launch = std::move(launch)] { runGrid(launch); });
}

void failLaunch(int64_t n, cudaError_t error) {
  const std::lock_guard lock(state().mutex);
  state().failAt = state().launches + n;
  state().failure = error;
}

void refuseLaunch(int64_t n) {
  const std::lock_guard lock(state().mutex);
  state().refuseAt = state().launches + n;
}

int64_t launchCount() {
  const std::lock_guard lock(state().mutex);
  return state().launches;
}

}  // namespace cuda_on_host

using namespace cuda_on_host;

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return answer();
  if (value < 0 || static_cast<size_t>(value) > kSharedAtMost) return answer(cudaErrorInvalidValue);
  const std::lock_guard lock(state().mutex);
  state().allowedShared[kernel] = static_cast<size_t>(value);
  return answer();
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  *attributes = {};
  attributes->maxThreadsPerBlock = static_cast<int>(kMaxThreads);
  attributes->numRegs = 64;
  attributes->ptxVersion = attributes->binaryVersion = settings().major * 10 + settings().minor;
  const std::lock_guard lock(state().mutex);
  attributes->maxDynamicSharedSizeBytes = static_cast<int>(allowedShared(kernel));
  return answer();
}

/// By threads and shared memory alone; registers are not known here.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads,
                                                          size_t shared) {
  *blocks = 0;
  if (threads < 1 || threads > static_cast<int>(kMaxThreads) || shared > kSharedAtMost)
    return answer(cudaErrorInvalidValue);
  const size_t byShared = kSharedPerMultiprocessor / (shared + 1024);
  *blocks = static_cast<int>(
      std::min<size_t>({32, 2048 / static_cast<size_t>((threads + 31) / 32 * 32), byShared}));
  return answer();
}
