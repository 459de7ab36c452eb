// What the launchers of the weight gradients share: the splits of a product over positions, its operands,
// what becomes of its sums.
#pragma once

#include <algorithm>
#include <cmath>

#include "device/tile.cuh"
#include "device/weight_sums.cuh"
#include "elementwise.cuh"
#include "weight_gradient.h"

namespace spherenet::cuda {

/// What decides how a product is split: seconds on an H100, of which only the ratios matter.
struct SplitCosts {
  static constexpr double kStage =
      0.13e-6;  // 64 x 96 x 32 products of 16-bit operands on a full multiprocessor
  static constexpr double kBlockStages = 8;  // starting and ending a block, in stages
  static constexpr double kReduction = 2.5e-6;
  static constexpr double kBytesPerSecond = 3.5e12;  // of partial sums, mostly in the second-level cache

  /// How many splits of the positions are fastest for `tiles` tiles of `stages` stages each, `resident`
  /// blocks of which share a multiprocessor. Few blocks leave it waiting: its rate goes as the root of their
  /// share.
  static int64_t choose(int64_t tiles, int64_t stages, int64_t resident, double stageSeconds,
                        double partialBytes, int multiprocessors) {
    const int64_t most = std::clamp<int64_t>(resident * multiprocessors / tiles, 1, stages);
    int64_t best = 1;
    double least = 0;
    for (int64_t splits = 1; splits <= most; ++splits) {
      const int64_t blocks = ceilDivide(tiles * splits, multiprocessors);  // of the busiest multiprocessor
      const double rounds = static_cast<double>(blocks - blocks % resident) +
                            std::sqrt(static_cast<double>(blocks % resident * resident));
      double seconds =
          rounds * (static_cast<double>(ceilDivide(stages, splits)) + kBlockStages) * stageSeconds;
      if (splits > 1)
        seconds += kReduction + 2 * static_cast<double>(splits) * partialBytes / kBytesPerSecond;
      if (splits > 1 && seconds >= least) continue;
      least = seconds;
      best = splits;
    }
    return best;
  }
};

template <class T>
WeightOutput<T> outputOf(const ConvGeometry& geometry, const Tensor& x, const Tensor& dy,
                         const FilterDirection* direction, const Tensor& dw) {
  using C = Compute<T>;
  WeightOutput<T> out{};
  out.geometry = geometry;
  out.x = x.as<T>();
  out.dy = dy.as<T>();
  out.dw = dw.data;
  out.gradientIsFloat = dw.dtype == DType::Float32;
  if (!direction) return out;
  out.w = direction->w.data;
  out.filtersAreFloat = direction->w.dtype == DType::Float32;
  out.q = direction->q.as<C>();
  out.nw = direction->nw.as<C>();
  return out;
}

}  // namespace spherenet::cuda
