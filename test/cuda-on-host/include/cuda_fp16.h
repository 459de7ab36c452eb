// IEEE half storage. Conversions round to nearest, ties to even, with subnormals; what is too large becomes
// infinite. There is no arithmetic and no implicit conversion, so that kernels which would compute in 16 bits
// do not compile.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "cuda_on_host/qualifiers.h"
#include "cuda_on_host/vector_types.h"

struct __half {
  uint16_t bits;

  __half() = default;
  explicit __half(float x);
  explicit operator float() const;
};
using half = __half;

struct alignas(4) __half2 {
  __half x, y;
};
using half2 = __half2;

inline __half __ushort_as_half(unsigned short bits) {
  __half value;
  value.bits = bits;
  return value;
}
inline unsigned short __half_as_ushort(__half x) {
  return x.bits;
}

inline __half __float2half_rn(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x), magnitude = bits & 0x7FFFFFFF;
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  if (magnitude > 0x7F800000) return __ushort_as_half(0x7FFF);          // NaN
  if (magnitude >= 0x477FF000) return __ushort_as_half(sign | 0x7C00);  // 65520 and more
  if (magnitude < 0x38800000) {                                         // below 2^-14: units of 2^-24
    const float units = std::bit_cast<float>(magnitude) * 0x1p24f;      // exact
    return __ushort_as_half(sign | static_cast<uint16_t>(std::lrint(units)));
  }
  const uint32_t rebiased = magnitude - (112u << 23);
  return __ushort_as_half(sign | static_cast<uint16_t>((rebiased + 0xFFF + (rebiased >> 13 & 1)) >> 13));
}
inline __half __float2half(float x) {
  return __float2half_rn(x);
}
inline float __half2float(__half x) {
  const uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000) << 16, exponent = x.bits >> 10 & 31;
  const uint32_t fraction = x.bits & 0x3FF;
  if (exponent == 0) {
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(static_cast<float>(fraction) * 0x1p-24f));
  }
  const uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}
inline __half::__half(float x) : bits(__float2half_rn(x).bits) {}
inline __half::operator float() const {
  return __half2float(*this);
}

inline __half2 __halves2half2(__half low, __half high) {
  return {low, high};
}
inline __half2 __floats2half2_rn(float low, float high) {
  return {__float2half_rn(low), __float2half_rn(high)};
}
inline __half2 __float22half2_rn(float2 v) {
  return __floats2half2_rn(v.x, v.y);
}
inline float2 __half22float2(__half2 v) {
  return {__half2float(v.x), __half2float(v.y)};
}
inline float __low2float(__half2 v) {
  return __half2float(v.x);
}
inline float __high2float(__half2 v) {
  return __half2float(v.y);
}
