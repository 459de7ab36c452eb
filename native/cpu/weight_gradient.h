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

  /// dw += the product over all positions; `product` has a, rows and out for position, filter and column 0.
  void run(simd::PackJob<T> pack, simd::GemmJob<T> product) const {
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
    for (int64_t row = 0; row < map.rows(); row += blockRows) {
      pack.rowBegin = row;
      pack.rowEnd = std::min(map.rows(), row + blockRows);
      product.a = dy + row * product.aStep;
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
  const auto& kernel = simd::kernels().set<T>();
  const int64_t size = s.filterSize();
  const simd::PatchMap first = inputPatches(p, s, 0);
  const PatchAccess access = patchAccess<T>(first);
  const WindowLayout<T> layout(first);
  const bool fromWindow = access == PatchAccess::Window && layout.fillsVectors(kernel.lanes);
  const ColumnPanels panels(kernel.panel, fromWindow ? layout.runs : 1, fromWindow ? layout.runSteps : size);
  // The same on any number of threads, as the order of summation depends on it.
  const int64_t blockRows =
      fromWindow ? std::clamp<int64_t>(kWindowBytes / bytesOfRow<T>(first), 64, 256) : 128;
  const int64_t packedPanels = kPackedBytes / (blockRows * kernel.panel * static_cast<int64_t>(sizeof(T)));
  const WeightTasks tasks(panels.count, s.groupFilters, kernel.tileRows,
                          fromWindow ? panels.count : std::max<int64_t>(1, packedPanels),
                          fromWindow ? 0.5 : 4);

  parallelTasks(s.groups * tasks.panelTasks * tasks.filterTasks, [&](int64_t task) {
    const int64_t group = task / (tasks.panelTasks * tasks.filterTasks);
    const int64_t panelTask = task / tasks.filterTasks % tasks.panelTasks,
                  filterTask = task % tasks.filterTasks;
    const int64_t filterBegin = group * s.groupFilters + s.groupFilters * filterTask / tasks.filterTasks;
    const int64_t filterEnd = group * s.groupFilters + s.groupFilters * (filterTask + 1) / tasks.filterTasks;
    const simd::PatchMap map = inputPatches(p, s, group);
    const WeightGradientTask<T> part{map,
                                     layout,
                                     panels,
                                     access,
                                     fromWindow,
                                     panels.count * panelTask / tasks.panelTasks,
                                     panels.count * (panelTask + 1) / tasks.panelTasks,
                                     blockRows};
    for (int64_t filter = filterBegin; filter < filterEnd; ++filter)
      std::fill(dw + filter * size + part.begin(), dw + filter * size + part.end(), T(0));
    simd::PackJob<T> pack;
    pack.source = x;
    pack.finiteOnly = finiteOnly;
    simd::GemmJob<T> product;
    product.a = dy + filterBegin;
    product.aRow = 1;
    product.aStep = s.o;
    product.rows = filterEnd - filterBegin;
    product.out = dw + filterBegin * size;
    product.outRow = size;
    part.run(pack, product);
    for (int64_t filter = filterBegin; filter < filterEnd; ++filter) finish(filter, part.begin(), part.end());
  });
}

}  // namespace spherenet::cpu
