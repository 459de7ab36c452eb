// Softmax cross-entropy against integer labels.
#include <cmath>

#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"
#include "scratch.h"

namespace spherenet::cpu {

namespace {

/// Loss of one row against (1 - smoothing) * onehot + smoothing / classes; writes the row's softmax.
template <class T>
double rowLoss(double smoothing, const T* logits, int64_t classes, int64_t label, T* probabilities) {
  T top = logits[0];
  for (int64_t j = 1; j < classes; ++j) top = logits[j] > top ? logits[j] : top;
  double total = 0;
  for (int64_t j = 0; j < classes; ++j) {
    const T e = std::exp(logits[j] - top);
    probabilities[j] = e;
    total += static_cast<double>(e);
  }
  const T factor = static_cast<T>(1 / total);
  for (int64_t j = 0; j < classes; ++j) probabilities[j] *= factor;

  const double peak = static_cast<double>(top);
  double expected = (1 - smoothing) * (static_cast<double>(logits[label]) - peak);
  if (smoothing > 0) {
    double sum = 0;
    for (int64_t j = 0; j < classes; ++j) sum += static_cast<double>(logits[j]) - peak;
    expected += smoothing / static_cast<double>(classes) * sum;
  }
  return std::log(total) - expected;
}

}  // namespace

void CpuOps::softmaxCrossEntropy(double smoothing, const Tensor& logitsTensor, const Tensor& labelsTensor,
                                 const Tensor& loss, const Tensor& probabilitiesTensor) {
  if (logitsTensor.size() == 0) return;
  const int64_t batch = logitsTensor.shape[0], classes = logitsTensor.shape[1];
  withFloat(logitsTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* logits = logitsTensor.as<T>();
    const int32_t* labels = labelsTensor.as<int32_t>();
    T* probabilities = probabilitiesTensor.as<T>();
    double* losses = scratch<double>(ScratchSlot::Partials, batch);
    parallelRanges(batch, grainOfRows(8 * classes), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i * classes;
        losses[i] = rowLoss(smoothing, logits + row, classes, labels[i], probabilities + row);
      }
    });
    double total = 0;
    for (int64_t i = 0; i < batch; ++i) total += losses[i];
    *loss.as<T>() = static_cast<T>(total / static_cast<double>(batch));
  });
}

void CpuOps::softmaxCrossEntropyBackward(double smoothing, const Tensor& probabilitiesTensor,
                                         const Tensor& labelsTensor, const Tensor& dloss,
                                         const Tensor& dlogitsTensor) {
  if (dlogitsTensor.size() == 0) return;
  const int64_t batch = dlogitsTensor.shape[0], classes = dlogitsTensor.shape[1];
  withFloat(dlogitsTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* probabilities = probabilitiesTensor.as<T>();
    const int32_t* labels = labelsTensor.as<int32_t>();
    T* dlogits = dlogitsTensor.as<T>();
    const T factor = static_cast<T>(static_cast<double>(*dloss.as<T>()) / static_cast<double>(batch));
    const T base = static_cast<T>(smoothing / static_cast<double>(classes));
    const T peak = static_cast<T>(1 - smoothing);
    parallelRanges(batch, grainOfRows(classes), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* p = probabilities + i * classes;
        T* out = dlogits + i * classes;
        const T target = (p[labels[i]] - base) - peak;
        SPHERENET_INDEPENDENT
        for (int64_t j = 0; j < classes; ++j) out[j] = factor * (p[j] - base);
        out[labels[i]] = factor * target;
      }
    });
  });
}

}  // namespace spherenet::cpu
