// What test/native/elementwise_checks.h does not ask of the pointwise ops, because only the CUDA kernels can
// get it wrong: 16-bit dtypes, views at any address, sizes around packs and tiles, sums of every shape.
#pragma once

#include "../../cuda/device/index_map.cuh"
#include "../native/elementwise_checks.h"
#include "shifted_array.h"

namespace spherenet::test {

constexpr DType kActivations[] = {DType::Float32, DType::Float64, DType::Bfloat16, DType::Float16};
constexpr DType kAllDtypes[] = {DType::Float32, DType::Float64,  DType::Int32,
                                DType::Uint8,   DType::Bfloat16, DType::Float16};

/// Around 16 bytes, a block's threads and a block's tile of each dtype.
constexpr int64_t kEdgeSizes[] = {0,   1,   2,    3,    4,    7,    8,    9,    15,   16,   17,   31,
                                  255, 257, 1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097, 8195};

inline std::string text(DType dtype) {
  return nameOf(dtype);
}

/// Every op on vectors: the same bits at every address, in place and not.
inline void checkViews(Ops& ops) {
  using Call = std::function<void(const Tensor& a, const Tensor& b, const Tensor& y)>;
  struct Case {
    const char* name;
    Call call;
    bool inPlace = true, halves = true;
  };
  const Case cases[] = {
      {"affine", [&](auto& a, auto&, auto& y) { ops.affine(1.25, -0.5, a, y); }},
      {"abs", [&](auto& a, auto&, auto& y) { ops.unary(UnaryOp::Abs, a, y); }},
      {"sqrt gradient", [&](auto& a, auto& b, auto& y) { ops.unaryBackward(UnaryOp::Sqrt, a, b, y); }},
      {"leakyRelu", [&](auto& a, auto&, auto& y) { ops.leakyRelu(0.25, a, y); }},
      {"relu gradient", [&](auto& a, auto& b, auto& y) { ops.leakyReluBackward(0, a, b, y); }},
      {"sub", [&](auto& a, auto& b, auto& y) { ops.binary(BinaryOp::Sub, a, b, y); }},
      {"tanh gradient", [&](auto& a, auto& b, auto& y) { ops.unaryBackward(UnaryOp::Tanh, a, b, y); }},
      {"power", [&](auto& a, auto&, auto& y) { ops.power(2, a, y); }},
      {"dropout", [&](auto& a, auto&, auto& y) { ops.dropout(11, 0.4, a, y); }},
      {"cast", [&](auto& a, auto&, auto& y) { ops.cast(0.7, 0.1, a, y); }},
      {"copy", [&](auto& a, auto&, auto& y) { ops.cast(1, 0, a, y); }},
      {"fill", [&](auto&, auto&, auto& y) { ops.fill(0.3, y); }},
      {"randomUniform", [&](auto&, auto&, auto& y) { ops.randomUniform(12, -1, 1, y); }, true, false},
      {"randomNormal", [&](auto&, auto&, auto& y) { ops.randomNormal(13, 0, 1, y); }, true, false},
      {"broadcastTo",
       [&](auto& a, auto&, auto& y) {
         if (y.size() > 0) ops.broadcastTo({a.data, a.dtype, dims({1})}, y);
       },
       false}};
  for (DType dtype : kActivations) {
    for (int64_t size : kEdgeSizes) {
      const Array a = Array::random(dtype, dims({size})), b = Array::random(dtype, dims({size}));
      for (const Case& c : cases) {
        if (isHalf(dtype) && !c.halves) continue;
        const Array y(dtype, dims({size}));
        c.call(a, b, y);
        const std::string what = std::string(c.name) + " " + text(dtype) + " " + std::to_string(size);
        for (int shifts = 1; shifts < 8; ++shifts) {
          const ShiftedArray u(a, shifts & 1), v(b, shifts >> 1 & 1),
              out(Array(dtype, dims({size})), shifts >> 2 & 1);
          c.call(u, v, out);
          expect(out.bytes() == y.bytes() && out.isFrontKept(),
                 what + " shifted by " + std::to_string(shifts));
        }
        for (int shift = 0; c.inPlace && shift < 2; ++shift) {
          const ShiftedArray u(a, shift), v(b, shift);
          c.call(u, v, u);
          expect(u.bytes() == y.bytes() && u.isFrontKept(), what + " in place of a");
          const ShiftedArray w(a, shift);
          c.call(w, v, v);
          expect(v.bytes() == y.bytes() && v.isFrontKept(), what + " in place of b");
        }
      }
    }
  }
}

/// Elementwise ops in 16 bits against float64 of the rounded inputs.
inline void checkHalfElementwise(Ops& ops) {
  for (DType dtype : kHalves) {
    for (int bits = 0; bits < 65536; ++bits) {
      const double value = halfFormat(dtype).decode(static_cast<uint16_t>(bits));
      if (std::isnan(value) || halfFormat(dtype).encode(value) == bits) continue;
      expect(false, "the tests' own format " + text(dtype));
    }
    const Dims shape = dims({9001});
    Array x = Array::random(dtype, shape), dy = Array::random(dtype, shape), y(dtype, shape);
    const double special[] = {0.0, -0.0, kNan, kInfinity, -kInfinity, 1e-6, -1e-7};
    for (int i = 0; i < 7; ++i) x.set(i, special[i]);
    const auto expectMap = [&](const char* what, const std::function<double(double, double)>& f) {
      std::vector<double> want;
      for (int64_t i = 0; i < x.size(); ++i) {
        const double w = f(x[i], dy[i]);
        want.push_back(dtype == DType::Float16 && std::abs(w) >= 65520 ? std::copysign(kInfinity, w) : w);
      }
      expectNear(what + (" " + text(dtype)), y, want, tolerance(dtype), 1e-3);
    };
    ops.affine(1.5, -0.25, x, y);
    expectMap("affine", [](double v, double) { return 1.5 * v - 0.25; });
    ops.unary(UnaryOp::Abs, x, y);
    expectMap("abs", [](double v, double) { return std::abs(v); });
    ops.unary(UnaryOp::Square, x, y);
    expectMap("square", [](double v, double) { return v * v; });
    ops.unary(UnaryOp::Sqrt, x, y);
    expectMap("sqrt", [](double v, double) { return std::sqrt(v); });
    ops.unaryBackward(UnaryOp::Abs, x, dy, y);
    expectMap("abs gradient", [](double v, double g) { return v > 0 ? g : v < 0 ? -g : 0; });
    ops.unaryBackward(UnaryOp::Square, x, dy, y);
    expectMap("square gradient", [](double v, double g) { return 2 * v * g; });
    ops.unaryBackward(UnaryOp::Sqrt, x, dy, y);
    expectMap("sqrt gradient", [](double v, double g) { return v == 0 ? 0 : g / (2 * std::sqrt(v)); });
    for (const Function& f : transcendentals()) {
      ops.unary(f.op, x, y);
      expectMap(f.name, [&](double v, double) { return f.value(v); });
      ops.unaryBackward(f.op, x, dy, y);
      expectMap(f.name, [&](double v, double g) { return g * f.slope(v); });
    }
    ops.power(1.5, x, y);
    expectMap("power", [](double v, double) { return std::pow(v, 1.5); });
    ops.powerBackward(1.5, x, dy, y);
    expectMap("power gradient", [](double v, double g) { return g * powerSlope(v, 1.5); });
    for (double slope : {0.0, 0.25, 2.0}) {
      ops.leakyRelu(slope, x, y);
      expectMap("leakyRelu", [=](double v, double) {
        return v > 0 || std::isnan(v) ? v : slope == 0 ? 0 : slope * v;
      });
      ops.leakyReluBackward(slope, x, dy, y);
      expectMap("leakyRelu gradient", [=](double v, double g) {
        return v > 0 ? g : slope == 0 ? 0 : slope * g;
      });
    }
    ops.dropout(21, 0.25, dy, y);
    int64_t at = 0;
    expectMap("dropout", [&](double, double g) {
      const uint32_t word = philoxElements(21, 0, static_cast<uint64_t>(at / 4)).word[at % 4];
      ++at;
      return uniform24(word) >= 0.25 ? g / 0.75 : 0;
    });
  }
}

/// Conversions between all dtypes, rounded once, and filling.
inline void checkHalfMovement(Ops& ops) {
  for (DType from : kAllDtypes) {
    for (DType to : kAllDtypes) {
      for (double scale : {1.0, 1 / 255.0, -300.0}) {
        const double shift = scale == 1.0 ? 0 : 0.25;
        Array x = Array::random(from, dims({5003}), from == DType::Uint8 ? 0 : -900,
                                from == DType::Uint8 ? 255 : 900);
        if (from != DType::Int32 && from != DType::Uint8) {
          // Just above the middle of two numbers of 16 bits, by less than float32 can tell; at the ends of
          // ranges.
          const double special[] = {kNan,
                                    3e9,
                                    -3e9,
                                    kInfinity,
                                    -kInfinity,
                                    1 + 0x1p-8 + 0x1p-40,
                                    1 + 0x1p-11 - 0x1p-40,
                                    65519.99,
                                    65520,
                                    0x1p-24,
                                    0x1p-25,
                                    0x1p-26,
                                    0x1p-133,
                                    3.4e38,
                                    255.999,
                                    -0.999};
          for (int i = 0; i < 16; ++i) x.set(i, special[i]);
        }
        Array y(to, x.shape());
        ops.cast(scale, shift, x, y);
        bool same = true;
        for (int64_t i = 0; i < x.size(); ++i) {
          const double value = scale * x[i] + shift;
          Array want(to, dims({1}));
          want.set(0, to == DType::Int32 || to == DType::Uint8 ? convertReference(value, to) : value);
          same = same && (y[i] == want[0] || (std::isnan(y[i]) && std::isnan(want[0])));
        }
        expect(same, "cast from " + text(from) + " to " + text(to));
      }
    }
    for (double value : {0.0, 3.7, -2.2, 1 + 0x1p-8 + 0x1p-40, 1e10}) {
      if (!isHalf(from)) continue;
      Array y(from, dims({4099}));
      ops.fill(value, y);
      const double want = halfFormat(from).decode(halfFormat(from).encode(value));
      expectNear("fill " + text(from), y, std::vector<double>(4099, want), 0);
    }
  }
}

/// Broadcasting of every kind in 16 bits, and at any address.
inline void checkHalfBroadcasts(Ops& ops) {
  const auto check = [&](DType dtype, const Dims& left, const Dims& right, const Dims& shape, int shifts) {
    const Array a = Array::random(dtype, left), b = Array::random(dtype, right);
    const ShiftedArray u(a, shifts & 1), v(b, shifts >> 1 & 1);
    std::vector<double> differences, repeats;
    Array zeros(dtype, shape), y(dtype, shape);
    for (int64_t i = 0; i < y.size(); ++i) {
      const Dims position = positionOf(shape, i);
      differences.push_back(a[broadcastIndex(left, position)] - b[broadcastIndex(right, position)]);
      repeats.push_back(a[broadcastIndex(left, position)]);
    }
    const std::string what = text(dtype) + " " + describe(left) + " " + describe(right);
    ops.binary(BinaryOp::Sub, u, v, y);
    expectNear("binary " + what, y, differences, tolerance(dtype, 2e-7, 0), 1e-3);
    if (left.rank == shape.rank) {
      ops.broadcastTo(u, y);
      expectNear("broadcastTo " + what, y, repeats, 0);
    }
  };
  const Dims shapes[][3] = {
      {dims({4099}), dims({}), dims({4099})},
      {dims({1}), dims({4096}), dims({4096})},
      {dims({300, 64}), dims({64}), dims({300, 64})},
      {dims({301, 3}), dims({3}), dims({301, 3})},
      {dims({301, 1}), dims({301, 24}), dims({301, 24})},
      {dims({301, 1}), dims({1, 7}), dims({301, 7})},
      {dims({5, 6, 1, 16}), dims({5, 1, 7, 16}), dims({5, 6, 7, 16})},
      {dims({1, 1, 1, 1, 1, 1, 1, 1}), dims({2, 1, 3, 1, 2, 1, 3, 8}), dims({2, 1, 3, 1, 2, 1, 3, 8})},
      {dims({2, 1, 3, 1, 2, 1, 3, 1}), dims({1, 2, 1, 3, 1, 2, 1, 8}), dims({2, 2, 3, 3, 2, 2, 3, 8})},
      {dims({2, 1, 3, 1, 2, 1, 3, 1}), dims({1, 2, 1, 3, 1, 2, 1, 5}), dims({2, 2, 3, 3, 2, 2, 3, 5})}};
  for (const auto& [left, right, shape] : shapes) {
    for (DType dtype : kActivations) {
      for (int shifts = 0; shifts < 4; ++shifts) check(dtype, left, right, shape, shifts);
    }
  }
}

/// Sums of x [outer, count, inner] over the middle, of shapes that take every path; twice the same bits.
inline void checkSumShapes(Ops& ops) {
  const Dims shapes[] = {dims({1, 5, 1}),      dims({1, 4097, 1}), dims({1, 30000, 1}), dims({3, 20011, 1}),
                         dims({700, 17, 1}),   dims({70, 130, 1}), dims({9, 2100, 1}),  dims({5001, 3, 1}),
                         dims({1, 3000, 8}),   dims({1, 3001, 7}), dims({1, 900, 64}),  dims({1, 17, 1000}),
                         dims({4, 300, 136}),  dims({700, 20, 5}), dims({1, 2, 3001}),  dims({2, 40, 520}),
                         dims({1, 300, 1030}), dims({3, 1, 5})};
  for (const Dims& shape : shapes) {
    for (DType dtype : kActivations) {
      for (int shift = 0; shift < 2; ++shift) {
        const Array x = Array::random(dtype, shape);
        const Dims reduced = dims({shape[0], 1, shape[2]});
        std::vector<double> want(static_cast<size_t>(reduced.product()), 0.0);
        for (int64_t i = 0; i < x.size(); ++i) {
          want[static_cast<size_t>(broadcastIndex(reduced, positionOf(shape, i)))] += x[i];
        }
        const ShiftedArray view(x, shift);
        for (DType to : {dtype, isHalf(dtype) ? DType::Float32 : dtype}) {
          Array sum(to, reduced), again(to, reduced);
          ops.sumTo(view, sum);
          ops.sumTo(view, again);
          expectNear("sumTo " + text(dtype) + " " + describe(shape), sum, want, tolerance(to, 1e-7, 1e-12));
          expect(sum.bytes() == again.bytes(), "sumTo gives the same bits " + describe(shape));
        }
      }
    }
  }
}

/// Windows against the definition in native/ops.h.
inline void checkCropFlip(Ops& ops) {
  const uint64_t seed = 0xFEDCBA9876543210u;
  for (DType dtype : kAllDtypes) {
    for (int trial = 0; trial < 24; ++trial) {
      const int32_t padding = static_cast<int32_t>(randomInteger(0, 3));
      const bool flip = trial % 2 == 0;
      const Dims shape =
          dims({randomInteger(1, 9), randomInteger(1, 20), randomInteger(1, 40), randomInteger(1, 9)});
      Dims window = shape;
      for (int axis : {1, 2}) window[axis] = randomInteger(1, shape[axis] + 2 * padding);
      const Array x = Array::random(dtype, shape, 0, 200);
      const ShiftedArray view(x, trial / 2 % 2);
      const Array y(dtype, window);
      ops.randomCropFlip(seed, padding, flip, view, y);
      std::vector<double> want;
      for (int64_t i = 0; i < y.size(); ++i) {
        const Dims at = positionOf(window, i);
        const PhiloxBlock random = philoxElements(seed, 0, static_cast<uint64_t>(at[0]));
        const auto start = [&](int k, int axis) {
          const int64_t positions = shape[axis] + 2 * padding - window[axis] + 1;
          return static_cast<int64_t>(random.word[k] * static_cast<uint64_t>(positions) >> 32);
        };
        const bool mirrored = flip && random.word[2] >= 0x80000000u;
        const int64_t h = start(0, 1) + at[1] - padding;
        const int64_t w = start(1, 2) + (mirrored ? window[2] - 1 - at[2] : at[2]) - padding;
        const bool inside = h >= 0 && h < shape[1] && w >= 0 && w < shape[2];
        want.push_back(inside ? x[((at[0] * shape[1] + h) * shape[2] + w) * shape[3] + at[3]] : 0);
      }
      expectNear("randomCropFlip " + text(dtype) + " " + describe(shape), y, want, 0);
    }
  }
}

/// Division by a product, and spaces cut into parts that 32-bit indices can count.
inline void checkIndexMaps() {
  bool right = true;
  for (int64_t d : {1, 2, 3, 5, 7, 64, 641, 65535, 65536, 1000003, 0x3FFFFFFF, 0x40000000}) {
    const cuda::FastDivisor divisor(d);
    for (int trial = 0; trial < 1000; ++trial) {
      const int64_t n =
          trial % 2 ? randomInteger(0, 0x7FFFFFFF) : randomInteger(0, 0x7FFFFFFF / d) * d - trial % 4 / 2;
      if (n >= 0) right = right && divisor.quotient(static_cast<uint32_t>(n)) == n / d;
    }
  }
  expect(right, "division by a product");
  for (int trial = 0; trial < 300; ++trial) {
    const int rank = static_cast<int>(randomInteger(0, 8));
    const Dims whole = randomDims(rank, rank > 5 ? 3 : 9);
    Dims part = whole;
    for (int i = 0; i < rank; ++i) part[i] = randomInteger(0, 1) ? 1 : whole[i];
    const Axes<2> axes = broadcastAxes<2>(whole, {&part, &whole});
    int64_t seen = 0;
    bool same = true;
    const int64_t most = randomInteger(1, 40);
    const auto check = [&](const Axes<2>& space, const int64_t(&offset)[2]) {
      const cuda::IndexMap<2> map(space);
      same = same && space.size() <= most;
      for (int64_t i = 0; i < space.size(); ++i, ++seen) {
        const uint32_t index = static_cast<uint32_t>(i);
        same = same && offset[1] + map.offset(1, index) == seen;
        same = same && offset[0] + map.offset(0, index) == broadcastIndex(part, positionOf(whole, seen));
      }
    };
    cuda::forEachPart(axes, check, most);
    expect(same && seen == whole.product(), "parts of " + describe(whole));
  }
}

}  // namespace spherenet::test
