// sumTo and broadcastTo, each the gradient of the other.
#include <vector>

#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"
#include "scratch.h"

namespace spherenet::cpu {

namespace {

/// Elements that one task adds up before the partial sums are.
constexpr int64_t kPiece = 2 * kGrain;
/// Columns that one task adds up side by side.
constexpr int64_t kColumns = 256;

template <class T>
double sumRow(const T* x, int64_t count) {
  constexpr int kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += static_cast<double>(x[i + lane]);
  }
  for (int lane = 0; i < count; ++i, ++lane) lanes[lane] += static_cast<double>(x[i]);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

/// sums[j] += x[i * stride + j] over i < rows, j < width.
template <class T>
void addRows(const T* x, int64_t rows, int64_t stride, int64_t width, double* sums) {
  for (int64_t i = 0; i < rows; ++i) {
    const T* row = x + i * stride;
    SPHERENET_INDEPENDENT
    for (int64_t j = 0; j < width; ++j) sums[j] += static_cast<double>(row[j]);
  }
}

/// Column sums of a [rows, width] block, width <= kColumns, into sums[width].
template <class T>
void sumColumns(const T* x, int64_t rows, int64_t stride, int64_t width, double* sums) {
  // Narrow dense rows are taken several at a time, so that the inner loop stays long.
  const int64_t repeat = stride == width && width <= 32 ? 64 / width : 1;
  double wide[kColumns];
  std::fill(wide, wide + repeat * width, 0.0);
  const int64_t wideRows = rows / repeat;
  addRows(x, wideRows, repeat * stride, repeat * width, wide);
  addRows(x + wideRows * repeat * stride, rows - wideRows * repeat, stride, width, wide);
  std::copy(wide, wide + width, sums);
  for (int64_t i = width; i < repeat * width; ++i) sums[i % width] += wide[i];
}

/// x [outer, count] -> y [outer]
template <class In, class Out>
void sumInner(const In* x, int64_t outer, int64_t count, Out* y) {
  const int64_t pieces = ceilDivide(count, kPiece);
  if (pieces == 1) {
    parallelRanges(outer, grainOfRows(count), [&](int64_t begin, int64_t end) {
      for (int64_t a = begin; a < end; ++a) y[a] = static_cast<Out>(sumRow(x + a * count, count));
    });
    return;
  }
  double* partial = scratch<double>(ScratchSlot::Partials, outer * pieces);
  parallelTasks(outer * pieces, [&](int64_t task) {
    const int64_t begin = task % pieces * kPiece;
    partial[task] = sumRow(x + task / pieces * count + begin, std::min(kPiece, count - begin));
  });
  for (int64_t a = 0; a < outer; ++a) y[a] = static_cast<Out>(sumRow(partial + a * pieces, pieces));
}

/// x [outer, count, inner] -> y [outer, inner]
template <class In, class Out>
void sumMiddle(const In* x, int64_t outer, int64_t count, int64_t inner, Out* y) {
  if (inner == 1) return sumInner(x, outer, count, y);
  const int64_t width = std::min(inner, kColumns);
  const int64_t tiles = ceilDivide(inner, width);
  const int64_t rows = std::min(count, kPiece / width);
  const int64_t pieces = ceilDivide(count, rows);
  double* partial = pieces > 1 ? scratch<double>(ScratchSlot::Partials, outer * pieces * inner) : nullptr;
  parallelRanges(outer * pieces * tiles, grainOfRows(rows * width), [&](int64_t begin, int64_t end) {
    double sums[kColumns];
    for (int64_t task = begin; task < end; ++task) {
      const int64_t column = task % tiles * width;
      const int64_t columns = std::min(width, inner - column);
      const int64_t block = task / tiles;  // a * pieces + piece
      const int64_t a = block / pieces, row = block % pieces * rows;
      const In* from = x + (a * count + row) * inner + column;
      sumColumns(from, std::min(rows, count - row), inner, columns, sums);
      if (partial) {
        std::copy(sums, sums + columns, partial + block * inner + column);
      } else {
        for (int64_t j = 0; j < columns; ++j) y[a * inner + column + j] = static_cast<Out>(sums[j]);
      }
    }
  });
  if (partial) {
    for (int64_t a = 0; a < outer; ++a) {
      for (int64_t column = 0; column < inner; column += kColumns) {
        double sums[kColumns];
        const int64_t columns = std::min(kColumns, inner - column);
        sumColumns(partial + a * pieces * inner + column, pieces, inner, columns, sums);
        for (int64_t j = 0; j < columns; ++j) y[a * inner + column + j] = static_cast<Out>(sums[j]);
      }
    }
  }
}

/// Sums over the longest group that is to be summed, then over what is left of them in float64.
template <class In, class Out>
void sumGroups(const In* x, std::vector<AxisGroup> groups, Out* y) {
  size_t longest = groups.size();
  size_t summed = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (!groups[i].summed) continue;
    ++summed;
    if (longest == groups.size() || groups[i].extent > groups[longest].extent) longest = i;
  }
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (i < longest) outer *= groups[i].extent;
    if (i > longest) inner *= groups[i].extent;
  }
  const int64_t count = summed > 0 ? groups[longest].extent : 1;
  if (summed == 0) std::swap(outer, inner);
  if (summed <= 1) return sumMiddle(x, outer, count, inner, y);

  std::vector<double> between(static_cast<size_t>(outer * inner));
  sumMiddle(x, outer, count, inner, between.data());
  groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(longest));
  sumGroups(between.data(), std::move(groups), y);
}

template <class T>
void repeatElements(const Tensor& xTensor, const Tensor& yTensor) {
  const T* x = xTensor.as<T>();
  T* y = yTensor.as<T>();
  const Axes<1> axes = broadcastAxes<1>(yTensor.shape, {&xTensor.shape});
  const bool repeats = axes.stride[0][axes.rank - 1] == 0;
  parallelRanges(axes.size(), kGrain, [&](int64_t begin, int64_t end) {
    forEachRun(axes, begin, end, [&](int64_t position, const int64_t(&offset)[1], int64_t count) {
      const T* from = x + offset[0];
      if (repeats) {
        std::fill_n(y + position, count, *from);
      } else {
        std::copy_n(from, count, y + position);
      }
    });
  });
}

}  // namespace

void CpuOps::sumTo(const Tensor& x, const Tensor& y) {
  if (y.size() == 0) return;
  if (x.size() == 0) return fill(0, y);
  withFloat(x.dtype, [&](auto type) {
    using T = decltype(type);
    sumGroups(x.as<T>(), groupAxes(x.shape, y.shape), y.as<T>());
  });
}

void CpuOps::broadcastTo(const Tensor& x, const Tensor& y) {
  if (y.size() == 0) return;
  withAny(y.dtype, [&](auto type) { repeatElements<decltype(type)>(x, y); });
}

}  // namespace spherenet::cpu
