// The CUDA backend's caching allocator. Host code.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "../native/backend.h"

namespace spherenet::cuda {

/// Device memory of one stream. It asks the driver for segments and hands out blocks of them; a released
/// block serves again at once, because whoever gets it works on the same stream. Small blocks have segments
/// of their own, so that they do not break up the large ones. One JavaScript thread owns it. With
/// SPHERENET_CUDA_CACHE=0 in the environment every block comes from the driver, in its exact size, and goes
/// back at once: slow, but tools that watch memory then see each step outside of a tensor.
class Memory {
 public:
  explicit Memory(cudaStream_t stream);
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  /// Waits for the stream.
  ~Memory();

  /// 256-byte aligned, of at least one byte. Throws OutOfMemory, or CudaError where the device fails
  /// otherwise.
  void* allocate(size_t bytes);
  void release(void* memory) noexcept;
  /// Waits for the stream and gives the segments that are wholly free back to the driver.
  void trim();
  MemoryUse use() const;

 private:
  enum class Pool { Small, Large };

  /// A part of a segment; the parts of one segment are linked in the order of their addresses.
  struct Block {
    char* data;
    size_t bytes;
    Pool pool;
    bool isFree = false;
    Block* previous = nullptr;
    Block* next = nullptr;
  };

  /// Smallest first, then lowest.
  struct BestFit {
    bool operator()(const Block* a, const Block* b) const {
      return a->bytes != b->bytes ? a->bytes < b->bytes : a->data < b->data;
    }
  };
  using FreeBlocks = std::set<Block*, BestFit>;

  FreeBlocks& freeBlocks(Pool pool) { return pool == Pool::Small ? freeSmall_ : freeLarge_; }
  Block* findFree(size_t bytes, Pool pool);
  Block* newSegment(size_t bytes, Pool pool);
  void split(Block* block, size_t bytes);
  Block* joinNext(Block* block);
  [[noreturn]] void throwOutOfMemory(size_t bytes) const;

  cudaStream_t stream_;
  bool caches_;
  FreeBlocks freeSmall_, freeLarge_;
  std::unordered_map<void*, std::unique_ptr<Block>> blocks_;  // by address: free ones and those in use
  size_t reserved_ = 0, live_ = 0, peak_ = 0;
};

}  // namespace spherenet::cuda
