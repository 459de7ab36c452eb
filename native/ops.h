// The contract of both backends: every op's parameters and signature. Shapes and dtypes are checked by the
// TypeScript layer (ts/ops); a backend may rely on them. Layouts: images NHWC, weights OHWI, all contiguous.
//
// Inputs come first, outputs last. Outputs are written in full (=, never +=) unless a comment says otherwise.
// A `Tensor` documented as optional may be empty. Labels are int32.
//
// Floating-point arguments of one call share one dtype, float32 or float64. Activations (what has a batch
// axis: x, y, h and their gradients) may also be bfloat16 or float16; then everything else (parameters,
// statistics, norms, sums and their gradients: gamma, mean, nx, nw, r, q, k, bias, dbias, ...) is float32,
// and filters w with their gradient dw are float32 or of the activations' dtype (filters in float32 are
// rounded to it). Arithmetic is float32 then. Losses, random numbers and optimisers take float32 and float64
// only.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor.h"

namespace spherenet {

struct Conv2dParams {
  int32_t strideH = 1, strideW = 1;
  int32_t padTop = 0, padBottom = 0, padLeft = 0, padRight = 0;
  int32_t dilationH = 1, dilationW = 1;
  int32_t groups = 1;
};

struct Pool2dParams {
  int32_t kernelH = 1, kernelW = 1;
  int32_t strideH = 1, strideW = 1;
  int32_t padTop = 0, padBottom = 0, padLeft = 0, padRight = 0;
};

/// g(theta) of a SphereConv, as a function of c = cos(theta):
///   Cosine   g = c
///   Linear   g = (2/pi) asin c
///   Sigmoid  g = tanh(asin(c) / 2k) / tanh(pi / 4k),  k > 0
///   SquaredCosine  g = sign(c) c^2  (not in the losses)
enum class AngularOperator : int32_t { Cosine = 0, Linear = 1, Sigmoid = 2, SquaredCosine = 3 };

struct AngularParams {
  AngularOperator op = AngularOperator::Cosine;
  double k = 0.3;         // Sigmoid's curvature where no k tensor is given
  double epsilon = 1e-4;  // added to sums of squares under the root
};

/// h(n) of a decoupled operator h(|x|) g(theta), n = nx the norm of the patch (Liu et al., Decoupled
/// Networks, CVPR 2018), with rho the radius:
///   Ball         scale min(n, rho) / rho
///   Tanh         scale tanh(n / rho)
///   Linear       scale n
///   Segmented    scale n up to rho, beyond it slope n + (scale - slope) rho
///   Logarithmic  scale log(1 + n)
///   Mixed        scale n + slope log(1 + n)
enum class Magnitude : int32_t { Ball = 0, Tanh = 1, Linear = 2, Segmented = 3, Logarithmic = 4, Mixed = 5 };

struct MagnitudeParams {
  Magnitude function = Magnitude::Linear;
  double scale = 1, slope = 0;  // scale > 0, slope >= 0
  double radius = 1;            // where no radius tensor is given
};

/// Radii below this count as this.
constexpr double kMinRadius = 1e-12;

/// What a loss over angles makes of them; m is the margin. The kinds after the first are for Cosine only.
///   Multiple         target psi(theta) = g(m theta), m >= 1; Linear 1 - 2 m theta / pi; Sigmoid as it is;
///                    Cosine made monotone, (-1)^j cos(m theta) - 2j on [j pi/m, (j+1) pi/m]
///   ClampedMultiple  target cos(min(m theta, pi)), m >= 1
///   DividedOthers    target cos(theta), all others cos(theta / m), m >= 1
///   AdditiveAngle    target cos(min(theta + m, pi)), m >= 0
///   AdditiveCosine   target cos(theta) - m, m >= 0
enum class MarginKind : int32_t {
  Multiple = 0,
  ClampedMultiple = 1,
  DividedOthers = 2,
  AdditiveAngle = 3,
  AdditiveCosine = 4
};

struct MarginParams {
  MarginKind kind = MarginKind::Multiple;
  double margin = 1;
  double lambda = 0;      // annealing, >= 0: the target's value is (lambda g + psi) / (1 + lambda)
  double scale = 0;       // > 0: every feature counts as of this length; 0: as of its own
  double smoothing = 0;   // in [0, 1): as of softmaxCrossEntropy
  bool detached = false;  // the gradient takes g's slope where the value is psi's
};

/// Derivatives of asin are cut off where 1 - c^2 falls below this.
constexpr double kMinSinSquared = 1e-6;

/// Div: floating point only, as IEEE 754 has it.
enum class BinaryOp : int32_t { Add = 0, Sub = 1, Mul = 2, Div = 3 };
/// Softplus is log(1 + e^x). Acos takes its input into [-1, 1]; its slope is -1 / sqrt(1 - x^2), cut off as
/// above.
enum class UnaryOp : int32_t {
  Abs = 0,
  Square = 1,
  Sqrt = 2,
  Exp = 3,
  Log = 4,
  Tanh = 5,
  Softplus = 6,
  Acos = 7
};

struct SgdParams {
  double lr = 0, momentum = 0, dampening = 0, weightDecay = 0;
  bool nesterov = false;
  bool firstStep = false;  // velocity = gradient instead of momentum * velocity + (1 - dampening) * gradient
};

struct AdamParams {
  double lr = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0;
  bool decoupled = false;  // AdamW: decay the parameter, not the gradient
  int32_t step = 1;        // counted from 1, for the bias correction
};

class Ops {
 public:
  virtual ~Ops() = default;

  // ---- movement ---------------------------------------------------------------------------------------

  /// y = value, any dtype.
  virtual void fill(double value, const Tensor& y) = 0;
  /// y = scale * x + shift, converted from x's dtype to y's (rounding towards zero into integers,
  /// saturating).
  virtual void cast(double scale, double shift, const Tensor& x, const Tensor& y) = 0;
  /// Copies a block of `extent` from x at xStart to y at yStart; the rest of y keeps its values. Same dtype
  /// and rank.
  virtual void copyRegion(const Dims& xStart, const Dims& yStart, const Dims& extent, const Tensor& x,
                          const Tensor& y) = 0;

  // ---- elementwise and reductions ---------------------------------------------------------------------

  /// y = a op b with NumPy broadcasting; y has the broadcast shape and may be the same memory as a or b where
  /// that one has y's shape.
  virtual void binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& y) = 0;
  /// y = scale * x + shift.
  virtual void affine(double scale, double shift, const Tensor& x, const Tensor& y) = 0;
  virtual void unary(UnaryOp op, const Tensor& x, const Tensor& y) = 0;
  virtual void unaryBackward(UnaryOp op, const Tensor& x, const Tensor& dy, const Tensor& dx) = 0;
  /// y = x^exponent, as C's pow has it.
  virtual void power(double exponent, const Tensor& x, const Tensor& y) = 0;
  /// dx = exponent * x^(exponent - 1) * dy; 0 at x = 0 where the exponent is below 1.
  virtual void powerBackward(double exponent, const Tensor& x, const Tensor& dy, const Tensor& dx) = 0;
  /// y [N,C] = 1 in each row's column of int32 labels [N], which lie in [0, C), else 0. Any floating-point y.
  virtual void oneHot(const Tensor& labels, const Tensor& y) = 0;
  /// y = x where x > 0, else slope * x. NaN stays NaN.
  virtual void leakyRelu(double slope, const Tensor& x, const Tensor& y) = 0;
  /// Needs the output only (slope >= 0): dx = dy where y > 0, else slope * dy.
  virtual void leakyReluBackward(double slope, const Tensor& y, const Tensor& dy, const Tensor& dx) = 0;
  /// Sums x over the axes in which y (same rank) has extent 1. Accumulates in float64, in a fixed order.
  virtual void sumTo(const Tensor& x, const Tensor& y) = 0;
  /// Repeats x along the axes in which it has extent 1 (same rank as y).
  virtual void broadcastTo(const Tensor& x, const Tensor& y) = 0;

  // ---- random numbers: Philox4x32-10, counter = element index / 4, the same on every backend -------------

  virtual void randomUniform(uint64_t seed, double low, double high, const Tensor& y) = 0;
  virtual void randomNormal(uint64_t seed, double mean, double deviation, const Tensor& y) = 0;
  /// y = x / (1 - p) where element i's uniform number of `seed` is >= p, else 0. It is its own gradient:
  /// apply it to dy with the same seed.
  virtual void dropout(uint64_t seed, double p, const Tensor& x, const Tensor& y) = 0;
  /// y [N,CH,CW,C] = a random window of each image of x [N,H,W,C] with `padding` zeros on each side, mirrored
  /// in half of the cases where `flip`. Any dtype, the same for both. Image i takes the words of Philox block
  /// i (elements 4i to 4i+3): top = word 0 * (H + 2 padding - CH + 1) >> 32, left = word 1 * (W + 2 padding -
  /// CW + 1) >> 32, mirrored where word 2 >= 2^31.
  virtual void randomCropFlip(uint64_t seed, int32_t padding, bool flip, const Tensor& x,
                              const Tensor& y) = 0;

  // ---- pooling: x [N,H,W,C] -> y [N,OH,OW,C]
  // ---------------------------------------------------------------

  /// Padding counts as -infinity. NaN in a window gives NaN.
  virtual void maxPool2d(const Pool2dParams& p, const Tensor& x, const Tensor& y) = 0;
  /// The gradient goes to the first maximum (row-major) of each window.
  virtual void maxPool2dBackward(const Pool2dParams& p, const Tensor& x, const Tensor& dy,
                                 const Tensor& dx) = 0;
  /// Mean over kernelH * kernelW values (countPadding) or over the values inside the image.
  virtual void avgPool2d(const Pool2dParams& p, bool countPadding, const Tensor& x, const Tensor& y) = 0;
  virtual void avgPool2dBackward(const Pool2dParams& p, bool countPadding, const Tensor& dy,
                                 const Tensor& dx) = 0;

  // ---- batch normalisation over all axes but the last; gamma, beta, mean, ... are [C]
  // ------------------------

  /// y = gamma * (x - mean) * invStd + beta with the statistics of the batch (biased variance), which are
  /// written to mean and invStd. The running ones move by `momentum` towards them (unbiased variance):
  /// running += momentum * (batch - running).
  virtual void batchNorm(double momentum, double epsilon, const Tensor& x, const Tensor& gamma,
                         const Tensor& beta, const Tensor& runningMean, const Tensor& runningVariance,
                         const Tensor& y, const Tensor& mean, const Tensor& invStd) = 0;
  virtual void batchNormBackward(const Tensor& x, const Tensor& gamma, const Tensor& mean,
                                 const Tensor& invStd, const Tensor& dy, const Tensor& dx,
                                 const Tensor& dgamma, const Tensor& dbeta) = 0;
  /// The same with a ReLU behind it in one pass: y = max(0, gamma * (x - mean) * invStd + beta).
  virtual void batchNormRelu(double momentum, double epsilon, const Tensor& x, const Tensor& gamma,
                             const Tensor& beta, const Tensor& runningMean, const Tensor& runningVariance,
                             const Tensor& y, const Tensor& mean, const Tensor& invStd) = 0;
  /// dy is the gradient of the ReLU's output; what it lets through is found from x again.
  virtual void batchNormReluBackward(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                     const Tensor& mean, const Tensor& invStd, const Tensor& dy,
                                     const Tensor& dx, const Tensor& dgamma, const Tensor& dbeta) = 0;
  /// The same with given statistics, which are constants to the gradient.
  virtual void batchNormInference(double epsilon, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                  const Tensor& mean, const Tensor& variance, const Tensor& y) = 0;
  virtual void batchNormInferenceBackward(double epsilon, const Tensor& x, const Tensor& gamma,
                                          const Tensor& mean, const Tensor& variance, const Tensor& dy,
                                          const Tensor& dx, const Tensor& dgamma, const Tensor& dbeta) = 0;

  // ---- convolution: x [N,H,W,C], w [O,KH,KW,C/groups], y [N,OH,OW,O]
  // -----------------------------------------

  /// y = conv(x, w) + bias; bias [O] optional.
  virtual void conv2d(const Conv2dParams& p, const Tensor& x, const Tensor& w, const Tensor& bias,
                      const Tensor& y) = 0;
  virtual void conv2dDataGradient(const Conv2dParams& p, const Tensor& dy, const Tensor& w,
                                  const Tensor& dx) = 0;
  /// dw, and where dbias [O] is given the sum of dy over positions.
  virtual void conv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& dy,
                                    const Tensor& dw, const Tensor& dbias) = 0;

  // ---- SphereConv (DESIGN: nx = sqrt(sum x^2 + eps), nw = sqrt(sum w^2 + eps), c = <x,w> / (nx nw))
  // -----------

  /// y = g(c). Also writes nx [N,OH,OW,groups] and nw [O] for the gradient. k: optional, [O] or [1].
  /// c [like y]: optional, float64 only, where the gradient shall not lose what g's saturation hides.
  virtual void sphereConv2d(const Conv2dParams& p, const AngularParams& a, const Tensor& x, const Tensor& w,
                            const Tensor& k, const Tensor& y, const Tensor& nx, const Tensor& nw,
                            const Tensor& c) = 0;
  /// The same, and z [like y] in the pass that computes y: where gamma and beta [O] are given
  ///   z = gamma (y - mean) / sqrt(variance + normEpsilon) + beta,  mean and variance [O] given too, or
  ///   z = gamma y + beta,
  /// else z = y; then where `relu` not less than 0. y: optional, kept for the gradient.
  virtual void sphereConv2dRescaled(const Conv2dParams& p, const AngularParams& a, bool relu,
                                    double normEpsilon, const Tensor& x, const Tensor& w, const Tensor& k,
                                    const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                    const Tensor& variance, const Tensor& y, const Tensor& nx,
                                    const Tensor& nw, const Tensor& c, const Tensor& z) = 0;
  /// The one pass before the two gradient convolutions. With G = dy * dg/dc, where c is recovered from y
  /// unless the forward pass kept it:
  ///   h [like y] = G / (nx nw)      r [like nx] = sum over the group's filters of G c / nx^2
  ///   q [O] = sum over positions of G c         dk [like k] = sum of dy * dg/dk, where dk is given
  virtual void sphereConv2dAngularBackward(const AngularParams& a, const Tensor& y, const Tensor& c,
                                           const Tensor& dy, const Tensor& k, const Tensor& nx,
                                           const Tensor& nw, const Tensor& h, const Tensor& r,
                                           const Tensor& q, const Tensor& dk) = 0;
  /// The same for a SphereConv whose y goes nowhere but into z, of which dz is the gradient; dy stays in
  /// registers. Given are
  ///   gamma, beta, mean, invStd  z comes from batchNorm, or where `relu` from batchNormRelu, of that batch
  ///   gamma, beta                z comes from sphereConv2dRescaled
  ///   none of them               so it does, and y is z; or without `relu` y is what nothing follows
  virtual void sphereConv2dNormBackward(const AngularParams& a, bool relu, const Tensor& y, const Tensor& c,
                                        const Tensor& k, const Tensor& nx, const Tensor& nw,
                                        const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                        const Tensor& invStd, const Tensor& dz, const Tensor& h,
                                        const Tensor& r, const Tensor& q, const Tensor& dk,
                                        const Tensor& dgamma, const Tensor& dbeta) = 0;
  /// sphereConv2dNormBackward and sphereConv2dWeightGradient where x asks for no gradient, so that nobody
  /// needs h and r.
  virtual void sphereConv2dFilterBackward(const Conv2dParams& p, const AngularParams& a, bool relu,
                                          const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& c,
                                          const Tensor& k, const Tensor& nx, const Tensor& nw,
                                          const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                          const Tensor& invStd, const Tensor& dz, const Tensor& dw,
                                          const Tensor& dk, const Tensor& dgamma, const Tensor& dbeta) = 0;
  /// dx = transposed conv(h, w) - x * box(r); box sums r over the patches that hold the element.
  virtual void sphereConv2dDataGradient(const Conv2dParams& p, const Tensor& h, const Tensor& w,
                                        const Tensor& x, const Tensor& r, const Tensor& dx) = 0;
  /// dw = corr(h, x) - w * q / nw^2.
  virtual void sphereConv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& h,
                                          const Tensor& w, const Tensor& q, const Tensor& nw,
                                          const Tensor& dw) = 0;

  // ---- decoupled operators: y = h(nx) g(theta), with nx and g from sphereConv2d
  // -----------

  /// y = h(nx) g; radius: optional, [O] or [1]. y may be g's memory.
  virtual void magnitude(const MagnitudeParams& p, const Tensor& nx, const Tensor& radius, const Tensor& g,
                         const Tensor& y) = 0;
  /// What comes before sphereConv2dAngularBackward, which takes g [like y] = y / h and dg [like y] = dy h:
  ///   radial [like nx] = sum over the group's filters of dy g h'(nx) / nx, to be taken from r
  ///   dradius [like radius] = sum of dy g dh/drho, where dradius is given
  /// Nothing flows back where h is 0 or y is NaN. dg is bounded, so that no sum of it overflows.
  virtual void magnitudeBackward(const MagnitudeParams& p, const Tensor& y, const Tensor& dy,
                                 const Tensor& nx, const Tensor& radius, const Tensor& g, const Tensor& dg,
                                 const Tensor& radial, const Tensor& dradius) = 0;
  /// mean [1] = the mean of nx, by which average [2], the weighted sum of means and the sum of their weights,
  /// moves: average = decay average + (1 - decay) {mean, 1}. Without nx: mean = average[0] / average[1], 1
  /// where nothing was averaged yet.
  virtual void meanNorm(double decay, const Tensor& nx, const Tensor& average, const Tensor& mean) = 0;

  // ---- losses: [N,C] against int32 labels [N], which lie in [0, C)
  // ---------------------------------------------

  /// loss [] = mean over the batch of cross-entropy against (1 - smoothing) * onehot + smoothing / C;
  /// probabilities [N,C] = softmax(logits), for the gradient.
  virtual void softmaxCrossEntropy(double smoothing, const Tensor& logits, const Tensor& labels,
                                   const Tensor& loss, const Tensor& probabilities) = 0;
  virtual void softmaxCrossEntropyBackward(double smoothing, const Tensor& probabilities,
                                           const Tensor& labels, const Tensor& dloss,
                                           const Tensor& dlogits) = 0;
  /// loss [] = mean over the batch of the cross-entropy of logits s g(theta_j), with a margin as `m` says;
  /// s = m.scale or |x|. cosines [N,C], norms [N] = |x|. probabilities [N,C], for the gradient.
  virtual void angularSoftmax(const AngularParams& a, const MarginParams& m, const Tensor& cosines,
                              const Tensor& norms, const Tensor& labels, const Tensor& loss,
                              const Tensor& probabilities) = 0;
  /// dcosines [N,C], and radial [N] = d loss / d|x| / |x|: what the gradient has along x, as a multiple of x;
  /// 0 where the scale is fixed.
  virtual void angularSoftmaxBackward(const AngularParams& a, const MarginParams& m, const Tensor& cosines,
                                      const Tensor& norms, const Tensor& labels, const Tensor& probabilities,
                                      const Tensor& dloss, const Tensor& dcosines, const Tensor& radial) = 0;

  // ---- optimisers: all parameters of a group in one call; lists run in parallel
  // ----------------------------------

  /// velocity may be empty tensors where momentum is 0.
  virtual void sgdStep(const SgdParams& p, const std::vector<Tensor>& parameters,
                       const std::vector<Tensor>& gradients, const std::vector<Tensor>& velocities) = 0;
  virtual void adamStep(const AdamParams& p, const std::vector<Tensor>& parameters,
                        const std::vector<Tensor>& gradients, const std::vector<Tensor>& firstMoments,
                        const std::vector<Tensor>& secondMoments) = 0;
};

}  // namespace spherenet
