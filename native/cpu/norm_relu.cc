// What follows a SphereConv in a network, its normalisation and ReLU, as one op each way: put together from
// the others here.
#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"
#include "scratch.h"

namespace spherenet::cpu {

void CpuOps::batchNormRelu(double momentum, double epsilon, const Tensor& x, const Tensor& gamma,
                           const Tensor& beta, const Tensor& runningMean, const Tensor& runningVariance,
                           const Tensor& y, const Tensor& mean, const Tensor& invStd) {
  batchNorm(momentum, epsilon, x, gamma, beta, runningMean, runningVariance, y, mean, invStd);
  leakyRelu(0, y, y);
}

void CpuOps::batchNormReluBackward(const Tensor& xTensor, const Tensor& gammaTensor, const Tensor& betaTensor,
                                   const Tensor& meanTensor, const Tensor& invStdTensor,
                                   const Tensor& dyTensor, const Tensor& dxTensor, const Tensor& dgamma,
                                   const Tensor& dbeta) {
  if (xTensor.size() == 0) return;
  withFloat(xTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T *x = xTensor.as<T>(), *dy = dyTensor.as<T>(), *mean = meanTensor.as<T>();
    const T *gamma = gammaTensor.as<T>(), *beta = betaTensor.as<T>(), *invStd = invStdTensor.as<T>();
    T* through = dxTensor.as<T>();
    const int64_t channels = gammaTensor.size();
    parallelRanges(xTensor.size() / channels, grainOfRows(channels), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t first = row * channels;
        SPHERENET_INDEPENDENT
        for (int64_t c = 0; c < channels; ++c) {
          const T z = (x[first + c] - mean[c]) * (gamma[c] * invStd[c]) + beta[c];
          through[first + c] = z > 0 ? dy[first + c] : T(0);
        }
      }
    });
  });
  batchNormBackward(xTensor, gammaTensor, meanTensor, invStdTensor, dxTensor, dxTensor, dgamma, dbeta);
}

void CpuOps::sphereConv2dNormBackward(const AngularParams& a, bool relu, const Tensor& y, const Tensor& c,
                                      const Tensor& k, const Tensor& nx, const Tensor& nw,
                                      const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                      const Tensor& invStd, const Tensor& dz, const Tensor& h,
                                      const Tensor& r, const Tensor& q, const Tensor& dk,
                                      const Tensor& dgamma, const Tensor& dbeta) {
  const Tensor dy{scratchBytes(ScratchSlot::NormGradient, y.bytes()), y.dtype, y.shape};
  if (relu) {
    batchNormReluBackward(y, gamma, beta, mean, invStd, dz, dy, dgamma, dbeta);
  } else {
    batchNormBackward(y, gamma, mean, invStd, dz, dy, dgamma, dbeta);
  }
  sphereConv2dAngularBackward(a, y, c, dy, k, nx, nw, h, r, q, dk);
}

}  // namespace spherenet::cpu
