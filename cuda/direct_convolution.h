// Convolutions that no tensor core serves: float64, and groups of few channels or filters (depthwise). One
// thread computes one result.
#pragma once

#include "../native/conv_shape.h"
#include "context.h"
#include "device/rescaling.h"

namespace spherenet::cuda {

/// Whether a convolution goes this way.
bool isDirect(const ConvShape& shape, DType dtype);

void directConv2d(const Context& context, const Conv2dParams& p, const Tensor& x, const Tensor& w,
                  const Tensor& bias, const Tensor& y);
/// As gemmSphereConv2d; c, optional, is the cosine.
void directSphereConv2d(const Context& context, const Conv2dParams& p, const AngularParams& a,
                        const Tensor& x, const Tensor& w, const Tensor& k, const AngleRescaling& rescaling,
                        const Tensor& z, const Tensor& nx, const Tensor& nw, const Tensor& c);
/// dx = transposed conv(dy, w), minus x box(r) where r is given.
void directDataGradient(const Context& context, const Conv2dParams& p, const Tensor& dy, const Tensor& w,
                        const Tensor& x, const Tensor& r, const Tensor& dx);

}  // namespace spherenet::cuda
