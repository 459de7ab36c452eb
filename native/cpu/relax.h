#pragma once

namespace spherenet::cpu {

/// Tells the processor that this thread polls.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace spherenet::cpu
