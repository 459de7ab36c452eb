// Convolutions whose groups have next to no channels and filters (depthwise ones above all): a matrix product
// per group would have nothing to work on, so these are loops over taps and, innermost, over all channels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "conv_shape.h"
#include "parallel.h"
#include "scratch.h"

namespace spherenet::cpu {

/// Up to here the loops are faster than one matrix product per group.
inline bool hasTinyGroups(const ConvShape& s) {
  return s.groups > 1 && s.groupChannels * s.groupFilters <= 6;
}

/// Filters [o, taps, groupChannels] as [taps, o, groupChannels]. finiteOnly: NaN and infinities become 0.
template <class T>
const T* tapsFirst(const ConvShape& s, const T* filters, bool finiteOnly) {
  const int64_t taps = s.kh * s.kw;
  T* const out = scratch<T>(ScratchSlot::PackedWeights, s.o * s.filterSize());
  for (int64_t o = 0; o < s.o; ++o)
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t c = 0; c < s.groupChannels; ++c) {
        const T value = filters[(o * taps + tap) * s.groupChannels + c];
        out[(tap * s.o + o) * s.groupChannels + c] = finiteOnly && !std::isfinite(value) ? T(0) : value;
      }
  return out;
}

/// Calls body(tap, pixel) for the taps of the patch at a position that lie inside the image.
template <class Body>
void forEachTap(const Conv2dParams& p, const ConvShape& s, int64_t position, const Body& body) {
  const int64_t image = position / (s.oh * s.ow), i = position / s.ow % s.oh, j = position % s.ow;
  for (int64_t kh = 0; kh < s.kh; ++kh) {
    const int64_t y = i * p.strideH - p.padTop + kh * p.dilationH;
    if (y < 0 || y >= s.h) continue;
    for (int64_t kw = 0; kw < s.kw; ++kw) {
      const int64_t x = j * p.strideW - p.padLeft + kw * p.dilationW;
      if (x >= 0 && x < s.w) body(kh * s.kw + kw, (image * s.h + y) * s.w + x);
    }
  }
}

/// The reverse: calls body(tap, position) for the patches that hold a pixel.
template <class Body>
void forEachPatch(const Conv2dParams& p, const ConvShape& s, int64_t pixel, const Body& body) {
  const int64_t image = pixel / (s.h * s.w), y = pixel / s.w % s.h, x = pixel % s.w;
  for (int64_t kh = 0; kh < s.kh; ++kh) {
    const int64_t i = y + p.padTop - kh * p.dilationH;
    if (i < 0 || i % p.strideH || i / p.strideH >= s.oh) continue;
    for (int64_t kw = 0; kw < s.kw; ++kw) {
      const int64_t j = x + p.padLeft - kw * p.dilationW;
      if (j < 0 || j % p.strideW || j / p.strideW >= s.ow) continue;
      body(kh * s.kw + kw, (image * s.oh + i / p.strideH) * s.ow + j / p.strideW);
    }
  }
}

/// Positions or pixels per task.
inline int64_t loopGrain(const ConvShape& s) {
  return std::max<int64_t>(1, 4096 / std::max(s.c, s.o));
}

/// y = products. finish(position, y, squares) gets them in float64 with the sum of squares of every input
/// channel (where Squares), and writes the row of results.
template <bool Squares, class T, class Finish>
void groupedForward(const Conv2dParams& p, const ConvShape& s, const T* x, const T* filters,
                    const Finish& finish) {
  const T* const w = tapsFirst(s, filters, false);
  const bool depthwise = s.groupChannels == 1 && s.groupFilters == 1;
  parallelRanges(s.positions(), loopGrain(s), [&](int64_t begin, int64_t end) {
    double* const y = scratch<double>(ScratchSlot::Output, s.o + s.c);
    double* const squares = y + s.o;
    for (int64_t position = begin; position < end; ++position) {
      std::fill_n(y, s.o + s.c, 0.0);
      forEachTap(p, s, position, [&](int64_t tap, int64_t pixel) {
        const T* const from = x + pixel * s.c;
        const T* const weights = w + tap * s.o * s.groupChannels;
        if (depthwise) {
          for (int64_t c = 0; c < s.c; ++c)
            y[c] += static_cast<double>(weights[c]) * static_cast<double>(from[c]);
        } else {
          for (int64_t o = 0; o < s.o; ++o)
            for (int64_t c = 0, first = o / s.groupFilters * s.groupChannels; c < s.groupChannels; ++c)
              y[o] += static_cast<double>(weights[o * s.groupChannels + c]) *
                      static_cast<double>(from[first + c]);
        }
        if constexpr (Squares)
          for (int64_t c = 0; c < s.c; ++c)
            squares[c] += static_cast<double>(from[c]) * static_cast<double>(from[c]);
      });
      finish(position, y, squares);
    }
  });
}

/// dx = transposed conv(dy, filters), and with r given - x * box(r).
template <class T>
void groupedDataGradient(const Conv2dParams& p, const ConvShape& s, const T* dy, const T* filters, const T* x,
                         const T* r, T* dx) {
  const T* const w = tapsFirst(s, filters, r != nullptr);
  const bool depthwise = s.groupChannels == 1 && s.groupFilters == 1;
  parallelRanges(s.images * s.h * s.w, loopGrain(s), [&](int64_t begin, int64_t end) {
    T* const box = scratch<T>(ScratchSlot::Output, s.groups);
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      T* const to = dx + pixel * s.c;
      std::fill_n(to, s.c, T(0));
      std::fill_n(box, s.groups, T(0));
      forEachPatch(p, s, pixel, [&](int64_t tap, int64_t position) {
        const T* const from = dy + position * s.o;
        const T* const weights = w + tap * s.o * s.groupChannels;
        if (depthwise) {
          for (int64_t c = 0; c < s.c; ++c) to[c] += weights[c] * from[c];
        } else {
          for (int64_t o = 0; o < s.o; ++o)
            for (int64_t c = 0, first = o / s.groupFilters * s.groupChannels; c < s.groupChannels; ++c)
              to[first + c] += weights[o * s.groupChannels + c] * from[o];
        }
        if (r)
          for (int64_t group = 0; group < s.groups; ++group) box[group] += r[position * s.groups + group];
      });
      if (!r) continue;
      for (int64_t c = 0; c < s.c; ++c) {
        const T value = x[pixel * s.c + c];
        if (value - value == 0) to[c] -= value * box[c / s.groupChannels];
      }
    }
  });
}

/// See weightGradient in implicit_gemm.h. Tasks own ranges of groups, and add up in float64.
template <class T, class Finish>
void groupedWeightGradient(const Conv2dParams& p, const ConvShape& s, const T* x, const T* dy,
                           bool finiteOnly, T* dw, const Finish& finish) {
  const int64_t grain = std::max<int64_t>(16, s.groups / (2 * threadCount())), taps = s.kh * s.kw;
  parallelRanges(s.groups, grain, [&](int64_t begin, int64_t end) {
    const int64_t groups = end - begin, filters = groups * s.groupFilters,
                  firstFilter = begin * s.groupFilters;
    const int64_t channels = groups * s.groupChannels, perTap = filters * s.groupChannels;
    const bool depthwise = s.groupChannels == 1 && s.groupFilters == 1;
    double* const sums = scratch<double>(ScratchSlot::Output, taps * perTap + channels);
    double* const pixelValues = sums + taps * perTap;
    std::fill_n(sums, taps * perTap, 0.0);
    for (int64_t position = 0; position < s.positions(); ++position) {
      const T* const h = dy + position * s.o + firstFilter;
      forEachTap(p, s, position, [&](int64_t tap, int64_t pixel) {
        const T* const from = x + pixel * s.c + begin * s.groupChannels;
        for (int64_t c = 0; c < channels; ++c)
          pixelValues[c] = finiteOnly && !(from[c] - from[c] == 0) ? 0.0 : static_cast<double>(from[c]);
        double* const to = sums + tap * perTap;
        if (depthwise) {
          for (int64_t c = 0; c < channels; ++c) to[c] += pixelValues[c] * static_cast<double>(h[c]);
        } else {
          for (int64_t o = 0; o < filters; ++o)
            for (int64_t c = 0, first = o / s.groupFilters * s.groupChannels; c < s.groupChannels; ++c)
              to[o * s.groupChannels + c] += pixelValues[first + c] * static_cast<double>(h[o]);
        }
      });
    }
    for (int64_t o = 0; o < filters; ++o) {
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t c = 0; c < s.groupChannels; ++c)
          dw[((firstFilter + o) * taps + tap) * s.groupChannels + c] =
              static_cast<T>(sums[tap * perTap + o * s.groupChannels + c]);
      finish(firstFilter + o, 0, s.filterSize());
    }
  });
}

}  // namespace spherenet::cpu
