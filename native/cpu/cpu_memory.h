// The CPU backend's caching allocator.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "../backend.h"
#include "arena.h"

namespace spherenet::cpu {

/// Keeps released memory: small blocks by size class, large ones in arenas. Not thread-safe: one JavaScript
/// thread owns it.
class CachingAllocator {
 public:
  CachingAllocator() = default;
  CachingAllocator(const CachingAllocator&) = delete;
  CachingAllocator& operator=(const CachingAllocator&) = delete;
  ~CachingAllocator() { trim(); }

  /// Null where the request does not fit into the machine's memory, even after trim().
  void* allocate(size_t bytes);
  void release(void* memory, size_t bytes) noexcept;
  void trim() noexcept;
  MemoryUse use() const;
  /// Physical memory that this process may use.
  static uint64_t limit();

 private:
  bool mayTake(size_t bytes) const;
  void* allocateSmall(size_t size);
  void* allocateLarge(size_t size);

  MemoryUse use_;  // cached: small blocks only
  std::map<size_t, std::vector<void*>> free_;
  std::vector<std::unique_ptr<Arena>> arenas_;
};

}  // namespace spherenet::cpu
