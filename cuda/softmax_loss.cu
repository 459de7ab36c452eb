// Softmax cross-entropy against integer labels.
#include "cuda_ops.h"
#include "device/numeric.cuh"
#include "loss_launch.h"

namespace spherenet::cuda {
namespace {

/// Against (1 - smoothing) * onehot + smoothing / classes.
template <class T>
__global__ void __launch_bounds__(kLossThreads, 1)
    crossEntropy(bool wholeBlock, double smoothing, int64_t rows, int64_t classes,
                 const T* __restrict__ logits, const int32_t* __restrict__ labels,
                 T* __restrict__ probabilities, double* losses, T* loss) {
  auto& shared = dynamicShared<LossShared>();
  const RowTeam team(shared, wholeBlock);
  for (int64_t row = team.first; row < rows; row += team.step) {
    const T* x = logits + row * classes;
    T* p = probabilities + row * classes;
    T most = kMinusInfinity<T>;
#pragma unroll 4
    for (int64_t j = team.thread; j < classes; j += team.size) most = x[j] > most ? x[j] : most;
    const double peak = team.most(static_cast<double>(most));
    const T top = static_cast<T>(peak);
    double total = 0, distance = 0;
#pragma unroll 4
    for (int64_t j = team.thread; j < classes; j += team.size) {
      const T e = exp(x[j] - top);
      p[j] = e;
      total += static_cast<double>(e);
      if (smoothing > 0) distance += static_cast<double>(x[j]) - peak;
    }
    total = team.sum(total);
    const T factor = static_cast<T>(1 / total);
#pragma unroll 4
    for (int64_t j = team.thread; j < classes; j += team.size) p[j] *= factor;

    double expected = (1 - smoothing) * (static_cast<double>(x[labels[row]]) - peak);
    if (smoothing > 0) expected += smoothing / static_cast<double>(classes) * team.sum(distance);
    if (team.thread == 0) losses[row] = log(total) - expected;
  }
  if (gridDim.x > 1) return;
  __syncthreads();
  writeMeanLoss(losses, rows, shared, loss);
}

template <class T>
__global__ void __launch_bounds__(kLossThreads, 1)
    crossEntropyBackward(bool wholeBlock, double smoothing, int64_t rows, int64_t classes,
                         const T* __restrict__ probabilities, const int32_t* __restrict__ labels,
                         const T* __restrict__ dloss, T* __restrict__ dlogits) {
  const RowTeam team(dynamicShared<LossShared>(), wholeBlock);
  const T factor = static_cast<T>(static_cast<double>(*dloss) / static_cast<double>(rows));
  const T base = static_cast<T>(smoothing / static_cast<double>(classes)),
          peak = static_cast<T>(1 - smoothing);
  for (int64_t row = team.first; row < rows; row += team.step) {
    const int64_t label = labels[row];
#pragma unroll 4
    for (int64_t j = team.thread; j < classes; j += team.size) {
      const T rest = probabilities[row * classes + j] - base;
      dlogits[row * classes + j] = factor * (j == label ? rest - peak : rest);
    }
  }
}

}  // namespace

void CudaOps::softmaxCrossEntropy(double smoothing, const Tensor& logits, const Tensor& labels,
                                  const Tensor& loss, const Tensor& probabilities) {
  if (logits.size() == 0) return;
  const LossGrid g(logits.shape);
  withFloat(logits.dtype, [&](auto type) {
    using T = decltype(type);
    const Workspace losses(context_, static_cast<size_t>(g.rows) * sizeof(double));
    launch(context_, crossEntropy<T>, g.forwardBlocks(), kLossThreads, sizeof(LossShared), g.wholeBlock,
           smoothing, g.rows, g.classes, logits.as<T>(), labels.as<int32_t>(), probabilities.as<T>(),
           losses.as<double>(), loss.as<T>());
    launchMeanLoss(context_, g, losses.as<double>(), loss.as<T>());
  });
}

void CudaOps::softmaxCrossEntropyBackward(double smoothing, const Tensor& probabilities, const Tensor& labels,
                                          const Tensor& dloss, const Tensor& dlogits) {
  if (dlogits.size() == 0) return;
  const LossGrid g(dlogits.shape);
  withFloat(dlogits.dtype, [&](auto type) {
    using T = decltype(type);
    launch(context_, crossEntropyBackward<T>, g.blocks(), kLossThreads, sizeof(LossShared), g.wholeBlock,
           smoothing, g.rows, g.classes, probabilities.as<T>(), labels.as<int32_t>(), dloss.as<T>(),
           dlogits.as<T>());
  });
}

}  // namespace spherenet::cuda
