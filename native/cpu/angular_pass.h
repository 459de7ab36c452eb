// What SphereConv makes of a row of cosines or of its gradient, filter by filter: the constants of g, and the
// elementwise pass of the gradient.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <stdexcept>

#include "../ops.h"
#include "patch_rows.h"
#include "scratch.h"
#include "simd/kernels.h"

namespace spherenet::cpu {

/// 0 for 0 and for NaN.
template <class T>
T inverseOf(T norm) {
  return norm > 0 ? 1 / norm : T(0);
}

/// The constants of every filter, each group padded to whole panels.
template <class T>
simd::FilterConstants<T> filterConstants(const AngularParams& a, const Tensor& k, int64_t filters,
                                         int64_t groups, const T* inverseNorms) {
  const int64_t groupFilters = filters / groups,
                padded = roundUp(groupFilters, simd::kernels().set<T>().panel), total = groups * padded;
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

/// The elementwise pass of a SphereConv's gradient, some rows at a time (see
/// Ops::sphereConv2dAngularBackward).
template <class T>
class AngularPass {
 public:
  AngularPass(const AngularParams& a, const Tensor& y, const Tensor& k, const Tensor& nx, const Tensor& nw,
              const Tensor& dk)
      : op_(a.op), y_(y.as<T>()), nx_(nx.as<T>()), dk_(dk), filters_(nw.size()) {
    normGroups_ = nx.shape[nx.shape.rank - 1];
    depthwise_ = normGroups_ == filters_;
    groups_ = depthwise_ ? 1 : normGroups_;
    groupFilters_ = filters_ / groups_;
    padded_ = roundUp(groupFilters_, simd::kernels().set<T>().panel);
    T* const inverse = scratch<T>(ScratchSlot::FilterNorms, filters_);
    for (int64_t i = 0; i < filters_; ++i) inverse[i] = inverseOf(nw.as<T>()[i]);
    constants_ = filterConstants(a, k, filters_, groups_, inverse);
  }

  int64_t filters() const { return filters_; }
  int64_t normGroups() const { return normGroups_; }
  /// Elements that the sums of some rows take: of q, and where asked for of dk.
  int64_t sumCount() const { return (dk_ ? 2 : 1) * groups_ * padded_; }

  /// Rows [begin, end), whose dy, h and r (optional) are given; h may be dy's memory. Adds to `sums`.
  void rows(int64_t begin, int64_t end, const T* dy, T* h, T* r, T* sums) const {
    simd::AngularBackwardJob<T> job;
    job.op = op_;
    job.rows = end - begin;
    job.groups = groups_;
    job.groupFilters = groupFilters_;
    job.paddedFilters = padded_;
    job.y = y_ + begin * filters_;
    job.dy = dy;
    job.depthwise = depthwise_;
    job.nx = nx_ + begin * normGroups_;
    job.h = h;
    job.r = r;
    job.filters = constants_;
    job.qSums = sums;
    job.kSums = dk_ ? sums + groups_ * padded_ : nullptr;
    simd::kernels().set<T>().angularBackward(job);
  }

  /// Writes q and dk, from sums of ranges of rows, which lie `stride` elements apart.
  void finish(const T* sums, int64_t ranges, int64_t stride, T* q) const {
    addUp(sums, ranges, stride, [&](int64_t filter, double sum) { q[filter] = static_cast<T>(sum); });
    if (!dk_) return;
    const bool shared = dk_.size() == 1;
    double all = 0;
    addUp(sums + groups_ * padded_, ranges, stride, [&](int64_t filter, double sum) {
      all += sum;
      if (!shared) dk_.as<T>()[filter] = static_cast<T>(sum);
    });
    if (shared) dk_.as<T>()[0] = static_cast<T>(all);
  }

 private:
  /// put(filter, sum over the ranges, in float64).
  template <class Put>
  void addUp(const T* sums, int64_t ranges, int64_t stride, const Put& put) const {
    for (int64_t filter = 0; filter < filters_; ++filter) {
      const T* const at = sums + filter / groupFilters_ * padded_ + filter % groupFilters_;
      double sum = 0;
      for (int64_t range = 0; range < ranges; ++range) sum += static_cast<double>(at[range * stride]);
      put(filter, sum);
    }
  }

  AngularOperator op_;
  const T *y_, *nx_;
  Tensor dk_;
  int64_t filters_, normGroups_, groups_, groupFilters_, padded_;
  bool depthwise_;  // groups of one filter each, which count as one group
  simd::FilterConstants<T> constants_;
};

}  // namespace spherenet::cpu
