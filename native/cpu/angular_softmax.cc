// Cross-entropy over logits s g(theta_j), s = |x| or fixed, with a margin for the target: GA-Softmax and its
// sisters.
#include <cmath>

#include "cpu_ops.h"
#include "loops.h"
#include "margins.h"
#include "parallel.h"
#include "scratch.h"

namespace spherenet::cpu {

void CpuOps::angularSoftmax(const AngularParams& a, const MarginParams& m, const Tensor& cosinesTensor,
                            const Tensor& normsTensor, const Tensor& labelsTensor, const Tensor& loss,
                            const Tensor& probabilitiesTensor) {
  if (cosinesTensor.size() == 0) return;
  const int64_t batch = cosinesTensor.shape[0], classes = cosinesTensor.shape[1];
  withFloat(cosinesTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* cosines = cosinesTensor.as<T>();
    const T* norms = normsTensor.as<T>();
    const int32_t* labels = labelsTensor.as<int32_t>();
    T* probabilities = probabilitiesTensor.as<T>();
    const OtherClasses<T> others(a, m);
    const TargetClass targets(a, m);
    const double spread = m.smoothing / static_cast<double>(classes);
    double* losses = scratch<double>(ScratchSlot::Partials, batch);
    parallelRanges(batch, grainOfRows(32 * classes), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* c = cosines + i * classes;
        T* p = probabilities + i * classes;
        const double length = m.scale > 0 ? m.scale : static_cast<double>(norms[i]);
        // Until it is a probability, p holds g: the logit |x| g is formed in float64, where |x| may be large.
        for (int64_t j = 0; j < classes; ++j) p[j] = others.value(c[j]);
        const double target = targets(static_cast<double>(c[labels[i]])).value;
        double top = target;
        for (int64_t j = 0; j < classes; ++j) {
          const double g = static_cast<double>(p[j]);
          top = j != labels[i] && g > top ? g : top;
        }
        double total = 0, gaps = 0;
        for (int64_t j = 0; j < classes; ++j) {
          const double g = j == labels[i] ? target : static_cast<double>(p[j]);
          const T e = std::exp(static_cast<T>(length * (g - top)));
          p[j] = e;
          total += static_cast<double>(e);
          gaps += g - top;
        }
        const T factor = static_cast<T>(1 / total);
        for (int64_t j = 0; j < classes; ++j) p[j] *= factor;
        losses[i] = std::log(total) - length * ((1 - m.smoothing) * (target - top) + spread * gaps);
      }
    });
    double total = 0;
    for (int64_t i = 0; i < batch; ++i) total += losses[i];
    *loss.as<T>() = static_cast<T>(total / static_cast<double>(batch));
  });
}

void CpuOps::angularSoftmaxBackward(const AngularParams& a, const MarginParams& m,
                                    const Tensor& cosinesTensor, const Tensor& normsTensor,
                                    const Tensor& labelsTensor, const Tensor& probabilitiesTensor,
                                    const Tensor& dloss, const Tensor& dcosinesTensor,
                                    const Tensor& radialTensor) {
  if (dcosinesTensor.size() == 0) return;
  const int64_t batch = cosinesTensor.shape[0], classes = cosinesTensor.shape[1];
  withFloat(cosinesTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* cosines = cosinesTensor.as<T>();
    const T* norms = normsTensor.as<T>();
    const int32_t* labels = labelsTensor.as<int32_t>();
    const T* probabilities = probabilitiesTensor.as<T>();
    T* dcosines = dcosinesTensor.as<T>();
    T* radial = radialTensor.as<T>();
    const double factor = static_cast<double>(*dloss.as<T>()) / static_cast<double>(batch);
    const OtherClasses<T> others(a, m);
    const TargetClass targets(a, m);
    const double spread = m.smoothing / static_cast<double>(classes);
    parallelRanges(batch, grainOfRows(32 * classes), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* c = cosines + i * classes;
        const T* p = probabilities + i * classes;
        T* dc = dcosines + i * classes;
        const double length = m.scale > 0 ? m.scale : static_cast<double>(norms[i]);
        const int64_t y = labels[i];
        if (p[y] != p[y]) {
          // A row with NaN or infinities has no loss to descend: it passes nothing back.
          std::fill_n(dc, classes, T(0));
          radial[i] = T(0);
          continue;
        }
        const ValueAndSlope<double> target = targets(static_cast<double>(c[y]));
        double dlength = 0;
        // The product starts at the difference: one that is 0 must stay 0 however large |x| and dg/dc are.
        // The differences add up to 0, so g counts from the target's: where all g are near 1, little cancels.
        const auto add = [&](double difference, double below, double slope) {
          const double gradient = factor * difference;
          dlength += gradient * (target.below - below);
          return static_cast<T>(gradient * length * slope);
        };
        const auto addOthers = [&](int64_t from, int64_t to) {
          for (int64_t j = from; j < to; ++j) {
            const ValueAndSlope<T> g = others.valueAndSlope(c[j]);
            dc[j] = add(static_cast<double>(p[j]) - spread, static_cast<double>(g.below),
                        static_cast<double>(g.slope));
          }
        };
        addOthers(0, y);
        dc[y] = add(static_cast<double>(p[y]) - (1 - m.smoothing) - spread, target.below, target.slope);
        addOthers(y + 1, classes);
        // A fixed length does not move. |x| is 0 only where epsilon underflows; x is 0 too then, and with it
        // its multiple.
        radial[i] = m.scale == 0 && length > 0 ? static_cast<T>(dlength / length) : T(0);
      }
    });
  });
}

}  // namespace spherenet::cpu
