// SphereConv: forward pass and gradient convolutions. What lies between them is in angular_backward.cu.
#include "cuda_ops.h"
#include "direct_convolution.h"
#include "implicit_gemm.h"
#include "weight_gradient.h"

namespace spherenet::cuda {

void CudaOps::sphereConv2d(const Conv2dParams& p, const AngularParams& a, const Tensor& x, const Tensor& w,
                           const Tensor& k, const Tensor& y, const Tensor& nx, const Tensor& nw,
                           const Tensor& c) {
  if (isDirect(ConvShape(p, x.shape, w.shape, y.shape), x.dtype))
    return directSphereConv2d(context_, p, a, x, w, k, y, nx, nw, c);
  gemmSphereConv2d(context_, p, a, x, w, k, y, nx, nw);
}

void CudaOps::sphereConv2dRescaled(const Conv2dParams& p, const AngularParams& a, bool relu,
                                   double normEpsilon, const Tensor& x, const Tensor& w, const Tensor& k,
                                   const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                   const Tensor& variance, const Tensor& y, const Tensor& nx,
                                   const Tensor& nw, const Tensor& c, const Tensor& z) {
  const Tensor& angles = y ? y : z;
  sphereConv2d(p, a, x, w, k, angles, nx, nw, c);
  if (!gamma) {
    if (relu) return leakyRelu(0, angles, z);
    if (y) cast(1, 0, y, z);
    return;
  }
  if (mean) {
    batchNormInference(normEpsilon, angles, gamma, beta, mean, variance, z);
  } else {
    const Workspace constants(context_, 2 * gamma.bytes());
    const Tensor zero{constants.as<void>(), gamma.dtype, gamma.shape},
        one{constants.as<char>() + gamma.bytes(), gamma.dtype, gamma.shape};
    fill(0, zero);
    fill(1, one);
    batchNormInference(0, angles, gamma, beta, zero, one, z);
  }
  if (relu) leakyRelu(0, z, z);
}

void CudaOps::sphereConv2dDataGradient(const Conv2dParams& p, const Tensor& h, const Tensor& w,
                                       const Tensor& x, const Tensor& r, const Tensor& dx) {
  if (isDirect(ConvShape(p, dx.shape, w.shape, h.shape), dx.dtype))
    return directDataGradient(context_, p, h, w, x, r, dx);
  gemmDataGradient(context_, p, h, w, x, r, dx);
}

void CudaOps::sphereConv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& h,
                                         const Tensor& w, const Tensor& q, const Tensor& nw,
                                         const Tensor& dw) {
  const FilterDirection direction{w, q, nw};
  weightGradient(context_, p, x, h, &direction, dw);
}

}  // namespace spherenet::cuda
