// GA-Softmax: cross-entropy over logits |x| g(theta_j), with a margin psi(theta_y) for the target.
#include <cmath>

#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"
#include "scratch.h"

namespace spherenet::cpu {

namespace {

constexpr double kPi = 3.14159265358979323846;

/// 1 / sin(theta), cut off where sin^2(theta) falls below kMinSinSquared.
template <class T>
T inverseSine(T c) {
  return 1 / std::sqrt(std::max((1 - c) * (1 + c), static_cast<T>(kMinSinSquared)));
}

template <class T>
struct ValueAndSlope {
  T value, slope;  // slope: the derivative with respect to c = cos(theta)
  T below;         // 1 - value, with the digits that the subtraction would lose near 1 (in float64)
};

/// 1 - g of the sigmoid at asin(c) = pi/2 - theta, which is sinh(theta / 2k) / (cosh(asin(c) / 2k) sinh(pi /
/// 4k)), with the exponentials taken out so that nothing overflows.
double sigmoidBelow(double theta, double k) {
  const double a = (kPi / 2 - theta) / (2 * k);
  const double numerator = -2 * std::exp(-2 * std::max(a, 0.0)) * std::expm1(-theta / k);
  return numerator / ((1 + std::exp(-2 * std::abs(a))) * -std::expm1(-kPi / (2 * k)));
}

/// g(theta) of the classes that are not the target, evaluated in the tensor's own type.
template <class T>
class Angular {
 public:
  explicit Angular(const AngularParams& a)
      : op_(a.op),
        k_(a.k),
        halfInverseK_(static_cast<T>(1 / (2 * a.k))),
        inverseRange_(static_cast<T>(1 / std::tanh(kPi / (4 * a.k)))) {}

  T value(T cosine) const {
    const T c = std::clamp(cosine, T(-1), T(1));
    if (op_ == AngularOperator::Cosine) return c;
    if (op_ == AngularOperator::Linear) return static_cast<T>(2 / kPi) * std::asin(c);
    return std::tanh(std::asin(c) * halfInverseK_) * inverseRange_;
  }

  ValueAndSlope<T> valueAndSlope(T cosine) const {
    const T c = std::clamp(cosine, T(-1), T(1));
    if (op_ == AngularOperator::Cosine) return {c, 1, 1 - c};
    if (op_ == AngularOperator::Linear) {
      const T g = static_cast<T>(2 / kPi) * std::asin(c);
      return {g, static_cast<T>(2 / kPi) * inverseSine(c), below(c, g)};
    }
    const T t = std::tanh(std::asin(c) * halfInverseK_);
    const T g = t * inverseRange_;
    return {g, (1 - t) * (1 + t) * halfInverseK_ * inverseRange_ * inverseSine(c), below(c, g)};
  }

 private:
  T below(T c, T g) const {
    if constexpr (sizeof(T) == 4) return 1 - g;
    const double theta = std::acos(static_cast<double>(c));
    return static_cast<T>(op_ == AngularOperator::Linear ? 2 / kPi * theta : sigmoidBelow(theta, k_));
  }

  AngularOperator op_;
  double k_;
  T halfInverseK_, inverseRange_;
};

/// psi(theta) of the target, in float64: there is one per row.
class Margin {
 public:
  Margin(const AngularParams& a, double margin) : a_(a), m_(margin) {}

  ValueAndSlope<double> operator()(double cosine) const {
    const double c = std::clamp(cosine, -1.0, 1.0);
    const double theta = std::acos(c);
    if (a_.op == AngularOperator::Cosine) return cosinePieces(c, theta);
    if (a_.op == AngularOperator::Linear) {
      const double below = 2 * m_ * theta / kPi;
      return {1 - below, 2 * m_ / kPi * inverseSine(c), below};
    }
    const double range = std::tanh(kPi / (4 * a_.k));
    const double t = std::tanh((kPi / 2 - m_ * theta) / (2 * a_.k));
    const double slope = m_ * (1 - t) * (1 + t) / (2 * a_.k * range) * inverseSine(c);
    return {t / range, slope, sigmoidBelow(m_ * theta, a_.k)};
  }

 private:
  /// (-1)^j cos(m theta) - 2j on [j pi/m, (j+1) pi/m], and (-1)^j m sin(m theta) / sin(theta).
  ValueAndSlope<double> cosinePieces(double c, double theta) const {
    if (m_ == 1) return {c, 1, 1 - c};
    // theta = pi belongs to the last piece, not to one of its own.
    const double lastPiece = std::max(0.0, std::ceil(m_) - 1);
    const double j = std::min(std::floor(m_ * theta / kPi), lastPiece);
    const double sign = isOdd(j) ? -1 : 1;
    const double value = sign * std::cos(m_ * theta) - 2 * j;
    const double half = std::sin(m_ * theta / 2);
    return {value, sign * m_ * sineRatio(c, theta), j == 0 ? 2 * half * half : 1 - value};
  }

  /// sin(m theta) / sin(theta)
  double sineRatio(double c, double theta) const {
    const double sine = std::sqrt((1 - c) * (1 + c));
    if (c >= 0) return sine > 0 ? std::sin(m_ * theta) / sine : m_;
    if (m_ != std::floor(m_)) return std::sin(m_ * theta) * inverseSine(c);
    // An integer m has a limit at pi too; the angle to pi keeps the digits there.
    const double fromPi = std::acos(-c);
    const double ratio = sine > 0 ? std::sin(m_ * fromPi) / sine : m_;
    return isOdd(m_) ? ratio : -ratio;
  }

  static bool isOdd(double integer) { return std::fmod(integer, 2) != 0; }

  AngularParams a_;
  double m_;
};

}  // namespace

void CpuOps::angularSoftmax(const AngularParams& a, double margin, const Tensor& cosinesTensor,
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
    const Angular<T> angular(a);
    const Margin psi(a, margin);
    double* losses = scratch<double>(ScratchSlot::Partials, batch);
    parallelRanges(batch, grainOfRows(32 * classes), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* c = cosines + i * classes;
        T* p = probabilities + i * classes;
        const double norm = norms[i];
        // Until it is a probability, p holds g: the logit |x| g is formed in float64, where |x| may be large.
        for (int64_t j = 0; j < classes; ++j) p[j] = angular.value(c[j]);
        const double target = psi(static_cast<double>(c[labels[i]])).value;
        double top = target;
        for (int64_t j = 0; j < classes; ++j) {
          const double g = static_cast<double>(p[j]);
          top = j != labels[i] && g > top ? g : top;
        }
        double total = 0;
        for (int64_t j = 0; j < classes; ++j) {
          const double g = j == labels[i] ? target : static_cast<double>(p[j]);
          const T e = std::exp(static_cast<T>(norm * (g - top)));
          p[j] = e;
          total += static_cast<double>(e);
        }
        const T factor = static_cast<T>(1 / total);
        for (int64_t j = 0; j < classes; ++j) p[j] *= factor;
        losses[i] = std::log(total) - norm * (target - top);
      }
    });
    double total = 0;
    for (int64_t i = 0; i < batch; ++i) total += losses[i];
    *loss.as<T>() = static_cast<T>(total / static_cast<double>(batch));
  });
}

void CpuOps::angularSoftmaxBackward(const AngularParams& a, double margin, const Tensor& cosinesTensor,
                                    const Tensor& normsTensor, const Tensor& labelsTensor,
                                    const Tensor& probabilitiesTensor, const Tensor& dloss,
                                    const Tensor& dcosinesTensor, const Tensor& radialTensor) {
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
    const Angular<T> angular(a);
    const Margin psi(a, margin);
    parallelRanges(batch, grainOfRows(32 * classes), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* c = cosines + i * classes;
        const T* p = probabilities + i * classes;
        T* dc = dcosines + i * classes;
        const double norm = norms[i];
        const int64_t y = labels[i];
        if (p[y] != p[y]) {
          // A row with NaN or infinities has no loss to descend: it passes nothing back.
          std::fill_n(dc, classes, T(0));
          radial[i] = T(0);
          continue;
        }
        const ValueAndSlope<double> target = psi(static_cast<double>(c[y]));
        double dnorm = 0;
        // The product starts at the probability: one that is 0 must stay 0 however large |x| and dg/dc are.
        // The differences add up to 0, so g counts from the target's: where all g are near 1, little cancels.
        const auto add = [&](double difference, double below, double slope) {
          const double gradient = factor * difference;
          dnorm += gradient * (target.below - below);
          return static_cast<T>(gradient * norm * slope);
        };
        const auto addOthers = [&](int64_t from, int64_t to) {
          for (int64_t j = from; j < to; ++j) {
            const ValueAndSlope<T> g = angular.valueAndSlope(c[j]);
            dc[j] =
                add(static_cast<double>(p[j]), static_cast<double>(g.below), static_cast<double>(g.slope));
          }
        };
        addOthers(0, y);
        dc[y] = add(static_cast<double>(p[y]) - 1, target.below, target.slope);
        addOthers(y + 1, classes);
        // The norm is 0 only where epsilon underflows; x is 0 too then, and with it its multiple.
        radial[i] = norm > 0 ? static_cast<T>(dnorm / norm) : T(0);
      }
    });
  });
}

}  // namespace spherenet::cpu
