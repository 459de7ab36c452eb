// The first half of batch normalisation's backward pass, for a pass that goes on from there.
#pragma once

#include "context.h"

namespace spherenet::cuda {

/// Fields of a NormGradient (device/norm_gradient.cuh).
constexpr int kNormFields = 5;

/// Writes dgamma and dbeta, and the fields of each channel's NormGradient to
/// `coefficients` [5, C], of the parameters' dtype. `relu`: dy is the gradient behind a ReLU that follows.
void sumNormGradients(const Context& context, bool relu, const Tensor& x, const Tensor& gamma,
                      const Tensor& beta, const Tensor& mean, const Tensor& invStd, const Tensor& dy,
                      const Tensor& dgamma, const Tensor& dbeta, const Workspace& coefficients);

}  // namespace spherenet::cuda
