// What the native tests share: arrays read and written as float64, random ones, and comparisons that are
// counted.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "../../native/ops.h"

namespace spherenet::test {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr DType kFloats[] = {DType::Float32, DType::Float64};
constexpr DType kHalves[] = {DType::Bfloat16, DType::Float16};

inline std::mt19937_64& generator() {
  static std::mt19937_64 instance(20240607);
  return instance;
}
inline int64_t randomInteger(int64_t low, int64_t high) {  // both inclusive
  return std::uniform_int_distribution<int64_t>(low, high)(generator());
}
inline double randomNumber(double low = -2, double high = 2) {
  return std::uniform_real_distribution<double>(low, high)(generator());
}

inline Dims dims(std::initializer_list<int64_t> extents) {
  Dims d;
  for (int64_t extent : extents) d.at[d.rank++] = extent;
  return d;
}
inline Dims randomDims(int rank, int64_t most) {
  Dims d;
  d.rank = rank;
  for (int i = 0; i < rank; ++i) d[i] = randomInteger(1, most);
  return d;
}

/// The position of row-major element i.
inline Dims positionOf(const Dims& shape, int64_t i) {
  Dims position;
  position.rank = shape.rank;
  for (int axis = shape.rank - 1; axis >= 0; --axis) {
    position[axis] = i % shape[axis];
    i /= shape[axis];
  }
  return position;
}
/// The element of an array of `shape` that broadcasts to `position`.
inline int64_t broadcastIndex(const Dims& shape, const Dims& position) {
  int64_t index = 0;
  for (int axis = 0; axis < shape.rank; ++axis) {
    const int64_t at = shape[axis] == 1 ? 0 : position[axis + position.rank - shape.rank];
    index = index * shape[axis] + at;
  }
  return index;
}

/// A 16-bit floating-point format: sign, exponent and `fractionBits` of fraction.
struct HalfFormat {
  int fractionBits, leastExponent;

  /// The bits of `value`, rounded to nearest, ties to even, beyond the range to infinity.
  uint16_t encode(double value) const {
    const int sign = std::signbit(value) ? 0x8000 : 0;
    const int infinity = 0x7FFF >> fractionBits << fractionBits;
    if (std::isnan(value)) return static_cast<uint16_t>(0x7FFF);
    if (value == 0 || std::isinf(value)) return static_cast<uint16_t>(sign | (value == 0 ? 0 : infinity));
    const double magnitude = std::abs(value);
    const int exponent = std::max(std::ilogb(magnitude), leastExponent);
    // The leading bit of a normal number adds 1 to the exponent's field, which counts from leastExponent.
    const double field = (exponent - leastExponent) * std::ldexp(1.0, fractionBits) +
                         std::nearbyint(std::ldexp(magnitude, fractionBits - exponent));
    return static_cast<uint16_t>(sign | static_cast<int>(std::min<double>(field, infinity)));
  }

  double decode(uint16_t bits) const {
    const int field = bits & 0x7FFF, infinity = 0x7FFF >> fractionBits << fractionBits;
    const int exponent = field >> fractionBits, fraction = field - (exponent << fractionBits);
    const int leading = exponent > 0 ? 1 << fractionBits : 0;
    const double magnitude =
        field > infinity ? kNan
        : field == infinity
            ? kInfinity
            : std::ldexp(leading + fraction, std::max(exponent, 1) - 1 + leastExponent - fractionBits);
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
  }
};

inline HalfFormat halfFormat(DType dtype) {
  return dtype == DType::Bfloat16 ? HalfFormat{7, -126} : HalfFormat{10, -14};
}

/// A tensor with memory of exactly its size, so that a sanitiser sees each step outside of it.
class Array {
 public:
  Array(DType dtype, const Dims& shape) : dtype_(dtype), shape_(shape) {
    bytes_.resize(static_cast<size_t>(shape.product()) * sizeOf(dtype), std::byte{0xA5});
  }
  static Array filled(DType dtype, const Dims& shape, const std::function<double(int64_t)>& value) {
    Array a(dtype, shape);
    for (int64_t i = 0; i < a.size(); ++i) a.set(i, value(i));
    return a;
  }
  static Array random(DType dtype, const Dims& shape, double low = -2, double high = 2) {
    return filled(dtype, shape, [=](int64_t) { return randomNumber(low, high); });
  }

  DType dtype() const { return dtype_; }
  const Dims& shape() const { return shape_; }
  int64_t size() const { return shape_.product(); }
  const std::vector<std::byte>& bytes() const { return bytes_; }
  Tensor tensor() const {
    return {const_cast<std::byte*>(bytes_.data()), dtype_, shape_};  // tensors are always writable
  }
  operator Tensor() const { return tensor(); }

  double operator[](int64_t i) const {
    const Tensor t = tensor();
    switch (dtype_) {
      case DType::Bfloat16:
      case DType::Float16:
        return halfFormat(dtype_).decode(static_cast<const uint16_t*>(t.data)[i]);
      case DType::Float32:
        return static_cast<double>(t.as<float>()[i]);
      case DType::Float64:
        return t.as<double>()[i];
      case DType::Int32:
        return t.as<int32_t>()[i];
      default:
        return t.as<uint8_t>()[i];
    }
  }
  void set(int64_t i, double value) {
    const Tensor t = tensor();
    switch (dtype_) {
      case DType::Bfloat16:
      case DType::Float16:
        static_cast<uint16_t*>(t.data)[i] = halfFormat(dtype_).encode(value);
        break;
      case DType::Float32:
        t.as<float>()[i] = static_cast<float>(value);
        break;
      case DType::Float64:
        t.as<double>()[i] = value;
        break;
      case DType::Int32:
        t.as<int32_t>()[i] = static_cast<int32_t>(value);
        break;
      default:
        t.as<uint8_t>()[i] = static_cast<uint8_t>(value);
    }
  }

 private:
  DType dtype_;
  Dims shape_;
  std::vector<std::byte> bytes_;
};

struct Counts {
  int64_t passed = 0, failed = 0;
};
inline Counts& counts() {
  static Counts instance;
  return instance;
}

inline std::string describe(const Dims& shape) {
  std::string text;
  for (int i = 0; i < shape.rank; ++i) text.append(i == 0 ? "" : ",").append(std::to_string(shape[i]));
  return "[" + text + "]";
}

inline bool expect(bool condition, const std::string& what) {
  if (condition) {
    ++counts().passed;
  } else if (++counts().failed <= 40) {
    std::fprintf(stderr, "FAILED %s\n", what.c_str());
    // Where only whether something fails is asked (the mutation run), the first failure answers.
    if (std::getenv("SPHERENET_FAIL_FAST")) std::_Exit(1);
  }
  return condition;
}

/// Prints how many checks passed and failed; the exit code of the test.
inline int report() {
  std::printf("%lld checks passed, %lld failed\n", static_cast<long long>(counts().passed),
              static_cast<long long>(counts().failed));
  return counts().failed > 0 ? 1 : 0;
}

/// Compares every element: |got - want| <= tolerance * (scale + |want|); NaN equals NaN. One check.
inline void expectNear(const std::string& what, const Array& got, const std::vector<double>& want,
                       double tolerance, double scale = 1) {
  for (int64_t i = 0; i < got.size(); ++i) {
    const double g = got[i], w = want[static_cast<size_t>(i)];
    const bool same = g == w || (std::isnan(g) && std::isnan(w));
    if (same || std::abs(g - w) <= tolerance * (scale + std::abs(w))) continue;
    char detail[160];
    std::snprintf(detail, sizeof detail, " at %lld: %.17g instead of %.17g", static_cast<long long>(i), g, w);
    expect(false, what + (got.dtype() == DType::Float32 ? " f32 " : " ") + describe(got.shape()) + detail);
    return;
  }
  expect(true, what);
}

/// The rounding that a result of this dtype may show. 16-bit results: the error of float32 and one rounding.
inline double tolerance(DType dtype, double float32 = 1e-6, double float64 = 1e-13) {
  if (isHalf(dtype)) return float32 + std::ldexp(1.0, -1 - halfFormat(dtype).fractionBits);
  return dtype == DType::Float32 ? float32 : float64;
}

inline void expectFinite(const std::string& what, const Array& got) {
  bool finite = true;
  for (int64_t i = 0; i < got.size(); ++i) finite = finite && !std::isnan(got[i]);
  expect(finite, what + " has no NaN");
}

/// Checks `gradient` of loss() with respect to a float64 `input` by central differences.
inline void expectGradient(const std::string& what, Array& input, const Array& gradient,
                           const std::function<double()>& loss, double tolerance = 1e-6, double step = 1e-5) {
  std::vector<double> want;
  for (int64_t i = 0; i < input.size(); ++i) {
    const double value = input[i];
    input.set(i, value + step);
    const double above = loss();
    input.set(i, value - step);
    const double below = loss();
    input.set(i, value);
    want.push_back((above - below) / (2 * step));
  }
  expectNear(what + " by differences", gradient, want, tolerance);
}

inline double dot(const Array& a, const Array& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace spherenet::test
