// The backward pass of a SphereConv with batch normalisation (and ReLU) behind it: the gradient of the
// SphereConv's output stays in registers.
#include "angular_pass.cuh"
#include "cuda_ops.h"
#include "norm_gradient.h"

namespace spherenet::cuda {

void CudaOps::sphereConv2dNormBackward(const AngularParams& a, bool relu, const Tensor& y, const Tensor& c,
                                       const Tensor& k, const Tensor& nx, const Tensor& nw,
                                       const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                       const Tensor& invStd, const Tensor& dz, const Tensor& h,
                                       const Tensor& r, const Tensor& q, const Tensor& dk,
                                       const Tensor& dgamma, const Tensor& dbeta) {
  const bool isFused =
      y.dtype != DType::Float64 && y.size() > 0 && withStorage(y.dtype, [&](auto type) {
        using T = decltype(type);
        if constexpr (!std::is_same_v<T, double>) {
          auto pass = angularPass<T, true>(a, y, c, dz, k, nx, nw, h, r);
          if (!takesVectors(pass)) return false;
          const Workspace coefficients(context_, kNormFields * gamma.bytes());
          sumNormGradients(context_, relu, y, gamma, beta, mean, invStd, dz, dgamma, dbeta, coefficients);
          pass.norm = coefficients.as<float>();
          pass.relu = relu;
          runPass<T, Vector<T>::kSize, false>(context_, pass, y.size() / pass.filters, q, dk);
          return true;
        }
        return false;
      });
  if (isFused) return;
  // Shapes that are rare behind a normalisation, and float64: one after the other.
  const Workspace memory(context_, y.bytes());
  const Tensor dy{memory.as<void>(), y.dtype, y.shape};
  if (relu) {
    batchNormReluBackward(y, gamma, beta, mean, invStd, dz, dy, dgamma, dbeta);
  } else {
    batchNormBackward(y, gamma, mean, invStd, dz, dy, dgamma, dbeta);
  }
  sphereConv2dAngularBackward(a, y, c, dy, k, nx, nw, h, r, q, dk);
}

}  // namespace spherenet::cuda
