// Batch normalisation, alone and with the ReLU that follows it.
#include "batch_norm.h"

#include <cmath>

#include "cpu_ops.h"

namespace spherenet::cpu {

namespace {

using namespace batch_norm;

/// Per channel of a tile the median of three values from a block: near its mean, or else the block varies
/// much, and a single outlier is never taken.
template <class T>
void typicalValues(const Layout& l, int64_t block, int64_t tile, const T* x, T* values) {
  const int64_t first = l.begin(block), last = l.end(block) - 1;
  const auto row = [&](int64_t r) { return x + r * l.channels + l.tileBegin(tile); };
  const T *a = row(first), *b = row((first + last) / 2), *c = row(last);
  for (int64_t i = 0; i < l.tileChannels(tile); ++i) {
    values[i] = std::max(std::min(a[i], b[i]), std::min(std::max(a[i], b[i]), c[i]));
  }
}

/// Batch mean and biased variance per channel, in float64. Each block's sums are of differences from its
/// first row, so nothing cancels when the mean is far from 0, and blocks are merged pairwise in order (Chan,
/// Golub, LeVeque 1979).
template <class T>
void batchStatistics(const Layout& l, const T* x, double* mean, double* variance) {
  double* partial = scratch<double>(ScratchSlot::Partials, 2 * l.blocks * l.channels);
  parallelTasks(l.blocks * l.tiles, [&](int64_t task) {
    const int64_t block = task / l.tiles, tile = task % l.tiles;
    T shift[kLanes];
    typicalValues(l, block, tile, x, shift);
    spreadTile(l, shift);
    double totals[2][kLanes];
    sumBlock<T>(l, block, tile, totals, [&](T(&sums)[2][kLanes], int64_t offset, int64_t count) {
      const T* values = x + offset;
      SPHERENET_INDEPENDENT
      for (int64_t i = 0; i < count; ++i) {
        const T d = values[i] - shift[i];
        sums[0][i] += d;
        sums[1][i] += d * d;
      }
    });
    const double rows = static_cast<double>(l.end(block) - l.begin(block));
    double* means = partial + 2 * block * l.channels + l.tileBegin(tile);
    double* squares = means + l.channels;  // sums of squared deviations from the block's mean
    for (int64_t c = 0; c < l.tileChannels(tile); ++c) {
      means[c] = static_cast<double>(shift[c]) + totals[0][c] / rows;
      // Not std::max, which would drop a NaN.
      const double square = totals[1][c] - totals[0][c] * totals[0][c] / rows;
      squares[c] = square < 0 ? 0 : square;
    }
  });
  parallelRanges(l.channels, 64, [&](int64_t from, int64_t to) {
    for (int64_t c = from; c < to; ++c) mean[c] = variance[c] = 0;
    for (int64_t block = 0; block < l.blocks; ++block) {
      const double before = static_cast<double>(l.begin(block));
      const double all = static_cast<double>(l.end(block));
      const double* means = partial + 2 * block * l.channels;
      const double* squares = means + l.channels;
      for (int64_t c = from; c < to; ++c) {
        const double delta = means[c] - mean[c];
        mean[c] += delta * ((all - before) / all);
        variance[c] += squares[c] + delta * delta * (before * (all - before) / all);
      }
    }
    for (int64_t c = from; c < to; ++c) variance[c] /= static_cast<double>(l.rows);
  });
}

template <bool Relu>
void forward(double momentum, double epsilon, const Tensor& xTensor, const Tensor& gamma, const Tensor& beta,
             const Tensor& runningMean, const Tensor& runningVariance, const Tensor& y,
             const Tensor& meanTensor, const Tensor& invStdTensor) {
  if (xTensor.size() == 0) return;
  const Layout l(xTensor.shape);
  withFloat(xTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* x = xTensor.as<T>();
    double* mean = scratch<double>(ScratchSlot::RowTable, 2 * l.channels);
    double* variance = mean + l.channels;
    batchStatistics(l, x, mean, variance);

    T* savedMean = meanTensor.as<T>();
    T* savedInvStd = invStdTensor.as<T>();
    T* movingMean = runningMean.as<T>();
    T* movingVariance = runningVariance.as<T>();
    const double n = static_cast<double>(l.rows);
    const double unbias = l.rows > 1 ? n / (n - 1) : 1;
    const auto invStd = [&](int64_t c) { return 1 / std::sqrt(variance[c] + epsilon); };
    const auto move = [&](T& running, double batch) {
      running = static_cast<T>(running + momentum * (batch - static_cast<double>(running)));
    };
    for (int64_t c = 0; c < l.channels; ++c) {
      savedMean[c] = static_cast<T>(mean[c]);
      savedInvStd[c] = static_cast<T>(invStd(c));
      move(movingMean[c], mean[c]);
      move(movingVariance[c], variance[c] * unbias);
    }
    const auto meanOf = [&](int64_t c) { return mean[c]; };
    normalize<Relu>(l, x, gamma.as<T>(), beta.as<T>(), meanOf, invStd, y.as<T>());
  });
}

}  // namespace

void CpuOps::batchNorm(double momentum, double epsilon, const Tensor& x, const Tensor& gamma,
                       const Tensor& beta, const Tensor& runningMean, const Tensor& runningVariance,
                       const Tensor& y, const Tensor& mean, const Tensor& invStd) {
  forward<false>(momentum, epsilon, x, gamma, beta, runningMean, runningVariance, y, mean, invStd);
}

void CpuOps::batchNormRelu(double momentum, double epsilon, const Tensor& x, const Tensor& gamma,
                           const Tensor& beta, const Tensor& runningMean, const Tensor& runningVariance,
                           const Tensor& y, const Tensor& mean, const Tensor& invStd) {
  forward<true>(momentum, epsilon, x, gamma, beta, runningMean, runningVariance, y, mean, invStd);
}

void CpuOps::batchNormBackward(const Tensor& x, const Tensor& gamma, const Tensor& mean, const Tensor& invStd,
                               const Tensor& dy, const Tensor& dx, const Tensor& dgamma,
                               const Tensor& dbeta) {
  if (x.size() == 0) return;
  withFloat(x.dtype, [&](auto type) {
    using T = decltype(type);
    const Gradient<T, false> gradient(x, gamma, {}, mean, invStd, dy, dgamma, dbeta);
    gradient.all(dx.as<T>());
  });
}

void CpuOps::batchNormReluBackward(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                   const Tensor& mean, const Tensor& invStd, const Tensor& dy,
                                   const Tensor& dx, const Tensor& dgamma, const Tensor& dbeta) {
  if (x.size() == 0) return;
  withFloat(x.dtype, [&](auto type) {
    using T = decltype(type);
    const Gradient<T, true> gradient(x, gamma, beta, mean, invStd, dy, dgamma, dbeta);
    gradient.all(dx.as<T>());
  });
}

void CpuOps::batchNormInference(double epsilon, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                const Tensor& meanTensor, const Tensor& varianceTensor, const Tensor& y) {
  if (x.size() == 0) return;
  const Layout l(x.shape);
  withFloat(x.dtype, [&](auto type) {
    using T = decltype(type);
    const T *means = meanTensor.as<T>(), *variance = varianceTensor.as<T>();
    const auto mean = [&](int64_t c) { return means[c]; };
    const auto invStd = [&](int64_t c) { return 1 / std::sqrt(static_cast<double>(variance[c]) + epsilon); };
    normalize<false>(l, x.as<T>(), gamma.as<T>(), beta.as<T>(), mean, invStd, y.as<T>());
  });
}

void CpuOps::batchNormInferenceBackward(double epsilon, const Tensor& xTensor, const Tensor& gammaTensor,
                                        const Tensor& mean, const Tensor& varianceTensor,
                                        const Tensor& dyTensor, const Tensor& dxTensor,
                                        const Tensor& dgammaTensor, const Tensor& dbetaTensor) {
  if (xTensor.size() == 0) return;
  const Layout l(xTensor.shape);
  withFloat(xTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* dy = dyTensor.as<T>();
    const T* gamma = gammaTensor.as<T>();
    const T* variance = varianceTensor.as<T>();
    T* dx = dxTensor.as<T>();
    T* dgamma = dgammaTensor.as<T>();
    T* dbeta = dbetaTensor.as<T>();
    const GradientSums sums = gradientSums<false>(l, Operands<T>{xTensor.as<T>(), mean.as<T>(), dy});
    T* scale = scratch<T>(ScratchSlot::Output, l.channels * l.repeat);
    for (int64_t c = 0; c < l.channels; ++c) {
      const double s = 1 / std::sqrt(static_cast<double>(variance[c]) + epsilon);
      scale[c] = static_cast<T>(static_cast<double>(gamma[c]) * s);
      dgamma[c] = static_cast<T>(sums.dyCentered[c] * s);
      dbeta[c] = static_cast<T>(sums.dy[c]);
    }
    spreadTile(l, scale);
    forEachTile(l, [&](int64_t offset, int64_t count) {
      const T* gradients = dy + offset;
      T* out = dx + offset;
      SPHERENET_INDEPENDENT
      for (int64_t i = 0; i < count; ++i) out[i] = scale[i] * gradients[i];
    });
  });
}

}  // namespace spherenet::cpu
