#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numbers>

#include "batch_norm.h"
#include "cpu_ops.h"
#include "exact_angles.h"
#include "implicit_gemm.h"
#include "weight_gradient.h"

namespace spherenet::cpu {
namespace {

template <class T>
T inverseOf(T norm) {
  return norm > 0 ? 1 / norm : T(0);
}

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

/// The constants of every filter, each group padded to whole panels.
template <class T>
simd::FilterConstants<T> filterConstants(const AngularParams& a, const Tensor& k, int64_t filters,
                                         int64_t groups, const T* inverseNorms) {
  const int64_t groupFilters = filters / groups;
  const int64_t padded = roundUp(groupFilters, simd::kernels().set<T>().panel), total = groups * padded;
  T* const memory = scratch<T>(ScratchSlot::FilterConstants, simd::FilterConstants<T>::kArrays * total);
  std::fill_n(memory, simd::FilterConstants<T>::kArrays * total, T(0));
  const auto array = [&](int64_t index) { return memory + index * total; };
  const simd::FilterConstants<T> c{array(0), array(1), array(2), array(3),
                                   array(4), array(5), array(6), array(7)};
  const T* const ks = k.as<T>();
  for (int64_t filter = 0; filter < filters; ++filter) {
    const int64_t at = filter / groupFilters * padded + filter % groupFilters;
    c.inverseNorm[at] = inverseNorms[filter];
    // g is even in k; 0 stands for the limit, a step.
    const double given = ks ? static_cast<double>(ks[k.size() == 1 ? 0 : filter]) : a.k;
    const double kk = std::max(std::abs(given), 1e-6), sign = given < 0 ? -1 : 1;
    const double limit = std::tanh(std::numbers::pi / (4 * kk));
    const double limitSlope = -(1 - limit * limit) * std::numbers::pi / (4 * kk * kk);
    c.slope[at] = static_cast<T>(1 / (2 * kk));
    c.gain[at] = static_cast<T>(1 / limit);
    c.twoK[at] = static_cast<T>(2 * kk);
    c.saturation[at] = static_cast<T>(limit);
    c.gradientGain[at] = static_cast<T>(1 / (2 * kk * limit));
    c.kSlope[at] = static_cast<T>(sign / (2 * kk * kk * limit));
    c.kGain[at] = static_cast<T>(-sign * limitSlope / limit);
  }
  return c;
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

/// The forward pass where groups are tiny: cosines in float64, then g over the whole output.
template <class T>
void groupedSphereForward(const Conv2dParams& p, const AngularParams& a, const ConvShape& s, const T* x,
                          const T* w, const Tensor& k, T* y, T* nx, T* nw) {
  constexpr double kMax = std::numeric_limits<T>::max();
  double* const inverse = scratch<double>(ScratchSlot::FilterNorms, s.o);
  for (int64_t o = 0; o < s.o; ++o) {
    double squares = a.epsilon;
    for (int64_t i = o * s.filterSize(); i < (o + 1) * s.filterSize(); ++i)
      squares += static_cast<double>(w[i]) * static_cast<double>(w[i]);
    nw[o] = static_cast<T>(std::min(kMax, std::sqrt(squares)));
    inverse[o] = inverseOf(std::sqrt(squares));
  }
  groupedForward<true>(p, s, x, w, [&](int64_t position, const double* products, const double* squares) {
    for (int64_t group = 0; group < s.groups; ++group) {
      double sum = a.epsilon;
      for (int64_t c = group * s.groupChannels; c < (group + 1) * s.groupChannels; ++c) sum += squares[c];
      const double norm = std::sqrt(sum), inverseNorm = inverseOf(norm);
      nx[position * s.groups + group] = static_cast<T>(std::min(kMax, norm));
      for (int64_t o = group * s.groupFilters; o < (group + 1) * s.groupFilters; ++o)
        y[position * s.o + o] = static_cast<T>(products[o] * inverseNorm * inverse[o]);
    }
  });
  const simd::FilterConstants<T> constants = filterConstants(a, k, s.o, 1, nw);
  parallelRanges(s.positions(), loopGrain(s), [&](int64_t begin, int64_t end) {
    simd::kernels().set<T>().angles(a.op, constants, y + begin * s.o, end - begin, s.o);
  });
}

template <class T>
void forward(const Conv2dParams& p, const AngularParams& a, const ConvShape& s, const T* x, const T* w,
             const Tensor& k, T* y, T* nx, T* nw) {
  if (hasTinyGroups(s)) return groupedSphereForward(p, a, s, x, w, k, y, nx, nw);
  const NormedFilters<T> normed = normFilters(w, s.o, s.filterSize(), a.epsilon, nw);
  const simd::FilterConstants<T> constants = filterConstants(a, k, s.o, s.groups, normed.inverseNorms);
  const int64_t padded = roundUp(s.groupFilters, simd::kernels().set<T>().panel);
  for (int64_t group = 0; group < s.groups; ++group) {
    const simd::PatchMap map = inputPatches(p, s, group);
    const int64_t firstFilter = group * s.groupFilters;
    simd::PackJob<T> pack;
    pack.map = &map;
    pack.source = x;
    pack.norms = nx + group;
    pack.normStride = s.groups;
    pack.epsilon = a.epsilon;
    simd::GemmJob<T> product;
    const T* const groupFilters = normed.filters + firstFilter * normed.stride;
    product.out = y;
    product.epilogue = epilogueOf(a.op);
    product.filters = constants.from(group * padded);
    filterProduct(usesWinograd(p, s), pack, product, s.groupFilters,
                  {firstFilter, s.oh * s.ow * s.o, s.ow * s.o, s.o},
                  FilterRows<T>{groupFilters, normed.stride, s.groupFilters, s.c, false, false},
                  [&] { return packFilters(groupFilters, s.groupFilters, s.filterSize(), normed.stride); });
  }
}

/// out[filter] = sum over ranges, in float64, of partial[range * stride + the filter's padded place].
template <class T, class Put>
void sumPartials(const T* partial, int64_t ranges, int64_t stride, int64_t filters, int64_t groupFilters,
                 int64_t padded, const Put& put) {
  for (int64_t filter = 0; filter < filters; ++filter) {
    const T* at = partial + filter / groupFilters * padded + filter % groupFilters;
    double sum = 0;
    for (int64_t range = 0; range < ranges; ++range) sum += static_cast<double>(at[range * stride]);
    put(filter, sum);
  }
}

/// dyOf(begin, end) gives the gradients of rows [begin, end).
template <class T, class GradientRows>
void angularBackward(const AngularParams& a, const Tensor& y, const GradientRows& dyOf, const Tensor& k,
                     const Tensor& nx, const T* nw, T* h, T* r, T* q, const Tensor& dk) {
  const auto& kernel = simd::kernels().set<T>();
  const int64_t filters = y.shape[y.shape.rank - 1], normGroups = nx.shape[nx.shape.rank - 1];
  const bool depthwise = normGroups == filters;
  const int64_t groups = depthwise ? 1 : normGroups;
  const int64_t rows = y.size() / filters, groupFilters = filters / groups;
  const int64_t padded = roundUp(groupFilters, kernel.panel), total = groups * padded;
  T* const inverse = scratch<T>(ScratchSlot::FilterNorms, filters);
  for (int64_t i = 0; i < filters; ++i) inverse[i] = inverseOf(nw[i]);
  const simd::FilterConstants<T> constants = filterConstants(a, k, filters, groups, inverse);

  // Ranges of some 16,000 elements; each adds up q and dk for itself.
  const int64_t grain = std::clamp<int64_t>(16384 / filters, 16, 1024), ranges = ceilDivide(rows, grain);
  const int64_t stride = dk ? 2 * total : total;
  T* const partial = scratch<T>(ScratchSlot::Partials, ranges * stride);
  parallelRanges(rows, grain, [&](int64_t begin, int64_t end) {
    simd::AngularBackwardJob<T> job;
    job.op = a.op;
    job.rows = end - begin;
    job.groups = groups;
    job.groupFilters = groupFilters;
    job.paddedFilters = padded;
    job.y = y.as<T>() + begin * filters;
    job.dy = dyOf(begin, end);
    job.depthwise = depthwise;
    job.nx = nx.as<T>() + begin * normGroups;
    job.h = h + begin * filters;
    job.r = r + begin * normGroups;
    job.filters = constants;
    job.qSums = partial + begin / grain * stride;
    job.kSums = dk ? job.qSums + total : nullptr;
    std::fill_n(job.qSums, stride, T(0));
    kernel.angularBackward(job);
  });
  sumPartials(partial, ranges, stride, filters, groupFilters, padded,
              [&](int64_t filter, double sum) { q[filter] = static_cast<T>(sum); });
  if (!dk) return;
  const bool shared = dk.size() == 1;
  double all = 0;
  sumPartials(partial + total, ranges, stride, filters, groupFilters, padded,
              [&](int64_t filter, double sum) {
                all += sum;
                if (!shared) dk.as<T>()[filter] = static_cast<T>(sum);
              });
  if (shared) dk.as<T>()[0] = static_cast<T>(all);
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
    forward(p, a, ConvShape(p, x.shape, w.shape, y.shape), x.as<T>(), w.as<T>(), k, y.as<T>(), nx.as<T>(),
            nw.as<T>());
  });
}

void CpuOps::sphereConv2dAngularBackward(const AngularParams& a, const Tensor& y, const Tensor& c,
                                         const Tensor& dy, const Tensor& k, const Tensor& nx,
                                         const Tensor& nw, const Tensor& h, const Tensor& r, const Tensor& q,
                                         const Tensor& dk) {
  if (c) return exactAngularBackward(a, c, dy, k, nx, nw, h, r, q, dk);
  withFloat(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const int64_t filters = nw.size();
    const auto dyOf = [&](int64_t begin, int64_t) { return dy.as<T>() + begin * filters; };
    angularBackward(a, y, dyOf, k, nx, nw.as<T>(), h.as<T>(), r.as<T>(), q.as<T>(), dk);
  });
}

void CpuOps::sphereConv2dRescaled(const Conv2dParams& p, const AngularParams& a, bool relu,
                                  double normEpsilon, const Tensor& x, const Tensor& w, const Tensor& k,
                                  const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                  const Tensor& variance, const Tensor& y, const Tensor& nx, const Tensor& nw,
                                  const Tensor& c, const Tensor& z) {
  const Tensor& angles = y ? y : z;
  sphereConv2d(p, a, x, w, k, angles, nx, nw, c);
  if (z.size() == 0) return;
  if (!gamma) {
    if (relu) return leakyRelu(0, angles, z);
    if (y) cast(1, 0, y, z);
    return;
  }
  withFloat(z.dtype, [&](auto zero) {
    using T = decltype(zero);
    const batch_norm::Layout layout(z.shape);
    const auto centerOf = [&](int64_t o) { return mean ? mean.as<T>()[o] : T(0); };
    const auto factorOf = [&](int64_t o) {
      return variance ? 1 / std::sqrt(static_cast<double>(variance.as<T>()[o]) + normEpsilon) : 1.0;
    };
    const auto pass = [&](auto rectified) {
      batch_norm::normalize<decltype(rectified)::value>(layout, angles.as<T>(), gamma.as<T>(), beta.as<T>(),
                                                        centerOf, factorOf, z.as<T>());
    };
    if (relu) {
      pass(std::true_type{});
    } else {
      pass(std::false_type{});
    }
  });
}

void CpuOps::sphereConv2dNormBackward(const AngularParams& a, bool relu, const Tensor& y, const Tensor& c,
                                      const Tensor& k, const Tensor& nx, const Tensor& nw,
                                      const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                      const Tensor& invStd, const Tensor& dz, const Tensor& h,
                                      const Tensor& r, const Tensor& q, const Tensor& dk,
                                      const Tensor& dgamma, const Tensor& dbeta) {
  if (!gamma && !relu) return sphereConv2dAngularBackward(a, y, c, dz, k, nx, nw, h, r, q, dk);
  withFloat(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const int64_t filters = nw.size();
    const auto pass = [&](const auto& gradient) {
      if (c) {
        const Tensor dy{scratchBytes(ScratchSlot::NormGradient, y.bytes()), y.dtype, y.shape};
        gradient.all(dy.as<T>());
        return sphereConv2dAngularBackward(a, y, c, dy, k, nx, nw, h, r, q, dk);
      }
      // Some rows at a time, so that dy stays in the cache.
      const auto dyOf = [&](int64_t begin, int64_t end) {
        T* const rows = scratch<T>(ScratchSlot::NormGradient, (end - begin) * filters);
        gradient.rows(begin, end, rows);
        return rows;
      };
      angularBackward(a, y, dyOf, k, nx, nw.as<T>(), h.as<T>(), r.as<T>(), q.as<T>(), dk);
    };
    if (relu) {
      pass(batch_norm::Gradient<T, true>(y, gamma, beta, mean, invStd, dz, dgamma, dbeta));
    } else {
      pass(batch_norm::Gradient<T, false>(y, gamma, beta, mean, invStd, dz, dgamma, dbeta));
    }
  });
}

void CpuOps::sphereConv2dFilterBackward(const Conv2dParams& p, const AngularParams& a, bool relu,
                                        const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& c,
                                        const Tensor& k, const Tensor& nx, const Tensor& nw,
                                        const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                        const Tensor& invStd, const Tensor& dz, const Tensor& dw,
                                        const Tensor& dk, const Tensor& dgamma, const Tensor& dbeta) {
  // 64 bytes for each, so that all three are aligned.
  const size_t hBytes = (y.bytes() + 63) / 64 * 64, rBytes = (nx.bytes() + 63) / 64 * 64;
  char* const memory =
      static_cast<char*>(scratchBytes(ScratchSlot::FilterGradient, hBytes + rBytes + nw.bytes()));
  const Tensor h{memory, y.dtype, y.shape}, r{memory + hBytes, nx.dtype, nx.shape},
      q{memory + hBytes + rBytes, nw.dtype, nw.shape};
  sphereConv2dNormBackward(a, relu, y, c, k, nx, nw, gamma, beta, mean, invStd, dz, h, r, q, dk, dgamma,
                           dbeta);
  sphereConv2dWeightGradient(p, x, h, w, q, nw, dw);
}

void CpuOps::sphereConv2dDataGradient(const Conv2dParams& p, const Tensor& h, const Tensor& w,
                                      const Tensor& x, const Tensor& r, const Tensor& dx) {
  withFloat(dx.dtype, [&](auto zero) {
    using T = decltype(zero);
    dataGradient(p, ConvShape(p, dx.shape, w.shape, h.shape), h.as<T>(), w.as<T>(), x.as<T>(), r.as<T>(),
                 dx.as<T>());
  });
}

void CpuOps::sphereConv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& h,
                                        const Tensor& w, const Tensor& q, const Tensor& nw,
                                        const Tensor& dw) {
  withFloat(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const ConvShape s(p, x.shape, w.shape, h.shape);
    const T *filters = w.as<T>(), *sums = q.as<T>(), *norms = nw.as<T>();
    T* const gradient = dw.as<T>();
    weightGradient(p, s, x.as<T>(), h.as<T>(), true, gradient,
                   [&](int64_t filter, int64_t begin, int64_t end) {
                     const T inverse = inverseOf(norms[filter]), factor = sums[filter] * inverse * inverse;
                     const int64_t first = filter * s.filterSize();
                     for (int64_t i = first + begin; i < first + end; ++i)
                       if (filters[i] - filters[i] == 0) gradient[i] -= filters[i] * factor;
                   });
  });
}

}  // namespace spherenet::cpu
