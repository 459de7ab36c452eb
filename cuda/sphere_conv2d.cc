// SphereConv: forward pass and gradient convolutions. What lies between them is in angular_backward.cu.
#include "cuda_ops.h"
#include "direct_convolution.h"
#include "implicit_gemm.h"
#include "weight_gradient.h"

namespace spherenet::cuda {

void CudaOps::sphereConv2d(const Conv2dParams& p, const AngularParams& a, const Tensor& x, const Tensor& w,
                           const Tensor& k, const Tensor& y, const Tensor& nx, const Tensor& nw,
                           const Tensor& c) {
  sphereConv2dRescaled(p, a, false, 0, x, w, k, {}, {}, {}, {}, {}, nx, nw, c, y);
}

void CudaOps::sphereConv2dRescaled(const Conv2dParams& p, const AngularParams& a, bool relu,
                                   double normEpsilon, const Tensor& x, const Tensor& w, const Tensor& k,
                                   const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                   const Tensor& variance, const Tensor& y, const Tensor& nx,
                                   const Tensor& nw, const Tensor& c, const Tensor& z) {
  const AngleRescaling rescaling{relu, normEpsilon, gamma, beta, mean, variance, y};
  if (isDirect(ConvShape(p, x.shape, w.shape, z.shape), x.dtype))
    return directSphereConv2d(context_, p, a, x, w, k, rescaling, z, nx, nw, c);
  gemmSphereConv2d(context_, p, a, x, w, k, rescaling, z, nx, nw);
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
