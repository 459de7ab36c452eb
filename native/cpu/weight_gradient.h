// The gradient of the filters: corr(dy, x) over all positions, as a product whose inner dimension is the
// positions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "conv_shape.h"
#include "grouped_loops.h"
#include "parallel.h"
#include "patch_rows.h"
#include "winograd.h"

namespace spherenet::cpu {

/// Of a block: windows may take more of a second-level cache, as they are read once for every panel.
constexpr int64_t kWindowBytes = 384 * 1024;

/// How the elements of dw are shared among tasks: none is in two, so nothing has to be added up afterwards.
struct WeightTasks {
  int64_t panelTasks = 1, filterTasks = 1;

  /// `reading` an element of the patches for a task takes about as long as the product with that many
  /// filters.
  WeightTasks(int64_t panels, int64_t filters, int64_t tileRows, int64_t maxPanels, double reading) {
    const int64_t threads = threadCount();
    double best = 0;
    for (int64_t f = 1; f <= std::min(ceilDivide(filters, tileRows), threads); ++f) {
      const int64_t least = ceilDivide(panels, maxPanels);
      for (int64_t k = least; k <= std::min(panels, std::max(least, 4 * threads)); ++k) {
        // Time of the last thread.
        const double cost = static_cast<double>(ceilDivide(k * f, threads) * ceilDivide(panels, k)) *
                            (static_cast<double>(ceilDivide(filters, f)) + reading);
        if (best > 0 && cost >= best) continue;
        best = cost;
        panelTasks = k;
        filterTasks = f;
      }
    }
  }
};

/// The columns of dw as panels: whole runs of a window, or all elements of a filter in a row.
struct ColumnPanels {
  int64_t panel, runSteps, perRun, count;

  ColumnPanels(int64_t panel, int64_t runs, int64_t runSteps)
      : panel(panel), runSteps(runSteps), perRun(ceilDivide(runSteps, panel)), count(runs * perRun) {}

  int64_t run(int64_t i) const { return i / perRun; }
  int64_t inRun(int64_t i) const { return i % perRun * panel; }
  int64_t begin(int64_t i) const { return run(i) * runSteps + inRun(i); }
  int64_t width(int64_t i) const { return std::min(panel, runSteps - inRun(i)); }
};

/// Columns of dw for some filters: the work of one task.
template <class T>
struct WeightGradientTask {
  const simd::PatchMap& map;
  const WindowLayout<T>& layout;
  const ColumnPanels& panels;
  PatchAccess access;
  bool fromWindow;  // the product reads the window, else packed rows
  int64_t firstPanel, lastPanel, blockRows;

  int64_t begin() const { return panels.begin(firstPanel); }
  int64_t end() const { return panels.begin(lastPanel - 1) + panels.width(lastPanel - 1); }

  /// dw += the product over positions [first, last); `product` has a for the first of them, and rows and out
  /// for filter and column 0.
  void run(simd::PackJob<T> pack, simd::GemmJob<T> product, int64_t first, int64_t last) const {
    const auto& kernel = simd::kernels().set<T>();
    const T* const dy = product.a;
    T* const dw = product.out;
    pack.map = &map;
    pack.columnBegin = begin();
    pack.columnEnd = end();
    pack.packedStride = packedRowStride<T>(roundUp(end() - begin(), kernel.panel));
    if (!fromWindow) pack.packed = scratch<T>(ScratchSlot::PackedRows, blockRows * pack.packedStride);
    product.bStep = pack.packedStride;
    product.epilogue = simd::Epilogue::Add;
    for (int64_t row = first; row < last; row += blockRows) {
      pack.rowBegin = row;
      pack.rowEnd = std::min(last, row + blockRows);
      product.a = dy + (row - first) * product.aStep;
      product.steps = pack.rowEnd - row;
      const Window<T> window = read(pack);
      if (fromWindow) product.stepStarts = window.rowStarts;
      for (int64_t i = firstPanel; i < lastPanel; ++i) {
        product.b = fromWindow ? window.pixels + window.runStarts[panels.run(i)] + panels.inRun(i)
                               : pack.packed + (panels.begin(i) - begin());
        product.columns = panels.width(i);
        product.out = dw + panels.begin(i);
        kernel.gemm(product);
      }
    }
  }

  Window<T> read(const simd::PackJob<T>& pack) const {
    const auto& kernel = simd::kernels().set<T>();
    if (access != PatchAccess::Window) {
      kernel.pack(pack);
      return {};
    }
    const Window<T> window = copyWindow(layout, pack);
    if (!fromWindow)
      kernel.packRuns({window.pixels, window.rowStarts, window.runStarts, pack.rowEnd - pack.rowBegin,
                       layout.runs, layout.runSteps, pack.columnBegin, pack.columnEnd, pack.packed,
                       pack.packedStride});
    return window;
  }
};

/// The weight gradient without Winograd's algorithm.
template <class T>
struct DirectWeightGradient {
  const Conv2dParams& p;
  const ConvShape& s;
  const T* x;
  bool finiteOnly;

  const simd::KernelSet<T>& kernel = simd::kernels().set<T>();
  int64_t size = s.filterSize();
  simd::PatchMap first = inputPatches(p, s, 0);
  PatchAccess access = patchAccess<T>(first);
  WindowLayout<T> layout{first};
  bool fromWindow = access == PatchAccess::Window && layout.fillsVectors(kernel.lanes);
  ColumnPanels panels{kernel.panel, fromWindow ? layout.runs : 1, fromWindow ? layout.runSteps : size};
  // The same on any number of threads, as the order of summation depends on it.
  int64_t blockRows = fromWindow ? std::clamp<int64_t>(kWindowBytes / bytesOfRow<T>(first), 64, 256) : 256;

  /// Whether there is little of dw and much to read, which every task that has some of dw would have to do.
  bool sharesPositions() const { return s.o * size <= 16 * kRangeRows && s.positions() >= 16 * kRangeRows; }

  /// to[filter * size ...] += the sums over positions [begin, end), the first of which has its dy at `dy`,
  /// for some filters of a group, from `firstFilter` on, and panels.
  void add(int64_t group, int64_t firstFilter, int64_t filters, int64_t firstPanel, int64_t lastPanel,
           int64_t begin, int64_t end, const T* dy, T* to) const {
    const simd::PatchMap map = inputPatches(p, s, group);
    const WeightGradientTask<T> task{map,        layout,     panels,    access,
                                     fromWindow, firstPanel, lastPanel, blockRows};
    simd::PackJob<T> pack;
    pack.source = x;
    pack.finiteOnly = finiteOnly;
    simd::GemmJob<T> product;
    product.a = dy + firstFilter;
    product.aRow = 1;
    product.aStep = s.o;
    product.rows = filters;
    product.out = to;
    product.outRow = size;
    task.run(pack, product, begin, end);
  }

  /// Each task has elements of dw for itself.
  template <class Finish>
  void byElements(const T* dy, T* dw, const Finish& finish) const {
    const int64_t packed = kPackedBytes / (blockRows * kernel.panel * static_cast<int64_t>(sizeof(T)));
    const WeightTasks tasks(panels.count, s.groupFilters, kernel.tileRows,
                            fromWindow ? panels.count : std::max<int64_t>(1, packed), fromWindow ? 0.5 : 4);
    parallelTasks(s.groups * tasks.panelTasks * tasks.filterTasks, [&](int64_t task) {
      const int64_t group = task / (tasks.panelTasks * tasks.filterTasks);
      const int64_t k = task / tasks.filterTasks % tasks.panelTasks, f = task % tasks.filterTasks;
      const int64_t firstPanel = panels.count * k / tasks.panelTasks,
                    lastPanel = panels.count * (k + 1) / tasks.panelTasks;
      const int64_t begin = group * s.groupFilters + s.groupFilters * f / tasks.filterTasks,
                    end = group * s.groupFilters + s.groupFilters * (f + 1) / tasks.filterTasks;
      const int64_t firstColumn = panels.begin(firstPanel),
                    lastColumn = panels.begin(lastPanel - 1) + panels.width(lastPanel - 1);
      for (int64_t filter = begin; filter < end; ++filter)
        std::fill(dw + filter * size + firstColumn, dw + filter * size + lastColumn, T(0));
      add(group, begin, end - begin, firstPanel, lastPanel, 0, s.positions(), dy, dw + begin * size);
      for (int64_t filter = begin; filter < end; ++filter) finish(filter, firstColumn, lastColumn);
    });
  }

  /// Sums over ranges of positions, `stride` elements apart: of dw, and behind it others.
  struct RangeSums {
    const T* values;
    int64_t ranges, stride;
  };

  /// Each task has some positions. dyOf(begin, end, sums) gives the rows of dy of some of them, at most
  /// `blockRows`, and may add to sums of its own, of which there are `others`.
  template <class GradientRows>
  RangeSums sumByPositions(int64_t blockRows, int64_t others, const GradientRows& dyOf) const {
    const int64_t ranges = ceilDivide(s.positions(), kRangeRows), elements = s.o * size,
                  stride = elements + others;
    T* const sums = scratch<T>(ScratchSlot::Partials, ranges * stride);
    parallelRanges(s.positions(), kRangeRows, [&](int64_t rangeBegin, int64_t rangeEnd) {
      T* const own = sums + rangeBegin / kRangeRows * stride;
      std::fill_n(own, stride, T(0));
      for (int64_t begin = rangeBegin; begin < rangeEnd; begin += blockRows) {
        const int64_t end = std::min(rangeEnd, begin + blockRows);
        const T* const dy = dyOf(begin, end, own + elements);
        for (int64_t group = 0; group < s.groups; ++group) {
          const int64_t firstFilter = group * s.groupFilters;
          add(group, firstFilter, s.groupFilters, 0, panels.count, begin, end, dy, own + firstFilter * size);
        }
      }
    });
    return {sums, ranges, stride};
  }

  template <class Finish>
  void addRanges(const RangeSums& sums, T* dw, const Finish& finish) const {
    parallelRanges(s.o, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin * size; i < end * size; ++i) {
        double total = 0;
        for (int64_t range = 0; range < sums.ranges; ++range)
          total += static_cast<double>(sums.values[range * sums.stride + i]);
        dw[i] = static_cast<T>(total);
      }
      for (int64_t filter = begin; filter < end; ++filter) finish(filter, 0, size);
    });
  }

  static constexpr int64_t kRangeRows = 1024;
};

/// dw = corr(dy, x) over all positions. finish(filter, begin, end) is called for the elements [begin, end) of
/// a filter when they are final. finiteOnly: NaN and infinities in x count as 0.
template <class T, class Finish>
void weightGradient(const Conv2dParams& p, const ConvShape& s, const T* x, const T* dy, bool finiteOnly,
                    T* dw, const Finish& finish) {
  if (hasTinyGroups(s)) return groupedWeightGradient(p, s, x, dy, finiteOnly, dw, finish);
  if constexpr (sizeof(T) == 4) {
    if (usesWinograd(p, s) && winogradWeightGradient(p, s, x, dy, finiteOnly, dw)) {
      parallelRanges(s.o, 8, [&](int64_t begin, int64_t end) {
        for (int64_t filter = begin; filter < end; ++filter) finish(filter, 0, s.filterSize());
      });
      return;
    }
  }
  const DirectWeightGradient<T> direct{p, s, x, finiteOnly};
  if (!direct.sharesPositions()) return direct.byElements(dy, dw, finish);
  const auto dyOf = [&](int64_t begin, int64_t, T*) { return dy + begin * s.o; };
  direct.addRanges(direct.sumByPositions(direct.kRangeRows, 0, dyOf), dw, finish);
}

}  // namespace spherenet::cpu
