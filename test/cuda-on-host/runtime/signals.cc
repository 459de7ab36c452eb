#include "signals.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <mutex>

#include "block.h"

namespace cuda_on_host {

#if defined(CUDA_ON_HOST_ASAN)

void watchFaults() {}  // the sanitizer does

#else

namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
constexpr size_t kStackBytes = 64 << 10;

struct sigaction previous[NSIG];

const char* describe(int signal) {
  switch (signal) {
    case SIGFPE:
      return "an integer was divided by zero";
    case SIGILL:
      return "an instruction that should not be reached";
    default:
      return "an address that is not there (or a thread's stack is full)";
  }
}

void onFault(int signal, siginfo_t*, void*) {
  // Whatever happens from here on goes the way it would have gone.
  sigaction(signal, &previous[signal], nullptr);
  if (BlockRunner* runner = BlockRunner::current()) {
    std::fprintf(stderr, "CUDA on the CPU: %s\n", describe(signal));
    runner->printPlace();
  }
  // Returning runs the faulting instruction again, now without this handler.
}

}  // namespace

void watchFaults() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = onFault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (int signal : kSignals) sigaction(signal, &action, &previous[signal]);
  });
  // A stack of its own: the fiber's may be full.
  stack_t stack{};
  stack.ss_size = kStackBytes;
  stack.ss_sp = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack.ss_sp != MAP_FAILED) sigaltstack(&stack, nullptr);
}

#endif

}  // namespace cuda_on_host
