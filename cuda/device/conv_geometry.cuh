// The extents of a convolution as kernels take them, and positions of its output that are walked without
// divisions.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../../native/conv_shape.h"

namespace spherenet::cuda {

/// Extents fit into 32 bits, products of them need not.
struct ConvGeometry {
  int images = 0, h = 0, w = 0, c = 0, o = 0, kh = 0, kw = 0, oh = 0, ow = 0;
  int groups = 1, groupChannels = 0, groupFilters = 0;
  int strideH = 1, strideW = 1, padTop = 0, padLeft = 0, dilationH = 1, dilationW = 1;

  ConvGeometry() = default;
  ConvGeometry(const Conv2dParams& p, const ConvShape& s)
      : images(static_cast<int>(s.images)),
        h(static_cast<int>(s.h)),
        w(static_cast<int>(s.w)),
        c(static_cast<int>(s.c)),
        o(static_cast<int>(s.o)),
        kh(static_cast<int>(s.kh)),
        kw(static_cast<int>(s.kw)),
        oh(static_cast<int>(s.oh)),
        ow(static_cast<int>(s.ow)),
        groups(static_cast<int>(s.groups)),
        groupChannels(static_cast<int>(s.groupChannels)),
        groupFilters(static_cast<int>(s.groupFilters)),
        strideH(p.strideH),
        strideW(p.strideW),
        padTop(p.padTop),
        padLeft(p.padLeft),
        dilationH(p.dilationH),
        dilationW(p.dilationW) {}

  __host__ __device__ int64_t positions() const { return int64_t{images} * oh * ow; }
  __host__ __device__ int filterSize() const { return kh * kw * groupChannels; }
};

/// a / b and a % b; 64-bit divisions only where 32 bits do not hold a.
struct Quotient {
  int64_t value, rest;
};
__host__ __device__ inline Quotient divide(int64_t a, int b) {
  if (a >> 32 == 0) {
    const uint32_t q = static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
    return {q, static_cast<int64_t>(static_cast<uint32_t>(a) - q * static_cast<uint32_t>(b))};
  }
  return {a / b, a % b};
}

/// An output position (image, i, j), or the distance of two.
struct Position {
  int image = 0, i = 0, j = 0;

  __host__ __device__ static Position at(const ConvGeometry& g, int64_t index) {
    const Quotient row = divide(index, g.ow), top = divide(row.value, g.oh);
    return {static_cast<int>(top.value), static_cast<int>(top.rest), static_cast<int>(row.rest)};
  }

  __device__ __forceinline__ void advance(const ConvGeometry& g, const Position& distance) {
    image += distance.image;
    i += distance.i;
    j += distance.j;
    if (j >= g.ow) j -= g.ow, ++i;
    if (i >= g.oh) i -= g.oh, ++image;
  }

  /// The input coordinates of the patch's first tap; they may lie in the padding.
  __device__ __forceinline__ int top(const ConvGeometry& g) const { return i * g.strideH - g.padTop; }
  __device__ __forceinline__ int left(const ConvGeometry& g) const { return j * g.strideW - g.padLeft; }
};

}  // namespace spherenet::cuda
