// What each instruction set's translation unit hands to kernels.cc.
#pragma once

#include "kernels.h"

namespace spherenet::cpu::simd {

struct IsaTable {
  const KernelSet<float>* single;
  const winograd::Kernels* winograd;
  double (*fmaChain)(int64_t);
  double flopsPerIteration;
};

extern const IsaTable kPortableTable;
extern const IsaTable kAvx2Table;
extern const IsaTable kAvx512Table;
extern const KernelSet<double>& kAccurateKernels;

}  // namespace spherenet::cpu::simd
