// What may follow a SphereConv's angles in the pass that computes them: filled by the host, read by kernels.
#pragma once

#include "../../native/ops.h"

namespace spherenet::cuda {

/// As sphereConv2dRescaled has it (native/ops.h); nothing follows where all is left out.
struct AngleRescaling {
  bool relu = false;
  double epsilon = 0;
  Tensor gamma, beta;     // [filters], both or none
  Tensor mean, variance;  // [filters], both or none
  Tensor y;               // the angles, where they are kept besides z
};

/// The same for kernels, parameters of type C.
template <class C>
struct Rescaling {
  bool follows;  // z is not y, or y is kept besides
  bool relu;
  double epsilon;
  const C *gamma, *beta;     // or null
  const C *mean, *variance;  // or null
  void* y;                   // of the activations' type, or null
};

template <class C>
Rescaling<C> rescalingOf(const AngleRescaling& r) {
  return {r.gamma || r.relu || r.y, r.relu,         r.epsilon,          r.gamma.as<C>(),
          r.beta.as<C>(),           r.mean.as<C>(), r.variance.as<C>(), r.y.data};
}

}  // namespace spherenet::cuda
