// The functions of cuda/device/ptx.cuh on the CPU; their meaning is written there.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <bit>
#include <cmath>
#include <cstdint>

namespace cuda_on_host {

/// A lane's part of ldmatrix.
struct MatrixRows {
  const void* row;
  uint32_t* result;  // [4]
};
/// A lane's part of mma: its fragments.
struct Fragments {
  float* d;           // [4]
  const uint32_t* a;  // [4]
  const uint32_t* b;  // [2]
};

void combineMatrixRows(void* const* parts, uint32_t mask);
void combineTransposedMatrixRows(void* const* parts, uint32_t mask);
void multiplyBfloat16(void* const* parts, uint32_t mask);
void multiplyHalf(void* const* parts, uint32_t mask);
void multiplyTf32(void* const* parts, uint32_t mask);

}  // namespace cuda_on_host

namespace spherenet::cuda {

template <class T>
T& dynamicShared() {
  return *static_cast<T*>(cuda_on_host::sharedMemory(sizeof(T), alignof(T)));
}

inline uint32_t sharedAddress(const void* shared) {
  return cuda_on_host::sharedOffset(shared, 1, 1, "sharedAddress");
}

inline void copyAsync16(void* shared, const void* global, bool valid) {
  cuda_on_host::beginCopy(shared, global, 16, valid);
}
inline void copyAsync4(void* shared, const void* global, bool valid) {
  cuda_on_host::beginCopy(shared, global, 4, valid);
}
inline void commitCopies() {
  cuda_on_host::commitCopies();
}
template <int Pending>
void waitForCopies() {
  static_assert(Pending >= 0);
  cuda_on_host::waitForCopies(Pending);
}

inline void loadMatrices(uint32_t (&matrices)[4], const void* row) {
  cuda_on_host::MatrixRows part{row, matrices};
  cuda_on_host::warpCollective("loadMatrices", ~0u, &part, cuda_on_host::combineMatrixRows);
}
inline void loadMatricesTransposed(uint32_t (&matrices)[4], const void* row) {
  cuda_on_host::MatrixRows part{row, matrices};
  cuda_on_host::warpCollective("loadMatricesTransposed", ~0u, &part,
                               cuda_on_host::combineTransposedMatrixRows);
}

inline void multiplyAdd(__nv_bfloat16, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  cuda_on_host::Fragments part{d, a, b};
  cuda_on_host::warpCollective("multiplyAdd(bfloat16)", ~0u, &part, cuda_on_host::multiplyBfloat16);
}
inline void multiplyAdd(__half, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  cuda_on_host::Fragments part{d, a, b};
  cuda_on_host::warpCollective("multiplyAdd(half)", ~0u, &part, cuda_on_host::multiplyHalf);
}
inline void multiplyAdd(float, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  cuda_on_host::Fragments part{d, a, b};
  cuda_on_host::warpCollective("multiplyAdd(tf32)", ~0u, &part, cuda_on_host::multiplyTf32);
}

inline uint32_t roundToTf32(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (!std::isfinite(x)) return bits;
  return (bits + 0x1000) & ~0x1FFFu;
}

/// tanh cut to 11 bits of fraction, so that a caller who needs more fails here as well.
inline float tanhApproximate(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(std::tanh(x));
  return std::isnan(x) ? x : std::bit_cast<float>((bits + 0x800) & ~0xFFFu);
}

}  // namespace spherenet::cuda
