// The data gradient of a convolution of few input channels (an image's): as columns of a product they would
// leave most lanes empty, so the columns are all elements of a patch, and the patches are added up afterwards
// (col2im).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "conv_shape.h"
#include "parallel.h"
#include "patch_rows.h"

namespace spherenet::cpu {

template <class T>
bool isNarrow(const ConvShape& s) {
  return 2 * s.groupChannels <= simd::kernels().set<T>().lanes && s.kh * s.kw > 1;
}

/// The filters of a group as panels: row k is filter k. finiteOnly: NaN and infinities become 0.
template <class T>
const T* filterPanels(const ConvShape& s, const T* filters, bool finiteOnly) {
  const int64_t panel = simd::kernels().set<T>().panel, size = s.filterSize();
  const int64_t columns = roundUp(size, panel);
  T* const packed = scratch<T>(ScratchSlot::PackedWeights, columns * s.groupFilters);
  for (int64_t filter = 0; filter < s.groupFilters; ++filter)
    for (int64_t j = 0; j < columns; ++j) {
      const T value = j < size ? filters[filter * size + j] : T(0);
      packed[(j / panel * s.groupFilters + filter) * panel + j % panel] =
          finiteOnly && !std::isfinite(value) ? T(0) : value;
    }
  return packed;
}

/// The grid lines whose patches reach into image lines [begin, end).
inline std::pair<int64_t, int64_t> gridLines(const simd::TapAxis& axis, int64_t begin, int64_t end) {
  const int64_t reach = (axis.taps - 1) * axis.step;
  const int64_t first = std::max<int64_t>(0, begin - axis.first - reach + axis.stride - 1) / axis.stride;
  const int64_t last = end - 1 - axis.first < 0 ? 0 : (end - 1 - axis.first) / axis.stride + 1;
  return {first, std::max(first, std::min(axis.grid, last))};
}

/// dx as in dataGradient().
template <class T>
void narrowDataGradient(const Conv2dParams& p, const ConvShape& s, const T* dy, const T* filters, const T* x,
                        const T* r, T* dx) {
  const auto& kernel = simd::kernels().set<T>();
  const int64_t size = s.filterSize(), stride = packedRowStride<T>(roundUp(size, kernel.panel));
  // Image lines of a task: those of patches that fill half of a second-level cache, but some times as many as
  // the patches that two tasks compute both.
  const int64_t fitting = 2 * kPackedBytes / (s.ow * stride * static_cast<int64_t>(sizeof(T)));
  const int64_t lines =
      std::min(s.h, std::max(fitting, 4 * ((s.kh - 1) * p.dilationH / p.strideH + 1)) * p.strideH);
  const int64_t tasks = ceilDivide(s.h, lines);
  for (int64_t group = 0; group < s.groups; ++group) {
    const simd::PatchMap map = inputPatches(p, s, group);
    const T* const panels = filterPanels(s, filters + group * s.groupFilters * size, r != nullptr);
    parallelTasks(s.images * tasks, [&](int64_t task) {
      simd::Col2imJob<T> job;
      job.map = &map;
      job.image = task / tasks;
      job.lineBegin = task % tasks * lines;
      job.lineEnd = std::min(s.h, job.lineBegin + lines);
      const auto [gridBegin, gridEnd] = gridLines(map.h, job.lineBegin, job.lineEnd);
      const int64_t rows = (gridEnd - gridBegin) * s.ow;
      // The last tap of the last patch is read in a whole vector.
      T* const patches = scratch<T>(ScratchSlot::PackedRows, rows * stride + kernel.lanes);
      int64_t* const starts = scratch<int64_t>(ScratchSlot::RowStarts, rows);
      for (int64_t row = 0; row < rows; ++row) starts[row] = row * s.o;
      simd::GemmJob<T> product;
      product.a = dy + (job.image * s.oh + gridBegin) * s.ow * s.o + group * s.groupFilters;
      product.rowStarts = starts;
      product.runStarts = &kNoOffset;
      product.runSteps = product.steps = s.groupFilters;
      product.fromMemory = true;
      product.bStep = kernel.panel;
      product.columns = kernel.panel;
      product.rows = rows;
      product.outRow = stride;
      for (int64_t column = 0; column < size; column += kernel.panel) {
        product.b = panels + column * s.groupFilters;
        product.out = patches + column;
        kernel.gemm(product);
        product.fromMemory = false;
      }
      job.patches = patches;
      job.gridBegin = gridBegin;
      job.patchStride = stride;
      job.out = dx;
      job.other = x;
      job.rowFactors = r ? r + group : nullptr;
      job.rowFactorStride = s.groups;
      job.line = scratch<T>(ScratchSlot::PixelValues, (kernel.lanes + 1) * s.w);
      kernel.col2im(job);
    });
  }
}

}  // namespace spherenet::cpu
