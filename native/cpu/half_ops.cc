#include "half_ops.h"

#include <tuple>
#include <type_traits>

#include "cpu_ops.h"
#include "half.h"
#include "loops.h"
#include "parallel.h"
#include "scratch.h"

namespace spherenet::cpu {
namespace {

template <class To, class From>
void convertElements(const From* from, To* to, int64_t count) {
  parallelRanges(count, 4 * kGrain, [&](int64_t begin, int64_t end) {
    SPHERENET_INDEPENDENT
    for (int64_t i = begin; i < end; ++i) to[i] = static_cast<To>(from[i]);
  });
}

/// float32 stand-ins for the 16-bit tensors among the arguments of one op, which it is asked for in their
/// order. Other arguments pass as they are.
class StandIns {
 public:
  explicit StandIns(size_t inputs) : inputs_(inputs) {}

  Tensor next(const Tensor& t) {
    const bool isInput = position_++ < inputs_;
    if (!isHalf(t.dtype)) return t;
    if (used_ == kStandIns) throw std::logic_error("more 16-bit arguments than there are stand-ins");
    const auto slot = static_cast<ScratchSlot>(static_cast<int>(ScratchSlot::StandIns) + used_++);
    const Tensor wide{scratch<float>(slot, t.size()), DType::Float32, t.shape};
    if (isInput) {
      withHalf(t.dtype,
               [&](auto half) { convertElements(t.as<decltype(half)>(), wide.as<float>(), t.size()); });
    } else {
      outputs_[outputCount_++] = {wide, t};
    }
    return wide;
  }
  template <class T>
  const T& next(const T& other) {
    ++position_;
    return other;
  }

  void roundOutputs() const {
    for (int i = 0; i < outputCount_; ++i) {
      const auto& [wide, t] = outputs_[i];
      withHalf(t.dtype,
               [&](auto half) { convertElements(wide.as<float>(), t.as<decltype(half)>(), t.size()); });
    }
  }

 private:
  struct Output {
    Tensor wide, half;
  };
  size_t inputs_, position_ = 0;
  int used_ = 0, outputCount_ = 0;
  Output outputs_[kStandIns];
};

template <class T>
constexpr bool isHalfTensor(const T& argument) {
  if constexpr (std::is_same_v<T, Tensor>) {
    return isHalf(argument.dtype);
  } else {
    return false;
  }
}

/// Filters for activations of `dtype`: float32 ones are rounded to a 16-bit type, as ops.h has it.
Tensor filtersFor(DType dtype, const Tensor& w) {
  if (!isHalf(dtype) || w.dtype == dtype) return w;
  return withHalf(dtype, [&](auto half) {
    using Half = decltype(half);
    const Tensor rounded{scratch<Half>(ScratchSlot::RoundedFilters, w.size()), dtype, w.shape};
    convertElements(w.as<float>(), rounded.as<Half>(), w.size());
    return rounded;
  });
}

/// Infinities of float16 become its largest number: times the zeros of a patch they would be NaN.
void makeFinite(const Tensor& t) {
  constexpr uint16_t kInfinity = 0x7C00;
  uint16_t* const bits = static_cast<uint16_t*>(t.data);
  parallelRanges(t.size(), 4 * kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      if ((bits[i] & 0x7FFF) == kInfinity) --bits[i];
  });
}

class OpsWithHalf final : public Ops {
 public:
  // These take 16-bit tensors as they are.

  void fill(double value, const Tensor& y) override { cpu_.fill(value, y); }
  void cast(double scale, double shift, const Tensor& x, const Tensor& y) override {
    cpu_.cast(scale, shift, x, y);
  }
  void copyRegion(const Dims& xStart, const Dims& yStart, const Dims& extent, const Tensor& x,
                  const Tensor& y) override {
    cpu_.copyRegion(xStart, yStart, extent, x, y);
  }
  void broadcastTo(const Tensor& x, const Tensor& y) override { cpu_.broadcastTo(x, y); }
  void oneHot(const Tensor& labels, const Tensor& y) override { cpu_.oneHot(labels, y); }
  void randomCropFlip(uint64_t seed, int32_t padding, bool flip, const Tensor& x, const Tensor& y) override {
    cpu_.randomCropFlip(seed, padding, flip, x, y);
  }

  // These compute.

  void binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& y) override {
    run<&CpuOps::binary, 1>(op, a, b, y);
  }
  void affine(double scale, double shift, const Tensor& x, const Tensor& y) override {
    run<&CpuOps::affine, 1>(scale, shift, x, y);
  }
  void unary(UnaryOp op, const Tensor& x, const Tensor& y) override { run<&CpuOps::unary, 1>(op, x, y); }
  void unaryBackward(UnaryOp op, const Tensor& x, const Tensor& dy, const Tensor& dx) override {
    run<&CpuOps::unaryBackward, 1>(op, x, dy, dx);
  }
  void power(double exponent, const Tensor& x, const Tensor& y) override {
    run<&CpuOps::power, 1>(exponent, x, y);
  }
  void powerBackward(double exponent, const Tensor& x, const Tensor& dy, const Tensor& dx) override {
    run<&CpuOps::powerBackward, 1>(exponent, x, dy, dx);
  }
  void leakyRelu(double slope, const Tensor& x, const Tensor& y) override {
    run<&CpuOps::leakyRelu, 1>(slope, x, y);
  }
  void leakyReluBackward(double slope, const Tensor& y, const Tensor& dy, const Tensor& dx) override {
    run<&CpuOps::leakyReluBackward, 1>(slope, y, dy, dx);
  }
  void sumTo(const Tensor& x, const Tensor& y) override { run<&CpuOps::sumTo, 1>(x, y); }
  void dropout(uint64_t seed, double p, const Tensor& x, const Tensor& y) override {
    run<&CpuOps::dropout, 1>(seed, p, x, y);
  }
  void maxPool2d(const Pool2dParams& p, const Tensor& x, const Tensor& y) override {
    run<&CpuOps::maxPool2d, 1>(p, x, y);
  }
  void maxPool2dBackward(const Pool2dParams& p, const Tensor& x, const Tensor& dy,
                         const Tensor& dx) override {
    run<&CpuOps::maxPool2dBackward, 1>(p, x, dy, dx);
  }
  void avgPool2d(const Pool2dParams& p, bool countPadding, const Tensor& x, const Tensor& y) override {
    run<&CpuOps::avgPool2d, 1>(p, countPadding, x, y);
  }
  void avgPool2dBackward(const Pool2dParams& p, bool countPadding, const Tensor& dy,
                         const Tensor& dx) override {
    run<&CpuOps::avgPool2dBackward, 1>(p, countPadding, dy, dx);
  }
  void batchNorm(double momentum, double epsilon, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                 const Tensor& runningMean, const Tensor& runningVariance, const Tensor& y,
                 const Tensor& mean, const Tensor& invStd) override {
    run<&CpuOps::batchNorm, 3>(momentum, epsilon, x, gamma, beta, runningMean, runningVariance, y, mean,
                               invStd);
  }
  void batchNormBackward(const Tensor& x, const Tensor& gamma, const Tensor& mean, const Tensor& invStd,
                         const Tensor& dy, const Tensor& dx, const Tensor& dgamma,
                         const Tensor& dbeta) override {
    run<&CpuOps::batchNormBackward, 3>(x, gamma, mean, invStd, dy, dx, dgamma, dbeta);
  }
  void batchNormRelu(double momentum, double epsilon, const Tensor& x, const Tensor& gamma,
                     const Tensor& beta, const Tensor& runningMean, const Tensor& runningVariance,
                     const Tensor& y, const Tensor& mean, const Tensor& invStd) override {
    run<&CpuOps::batchNormRelu, 3>(momentum, epsilon, x, gamma, beta, runningMean, runningVariance, y, mean,
                                   invStd);
  }
  void batchNormReluBackward(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                             const Tensor& invStd, const Tensor& dy, const Tensor& dx, const Tensor& dgamma,
                             const Tensor& dbeta) override {
    run<&CpuOps::batchNormReluBackward, 3>(x, gamma, beta, mean, invStd, dy, dx, dgamma, dbeta);
  }
  void batchNormInference(double epsilon, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                          const Tensor& mean, const Tensor& variance, const Tensor& y) override {
    run<&CpuOps::batchNormInference, 1>(epsilon, x, gamma, beta, mean, variance, y);
  }
  void batchNormInferenceBackward(double epsilon, const Tensor& x, const Tensor& gamma, const Tensor& mean,
                                  const Tensor& variance, const Tensor& dy, const Tensor& dx,
                                  const Tensor& dgamma, const Tensor& dbeta) override {
    run<&CpuOps::batchNormInferenceBackward, 3>(epsilon, x, gamma, mean, variance, dy, dx, dgamma, dbeta);
  }
  void conv2d(const Conv2dParams& p, const Tensor& x, const Tensor& w, const Tensor& bias,
              const Tensor& y) override {
    run<&CpuOps::conv2d, 1>(p, x, filtersFor(x.dtype, w), bias, y);
  }
  void conv2dDataGradient(const Conv2dParams& p, const Tensor& dy, const Tensor& w,
                          const Tensor& dx) override {
    run<&CpuOps::conv2dDataGradient, 1>(p, dy, filtersFor(dy.dtype, w), dx);
  }
  void conv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& dy, const Tensor& dw,
                            const Tensor& dbias) override {
    run<&CpuOps::conv2dWeightGradient, 2>(p, x, dy, dw, dbias);
  }
  void sphereConv2d(const Conv2dParams& p, const AngularParams& a, const Tensor& x, const Tensor& w,
                    const Tensor& k, const Tensor& y, const Tensor& nx, const Tensor& nw,
                    const Tensor& c) override {
    run<&CpuOps::sphereConv2d, 4>(p, a, x, filtersFor(x.dtype, w), k, y, nx, nw, c);
  }
  void sphereConv2dRescaled(const Conv2dParams& p, const AngularParams& a, bool relu, double normEpsilon,
                            const Tensor& x, const Tensor& w, const Tensor& k, const Tensor& gamma,
                            const Tensor& beta, const Tensor& mean, const Tensor& variance, const Tensor& y,
                            const Tensor& nx, const Tensor& nw, const Tensor& c, const Tensor& z) override {
    run<&CpuOps::sphereConv2dRescaled, 5>(p, a, relu, normEpsilon, x, filtersFor(x.dtype, w), k, gamma, beta,
                                          mean, variance, y, nx, nw, c, z);
  }
  void sphereConv2dAngularBackward(const AngularParams& a, const Tensor& y, const Tensor& c, const Tensor& dy,
                                   const Tensor& k, const Tensor& nx, const Tensor& nw, const Tensor& h,
                                   const Tensor& r, const Tensor& q, const Tensor& dk) override {
    run<&CpuOps::sphereConv2dAngularBackward, 4>(a, y, c, dy, k, nx, nw, h, r, q, dk);
  }
  void sphereConv2dNormBackward(const AngularParams& a, bool relu, const Tensor& y, const Tensor& c,
                                const Tensor& k, const Tensor& nx, const Tensor& nw, const Tensor& gamma,
                                const Tensor& beta, const Tensor& mean, const Tensor& invStd,
                                const Tensor& dz, const Tensor& h, const Tensor& r, const Tensor& q,
                                const Tensor& dk, const Tensor& dgamma, const Tensor& dbeta) override {
    run<&CpuOps::sphereConv2dNormBackward, 6>(a, relu, y, c, k, nx, nw, gamma, beta, mean, invStd, dz, h, r,
                                              q, dk, dgamma, dbeta);
  }
  void sphereConv2dFilterBackward(const Conv2dParams& p, const AngularParams& a, bool relu, const Tensor& x,
                                  const Tensor& w, const Tensor& y, const Tensor& c, const Tensor& k,
                                  const Tensor& nx, const Tensor& nw, const Tensor& gamma, const Tensor& beta,
                                  const Tensor& mean, const Tensor& invStd, const Tensor& dz,
                                  const Tensor& dw, const Tensor& dk, const Tensor& dgamma,
                                  const Tensor& dbeta) override {
    run<&CpuOps::sphereConv2dFilterBackward, 4>(p, a, relu, x, filtersFor(x.dtype, w), y, c, k, nx, nw, gamma,
                                                beta, mean, invStd, dz, dw, dk, dgamma, dbeta);
  }
  void sphereConv2dDataGradient(const Conv2dParams& p, const Tensor& h, const Tensor& w, const Tensor& x,
                                const Tensor& r, const Tensor& dx) override {
    run<&CpuOps::sphereConv2dDataGradient, 1>(p, h, filtersFor(x.dtype, w), x, r, dx);
  }
  void sphereConv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& h, const Tensor& w,
                                  const Tensor& q, const Tensor& nw, const Tensor& dw) override {
    run<&CpuOps::sphereConv2dWeightGradient, 1>(p, x, h, filtersFor(x.dtype, w), q, nw, dw);
  }
  void magnitude(const MagnitudeParams& p, const Tensor& nx, const Tensor& radius, const Tensor& g,
                 const Tensor& y) override {
    run<&CpuOps::magnitude, 1>(p, nx, radius, g, y);
  }
  void magnitudeBackward(const MagnitudeParams& p, const Tensor& y, const Tensor& dy, const Tensor& nx,
                         const Tensor& radius, const Tensor& g, const Tensor& dg, const Tensor& radial,
                         const Tensor& dradius) override {
    run<&CpuOps::magnitudeBackward, 4>(p, y, dy, nx, radius, g, dg, radial, dradius);
    if (dg.dtype == DType::Float16) makeFinite(dg);
  }
  void meanNorm(double decay, const Tensor& nx, const Tensor& average, const Tensor& mean) override {
    cpu_.meanNorm(decay, nx, average, mean);
  }

  // These take float32 and float64 only.

  void randomUniform(uint64_t seed, double low, double high, const Tensor& y) override {
    cpu_.randomUniform(seed, low, high, y);
  }
  void randomNormal(uint64_t seed, double mean, double deviation, const Tensor& y) override {
    cpu_.randomNormal(seed, mean, deviation, y);
  }
  void softmaxCrossEntropy(double smoothing, const Tensor& logits, const Tensor& labels, const Tensor& loss,
                           const Tensor& probabilities) override {
    cpu_.softmaxCrossEntropy(smoothing, logits, labels, loss, probabilities);
  }
  void softmaxCrossEntropyBackward(double smoothing, const Tensor& probabilities, const Tensor& labels,
                                   const Tensor& dloss, const Tensor& dlogits) override {
    cpu_.softmaxCrossEntropyBackward(smoothing, probabilities, labels, dloss, dlogits);
  }
  void angularSoftmax(const AngularParams& a, const MarginParams& m, const Tensor& cosines,
                      const Tensor& norms, const Tensor& labels, const Tensor& loss,
                      const Tensor& probabilities) override {
    cpu_.angularSoftmax(a, m, cosines, norms, labels, loss, probabilities);
  }
  void angularSoftmaxBackward(const AngularParams& a, const MarginParams& m, const Tensor& cosines,
                              const Tensor& norms, const Tensor& labels, const Tensor& probabilities,
                              const Tensor& dloss, const Tensor& dcosines, const Tensor& radial) override {
    cpu_.angularSoftmaxBackward(a, m, cosines, norms, labels, probabilities, dloss, dcosines, radial);
  }
  void sgdStep(const SgdParams& p, const std::vector<Tensor>& parameters,
               const std::vector<Tensor>& gradients, const std::vector<Tensor>& velocities) override {
    cpu_.sgdStep(p, parameters, gradients, velocities);
  }
  void adamStep(const AdamParams& p, const std::vector<Tensor>& parameters,
                const std::vector<Tensor>& gradients, const std::vector<Tensor>& firstMoments,
                const std::vector<Tensor>& secondMoments) override {
    cpu_.adamStep(p, parameters, gradients, firstMoments, secondMoments);
  }

 private:
  /// Calls an op of cpu_, whose last `outputs` arguments it writes, with float32 in place of 16 bits.
  template <auto method, size_t outputs, class... Args>
  void run(const Args&... args) {
    if (!(isHalfTensor(args) || ...)) return (cpu_.*method)(args...);
    StandIns standIns(sizeof...(args) - outputs);
    // Braces, because they are evaluated from left to right.
    const std::tuple<std::conditional_t<std::is_same_v<Args, Tensor>, Tensor, const Args&>...> wide{
        standIns.next(args)...};
    std::apply([&](const auto&... w) { (cpu_.*method)(w...); }, wide);
    standIns.roundOutputs();
  }

  CpuOps cpu_;
};

}  // namespace

std::unique_ptr<Ops> makeOpsWithHalf() {
  return std::make_unique<OpsWithHalf>();
}

}  // namespace spherenet::cpu
