// SGD and Adam steps over lists of parameters, as one loop over all elements of all of them.
#include <cmath>
#include <vector>

#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"

namespace spherenet::cpu {

namespace {

/// Runs body(list index, begin, end) over parts of the tensors that together cover all of them. Small tensors
/// share a task, large ones are split.
template <class F>
void forEachPart(const std::vector<Tensor>& tensors, const F& body) {
  std::vector<int64_t> starts(tensors.size() + 1, 0);
  for (size_t i = 0; i < tensors.size(); ++i) starts[i + 1] = starts[i] + tensors[i].size();
  parallelRanges(starts.back(), kGrain, [&](int64_t begin, int64_t end) {
    const auto after = std::upper_bound(starts.begin(), starts.end(), begin);
    size_t i = static_cast<size_t>(after - starts.begin()) - 1;
    for (; begin < end; ++i) {
      const int64_t stop = std::min(end, starts[i + 1]);
      if (begin < stop) body(i, begin - starts[i], stop - starts[i]);
      begin = stop;
    }
  });
}

template <class T>
void sgdPart(const SgdParams& params, const T* gradients, T* velocities, T* values, int64_t begin,
             int64_t end) {
  const T lr = static_cast<T>(params.lr), decay = static_cast<T>(params.weightDecay);
  const T momentum = static_cast<T>(params.momentum);
  const T keep = params.firstStep ? T(0) : momentum;
  const T take = params.firstStep ? T(1) : static_cast<T>(1 - params.dampening);
  if (params.momentum == 0) {
    SPHERENET_INDEPENDENT
    for (int64_t i = begin; i < end; ++i) values[i] -= lr * (gradients[i] + decay * values[i]);
    return;
  }
  if (params.firstStep) std::fill(velocities + begin, velocities + end, T(0));
  // The step is along nesterov ? g + momentum * v : v.
  const T direct = params.nesterov ? T(1) : T(0);
  const T along = params.nesterov ? momentum : T(1);
  SPHERENET_INDEPENDENT
  for (int64_t i = begin; i < end; ++i) {
    const T g = gradients[i] + decay * values[i];
    const T v = keep * velocities[i] + take * g;
    velocities[i] = v;
    values[i] -= lr * (direct * g + along * v);
  }
}

/// What of an Adam step is the same for all elements.
template <class T>
struct AdamConstants {
  T shrink, decay, beta1, rest1, beta2, rest2, stepSize, inverseRoot2, epsilon;

  explicit AdamConstants(const AdamParams& p)
      : shrink(static_cast<T>(p.decoupled ? 1 - p.lr * p.weightDecay : 1)),
        decay(static_cast<T>(p.decoupled ? 0 : p.weightDecay)),
        beta1(static_cast<T>(p.beta1)),
        rest1(static_cast<T>(1 - p.beta1)),
        beta2(static_cast<T>(p.beta2)),
        rest2(static_cast<T>(1 - p.beta2)),
        stepSize(static_cast<T>(p.lr / (1 - std::pow(p.beta1, p.step)))),
        inverseRoot2(static_cast<T>(1 / std::sqrt(1 - std::pow(p.beta2, p.step)))),
        epsilon(static_cast<T>(p.epsilon)) {}
};

template <class T>
void adamPart(const AdamConstants<T>& k, const T* gradients, T* firsts, T* seconds, T* values, int64_t begin,
              int64_t end) {
  SPHERENET_INDEPENDENT
  for (int64_t i = begin; i < end; ++i) {
    const T value = k.shrink * values[i];
    const T g = gradients[i] + k.decay * values[i];
    const T m = k.beta1 * firsts[i] + k.rest1 * g;
    const T v = k.beta2 * seconds[i] + k.rest2 * (g * g);
    firsts[i] = m;
    seconds[i] = v;
    values[i] = value - k.stepSize * m / (std::sqrt(v) * k.inverseRoot2 + k.epsilon);
  }
}

}  // namespace

void CpuOps::sgdStep(const SgdParams& p, const std::vector<Tensor>& parameters,
                     const std::vector<Tensor>& gradients, const std::vector<Tensor>& velocities) {
  forEachPart(parameters, [&](size_t i, int64_t begin, int64_t end) {
    withFloat(parameters[i].dtype, [&](auto type) {
      using T = decltype(type);
      T* velocity = p.momentum == 0 ? nullptr : velocities[i].as<T>();
      sgdPart(p, gradients[i].as<T>(), velocity, parameters[i].as<T>(), begin, end);
    });
  });
}

void CpuOps::adamStep(const AdamParams& p, const std::vector<Tensor>& parameters,
                      const std::vector<Tensor>& gradients, const std::vector<Tensor>& firstMoments,
                      const std::vector<Tensor>& secondMoments) {
  const AdamConstants<float> singles(p);
  const AdamConstants<double> doubles(p);
  forEachPart(parameters, [&](size_t i, int64_t begin, int64_t end) {
    const auto step = [&]<class T>(const AdamConstants<T>& constants) {
      adamPart(constants, gradients[i].as<T>(), firstMoments[i].as<T>(), secondMoments[i].as<T>(),
               parameters[i].as<T>(), begin, end);
    };
    if (parameters[i].dtype == DType::Float32) {
      step(singles);
    } else {
      step(doubles);
    }
  });
}

}  // namespace spherenet::cpu
