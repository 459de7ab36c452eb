// Random convolutions of every kind, and what their tests share.
#pragma once

#include <cstdio>
#include <cstring>
#include <string>

#include "../native/check.h"
#include "../native/conv_reference.h"

namespace spherenet::test {

using reference::Case;
using reference::Values;

inline constexpr DType kAll[] = {DType::Bfloat16, DType::Float16, DType::Float32, DType::Float64};

template <class T>
T anyOf(std::initializer_list<T> values) {
  return values.begin()[randomInteger(0, static_cast<int64_t>(values.size()) - 1)];
}
/// The dtype of what is not an activation.
inline DType wide(DType dtype) {
  return isHalf(dtype) ? DType::Float32 : dtype;
}
inline Values valuesOf(const Array& a) {
  Values v(static_cast<size_t>(a.size()));
  for (int64_t i = 0; i < a.size(); ++i) v[static_cast<size_t>(i)] = a[i];
  return v;
}
inline Array integers(DType dtype, const Dims& shape) {
  return Array::filled(dtype, shape, [](int64_t) { return static_cast<double>(randomInteger(-3, 3)); });
}

/// An array in the middle of memory, so that it is aligned to its elements only.
class Unaligned {
 public:
  explicit Unaligned(const Array& from)
      : whole_(from.dtype(), dims({from.size() + 1})), shape_(from.shape()) {
    for (int64_t i = 0; i < from.size(); ++i) whole_.set(i + 1, from[i]);
  }
  Tensor tensor() const {
    Tensor t = whole_.tensor();
    t.data = static_cast<std::byte*>(t.data) + sizeOf(t.dtype);
    t.shape = shape_;
    return t;
  }

 private:
  Array whole_;
  Dims shape_;
};

inline Dims xShape(const Case& t) {
  return dims({t.n, t.h, t.w, t.c});
}
inline Dims wShape(const Case& t) {
  return dims({t.o, t.kh, t.kw, t.groupChannels()});
}
inline Dims yShape(const Case& t) {
  return dims({t.n, t.oh(), t.ow(), t.o});
}
inline std::string describe(const Case& t, DType dtype) {
  char text[300];
  std::snprintf(text, sizeof text,
                " %s [%d,%d,%d,%d]->%d k %dx%d stride %d,%d pad %d,%d,%d,%d dilation %d,%d groups %d op %d",
                nameOf(dtype), int(t.n), int(t.h), int(t.w), int(t.c), int(t.o), int(t.kh), int(t.kw),
                t.p.strideH, t.p.strideW, t.p.padTop, t.p.padBottom, t.p.padLeft, t.p.padRight, t.p.dilationH,
                t.p.dilationW, t.p.groups, int(t.a.op));
  return text;
}

/// Extents of every kind: channel counts that are and are not whole chunks, one and many tiles, all kinds of
/// windows.
inline Case randomCase(int64_t most) {
  for (;;) {
    Case t;
    const int64_t groups = randomInteger(0, 4) > 0 ? 1 : randomInteger(2, 3);
    const auto channels = [&](int64_t large) {
      const int64_t each =
          randomInteger(0, 2) > 0 ? 8 * randomInteger(1, large / 8) : randomInteger(1, large);
      return groups * each;
    };
    t.p.groups = static_cast<int32_t>(groups);
    t.n = randomInteger(1, randomInteger(0, 5) > 0 ? 5 : 40);
    t.h = randomInteger(1, 12);
    t.w = randomInteger(1, 12);
    t.c = randomInteger(0, 4) == 0 ? 3 * groups : channels(40);
    t.o = channels(randomInteger(0, 2) > 0 ? 40 : 304);
    t.kh = randomInteger(1, 3);
    t.kw = randomInteger(1, 3);
    if (randomInteger(0, 3) == 0) t.kh = t.kw = randomInteger(0, 1) > 0 ? 5 : 1;
    t.p.strideH = static_cast<int32_t>(randomInteger(1, 3));
    t.p.strideW = static_cast<int32_t>(randomInteger(1, 3));
    if (randomInteger(0, 1) > 0) t.p.strideH = t.p.strideW = 1;
    t.p.dilationH = static_cast<int32_t>(randomInteger(0, 2) > 0 ? 1 : randomInteger(2, 3));
    t.p.dilationW = static_cast<int32_t>(randomInteger(0, 2) > 0 ? 1 : randomInteger(2, 3));
    int32_t* const pads[] = {&t.p.padTop, &t.p.padBottom, &t.p.padLeft, &t.p.padRight};
    for (int32_t* pad : pads) *pad = static_cast<int32_t>(randomInteger(0, 2));
    if (t.h + t.p.padTop + t.p.padBottom < t.p.dilationH * (t.kh - 1) + 1) continue;
    if (t.w + t.p.padLeft + t.p.padRight < t.p.dilationW * (t.kw - 1) + 1) continue;
    if (t.positions() * t.o * t.filterSize() > most) continue;
    return t;
  }
}

}  // namespace spherenet::test
