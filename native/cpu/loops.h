// Shared by the memory-bound ops: how loops over tensors are cut into ranges and contiguous runs.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../tensor.h"

/// Before a loop whose iterations do not depend on each other, even where an output is the very memory of an
/// input: lets the compiler vectorise it without a check for overlap, which such calls would fail.
#if defined(__clang__)
#define SPHERENET_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define SPHERENET_INDEPENDENT _Pragma("GCC ivdep")
#else
#define SPHERENET_INDEPENDENT
#endif

namespace spherenet::cpu {

/// Elements that make a task worth handing to another thread.
constexpr int64_t kGrain = 16384;

constexpr int64_t ceilDivide(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/// Rows of `width` elements per task.
constexpr int64_t grainOfRows(int64_t width) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width));
}

/// Calls f with a value of the tensor's element type, whichever of the four it is.
template <class F>
decltype(auto) withAny(DType dtype, F&& f) {
  switch (dtype) {
    case DType::Float32:
      return f(float{});
    case DType::Float64:
      return f(double{});
    case DType::Int32:
      return f(int32_t{});
    case DType::Uint8:
      return f(uint8_t{});
  }
  throw std::logic_error("unknown dtype");
}

/// An iteration space with the strides (in elements) of several operands. Axes of extent 1 are dropped and
/// neighbours that can be walked as one are merged, so the innermost axis is as long as it can be.
template <int Operands>
struct Axes {
  int rank = 0;
  int64_t extent[kMaxRank] = {};
  int64_t stride[Operands][kMaxRank] = {};

  /// Appends an axis inside those there are.
  void push(int64_t size, const int64_t (&strides)[Operands]) {
    if (size == 1) return;
    bool merges = rank > 0;
    for (int o = 0; merges && o < Operands; ++o) merges = stride[o][rank - 1] == strides[o] * size;
    if (merges) {
      extent[rank - 1] *= size;
    } else {
      extent[rank++] = size;
    }
    for (int o = 0; o < Operands; ++o) stride[o][rank - 1] = strides[o];
  }

  /// To be called after the last push: a space of one element becomes an axis of extent 1.
  void close() {
    if (rank > 0) return;
    rank = 1;
    extent[0] = 1;
    for (int o = 0; o < Operands; ++o) stride[o][0] = 1;
  }

  int64_t size() const {
    int64_t product = 1;
    for (int i = 0; i < rank; ++i) product *= extent[i];
    return product;
  }
};

/// The axes of `shape` with the strides of operands that broadcast to it (NumPy: aligned at the last axis,
/// extent 1 repeats).
template <int Operands>
Axes<Operands> broadcastAxes(const Dims& shape, const Dims* const (&operands)[Operands]) {
  int64_t strides[kMaxRank][Operands] = {};
  for (int o = 0; o < Operands; ++o) {
    const Dims& dims = *operands[o];
    int64_t step = 1;
    for (int i = dims.rank - 1; i >= 0; --i) {
      strides[i + shape.rank - dims.rank][o] = dims[i] == 1 ? 0 : step;
      step *= dims[i];
    }
  }
  Axes<Operands> axes;
  for (int i = 0; i < shape.rank; ++i) axes.push(shape[i], strides[i]);
  axes.close();
  return axes;
}

/// Walks elements [begin, end) of the space, row-major, in runs along the innermost axis:
/// run(position, offsets, count), with each operand's offset of the run's first element.
template <int Operands, class F>
void forEachRun(const Axes<Operands>& axes, int64_t begin, int64_t end, const F& run) {
  int64_t index[kMaxRank];
  int64_t offset[Operands] = {};
  int64_t rest = begin;
  for (int i = axes.rank - 1; i >= 0; --i) {
    index[i] = rest % axes.extent[i];
    rest /= axes.extent[i];
    for (int o = 0; o < Operands; ++o) offset[o] += index[i] * axes.stride[o][i];
  }
  const int last = axes.rank - 1;
  for (int64_t position = begin; position < end;) {
    const int64_t count = std::min(axes.extent[last] - index[last], end - position);
    run(position, offset, count);
    position += count;
    for (int o = 0; o < Operands; ++o) offset[o] -= index[last] * axes.stride[o][last];
    index[last] = 0;
    for (int i = last - 1; i >= 0; --i) {
      if (++index[i] < axes.extent[i]) {
        for (int o = 0; o < Operands; ++o) offset[o] += axes.stride[o][i];
        break;
      }
      for (int o = 0; o < Operands; ++o) offset[o] -= (index[i] - 1) * axes.stride[o][i];
      index[i] = 0;
    }
  }
}

}  // namespace spherenet::cpu
