// What the losses over angles make of cos(theta): g of the other classes, psi of the target. Definitions:
// MarginKind in native/ops.h.
#pragma once

#include "angular.cuh"

namespace spherenet::cuda {

template <class T>
struct ValueAndSlope {
  T value, slope;  // slope: the derivative with respect to c = cos(theta)
  T below;         // 1 - value, with the digits that the subtraction would lose near 1 (in float64)
};

/// 1 - g of the sigmoid at asin(c) = pi/2 - theta, which is sinh(theta / 2k) / (cosh(asin(c) / 2k) sinh(pi /
/// 4k)), with the exponentials taken out so that nothing overflows.
__device__ inline double sigmoidBelow(double theta, double k) {
  const double a = (kPi / 2 - theta) / (2 * k);
  const double numerator = -2 * exp(-2 * fmax(a, 0.0)) * expm1(-theta / k);
  return numerator / ((1 + exp(-2 * fabs(a))) * -expm1(-kPi / (2 * k)));
}

__device__ inline bool isOdd(double integer) {
  return 2 * floor(integer / 2) != integer;
}

/// The classes that are not the target: g(theta), for DividedOthers cos(theta / m), in the tensor's own type.
template <class T>
struct OtherClasses {
  AngularOperator op;
  double k;
  T divisor;
  bool detached;
  AngularFilter<T> filter;

  __device__ inline OtherClasses(const AngularParams& a, const MarginParams& m)
      : op(a.op),
        k(a.k),
        divisor(m.kind == MarginKind::DividedOthers ? static_cast<T>(m.margin) : T(1)),
        detached(m.detached),
        filter(angularFilter(a.op, static_cast<T>(a.k))) {}

  __device__ inline T value(T cosine) const {
    return divisor == 1 ? angularValue<false>(op, filter, cosine) : divided(clampToOne(cosine)).value;
  }

  __device__ inline ValueAndSlope<T> valueAndSlope(T cosine) const {
    if (divisor != 1) return divided(clampToOne(cosine));
    const T g = angularValue<false>(op, filter, cosine), slope = angularSlopesAt(op, filter, cosine).slope;
    if (sizeof(T) == 4 || op == AngularOperator::Cosine) return {g, slope, 1 - g};
    const double theta = acos(static_cast<double>(clampToOne(cosine)));
    const double below = op == AngularOperator::Linear ? 2 / kPi * theta : sigmoidBelow(theta, k);
    return {g, slope, static_cast<T>(below)};
  }

  /// cos(theta / m) by way of half the angle, and sin(theta / m) / (m sin(theta)), which is 1 / m^2 at 0.
  __device__ inline ValueAndSlope<T> divided(T c) const {
    const T angle = acos(c) / (2 * divisor);
    const SinCos<T> half = sinCosOf(angle, T(kPi / 2) - angle);
    const T below = 2 * half.sin * half.sin;
    if (detached) return {1 - below, T(1), below};
    const T sine = sqrt((1 - c) * (1 + c)), ratio = 2 * half.sin * half.cos / divisor;
    const T slope = c < 1 ? ratio * (c < 0 ? inverseRoot(sine) : 1 / sine) : 1 / (divisor * divisor);
    return {1 - below, slope, below};
  }
};

/// sin(m theta) / sin(theta)
__device__ inline double sineRatio(double m, double c, double theta) {
  const double sine = sqrt((1 - c) * (1 + c));
  if (c >= 0) return sine > 0 ? sin(m * theta) / sine : m;
  if (m != floor(m)) return sin(m * theta) * inverseRoot(sine);
  // An integer m has a limit at pi too; the angle to pi keeps the digits there.
  const double ratio = sine > 0 ? sin(m * acos(-c)) / sine : m;
  return isOdd(m) ? ratio : -ratio;
}

/// psi(theta) = g(m theta), monotone.
__device__ inline ValueAndSlope<double> multipleAt(const AngularParams& a, double m, double c, double theta) {
  if (a.op == AngularOperator::Cosine) {
    // (-1)^j cos(m theta) - 2j on [j pi/m, (j+1) pi/m], and (-1)^j m sin(m theta) / sin(theta)
    if (m == 1) return {c, 1, 1 - c};
    // theta = pi belongs to the last piece, not to one of its own.
    const double j = fmin(floor(m * theta / kPi), fmax(0.0, ceil(m) - 1));
    const double sign = isOdd(j) ? -1 : 1, value = sign * cos(m * theta) - 2 * j, half = sin(m * theta / 2);
    return {value, sign * m * sineRatio(m, c, theta), j == 0 ? 2 * half * half : 1 - value};
  }
  const double inverse = inverseRoot(sqrt((1 - c) * (1 + c)));
  if (a.op == AngularOperator::Linear) {
    const double below = 2 * m * theta / kPi;
    return {1 - below, 2 * m / kPi * inverse, below};
  }
  const double range = tanh(kPi / (4 * a.k)), t = tanh((kPi / 2 - m * theta) / (2 * a.k));
  return {t / range, m * (1 - t) * (1 + t) / (2 * a.k * range) * inverse, sigmoidBelow(m * theta, a.k)};
}

/// The target without annealing; c is its cosine, in [-1, 1].
__device__ inline ValueAndSlope<double> marginAt(const AngularParams& a, const MarginParams& p, double c,
                                                 double theta) {
  const double m = p.margin;
  if (p.kind == MarginKind::DividedOthers) return {c, 1, 1 - c};
  if (p.kind == MarginKind::AdditiveCosine) return {c - m, 1, 1 - c + m};
  if (p.kind == MarginKind::AdditiveAngle) {
    if (m == 0) return {c, 1, 1 - c};
    const double phi = theta + m, half = sin(phi / 2), below = 2 * half * half;
    if (phi >= kPi) return {-1, 0, 2};
    return {1 - below, sin(phi) * inverseRoot(sqrt((1 - c) * (1 + c))), below};
  }
  if (p.kind == MarginKind::ClampedMultiple && m > 1 && m * theta >= kPi) return {-1, 0, 2};
  return multipleAt(a, m, c, theta);
}

/// The target, in float64: there is one per row.
__device__ inline ValueAndSlope<double> targetAt(const AngularParams& a, const MarginParams& m,
                                                 double cosine) {
  const double c = clampToOne(cosine), theta = acos(c);
  ValueAndSlope<double> target = marginAt(a, m, c, theta);
  if (!m.detached && m.lambda == 0) return target;
  const ValueAndSlope<double> plain = multipleAt(a, 1, c, theta);
  if (m.detached) target.slope = plain.slope;
  const double rest = 1 / (1 + m.lambda), share = m.lambda * rest;
  return {share * plain.value + rest * target.value, share * plain.slope + rest * target.slope,
          share * plain.below + rest * target.below};
}

}  // namespace spherenet::cuda
