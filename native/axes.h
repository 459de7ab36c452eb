// The iteration spaces of ops that broadcast or copy: few axes with a stride for each operand.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor.h"

namespace spherenet {

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

/// A block of `extent` elements that lies at a start in each of two tensors.
struct SharedBlock {
  Axes<2> axes;
  int64_t offset[2] = {};  // of its first element

  SharedBlock(const Dims& extent, const Dims& xStart, const Dims& x, const Dims& yStart, const Dims& y) {
    int64_t strides[kMaxRank][2], step[2] = {1, 1};
    for (int i = extent.rank - 1; i >= 0; --i) {
      strides[i][0] = step[0];
      strides[i][1] = step[1];
      offset[0] += xStart[i] * step[0];
      offset[1] += yStart[i] * step[1];
      step[0] *= x[i];
      step[1] *= y[i];
    }
    for (int i = 0; i < extent.rank; ++i) axes.push(extent[i], strides[i]);
    axes.close();
  }
};

/// Neighbouring axes that are all summed or all kept, as one.
struct AxisGroup {
  int64_t extent;
  bool summed;
};

/// The axes of x for a sum into y, which has extent 1 where x is summed.
inline std::vector<AxisGroup> groupAxes(const Dims& x, const Dims& y) {
  std::vector<AxisGroup> groups;
  for (int i = 0; i < x.rank; ++i) {
    if (x[i] == 1) continue;
    const bool summed = y[i] == 1;
    if (!groups.empty() && groups.back().summed == summed) {
      groups.back().extent *= x[i];
    } else {
      groups.push_back({x[i], summed});
    }
  }
  return groups;
}

}  // namespace spherenet
