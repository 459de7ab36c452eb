#include "scratch.h"

#include <cstdlib>
#include <new>

namespace spherenet::cpu {
namespace {

struct Slot {
  void* memory = nullptr;
  size_t bytes = 0;
  ~Slot() { std::free(memory); }
};

}  // namespace

void* scratchBytes(ScratchSlot slot, size_t bytes) {
  thread_local Slot slots[static_cast<size_t>(ScratchSlot::Count)];
  Slot& s = slots[static_cast<size_t>(slot)];
  if (bytes > s.bytes || !s.memory) {
    std::free(s.memory);
    // A quarter more than asked, so that layers of slowly rising size do not reallocate one after the other.
    s.bytes = (bytes + bytes / 4 + 64) / 64 * 64;
    s.memory = std::aligned_alloc(64, s.bytes);
    if (!s.memory) {
      s.bytes = 0;
      throw std::bad_alloc();
    }
  }
  return s.memory;
}

}  // namespace spherenet::cpu
