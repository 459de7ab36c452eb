// Fibers: stacks that one thread of the CPU switches between. Each thread keeps its own, for reuse.
#pragma once

#include <cstddef>

// Where no switch of our own is written for the processor, the C library's, which asks the kernel each time.
#if !defined(__x86_64__) && !defined(CUDA_ON_HOST_UCONTEXT)
#define CUDA_ON_HOST_UCONTEXT 1
#endif
#if defined(CUDA_ON_HOST_UCONTEXT)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define CUDA_ON_HOST_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace cuda_on_host {

class Fiber {
 public:
  /// Stands for the stack of the calling thread.
  Fiber();
  /// Starts at entry() when first switched to; entry never returns, and calls started() first.
  Fiber(char* stack, size_t bytes, void (*entry)());
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Goes on with `next`, until something switches back.
  void switchTo(Fiber& next);
  /// To be called first in a new fiber.
  static void started();

  Fiber* nextFree = nullptr;

 private:
#if defined(CUDA_ON_HOST_UCONTEXT)
  ucontext_t context_;
#else
  void* stackPointer_ = nullptr;
#endif
#if defined(CUDA_ON_HOST_ASAN)
  void* fakeStack_ = nullptr;
  const void* bottom_ = nullptr;
  size_t bytes_ = 0;
#endif
};

/// The fibers of one thread that are not in use. Stacks are never given back.
class FiberPool {
 public:
  explicit FiberPool(void (*entry)()) : entry_(entry) {}
  Fiber& take();
  void give(Fiber& fiber) {
    fiber.nextFree = free_;
    free_ = &fiber;
  }

 private:
  void grow();

  void (*entry_)();
  Fiber* free_ = nullptr;
  int made_ = 0;
};

}  // namespace cuda_on_host
