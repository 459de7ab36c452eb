// The arena that large blocks of the CPU come from: blocks never overlap, keep what is written to them, and
// free neighbours are one block again.
#include "../../native/cpu/arena.h"

#include <cstring>
#include <random>
#include <vector>

#include "check.h"

namespace spherenet::test {

using cpu::Arena;
constexpr size_t kMegabyte = 1 << 20;

struct Held {
  unsigned char* at;
  size_t size;
  unsigned char mark;

  bool isIntact() const { return at[0] == mark && at[size / 2] == mark && at[size - 1] == mark; }
};

/// Requests and releases in a random order, with all that is held marked.
void checkRandomUse() {
  std::mt19937 random(7);
  const auto pick = [&](size_t low, size_t high) {
    return std::uniform_int_distribution<size_t>(low, high)(random);
  };
  Arena arena(512 * kMegabyte, kMegabyte);
  std::vector<Held> held;
  for (int i = 0; i < 4000; ++i) {
    if (held.size() > 20 || (!held.empty() && pick(0, 2) == 0)) {
      const size_t chosen = pick(0, held.size() - 1);
      expect(held[chosen].isIntact(), "a block keeps what was written to it");
      expect(arena.release(held[chosen].at), "a block goes back to its arena");
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(chosen));
    } else {
      const size_t size = pick(1, pick(0, 4) ? 6 * kMegabyte : 20 * kMegabyte);
      const bool grows = arena.growthFor(size) > 0;
      const size_t before = arena.cached();
      auto* const at = static_cast<unsigned char*>(arena.allocate(size));
      expect(at != nullptr, "an arena with room has a block");
      expect(reinterpret_cast<uintptr_t>(at) % Arena::kGranule == 0, "blocks are aligned");
      expect(grows || arena.cached() < before, "a block that needs no growth comes from what is cached");
      const auto mark = static_cast<unsigned char>(i);
      std::memset(at, mark, size);
      held.push_back({at, size, mark});
    }
    if (i % 500 == 250) arena.trim();
  }
  for (const Held& block : held) {
    expect(block.isIntact(), "a block keeps what was written to it, to the end");
    arena.release(block.at);
  }
  expect(arena.allocate(arena.reserved()) != nullptr, "all that is free is one block");
}

void checkMerging() {
  Arena arena(64 * kMegabyte, kMegabyte);
  void* blocks[8];
  for (void*& block : blocks) block = arena.allocate(4 * kMegabyte);
  for (const int i : {1, 5, 3, 7, 0, 2, 6, 4}) arena.release(blocks[i]);
  expect(arena.cached() == 32 * kMegabyte, "what was used stays cached");
  expect(arena.growthFor(32 * kMegabyte) == 0, "neighbours merge in any order of release");
  expect(arena.growthFor(40 * kMegabyte) == 8 * kMegabyte,
         "free memory at the end is a part of a larger block");
  expect(arena.allocate(32 * kMegabyte) == blocks[0], "the merged block begins where the first did");
}

void checkLimits() {
  Arena arena(8 * kMegabyte, kMegabyte);
  expect(arena.growthFor(64 * kMegabyte) == SIZE_MAX, "more than is reserved does not fit");
  expect(arena.allocate(64 * kMegabyte) == nullptr, "and is not given");
  void* const block = arena.allocate(4 * kMegabyte);
  int other = 0;
  expect(block && !arena.release(&other), "memory of others is not taken back");
  arena.release(block);
  arena.trim();
  expect(arena.cached() == 0, "trimmed memory is not cached");
  expect(arena.growthFor(4 * kMegabyte) == 4 * kMegabyte, "trimmed memory has to be taken anew");
  auto* const again = static_cast<unsigned char*>(arena.allocate(4 * kMegabyte));
  again[0] = again[4 * kMegabyte - 1] = 1;
  Arena none(SIZE_MAX / 4, SIZE_MAX / 4);
  expect(none.reserved() == 0, "addresses that do not exist are not reserved");
}

}  // namespace spherenet::test

int main() {
  using namespace spherenet::test;
  checkRandomUse();
  checkMerging();
  checkLimits();
  return report();
}
