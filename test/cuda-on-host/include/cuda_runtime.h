// Stands in for CUDA's header: g++ compiles .cu files as C++ with it, and runtime/ executes them on the CPU.
// Kernels are launched with cudaLaunchKernelEx only.
#pragma once

#include "cuda_on_host/atomics.h"
#include "cuda_on_host/execution.h"
#include "cuda_on_host/intrinsics.h"
#include "cuda_on_host/launch.h"
#include "cuda_on_host/qualifiers.h"
#include "cuda_on_host/vector_types.h"
#include "cuda_on_host/warp.h"
#include "cuda_runtime_api.h"
