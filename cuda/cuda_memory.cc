#include "cuda_memory.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "context.h"

namespace spherenet::cuda {
namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr size_t kAlignment = 256;
// Up to here a request is small. Small segments hold many blocks, and medium requests share larger segments:
// asking the driver costs as much as a kernel. What is larger has a segment to itself, rounded to the
// driver's page.
constexpr size_t kSmall = kMiB;
constexpr size_t kMedium = 10 * kMiB;
constexpr size_t kSmallSegment = 2 * kMiB;
constexpr size_t kMediumSegment = 20 * kMiB;
constexpr size_t kPage = 2 * kMiB;
// A rest below this stays with the block: it would serve nothing.
constexpr size_t kSmallestRest = kAlignment;
constexpr size_t kLargestWaste = kMiB;

size_t roundUp(size_t bytes, size_t step) {
  return (bytes + step - 1) / step * step;
}

size_t segmentBytes(size_t bytes) {
  if (bytes <= kSmall) return kSmallSegment;
  return bytes <= kMedium ? kMediumSegment : roundUp(bytes, kPage);
}

std::string mebibytes(size_t bytes) {
  return std::to_string((bytes + kMiB - 1) / kMiB) + " MiB";
}

}  // namespace

Memory::Memory(cudaStream_t stream) : stream_(stream) {
  const char* const setting = std::getenv("SPHERENET_CUDA_CACHE");
  caches_ = !setting || std::string_view(setting) != "0";
}

Memory::~Memory() {
  // Errors are left alone: the context may be lost, or gone with the process.
  cudaStreamSynchronize(stream_);
  for (const auto& [data, block] : blocks_)
    if (!block->previous) cudaFree(data);
}

void* Memory::allocate(size_t bytes) {
  // Before the rounding, which would overflow.
  if (bytes > SIZE_MAX / 2) throwOutOfMemory(bytes);
  const size_t rounded = roundUp(std::max<size_t>(bytes, 1), caches_ ? kAlignment : 1);
  const Pool pool = rounded <= kSmall ? Pool::Small : Pool::Large;
  Block* block = findFree(rounded, pool);
  if (!block) block = newSegment(rounded, pool);
  if (!block) throwOutOfMemory(bytes);
  split(block, rounded);
  block->isFree = false;
  live_ += block->bytes;
  peak_ = std::max(peak_, live_);
  return block->data;
}

void Memory::release(void* memory) noexcept {
  Block* block = blocks_.find(memory)->second.get();
  live_ -= block->bytes;
  if (!caches_) {
    reserved_ -= block->bytes;
    cudaStreamSynchronize(stream_);  // an error shows in the next call
    cudaFree(memory);
    blocks_.erase(memory);
    return;
  }
  block->isFree = true;
  if (block->next && block->next->isFree) {
    freeBlocks(block->pool).erase(block->next);
    joinNext(block);
  }
  if (block->previous && block->previous->isFree) {
    freeBlocks(block->pool).erase(block->previous);
    block = joinNext(block->previous);
  }
  freeBlocks(block->pool).insert(block);
}

void Memory::trim() {
  check(cudaStreamSynchronize(stream_), "synchronize");
  for (const Pool pool : {Pool::Small, Pool::Large}) {
    FreeBlocks& blocks = freeBlocks(pool);
    for (auto at = blocks.begin(); at != blocks.end();) {
      Block* block = *at;
      if (block->previous || block->next) {
        ++at;
        continue;
      }
      at = blocks.erase(at);
      reserved_ -= block->bytes;
      char* const segment = block->data;
      blocks_.erase(segment);
      check(cudaFree(segment), "freeing device memory");
    }
  }
}

MemoryUse Memory::use() const {
  return {.live = live_, .cached = reserved_ - live_, .peak = peak_};
}

/// The smallest free block that holds `bytes`, taken out of the free ones; null where there is none.
Memory::Block* Memory::findFree(size_t bytes, Pool pool) {
  FreeBlocks& blocks = freeBlocks(pool);
  Block wanted{nullptr, bytes, pool, true, nullptr, nullptr};
  const auto found = blocks.lower_bound(&wanted);
  if (found == blocks.end()) return nullptr;
  Block* block = *found;
  blocks.erase(found);
  return block;
}

/// Null where the device has no room, even after all that is cached was given back.
Memory::Block* Memory::newSegment(size_t bytes, Pool pool) {
  size_t size = caches_ ? segmentBytes(bytes) : bytes;
  void* data = nullptr;
  cudaError_t error = cudaMalloc(&data, size);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    trim();
    if (caches_) size = roundUp(bytes, kPage);
    error = cudaMalloc(&data, size);
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;
    }
  }
  check(error, "allocating device memory");
  auto block = std::make_unique<Block>(static_cast<char*>(data), size, pool);
  Block* const segment = block.get();
  blocks_.emplace(data, std::move(block));
  reserved_ += size;
  return segment;
}

/// Leaves `bytes` in the block and makes its rest a free block, where that is worth having.
void Memory::split(Block* block, size_t bytes) {
  const size_t rest = block->bytes - bytes;
  if (rest < kSmallestRest || (block->pool == Pool::Large && rest <= kLargestWaste)) return;
  auto tail = std::make_unique<Block>(block->data + bytes, rest, block->pool);
  tail->isFree = true;
  tail->previous = block;
  tail->next = block->next;
  if (tail->next) tail->next->previous = tail.get();
  block->next = tail.get();
  block->bytes = bytes;
  freeBlocks(block->pool).insert(tail.get());
  blocks_.emplace(tail->data, std::move(tail));
}

/// Makes a block and the one behind it, neither of them listed as free, one.
Memory::Block* Memory::joinNext(Block* block) {
  Block* const gone = block->next;
  block->bytes += gone->bytes;
  block->next = gone->next;
  if (block->next) block->next->previous = block;
  blocks_.erase(gone->data);
  return block;
}

void Memory::throwOutOfMemory(size_t bytes) const {
  size_t available = 0, total = 0;
  cudaMemGetInfo(&available, &total);
  throw OutOfMemory("out of memory on cuda: " + mebibytes(bytes) + " requested, " + mebibytes(live_) +
                    " in use by tensors of this thread, " + mebibytes(reserved_ - live_) +
                    " cached between them, " + mebibytes(available) + " of the device's " + mebibytes(total) +
                    " free; a smaller batch, bfloat16 activations, scope() around each step, or noGrad() for "
                    "evaluation would help");
}

}  // namespace spherenet::cuda
