// Elementary functions on vectors. The stated errors are the largest that test/native/conv_test.cc finds on a
// dense sample (every 61st float32) of the domain, on any of the instruction sets, in units in the last place
// of the float32 result. Polynomials are minimax fits of relative error (Remez exchange in float64). float64
// takes the C library's functions.
#pragma once

#include "vector.h"

namespace spherenet::cpu::simd {
namespace {

template <class S>
SPHERENET_INLINE typename S::V polynomial(typename S::V, typename S::T c0) {
  return splat<S>(c0);
}
/// c0 + c1 x + c2 x^2 + ... by Horner's rule.
template <class S, class... Rest>
SPHERENET_INLINE typename S::V polynomial(typename S::V x, typename S::T c0, typename S::T c1, Rest... rest) {
  return S::mulAdd(polynomial<S>(x, c1, rest...), x, splat<S>(c0));
}

template <class S, class F>
SPHERENET_INLINE typename S::V eachLane(typename S::V x, F f) {
  for (int i = 0; i < S::lanes; ++i) x[i] = f(x[i]);
  return x;
}

constexpr double kPi = 3.14159265358979323846;

/// asin(x) for x in [-1, 1]; error below 2.4 ULP.
template <class S>
SPHERENET_INLINE typename S::V vectorAsin(typename S::V x) {
  using V = typename S::V;
  if constexpr (sizeof(typename S::T) == 8) {
    return eachLane<S>(x, [](double v) { return __builtin_asin(v); });
  } else {
    // Above 1/2: asin x = pi/2 - 2 asin sqrt((1 - x) / 2).
    const V a = absolute<S>(x);
    const auto large = a > 0.5f;
    const V z = select<S>(large, (1.f - a) * 0.5f, a * a);
    const V root = select<S>(large, S::sqrt(z), a);
    const V p = polynomial<S>(z, 0.166667536f, 0.0749524161f, 0.0454770997f, 0.0241475999f, 0.0422185697f);
    const V s = S::mulAdd(root * z, p, root);
    return withSign<S>(select<S>(large, S::mulAdd(s, splat<S>(-2.f), splat<S>(float(kPi / 2))), s), x);
  }
}

/// tanh(x) for every x; error below 2.5 ULP.
template <class S>
SPHERENET_INLINE typename S::V vectorTanh(typename S::V x) {
  using V = typename S::V;
  if constexpr (sizeof(typename S::T) == 8) {
    return eachLane<S>(x, [](double v) { return __builtin_tanh(v); });
  } else {
    // With e = exp(2|x|) - 1, tanh |x| = e / (e + 2). 2|x| = n ln 2 + r; adding and taking away 1.5 * 2^23
    // rounds to the nearest n, and leaves n in the low bits of the sum.
    const V a = atMost<S>(absolute<S>(x) * 2.f, splat<S>(30.f));
    const V shifted = S::mulAdd(a, splat<S>(1.44269504f), splat<S>(12582912.f));
    const V n = shifted - 12582912.f;
    V r = S::mulAdd(n, splat<S>(-0.693359375f), a);
    r = S::mulAdd(n, splat<S>(2.12194440e-4f), r);
    const V p = polynomial<S>(r, 0.5f, 0.166665226f, 0.0416662171f, 0.00836920831f, 0.00139509945f);
    const V e = S::mulAdd(r * r, p, r);
    const V power = (V)(((typename S::I)shifted << 23) + 0x3f800000);
    const V m = S::mulAdd(power, e, power - 1.f);
    return withSign<S>(m / (m + 2.f), x);
  }
}

/// atanh(x) for |x| < 1; error below 3.6 ULP.
template <class S>
SPHERENET_INLINE typename S::V vectorAtanh(typename S::V x) {
  using V = typename S::V;
  using I = typename S::I;
  if constexpr (sizeof(typename S::T) == 8) {
    return eachLane<S>(x, [](double v) { return __builtin_atanh(v); });
  } else {
    // (1 + a) / (1 - a) = 2^n (1 + t) / (1 - t), so that atanh a = n ln 2 / 2 + atanh t; n need only be near
    // the exponent of the left side, which the difference of the bit patterns gives.
    const V a = absolute<S>(x);
    const I n = ((I)(1.f + a) - (I)(1.f - a) + 0x400000) >> 23;
    const V power = (V)((n << 23) + 0x3f800000);
    const V scaled = power * (1.f - a);
    const V t = select<S>(n == 0, a, ((1.f + a) - scaled) / ((1.f + a) + scaled));
    const V z = t * t;
    const V p = polynomial<S>(z, 0.333333313f, 0.200005814f, 0.142463222f, 0.121516064f);
    const V s = S::mulAdd(t * z, p, t);
    return withSign<S>(S::mulAdd(__builtin_convertvector(n, V), splat<S>(0.34657359f), s), x);
  }
}

/// pi/2 - s for s in [0, pi/2], with the low part of pi/2, so that it is precise near 0.
template <class S>
SPHERENET_INLINE typename S::V rightAngleMinus(typename S::V s) {
  using T = typename S::T;
  constexpr T low = sizeof(T) == 4 ? T(-4.37113883e-8) : T(6.123233995736766e-17);
  return (T(kPi / 2) - s) + low;
}

template <class S>
struct SinCos {
  typename S::V sin, cos;
};

/// sin and cos of s in [0, pi/2], where complement = pi/2 - s is given too: the smaller of both is used, so
/// that a cosine near 0 is as precise as the complement; error below 1.5 ULP each.
template <class S>
SPHERENET_INLINE SinCos<S> vectorSinCos(typename S::V s, typename S::V complement) {
  using V = typename S::V;
  const auto upper = s > complement;
  const V a = select<S>(upper, complement, s);
  V sine, cosine;
  if constexpr (sizeof(typename S::T) == 8) {
    sine = eachLane<S>(a, [](double v) { return __builtin_sin(v); });
    cosine = eachLane<S>(a, [](double v) { return __builtin_cos(v); });
  } else {
    const V z = a * a;
    sine = S::mulAdd(a * z, polynomial<S>(z, -0.166666552f, 0.00833215471f, -0.000195140849f), a);
    const V c = polynomial<S>(z, 0.0416666456f, -0.00138873374f, 2.44348466e-05f);
    cosine = S::mulAdd(z * z, c, S::mulAdd(z, splat<S>(-0.5f), splat<S>(1.f)));
  }
  return {select<S>(upper, cosine, sine), select<S>(upper, sine, cosine)};
}

}  // namespace
}  // namespace spherenet::cpu::simd
