// What the tests of the tensor-core convolutions share: operand types, random cases, comparisons.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

#include "../native/check.h"
#include "../native/conv_reference.h"
#include "ops_on_host.h"

namespace spherenet::test {

using reference::Case;
using reference::Values;

/// A storage type, and how float32 is multiplied.
struct Kind {
  DType dtype;
  Precision precision;
  const char* name;
  double operandError;  // relative, of one operand
  double resultError;   // relative, of the stored result
};
constexpr Kind kKinds[] = {{DType::Bfloat16, Precision::Tf32, "bfloat16", 0, 0x1p-8},
                           {DType::Float16, Precision::Tf32, "float16", 0, 0x1p-10},
                           {DType::Float32, Precision::Tf32, "tf32", 0x1p-11, 1e-6},
                           {DType::Float32, Precision::Float32, "float32", 0x1p-22, 1e-6}};

inline const Kind& anyKind() {
  return kKinds[randomInteger(0, 3)];
}

/// Chooses how float32 is multiplied and how many multiprocessors there seem to be: few of them get large
/// tiles, many small tiles and split sums.
inline void configure(SynchronousOps& ops, const Kind& kind) {
  constexpr int kProcessors[] = {1, 4, 16, 132};
  ops.context().precision = kind.precision;
  ops.context().multiprocessors = kProcessors[randomInteger(0, 3)];
}

inline Dims xShape(const Case& t) {
  return dims({t.n, t.h, t.w, t.c});
}
inline Dims wShape(const Case& t) {
  return dims({t.o, t.kh, t.kw, t.groupChannels()});
}
inline Dims yShape(const Case& t) {
  return dims({t.n, t.oh(), t.ow(), t.o});
}
inline Dims rShape(const Case& t) {
  return dims({t.n, t.oh(), t.ow(), t.p.groups});
}

inline Values valuesOf(const Array& a) {
  Values v(static_cast<size_t>(a.size()));
  for (int64_t i = 0; i < a.size(); ++i) v[static_cast<size_t>(i)] = a[i];
  return v;
}
inline Array integers(DType dtype, const Dims& shape) {
  return Array::filled(dtype, shape, [](int64_t) { return static_cast<double>(randomInteger(-3, 3)); });
}
/// What `values` are when stored.
inline Array stored(DType dtype, const Dims& shape, const Values& values) {
  return Array::filled(dtype, shape, [&](int64_t i) { return values[static_cast<size_t>(i)]; });
}

inline std::string describe(const Case& t, const Kind& kind) {
  char text[300];
  std::snprintf(text, sizeof text,
                " %s [%d,%d,%d,%d]->%d k %dx%d stride %d,%d pad %d,%d,%d,%d dilation %d,%d groups %d op %d",
                kind.name, int(t.n), int(t.h), int(t.w), int(t.c), int(t.o), int(t.kh), int(t.kw),
                t.p.strideH, t.p.strideW, t.p.padTop, t.p.padBottom, t.p.padLeft, t.p.padRight, t.p.dilationH,
                t.p.dilationW, t.p.groups, int(t.a.op));
  return text;
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

/// Channel counts that are and are not whole chunks, one and many tiles, all kinds of windows.
inline Case randomCase(int64_t most) {
  for (;;) {
    Case t;
    const int64_t groups = randomInteger(0, 4) > 0 ? 1 : randomInteger(2, 3);
    t.p.groups = static_cast<int32_t>(groups);
    t.n = randomInteger(1, 4);
    t.h = randomInteger(1, 17);
    t.w = randomInteger(1, 17);
    constexpr int64_t kChannels[] = {8, 16, 24, 32, 40, 64, 96, 128};
    const auto channels = [&](int64_t few) {
      if (groups > 1) return randomInteger(0, 1) ? randomInteger(8, 24) : 8 * randomInteger(1, 5);
      return randomInteger(0, 2) ? kChannels[randomInteger(0, 7)] : randomInteger(1, few);
    };
    t.c = groups * channels(40);
    t.o = groups * channels(300);
    t.kh = randomInteger(1, 7);
    t.kw = randomInteger(1, 7);
    if (randomInteger(0, 2) == 0) t.kh = t.kw = 3;
    if (randomInteger(0, 3) == 0) t.kh = t.kw = 1;
    if (randomInteger(0, 29) == 0) t.kh = 17, t.h = randomInteger(17, 20);  // more taps than a mask holds
    t.p.strideH = static_cast<int32_t>(randomInteger(1, 3));
    t.p.strideW = static_cast<int32_t>(randomInteger(1, 3));
    if (randomInteger(0, 1)) t.p.strideH = t.p.strideW = 1;
    t.p.dilationH = static_cast<int32_t>(randomInteger(0, 2) ? 1 : randomInteger(2, 4));
    t.p.dilationW = static_cast<int32_t>(randomInteger(0, 2) ? 1 : randomInteger(2, 4));
    int32_t* const pads[] = {&t.p.padTop, &t.p.padBottom, &t.p.padLeft, &t.p.padRight};
    if (t.kh > 1 || randomInteger(0, 1))
      for (int32_t* pad : pads) *pad = static_cast<int32_t>(randomInteger(0, 3));
    t.a.op = static_cast<AngularOperator>(randomInteger(0, 3));
    if (t.h + t.p.padTop + t.p.padBottom < t.p.dilationH * (t.kh - 1) + 1) continue;
    if (t.w + t.p.padLeft + t.p.padRight < t.p.dilationW * (t.kw - 1) + 1) continue;
    if (t.positions() * t.o * t.filterSize() > most) continue;
    return t;
  }
}

/// max |got - want| <= tolerance * largest |want| (or 1e-30).
inline void expectClose(const std::string& what, const Array& got, const Values& want, double tolerance) {
  double largest = 1e-30, worst = 0;
  for (const double w : want) largest = std::max(largest, std::abs(w));
  for (int64_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - want[static_cast<size_t>(i)]);
    if (!(error <= worst)) worst = error;
  }
  char detail[80];
  std::snprintf(detail, sizeof detail, ": error %.3g of %.3g", worst, tolerance * largest);
  expect(worst <= tolerance * largest, what + detail);
}

inline void expectEqual(const std::string& what, const Array& got, const Array& want) {
  for (int64_t i = 0; i < got.size(); ++i)
    if (!(got[i] == want[i])) {
      char detail[100];
      std::snprintf(detail, sizeof detail, " at %lld: %.9g instead of %.9g", static_cast<long long>(i),
                    got[i], want[i]);
      expect(false, what + detail);
      return;
    }
  expect(true, what);
}

}  // namespace spherenet::test
