// Packing of patch rows: runs that are contiguous in the image are copied with vectors, the padding is filled
// with zeros, and what the epilogues need of a row (its norm, the sum of a map over its taps) is added up
// while the row is in the first-level cache.
#pragma once

#include "vector.h"

namespace spherenet::cpu::simd {
namespace {

template <class S, bool FiniteOnly>
SPHERENET_INLINE void copyRun(typename S::T* to, const typename S::T* from, int64_t count) {
  for (int64_t i = 0; i < count; i += S::lanes) {
    const auto v = loadPart<S>(from + i, count - i);
    storePart<S>(to + i, FiniteOnly ? finiteOrZero<S>(v) : v, count - i);
  }
}

template <class S>
SPHERENET_INLINE void zeroRun(typename S::T* to, int64_t count) {
  for (int64_t i = 0; i < count; i += S::lanes) storePart<S>(to + i, typename S::V{}, count - i);
}

template <class S>
typename S::T sumOfSquares(const typename S::T* x, int64_t count) {
  typename S::V sum[4] = {};
  int64_t i = 0;
  for (; i + 4 * S::lanes <= count; i += 4 * S::lanes)
    for (int j = 0; j < 4; ++j) {
      const auto v = load<S>(x + i + j * S::lanes);
      sum[j] = S::mulAdd(v, v, sum[j]);
    }
  for (; i < count; i += S::lanes) {
    const auto v = loadPart<S>(x + i, count - i);
    sum[0] = S::mulAdd(v, v, sum[0]);
  }
  return S::sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

/// Scales a row (of one with a large sum of squares) so that its largest magnitude is in [1, 2), and returns
/// the factor; 1 where an element is not finite.
template <class T>
T scaleDown(T* row, int64_t count) {
  T largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (!(row[i] - row[i] == 0)) return 1;
    const T magnitude = row[i] < 0 ? -row[i] : row[i];
    if (magnitude > largest) largest = magnitude;
  }
  T factor = 1;
  while (largest * factor >= 2) factor *= T(0.5);
  for (int64_t i = 0; i < count; ++i) row[i] *= factor;
  return factor;
}

/// Where the row is read from when its norm is taken.
template <class T>
const T* rowAt(const PackJob<T>& job, int64_t row) {
  if (job.packed) return job.packed + (row - job.rowBegin) * job.packedStride;
  return job.source + row * job.map->channels + job.map->firstChannel;
}

/// Length of that: packed rows end in zeros, so that whole vectors can be read.
template <class T>
int64_t rowLength(const PackJob<T>& job) {
  return job.packed ? job.packedStride : job.columnEnd - job.columnBegin;
}

/// Norm of a row whose squares may leave the range of T; a packed row is scaled.
template <class S>
void normOfLargeRow(const PackJob<typename S::T>& job, int64_t row) {
  using T = typename S::T;
  double factor = 1;
  if (job.packed)
    factor = static_cast<double>(
        scaleDown(job.packed + (row - job.rowBegin) * job.packedStride, job.packedStride));
  const T squares = sumOfSquares<S>(rowAt(job, row), rowLength(job));
  const double scaled = __builtin_sqrt(static_cast<double>(squares) + job.epsilon * factor * factor);
  const double norm = scaled / factor;
  job.norms[(row - job.rowBegin) * job.normStride] = norm > S::max ? S::max : static_cast<T>(norm);
  job.inverseNorms[row - job.rowBegin] = scaled > 0 ? static_cast<T>(1 / scaled) : T(0);
}

/// Turns sums of squares, which stand in inverseNorms, into norms. Whether a row was large; Repack: it has
/// been dealt with.
template <class S, bool Repack>
bool normsOfRows(const PackJob<typename S::T>& job) {
  using V = typename S::V;
  using T = typename S::T;
  const int64_t rows = job.rowEnd - job.rowBegin;
  const V epsilon = splat<S>(static_cast<T>(job.epsilon));
  bool large = false;
  for (int64_t first = 0; first < rows; first += S::lanes) {
    const int64_t count = rows - first < S::lanes ? rows - first : S::lanes;
    const V squares = loadPart<S>(job.inverseNorms + first, count);
    const V norm = S::sqrt(squares + epsilon);
    storePart<S>(job.inverseNorms + first, select<S>(norm > V{}, 1 / norm, V{}), count);
    for (int64_t i = 0; i < count; ++i) {
      job.norms[(first + i) * job.normStride] = norm[i];
      if (squares[i] <= kLargestSquare<T>) continue;
      large = true;
      if constexpr (Repack) normOfLargeRow<S>(job, job.rowBegin + first + i);
    }
  }
  return large;
}

struct Range {
  int64_t begin, end;
};

/// The taps that lie inside the image for the patch at grid position i.
inline Range tapsInside(const TapAxis& axis, int64_t i) {
  const int64_t base = i * axis.stride + axis.first;
  Range taps{0, axis.taps};
  if (base < 0) taps.begin = (-base + axis.step - 1) / axis.step;
  if (base + (axis.taps - 1) * axis.step >= axis.source)
    taps.end = base >= axis.source ? 0 : (axis.source - base + axis.step - 1) / axis.step;
  if (taps.end < taps.begin) taps = {0, 0};
  return taps;
}

/// Writes columns of one packed row from left to right, keeping those of the job only.
template <class S, bool FiniteOnly>
struct RowWriter {
  using T = typename S::T;
  T* to;
  int64_t begin, end;  // columns wanted
  int64_t at = 0;      // column reached

  /// The next `count` columns: from `from`, or zeros where that is null.
  SPHERENET_INLINE void put(const T* from, int64_t count) {
    const int64_t first = at > begin ? at : begin, last = at + count < end ? at + count : end;
    if (first < last) {
      if (from) {
        copyRun<S, FiniteOnly>(to + (first - begin), from + (first - at), last - first);
      } else {
        zeroRun<S>(to + (first - begin), last - first);
      }
    }
    at += count;
  }
};

template <class S, bool FiniteOnly>
void packRow(const PackJob<typename S::T>& job, int64_t image, int64_t i, int64_t j, typename S::T* to) {
  using T = typename S::T;
  const PatchMap& m = *job.map;
  const Range inH = tapsInside(m.h, i), inW = tapsInside(m.w, j);
  const bool joined = m.w.step == 1 && m.groupChannels == m.channels;
  const int64_t column = j * m.w.stride + m.w.first;
  RowWriter<S, FiniteOnly> row{to, job.columnBegin, job.columnEnd};
  for (int64_t th = 0; th < m.h.taps && row.at < row.end; ++th) {
    if (th < inH.begin || th >= inH.end) {
      row.put(nullptr, m.w.taps * m.groupChannels);
      continue;
    }
    const int64_t line = i * m.h.stride + m.h.first + th * m.h.step;
    const T* source =
        job.source + ((image * m.h.source + line) * m.w.source + column) * m.channels + m.firstChannel;
    row.put(nullptr, inW.begin * m.groupChannels);
    if (joined) {
      row.put(source + inW.begin * m.channels, (inW.end - inW.begin) * m.channels);
    } else {
      for (int64_t tw = inW.begin; tw < inW.end; ++tw)
        row.put(source + tw * m.w.step * m.channels, m.groupChannels);
    }
    row.put(nullptr, (m.w.taps - inW.end) * m.groupChannels);
  }
  zeroRun<S>(to + (job.columnEnd - job.columnBegin), job.packedStride - (job.columnEnd - job.columnBegin));
}

template <class T>
T sumOverTaps(const PackJob<T>& job, int64_t image, int64_t i, int64_t j) {
  const PatchMap& m = *job.map;
  const Range inH = tapsInside(m.h, i), inW = tapsInside(m.w, j);
  T sum = 0;
  for (int64_t th = inH.begin; th < inH.end; ++th) {
    const int64_t line = i * m.h.stride + m.h.first + th * m.h.step;
    const int64_t pixel = (image * m.h.source + line) * m.w.source + j * m.w.stride + m.w.first;
    for (int64_t tw = inW.begin; tw < inW.end; ++tw)
      sum += job.pixels[(pixel + tw * m.w.step) * job.pixelStride];
  }
  return sum;
}

/// Without `packed`, only the norms, and rows must be contiguous in the source (1x1 taps, no padding, stride
/// 1).
template <class S>
bool pack(const PackJob<typename S::T>& job) {
  const PatchMap& m = *job.map;
  int64_t j = job.rowBegin % m.w.grid, i = job.rowBegin / m.w.grid % m.h.grid;
  int64_t image = job.rowBegin / (m.w.grid * m.h.grid);
  for (int64_t row = job.rowBegin; row < job.rowEnd; ++row) {
    if (job.packed) {
      typename S::T* to = job.packed + (row - job.rowBegin) * job.packedStride;
      if (job.finiteOnly) {
        packRow<S, true>(job, image, i, j, to);
      } else {
        packRow<S, false>(job, image, i, j, to);
      }
    }
    if (job.norms) job.inverseNorms[row - job.rowBegin] = sumOfSquares<S>(rowAt(job, row), rowLength(job));
    if (job.pixelSums) job.pixelSums[row - job.rowBegin] = sumOverTaps(job, image, i, j);
    if (++j == m.w.grid) {
      j = 0;
      if (++i == m.h.grid) i = 0, ++image;
    }
  }
  return job.norms && normsOfRows<S, true>(job);
}

}  // namespace
}  // namespace spherenet::cpu::simd
