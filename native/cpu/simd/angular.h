// The elementwise pass of the SphereConv gradient: c is recovered from the saved output, so nothing but the
// output and the norms has to be kept from the forward pass.
#pragma once

#include "math.h"
#include "vector.h"

namespace spherenet::cpu::simd {
namespace {

template <class S>
struct Angle {
  typename S::V cosine;      // c
  typename S::V derivative;  // dg/dc
  typename S::V kDerivative;
};

/// Root of 1 - c^2, not below that of kMinSinSquared.
template <class S>
SPHERENET_INLINE typename S::V floored(typename S::V root) {
  return atLeast<S>(root, splat<S>(typename S::T(1e-3)));
}
static_assert(kMinSinSquared == 1e-6);

/// tanh of s / 2k, s = asin |c|, from y = g(c); below 1, where its inverse ends.
template <class S>
SPHERENET_INLINE typename S::V recoverTanh(typename S::V y, const FilterConstants<typename S::T>& f,
                                           int64_t filter) {
  using T = typename S::T;
  constexpr T belowOne = sizeof(T) == 4 ? T(1 - 0x1p-24) : T(1 - 0x1p-53);
  return atMost<S>(absolute<S>(y) * load<S>(f.saturation + filter), splat<S>(belowOne));
}

/// The first stage of recovering an angle, apart for the reason given at angle(): s for the sigmoid, else
/// nothing.
template <class S, AngularOperator Op>
SPHERENET_INLINE typename S::V recoverArc(typename S::V y, const FilterConstants<typename S::T>& f,
                                          int64_t filter) {
  using T = typename S::T;
  if constexpr (Op == AngularOperator::Sigmoid) {
    const auto n = recoverTanh<S>(y, f, filter);
    return atMost<S>(vectorAtanh<S>(n) * load<S>(f.twoK + filter), splat<S>(T(kPi / 2)));
  } else {
    return y;
  }
}

/// `f` points at the constants of the vector's first filter. With s = asin c and N = tanh(s / 2k), D =
/// tanh(pi / 4k): g = N / D, dg/dc = (1 - N^2) / (2k D root), dg/dk = -(1 - N^2) s / (2 k^2 D) - g D'/D.
template <class S, AngularOperator Op>
SPHERENET_INLINE Angle<S> recoverAngle(typename S::V y, typename S::V arc,
                                       const FilterConstants<typename S::T>& f, int64_t filter) {
  using V = typename S::V;
  using T = typename S::T;
  const V zero{};
  if constexpr (Op == AngularOperator::Cosine) {
    return {y, splat<S>(1), zero};
  } else if constexpr (Op == AngularOperator::SquaredCosine) {
    const V c = S::sqrt(absolute<S>(y));
    return {withSign<S>(c, y), c * 2, zero};
  } else if constexpr (Op == AngularOperator::Linear) {
    const V a = atMost<S>(absolute<S>(y), splat<S>(1));
    const auto angle = vectorSinCos<S>(a * T(kPi / 2), (1 - a) * T(kPi / 2));
    return {withSign<S>(angle.sin, y), T(2 / kPi) / floored<S>(angle.cos), zero};
  } else {
    const V n = recoverTanh<S>(y, f, filter);
    const auto angle = vectorSinCos<S>(arc, rightAngleMinus<S>(arc));
    const V rest = (1 - n) * (1 + n);
    const V derivative = rest * load<S>(f.gradientGain + filter) / floored<S>(angle.cos);
    const V signedS = withSign<S>(arc, y);
    const V kDerivative = y * load<S>(f.kGain + filter) - rest * signedS * load<S>(f.kSlope + filter);
    return {withSign<S>(angle.sin, y), derivative, kDerivative};
  }
}

/// 0 for 0 and for NaN.
template <class S>
SPHERENET_INLINE typename S::V inverseOf(typename S::V norm) {
  return select<S>(norm > typename S::V{}, 1 / norm, typename S::V{});
}

template <class S, AngularOperator Op, bool Depthwise>
void angularBackwardWith(const AngularBackwardJob<typename S::T>& job) {
  using V = typename S::V;
  constexpr int64_t kChunk = 8 * S::lanes;
  const int64_t columns = job.groups * job.groupFilters;
  V arcs[kChunk / S::lanes];
  for (int64_t row = 0; row < job.rows; ++row) {
    for (int64_t group = 0; group < job.groups; ++group) {
      V inverse{};
      if constexpr (!Depthwise) inverse = inverseOf<S>(splat<S>(job.nx[row * job.groups + group]));
      const int64_t first = row * columns + group * job.groupFilters;
      V products{};
      for (int64_t j = 0; j < job.groupFilters; j += S::lanes) {
        const int64_t filter = group * job.paddedFilters + j, width = job.groupFilters - j;
        if (j % kChunk == 0)
          for (int64_t i = 0; i < kChunk && i < width; i += S::lanes)
            arcs[i / S::lanes] =
                recoverArc<S, Op>(loadPart<S>(job.y + first + j + i, width - i), job.filters, filter + i);
        const V y = loadPart<S>(job.y + first + j, width), dy = loadPart<S>(job.dy + first + j, width);
        if constexpr (Depthwise) inverse = inverseOf<S>(loadPart<S>(job.nx + first + j, width));
        const Angle<S> angle = recoverAngle<S, Op>(y, arcs[j % kChunk / S::lanes], job.filters, filter);
        // Where the angle is undefined (NaN or infinities in the patch), nothing flows back.
        const auto defined = y == y;
        const V gradient = select<S>(defined, dy * angle.derivative, V{});
        const V product = select<S>(defined, gradient * angle.cosine, V{});
        storePart<S>(job.h + first + j, gradient * inverse * load<S>(job.filters.inverseNorm + filter),
                     width);
        if constexpr (Depthwise) {
          if (job.r) storePart<S>(job.r + first + j, product * inverse * inverse, width);
        } else {
          products += product;
        }
        store<S>(job.qSums + filter, load<S>(job.qSums + filter) + product);
        if (Op == AngularOperator::Sigmoid && job.kSums) {
          const V k = select<S>(defined, dy * angle.kDerivative, V{});
          store<S>(job.kSums + filter, load<S>(job.kSums + filter) + k);
        }
      }
      if (!Depthwise && job.r) job.r[row * job.groups + group] = S::sum(products) * inverse[0] * inverse[0];
    }
  }
}

template <class S, bool Depthwise>
void angularBackwardFor(const AngularBackwardJob<typename S::T>& job) {
  switch (job.op) {
    case AngularOperator::Cosine:
      return angularBackwardWith<S, AngularOperator::Cosine, Depthwise>(job);
    case AngularOperator::Linear:
      return angularBackwardWith<S, AngularOperator::Linear, Depthwise>(job);
    case AngularOperator::Sigmoid:
      return angularBackwardWith<S, AngularOperator::Sigmoid, Depthwise>(job);
    case AngularOperator::SquaredCosine:
      return angularBackwardWith<S, AngularOperator::SquaredCosine, Depthwise>(job);
  }
}

template <class S>
void angularBackward(const AngularBackwardJob<typename S::T>& job) {
  return job.depthwise ? angularBackwardFor<S, true>(job) : angularBackwardFor<S, false>(job);
}

}  // namespace
}  // namespace spherenet::cpu::simd
