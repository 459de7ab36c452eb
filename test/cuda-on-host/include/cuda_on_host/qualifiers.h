// CUDA's qualifiers, as far as g++ has something for them. Shared memory declared in a kernel is refused:
// kernels take all of it from dynamicShared(), so that its bounds and its first contents are under watch.
#pragma once

// The standard library uses some of the names below as attributes: let it be included before they are macros.
#include <memory>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ _Pragma("GCC error \"shared memory of a kernel comes from dynamicShared() only\"")
