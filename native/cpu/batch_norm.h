// What batch normalisation is made of: loops over [rows, C], C being the last axis, and the gradient.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../tensor.h"
#include "loops.h"
#include "parallel.h"
#include "scratch.h"

namespace spherenet::cpu::batch_norm {

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

/// Sums per channel of dy, dy * (x - mean) and x - mean, in float64.
struct GradientSums {
  double *dy, *dyCentered, *centered;
};

template <class T>
struct Operands {
  const T *x, *mean, *dy;
  const T *factor = nullptr, *shift = nullptr;  // of the ReLU's input, (x - mean) * factor + shift
};

/// Relu: of dy where the ReLU's input is above 0.
template <bool Relu, class T>
GradientSums gradientSums(const Layout& l, const Operands<T>& from) {
  double* sums = scratch<double>(ScratchSlot::Partials, 3 * (l.blocks + 1) * l.channels);
  double* partial = sums + 3 * l.channels;
  parallelTasks(l.blocks * l.tiles, [&](int64_t task) {
    const int64_t block = task / l.tiles, tile = task % l.tiles;
    T center[kLanes], factor[kLanes], shift[kLanes];
    const auto take = [&](const T* values, T* to) {
      std::copy_n(values + l.tileBegin(tile), l.tileChannels(tile), to);
      spreadTile(l, to);
    };
    take(from.mean, center);
    if (Relu) take(from.factor, factor), take(from.shift, shift);
    double totals[3][kLanes];
    sumBlock<T>(l, block, tile, totals, [&](T(&sums)[3][kLanes], int64_t offset, int64_t count) {
      const T* values = from.x + offset;
      const T* gradients = from.dy + offset;
      SPHERENET_INDEPENDENT
      for (int64_t i = 0; i < count; ++i) {
        const T d = values[i] - center[i], given = gradients[i];
        const T gradient = !Relu || d * factor[i] + shift[i] > 0 ? given : T(0);
        sums[0][i] += gradient;
        sums[1][i] += gradient * d;
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

/// Calls body(offset, count) for runs of elements that cover rows [begin, end); coefficients for them are
/// arrays of channels * repeat entries.
template <class F>
void forEachTile(const Layout& l, int64_t begin, int64_t end, const F& body) {
  for (int64_t row = begin; row < end; row += l.repeat)
    body(row * l.channels, std::min(l.repeat, end - row) * l.channels);
}

/// The same for all rows, in parallel.
template <class F>
void forEachTile(const Layout& l, const F& body) {
  const int64_t grain = ceilDivide(grainOfRows(l.channels), l.repeat) * l.repeat;
  parallelRanges(l.rows, grain, [&](int64_t begin, int64_t end) { forEachTile(l, begin, end, body); });
}

/// gamma (x - mean) invStd + beta of a channel as (x - center) * factor + shift. The center's rounding error
/// is made good in the shift: subtracting first keeps the digits that x * factor + (shift - center * factor)
/// would lose.
template <class T>
struct Normalization {
  T center, factor, shift;

  Normalization(T gamma, T beta, double mean, double invStd) : center(static_cast<T>(mean)) {
    const double scale = static_cast<double>(gamma) * invStd;
    factor = static_cast<T>(scale);
    shift = static_cast<T>(static_cast<double>(beta) - (mean - static_cast<double>(center)) * scale);
  }
};

/// y = gamma (x - mean) invStd + beta; Relu: not below 0.
template <bool Relu, class T, class Mean, class Scale>
void normalize(const Layout& l, const T* x, const T* gamma, const T* beta, const Mean& mean,
               const Scale& invStd, T* y) {
  const int64_t lanes = l.channels * l.repeat;
  T* center = scratch<T>(ScratchSlot::Output, 3 * lanes);
  T* factor = center + lanes;
  T* shift = factor + lanes;
  for (int64_t c = 0; c < l.channels; ++c) {
    const Normalization<T> channel(gamma[c], beta[c], mean(c), invStd(c));
    center[c] = channel.center, factor[c] = channel.factor, shift[c] = channel.shift;
  }
  for (T* values : {center, factor, shift}) spreadTile(l, values);
  forEachTile(l, [&](int64_t offset, int64_t count) {
    const T* in = x + offset;
    T* out = y + offset;
    SPHERENET_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) {
      const T value = (in[i] - center[i]) * factor[i] + shift[i];
      out[i] = Relu && value < 0 ? T(0) : value;
    }
  });
}

/// The gradient of a batch norm's input, given that of its output or, Relu, of what the ReLU makes of that.
///   dx = gamma invStd (dy - mean(dy) - xhat mean(dy xhat)) = scale dy + slope (x - mean) + shift
/// Without statistics that of gamma x + beta, without gamma that of x.
template <class T, bool Relu>
class Gradient {
 public:
  /// Writes dgamma and dbeta. beta is read by Relu only.
  Gradient(const Tensor& x, const Tensor& gammaTensor, const Tensor& betaTensor, const Tensor& mean,
           const Tensor& invStdTensor, const Tensor& dy, const Tensor& dgamma, const Tensor& dbeta)
      : layout_(x.shape), x_(x.as<T>()), dy_(dy.as<T>()) {
    const Layout& l = layout_;
    const T *gamma = gammaTensor.as<T>(), *invStd = invStdTensor.as<T>(), *given = mean.as<T>();
    const int64_t lanes = l.channels * l.repeat;
    T* const memory = scratch<T>(ScratchSlot::NormConstants, 6 * lanes);
    T *const scale = memory, *const slope = scale + lanes, *const shift = slope + lanes,
             *const center = shift + lanes, *const reluFactor = center + lanes,
             *const reluShift = reluFactor + lanes;
    for (int64_t c = 0; c < l.channels; ++c) {
      reluFactor[c] = (gamma ? gamma[c] : T(1)) * (invStd ? invStd[c] : T(1));
      reluShift[c] = Relu && gamma ? betaTensor.as<T>()[c] : T(0);
      center[c] = given ? given[c] : T(0);
      scale[c] = reluFactor[c];
      slope[c] = shift[c] = 0;
    }
    GradientSums sums{};
    if (gamma) sums = gradientSums<Relu>(l, Operands<T>{x_, center, dy_, reluFactor, reluShift});
    const double n = static_cast<double>(l.rows);
    for (int64_t c = 0; gamma && c < l.channels; ++c) {
      if (!given) {
        dgamma.as<T>()[c] = static_cast<T>(sums.dyCentered[c]);
        dbeta.as<T>()[c] = static_cast<T>(sums.dy[c]);
        continue;
      }
      const double s = static_cast<double>(invStd[c]);
      // The saved mean is rounded; the true one, by definition, leaves differences that add up to 0.
      const double error = sums.centered[c] / n;
      const double dyCentered = sums.dyCentered[c] - error * sums.dy[c];
      const double a = static_cast<double>(gamma[c]) * s;
      const double b = -a * s * s * dyCentered / n;
      dgamma.as<T>()[c] = static_cast<T>(dyCentered * s);
      dbeta.as<T>()[c] = static_cast<T>(sums.dy[c]);
      scale[c] = static_cast<T>(a);
      slope[c] = static_cast<T>(b);
      shift[c] = static_cast<T>(-a * sums.dy[c] / n - b * error);
    }
    for (int64_t i = 0; i < 6; ++i) spreadTile(l, memory + i * lanes);
    scale_ = scale, slope_ = slope, shift_ = shift, center_ = center;
    reluFactor_ = reluFactor, reluShift_ = reluShift;
  }

  /// dx of rows [begin, end); `dx` is where the first of them goes.
  void rows(int64_t begin, int64_t end, T* dx) const {
    const int64_t first = begin * layout_.channels;
    forEachTile(layout_, begin, end, [&](int64_t offset, int64_t count) {
      const T *values = x_ + offset, *gradients = dy_ + offset;
      const T *scale = scale_, *slope = slope_, *shift = shift_, *center = center_;
      const T *reluFactor = reluFactor_, *reluShift = reluShift_;
      T* out = dx + (offset - first);
      SPHERENET_INDEPENDENT
      for (int64_t i = 0; i < count; ++i) {
        const T d = values[i] - center[i], given = gradients[i];
        const T gradient = !Relu || d * reluFactor[i] + reluShift[i] > 0 ? given : T(0);
        out[i] = (scale[i] * gradient + slope[i] * d) + shift[i];
      }
    });
  }

  /// All of dx, which may be the memory of dy.
  void all(T* dx) const {
    const int64_t grain = ceilDivide(grainOfRows(layout_.channels), layout_.repeat) * layout_.repeat;
    parallelRanges(layout_.rows, grain,
                   [&](int64_t begin, int64_t end) { rows(begin, end, dx + begin * layout_.channels); });
  }

 private:
  Layout layout_;
  const T *x_, *dy_;
  const T *scale_, *slope_, *shift_, *center_, *reluFactor_, *reluShift_;
};

}  // namespace spherenet::cpu::batch_norm
