// The only place with inline PTX: asynchronous copies, matrix loads and matrix products of sm_80 and up. A
// compiler that is not nvcc takes the bodies from test/cuda-on-host, where a warp is 32 fibers of a CPU
// thread.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>

#ifndef __CUDACC__
#include <ptx_on_host.h>
#else

namespace spherenet::cuda {

/// The block's dynamic shared memory, 128-byte aligned; the launch gives its size. Kernels declare no other
/// shared memory, so that the CPU execution can fill all of it with rubbish first and watch its bounds.
template <class T>
__device__ __forceinline__ T& dynamicShared() {
  extern __shared__ __align__(128) unsigned char memory[];
  return *reinterpret_cast<T*>(memory);
}

__device__ __forceinline__ uint32_t sharedAddress(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

/// Begins to copy 16 bytes, both ends aligned to 16, past L1; zeros where not `valid` (global is not read
/// then).
__device__ __forceinline__ void copyAsync16(void* shared, const void* global, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(sharedAddress(shared)), "l"(global),
               "r"(bytes)
               : "memory");
}

/// The same for 4 bytes, through L1.
__device__ __forceinline__ void copyAsync4(void* shared, const void* global, bool valid) {
  const int bytes = valid ? 4 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(sharedAddress(shared)), "l"(global),
               "r"(bytes)
               : "memory");
}

/// Ends a group of this thread's copies.
__device__ __forceinline__ void commitCopies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until at most the `Pending` youngest groups of this thread are under way. Other threads' copies need
/// a barrier after it.
template <int Pending>
__device__ __forceinline__ void waitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

/// Four 8x8 matrices of 16-bit elements (or 8x4 of 32-bit ones). Lanes 8i to 8i+7 give the addresses of the
/// rows (16 bytes) of matrix i; lane l receives, of each, the 32 bits at row l / 4, byte 4 (l % 4).
__device__ __forceinline__ void loadMatrices(uint32_t (&matrices)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(sharedAddress(row))
               : "memory");
}

/// The same, each 8x8 matrix of 16-bit elements transposed: lane l receives elements (2 (l % 4), l / 4) and
/// (2 (l % 4) + 1, l / 4).
__device__ __forceinline__ void loadMatricesTransposed(uint32_t (&matrices)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(sharedAddress(row))
               : "memory");
}

/// d[16x8] += a[16x16] b[16x8], float32 accumulators. With g = lane / 4 and t = lane % 4:
///   a[0] (g, 2t..2t+1)  a[1] (g+8, 2t..)  a[2] (g, 2t+8..)  a[3] (g+8, 2t+8..)
///   b[0] (2t..2t+1, g)  b[1] (2t+8.., g)
///   d[0] (g, 2t)  d[1] (g, 2t+1)  d[2] (g+8, 2t)  d[3] (g+8, 2t+1)
__device__ __forceinline__ void multiplyAdd(__nv_bfloat16, float (&d)[4], const uint32_t (&a)[4],
                                            const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void multiplyAdd(__half, float (&d)[4], const uint32_t (&a)[4],
                                            const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/// d[16x8] += a[16x8] b[8x8] of tf32 operands (float32 bits; the lower 13 are ignored):
///   a[0] (g, t)  a[1] (g+8, t)  a[2] (g, t+4)  a[3] (g+8, t+4)    b[0] (t, g)  b[1] (t+4, g)    d as above
__device__ __forceinline__ void multiplyAdd(float, float (&d)[4], const uint32_t (&a)[4],
                                            const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// x rounded to tf32 (10 bits of fraction, to nearest, ties away from zero), as float32 bits.
__device__ __forceinline__ uint32_t roundToTf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

/// tanh to about 2^-11 relative, one instruction.
__device__ __forceinline__ float tanhApproximate(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace spherenet::cuda

#endif
