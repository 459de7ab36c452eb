#include "pinned_memory.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>

#include "context.h"

namespace spherenet::cuda {
namespace {

constexpr size_t kSmallest = size_t{4} << 10;

size_t sizeClass(size_t bytes) {
  constexpr size_t kLargest = PinnedMemory::kLargestKept;
  if (bytes > kLargest) return (bytes + kLargest - 1) / kLargest * kLargest;
  return std::bit_ceil(std::max(bytes, kSmallest));
}

}  // namespace

void* PinnedMemory::take(size_t bytes) {
  const size_t size = sizeClass(bytes);
  {
    std::lock_guard lock(mutex_);
    if (auto found = free_.find(size); found != free_.end() && !found->second.empty()) {
      void* const block = found->second.back();
      found->second.pop_back();
      return block;
    }
  }
  void* block = nullptr;
  check(cudaMallocHost(&block, size), "page-locked host memory");
  return block;
}

void PinnedMemory::give(void* block, size_t bytes) noexcept {
  const size_t size = sizeClass(bytes);
  if (size > kLargestKept) {
    cudaFreeHost(block);
    return;
  }
  std::lock_guard lock(mutex_);
  free_[size].push_back(block);
}

void PinnedMemory::trim() noexcept {
  std::lock_guard lock(mutex_);
  for (const auto& [size, blocks] : free_)
    for (void* block : blocks) cudaFreeHost(block);
  free_.clear();
}

}  // namespace spherenet::cuda
