// Device memory and pinned host memory, both filled with rubbish when allocated; copies.
#include <cuda_on_host/controls.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "device.h"
#include "settings.h"
#include "stream.h"

using namespace cuda_on_host;

namespace {

constexpr size_t kAlignment = 256;

/// Allocations by address.
class Allocations {
 public:
  /// Memory of exactly this size, or null.
  void* allocate(size_t bytes, size_t limit) {
    void* memory = nullptr;
    const std::lock_guard lock(mutex_);
    if (bytes > limit - std::min(limit, inUse_) || posix_memalign(&memory, kAlignment, bytes) != 0)
      return nullptr;
    // NaN in every floating-point type, a huge number in integers.
    std::fill_n(static_cast<uint16_t*>(memory), bytes / 2, uint16_t{0x7FFF});
    if (bytes % 2) static_cast<unsigned char*>(memory)[bytes - 1] = 0xFF;
    sizes_[static_cast<const char*>(memory)] = bytes;
    inUse_ += bytes;
    return memory;
  }
  bool release(void* memory) {
    const std::lock_guard lock(mutex_);
    const auto found = sizes_.find(static_cast<const char*>(memory));
    if (found == sizes_.end()) return false;
    inUse_ -= found->second;
    sizes_.erase(found);
    std::free(memory);
    return true;
  }
  /// The bytes from `memory` to the end of its allocation; 0 where it belongs to none.
  size_t bytesFrom(const void* memory) {
    const std::lock_guard lock(mutex_);
    const char* at = static_cast<const char*>(memory);
    auto next = sizes_.upper_bound(at);
    if (next == sizes_.begin()) return 0;
    --next;
    return static_cast<size_t>(std::max<std::ptrdiff_t>(0, next->first + next->second - at));
  }
  size_t inUse() {
    const std::lock_guard lock(mutex_);
    return inUse_;
  }

 private:
  std::mutex mutex_;
  std::map<const char*, size_t> sizes_;
  size_t inUse_ = 0;
};

Allocations& deviceMemory() {
  static Allocations* const instance = new Allocations;
  return *instance;
}
Allocations& pinnedMemory() {
  static Allocations* const instance = new Allocations;
  return *instance;
}

/// Whether a copy of `bytes` would leave the allocation that `memory` belongs to.
bool overruns(Allocations& allocations, const void* memory, size_t bytes) {
  const size_t left = allocations.bytesFrom(memory);
  return left != 0 && left < bytes;
}

bool isAllowed(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (!to || !from) return false;
  if ((kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost) && isDeviceMemory(from)) return false;
  if ((kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost) && isDeviceMemory(to)) return false;
  for (Allocations* allocations : {&deviceMemory(), &pinnedMemory()}) {
    if (overruns(*allocations, to, bytes) || overruns(*allocations, from, bytes)) return false;
  }
  return true;
}

}  // namespace

namespace cuda_on_host {

bool isDeviceMemory(const void* memory) {
  return deviceMemory().bytesFrom(memory) > 0;
}
bool isPinnedMemory(const void* memory) {
  return pinnedMemory().bytesFrom(memory) > 0;
}
size_t deviceMemoryInUse() {
  return deviceMemory().inUse();
}

}  // namespace cuda_on_host

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  if (const cudaError_t error = answer(); error != cudaSuccess) return error;
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  *memory = deviceMemory().allocate(bytes, settings().memory);
  return answer(*memory ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void* memory) {
  if (const cudaError_t error = answer(); error != cudaSuccess || !memory) return error;
  synchronizeAllStreams();
  return answer(deviceMemory().release(memory) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  if (const cudaError_t error = answer(); error != cudaSuccess) return error;
  *memory = bytes == 0 ? nullptr : pinnedMemory().allocate(bytes, SIZE_MAX);
  return answer(*memory || bytes == 0 ? cudaSuccess : cudaErrorMemoryAllocation);
}

cudaError_t cudaMallocHost(void** memory, size_t bytes) {
  return cudaHostAlloc(memory, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void* memory) {
  if (const cudaError_t error = answer(); error != cudaSuccess || !memory) return error;
  synchronizeAllStreams();
  return answer(pinnedMemory().release(memory) ? cudaSuccess : cudaErrorInvalidValue);
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = settings().memory;
  *free = *total - std::min(*total, deviceMemory().inUse());
  return answer();
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (bytes == 0) return answer();
  if (!isAllowed(to, from, bytes, kind)) return answer(cudaErrorInvalidValue);
  // The GPU cannot reach pageable memory by itself: such a source has been read, and such a target has been
  // written, when the call returns.
  const bool staged = kind == cudaMemcpyHostToDevice && !isPinnedMemory(from);
  if (staged) {
    std::vector<char> copy(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
    return submitTo(stream, [to, copy = std::move(copy)] { std::memcpy(to, copy.data(), copy.size()); });
  }
  const cudaError_t error = submitTo(stream, [=] { std::memmove(to, from, bytes); });
  const bool waits = kind == cudaMemcpyDeviceToHost && !isPinnedMemory(to);
  return error == cudaSuccess && waits ? cudaStreamSynchronize(stream) : error;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}

cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return answer();
  if (!memory || overruns(deviceMemory(), memory, bytes)) return answer(cudaErrorInvalidValue);
  return submitTo(stream, [=] { std::memset(memory, value, bytes); });
}

cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  return cudaMemsetAsync(memory, value, bytes, nullptr);
}
