// A SphereNorm, given statistics and a ReLU behind the angles of a SphereConv, on the device.
#pragma once

#include <cuda_runtime.h>

#include "rescaling.h"

namespace spherenet::cuda {

/// z = (y - center) * factor + shift of one filter. As in a normalisation of its own, subtracting comes
/// first: it keeps the digits that y * factor + (shift - center * factor) would lose.
template <class C>
struct FilterRescaling {
  C center, factor, shift;

  /// Where `relu` not less than 0; NaN stays NaN.
  __device__ __forceinline__ C at(bool relu, C y) const {
    const C z = (y - center) * factor + shift;
    return relu && z < 0 ? C(0) : z;
  }
};

/// Not inlined: called once a filter and block, with arithmetic in float64 that every kernel would repeat.
template <class C>
__device__ __noinline__ C normFactor(C gamma, C variance, double epsilon) {
  return static_cast<C>(static_cast<double>(gamma) * rsqrt(static_cast<double>(variance) + epsilon));
}

template <class C>
__device__ __forceinline__ FilterRescaling<C> filterRescaling(const Rescaling<C>& r, int filter) {
  FilterRescaling<C> f{C(0), C(1), C(0)};
  if (r.gamma) {
    f.factor = r.gamma[filter];
    f.shift = r.beta[filter];
  }
  if (r.mean) {
    f.center = r.mean[filter];
    f.factor = normFactor(f.factor, r.variance[filter], r.epsilon);
  }
  return f;
}

}  // namespace spherenet::cuda
