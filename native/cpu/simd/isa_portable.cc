// The kernels with 16-byte vectors, which every CPU has (SSE2, NEON) or the compiler spells out; and float64.
#include "isa.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define SPHERENET_SIMD_BYTES 16
#include "table.h"

namespace spherenet::cpu::simd {

const IsaTable kPortableTable = {&kernelSet<Simd<float>>, &winogradKernels<Simd<float>>, fmaChain,
                                 kFlopsPerIteration};
const KernelSet<double>& kAccurateKernels = kernelSet<Simd<double>>;

}  // namespace spherenet::cpu::simd
