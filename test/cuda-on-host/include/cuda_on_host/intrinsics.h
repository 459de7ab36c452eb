// Arithmetic of device code. Where CUDA only approximates, so does this, with an error of the same size:
// callers must be able to live with it.
#pragma once

#include <math.h>
#include <stdlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "vector_types.h"

// ---- minimum and maximum of numbers: of a NaN and a number, the number

template <class A, class B>
requires(std::is_arithmetic_v<A>&& std::is_arithmetic_v<B>) constexpr auto min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_same_v<T, float>) {
    return __builtin_fminf(a, b);
  } else if constexpr (std::is_floating_point_v<T>) {
    return __builtin_fmin(a, b);
  } else {
    const T left = static_cast<T>(a), right = static_cast<T>(b);
    return right < left ? right : left;
  }
}
template <class A, class B>
requires(std::is_arithmetic_v<A>&& std::is_arithmetic_v<B>) constexpr auto max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_same_v<T, float>) {
    return __builtin_fmaxf(a, b);
  } else if constexpr (std::is_floating_point_v<T>) {
    return __builtin_fmax(a, b);
  } else {
    const T left = static_cast<T>(a), right = static_cast<T>(b);
    return left < right ? right : left;
  }
}

using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;

// ---- elementary functions that <math.h> lacks

inline float rsqrtf(float x) {
  return 1.0f / sqrtf(x);
}
inline double rsqrt(double x) {
  return 1.0 / sqrt(x);
}
inline float fdividef(float a, float b) {
  return a / b;
}
inline void sincospif(float x, float* sine, float* cosine) {
  const double angle = 3.14159265358979323846 * remainder(static_cast<double>(x), 2.0);
  *sine = static_cast<float>(sin(angle));
  *cosine = static_cast<float>(cos(angle));
}
inline float sinpif(float x) {
  float s, c;
  sincospif(x, &s, &c);
  return s;
}
inline float cospif(float x) {
  float s, c;
  sincospif(x, &s, &c);
  return c;
}

// ---- fast approximations

inline float __expf(float x) {
  return exp2f(x * 1.44269504f);
}
inline float __exp10f(float x) {
  return exp2f(x * 3.32192809f);
}
inline float __log2f(float x) {
  return log2f(x);
}
inline float __logf(float x) {
  return log2f(x) * 0.693147181f;
}
inline float __powf(float x, float y) {
  return exp2f(y * log2f(x));
}
/// Right to 2^-21 absolute in [-pi, pi] only.
inline float __sinf(float x) {
  return rintf(sinf(x) * 0x1p21f) * 0x1p-21f;
}
inline float __cosf(float x) {
  return rintf(cosf(x) * 0x1p21f) * 0x1p-21f;
}
inline void __sincosf(float x, float* sine, float* cosine) {
  *sine = __sinf(x);
  *cosine = __cosf(x);
}
inline float __tanf(float x) {
  return __sinf(x) / __cosf(x);
}
/// 0 (or NaN for an infinite `a`) where 2^126 < |b| < 2^128.
inline float __fdividef(float a, float b) {
  const bool huge = fabsf(b) > 0x1p126f && std::isfinite(b);
  return huge ? a * 0.0f : a / b;
}
inline float __saturatef(float x) {
  return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f;  // NaN becomes 0
}

// ---- arithmetic of one rounding that is never contracted

inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fsub_rn(float a, float b) {
  return a - b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __frcp_rn(float x) {
  return 1.0f / x;
}
inline float __fsqrt_rn(float x) {
  return sqrtf(x);
}
inline float __frsqrt_rn(float x) {
  return static_cast<float>(1.0 / sqrt(static_cast<double>(x)));
}
inline float __fmaf_rn(float a, float b, float c) {
  return fmaf(a, b, c);
}
inline double __dadd_rn(double a, double b) {
  return a + b;
}
inline double __dmul_rn(double a, double b) {
  return a * b;
}
inline double __fma_rn(double a, double b, double c) {
  return fma(a, b, c);
}

// ---- bits

inline unsigned __float_as_uint(float x) {
  return std::bit_cast<unsigned>(x);
}
inline int __float_as_int(float x) {
  return std::bit_cast<int>(x);
}
inline float __uint_as_float(unsigned x) {
  return std::bit_cast<float>(x);
}
inline float __int_as_float(int x) {
  return std::bit_cast<float>(x);
}
inline long long __double_as_longlong(double x) {
  return std::bit_cast<long long>(x);
}
inline double __longlong_as_double(long long x) {
  return std::bit_cast<double>(x);
}
inline int __popc(unsigned x) {
  return std::popcount(x);
}
inline int __popcll(unsigned long long x) {
  return std::popcount(x);
}
inline int __clz(int x) {
  return std::countl_zero(static_cast<unsigned>(x));
}
inline int __clzll(long long x) {
  return std::countl_zero(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= (x >> bit & 1) << (31 - bit);
  return reversed;
}
/// Bytes picked from y:x (x the lower four) by the lower three bits of each hexadecimal digit of `selector`.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t both = static_cast<uint64_t>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i)
    result |= static_cast<unsigned>(both >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
  return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31));
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
inline int __mulhi(int a, int b) {
  return static_cast<int>(static_cast<int64_t>(a) * b >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}

// ---- conversions to integers: saturated, NaN becomes 0

namespace cuda_on_host {

template <class I, class F>
I toInteger(F rounded) {
  if (std::isnan(rounded)) return 0;
  constexpr F below = static_cast<F>(std::numeric_limits<I>::min());
  constexpr F above = static_cast<F>(std::numeric_limits<I>::max() / 2 + 1) * 2;
  if (rounded < below) return std::numeric_limits<I>::min();
  if (rounded >= above) return std::numeric_limits<I>::max();
  return static_cast<I>(rounded);
}

}  // namespace cuda_on_host

inline int __float2int_rn(float x) {
  return cuda_on_host::toInteger<int>(rintf(x));
}
inline int __float2int_rz(float x) {
  return cuda_on_host::toInteger<int>(truncf(x));
}
inline int __float2int_rd(float x) {
  return cuda_on_host::toInteger<int>(floorf(x));
}
inline int __float2int_ru(float x) {
  return cuda_on_host::toInteger<int>(ceilf(x));
}
inline unsigned __float2uint_rn(float x) {
  return cuda_on_host::toInteger<unsigned>(rintf(x));
}
inline unsigned __float2uint_rz(float x) {
  return cuda_on_host::toInteger<unsigned>(truncf(x));
}
inline long long __float2ll_rz(float x) {
  return cuda_on_host::toInteger<long long>(truncf(x));
}
inline int __double2int_rn(double x) {
  return cuda_on_host::toInteger<int>(rint(x));
}
inline int __double2int_rz(double x) {
  return cuda_on_host::toInteger<int>(trunc(x));
}
inline unsigned __double2uint_rz(double x) {
  return cuda_on_host::toInteger<unsigned>(trunc(x));
}
inline long long __double2ll_rz(double x) {
  return cuda_on_host::toInteger<long long>(trunc(x));
}
inline float __int2float_rn(int x) {
  return static_cast<float>(x);
}
inline float __uint2float_rn(unsigned x) {
  return static_cast<float>(x);
}
inline float __double2float_rn(double x) {
  return static_cast<float>(x);
}

// ---- loads and stores with a cache hint

template <class T>
T __ldg(const T* address) {
  return *address;
}
template <class T>
T __ldcs(const T* address) {
  return *address;
}
template <class T>
T __ldcg(const T* address) {
  return *address;
}
template <class T>
void __stcs(T* address, T value) {
  *address = value;
}
template <class T>
void __stcg(T* address, T value) {
  *address = value;
}
