// float64 exists for gradient checks, so it keeps c instead of recovering it from g(c), which saturates near
// +-1.
#pragma once

#include "../ops.h"

namespace spherenet::cpu {

/// y = g(c), float64; k as in Ops::sphereConv2d.
void exactAngles(const AngularParams& a, const Tensor& c, const Tensor& k, const Tensor& y);

/// Ops::sphereConv2dAngularBackward from c, float64.
void exactAngularBackward(const AngularParams& a, const Tensor& c, const Tensor& dy, const Tensor& k,
                          const Tensor& nx, const Tensor& nw, const Tensor& h, const Tensor& r,
                          const Tensor& q, const Tensor& dk);

}  // namespace spherenet::cpu
