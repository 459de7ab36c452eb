// The weight gradient of both convolutions.
#pragma once

#include "../native/conv_shape.h"
#include "context.h"

namespace spherenet::cuda {

/// What a SphereConv's weight gradient has beyond a convolution's: dw -= w q / nw^2 (DESIGN, native/ops.h).
struct FilterDirection {
  Tensor w, q, nw;
};

/// dw [O,KH,KW,C/groups] = sum over positions of dy (or h) times the patch of x, minus the filter's own
/// direction where `direction` is given. Deterministic: partial sums are added in a fixed order.
void weightGradient(const Context& context, const Conv2dParams& p, const Tensor& x, const Tensor& dy,
                    const FilterDirection* direction, const Tensor& dw);

/// dbias [O] = sum of dy [.., O] over all positions.
void biasGradient(const Context& context, const Tensor& dy, const Tensor& dbias);

}  // namespace spherenet::cuda
