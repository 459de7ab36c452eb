// Where a product reads patch rows from: the image itself, a window of it, or memory they are packed into.
#pragma once

#include <algorithm>
#include <cstdint>

#include "loops.h"
#include "scratch.h"
#include "simd/kernels.h"

namespace spherenet::cpu {

/// Packed rows of one task: about a quarter of a second-level cache.
constexpr int64_t kPackedBytes = 256 * 1024;

/// Stride of packed rows: a whole number of cache lines, and an odd one, so that rows spread over the sets of
/// the first-level cache.
template <class T>
constexpr int64_t packedRowStride(int64_t columns) {
  constexpr int64_t line = 64 / sizeof(T);
  return (ceilDivide(columns, line) | 1) * line;
}

/// How a product reads patch rows.
enum class PatchAccess {
  Matrix,  // they lie in the image as rows of a matrix
  Window,  // out of a copy of the pixels they share
  Packed   // each is copied
};

/// Rows that lie this far apart, or a multiple, would share few sets of the first-level cache.
constexpr int64_t kCollidingBytes = 2048;

template <class T>
PatchAccess patchAccess(const simd::PatchMap& m) {
  const auto plain = [](const simd::TapAxis& a) {
    return a.taps == 1 && a.stride == 1 && a.first == 0 && a.grid == a.source;
  };
  if (plain(m.h) && plain(m.w) && m.channels * static_cast<int64_t>(sizeof(T)) % kCollidingBytes != 0)
    return PatchAccess::Matrix;
  return m.h.taps * m.w.taps > m.h.stride * m.w.stride ? PatchAccess::Window : PatchAccess::Packed;
}

/// Bytes of memory that a patch row adds to a block of them.
template <class T>
int64_t bytesOfRow(const simd::PatchMap& m) {
  const bool window = patchAccess<T>(m) == PatchAccess::Window;
  const int64_t pixels = window ? m.h.stride * m.w.stride : m.h.taps * m.w.taps;
  return pixels * m.groupChannels * static_cast<int64_t>(sizeof(T));
}

/// How patches lie in their window: as runs of elements that are contiguous there.
template <class T>
struct WindowLayout {
  int64_t width, pixelStride, runsPerLine, runs, runSteps;

  explicit WindowLayout(const simd::PatchMap& m) {
    const bool colliding = m.groupChannels * static_cast<int64_t>(sizeof(T)) % kCollidingBytes == 0;
    const bool joined = m.w.step == 1 && !colliding;
    width = simd::windowExtent(m.w, 0, m.w.grid);
    pixelStride = m.groupChannels + (colliding ? static_cast<int64_t>(64 / sizeof(T)) : 0);
    runsPerLine = joined ? 1 : m.w.taps;
    runs = m.h.taps * runsPerLine;
    runSteps = joined ? m.w.taps * m.groupChannels : m.groupChannels;
  }

  /// Whether vectors that end with a run are nearly all full.
  bool fillsVectors(int64_t lanes) const { return 8 * roundUp(runSteps, lanes) <= 9 * runSteps; }
};

/// Lines of the window of rows [begin, end).
inline int64_t windowLines(const simd::PatchMap& m, int64_t begin, int64_t end) {
  const int64_t first = begin / m.w.grid, last = (end - 1) / m.w.grid;
  int64_t lines = 0;
  for (int64_t image = first / m.h.grid; image <= last / m.h.grid; ++image) {
    const int64_t imageBegin = image * m.h.grid, imageEnd = imageBegin + m.h.grid;
    lines += simd::windowExtent(m.h, std::max(first, imageBegin), std::min(last + 1, imageEnd));
  }
  return lines;
}

/// A window and where patches are in it; see simd::RunsJob.
template <class T>
struct Window {
  const T* pixels;
  const int64_t *rowStarts, *runStarts;
};

/// The window of the rows of `pack`, with the sums that it asks for.
template <class T>
Window<T> copyWindow(const WindowLayout<T>& layout, const simd::PackJob<T>& pack) {
  const simd::PatchMap& m = *pack.map;
  const int64_t pixels = windowLines(m, pack.rowBegin, pack.rowEnd) * layout.width;
  simd::WindowJob<T> job;
  job.map = &m;
  job.source = pack.source;
  job.rowBegin = pack.rowBegin;
  job.rowEnd = pack.rowEnd;
  job.pixelStride = layout.pixelStride;
  // The last run is read in whole vectors.
  job.pixels = scratch<T>(ScratchSlot::Window, pixels * layout.pixelStride + simd::kernels().set<T>().lanes);
  job.rowStarts = scratch<int64_t>(ScratchSlot::RowStarts, job.rowEnd - job.rowBegin);
  job.finiteOnly = pack.finiteOnly;
  if (pack.norms || pack.pixels) {
    job.sums = pack.norms ? pack.inverseNorms : pack.pixelSums;
    job.pixelValues = scratch<T>(ScratchSlot::PixelValues, pixels);
    job.values = pack.pixels;
    job.valueStride = pack.pixelStride;
  }
  simd::kernels().set<T>().window(job);

  int64_t* const runStarts = scratch<int64_t>(ScratchSlot::RunStarts, layout.runs);
  for (int64_t run = 0; run < layout.runs; ++run) {
    const int64_t line = run / layout.runsPerLine * m.h.step, column = run % layout.runsPerLine * m.w.step;
    runStarts[run] = (line * layout.width + column) * layout.pixelStride;
  }
  return {job.pixels, job.rowStarts, runStarts};
}

/// Lets `product` read the rows of `pack` out of a window, with the sums that it asks for.
template <class T>
void readWindow(const simd::PackJob<T>& pack, simd::GemmJob<T>& product) {
  const WindowLayout<T> layout(*pack.map);
  const Window<T> window = copyWindow(layout, pack);
  product.runs = layout.runs;
  product.runSteps = layout.runSteps;
  product.a = window.pixels;
  product.rowStarts = window.rowStarts;
  product.runStarts = window.runStarts;
}

/// The runs of rows that are one.
inline constexpr int64_t kNoOffset = 0;

/// Lets `product` read rows as they lie in the image.
template <class T>
void readMatrix(const simd::PackJob<T>& pack, simd::GemmJob<T>& product) {
  const int64_t count = pack.rowEnd - pack.rowBegin, channels = pack.map->channels;
  int64_t* const starts = scratch<int64_t>(ScratchSlot::RowStarts, count);
  for (int64_t row = 0; row < count; ++row) starts[row] = row * channels;
  product.a = pack.source + pack.rowBegin * channels + pack.map->firstChannel;
  product.rowStarts = starts;
  product.runStarts = &kNoOffset;
  product.runSteps = product.steps;
  product.fromMemory = true;
}

/// Lets `product` read rows that are packed first.
template <class T>
void readPacked(simd::PackJob<T>& pack, simd::GemmJob<T>& product) {
  pack.packedStride = packedRowStride<T>(product.steps);
  pack.packed = scratch<T>(ScratchSlot::PackedRows, (pack.rowEnd - pack.rowBegin) * pack.packedStride);
  simd::kernels().set<T>().pack(pack);
  product.a = pack.packed;
  product.aRow = pack.packedStride;
  product.aStep = 1;
}

}  // namespace spherenet::cpu
