// The gradient of batch normalisation at one element, with or without a ReLU behind it.
#pragma once

#include <cuda_runtime.h>

namespace spherenet::cuda {

/// Of one channel: dx = scale g + slope (x - center) + shift, which is gamma invStd (g - mean(g) - xhat
/// mean(g xhat)). g is dy, and behind a ReLU 0 where the normalised x, which is computed again, is not above
/// 0.
template <class C>
struct NormGradient {
  C center, scale, beta, slope, shift;

  __device__ __forceinline__ C at(bool relu, C x, C dy) const {
    const C d = x - center;
    const C g = throughRelu(relu, scale, d, beta, dy);
    return (scale * g + slope * d) + shift;
  }
  /// d = x - center.
  __device__ __forceinline__ static C throughRelu(bool relu, C scale, C d, C beta, C dy) {
    return relu && !(scale * d + beta > 0) ? C(0) : dy;
  }
};

}  // namespace spherenet::cuda
