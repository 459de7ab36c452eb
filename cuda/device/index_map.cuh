// From the number of an element of an iteration space to the operands' offsets, divided in 32 bits.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../../native/axes.h"

namespace spherenet::cuda {

/// Elements of an iteration space that 32-bit indices may count.
constexpr int64_t kMostIndices = int64_t{1} << 30;

/// Division of numbers below 2^31 by a constant d > 0, as a product (Granlund and Montgomery, "Division by
/// invariant integers using multiplication", 1994): with 2^(s-1) < d <= 2^s and m = floor(2^(31+s) / d) + 1,
/// which has 32 bits, n / d = n m / 2^(31+s), because m d exceeds 2^(31+s) by at most 2^s.
struct FastDivisor {
  uint32_t multiplier = 0, shift = 0, divisor = 1;

  FastDivisor() = default;
  explicit FastDivisor(int64_t d) : divisor(static_cast<uint32_t>(d)) {
    while (int64_t{1} << shift < d) ++shift;
    multiplier = static_cast<uint32_t>((uint64_t{1} << (31 + shift)) / static_cast<uint64_t>(d) + 1);
  }

  __device__ __forceinline__ uint32_t quotient(uint32_t n) const {
    return __umulhi(2 * n, multiplier) >> shift;
  }
};

/// An iteration space of at most kMostIndices elements with the operands' strides, innermost axis first.
template <int Operands>
struct IndexMap {
  int rank = 1;
  FastDivisor extent[kMaxRank];
  int64_t stride[Operands][kMaxRank] = {};

  explicit IndexMap(const Axes<Operands>& axes) : rank(axes.rank) {
    for (int i = 0; i < rank; ++i) {
      extent[i] = FastDivisor(axes.extent[rank - 1 - i]);
      for (int o = 0; o < Operands; ++o) stride[o][i] = axes.stride[o][rank - 1 - i];
    }
  }

  /// One operand's offset of row-major element i.
  __device__ __forceinline__ int64_t offset(int operand, uint32_t i) const {
    int64_t sum = 0;
#pragma unroll 1
    for (int axis = 0; axis < rank - 1; ++axis) {
      const uint32_t outer = extent[axis].quotient(i);
      sum += (i - outer * extent[axis].divisor) * stride[operand][axis];
      i = outer;
    }
    return sum + i * stride[operand][rank - 1];
  }
};

/// Cuts a space into parts of at most `most` elements: body(part, offsets), with the operands' offsets of the
/// part's first element.
template <int Operands, class F>
void forEachPart(const Axes<Operands>& axes, const F& body, int64_t most = kMostIndices) {
  const auto descend = [&](const auto& self, const Axes<Operands>& space,
                           const int64_t(&offset)[Operands]) -> void {
    if (space.size() <= most) return body(space, offset);
    const int64_t inner = space.size() / space.extent[0];
    const int64_t rows = inner < most ? most / inner : 1;
    for (int64_t row = 0; row < space.extent[0]; row += rows) {
      Axes<Operands> part;
      const int64_t left = space.extent[0] - row;
      int64_t strides[Operands], start[Operands];
      for (int i = 0; i < space.rank; ++i) {
        for (int o = 0; o < Operands; ++o) strides[o] = space.stride[o][i];
        part.push(i > 0 ? space.extent[i] : left < rows ? left : rows, strides);
      }
      part.close();
      for (int o = 0; o < Operands; ++o) start[o] = offset[o] + row * space.stride[o][0];
      self(self, part, start);
    }
  };
  const int64_t origin[Operands] = {};
  descend(descend, axes, origin);
}

}  // namespace spherenet::cuda
