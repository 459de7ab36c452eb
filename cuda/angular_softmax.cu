// GA-Softmax: cross-entropy over logits |x| g(theta_j), with a margin psi(theta_y) for the target.
#include <limits>

#include "cuda_ops.h"
#include "device/angular.cuh"
#include "loss_launch.h"

namespace spherenet::cuda {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();

template <class T>
struct ValueAndSlope {
  T value, slope;  // slope: the derivative with respect to c = cos(theta)
  T below;         // 1 - value, with the digits that the subtraction would lose near 1 (in float64)
};

/// 1 - g of the sigmoid at asin(c) = pi/2 - theta, which is sinh(theta / 2k) / (cosh(asin(c) / 2k) sinh(pi /
/// 4k)), with the exponentials taken out so that nothing overflows.
__device__ inline double sigmoidBelow(double theta, double k) {
  const double a = (kPi / 2 - theta) / (2 * k);
  const double numerator = -2 * exp(-2 * fmax(a, 0.0)) * expm1(-theta / k);
  return numerator / ((1 + exp(-2 * fabs(a))) * -expm1(-kPi / (2 * k)));
}

/// g(theta) of the classes that are not the target, evaluated in the tensor's own type.
template <class T>
__device__ inline ValueAndSlope<T> valueAndSlope(const AngularParams& a, const AngularFilter<T>& filter,
                                                 T cosine) {
  const T g = angularValue<false>(a.op, filter, cosine), slope = angularSlopesAt(a.op, filter, cosine).slope;
  if (sizeof(T) == 4 || a.op == AngularOperator::Cosine) return {g, slope, 1 - g};
  const double theta = acos(static_cast<double>(clampToOne(cosine)));
  const double below = a.op == AngularOperator::Linear ? 2 / kPi * theta : sigmoidBelow(theta, a.k);
  return {g, slope, static_cast<T>(below)};
}

__device__ inline bool isOdd(double integer) {
  return 2 * floor(integer / 2) != integer;
}

/// sin(m theta) / sin(theta)
__device__ inline double sineRatio(double m, double c, double theta) {
  const double sine = sqrt((1 - c) * (1 + c));
  if (c >= 0) return sine > 0 ? sin(m * theta) / sine : m;
  if (m != floor(m)) return sin(m * theta) * inverseRoot(sine);
  // An integer m has a limit at pi too; the angle to pi keeps the digits there.
  const double ratio = sine > 0 ? sin(m * acos(-c)) / sine : m;
  return isOdd(m) ? ratio : -ratio;
}

/// psi(theta) of the target, in float64: there is one per row.
__device__ inline ValueAndSlope<double> marginAt(const AngularParams& a, double m, double cosine) {
  const double c = clampToOne(cosine), theta = acos(c);
  if (a.op == AngularOperator::Cosine) {
    // (-1)^j cos(m theta) - 2j on [j pi/m, (j+1) pi/m], and (-1)^j m sin(m theta) / sin(theta)
    if (m == 1) return {c, 1, 1 - c};
    // theta = pi belongs to the last piece, not to one of its own.
    const double j = fmin(floor(m * theta / kPi), fmax(0.0, ceil(m) - 1));
    const double sign = isOdd(j) ? -1 : 1, value = sign * cos(m * theta) - 2 * j, half = sin(m * theta / 2);
    return {value, sign * m * sineRatio(m, c, theta), j == 0 ? 2 * half * half : 1 - value};
  }
  const double inverse = inverseRoot(sqrt((1 - c) * (1 + c)));
  if (a.op == AngularOperator::Linear) {
    const double below = 2 * m * theta / kPi;
    return {1 - below, 2 * m / kPi * inverse, below};
  }
  const double range = tanh(kPi / (4 * a.k)), t = tanh((kPi / 2 - m * theta) / (2 * a.k));
  return {t / range, m * (1 - t) * (1 + t) / (2 * a.k * range) * inverse, sigmoidBelow(m * theta, a.k)};
}

template <class T, bool WholeBlock>
__global__ void __launch_bounds__(kLossThreads, 1)
    marginLoss(const AngularParams a, double margin, int64_t rows, int64_t classes,
               const T* __restrict__ cosines, const T* __restrict__ norms, const int32_t* __restrict__ labels,
               T* __restrict__ probabilities, double* losses, T* loss) {
  auto& shared = dynamicShared<LossShared>();
  const RowTeam<WholeBlock> team(shared);
  const AngularFilter<T> filter = angularFilter(a.op, static_cast<T>(a.k));
  for (int64_t row = team.first; row < rows; row += team.step) {
    const T* c = cosines + row * classes;
    T* p = probabilities + row * classes;
    const int64_t label = labels[row];
    const double norm = norms[row], target = marginAt(a, margin, static_cast<double>(c[label])).value;
    // Until it is a probability, p holds g: the logit |x| g is formed in float64, where |x| may be large.
    double most = kLowest;
    for (int64_t j = team.thread; j < classes; j += team.size) {
      const T g = angularValue<false>(a.op, filter, c[j]);
      p[j] = g;
      const double value = j == label ? target : static_cast<double>(g);
      most = value > most ? value : most;
    }
    const double top = team.most(most);
    double total = 0;
    for (int64_t j = team.thread; j < classes; j += team.size) {
      const double g = j == label ? target : static_cast<double>(p[j]);
      const T e = exp(static_cast<T>(norm * (g - top)));
      p[j] = e;
      total += static_cast<double>(e);
    }
    total = team.sum(total);
    const T factor = static_cast<T>(1 / total);
#pragma unroll 4
    for (int64_t j = team.thread; j < classes; j += team.size) p[j] *= factor;
    if (team.thread == 0) losses[row] = log(total) - norm * (target - top);
  }
  if (gridDim.x > 1) return;
  __syncthreads();
  writeMeanLoss(losses, rows, shared, loss);
}

template <class T, bool WholeBlock>
__global__ void __launch_bounds__(kLossThreads, 1)
    marginLossBackward(const AngularParams a, double margin, int64_t rows, int64_t classes,
                       const T* __restrict__ cosines, const T* __restrict__ norms,
                       const int32_t* __restrict__ labels, const T* __restrict__ probabilities,
                       const T* __restrict__ dloss, T* __restrict__ dcosines, T* __restrict__ radial) {
  const RowTeam<WholeBlock> team(dynamicShared<LossShared>());
  const AngularFilter<T> filter = angularFilter(a.op, static_cast<T>(a.k));
  const double factor = static_cast<double>(*dloss) / static_cast<double>(rows);
  for (int64_t row = team.first; row < rows; row += team.step) {
    const T* c = cosines + row * classes;
    const T* p = probabilities + row * classes;
    T* dc = dcosines + row * classes;
    const int64_t label = labels[row];
    const double norm = norms[row];
    // A row with NaN or infinities has no loss to descend: it passes nothing back.
    const bool defined = p[label] == p[label];
    const ValueAndSlope<double> target = marginAt(a, margin, static_cast<double>(c[label]));
    double dnorm = 0;
    for (int64_t j = team.thread; j < classes; j += team.size) {
      // The product starts at the probability: one that is 0 must stay 0 however large |x| and dg/dc are. The
      // differences add up to 0, so g counts from the target's: where all g are near 1, little cancels.
      double difference = p[j], slope = target.slope, above = 0;
      if (j == label) {
        difference -= 1;
      } else {
        const ValueAndSlope<T> g = valueAndSlope(a, filter, c[j]);
        slope = g.slope;
        above = target.below - static_cast<double>(g.below);
      }
      const double gradient = factor * difference;
      dnorm += defined ? gradient * above : 0;
      dc[j] = defined ? static_cast<T>(gradient * norm * slope) : T(0);
    }
    dnorm = team.sum(dnorm);
    // The norm is 0 only where epsilon underflows; x is 0 too then, and with it its multiple.
    if (team.thread == 0) radial[row] = defined && norm > 0 ? static_cast<T>(dnorm / norm) : T(0);
  }
}

}  // namespace

void CudaOps::angularSoftmax(const AngularParams& a, double margin, const Tensor& cosines,
                             const Tensor& norms, const Tensor& labels, const Tensor& loss,
                             const Tensor& probabilities) {
  if (cosines.size() == 0) return;
  const LossGrid g(cosines.shape);
  withFloat(cosines.dtype, [&](auto type) {
    using T = decltype(type);
    const auto kernel = g.wholeBlock ? marginLoss<T, true> : marginLoss<T, false>;
    const Workspace losses(context_, static_cast<size_t>(g.rows) * sizeof(double));
    launch(context_, kernel, g.forwardBlocks(), kLossThreads, sizeof(LossShared), a, margin, g.rows,
           g.classes, cosines.as<T>(), norms.as<T>(), labels.as<int32_t>(), probabilities.as<T>(),
           losses.as<double>(), loss.as<T>());
    launchMeanLoss(context_, g, losses.as<double>(), loss.as<T>());
  });
}

void CudaOps::angularSoftmaxBackward(const AngularParams& a, double margin, const Tensor& cosines,
                                     const Tensor& norms, const Tensor& labels, const Tensor& probabilities,
                                     const Tensor& dloss, const Tensor& dcosines, const Tensor& radial) {
  if (dcosines.size() == 0) return;
  const LossGrid g(cosines.shape);
  withFloat(cosines.dtype, [&](auto type) {
    using T = decltype(type);
    const auto kernel = g.wholeBlock ? marginLossBackward<T, true> : marginLossBackward<T, false>;
    launch(context_, kernel, g.blocks(), kLossThreads, sizeof(LossShared), a, margin, g.rows, g.classes,
           cosines.as<T>(), norms.as<T>(), labels.as<int32_t>(), probabilities.as<T>(), dloss.as<T>(),
           dcosines.as<T>(), radial.as<T>());
  });
}

}  // namespace spherenet::cuda
