#include "cpu_memory.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "rounding.h"

namespace spherenet::cpu {
namespace {

constexpr size_t kAlignment = 64;

#ifdef __SANITIZE_ADDRESS__
constexpr size_t kSmallest = SIZE_MAX;  // every block its own, so that a step outside of it is seen
#else
/// Of the blocks that come from arenas.
constexpr size_t kSmallest = 1 << 20;
#endif

/// Eight classes per power of two: at most an eighth of a small block is unused, and few classes exist.
size_t sizeClass(size_t bytes) {
  if (bytes >= kSmallest) return roundUp(bytes, Arena::kGranule);
  if (bytes <= 1024) return roundUp(std::max<size_t>(bytes, 1), kAlignment);
  return roundUp(bytes, std::bit_floor(bytes - 1) / 8);
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

MemoryUse CachingAllocator::use() const {
  MemoryUse use = use_;
  for (const auto& arena : arenas_) use.cached += arena->cached();
  return use;
}

/// Overcommitting systems grant more than they have and kill the process later: they are not asked for it.
bool CachingAllocator::mayTake(size_t bytes) const {
  const MemoryUse now = use();
  return bytes <= limit() && now.live + now.cached <= limit() - bytes;
}

void* CachingAllocator::allocate(size_t bytes) {
  const size_t size = sizeClass(bytes);
  void* const memory = size >= kSmallest ? allocateLarge(size) : allocateSmall(size);
  if (!memory) return nullptr;
  use_.live += size;
  use_.peak = std::max(use_.peak, use_.live);
  return memory;
}

void* CachingAllocator::allocateSmall(size_t size) {
  if (auto found = free_.find(size); found != free_.end() && !found->second.empty()) {
    void* const memory = found->second.back();
    found->second.pop_back();
    use_.cached -= size;
    return memory;
  }
  return mayTake(size) ? std::aligned_alloc(kAlignment, size) : nullptr;
}

void* CachingAllocator::allocateLarge(size_t size) {
  for (const auto& arena : arenas_) {
    const size_t growth = arena->growthFor(size);
    if (growth == SIZE_MAX) continue;
    return mayTake(growth) ? arena->allocate(size) : nullptr;
  }
  if (!mayTake(size)) return nullptr;
  // One arena has room for all memory there is, unless the address space is limited.
  auto arena = std::make_unique<Arena>(limit(), size);
  if (arena->reserved() < size) return nullptr;
  arenas_.push_back(std::move(arena));
  return arenas_.back()->allocate(size);
}

void CachingAllocator::release(void* memory, size_t bytes) noexcept {
  const size_t size = sizeClass(bytes);
  use_.live -= size;
  try {
    if (size >= kSmallest) {
      for (const auto& arena : arenas_)
        if (arena->release(memory)) return;
    }
    free_[size].push_back(memory);
    use_.cached += size;
  } catch (...) {
    // No memory to note it down: a small block goes back at once, a large one with its arena.
    if (size < kSmallest) std::free(memory);
  }
}

void CachingAllocator::trim() noexcept {
  for (auto& [size, blocks] : free_)
    for (void* block : blocks) std::free(block);
  free_.clear();
  use_.cached = 0;
  for (const auto& arena : arenas_) arena->trim();
}

}  // namespace spherenet::cpu
