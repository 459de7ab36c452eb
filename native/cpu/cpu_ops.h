// The CPU backend's implementation of every op; each group is defined in the file of its name.
#pragma once

#include "../ops.h"

namespace spherenet::cpu {

class CpuOps final : public Ops {
 public:
  void fill(double value, const Tensor& y) override;
  void cast(double scale, double shift, const Tensor& x, const Tensor& y) override;
  void copyRegion(const Dims& xStart, const Dims& yStart, const Dims& extent, const Tensor& x,
                  const Tensor& y) override;
  void binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& y) override;
  void affine(double scale, double shift, const Tensor& x, const Tensor& y) override;
  void unary(UnaryOp op, const Tensor& x, const Tensor& y) override;
  void unaryBackward(UnaryOp op, const Tensor& x, const Tensor& dy, const Tensor& dx) override;
  void power(double exponent, const Tensor& x, const Tensor& y) override;
  void powerBackward(double exponent, const Tensor& x, const Tensor& dy, const Tensor& dx) override;
  void oneHot(const Tensor& labels, const Tensor& y) override;
  void leakyRelu(double slope, const Tensor& x, const Tensor& y) override;
  void leakyReluBackward(double slope, const Tensor& y, const Tensor& dy, const Tensor& dx) override;
  void sumTo(const Tensor& x, const Tensor& y) override;
  void broadcastTo(const Tensor& x, const Tensor& y) override;
  void randomUniform(uint64_t seed, double low, double high, const Tensor& y) override;
  void randomNormal(uint64_t seed, double mean, double deviation, const Tensor& y) override;
  void dropout(uint64_t seed, double p, const Tensor& x, const Tensor& y) override;
  void randomCropFlip(uint64_t seed, int32_t padding, bool flip, const Tensor& x, const Tensor& y) override;
  void maxPool2d(const Pool2dParams& p, const Tensor& x, const Tensor& y) override;
  void maxPool2dBackward(const Pool2dParams& p, const Tensor& x, const Tensor& dy, const Tensor& dx) override;
  void avgPool2d(const Pool2dParams& p, bool countPadding, const Tensor& x, const Tensor& y) override;
  void avgPool2dBackward(const Pool2dParams& p, bool countPadding, const Tensor& dy,
                         const Tensor& dx) override;
  void batchNorm(double momentum, double epsilon, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                 const Tensor& runningMean, const Tensor& runningVariance, const Tensor& y,
                 const Tensor& mean, const Tensor& invStd) override;
  void batchNormBackward(const Tensor& x, const Tensor& gamma, const Tensor& mean, const Tensor& invStd,
                         const Tensor& dy, const Tensor& dx, const Tensor& dgamma,
                         const Tensor& dbeta) override;
  void batchNormRelu(double momentum, double epsilon, const Tensor& x, const Tensor& gamma,
                     const Tensor& beta, const Tensor& runningMean, const Tensor& runningVariance,
                     const Tensor& y, const Tensor& mean, const Tensor& invStd) override;
  void batchNormReluBackward(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                             const Tensor& invStd, const Tensor& dy, const Tensor& dx, const Tensor& dgamma,
                             const Tensor& dbeta) override;
  void batchNormInference(double epsilon, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                          const Tensor& mean, const Tensor& variance, const Tensor& y) override;
  void batchNormInferenceBackward(double epsilon, const Tensor& x, const Tensor& gamma, const Tensor& mean,
                                  const Tensor& variance, const Tensor& dy, const Tensor& dx,
                                  const Tensor& dgamma, const Tensor& dbeta) override;
  void conv2d(const Conv2dParams& p, const Tensor& x, const Tensor& w, const Tensor& bias,
              const Tensor& y) override;
  void conv2dDataGradient(const Conv2dParams& p, const Tensor& dy, const Tensor& w,
                          const Tensor& dx) override;
  void conv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& dy, const Tensor& dw,
                            const Tensor& dbias) override;
  void sphereConv2d(const Conv2dParams& p, const AngularParams& a, const Tensor& x, const Tensor& w,
                    const Tensor& k, const Tensor& y, const Tensor& nx, const Tensor& nw,
                    const Tensor& c) override;
  void sphereConv2dRescaled(const Conv2dParams& p, const AngularParams& a, bool relu, double normEpsilon,
                            const Tensor& x, const Tensor& w, const Tensor& k, const Tensor& gamma,
                            const Tensor& beta, const Tensor& mean, const Tensor& variance, const Tensor& y,
                            const Tensor& nx, const Tensor& nw, const Tensor& c, const Tensor& z) override;
  void sphereConv2dAngularBackward(const AngularParams& a, const Tensor& y, const Tensor& c, const Tensor& dy,
                                   const Tensor& k, const Tensor& nx, const Tensor& nw, const Tensor& h,
                                   const Tensor& r, const Tensor& q, const Tensor& dk) override;
  void sphereConv2dNormBackward(const AngularParams& a, bool relu, const Tensor& y, const Tensor& c,
                                const Tensor& k, const Tensor& nx, const Tensor& nw, const Tensor& gamma,
                                const Tensor& beta, const Tensor& mean, const Tensor& invStd,
                                const Tensor& dz, const Tensor& h, const Tensor& r, const Tensor& q,
                                const Tensor& dk, const Tensor& dgamma, const Tensor& dbeta) override;
  void sphereConv2dFilterBackward(const Conv2dParams& p, const AngularParams& a, bool relu, const Tensor& x,
                                  const Tensor& w, const Tensor& y, const Tensor& c, const Tensor& k,
                                  const Tensor& nx, const Tensor& nw, const Tensor& gamma, const Tensor& beta,
                                  const Tensor& mean, const Tensor& invStd, const Tensor& dz,
                                  const Tensor& dw, const Tensor& dk, const Tensor& dgamma,
                                  const Tensor& dbeta) override;
  void sphereConv2dDataGradient(const Conv2dParams& p, const Tensor& h, const Tensor& w, const Tensor& x,
                                const Tensor& r, const Tensor& dx) override;
  void sphereConv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& h, const Tensor& w,
                                  const Tensor& q, const Tensor& nw, const Tensor& dw) override;
  void magnitude(const MagnitudeParams& p, const Tensor& nx, const Tensor& radius, const Tensor& g,
                 const Tensor& y) override;
  void magnitudeBackward(const MagnitudeParams& p, const Tensor& y, const Tensor& dy, const Tensor& nx,
                         const Tensor& radius, const Tensor& g, const Tensor& dg, const Tensor& radial,
                         const Tensor& dradius) override;
  void meanNorm(double decay, const Tensor& nx, const Tensor& average, const Tensor& mean) override;
  void softmaxCrossEntropy(double smoothing, const Tensor& logits, const Tensor& labels, const Tensor& loss,
                           const Tensor& probabilities) override;
  void softmaxCrossEntropyBackward(double smoothing, const Tensor& probabilities, const Tensor& labels,
                                   const Tensor& dloss, const Tensor& dlogits) override;
  void angularSoftmax(const AngularParams& a, const MarginParams& m, const Tensor& cosines,
                      const Tensor& norms, const Tensor& labels, const Tensor& loss,
                      const Tensor& probabilities) override;
  void angularSoftmaxBackward(const AngularParams& a, const MarginParams& m, const Tensor& cosines,
                              const Tensor& norms, const Tensor& labels, const Tensor& probabilities,
                              const Tensor& dloss, const Tensor& dcosines, const Tensor& radial) override;
  void sgdStep(const SgdParams& p, const std::vector<Tensor>& parameters,
               const std::vector<Tensor>& gradients, const std::vector<Tensor>& velocities) override;
  void adamStep(const AdamParams& p, const std::vector<Tensor>& parameters,
                const std::vector<Tensor>& gradients, const std::vector<Tensor>& firstMoments,
                const std::vector<Tensor>& secondMoments) override;
};

}  // namespace spherenet::cpu
