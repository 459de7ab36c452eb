// Shared by the memory-bound ops: how loops over tensors are cut into ranges and contiguous runs.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../axes.h"
#include "../tensor.h"
#include "half.h"
#include "rounding.h"

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

/// Rows of `width` elements per task.
constexpr int64_t grainOfRows(int64_t width) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width));
}

/// Calls f with a value of the tensor's element type, whichever it is.
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
    case DType::Bfloat16:
      return f(Bfloat16{});
    case DType::Float16:
      return f(Float16{});
  }
  throw std::logic_error("unknown dtype");
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
