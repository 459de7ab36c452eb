// Storage types and the types that compute for them; vectors of 16 bytes.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <limits>
#include <type_traits>

#include "../../native/tensor.h"

namespace spherenet {

template <>
struct DTypeOf<__nv_bfloat16> {
  static constexpr DType value = DType::Bfloat16;
};
template <>
struct DTypeOf<__half> {
  static constexpr DType value = DType::Float16;
};

namespace cuda {

/// What computes for values stored as T: double for double, else float.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class T>
constexpr T kMinusInfinity = -std::numeric_limits<T>::infinity();

__device__ __forceinline__ float toCompute(float x) {
  return x;
}
__device__ __forceinline__ double toCompute(double x) {
  return x;
}
__device__ __forceinline__ float toCompute(__nv_bfloat16 x) {
  return __bfloat162float(x);
}
__device__ __forceinline__ float toCompute(__half x) {
  return __half2float(x);
}

/// Rounds to nearest, ties to even.
template <class T>
__device__ __forceinline__ T toStorage(Compute<T> x) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return __float2bfloat16_rn(x);
  } else if constexpr (std::is_same_v<T, __half>) {
    return __float2half_rn(x);
  } else {
    return x;
  }
}

/// An element of filters of T or, where T has 16 bits, perhaps of float32, which is rounded to T as the
/// operand of a product is.
template <class T>
__device__ __forceinline__ Compute<T> loadFilter(const void* w, bool isFloat, int64_t index) {
  if constexpr (sizeof(T) == 2) {
    if (isFloat) return toCompute(toStorage<T>(static_cast<const float*>(w)[index]));
  }
  return toCompute(static_cast<const T*>(w)[index]);
}

/// A gradient as it is stored. What is beyond float16's range becomes its largest number, as infinity times
/// the zeros of a patch would be NaN.
template <class T>
__device__ __forceinline__ T storeGradient(Compute<T> value) {
  if constexpr (std::is_same_v<T, __half>) {
    if (fabsf(value) > 65504.f && value - value == 0) return toStorage<T>(copysignf(65504.f, value));
  }
  return toStorage<T>(value);
}

/// Elements that are loaded and stored at once: as many as fit into 16 bytes, or N.
template <class T, int N = static_cast<int>(16 / sizeof(T))>
struct alignas(sizeof(T) * N) Vector {
  static constexpr int kSize = N;
  T at[N];
};

/// N elements from an address aligned to all of them, ready to compute with; and back, rounded.
template <int N, class T>
__device__ __forceinline__ void loadValues(const T* from, Compute<T> (&values)[N]) {
  const auto vector = *reinterpret_cast<const Vector<T, N>*>(from);
#pragma unroll
  for (int j = 0; j < N; ++j) values[j] = toCompute(vector.at[j]);
}
template <int N, class T>
__device__ __forceinline__ void storeValues(const Compute<T> (&values)[N], T* to) {
  Vector<T, N> vector;
#pragma unroll
  for (int j = 0; j < N; ++j) vector.at[j] = toStorage<T>(values[j]);
  *reinterpret_cast<Vector<T, N>*>(to) = vector;
}

/// Calls f with a value of the storage type of a floating-point tensor.
template <class F>
decltype(auto) withStorage(DType dtype, F&& f) {
  switch (dtype) {
    case DType::Float32:
      return f(float{});
    case DType::Float64:
      return f(double{});
    case DType::Bfloat16:
      return f(__nv_bfloat16{});
    case DType::Float16:
      return f(__half{});
    default:
      throw std::logic_error("expected a floating-point tensor");
  }
}

}  // namespace cuda
}  // namespace spherenet
