// Batch normalisation over all axes but the last: x is [rows, C] here.
#include <cmath>

#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"
#include "scratch.h"

namespace spherenet::cpu {

namespace {

/// Lanes that a task keeps sums for on its stack.
constexpr int64_t kLanes = 256;
/// Rows summed in the tensor's own type before the sums go into float64.
constexpr int64_t kRowsPerFlush = 16;

/// How [rows, C] is cut into blocks of rows times tiles of lanes, whatever the number of threads. A lane is a
/// channel; where there are few channels, several rows lie side by side in a tile so that loops stay long.
struct Layout {
  int64_t rows, channels, repeat, width, tiles, rowsPerBlock, blocks;

  explicit Layout(const Dims& shape) {
    channels = shape[shape.rank - 1];
    rows = shape.product() / channels;
    repeat = channels < 64 ? 128 / channels : 1;
    width = std::min(kLanes, channels * repeat);
    tiles = repeat > 1 ? 1 : ceilDivide(channels, width);
    const int64_t grain = std::max(ceilDivide(2 * kGrain, std::min(channels, kLanes)), ceilDivide(rows, 256));
    rowsPerBlock = ceilDivide(grain, repeat) * repeat;
    blocks = ceilDivide(rows, rowsPerBlock);
  }
  int64_t begin(int64_t block) const { return block * rowsPerBlock; }
  int64_t end(int64_t block) const { return std::min(rows, begin(block) + rowsPerBlock); }
  int64_t tileBegin(int64_t tile) const { return tile * width; }
  /// Channels of a tile.
  int64_t tileChannels(int64_t tile) const { return std::min(channels - tileBegin(tile), width); }
};

/// totals[s][channel of the tile] = sums of S quantities over a block of rows. step(sums, offset, count) adds
/// those of the elements offset + lane, lane < count, to sums[s][lane].
template <class T, int S, class Step>
void sumBlock(const Layout& l, int64_t block, int64_t tile, double (&totals)[S][kLanes], const Step& step) {
  T sums[S][kLanes];
  const int64_t channels = l.tileChannels(tile);
  const int64_t lanes = channels * l.repeat;
  for (auto& total : totals) std::fill_n(total, lanes, 0.0);
  const int64_t end = l.end(block);
  for (int64_t row = l.begin(block); row < end;) {
    for (auto& sum : sums) std::fill_n(sum, lanes, T(0));
    for (int64_t i = 0; i < kRowsPerFlush && row < end; ++i, row += l.repeat) {
      const int64_t count = l.repeat > 1 ? std::min(l.repeat, end - row) * channels : channels;
      step(sums, row * l.channels + l.tileBegin(tile), count);
    }
    for (int s = 0; s < S; ++s) {
      for (int64_t lane = 0; lane < lanes; ++lane) totals[s][lane] += static_cast<double>(sums[s][lane]);
    }
  }
  for (auto& total : totals) {
    for (int64_t lane = channels; lane < lanes; ++lane) total[lane % channels] += total[lane];
  }
}

/// Repeats an array of one value per channel for the lanes of further rows.
template <class T>
void spreadTile(const Layout& l, T* values) {
  if (l.repeat == 1) return;
  for (int64_t i = l.channels; i < l.channels * l.repeat; ++i) values[i] = values[i - l.channels];
}

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

/// Sums per channel of dy, dy * (x - mean) and x - mean, in float64.
struct GradientSums {
  double *dy, *dyCentered, *centered;
};

template <class T>
GradientSums gradientSums(const Layout& l, const T* x, const T* mean, const T* dy) {
  double* sums = scratch<double>(ScratchSlot::Partials, 3 * (l.blocks + 1) * l.channels);
  double* partial = sums + 3 * l.channels;
  parallelTasks(l.blocks * l.tiles, [&](int64_t task) {
    const int64_t block = task / l.tiles, tile = task % l.tiles;
    T center[kLanes];
    std::copy_n(mean + l.tileBegin(tile), l.tileChannels(tile), center);
    spreadTile(l, center);
    double totals[3][kLanes];
    sumBlock<T>(l, block, tile, totals, [&](T(&sums)[3][kLanes], int64_t offset, int64_t count) {
      const T* values = x + offset;
      const T* gradients = dy + offset;
      SPHERENET_INDEPENDENT
      for (int64_t i = 0; i < count; ++i) {
        const T d = values[i] - center[i];
        sums[0][i] += gradients[i];
        sums[1][i] += gradients[i] * d;
        sums[2][i] += d;
      }
    });
    for (int s = 0; s < 3; ++s) {
      double* to = partial + (3 * block + s) * l.channels + l.tileBegin(tile);
      std::copy_n(totals[s], l.tileChannels(tile), to);
    }
  });
  parallelRanges(3 * l.channels, 256, [&](int64_t from, int64_t to) {
    std::copy(partial + from, partial + to, sums + from);
    for (int64_t block = 1; block < l.blocks; ++block) {
      const double* add = partial + 3 * block * l.channels;
      for (int64_t i = from; i < to; ++i) sums[i] += add[i];
    }
  });
  return {sums, sums + l.channels, sums + 2 * l.channels};
}

/// Calls body(offset, lane, count) for runs of elements that cover the tensor; `lane` is where coefficient
/// arrays of channels * repeat entries are to be read.
template <class F>
void forEachTile(const Layout& l, const F& body) {
  const int64_t grain = ceilDivide(grainOfRows(l.channels), l.repeat) * l.repeat;
  parallelRanges(l.rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row += l.repeat) {
      body(row * l.channels, std::min(l.repeat, end - row) * l.channels);
    }
  });
}

/// y = (x - center) * factor + shift, per channel. The center's rounding error is made good in the shift:
/// subtracting first keeps the digits that x * factor + (shift - center * factor) would lose.
template <class T, class Scale>
void normalize(const Layout& l, const T* x, const T* gamma, const T* beta, const double* mean,
               const Scale& invStd, T* y) {
  const int64_t lanes = l.channels * l.repeat;
  T* center = scratch<T>(ScratchSlot::Output, 3 * lanes);
  T* factor = center + lanes;
  T* shift = factor + lanes;
  for (int64_t c = 0; c < l.channels; ++c) {
    const double scale = static_cast<double>(gamma[c]) * invStd(c);
    center[c] = static_cast<T>(mean[c]);
    factor[c] = static_cast<T>(scale);
    shift[c] =
        static_cast<T>(static_cast<double>(beta[c]) - (mean[c] - static_cast<double>(center[c])) * scale);
  }
  for (T* values : {center, factor, shift}) spreadTile(l, values);
  forEachTile(l, [&](int64_t offset, int64_t count) {
    const T* in = x + offset;
    T* out = y + offset;
    SPHERENET_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) out[i] = (in[i] - center[i]) * factor[i] + shift[i];
  });
}

}  // namespace

void CpuOps::batchNorm(double momentum, double epsilon, const Tensor& xTensor, const Tensor& gamma,
                       const Tensor& beta, const Tensor& runningMean, const Tensor& runningVariance,
                       const Tensor& y, const Tensor& meanTensor, const Tensor& invStdTensor) {
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
    normalize(l, x, gamma.as<T>(), beta.as<T>(), mean, invStd, y.as<T>());
  });
}

void CpuOps::batchNormBackward(const Tensor& xTensor, const Tensor& gammaTensor, const Tensor& meanTensor,
                               const Tensor& invStdTensor, const Tensor& dyTensor, const Tensor& dxTensor,
                               const Tensor& dgammaTensor, const Tensor& dbetaTensor) {
  if (xTensor.size() == 0) return;
  const Layout l(xTensor.shape);
  withFloat(xTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* x = xTensor.as<T>();
    const T* dy = dyTensor.as<T>();
    const T* gamma = gammaTensor.as<T>();
    const T* mean = meanTensor.as<T>();
    const T* invStd = invStdTensor.as<T>();
    T* dx = dxTensor.as<T>();
    T* dgamma = dgammaTensor.as<T>();
    T* dbeta = dbetaTensor.as<T>();
    const GradientSums sums = gradientSums(l, x, mean, dy);

    // dx = gamma invStd (dy - mean(dy) - xhat mean(dy xhat)) = scale dy + slope (x - mean) + shift
    const int64_t lanes = l.channels * l.repeat;
    T* scale = scratch<T>(ScratchSlot::Output, 4 * lanes);
    T* slope = scale + lanes;
    T* shift = slope + lanes;
    T* center = shift + lanes;
    const double n = static_cast<double>(l.rows);
    for (int64_t c = 0; c < l.channels; ++c) {
      const double s = invStd[c];
      // The saved mean is rounded; the true one, by definition, leaves differences that add up to 0.
      const double error = sums.centered[c] / n;
      const double dyCentered = sums.dyCentered[c] - error * sums.dy[c];
      const double a = static_cast<double>(gamma[c]) * s;
      const double b = -a * s * s * dyCentered / n;
      dgamma[c] = static_cast<T>(dyCentered * s);
      dbeta[c] = static_cast<T>(sums.dy[c]);
      scale[c] = static_cast<T>(a);
      slope[c] = static_cast<T>(b);
      shift[c] = static_cast<T>(-a * sums.dy[c] / n - b * error);
      center[c] = mean[c];
    }
    for (T* values : {scale, slope, shift, center}) spreadTile(l, values);
    forEachTile(l, [&](int64_t offset, int64_t count) {
      const T* values = x + offset;
      const T* gradients = dy + offset;
      T* out = dx + offset;
      SPHERENET_INDEPENDENT
      for (int64_t i = 0; i < count; ++i) {
        out[i] = (scale[i] * gradients[i] + slope[i] * (values[i] - center[i])) + shift[i];
      }
    });
  });
}

void CpuOps::batchNormInference(double epsilon, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                const Tensor& meanTensor, const Tensor& varianceTensor, const Tensor& y) {
  if (x.size() == 0) return;
  const Layout l(x.shape);
  withFloat(x.dtype, [&](auto type) {
    using T = decltype(type);
    double* mean = scratch<double>(ScratchSlot::RowTable, l.channels);
    std::copy_n(meanTensor.as<T>(), l.channels, mean);
    const T* variance = varianceTensor.as<T>();
    const auto invStd = [&](int64_t c) { return 1 / std::sqrt(static_cast<double>(variance[c]) + epsilon); };
    normalize(l, x.as<T>(), gamma.as<T>(), beta.as<T>(), mean, invStd, y.as<T>());
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
    const GradientSums sums = gradientSums(l, xTensor.as<T>(), mean.as<T>(), dy);
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
