// The patches of a convolution and those of its data gradient as matrices.
#pragma once

#include <cstdint>
#include <numeric>

#include "../conv_shape.h"
#include "simd/kernels.h"

namespace spherenet::cpu {

/// Rows: output positions; columns: the elements of a filter.
inline simd::PatchMap inputPatches(const Conv2dParams& p, const ConvShape& s, int64_t group) {
  simd::PatchMap map;
  map.images = s.images;
  map.h = {s.oh, p.strideH, -p.padTop, p.dilationH, s.kh, s.h};
  map.w = {s.ow, p.strideW, -p.padLeft, p.dilationW, s.kw, s.w};
  map.channels = s.c;
  map.firstChannel = group * s.groupChannels;
  map.groupChannels = s.groupChannels;
  return map;
}

/// A row-major matrix as patches of one tap.
inline simd::PatchMap matrixPatches(int64_t rows, int64_t columns) {
  simd::PatchMap map;
  map.images = rows;
  map.channels = map.groupChannels = columns;
  return map;
}

/// One axis of one phase of the data gradient: the input coordinates phase + stride * i receive from output
/// coordinate i + axis.first + t * axis.step through tap firstTap - t * tapStep of the filter.
struct GradientAxis {
  simd::TapAxis axis;
  int64_t firstTap = 0, tapStep = 1;
};

inline GradientAxis gradientAxis(int64_t phase, int64_t stride, int64_t pad, int64_t dilation, int64_t taps,
                                 int64_t input, int64_t output) {
  const int64_t common = std::gcd(stride, dilation);
  GradientAxis g;
  g.axis.grid = (input - phase + stride - 1) / stride;
  g.axis.source = output;
  g.axis.step = dilation / common;
  g.axis.taps = 0;
  g.tapStep = stride / common;
  for (int64_t tap = taps - 1; tap >= 0; --tap) {
    const int64_t distance = phase + pad - tap * dilation;
    if (distance % stride) continue;
    g.firstTap = tap;
    g.axis.first = distance / stride;
    g.axis.taps = tap / g.tapStep + 1;
    break;
  }
  return g;
}

}  // namespace spherenet::cpu
