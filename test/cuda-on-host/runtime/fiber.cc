#include "fiber.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if !defined(CUDA_ON_HOST_UCONTEXT)
// Saves the registers that a call preserves, and the stack pointer to *from; then the same backwards from
// `to`. A jump instead of a return, which the processor would predict to lead back to the caller.
extern "C" void cudaOnHostSwitch(void** from, void* to);
asm(R"(
.text
.globl cudaOnHostSwitch
.hidden cudaOnHostSwitch
.type cudaOnHostSwitch, @function
cudaOnHostSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
.size cudaOnHostSwitch, .-cudaOnHostSwitch
)");
#endif

namespace cuda_on_host {
namespace {

#if defined(CUDA_ON_HOST_ASAN)
constexpr size_t kStackBytes = 512 << 10;  // every variable has a place and a red zone of its own
#else
constexpr size_t kStackBytes = 64 << 10;
#endif
constexpr int kFibersAtOnce = 64;

}  // namespace

Fiber::Fiber() {
#if defined(CUDA_ON_HOST_ASAN)
  pthread_attr_t attributes;
  void* bottom = nullptr;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &bottom, &bytes_);
  pthread_attr_destroy(&attributes);
  bottom_ = bottom;
#endif
}

Fiber::Fiber(char* stack, size_t bytes, void (*entry)()) {
#if defined(CUDA_ON_HOST_ASAN)
  bottom_ = stack;
  bytes_ = bytes;
#endif
#if !defined(CUDA_ON_HOST_UCONTEXT)
  // As cudaOnHostSwitch leaves it: six registers and the address to go to. Above it a return address, 8 bytes
  // below a multiple of 16, as functions expect.
  auto* top = reinterpret_cast<uintptr_t*>(reinterpret_cast<uintptr_t>(stack + bytes) & ~uintptr_t{63});
  *--top = 0;
  *--top = reinterpret_cast<uintptr_t>(entry);
  for (int i = 0; i < 6; ++i) *--top = 0;
  stackPointer_ = top;
#else
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = bytes;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
#endif
}

void Fiber::switchTo(Fiber& next) {
#if defined(CUDA_ON_HOST_ASAN)
  __sanitizer_start_switch_fiber(&fakeStack_, next.bottom_, next.bytes_);
#endif
#if !defined(CUDA_ON_HOST_UCONTEXT)
  cudaOnHostSwitch(&stackPointer_, next.stackPointer_);
#else
  swapcontext(&context_, &next.context_);
#endif
#if defined(CUDA_ON_HOST_ASAN)
  __sanitizer_finish_switch_fiber(fakeStack_, nullptr, nullptr);
#endif
}

void Fiber::started() {
#if defined(CUDA_ON_HOST_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

Fiber& FiberPool::take() {
  if (!free_) grow();
  Fiber& fiber = *free_;
  free_ = fiber.nextFree;
  return fiber;
}

void FiberPool::grow() {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), step = kStackBytes + page;
  void* memory = mmap(nullptr, step * kFibersAtOnce, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) {
    std::fprintf(stderr, "CUDA on the CPU: no memory for stacks\n");
    std::abort();
  }
  for (int i = kFibersAtOnce; i-- > 0; ++made_) {
    char* stack = static_cast<char*>(memory) + step * static_cast<size_t>(i);
    mprotect(stack, page, PROT_NONE);
    // Tops at different places of a page: at equal ones they would fight for the same lines of the cache.
    const size_t used = kStackBytes - static_cast<size_t>(made_ % 16) * 256;
    give(*new Fiber(stack + page, used, entry_));
  }
}

}  // namespace cuda_on_host
