// How JavaScript hands numbers over: it writes them into memory that both sides see, instead of converting
// each.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include "context.h"

namespace spherenet::node {

/// frame(length): a Float64Array of which the first numbers are the arguments of the next call. Replaces the
/// one before.
Napi::Value frame(const Napi::CallbackInfo& info);

/// Reads the arguments of one call: `count` numbers from the start of the frame.
class FrameReader {
 public:
  explicit FrameReader(const Napi::CallbackInfo& info);

  double next() {
    if (at_ == end_) throw std::runtime_error("wrong number of arguments");
    return *at_++;
  }
  template <class T>
  T whole() {
    const double number = next();
    // 2^digits is exact, the largest T need not be.
    const double beyond = std::ldexp(1.0, std::numeric_limits<T>::digits);
    const double least = std::numeric_limits<T>::is_signed ? -beyond : 0;
    if (!(number >= least && number < beyond)) throw std::runtime_error("an argument is out of range");
    return static_cast<T>(number);
  }
  /// The length of a list, of which all elements follow.
  size_t length() {
    const auto length = whole<uint32_t>();
    if (static_cast<ptrdiff_t>(length) > end_ - at_) throw std::runtime_error("wrong number of arguments");
    return length;
  }
  /// The number of axes and their extents.
  Dims dims() {
    Dims dims;
    const size_t rank = length();
    if (rank > kMaxRank) throw std::runtime_error("a tensor has at most 8 axes");
    dims.rank = static_cast<int32_t>(rank);
    for (int i = 0; i < dims.rank; ++i) dims[i] = whole<int64_t>();
    return dims;
  }
  void expectEnd() const {
    if (at_ != end_) throw std::runtime_error("wrong number of arguments");
  }
  Context& context() const { return context_; }

 private:
  Context& context_;
  const double* at_;
  const double* end_;
};

}  // namespace spherenet::node
