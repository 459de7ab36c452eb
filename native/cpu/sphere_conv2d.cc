// SphereConv, forward, with what follows the angles in the same pass.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "angular_pass.h"
#include "batch_norm.h"
#include "cpu_ops.h"
#include "exact_angles.h"
#include "implicit_gemm.h"

namespace spherenet::cpu {
namespace {

/// Filters whose squares leave the range of T are scaled, as packed patches are; inverse norms match the
/// result.
template <class T>
struct NormedFilters {
  const T* filters;
  int64_t stride;
  const T* inverseNorms;
};

template <class T>
NormedFilters<T> normFilters(const T* filters, int64_t count, int64_t size, double epsilon, T* norms) {
  const auto& kernel = simd::kernels().set<T>();
  const simd::PatchMap map = matrixPatches(count, size);
  T* const inverse = scratch<T>(ScratchSlot::FilterNorms, count);
  const auto pass = [&](T* packed, int64_t stride) {
    std::atomic<bool> scaled{false};
    parallelRanges(count, 16, [&](int64_t begin, int64_t end) {
      simd::PackJob<T> job;
      job.map = &map;
      job.source = filters;
      job.rowBegin = begin;
      job.rowEnd = end;
      job.columnEnd = size;
      job.packed = packed ? packed + begin * stride : nullptr;
      job.packedStride = stride;
      job.norms = norms + begin;
      job.inverseNorms = inverse + begin;
      job.epsilon = epsilon;
      if (kernel.pack(job)) scaled = true;
    });
    return scaled.load();
  };
  if (!pass(nullptr, 0)) return {filters, size, inverse};
  const int64_t stride = packedRowStride<T>(size);
  T* const scaled = scratch<T>(ScratchSlot::ScaledFilters, count * stride);
  pass(scaled, stride);
  return {scaled, stride, inverse};
}

simd::Epilogue epilogueOf(AngularOperator op) {
  switch (op) {
    case AngularOperator::Cosine:
      return simd::Epilogue::Cosine;
    case AngularOperator::Linear:
      return simd::Epilogue::Linear;
    case AngularOperator::Sigmoid:
      return simd::Epilogue::Sigmoid;
    case AngularOperator::SquaredCosine:
      return simd::Epilogue::SquaredCosine;
  }
  throw std::logic_error("unknown angular operator");
}

/// What a forward pass writes.
template <class T>
struct Results {
  T *nx, *nw, *out;
  simd::Following<T> following;  // what `out` is of the angles
};

/// z = gamma (y - mean) / sqrt(variance + epsilon) + beta, as of Ops::sphereConv2dRescaled.
struct Rescaling {
  Tensor gamma, beta, mean, variance;
  double epsilon;

  template <class T>
  double meanOf(int64_t filter) const {
    return mean ? static_cast<double>(mean.as<T>()[filter]) : 0;
  }
  template <class T>
  double invStdOf(int64_t filter) const {
    return variance ? 1 / std::sqrt(static_cast<double>(variance.as<T>()[filter]) + epsilon) : 1;
  }
};

/// Laid out like filterConstants().
template <class T>
simd::Following<T> followingConstants(const Rescaling& rescaling, bool relu, int64_t filters,
                                      int64_t groups) {
  if (!rescaling.gamma) return {nullptr, nullptr, nullptr, relu};
  const int64_t groupFilters = filters / groups,
                padded = roundUp(groupFilters, simd::kernels().set<T>().panel), total = groups * padded;
  constexpr int64_t kArrays = simd::Following<T>::kArrays;
  T* const memory = scratch<T>(ScratchSlot::FollowingConstants, kArrays * total);
  std::fill_n(memory, kArrays * total, T(0));
  for (int64_t filter = 0; filter < filters; ++filter) {
    const batch_norm::Normalization<T> channel(rescaling.gamma.as<T>()[filter],
                                               rescaling.beta.as<T>()[filter], rescaling.meanOf<T>(filter),
                                               rescaling.invStdOf<T>(filter));
    T* const to = memory + filter / groupFilters * padded + filter % groupFilters;
    to[0] = channel.center, to[total] = channel.factor, to[2 * total] = channel.shift;
  }
  return {memory, memory + total, memory + 2 * total, relu};
}

/// The groups whose filters lie side by side in arrays of constants.
int64_t constantGroups(const ConvShape& s) {
  return hasTinyGroups(s) ? 1 : s.groups;
}

/// The forward pass where groups are tiny: cosines in float64, then g over the whole output.
template <class T>
void groupedSphereForward(const Conv2dParams& p, const AngularParams& a, const ConvShape& s, const T* x,
                          const T* w, const Tensor& k, const Results<T>& to) {
  constexpr double kMax = std::numeric_limits<T>::max();
  double* const inverse = scratch<double>(ScratchSlot::FilterNorms, s.o);
  for (int64_t o = 0; o < s.o; ++o) {
    double squares = a.epsilon;
    for (int64_t i = o * s.filterSize(); i < (o + 1) * s.filterSize(); ++i)
      squares += static_cast<double>(w[i]) * static_cast<double>(w[i]);
    to.nw[o] = static_cast<T>(std::min(kMax, std::sqrt(squares)));
    inverse[o] = inverseOf(std::sqrt(squares));
  }
  groupedForward<true>(p, s, x, w, [&](int64_t position, const double* products, const double* squares) {
    for (int64_t group = 0; group < s.groups; ++group) {
      double sum = a.epsilon;
      for (int64_t c = group * s.groupChannels; c < (group + 1) * s.groupChannels; ++c) sum += squares[c];
      const double norm = std::sqrt(sum), inverseNorm = inverseOf(norm);
      to.nx[position * s.groups + group] = static_cast<T>(std::min(kMax, norm));
      for (int64_t o = group * s.groupFilters; o < (group + 1) * s.groupFilters; ++o)
        to.out[position * s.o + o] = static_cast<T>(products[o] * inverseNorm * inverse[o]);
    }
  });
  simd::AnglesJob<T> job;
  job.op = a.op;
  job.filters = filterConstants(a, k, s.o, constantGroups(s), to.nw);
  job.following = to.following;
  job.columns = s.o;
  parallelRanges(s.positions(), loopGrain(s), [&](int64_t begin, int64_t end) {
    simd::AnglesJob<T> part = job;
    part.rows = end - begin;
    part.y = to.out + begin * s.o;
    simd::kernels().set<T>().angles(part);
  });
}

template <class T>
void forward(const Conv2dParams& p, const AngularParams& a, const ConvShape& s, const T* x, const T* w,
             const Tensor& k, const Results<T>& to) {
  if (hasTinyGroups(s)) return groupedSphereForward(p, a, s, x, w, k, to);
  const NormedFilters<T> normed = normFilters(w, s.o, s.filterSize(), a.epsilon, to.nw);
  const simd::FilterConstants<T> constants =
      filterConstants(a, k, s.o, constantGroups(s), normed.inverseNorms);
  const int64_t padded = roundUp(s.groupFilters, simd::kernels().set<T>().panel);
  for (int64_t group = 0; group < s.groups; ++group) {
    const simd::PatchMap map = inputPatches(p, s, group);
    const int64_t firstFilter = group * s.groupFilters;
    simd::PackJob<T> pack;
    pack.map = &map;
    pack.source = x;
    pack.norms = to.nx + group;
    pack.normStride = s.groups;
    pack.epsilon = a.epsilon;
    simd::GemmJob<T> product;
    const T* const groupFilters = normed.filters + firstFilter * normed.stride;
    product.out = to.out;
    product.epilogue = epilogueOf(a.op);
    product.filters = constants.from(group * padded);
    product.following = to.following.from(group * padded);
    filterProduct(usesWinograd(p, s), pack, product, s.groupFilters,
                  {firstFilter, s.oh * s.ow * s.o, s.ow * s.o, s.o},
                  FilterRows<T>{groupFilters, normed.stride, s.groupFilters, s.c, false, false},
                  [&] { return packFilters(groupFilters, s.groupFilters, s.filterSize(), normed.stride); });
  }
}

/// z from y, which may be z's memory, in a pass of its own.
void follow(CpuOps& ops, const Rescaling& rescaling, bool relu, const Tensor& y, const Tensor& z) {
  if (z.size() == 0) return;
  if (!rescaling.gamma) return relu ? ops.leakyRelu(0, y, z) : ops.affine(1, 0, y, z);
  withFloat(z.dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto pass = [&](auto rectified) {
      batch_norm::normalize<decltype(rectified)::value>(
          batch_norm::Layout(z.shape), y.as<T>(), rescaling.gamma.as<T>(), rescaling.beta.as<T>(),
          [&](int64_t o) { return rescaling.meanOf<T>(o); },
          [&](int64_t o) { return rescaling.invStdOf<T>(o); }, z.as<T>());
    };
    if (relu) {
      pass(std::true_type{});
    } else {
      pass(std::false_type{});
    }
  });
}

}  // namespace

void CpuOps::sphereConv2d(const Conv2dParams& p, const AngularParams& a, const Tensor& x, const Tensor& w,
                          const Tensor& k, const Tensor& y, const Tensor& nx, const Tensor& nw,
                          const Tensor& c) {
  if (c) {
    AngularParams cosine = a;
    cosine.op = AngularOperator::Cosine;
    sphereConv2d(p, cosine, x, w, {}, c, nx, nw, {});
    return exactAngles(a, c, k, y);
  }
  withFloat(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const Results<T> to{nx.as<T>(), nw.as<T>(), y.as<T>(), {}};
    forward(p, a, ConvShape(p, x.shape, w.shape, y.shape), x.as<T>(), w.as<T>(), k, to);
  });
}

void CpuOps::sphereConv2dRescaled(const Conv2dParams& p, const AngularParams& a, bool relu,
                                  double normEpsilon, const Tensor& x, const Tensor& w, const Tensor& k,
                                  const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                  const Tensor& variance, const Tensor& y, const Tensor& nx, const Tensor& nw,
                                  const Tensor& c, const Tensor& z) {
  const Rescaling rescaling{gamma, beta, mean, variance, normEpsilon};
  // z in a pass of its own: writing both in the epilogue, to two places row by row, was measured 3 to 20 %
  // slower.
  if (y || c) {
    const Tensor& angles = y ? y : z;
    sphereConv2d(p, a, x, w, k, angles, nx, nw, c);
    return follow(*this, rescaling, relu, angles, z);
  }
  withFloat(z.dtype, [&](auto zero) {
    using T = decltype(zero);
    const ConvShape s(p, x.shape, w.shape, z.shape);
    const Results<T> to{nx.as<T>(), nw.as<T>(), z.as<T>(),
                        followingConstants<T>(rescaling, relu, s.o, constantGroups(s))};
    forward(p, a, s, x.as<T>(), w.as<T>(), k, to);
  });
}

}  // namespace spherenet::cpu
