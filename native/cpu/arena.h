// Address space that large blocks are cut from and merge in again, so that memory of one size serves another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace spherenet::cpu {

/// One range of reserved addresses, which takes memory from the system as far as it is used. Not thread-safe.
class Arena {
 public:
  /// Blocks are multiples of this and aligned to it.
  static constexpr size_t kGranule = 64 << 10;

  /// Reserves as much of `bytes` as the system grants, and nothing where that is less than `least`.
  Arena(size_t bytes, size_t least);
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  size_t reserved() const { return reserved_; }
  /// What allocate(bytes) would have to take from the system; SIZE_MAX where the range has no room.
  size_t growthFor(size_t bytes) const;
  /// A multiple of kGranule bytes from the first free block that has them, else from the end; null where
  /// there is no room or the system gives nothing. The first and not the smallest: what lives long gathers at
  /// the start, and training steps repeat themselves from the second on.
  void* allocate(size_t bytes);
  /// Whether the block was of this arena.
  bool release(void* memory);
  /// Gives free memory back to the system.
  void trim() noexcept;
  /// Free memory that was used before and not given back.
  size_t cached() const { return cached_; }

 private:
  struct Block {
    size_t size;
    size_t resident;  // how much of a free block the system has given; all of one in use
    bool free;
  };
  using Blocks = std::map<char*, Block>;

  Blocks::const_iterator firstFit(size_t bytes) const;
  /// The last block where it is free, else nothing.
  Block freeEnd() const;
  bool growBy(size_t bytes);
  void addFree(char* at, size_t size, size_t resident);
  void removeFree(Blocks::iterator block);

  char* begin_ = nullptr;
  size_t reserved_ = 0, committed_ = 0, cached_ = 0;
  Blocks blocks_;                 // without a gap from begin_ to begin_ + committed_
  std::map<char*, size_t> free_;  // address and size
};

}  // namespace spherenet::cpu
