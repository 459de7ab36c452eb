// Plain convolutions.
#include "cuda_ops.h"
#include "direct_convolution.h"
#include "implicit_gemm.h"
#include "weight_gradient.h"

namespace spherenet::cuda {

void CudaOps::conv2d(const Conv2dParams& p, const Tensor& x, const Tensor& w, const Tensor& bias,
                     const Tensor& y) {
  if (isDirect(ConvShape(p, x.shape, w.shape, y.shape), x.dtype))
    return directConv2d(context_, p, x, w, bias, y);
  gemmConv2d(context_, p, x, w, bias, y);
}

void CudaOps::conv2dDataGradient(const Conv2dParams& p, const Tensor& dy, const Tensor& w, const Tensor& dx) {
  if (isDirect(ConvShape(p, dx.shape, w.shape, dy.shape), dx.dtype))
    return directDataGradient(context_, p, dy, w, {}, {}, dx);
  gemmDataGradient(context_, p, dy, w, {}, {}, dx);
}

void CudaOps::conv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& dy, const Tensor& dw,
                                   const Tensor& dbias) {
  weightGradient(context_, p, x, dy, nullptr, dw);
  if (dbias) biasGradient(context_, dy, dbias);
}

}  // namespace spherenet::cuda
