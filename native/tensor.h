// What an op sees of a tensor: borrowed, contiguous, row-major device memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace spherenet {

enum class DType : int32_t { Float32 = 0, Float64 = 1, Int32 = 2, Uint8 = 3, Bfloat16 = 4, Float16 = 5 };

constexpr size_t sizeOf(DType dtype) {
  switch (dtype) {
    case DType::Float32:
    case DType::Int32:
      return 4;
    case DType::Float64:
      return 8;
    case DType::Uint8:
      return 1;
    case DType::Bfloat16:
    case DType::Float16:
      return 2;
  }
  return 0;
}

constexpr const char* nameOf(DType dtype) {
  constexpr const char* kNames[] = {"float32", "float64", "int32", "uint8", "bfloat16", "float16"};
  return kNames[static_cast<int32_t>(dtype)];
}

/// The 16-bit floating-point types, which only store: every op computes in float32 and rounds its result.
constexpr bool isHalf(DType dtype) {
  return dtype == DType::Bfloat16 || dtype == DType::Float16;
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::Float32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::Float64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::Int32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::Uint8;
};

constexpr int kMaxRank = 8;

/// A small vector of extents; used for shapes, strides and offsets.
struct Dims {
  int32_t rank = 0;
  int64_t at[kMaxRank] = {};

  int64_t operator[](int axis) const { return at[axis]; }
  int64_t& operator[](int axis) { return at[axis]; }
  int64_t product() const {
    int64_t p = 1;
    for (int i = 0; i < rank; ++i) p *= at[i];
    return p;
  }
};

/// Borrowed view of contiguous memory. Cheap to copy; an empty one (no data) stands for an absent optional
/// argument. Lifetime is stream-ordered: the memory stays valid until the work submitted with it has run.
struct Tensor {
  void* data = nullptr;
  DType dtype = DType::Float32;
  Dims shape;

  explicit operator bool() const { return data != nullptr; }
  int64_t size() const { return shape.product(); }
  size_t bytes() const { return static_cast<size_t>(size()) * sizeOf(dtype); }

  template <class T>
  T* as() const {
    if (data && dtype != DTypeOf<T>::value) throw std::logic_error("tensor accessed as the wrong dtype");
    return static_cast<T*>(data);
  }
};

/// Calls f with a value of the element type of a floating-point tensor (float or double).
template <class F>
decltype(auto) withFloat(DType dtype, F&& f) {
  if (dtype == DType::Float32) return f(float{});
  if (dtype == DType::Float64) return f(double{});
  throw std::logic_error("expected a floating-point tensor");
}

}  // namespace spherenet
