// The CPU backend's caching allocator.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "../backend.h"

namespace spherenet::cpu {

/// Keeps released blocks by size class. Not thread-safe: one JavaScript thread owns it.
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
  const MemoryUse& use() const { return use_; }
  /// Physical memory that this process may use.
  static uint64_t limit();

 private:
  MemoryUse use_;
  std::map<size_t, std::vector<void*>> free_;
};

}  // namespace spherenet::cpu
