#include "kernels.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "isa.h"

namespace spherenet::cpu::simd {
namespace {

Kernels tableOf(const char* name, const IsaTable& isa) {
  return {name, isa.single, &kAccurateKernels, isa.winograd, isa.fmaChain, isa.flopsPerIteration};
}

// These ask the CPU, and whether the operating system saves the registers.
bool hasAvx2() {
#if defined(__x86_64__) || defined(_M_X64)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

bool hasAvx512() {
#if defined(__x86_64__) || defined(_M_X64)
  return hasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

Kernels choose() {
  const char* variable = std::getenv("SPHERENET_SIMD");
  const std::string wanted = variable ? variable : "";
  const auto missing = [&] {
    return std::runtime_error("SPHERENET_SIMD asks for '" + wanted + "', which this CPU does not have");
  };
#if defined(__x86_64__) || defined(_M_X64)
  if (wanted == "avx512" || (wanted.empty() && hasAvx512())) {
    if (!hasAvx512()) throw missing();
    return tableOf("avx512", kAvx512Table);
  }
  if (wanted == "avx2" || (wanted.empty() && hasAvx2())) {
    if (!hasAvx2()) throw missing();
    return tableOf("avx2", kAvx2Table);
  }
#else
  if (wanted == "avx512" || wanted == "avx2") throw missing();
#endif
  if (wanted.empty() || wanted == "portable") return tableOf("portable", kPortableTable);
  throw std::runtime_error("SPHERENET_SIMD must be portable, avx2 or avx512, got '" + wanted + "'");
}

}  // namespace

const Kernels& kernels() {
  static const Kernels chosen = choose();
  return chosen;
}

const char* simdPath() {
  return kernels().name;
}

}  // namespace spherenet::cpu::simd
