// The kernels for AVX2 with FMA.
#include "isa.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>

// From here to the end, where templates are instantiated, code may use the instruction set: no header of the
// standard library may follow.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,prfchw"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,prfchw")
#endif

#define SPHERENET_SIMD_BYTES 32
#include "table.h"

namespace spherenet::cpu::simd {

const IsaTable kAvx2Table = {&kernelSet<Simd<float>>, &winogradKernels<Simd<float>>, fmaChain,
                             kFlopsPerIteration};

}  // namespace spherenet::cpu::simd

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
