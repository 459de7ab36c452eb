#include "arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

#include "rounding.h"

namespace spherenet::cpu {
namespace {

/// Memory is taken in whole huge pages, which spare the TLB: activations are read in long runs from many
/// places.
constexpr size_t kHugePage = size_t{2} << 20;

/// Addresses without memory behind them, which no limit but that of the address space counts.
char* reserve(size_t bytes) {
  void* const at = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

}  // namespace

Arena::Arena(size_t bytes, size_t least) {
  least = roundUp(least, kHugePage) + kHugePage;
  for (size_t size = std::max(roundUp(bytes, kHugePage), least); size >= least; size /= 2) {
    if (!(begin_ = reserve(size))) continue;
    const size_t before =
        roundUp(reinterpret_cast<uintptr_t>(begin_), kHugePage) - reinterpret_cast<uintptr_t>(begin_);
    // The ends that are not whole huge pages are given back.
    const size_t after = (size - before) % kHugePage;
    if (before) munmap(begin_, before);
    if (after) munmap(begin_ + size - after, after);
    begin_ += before;
    reserved_ = size - before - after;
    return;
  }
}

Arena::~Arena() {
  if (begin_) munmap(begin_, reserved_);
}

Arena::Blocks::const_iterator Arena::firstFit(size_t bytes) const {
  const auto fits = [bytes](const auto& block) { return block.second >= bytes; };
  const auto found = std::find_if(free_.begin(), free_.end(), fits);
  return found == free_.end() ? blocks_.end() : blocks_.find(found->first);
}

size_t Arena::growthFor(size_t bytes) const {
  bytes = roundUp(bytes, kGranule);
  if (const auto block = firstFit(bytes); block != blocks_.end())
    return bytes - std::min(bytes, block->second.resident);
  const Block end = freeEnd();
  const bool fits = roundUp(bytes - end.size, kHugePage) <= reserved_ - committed_;
  return fits ? bytes - end.resident : SIZE_MAX;
}

Arena::Block Arena::freeEnd() const {
  const bool any = !blocks_.empty() && blocks_.rbegin()->second.free;
  return any ? blocks_.rbegin()->second : Block{0, 0, true};
}

void Arena::addFree(char* at, size_t size, size_t resident) {
  auto block = blocks_.insert_or_assign(at, Block{size, resident, true}).first;
  cached_ += resident;
  const auto merge = [&](Blocks::iterator left, Blocks::iterator right) {
    free_.erase(left->first);
    free_.erase(right->first);
    left->second.size += right->second.size;
    left->second.resident += right->second.resident;
    blocks_.erase(right);
    return left;
  };
  // Blocks lie next to each other unless there was no memory to note one down.
  const auto adjacent = [](Blocks::iterator left, Blocks::iterator right) {
    return left->second.free && right->second.free && left->first + left->second.size == right->first;
  };
  if (const auto next = std::next(block); next != blocks_.end() && adjacent(block, next))
    block = merge(block, next);
  if (block != blocks_.begin())
    if (const auto previous = std::prev(block); adjacent(previous, block)) block = merge(previous, block);
  free_.insert_or_assign(block->first, block->second.size);
}

void Arena::removeFree(Blocks::iterator block) {
  free_.erase(block->first);
  cached_ -= block->second.resident;
}

bool Arena::growBy(size_t bytes) {
  bytes = roundUp(bytes, kHugePage);
  if (bytes > reserved_ - committed_) return false;
  char* const end = begin_ + committed_;
  if (mprotect(end, bytes, PROT_READ | PROT_WRITE) != 0) return false;
#ifdef __linux__
  madvise(end, bytes, MADV_HUGEPAGE);  // advice only
#endif
  committed_ += bytes;
  addFree(end, bytes, 0);
  return true;
}

void* Arena::allocate(size_t bytes) {
  bytes = roundUp(bytes, kGranule);
  auto found = firstFit(bytes);
  if (found == blocks_.end()) {
    if (!growBy(bytes - freeEnd().size)) return nullptr;
    found = firstFit(bytes);
  }
  const auto block = blocks_.find(found->first);
  const Block before = block->second;
  removeFree(block);
  block->second = {bytes, bytes, false};
  // What a block in use has of the system's memory is taken to be at its front.
  if (before.size > bytes)
    addFree(block->first + bytes, before.size - bytes, before.resident - std::min(before.resident, bytes));
  return block->first;
}

bool Arena::release(void* memory) {
  char* const at = static_cast<char*>(memory);
  if (at < begin_ || at >= begin_ + reserved_) return false;
  const size_t size = blocks_.at(at).size;
  addFree(at, size, size);
  return true;
}

void Arena::trim() noexcept {
  for (const auto& [at, size] : free_) {
    madvise(at, size, MADV_DONTNEED);
    blocks_.find(at)->second.resident = 0;
  }
  cached_ = 0;
}

}  // namespace spherenet::cpu
