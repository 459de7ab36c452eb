// Norms within what float32 can do, and norms and cosines in float64 where they are not.
#pragma once

#include <cfloat>

#include "gather.cuh"

namespace spherenet::cuda {

/// 1 / sqrt(squares), where that and products of two such vectors are well inside of float32; else NaN, and
/// the row or column is computed again by exactTile().
__device__ __forceinline__ float inverseNorm(float squares) {
  return squares >= 1e-30f && squares <= 1e36f ? 1.0f / sqrtf(squares) : __uint_as_float(0x7fffffffu);
}

__device__ __forceinline__ float clampedNorm(double squares) {
  const double norm = sqrt(squares);
  return norm > static_cast<double>(FLT_MAX) ? FLT_MAX : static_cast<float>(norm);
}

struct ExactSums {
  double products, squares;
};

/// <patch, filter> and the patch's sum of squares in float64, the padding as zeros. `patch` points at the
/// place of the first tap, (h, w), which may lie outside of the image.
template <class T>
__device__ __noinline__ ExactSums exactSums(const Gather& g, const T* patch, int h, int w, const T* filter) {
  ExactSums sums{0, 0};
  for (int down = 0; down < g.h.taps; ++down)
    for (int across = 0; across < g.w.taps; ++across) {
      const bool inside = static_cast<unsigned>(h + down * g.h.step) < static_cast<unsigned>(g.h.source) &&
                          static_cast<unsigned>(w + across * g.w.step) < static_cast<unsigned>(g.w.source);
      const T* const pixel = patch + (down * g.downTaps() + across * g.acrossTaps());
      for (int c = 0; c < g.groupChannels; ++c, ++filter) {
        const double x = inside ? static_cast<double>(toCompute(pixel[c])) : 0.0;
        sums.products += x * static_cast<double>(toCompute(*filter));
        sums.squares += x * x;
      }
    }
  return sums;
}

template <class T>
__device__ __noinline__ double exactSquares(const T* filter, int depth) {
  double sum = 0;
  for (int k = 0; k < depth; ++k) {
    const double w = static_cast<double>(toCompute(filter[k]));
    sum += w * w;
  }
  return sum;
}

/// The cosine of one patch and one filter; 0 where one of them is zero and so is epsilon.
template <class T>
__device__ __noinline__ float exactCosine(const Gather& g, const T* patch, int h, int w, const T* filter,
                                          float epsilon) {
  const ExactSums sums = exactSums(g, patch, h, w, filter);
  const double norms = sqrt(sums.squares + static_cast<double>(epsilon)) *
                       sqrt(exactSquares(filter, g.depth()) + static_cast<double>(epsilon));
  return norms == 0 ? 0.0f : static_cast<float>(sums.products / norms);
}

}  // namespace spherenet::cuda
