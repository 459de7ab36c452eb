// The three matrix products behind a convolution, without its patch matrix ever being in memory: blocks of
// rows are packed where they are used. Plain and SphereConv differ in what they ask of packing and epilogue.
#pragma once

#include <algorithm>
#include <cstdint>

#include "conv_shape.h"
#include "grouped_loops.h"
#include "loops.h"
#include "parallel.h"
#include "scratch.h"
#include "simd/kernels.h"
#include "winograd.h"

namespace spherenet::cpu {

constexpr int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Packed rows of one task: about a quarter of a second-level cache.
constexpr int64_t kPackedBytes = 256 * 1024;

/// Stride of packed rows: a whole number of cache lines, and an odd one, so that rows spread over the sets of
/// the first-level cache.
template <class T>
constexpr int64_t packedRowStride(int64_t columns) {
  constexpr int64_t line = 64 / sizeof(T);
  return (ceilDivide(columns, line) | 1) * line;
}

/// How the rows and panels of a product are shared among tasks.
struct TaskGrid {
  int64_t blockRows, rowTasks, panelsPerTask, panelTasks;

  TaskGrid(int64_t rows, int64_t rowBytes, int64_t tileRows, int64_t panels) {
    const int64_t wanted = 4 * threadCount();
    const int64_t fitting =
        std::clamp(kPackedBytes / std::max<int64_t>(rowBytes, 1), tileRows, 32 * tileRows);
    blockRows = std::min(fitting / tileRows * tileRows, roundUp(ceilDivide(rows, wanted), tileRows));
    rowTasks = ceilDivide(rows, blockRows);
    panelsPerTask = rowTasks >= wanted / 2 ? panels : ceilDivide(panels, ceilDivide(wanted, rowTasks));
    panelTasks = ceilDivide(panels, panelsPerTask);
  }
};

/// Whether patch rows lie in the image as rows of a matrix.
inline bool isMatrix(const simd::PatchMap& m) {
  const auto plain = [](const simd::TapAxis& a) {
    return a.taps == 1 && a.stride == 1 && a.first == 0 && a.grid == a.source;
  };
  return plain(m.h) && plain(m.w);
}

/// Rows [begin, end) of patches times packed panels [firstPanel, lastPanel) of `columns` columns. `pack` says
/// what is read and which row values are wanted, with norms pointing at row 0; `product` holds panels (b),
/// output and epilogue operands for row 0 and column 0.
template <class T>
void rowProduct(const simd::PackJob<T>& pack, const simd::GemmJob<T>& product, int64_t columns,
                const OutputMap& output, int64_t begin, int64_t end, int64_t firstPanel, int64_t lastPanel) {
  const auto& kernel = simd::kernels().set<T>();
  const simd::PatchMap& map = *pack.map;
  const int64_t steps = map.columns(), stride = packedRowStride<T>(steps), count = end - begin;
  // Rows that lie 2 KB apart or a multiple would share few sets of the first-level cache.
  const bool direct = isMatrix(map) && map.channels * static_cast<int64_t>(sizeof(T)) % 2048 != 0;
  T* const values = scratch<T>(ScratchSlot::RowValues, 2 * count);

  simd::PackJob<T> job = pack;
  job.rowBegin = begin;
  job.rowEnd = end;
  job.columnEnd = steps;
  job.packedStride = stride;
  if (pack.norms) {
    job.inverseNorms = values;
    // One task of those that share the rows reports the norms.
    job.norms = firstPanel == 0 ? pack.norms + begin * pack.normStride : values + count;
    if (firstPanel != 0) job.normStride = 1;
  }
  if (pack.pixels) job.pixelSums = values;
  bool packed = !direct;
  if (direct && (pack.norms || pack.pixels)) packed = kernel.pack(job);
  if (packed) {
    job.packed = scratch<T>(ScratchSlot::PackedRows, count * stride);
    kernel.pack(job);
  }

  int64_t* const offsets = scratch<int64_t>(ScratchSlot::RowTable, count);
  int64_t j = begin % map.w.grid, i = begin / map.w.grid % map.h.grid,
          image = begin / (map.w.grid * map.h.grid);
  for (int64_t row = 0; row < count; ++row) {
    offsets[row] = output.base + image * output.imageStride + i * output.iStride + j * output.jStride;
    if (++j == map.w.grid) {
      j = 0;
      if (++i == map.h.grid) i = 0, ++image;
    }
  }

  simd::GemmJob<T> part = product;
  part.a = packed ? job.packed : pack.source + begin * map.channels + map.firstChannel;
  part.aRow = packed ? stride : map.channels;
  part.aStep = 1;
  part.bStep = kernel.panel;
  part.rows = count;
  part.steps = steps;
  part.rowOffsets = offsets;
  part.inverseRowNorms = values;
  part.rowFactors = values;
  for (int64_t panel = firstPanel; panel < lastPanel; ++panel) {
    const int64_t column = panel * kernel.panel;
    part.b = product.b + column * steps;
    part.columns = std::min(kernel.panel, columns - column);
    part.out = product.out + column;
    if (product.other) part.other = product.other + column;
    if (product.bias) part.bias = product.bias + column;
    part.filters = product.filters.from(column);
    kernel.gemm(part);
  }
}

/// rowProduct of all rows and panels, in parallel.
template <class T>
void patchProduct(const simd::PackJob<T>& pack, const simd::GemmJob<T>& product, int64_t columns,
                  const OutputMap& output) {
  const auto& kernel = simd::kernels().set<T>();
  const int64_t rows = pack.map->rows(), panels = ceilDivide(columns, kernel.panel);
  const TaskGrid grid(rows, pack.map->columns() * static_cast<int64_t>(sizeof(T)), kernel.tileRows, panels);
  parallelTasks(grid.rowTasks * grid.panelTasks, [&](int64_t task) {
    const int64_t begin = task / grid.panelTasks * grid.blockRows,
                  firstPanel = task % grid.panelTasks * grid.panelsPerTask;
    rowProduct(pack, product, columns, output, begin, std::min(rows, begin + grid.blockRows), firstPanel,
               std::min(panels, firstPanel + grid.panelsPerTask));
  });
}

/// rowProduct of the outputs of flagged tiles.
template <class T>
void flaggedProduct(const FlaggedTiles& tiles, const simd::PackJob<T>& pack, const simd::GemmJob<T>& product,
                    int64_t columns, const OutputMap& output) {
  constexpr int64_t extent = simd::winograd::kOutputs;
  const simd::PatchMap& map = *pack.map;
  const int64_t panels = ceilDivide(columns, simd::kernels().set<T>().panel);
  parallelRanges(tiles.count, 4, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      if (!tiles.flags[tile]) continue;
      const int64_t y = tile / tiles.tilesW % tiles.tilesH * extent, x = tile % tiles.tilesW * extent;
      const int64_t image = tile / (tiles.tilesH * tiles.tilesW);
      for (int64_t i = y; i < std::min(map.h.grid, y + extent); ++i) {
        const int64_t row = (image * map.h.grid + i) * map.w.grid + x;
        rowProduct(pack, product, columns, output, row, row + std::min(extent, map.w.grid - x), 0, panels);
      }
    }
  });
}

/// Patches times filters, by Winograd's algorithm or directly; packFilters() gives the panels for the latter.
template <class T, class PackFilters>
void filterProduct(bool winograd, const simd::PackJob<T>& pack, simd::GemmJob<T>& product, int64_t columns,
                   const OutputMap& output, const FilterRows<T>& filters, const PackFilters& packFilters) {
  if constexpr (sizeof(T) == 4) {
    if (winograd) {
      const FlaggedTiles flagged = winogradProduct(pack, product, filters, output);
      if (!flagged.any) return;
      product.b = packFilters();
      return flaggedProduct(flagged, pack, product, columns, output);
    }
  }
  product.b = packFilters();
  patchProduct(pack, product, columns, output);
}

/// Packs filters (rows of `size` elements, `stride` apart) as columns of panels.
template <class T>
const T* packFilters(const T* filters, int64_t count, int64_t size, int64_t stride) {
  const int64_t panel = simd::kernels().set<T>().panel, panels = ceilDivide(count, panel);
  T* const packed = scratch<T>(ScratchSlot::PackedWeights, panels * panel * size);
  constexpr int64_t kBlock = 16;
  const int64_t blocks = ceilDivide(size, kBlock);
  parallelRanges(panels * blocks, 32, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task / blocks * panel, k0 = task % blocks * kBlock,
                    k1 = std::min(size, k0 + kBlock);
      T* const to = packed + first * size;
      for (int64_t j = 0; j < panel; ++j) {
        const T* from = filters + (first + j) * stride;
        for (int64_t k = k0; k < k1; ++k) to[k * panel + j] = first + j < count ? from[k] : T(0);
      }
    }
  });
  return packed;
}

/// Packs the taps of one phase of the data gradient of one group: rows (tap h, tap w, filter), columns
/// channels. finiteOnly: NaN and infinities become 0.
template <class T>
const T* packGradientFilters(const ConvShape& s, int64_t group, const GradientAxis& h, const GradientAxis& w,
                             const T* filters, bool finiteOnly) {
  const int64_t panel = simd::kernels().set<T>().panel, panels = ceilDivide(s.groupChannels, panel);
  const int64_t steps = h.axis.taps * w.axis.taps * s.groupFilters;
  T* const packed = scratch<T>(ScratchSlot::PackedWeights, panels * panel * steps);
  parallelRanges(steps, std::max<int64_t>(1, 8192 / s.groupChannels), [&](int64_t begin, int64_t end) {
    for (int64_t step = begin; step < end; ++step) {
      const int64_t filter = group * s.groupFilters + step % s.groupFilters, tap = step / s.groupFilters;
      const int64_t kh = h.firstTap - tap / w.axis.taps * h.tapStep;
      const int64_t kw = w.firstTap - tap % w.axis.taps * w.tapStep;
      const T* from = filters + ((filter * s.kh + kh) * s.kw + kw) * s.groupChannels;
      for (int64_t first = 0; first < s.groupChannels; first += panel) {
        T* const to = packed + first * steps + step * panel;
        const int64_t width = std::min(panel, s.groupChannels - first);
        for (int64_t c = 0; c < width; ++c) {
          const T value = from[first + c];
          to[c] = finiteOnly && !(value - value == 0) ? T(0) : value;
        }
        std::fill(to + width, to + panel, T(0));
      }
    }
  });
  return packed;
}

/// dx = transposed conv(dy, filters), and with r given - x * box(r). Strides split dx into phases, each of
/// which is a convolution of stride 1 with some of the taps.
template <class T>
void dataGradient(const Conv2dParams& p, const ConvShape& s, const T* dy, const T* filters, const T* x,
                  const T* r, T* dx) {
  if (hasTinyGroups(s)) return groupedDataGradient(p, s, dy, filters, x, r, dx);
  for (int64_t group = 0; group < s.groups; ++group) {
    for (int64_t phaseH = 0; phaseH < std::min<int64_t>(p.strideH, s.h); ++phaseH) {
      for (int64_t phaseW = 0; phaseW < std::min<int64_t>(p.strideW, s.w); ++phaseW) {
        const GradientAxis h = gradientAxis(phaseH, p.strideH, p.padTop, p.dilationH, s.kh, s.h, s.oh);
        const GradientAxis w = gradientAxis(phaseW, p.strideW, p.padLeft, p.dilationW, s.kw, s.w, s.ow);
        simd::PatchMap map{s.images, h.axis, w.axis, s.o, group * s.groupFilters, s.groupFilters};
        simd::PackJob<T> pack;
        pack.map = &map;
        pack.source = dy;
        simd::GemmJob<T> product;
        product.out = dx;
        if (r) {
          pack.pixels = r + group;
          pack.pixelStride = s.groups;
          product.epilogue = simd::Epilogue::MinusRow;
          product.other = x;
        }
        const int64_t first = (phaseH * s.w + phaseW) * s.c + group * s.groupChannels;
        filterProduct(usesWinograd(p, s), pack, product, s.groupChannels,
                      {first, s.h * s.w * s.c, p.strideH * s.w * s.c, p.strideW * s.c},
                      FilterRows<T>{filters, s.filterSize(), s.o, s.c, true, r != nullptr},
                      [&] { return packGradientFilters(s, group, h, w, filters, r != nullptr); });
      }
    }
  }
}

/// How the elements of dw are shared among tasks: none is in two, so nothing has to be added up afterwards.
struct WeightTasks {
  int64_t panelTasks = 1, filterTasks = 1;

  WeightTasks(int64_t panels, int64_t filters, int64_t tileRows, int64_t maxPanels) {
    const int64_t threads = threadCount();
    double best = 0;
    for (int64_t f = 1; f <= std::min(ceilDivide(filters, tileRows), threads); ++f) {
      const int64_t least = ceilDivide(panels, maxPanels);
      for (int64_t k = least; k <= std::min(panels, std::max(least, 4 * threads)); ++k) {
        // Time of the last thread; packing an element takes about as long as four filters.
        const double cost = static_cast<double>(ceilDivide(k * f, threads) * ceilDivide(panels, k)) *
                            static_cast<double>(ceilDivide(filters, f) + 4);
        if (best > 0 && cost >= best) continue;
        best = cost;
        panelTasks = k;
        filterTasks = f;
      }
    }
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
  // Fixed, as the order of summation depends on it.
  constexpr int64_t kBlockRows = 128;
  const auto& kernel = simd::kernels().set<T>();
  const int64_t size = s.filterSize(), panels = ceilDivide(size, kernel.panel), rows = s.positions();
  const int64_t maxPanels = std::max<int64_t>(1, kPackedBytes / (kBlockRows * kernel.panel * sizeof(T)));
  const WeightTasks tasks(panels, s.groupFilters, kernel.tileRows, maxPanels);

  parallelTasks(s.groups * tasks.panelTasks * tasks.filterTasks, [&](int64_t task) {
    const int64_t group = task / (tasks.panelTasks * tasks.filterTasks);
    const int64_t panelTask = task / tasks.filterTasks % tasks.panelTasks,
                  filterTask = task % tasks.filterTasks;
    const int64_t begin = panels * panelTask / tasks.panelTasks * kernel.panel;
    const int64_t end = std::min(size, panels * (panelTask + 1) / tasks.panelTasks * kernel.panel);
    const int64_t filterBegin = group * s.groupFilters + s.groupFilters * filterTask / tasks.filterTasks;
    const int64_t filterEnd = group * s.groupFilters + s.groupFilters * (filterTask + 1) / tasks.filterTasks;
    const int64_t stride = packedRowStride<T>(roundUp(end - begin, kernel.panel));

    const simd::PatchMap map = inputPatches(p, s, group);
    simd::PackJob<T> pack;
    pack.map = &map;
    pack.source = x;
    pack.columnBegin = begin;
    pack.columnEnd = end;
    pack.packed = scratch<T>(ScratchSlot::PackedRows, kBlockRows * stride);
    pack.packedStride = stride;
    pack.finiteOnly = finiteOnly;
    simd::GemmJob<T> product;
    product.aRow = 1;
    product.aStep = s.o;
    product.bStep = stride;
    product.rows = filterEnd - filterBegin;
    product.outRow = size;
    for (int64_t row = 0; row < rows; row += kBlockRows) {
      pack.rowBegin = row;
      pack.rowEnd = std::min(rows, row + kBlockRows);
      kernel.pack(pack);
      product.a = dy + row * s.o + filterBegin;
      product.steps = pack.rowEnd - row;
      product.epilogue = row == 0 ? simd::Epilogue::Store : simd::Epilogue::Add;
      for (int64_t column = begin; column < end; column += kernel.panel) {
        product.b = pack.packed + (column - begin);
        product.columns = std::min(kernel.panel, end - column);
        product.out = dw + filterBegin * size + column;
        kernel.gemm(product);
      }
    }
    for (int64_t filter = filterBegin; filter < filterEnd; ++filter) finish(filter, begin, end);
  });
}

}  // namespace spherenet::cpu
