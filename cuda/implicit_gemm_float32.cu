#include "implicit_gemm_launch.cuh"

namespace spherenet::cuda {

template void launchImplicitGemm<Float32Operand>(const Context&, const GemmPlan&, const GemmArguments&);

}  // namespace spherenet::cuda
