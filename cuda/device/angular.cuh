// The angular functions g of a SphereConv and their derivatives, on the device. Definitions: native/ops.h.
#pragma once

#include <cuda_runtime.h>

#include "../../native/ops.h"
#include "ptx.cuh"

namespace spherenet::cuda {

constexpr double kPi = 3.14159265358979323846;

/// What g of one filter needs of its k, computed once per filter and block. k = 0 stands for the limit, a
/// step; g is even in k.
template <class T>
struct AngularFilter {
  T slope = 0;  // 1 / 2k
  T gain = 0;   // 1 / limit, limit = tanh(pi / 4k)
  T twoK = 0;   // 2k
  T limit = 0;
  T gradientGain = 0;  // 1 / (2k limit)
  T kSlope = 0;        // sign(k) / (2 k^2 limit)
  T kGain = 0;         // -sign(k) limit' / limit, limit' = d limit / dk
};

template <class T>
__device__ inline AngularFilter<T> angularFilter(AngularOperator op, T k) {
  AngularFilter<T> filter;
  if (op != AngularOperator::Sigmoid) return filter;
  const T sign = k < 0 ? T(-1) : T(1), magnitude = fmax(fabs(k), T(1e-6));
  const T halfTurn = T(kPi / 4) / magnitude, decay = exp(T(-2) * halfTurn);
  // 1 - limit^2 from the exponential, as the difference would cancel.
  const T limitRest = 4 * decay / ((1 + decay) * (1 + decay));
  filter.limit = tanh(halfTurn);
  filter.slope = 1 / (2 * magnitude);
  filter.gain = 1 / filter.limit;
  filter.twoK = 2 * magnitude;
  filter.gradientGain = filter.slope * filter.gain;
  filter.kSlope = sign * filter.gradientGain / magnitude;
  filter.kGain = sign * limitRest * halfTurn / magnitude * filter.gain;
  return filter;
}

/// x within [-1, 1]; NaN stays NaN.
template <class T>
__device__ __forceinline__ T clampToOne(T x) {
  return fabs(x) > 1 ? copysign(T(1), x) : x;
}

/// asin(x) to 2^-12 of its value for |x| <= 1: x times a polynomial in sqrt(1 - |x|), so that nothing cancels
/// near 0. Beyond 1 it goes on as x pi/2.
__device__ __forceinline__ float asinFast(float x) {
  const float rest = fmaxf(1 - fabsf(x), 1e-30f), u = rest * rsqrtf(rest);
  float p = fmaf(u, 0.33188462f, -0.91893131f);
  p = fmaf(u, p, 1.4155606f);
  p = fmaf(u, p, -1.3988864f);
  return x * fmaf(u, p, 1.5705373f);
}

/// g at c, which is clamped to [-1, 1]. `Fast` (float only) costs some 20 instructions and is right to 2^-10
/// of the value, enough for 16-bit results; else to a few units in the last place. NaN gives NaN.
template <bool Fast, class T>
__device__ __forceinline__ T angularValue(AngularOperator op, const AngularFilter<T>& filter, T c) {
  if constexpr (Fast) {
    // One clamp, at the end: the steps before it stand values beyond 1 and infinities.
    float g = c;
    if (op == AngularOperator::SquaredCosine) g *= fabsf(c);
    if (op == AngularOperator::Linear || op == AngularOperator::Sigmoid) g = asinFast(c);
    if (op == AngularOperator::Linear) g *= static_cast<float>(2 / kPi);
    if (op == AngularOperator::Sigmoid) g = tanhApproximate(g * filter.slope) * filter.gain;
    return clampToOne(g);
  } else {
    const T clamped = clampToOne(c);
    if (op == AngularOperator::Cosine) return clamped;
    if (op == AngularOperator::SquaredCosine) return clamped * fabs(clamped);
    const T angle = asin(clamped);
    if (op == AngularOperator::Linear) return clampToOne(angle * T(2 / kPi));
    return clampToOne(tanh(angle * filter.slope) * filter.gain);
  }
}

template <class T>
struct AngularSlopes {
  T c;       // cos(theta), recovered from y
  T slope;   // dg/dc, where 1 - c^2 < kMinSinSquared its value there
  T kSlope;  // dg/dk
};

template <class T>
struct SinCos {
  T sin, cos;
};

/// sin and cos of angle in [0, pi/2], where complement = pi/2 - angle is given too: the smaller of both is
/// used, so that a cosine near 0 is as precise as the complement. No slow path for large arguments, as the
/// library's have.
template <class T>
__device__ __forceinline__ SinCos<T> sinCosOf(T angle, T complement) {
  const bool upper = angle > complement;
  const T a = upper ? complement : angle, z = a * a;
  T sine, cosine;
  if constexpr (sizeof(T) == 4) {
    // Minimax on [0, pi/4], to 1.5 units in the last place.
    sine = fmaf(z, -0.000195140849f, 0.00833215471f);
    sine = fmaf(z, sine, -0.166666552f);
    sine = fmaf(a * z, sine, a);
    cosine = fmaf(z, 2.44348466e-05f, -0.00138873374f);
    cosine = fmaf(z, cosine, 0.0416666456f);
    cosine = fmaf(z * z, cosine, fmaf(z, -0.5f, 1.f));
  } else {
    // Taylor series: their first omitted terms are below 1e-17 at pi/4.
    sine = 1;
    cosine = 1;
    for (int n = 16; n > 0; n -= 2) {
      sine = 1 - z * sine / (n * (n + 1));
      cosine = 1 - z * cosine / ((n + 1) * (n + 2));
    }
    sine *= a;
    cosine = 1 - z * cosine / 2;
  }
  return {upper ? cosine : sine, upper ? sine : cosine};
}

/// 1 / max(cos, sqrt(kMinSinSquared)).
template <class T>
__device__ __forceinline__ T inverseRoot(T cosine) {
  static_assert(kMinSinSquared == 1e-6);
  return 1 / fmax(cosine, T(1e-3));
}

/// The derivatives of g where its value is y, which is not NaN. Beyond the values that g takes, those at its
/// end.
template <bool Fast, class T>
__device__ __forceinline__ AngularSlopes<T> angularSlopes(AngularOperator op, const AngularFilter<T>& filter,
                                                          T y) {
  if (op == AngularOperator::Cosine) return {y, T(1), T(0)};
  if (op == AngularOperator::SquaredCosine) {
    const T c = sqrt(fabs(y));
    return {copysign(c, y), 2 * c, T(0)};
  }
  if constexpr (Fast) {
    float angle, rest = 1, gain = static_cast<float>(2 / kPi);
    if (op == AngularOperator::Linear) {
      angle = fminf(fabsf(y), 1.f) * static_cast<float>(kPi / 2);
    } else {
      const float n = fminf(fabsf(y) * filter.limit, 1 - 0x1p-24f), above = 1 + n, below = 1 - n;
      // twoK atanh n; its error is absolute, some 2^-21 twoK.
      angle = fminf((__logf(above) - __logf(below)) * (0.5f * filter.twoK), static_cast<float>(kPi / 2));
      rest = above * below;
      gain = filter.gradientGain;
    }
    const float c = copysignf(__sinf(angle), y);
    const float slope = __fdividef(rest * gain, fmaxf(__cosf(angle), 1e-3f));
    return {c, slope, y * filter.kGain - rest * copysignf(angle, y) * filter.kSlope};
  } else {
    const T magnitude = fabs(y);
    if (op == AngularOperator::Linear) {
      const T a = fmin(magnitude, T(1));
      const SinCos<T> theta = sinCosOf(a * T(kPi / 2), (1 - a) * T(kPi / 2));
      return {copysign(theta.sin, y), T(2 / kPi) * inverseRoot(theta.cos), T(0)};
    }
    constexpr T belowOne = sizeof(T) == 4 ? T(1 - 0x1p-24) : T(1 - 0x1p-53);
    constexpr T halfPiLow = sizeof(T) == 4 ? T(-4.37113883e-8) : T(6.123233995736766e-17);
    const T n = fmin(magnitude * filter.limit, belowOne), rest = (1 - n) * (1 + n);
    const T angle = fmin(atanh(n) * filter.twoK, T(kPi / 2));
    const SinCos<T> theta = sinCosOf(angle, (T(kPi / 2) - angle) + halfPiLow);
    return {copysign(theta.sin, y), rest * filter.gradientGain * inverseRoot(theta.cos),
            y * filter.kGain - rest * copysign(angle, y) * filter.kSlope};
  }
}

/// The same where c itself is known (not NaN): nothing is lost where g saturates.
template <class T>
__device__ __forceinline__ AngularSlopes<T> angularSlopesAt(AngularOperator op,
                                                            const AngularFilter<T>& filter, T c) {
  const T clamped = clampToOne(c);
  if (op == AngularOperator::Cosine) return {c, T(1), T(0)};
  if (op == AngularOperator::SquaredCosine) return {c, 2 * fabs(clamped), T(0)};
  const T inverse = inverseRoot(sqrt((1 - clamped) * (1 + clamped))), angle = asin(clamped);
  if (op == AngularOperator::Linear) return {c, T(2 / kPi) * inverse, T(0)};
  const T n = tanh(angle * filter.slope), rest = (1 - n) * (1 + n);
  return {c, rest * filter.gradientGain * inverse,
          n * filter.gain * filter.kGain - rest * angle * filter.kSlope};
}

/// Called, not inlined: float64 is for comparisons, and would be the largest part of the kernels that have
/// it.
__device__ __noinline__ inline AngularSlopes<double> doubleSlopes(AngularOperator op,
                                                                  AngularFilter<double> filter, double y) {
  return angularSlopes<false>(op, filter, y);
}
__device__ __noinline__ inline AngularSlopes<double> doubleSlopesAt(AngularOperator op,
                                                                    AngularFilter<double> filter, double c) {
  return angularSlopesAt(op, filter, c);
}

/// What one value of a SphereConv's output passes back: G = dy dg/dc, G c and dy dg/dk; zeros where y is NaN
/// (the angle is undefined there).
template <class T>
struct AngularGradient {
  T g, product, k;
};

template <bool Fast, class T>
__device__ __forceinline__ AngularGradient<T> angularGradient(AngularOperator op,
                                                              const AngularFilter<T>& filter, T y, T dy) {
  const bool defined = y == y;
  const T upstream = defined ? dy : T(0);
  AngularSlopes<T> slopes;
  if constexpr (sizeof(T) == 8) {
    slopes = doubleSlopes(op, filter, defined ? y : T(0));
  } else {
    slopes = angularSlopes<Fast>(op, filter, defined ? y : T(0));
  }
  const T gradient = upstream * slopes.slope;
  return {gradient, gradient * slopes.c, upstream * slopes.kSlope};
}

/// 1 / norm, and 0 for a norm of 0 or NaN: nothing flows back there.
template <class T>
__device__ __forceinline__ T inverseNormOf(T norm) {
  return norm > 0 ? 1 / norm : T(0);
}

}  // namespace spherenet::cuda
