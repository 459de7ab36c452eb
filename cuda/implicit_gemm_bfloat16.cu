#include "implicit_gemm_launch.cuh"

namespace spherenet::cuda {

template void launchImplicitGemm<Bfloat16Operand>(const Context&, const GemmPlan&, const GemmArguments&);

}  // namespace spherenet::cuda
