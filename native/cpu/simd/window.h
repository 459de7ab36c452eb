// The window of the images behind some patch rows, and sums over patches of a value per pixel.
#pragma once

#include "patches.h"

namespace spherenet::cpu::simd {
namespace {

/// One line of the window, from image coordinate `line`: its pixels, and their values where sums are asked
/// for.
template <class S, bool FiniteOnly>
void windowLine(const WindowJob<typename S::T>& job, int64_t image, int64_t line, typename S::T* to,
                typename S::T* values) {
  using T = typename S::T;
  const PatchMap& m = *job.map;
  const int64_t width = windowExtent(m.w, 0, m.w.grid), channels = m.groupChannels;
  // Window columns that lie inside the image.
  int64_t begin = m.w.first < 0 ? -m.w.first : 0, end = m.w.source - m.w.first;
  if (begin > width) begin = width;
  if (end > width) end = width;
  if (line < 0 || line >= m.h.source || end < begin) begin = end = width;
  zeroRun<S>(to, begin * job.pixelStride);
  const int64_t pixel = (image * m.h.source + line) * m.w.source + m.w.first;
  const T* from = job.source + pixel * m.channels + m.firstChannel;
  if (m.channels == channels && job.pixelStride == channels) {
    copyRun<S, FiniteOnly>(to + begin * channels, from + begin * channels, (end - begin) * channels);
  } else {
    for (int64_t x = begin; x < end; ++x)
      copyRun<S, FiniteOnly>(to + x * job.pixelStride, from + x * m.channels, channels);
  }
  zeroRun<S>(to + end * job.pixelStride, (width - end) * job.pixelStride);
  if (!job.sums) return;
  zeroRun<S>(values, begin);
  for (int64_t x = begin; x < end; ++x) {
    if (job.values) {
      values[x] = job.values[(pixel + x) * job.valueStride];
    } else if (channels <= 4) {
      T sum = 0;
      for (int64_t c = 0; c < channels; ++c) sum += from[x * m.channels + c] * from[x * m.channels + c];
      values[x] = sum;
    } else {
      values[x] = sumOfSquares<S>(from + x * m.channels, channels);
    }
  }
  zeroRun<S>(values + end, width - end);
}

/// sums[j] = sum over the taps of the values of the patch at place `first` + j of a grid line whose window
/// begins at `values`.
template <class S>
void sumsOverTaps(const PatchMap& m, const typename S::T* values, int64_t first, int64_t count,
                  typename S::T* sums) {
  using T = typename S::T;
  const int64_t width = windowExtent(m.w, 0, m.w.grid);
  const T* const from = values + first * m.w.stride;
  if (m.w.stride == 1) {
    for (int64_t j = 0; j < count; j += S::lanes) {
      typename S::V sum{};
      for (int64_t th = 0; th < m.h.taps; ++th)
        for (int64_t tw = 0; tw < m.w.taps; ++tw)
          sum += loadPart<S>(from + th * m.h.step * width + tw * m.w.step + j, count - j);
      storePart<S>(sums + j, sum, count - j);
    }
    return;
  }
  for (int64_t j = 0; j < count; ++j) {
    T sum = 0;
    for (int64_t th = 0; th < m.h.taps; ++th)
      for (int64_t tw = 0; tw < m.w.taps; ++tw)
        sum += from[th * m.h.step * width + tw * m.w.step + j * m.w.stride];
    sums[j] = sum;
  }
}

template <class S>
void window(const WindowJob<typename S::T>& job) {
  const PatchMap& m = *job.map;
  const int64_t width = windowExtent(m.w, 0, m.w.grid), lineStride = width * job.pixelStride;
  int64_t line = 0;  // of the window
  for (int64_t row = job.rowBegin; row < job.rowEnd;) {
    const int64_t image = row / (m.w.grid * m.h.grid), imageEnd = (image + 1) * m.w.grid * m.h.grid;
    const int64_t last = imageEnd < job.rowEnd ? imageEnd : job.rowEnd;
    const int64_t i0 = row / m.w.grid % m.h.grid, i1 = (last - 1) / m.w.grid % m.h.grid + 1;
    const int64_t lines = windowExtent(m.h, i0, i1);
    for (int64_t y = 0; y < lines; ++y) {
      const int64_t from = i0 * m.h.stride + m.h.first + y;
      typename S::T *const to = job.pixels + (line + y) * lineStride, *const values = job.pixelValues +
                                                                                      (line + y) * width;
      if (job.finiteOnly) {
        windowLine<S, true>(job, image, from, to, values);
      } else {
        windowLine<S, false>(job, image, from, to, values);
      }
    }
    for (int64_t i = i0; i < i1; ++i) {
      const int64_t first = line + (i - i0) * m.h.stride, lineRow = (image * m.h.grid + i) * m.w.grid;
      const int64_t j0 = row - lineRow, j1 = last - lineRow < m.w.grid ? last - lineRow : m.w.grid;
      for (int64_t j = j0; j < j1; ++j)
        job.rowStarts[lineRow + j - job.rowBegin] = first * lineStride + j * m.w.stride * job.pixelStride;
      if (job.sums)
        sumsOverTaps<S>(m, job.pixelValues + first * width, j0, j1 - j0,
                        job.sums + lineRow + j0 - job.rowBegin);
      row = lineRow + j1;
    }
    line += lines;
  }
}

template <class S>
void packRuns(const RunsJob<typename S::T>& job) {
  for (int64_t i = 0; i < job.rows; ++i) {
    RowWriter<S, false> row{job.out + i * job.outStride, job.columnBegin, job.columnEnd};
    for (int64_t run = 0; run < job.runs && row.at < row.end; ++run)
      row.put(job.from + job.rowStarts[i] + job.runStarts[run], job.runSteps);
    zeroRun<S>(row.to + (row.end - row.begin), job.outStride - (row.end - row.begin));
  }
}

}  // namespace
}  // namespace spherenet::cpu::simd
