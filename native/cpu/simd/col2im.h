// Sums over the patches that hold a pixel, for images of few channels.
#pragma once

#include "patches.h"

namespace spherenet::cpu::simd {
namespace {

/// Grid position whose tap t is at image coordinate `at`; -1 where there is none.
SPHERENET_INLINE int64_t gridOf(const TapAxis& axis, int64_t at, int64_t tap) {
  const int64_t distance = at - axis.first - tap * axis.step;
  if (distance < 0 || distance % axis.stride != 0 || distance / axis.stride >= axis.grid) return -1;
  return distance / axis.stride;
}

/// Adds what the patches of grid line i have for tap (th, tw) to the pixels of a line.
template <class S>
void addTap(const Col2imJob<typename S::T>& job, int64_t i, int64_t th, int64_t tw, typename S::T* sums,
            typename S::T* factors) {
  using T = typename S::T;
  const PatchMap& m = *job.map;
  const T* const from =
      job.patches + (i - job.gridBegin) * m.w.grid * job.patchStride + (th * m.w.taps + tw) * m.groupChannels;
  const int64_t firstRow = (job.image * m.h.grid + i) * m.w.grid, base = m.w.first + tw * m.w.step;
  int64_t begin = base < 0 ? (-base + m.w.stride - 1) / m.w.stride : 0;
  for (int64_t j = begin, x = base + begin * m.w.stride; j < m.w.grid && x < m.w.source;
       ++j, x += m.w.stride) {
    store<S>(sums + x * S::lanes, load<S>(sums + x * S::lanes) + load<S>(from + j * job.patchStride));
    if (job.rowFactors) factors[x] += job.rowFactors[(firstRow + j) * job.rowFactorStride];
  }
}

template <class S>
void col2im(const Col2imJob<typename S::T>& job) {
  using T = typename S::T;
  const PatchMap& m = *job.map;
  T *const sums = job.line, *const factors = job.line + m.w.source * S::lanes;
  for (int64_t line = job.lineBegin; line < job.lineEnd; ++line) {
    zeroRun<S>(sums, m.w.source * (S::lanes + 1));
    for (int64_t th = 0; th < m.h.taps; ++th) {
      const int64_t i = gridOf(m.h, line, th);
      if (i < 0) continue;
      for (int64_t tw = 0; tw < m.w.taps; ++tw) addTap<S>(job, i, th, tw, sums, factors);
    }
    for (int64_t x = 0; x < m.w.source; ++x) {
      const int64_t at = ((job.image * m.h.source + line) * m.w.source + x) * m.channels + m.firstChannel;
      auto v = load<S>(sums + x * S::lanes);
      if (job.rowFactors) v -= finiteOrZero<S>(loadPart<S>(job.other + at, m.groupChannels)) * factors[x];
      storePart<S>(job.out + at, v, m.groupChannels);
    }
  }
}

}  // namespace
}  // namespace spherenet::cpu::simd
