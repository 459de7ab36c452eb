// Operands of the elementwise kernel that are repeated along axes of the result.
#pragma once

#include "device/index_map.cuh"
#include "elementwise.cuh"

namespace spherenet::cuda {

/// An operand that broadcasts to the result; its offsets are those of operand `kOperand` of the index map.
template <int kOperand, class T>
struct Operand {
  const T* x;
  bool whole = true;     // has the result's shape
  bool repeats = false;  // not whole, and has stride 0 along the innermost axis

  /// The elements that meet elements i to i + N - 1 of the result, which lie in one row of the innermost axis
  /// where the operand is not whole. Where it repeats, only the first is loaded.
  template <int N, class Map>
  __device__ __forceinline__ Pack<T, N> load(const Map& map, int64_t i) const {
    const int64_t offset = whole ? i : map.offset(kOperand, static_cast<uint32_t>(i));
    if (!repeats) return loadPack<N>(x + offset);
    Pack<T, N> pack{};
    pack.at[0] = x[offset];
    return pack;
  }

  template <int N>
  __device__ __forceinline__ T get(const Pack<T, N>& pack, int j) const {
    return repeats ? pack.at[0] : pack.at[j];
  }

  /// The result is the last operand of `axes`. Tells whether packs of kWidth elements can be accessed at
  /// once.
  template <int kWidth, int Operands>
  bool describe(const Axes<Operands>& axes) {
    const int last = axes.rank - 1;
    for (int i = 0; i <= last; ++i) {
      whole = whole && axes.stride[kOperand][i] == axes.stride[Operands - 1][i];
    }
    repeats = !whole && axes.stride[kOperand][last] == 0;
    // Else packs lie within rows, and a row begins at a multiple of its length.
    const bool rowsHoldPacks = axes.rank == 1 || axes.extent[last] % kWidth == 0;
    return (whole || rowsHoldPacks) && (repeats || areAligned(x));
  }
};

}  // namespace spherenet::cuda
