// What the losses over angles make of cos(theta): g of the other classes, psi of the target. Definitions:
// MarginKind in ops.h.
#pragma once

#include <algorithm>
#include <cmath>

#include "../ops.h"

namespace spherenet::cpu {

constexpr double kPi = 3.14159265358979323846;

template <class T>
struct ValueAndSlope {
  T value, slope;  // slope: the derivative with respect to c = cos(theta)
  T below;         // 1 - value, with the digits that the subtraction would lose near 1 (in float64)
};

/// 1 / sin(theta), cut off where sin^2(theta) falls below kMinSinSquared.
template <class T>
T inverseSine(T c) {
  return 1 / std::sqrt(std::max((1 - c) * (1 + c), static_cast<T>(kMinSinSquared)));
}

/// 1 - g of the sigmoid at asin(c) = pi/2 - theta, which is sinh(theta / 2k) / (cosh(asin(c) / 2k) sinh(pi /
/// 4k)), with the exponentials taken out so that nothing overflows.
inline double sigmoidBelow(double theta, double k) {
  const double a = (kPi / 2 - theta) / (2 * k);
  const double numerator = -2 * std::exp(-2 * std::max(a, 0.0)) * std::expm1(-theta / k);
  return numerator / ((1 + std::exp(-2 * std::abs(a))) * -std::expm1(-kPi / (2 * k)));
}

/// The classes that are not the target: g(theta), for DividedOthers cos(theta / m), in the tensor's own type.
template <class T>
class OtherClasses {
 public:
  OtherClasses(const AngularParams& a, const MarginParams& m)
      : op_(a.op),
        k_(a.k),
        halfInverseK_(static_cast<T>(1 / (2 * a.k))),
        inverseRange_(static_cast<T>(1 / std::tanh(kPi / (4 * a.k)))),
        divisor_(m.kind == MarginKind::DividedOthers ? static_cast<T>(m.margin) : T(1)),
        detached_(m.detached) {}

  T value(T cosine) const {
    const T c = std::clamp(cosine, T(-1), T(1));
    if (divisor_ != 1) return divided(c).value;
    if (op_ == AngularOperator::Cosine) return c;
    if (op_ == AngularOperator::Linear) return static_cast<T>(2 / kPi) * std::asin(c);
    return std::tanh(std::asin(c) * halfInverseK_) * inverseRange_;
  }

  ValueAndSlope<T> valueAndSlope(T cosine) const {
    const T c = std::clamp(cosine, T(-1), T(1));
    if (divisor_ != 1) return divided(c);
    if (op_ == AngularOperator::Cosine) return {c, 1, 1 - c};
    if (op_ == AngularOperator::Linear) {
      const T g = static_cast<T>(2 / kPi) * std::asin(c);
      return {g, static_cast<T>(2 / kPi) * inverseSine(c), below(c, g)};
    }
    const T t = std::tanh(std::asin(c) * halfInverseK_);
    const T g = t * inverseRange_;
    return {g, (1 - t) * (1 + t) * halfInverseK_ * inverseRange_ * inverseSine(c), below(c, g)};
  }

 private:
  /// cos(theta / m) by way of half the angle, and sin(theta / m) / (m sin(theta)), which is 1 / m^2 at 0.
  ValueAndSlope<T> divided(T c) const {
    const T half = std::acos(c) / (2 * divisor_), s = std::sin(half), below = 2 * s * s;
    if (detached_) return {1 - below, 1, below};
    const T sine = 2 * s * std::cos(half) / divisor_;
    const T slope = c < 1 ? sine * (c < 0 ? inverseSine(c) : 1 / std::sqrt((1 - c) * (1 + c)))
                          : 1 / (divisor_ * divisor_);
    return {1 - below, slope, below};
  }

  T below(T c, T g) const {
    if constexpr (sizeof(T) == 4) return 1 - g;
    const double theta = std::acos(static_cast<double>(c));
    return static_cast<T>(op_ == AngularOperator::Linear ? 2 / kPi * theta : sigmoidBelow(theta, k_));
  }

  AngularOperator op_;
  double k_;
  T halfInverseK_, inverseRange_, divisor_;
  bool detached_;
};

/// The target, in float64: there is one per row.
class TargetClass {
 public:
  TargetClass(const AngularParams& a, const MarginParams& m) : a_(a), m_(m) {}

  ValueAndSlope<double> operator()(double cosine) const {
    const double c = std::clamp(cosine, -1.0, 1.0), theta = std::acos(c);
    ValueAndSlope<double> target = withMargin(c, theta);
    if (!m_.detached && m_.lambda == 0) return target;
    const ValueAndSlope<double> plain = multiple(c, theta, 1);
    if (m_.detached) target.slope = plain.slope;
    const double rest = 1 / (1 + m_.lambda), share = m_.lambda * rest;
    return {share * plain.value + rest * target.value, share * plain.slope + rest * target.slope,
            share * plain.below + rest * target.below};
  }

 private:
  ValueAndSlope<double> withMargin(double c, double theta) const {
    const double m = m_.margin;
    switch (m_.kind) {
      case MarginKind::ClampedMultiple:
        if (m > 1 && m * theta >= kPi) return kOpposite;
        return multiple(c, theta, m);
      case MarginKind::DividedOthers:
        return {c, 1, 1 - c};
      case MarginKind::AdditiveAngle:
        return m == 0 ? ValueAndSlope<double>{c, 1, 1 - c} : shifted(c, theta + m);
      case MarginKind::AdditiveCosine:
        return {c - m, 1, 1 - c + m};
      default:
        return multiple(c, theta, m);
    }
  }

  /// psi(theta) = g(m theta), monotone.
  ValueAndSlope<double> multiple(double c, double theta, double m) const {
    if (a_.op == AngularOperator::Cosine) return cosinePieces(c, theta, m);
    if (a_.op == AngularOperator::Linear) {
      const double below = 2 * m * theta / kPi;
      return {1 - below, 2 * m / kPi * inverseSine(c), below};
    }
    const double range = std::tanh(kPi / (4 * a_.k));
    const double t = std::tanh((kPi / 2 - m * theta) / (2 * a_.k));
    const double slope = m * (1 - t) * (1 + t) / (2 * a_.k * range) * inverseSine(c);
    return {t / range, slope, sigmoidBelow(m * theta, a_.k)};
  }

  /// cos(min(phi, pi)), and sin(phi) / sin(theta).
  static ValueAndSlope<double> shifted(double c, double phi) {
    if (phi >= kPi) return kOpposite;
    const double half = std::sin(phi / 2), below = 2 * half * half;
    return {1 - below, std::sin(phi) * inverseSine(c), below};
  }

  /// (-1)^j cos(m theta) - 2j on [j pi/m, (j+1) pi/m], and (-1)^j m sin(m theta) / sin(theta).
  static ValueAndSlope<double> cosinePieces(double c, double theta, double m) {
    if (m == 1) return {c, 1, 1 - c};
    // theta = pi belongs to the last piece, not to one of its own.
    const double lastPiece = std::max(0.0, std::ceil(m) - 1);
    const double j = std::min(std::floor(m * theta / kPi), lastPiece);
    const double sign = isOdd(j) ? -1 : 1;
    const double value = sign * std::cos(m * theta) - 2 * j;
    const double half = std::sin(m * theta / 2);
    return {value, sign * m * sineRatio(c, theta, m), j == 0 ? 2 * half * half : 1 - value};
  }

  /// sin(m theta) / sin(theta)
  static double sineRatio(double c, double theta, double m) {
    const double sine = std::sqrt((1 - c) * (1 + c));
    if (c >= 0) return sine > 0 ? std::sin(m * theta) / sine : m;
    if (m != std::floor(m)) return std::sin(m * theta) * inverseSine(c);
    // An integer m has a limit at pi too; the angle to pi keeps the digits there.
    const double fromPi = std::acos(-c);
    const double ratio = sine > 0 ? std::sin(m * fromPi) / sine : m;
    return isOdd(m) ? ratio : -ratio;
  }

  static bool isOdd(double integer) { return std::fmod(integer, 2) != 0; }

  /// What an angle of pi and beyond gives where it is clamped to pi.
  static constexpr ValueAndSlope<double> kOpposite{-1, 0, 2};

  AngularParams a_;
  MarginParams m_;
};

}  // namespace spherenet::cpu
