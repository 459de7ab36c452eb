// Movement, elementwise ops, reductions and random numbers against loops over float64.
#pragma once

#include "../../native/philox.h"
#include "check.h"

namespace spherenet::test {

inline double convertReference(double v, DType to) {
  const double low = to == DType::Uint8 ? 0 : -2147483648.0, high = to == DType::Uint8 ? 255 : 2147483647.0;
  if (to == DType::Float32) return static_cast<double>(static_cast<float>(v));
  if (to == DType::Float64) return v;
  return std::isnan(v) ? 0 : std::trunc(std::min(std::max(v, low), high));
}

inline void checkMovement(Ops& ops) {
  constexpr DType all[] = {DType::Float32, DType::Float64, DType::Int32, DType::Uint8};
  for (DType from : all) {
    for (double value : {0.0, 3.7, -2.2, 1e10, -1e10, kNan}) {
      Array y(from, dims({7, 11}));
      ops.fill(value, y);
      expectNear("fill", y, std::vector<double>(77, convertReference(value, from)), 0);
    }
    for (DType to : all) {
      for (double scale : {1.0, 1 / 255.0, -300.0}) {
        const double shift = scale == 1.0 ? 0 : 0.25;
        Array x(from, dims({20011}));
        const bool isByte = from == DType::Uint8;
        for (int64_t i = 0; i < x.size(); ++i)
          x.set(i, isByte ? randomNumber(0, 255.9) : randomNumber(-900, 900));
        if (from == DType::Float32 || from == DType::Float64) {
          const double special[] = {kNan, 3e9, -3e9, kInfinity, -kInfinity, 255.999, -0.999};
          for (int i = 0; i < 7; ++i) x.set(i, special[i]);
        }
        Array y(to, x.shape());
        ops.cast(scale, shift, x, y);
        std::vector<double> want;
        for (int64_t i = 0; i < x.size(); ++i) want.push_back(convertReference(scale * x[i] + shift, to));
        expectNear("cast", y, want, 0);
      }
    }
  }
  for (int trial = 0; trial < 120; ++trial) {
    const DType dtype = all[trial % 4];
    const int rank = trial % 9;
    const int64_t most = rank > 5 ? 3 : rank > 3 ? 6 : rank == 2 ? 200 : 30;
    const Dims xShape = randomDims(rank, most);
    Dims yShape = xShape, xStart = xShape, yStart = xShape, extent = xShape;
    for (int i = 0; i < rank; ++i) {
      const bool whole = randomInteger(0, 2) > 0;
      yShape[i] = whole ? xShape[i] : randomInteger(1, most);
      extent[i] = whole ? xShape[i] : randomInteger(1, std::min(xShape[i], yShape[i]));
      xStart[i] = randomInteger(0, xShape[i] - extent[i]);
      yStart[i] = randomInteger(0, yShape[i] - extent[i]);
    }
    const Array x = Array::random(dtype, xShape, 0, 200);
    Array y = Array::random(dtype, yShape, 0, 200);
    std::vector<double> want;
    for (int64_t i = 0; i < y.size(); ++i) want.push_back(y[i]);
    for (int64_t i = 0; i < extent.product(); ++i) {
      Dims from = positionOf(extent, i), to = from;
      int64_t xIndex = 0, yIndex = 0;
      for (int a = 0; a < rank; ++a) {
        xIndex = xIndex * xShape[a] + from[a] + xStart[a];
        yIndex = yIndex * yShape[a] + to[a] + yStart[a];
      }
      want[static_cast<size_t>(yIndex)] = x[xIndex];
    }
    ops.copyRegion(xStart, yStart, extent, x, y);
    expectNear("copyRegion", y, want, 0);
  }
}

inline void checkBinaryCase(Ops& ops, BinaryOp op, const Array& a, const Array& b, const Dims& shape,
                            const Array& y) {
  std::vector<double> want;
  for (int64_t i = 0; i < shape.product(); ++i) {
    const Dims position = positionOf(shape, i);
    const double u = a[broadcastIndex(a.shape(), position)], v = b[broadcastIndex(b.shape(), position)];
    want.push_back(op == BinaryOp::Add   ? u + v
                   : op == BinaryOp::Sub ? u - v
                   : op == BinaryOp::Mul ? u * v
                                         : u / v);
  }
  ops.binary(op, a, b, y);  // y may be a or b: the expected values are there already
  expectNear("binary " + describe(a.shape()) + " " + describe(b.shape()), y, want,
             tolerance(y.dtype(), 2e-7, 0));
}

inline void checkBinary(Ops& ops) {
  constexpr BinaryOp all[] = {BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div};
  constexpr DType dtypes[] = {DType::Float32, DType::Float64, DType::Int32};
  const auto make = [](DType dtype, const Dims& shape) { return Array::random(dtype, shape, -50, 50); };
  for (int trial = 0; trial < 300; ++trial) {
    const BinaryOp op = all[trial % 4];
    const DType dtype = dtypes[trial / 4 % (op == BinaryOp::Div ? 2 : 3)];
    const int rank = static_cast<int>(randomInteger(0, 8));
    const Dims shape = randomDims(rank, rank > 5 ? 3 : rank > 3 ? 6 : 40);
    Dims sides[2] = {shape, shape};
    for (Dims& side : sides) {
      const int dropped = randomInteger(0, 1) ? static_cast<int>(randomInteger(0, rank)) : 0;
      for (int i = 0; i + dropped < rank; ++i) {
        side[i] = randomInteger(0, 2) ? shape[i + dropped] : 1;
      }
      side.rank = rank - dropped;
    }
    Dims result = shape;
    for (int i = 0; i < rank; ++i) {
      result[i] = 1;
      for (const Dims& side : sides) {
        const int at = i - (rank - side.rank);
        if (at >= 0 && side[at] > 1) result[i] = side[at];
      }
    }
    const Array a = make(dtype, sides[0]), b = make(dtype, sides[1]);
    checkBinaryCase(ops, op, a, b, result, Array(dtype, result));
  }
  const std::pair<Dims, Dims> large[] = {
      {dims({40000}), dims({40000})},     {dims({40000}), dims({})},
      {dims({1}), dims({33333})},         {dims({5001, 7}), dims({7})},
      {dims({7}), dims({5001, 7})},       {dims({3, 9, 9, 130}), dims({130})},
      {dims({600, 65}), dims({600, 1})},  {dims({9000, 1}), dims({1, 3})},
      {dims({9001, 3}), dims({9001, 1})}, {dims({4, 50, 64}), dims({4, 1, 64})}};
  for (const auto& [left, right] : large) {
    for (DType dtype : dtypes) {
      const Array a = make(dtype, left), b = make(dtype, right);
      Dims result = left.product() > right.product() ? left : right;
      if (left.rank == 2 && right.rank == 2) result = dims({left[0], std::max(left[1], right[1])});
      checkBinaryCase(ops, BinaryOp::Sub, a, b, result, Array(dtype, result));
      if (a.size() == result.product())
        checkBinaryCase(ops, BinaryOp::Sub, a, b, result, a);
      else if (b.size() == result.product())
        checkBinaryCase(ops, BinaryOp::Sub, a, b, result, b);
    }
  }
  Array limits(DType::Int32, dims({2}));
  limits.set(0, 2147483647);
  limits.set(1, -2147483648.0);
  Array sum(DType::Int32, dims({2}));
  ops.binary(BinaryOp::Add, limits, limits, sum);
  expectNear("int32 wraps", sum, {-2, 0}, 0);
}

struct Function {
  const char* name;
  UnaryOp op;
  std::function<double(double)> value, slope;
};
inline const std::vector<Function>& transcendentals() {
  static const std::vector<Function> all = {
      {"exp", UnaryOp::Exp, [](double v) { return std::exp(v); }, [](double v) { return std::exp(v); }},
      {"log", UnaryOp::Log, [](double v) { return std::log(v); }, [](double v) { return 1 / v; }},
      {"tanh", UnaryOp::Tanh, [](double v) { return std::tanh(v); },
       [](double v) { return 1 / (std::cosh(v) * std::cosh(v)); }},
      {"softplus", UnaryOp::Softplus, [](double v) { return v > 30 ? v : std::log1p(std::exp(v)); },
       [](double v) { return 1 / (1 + std::exp(-v)); }},
      {"acos", UnaryOp::Acos,
       [](double v) { return std::isnan(v) ? v : std::acos(std::min(std::max(v, -1.0), 1.0)); },
       [](double v) {
         return std::isnan(v) ? v : -1 / std::sqrt(std::max((1 - v) * (1 + v), kMinSinSquared));
       }}};
  return all;
}
inline double powerSlope(double v, double exponent) {
  return v == 0 && exponent < 1 ? 0 : exponent * std::pow(v, exponent - 1);
}

inline void checkOneHot(Ops& ops) {
  for (DType dtype : {DType::Float32, DType::Float64, DType::Bfloat16, DType::Float16}) {
    for (const Dims& shape : {dims({1, 1}), dims({7, 3}), dims({301, 64}), dims({3, 5003})}) {
      Array labels(DType::Int32, dims({shape[0]})), y(dtype, shape);
      std::vector<double> want(static_cast<size_t>(y.size()), 0.0);
      for (int64_t row = 0; row < shape[0]; ++row) {
        const int64_t label = row == 0 ? shape[1] - 1 : randomInteger(0, shape[1] - 1);
        labels.set(row, static_cast<double>(label));
        want[static_cast<size_t>(row * shape[1] + label)] = 1;
      }
      ops.oneHot(labels, y);
      expectNear("oneHot", y, want, 0);
    }
  }
}

inline void checkUnary(Ops& ops) {
  for (DType dtype : kFloats) {
    const double ulp = tolerance(dtype, 2.5e-7, 5e-16);
    for (const Dims& shape : {dims({}), dims({1}), dims({3, 5}), dims({40009})}) {
      Array x = Array::random(dtype, shape), dy = Array::random(dtype, shape), y(dtype, shape);
      const double special[] = {0.0, -0.0, kNan, kInfinity, -kInfinity};
      for (int i = 0; i < 5 && i + 5 < x.size(); ++i) x.set(i, special[i]);
      const auto expectMap = [&](const char* what, const std::function<double(double, double)>& f) {
        std::vector<double> want;
        for (int64_t i = 0; i < x.size(); ++i) want.push_back(f(x[i], dy[i]));
        expectNear(what, y, want, ulp);
      };
      ops.affine(1.5, -0.25, x, y);
      expectMap("affine", [](double v, double) { return 1.5 * v - 0.25; });
      ops.unary(UnaryOp::Abs, x, y);
      expectMap("abs", [](double v, double) { return std::abs(v); });
      ops.unary(UnaryOp::Square, x, y);
      expectMap("square", [](double v, double) { return v * v; });
      for (const Function& f : transcendentals()) {
        ops.unary(f.op, x, y);
        expectMap(f.name, [&](double v, double) { return f.value(v); });
        ops.unaryBackward(f.op, x, dy, y);
        expectMap(f.name, [&](double v, double g) { return g * f.slope(v); });
      }
      for (double exponent : {-2.0, -0.5, 0.0, 0.5, 1.0, 1.7, 3.0}) {
        ops.power(exponent, x, y);
        expectMap("power", [=](double v, double) { return std::pow(v, exponent); });
        ops.powerBackward(exponent, x, dy, y);
        expectMap("power gradient", [=](double v, double g) { return g * powerSlope(v, exponent); });
      }
      ops.unaryBackward(UnaryOp::Abs, x, dy, y);
      expectMap("abs gradient", [](double v, double g) { return v > 0 ? g : v < 0 ? -g : 0; });
      ops.unaryBackward(UnaryOp::Square, x, dy, y);
      expectMap("square gradient", [](double v, double g) { return 2 * v * g; });
      for (double slope : {0.0, 0.25, 2.0}) {
        ops.leakyRelu(slope, x, y);
        expectMap("leakyRelu", [=](double v, double) {
          return v > 0 || std::isnan(v) ? v : slope == 0 ? 0 : slope * v;
        });
        ops.leakyReluBackward(slope, x, dy, y);
        expectMap("leakyRelu gradient", [=](double v, double g) { return v > 0 ? g : slope * g; });
      }
    }
  }
}

inline void checkReductions(Ops& ops) {
  const auto checkOne = [&](DType dtype, const Dims& whole, const Dims& reduced) {
    const Array x = Array::random(dtype, whole), small = Array::random(dtype, reduced);
    Array sum(dtype, reduced), wide(dtype, whole);
    std::vector<double> sums(static_cast<size_t>(reduced.product()), 0.0), repeated;
    for (int64_t i = 0; i < x.size(); ++i) {
      const int64_t at = broadcastIndex(reduced, positionOf(whole, i));
      sums[static_cast<size_t>(at)] += x[i];
      repeated.push_back(small[at]);
    }
    ops.sumTo(x, sum);
    expectNear("sumTo from " + describe(whole), sum, sums, tolerance(dtype, 1e-7, 1e-11));
    ops.broadcastTo(small, wide);
    expectNear("broadcastTo from " + describe(reduced), wide, repeated, 0);
  };
  for (int trial = 0; trial < 200; ++trial) {
    const int rank = static_cast<int>(randomInteger(0, 8));
    const Dims whole = randomDims(rank, rank > 5 ? 3 : rank > 3 ? 7 : 40);
    Dims reduced = whole;
    for (int i = 0; i < rank; ++i) reduced[i] = randomInteger(0, 1) ? 1 : whole[i];
    checkOne(kFloats[trial % 2], whole, reduced);
  }
  const std::pair<Dims, Dims> large[] = {
      {dims({100003}), dims({1})},           {dims({3, 70001}), dims({3, 1})},
      {dims({40001, 3}), dims({1, 3})},      {dims({900, 130}), dims({1, 130})},
      {dims({300, 260}), dims({1, 260})},    {dims({3, 70000}), dims({1, 70000})},
      {dims({5001, 17}), dims({5001, 1})},   {dims({2, 999, 300}), dims({2, 1, 300})},
      {dims({30, 41, 50}), dims({1, 41, 1})}};
  for (const auto& [whole, reduced] : large) {
    for (DType dtype : kFloats) checkOne(dtype, whole, reduced);
  }
  // float32 accumulation would lose this: 2^24 + 1 + 1 + ...
  Array x = Array::filled(DType::Float32, dims({4001}), [](int64_t i) { return i == 0 ? 16777216.0 : 1.0; });
  Array sum(DType::Float32, dims({1}));
  ops.sumTo(x, sum);
  expectNear("sumTo accumulates in float64", sum, {16781216.0}, 0);
  Array nothing(DType::Float32, dims({0, 3})), zeros(DType::Float32, dims({1, 3}));
  ops.sumTo(nothing, zeros);
  expectNear("sumTo of nothing", zeros, {0, 0, 0}, 0);
}

inline void checkPhilox() {
  // Known answers published with the Random123 library by the generator's authors.
  struct Known {
    PhiloxBlock counter;
    uint32_t key[2];
    PhiloxBlock words;
  };
  const Known known[] = {
      {{{0, 0, 0, 0}}, {0, 0}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {{{~0u, ~0u, ~0u, ~0u}}, {~0u, ~0u}, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
       {0xa4093822, 0x299f31d0},
       {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}}};
  for (const Known& k : known) {
    const PhiloxBlock got = philox(k.counter, k.key[0], k.key[1]);
    for (int i = 0; i < 4; ++i) expect(got.word[i] == k.words.word[i], "Philox4x32-10 known answer");
  }
}

inline void checkRandom(Ops& ops) {
  checkPhilox();
  const uint64_t seed = 0x123456789ABCDEF0u;
  const auto word = [&](uint32_t stream, int64_t i) {
    return philoxElements(seed, stream, static_cast<uint64_t>(i / 4)).word[i % 4];
  };
  for (int64_t size : {1, 2, 3, 255, 257, 50001}) {
    for (DType dtype : kFloats) {
      const bool single = dtype == DType::Float32;
      Array y(dtype, dims({size}));
      std::vector<double> uniform, normal, kept;
      const Array x = Array::random(dtype, dims({size}));
      for (int64_t i = 0; i < size; ++i) {
        const int64_t pair = i / 2 * 2;
        const double scale = single ? 0x1p-32 : 0x1p-53;
        const auto bits = [&](int64_t at) {
          const uint64_t high = word(0, at), low = word(1, at);
          return static_cast<double>(single ? high : (high << 32 | low) >> 11);
        };
        const double u = (bits(pair) + 1) * scale, angle = 2 * std::acos(-1.0) * bits(pair + 1) * scale;
        uniform.push_back(single ? uniform24(word(0, i)) : uniform53(word(0, i), word(1, i)));
        normal.push_back(std::sqrt(-2 * std::log(u)) * (i % 2 ? std::sin(angle) : std::cos(angle)));
        kept.push_back(uniform24(word(0, i)) >= 0.3 ? x[i] / 0.7 : 0);
      }
      ops.randomUniform(seed, 0, 1, y);
      expectNear("randomUniform", y, uniform, 0);
      ops.randomNormal(seed, 0, 1, y);
      expectNear("randomNormal", y, normal, tolerance(dtype, 1e-7, 1e-13));
      ops.dropout(seed, 0.3, x, y);
      expectNear("dropout", y, kept, tolerance(dtype, 2e-7, 1e-15));
    }
  }
  for (DType dtype : kFloats) {
    const int64_t size = 200000;
    Array y(dtype, dims({size}));
    ops.randomUniform(7, 16777216, 16777218, y);
    bool inside = true;
    for (int64_t i = 0; i < size; ++i) inside = inside && y[i] >= 16777216 && y[i] < 16777218;
    expect(inside, "randomUniform stays below its upper end");
    ops.randomNormal(7, 2, 3, y);
    double sums[5] = {};
    for (int64_t i = 0; i < size; ++i) {
      for (int power = 1; power < 5; ++power) sums[power] += std::pow((y[i] - 2) / 3, power) / size;
    }
    expect(std::abs(sums[1]) < 0.01 && std::abs(sums[2] - 1) < 0.02, "randomNormal's mean and variance");
    expect(std::abs(sums[3]) < 0.03 && std::abs(sums[4] - 3) < 0.1, "randomNormal's higher moments");
    const Array x = Array::filled(dtype, dims({size}), [](int64_t) { return 1.0; });
    ops.dropout(9, 0, x, y);
    expectNear("dropout of 0", y, std::vector<double>(static_cast<size_t>(size), 1.0), 0);
    ops.dropout(9, 1, x, y);
    expectNear("dropout of 1", y, std::vector<double>(static_cast<size_t>(size), 0.0), 0);
  }
}

}  // namespace spherenet::test
