// Cross-entropy over logits s g(theta_j), s = |x| or fixed, with a margin for the target: GA-Softmax and its
// sisters.
#include <limits>

#include "cuda_ops.h"
#include "device/margins.cuh"
#include "loss_launch.h"

namespace spherenet::cuda {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();

template <class T>
__global__ void __launch_bounds__(kLossThreads, 1)
    marginLoss(bool wholeBlock, const AngularParams a, const MarginParams m, int64_t rows, int64_t classes,
               const T* __restrict__ cosines, const T* __restrict__ norms, const int32_t* __restrict__ labels,
               T* __restrict__ probabilities, double* losses, T* loss) {
  auto& shared = dynamicShared<LossShared>();
  const RowTeam team(shared, wholeBlock);
  const OtherClasses<T> others(a, m);
  const double spread = m.smoothing / static_cast<double>(classes);
  for (int64_t row = team.first; row < rows; row += team.step) {
    const T* c = cosines + row * classes;
    T* p = probabilities + row * classes;
    const int64_t label = labels[row];
    const double length = m.scale > 0 ? m.scale : static_cast<double>(norms[row]);
    const double target = targetAt(a, m, static_cast<double>(c[label])).value;
    // Until it is a probability, p holds g: the logit |x| g is formed in float64, where |x| may be large.
    double most = kLowest;
    for (int64_t j = team.thread; j < classes; j += team.size) {
      const T g = others.value(c[j]);
      p[j] = g;
      const double value = j == label ? target : static_cast<double>(g);
      most = value > most ? value : most;
    }
    const double top = team.most(most);
    double total = 0, gaps = 0;
    for (int64_t j = team.thread; j < classes; j += team.size) {
      const double g = j == label ? target : static_cast<double>(p[j]);
      const T e = exp(static_cast<T>(length * (g - top)));
      p[j] = e;
      total += static_cast<double>(e);
      gaps += g - top;
    }
    total = team.sum(total);
    if (m.smoothing > 0) gaps = team.sum(gaps);
    const T factor = static_cast<T>(1 / total);
#pragma unroll 4
    for (int64_t j = team.thread; j < classes; j += team.size) p[j] *= factor;
    if (team.thread == 0)
      losses[row] = log(total) - length * ((1 - m.smoothing) * (target - top) + spread * gaps);
  }
  if (gridDim.x > 1) return;
  __syncthreads();
  writeMeanLoss(losses, rows, shared, loss);
}

template <class T>
__global__ void __launch_bounds__(kLossThreads, 1)
    marginLossBackward(bool wholeBlock, const AngularParams a, const MarginParams m, int64_t rows,
                       int64_t classes, const T* __restrict__ cosines, const T* __restrict__ norms,
                       const int32_t* __restrict__ labels, const T* __restrict__ probabilities,
                       const T* __restrict__ dloss, T* __restrict__ dcosines, T* __restrict__ radial) {
  const RowTeam team(dynamicShared<LossShared>(), wholeBlock);
  const OtherClasses<T> others(a, m);
  const double spread = m.smoothing / static_cast<double>(classes);
  const double factor = static_cast<double>(*dloss) / static_cast<double>(rows);
  for (int64_t row = team.first; row < rows; row += team.step) {
    const T* c = cosines + row * classes;
    const T* p = probabilities + row * classes;
    T* dc = dcosines + row * classes;
    const int64_t label = labels[row];
    const double length = m.scale > 0 ? m.scale : static_cast<double>(norms[row]);
    // A row with NaN or infinities has no loss to descend: it passes nothing back.
    const bool defined = p[label] == p[label];
    const ValueAndSlope<double> target = targetAt(a, m, static_cast<double>(c[label]));
    double dlength = 0;
    for (int64_t j = team.thread; j < classes; j += team.size) {
      // The product starts at the difference: one that is 0 must stay 0 however large |x| and dg/dc are. The
      // differences add up to 0, so g counts from the target's: where all g are near 1, little cancels.
      double difference = static_cast<double>(p[j]) - spread, slope = target.slope, above = 0;
      if (j == label) {
        difference -= 1 - m.smoothing;
      } else {
        const ValueAndSlope<T> g = others.valueAndSlope(c[j]);
        slope = g.slope;
        above = target.below - static_cast<double>(g.below);
      }
      const double gradient = factor * difference;
      dlength += defined ? gradient * above : 0;
      dc[j] = defined ? static_cast<T>(gradient * length * slope) : T(0);
    }
    dlength = team.sum(dlength);
    // A fixed length does not move. |x| is 0 only where epsilon underflows; x is 0 too then, and with it its
    // multiple.
    const bool moves = defined && m.scale == 0 && length > 0;
    if (team.thread == 0) radial[row] = moves ? static_cast<T>(dlength / length) : T(0);
  }
}

}  // namespace

void CudaOps::angularSoftmax(const AngularParams& a, const MarginParams& m, const Tensor& cosines,
                             const Tensor& norms, const Tensor& labels, const Tensor& loss,
                             const Tensor& probabilities) {
  if (cosines.size() == 0) return;
  const LossGrid g(cosines.shape);
  withFloat(cosines.dtype, [&](auto type) {
    using T = decltype(type);
    const Workspace losses(context_, static_cast<size_t>(g.rows) * sizeof(double));
    launch(context_, marginLoss<T>, g.forwardBlocks(), kLossThreads, sizeof(LossShared), g.wholeBlock, a, m,
           g.rows, g.classes, cosines.as<T>(), norms.as<T>(), labels.as<int32_t>(), probabilities.as<T>(),
           losses.as<double>(), loss.as<T>());
    launchMeanLoss(context_, g, losses.as<double>(), loss.as<T>());
  });
}

void CudaOps::angularSoftmaxBackward(const AngularParams& a, const MarginParams& m, const Tensor& cosines,
                                     const Tensor& norms, const Tensor& labels, const Tensor& probabilities,
                                     const Tensor& dloss, const Tensor& dcosines, const Tensor& radial) {
  if (dcosines.size() == 0) return;
  const LossGrid g(cosines.shape);
  withFloat(cosines.dtype, [&](auto type) {
    using T = decltype(type);
    launch(context_, marginLossBackward<T>, g.blocks(), kLossThreads, sizeof(LossShared), g.wholeBlock, a, m,
           g.rows, g.classes, cosines.as<T>(), norms.as<T>(), labels.as<int32_t>(), probabilities.as<T>(),
           dloss.as<T>(), dcosines.as<T>(), radial.as<T>());
  });
}

}  // namespace spherenet::cuda
