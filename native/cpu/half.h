// The 16-bit floating-point types on the CPU: how they are stored, and exact conversions. Rounding is to
// nearest, ties to even; NaN stays NaN; what is too large becomes infinity. Branch-free, so that loops
// vectorise on any processor.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "../tensor.h"

namespace spherenet {

/// bfloat16: the upper half of a float32.
struct Bfloat16 {
  uint16_t bits;

  Bfloat16() = default;
  explicit Bfloat16(float value) {
    const uint32_t wide = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = wide + 0x7fff + (wide >> 16 & 1);
    const uint32_t quietNan = wide | 0x400000;
    bits = static_cast<uint16_t>(((wide & 0x7fffffff) > 0x7f800000 ? quietNan : rounded) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

/// IEEE 754 binary16: 1 sign bit, 5 bits of exponent, 10 of fraction; at most 65504, in steps of 2^-24 below
/// 2^-14.
struct Float16 {
  uint16_t bits;

  Float16() = default;
  explicit Float16(float value) {
    const uint32_t wide = std::bit_cast<uint32_t>(value);
    const uint32_t sign = wide >> 16 & 0x8000;
    const uint32_t size = wide & 0x7fffffff;
    // Exponents count from 15 instead of 127.
    const uint32_t rounded = (size + 0xfff + (size >> 13 & 1) - (112u << 23)) >> 13;
    const uint32_t normal = rounded < kInfinity ? rounded : kInfinity;
    // Next to 0.5, a float32 has steps of 2^-24: the sum's last bits are the number of them, rounded.
    const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(size) + 0.5f) - kHalf;
    const uint32_t finite = size < kLeastNormal ? subnormal : normal;
    bits = static_cast<uint16_t>(sign | (size > 0x7f800000 ? kQuietNan : finite));
  }
  explicit operator float() const {
    const uint32_t sign = (bits & 0x8000u) << 16;
    const uint32_t size = (bits & 0x7fffu) << 13;
    const uint32_t normal = size + (112u << 23);
    const uint32_t special = size + (224u << 23);  // infinity and NaN
    const uint32_t steps = kHalf + (size >> 13);
    const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(steps) - 0.5f);
    const uint32_t numeric = size < 0x400u << 13 ? subnormal : normal;
    return std::bit_cast<float>(sign | (size < kInfinity << 13 ? numeric : special));
  }

 private:
  static constexpr uint32_t kInfinity = 0x7c00, kQuietNan = 0x7e00;
  static constexpr uint32_t kHalf = 0x3f000000;         // 0.5 as float32
  static constexpr uint32_t kLeastNormal = 0x38800000;  // 2^-14 as float32
};

template <>
struct DTypeOf<Bfloat16> {
  static constexpr DType value = DType::Bfloat16;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType value = DType::Float16;
};

/// The float32 on the way from float64 to a 16-bit type: of the two neighbours of a number between them the
/// one with an odd last bit, which cannot be mistaken for the middle of two 16-bit numbers. Rounding it then
/// gives what rounding the float64 gives (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums",
/// 2008).
inline float roundToOdd(double value) {
  const float nearest = static_cast<float>(value);
  const double back = static_cast<double>(nearest);
  const uint32_t bits = std::bit_cast<uint32_t>(nearest);
  const double distance = std::abs(back) - std::abs(value);  // NaN and 0 are neither above nor below 0
  uint32_t odd = distance > 0 ? bits - 1 : bits;
  odd = distance < 0 ? bits + 1 : odd;
  return std::bit_cast<float>((bits & 1) == 0 ? odd : bits);
}

/// Calls f with a value of the storage type of a 16-bit tensor.
template <class F>
decltype(auto) withHalf(DType dtype, F&& f) {
  if (dtype == DType::Bfloat16) return f(Bfloat16{});
  if (dtype == DType::Float16) return f(Float16{});
  throw std::logic_error("expected a 16-bit floating-point tensor");
}

}  // namespace spherenet
