// Page-locked host memory, which the device copies to and from while the host goes on. Host code.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <vector>

namespace spherenet::cuda {

/// Keeps blocks for reuse by size, a power of two up to the largest kept and whole multiples of that above.
/// Any thread.
class PinnedMemory {
 public:
  /// Blocks above this are given back to the system at once.
  static constexpr size_t kLargestKept = size_t{4} << 20;

  PinnedMemory() = default;
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;
  ~PinnedMemory() { trim(); }

  /// Throws CudaError.
  void* take(size_t bytes);
  /// Of a block that no copy uses any more.
  void give(void* block, size_t bytes) noexcept;
  /// Gives what is kept back to the system.
  void trim() noexcept;

 private:
  std::mutex mutex_;
  std::map<size_t, std::vector<void*>> free_;
};

}  // namespace spherenet::cuda
