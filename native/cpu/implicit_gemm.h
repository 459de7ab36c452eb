// The products of patches and filters behind a convolution and its data gradient, without the patch matrix
// ever being in memory: blocks of rows are read where they are used. Plain and SphereConv differ in what they
// ask of packing and epilogue.
#pragma once

#include <algorithm>
#include <cstdint>

#include "conv_shape.h"
#include "grouped_loops.h"
#include "loops.h"
#include "narrow_gradient.h"
#include "parallel.h"
#include "patch_rows.h"
#include "winograd.h"

namespace spherenet::cpu {

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

/// Rows [begin, end) of patches times packed panels [firstPanel, lastPanel) of `columns` columns. `pack` says
/// what is read and which row values are wanted, with norms pointing at row 0; `product` holds panels (b),
/// output and epilogue operands for row 0 and column 0.
template <class T>
void rowProduct(const simd::PackJob<T>& pack, const simd::GemmJob<T>& product, int64_t columns,
                const OutputMap& output, int64_t begin, int64_t end, int64_t firstPanel, int64_t lastPanel,
                PatchAccess access) {
  const auto& kernel = simd::kernels().set<T>();
  const simd::PatchMap& map = *pack.map;
  const int64_t steps = map.columns(), count = end - begin;
  T* const values = scratch<T>(ScratchSlot::RowValues, 2 * count);

  simd::PackJob<T> job = pack;
  job.rowBegin = begin;
  job.rowEnd = end;
  job.columnEnd = steps;
  if (pack.norms) {
    job.inverseNorms = values;
    // One task of those that share the rows reports the norms.
    job.norms = firstPanel == 0 ? pack.norms + begin * pack.normStride : values + count;
    if (firstPanel != 0) job.normStride = 1;
  }
  if (pack.pixels) job.pixelSums = values;
  simd::GemmJob<T> part = product;
  part.steps = steps;
  bool large = false;
  if (access == PatchAccess::Window) {
    readWindow(job, part);
    large = pack.norms && kernel.norms(job);
  } else if (access == PatchAccess::Matrix) {
    readMatrix(job, part);
    if (pack.norms || pack.pixels) large = kernel.pack(job);
  } else {
    readPacked(job, part);
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

  part.bStep = kernel.panel;
  part.rows = count;
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
    part.following = product.following.from(column);
    kernel.gemm(part);
    part.fromMemory = false;
  }
  if (!large) return;
  // Row by row, so that the blocks, which depend on the threads, do not show in the result.
  for (int64_t row = begin; row < end; ++row) {
    const T norm = job.norms[(row - begin) * job.normStride];
    if (!(norm * norm <= simd::kLargestSquare<T> / 2))
      rowProduct(pack, product, columns, output, row, row + 1, firstPanel, lastPanel, PatchAccess::Packed);
  }
}

/// rowProduct of all rows and panels, in parallel.
template <class T>
void patchProduct(const simd::PackJob<T>& pack, const simd::GemmJob<T>& product, int64_t columns,
                  const OutputMap& output) {
  const auto& kernel = simd::kernels().set<T>();
  const int64_t rows = pack.map->rows(), panels = ceilDivide(columns, kernel.panel);
  const PatchAccess access = patchAccess<T>(*pack.map);
  const TaskGrid grid(rows, bytesOfRow<T>(*pack.map), kernel.tileRows, panels);
  parallelTasks(grid.rowTasks * grid.panelTasks, [&](int64_t task) {
    const int64_t begin = task / grid.panelTasks * grid.blockRows,
                  firstPanel = task % grid.panelTasks * grid.panelsPerTask;
    rowProduct(pack, product, columns, output, begin, std::min(rows, begin + grid.blockRows), firstPanel,
               std::min(panels, firstPanel + grid.panelsPerTask), access);
  });
}

/// rowProduct of the outputs of flagged tiles.
template <class T>
void flaggedProduct(const FlaggedTiles& tiles, const simd::PackJob<T>& pack, const simd::GemmJob<T>& product,
                    int64_t columns, const OutputMap& output) {
  constexpr int64_t extent = simd::winograd::kOutputs;
  const simd::PatchMap& map = *pack.map;
  const int64_t panels = ceilDivide(columns, simd::kernels().set<T>().panel);
  const PatchAccess access = patchAccess<T>(map);
  parallelRanges(tiles.count, 4, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      if (!tiles.flags[tile]) continue;
      const int64_t y = tile / tiles.tilesW % tiles.tilesH * extent, x = tile % tiles.tilesW * extent;
      const int64_t image = tile / (tiles.tilesH * tiles.tilesW);
      for (int64_t i = y; i < std::min(map.h.grid, y + extent); ++i) {
        const int64_t row = (image * map.h.grid + i) * map.w.grid + x;
        rowProduct(pack, product, columns, output, row, row + std::min(extent, map.w.grid - x), 0, panels,
                   access);
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
  if (isNarrow<T>(s)) return narrowDataGradient(p, s, dy, filters, x, r, dx);
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

}  // namespace spherenet::cpu
