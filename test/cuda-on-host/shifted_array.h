// Tensors that are not aligned.
#pragma once

#include <algorithm>
#include <vector>

#include "../native/check.h"

namespace spherenet::test {

/// A tensor that begins `shift` elements behind an aligned address, with what is in front of it.
class ShiftedArray {
 public:
  ShiftedArray(const Array& values, int64_t shift)
      : memory_(values.dtype(), dims({values.size() + shift})),
        shape_(values.shape()),
        front_(static_cast<size_t>(shift) * sizeOf(values.dtype())) {
    std::copy(values.bytes().begin(), values.bytes().end(), static_cast<std::byte*>(view().data));
  }

  operator Tensor() const { return view(); }
  std::vector<std::byte> bytes() const { return {memory_.bytes().begin() + front(), memory_.bytes().end()}; }
  /// Nothing was written in front of the view.
  bool isFrontKept() const {
    return std::all_of(memory_.bytes().begin(), memory_.bytes().begin() + front(),
                       [](std::byte b) { return b == std::byte{0xA5}; });
  }

 private:
  std::ptrdiff_t front() const { return static_cast<std::ptrdiff_t>(front_); }
  Tensor view() const {
    return {static_cast<char*>(memory_.tensor().data) + front_, memory_.dtype(), shape_};
  }

  Array memory_;
  Dims shape_;
  size_t front_;
};

}  // namespace spherenet::test
