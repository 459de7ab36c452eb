// The backward pass of a SphereConv with batch normalisation or SphereNorm (and ReLU) behind it: the gradient
// of the SphereConv's output stays in registers.
#include "angular_pass.cuh"
#include "cuda_ops.h"
#include "norm_gradient.h"

namespace spherenet::cuda {
namespace {

/// Elements that a lane reads at once where there are four sums a column: with 8 of them, those sums are more
/// than the registers hold.
constexpr int kRescaledWidth = 4;

}  // namespace

void CudaOps::sphereConv2dNormBackward(const AngularParams& a, bool relu, const Tensor& y, const Tensor& c,
                                       const Tensor& k, const Tensor& nx, const Tensor& nw,
                                       const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                       const Tensor& invStd, const Tensor& dz, const Tensor& h,
                                       const Tensor& r, const Tensor& q, const Tensor& dk,
                                       const Tensor& dgamma, const Tensor& dbeta) {
  if (!gamma && !relu) return sphereConv2dAngularBackward(a, y, c, dz, k, nx, nw, h, r, q, dk);
  const bool isFused =
      y.dtype != DType::Float64 && y.size() > 0 && withStorage(y.dtype, [&](auto type) {
        using T = decltype(type);
        if constexpr (!std::is_same_v<T, double>) {
          auto pass = angularPass<T, true>(a, y, c, dz, k, nx, nw, h, r);
          if (!takesVectors(pass)) return false;
          const int64_t rows = y.size() / pass.filters;
          pass.relu = relu;
          if (gamma && !mean) {
            pass.gamma = gamma.as<float>();
            pass.beta = beta.as<float>();
            runPass<T, kRescaledWidth, false, 4>(context_, pass, rows, q, dk, dgamma, dbeta);
            return true;
          }
          const Workspace coefficients(context_, kNormFields * gamma.bytes());
          if (mean) {
            sumNormGradients(context_, relu, y, gamma, beta, mean, invStd, dz, dgamma, dbeta, coefficients);
            pass.norm = coefficients.as<float>();
          }
          runPass<T, Vector<T>::kSize, false>(context_, pass, rows, q, dk);
          return true;
        }
        return false;
      });
  if (isFused) return;
  // Shapes that are rare behind a normalisation, and float64: one after the other.
  const Workspace memory(context_, y.bytes());
  const Tensor dy{memory.as<void>(), y.dtype, y.shape};
  if (!gamma) {
    leakyReluBackward(0, y, dz, dy);
  } else if (!mean) {
    rescaleBackward(relu, y, gamma, beta, dz, dy, dgamma, dbeta);
  } else if (relu) {
    batchNormReluBackward(y, gamma, beta, mean, invStd, dz, dy, dgamma, dbeta);
  } else {
    batchNormBackward(y, gamma, mean, invStd, dz, dy, dgamma, dbeta);
  }
  sphereConv2dAngularBackward(a, y, c, dy, k, nx, nw, h, r, q, dk);
}

void CudaOps::rescaleBackward(bool relu, const Tensor& y, const Tensor& gamma, const Tensor& beta,
                              const Tensor& dz, const Tensor& dy, const Tensor& dgamma, const Tensor& dbeta) {
  if (y.size() == 0) {
    fill(0, dgamma);
    return fill(0, dbeta);
  }
  const Workspace constants(context_, 2 * gamma.bytes());
  const Tensor mean{constants.as<void>(), gamma.dtype, gamma.shape},
      variance{constants.as<char>() + gamma.bytes(), gamma.dtype, gamma.shape};
  fill(0, mean);
  fill(1, variance);
  if (!relu) return batchNormInferenceBackward(0, y, gamma, mean, variance, dz, dy, dgamma, dbeta);
  const Workspace through(context_, y.bytes());
  const Tensor masked{through.as<void>(), y.dtype, y.shape};
  batchNormInference(0, y, gamma, beta, mean, variance, dy);
  leakyReluBackward(0, dy, dz, masked);
  batchNormInferenceBackward(0, y, gamma, mean, variance, masked, dy, dgamma, dbeta);
}

}  // namespace spherenet::cuda
