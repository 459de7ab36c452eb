#include "cpu_memory.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>

#ifdef __linux__
#include <sys/mman.h>
#endif
#include <unistd.h>

namespace spherenet::cpu {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;

/// Eight classes per power of two: at most an eighth of a block is unused, and few classes exist.
size_t sizeClass(size_t bytes) {
  if (bytes <= 1024) return std::max<size_t>((bytes + kAlignment - 1) / kAlignment, 1) * kAlignment;
  const size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

void* systemAllocate(size_t bytes) {
  const bool huge = bytes >= 2 * kHugePage;
  const size_t alignment = huge ? kHugePage : kAlignment;
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
#ifdef __linux__
  // Activations are read in long runs from many places at once: huge pages spare the TLB. Advice only.
  if (memory && huge) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return memory;
}

}  // namespace

uint64_t CachingAllocator::limit() {
  static const uint64_t bytes = [] {
    uint64_t limit =
        static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    // A container's limit, where there is one ("max" does not parse as a number). Not through a C++ stream,
    // which would bring a megabyte of locales into the addon.
    if (FILE* const file = std::fopen("/sys/fs/cgroup/memory.max", "r")) {
      if (unsigned long long group = 0; std::fscanf(file, "%llu", &group) == 1)
        limit = std::min<uint64_t>(limit, group);
      std::fclose(file);
    }
    return limit;
  }();
  return bytes;
}

void* CachingAllocator::allocate(size_t bytes) {
  const size_t size = sizeClass(bytes);
  void* memory = nullptr;
  if (auto found = free_.find(size); found != free_.end() && !found->second.empty()) {
    memory = found->second.back();
    found->second.pop_back();
    use_.cached -= size;
  } else {
    // Overcommitting systems grant more than they have and kill the process later: refuse here instead.
    if (size > limit() || use_.live + use_.cached > limit() - size) return nullptr;
    memory = systemAllocate(size);
    if (!memory) return nullptr;
  }
  use_.live += size;
  use_.peak = std::max(use_.peak, use_.live);
  return memory;
}

void CachingAllocator::release(void* memory, size_t bytes) noexcept {
  const size_t size = sizeClass(bytes);
  use_.live -= size;
  try {
    free_[size].push_back(memory);
    use_.cached += size;
  } catch (...) {
    std::free(memory);
  }
}

void CachingAllocator::trim() noexcept {
  for (auto& [size, blocks] : free_)
    for (void* block : blocks) std::free(block);
  free_.clear();
  use_.cached = 0;
}

}  // namespace spherenet::cpu
