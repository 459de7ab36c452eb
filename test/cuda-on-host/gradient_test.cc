// The weight gradient, the angular backward pass, column sums and the direct convolutions of the CUDA
// backend, executed on the CPU, against float64 loops.
//   gradient_test [weights] [direction] [bias] [angular] [direct] [extremes] [large] [bits]
//                 [empty]
#include <cstdio>
#include <numbers>
#include <string_view>

#include "../../cuda/direct_convolution.h"
#include "../../cuda/weight_gradient.h"
#include "gradient_cases.h"
#include "ops_on_host.h"

namespace spherenet::test {
namespace {

/// corr(dy, x) and, where q is given, minus w q / nw^2. NaN and infinities of x count as 0 then.
Values weightReference(const Case& t, const Array& x, const Array& dy, const Array* w, const Array* q,
                       const Array* nw) {
  const int64_t size = t.filterSize(), groupFilters = t.o / t.p.groups;
  Values xs = valuesOf(x), dys = valuesOf(dy), dw(static_cast<size_t>(t.o * size));
  if (q)
    for (double& v : xs)
      if (!std::isfinite(v)) v = 0;
  std::vector<int64_t> index(static_cast<size_t>(size));
  for (int64_t m = 0; m < t.positions(); ++m)
    for (int64_t group = 0; group < t.p.groups; ++group) {
      for (int64_t e = 0; e < size; ++e) index[e] = t.patchIndex(m, group, e);
      for (int64_t o = group * groupFilters; o < (group + 1) * groupFilters; ++o)
        for (int64_t e = 0; e < size; ++e)
          if (index[e] >= 0) dw[o * size + e] += dys[m * t.o + o] * xs[index[e]];
    }
  if (q)
    for (int64_t i = 0; i < t.o * size; ++i) {
      const double norm = (*nw)[i / size];
      if (std::isfinite((*w)[i]) && norm > 0) dw[i] -= (*w)[i] * (*q)[i / size] / (norm * norm);
    }
  return dw;
}

/// What decides about tiles and splits, varied.
void vary(SynchronousOps& ops) {
  ops.context().multiprocessors = randomInteger(0, 1) > 0 ? 4 : 40;
  ops.context().precision = randomInteger(0, 1) > 0 ? Precision::Tf32 : Precision::Float32;
}

/// Small integers: products and sums are exact in every format, so results must be equal.
void checkWeights(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    vary(ops);
    const DType dtype = kAll[i % 4];
    const Case t = randomCase(1500000);
    const Array x = integers(dtype, xShape(t)), dy = integers(dtype, yShape(t));
    const Array dw(isHalf(dtype) && randomInteger(0, 3) == 0 ? dtype : wide(dtype), wShape(t));
    if (randomInteger(0, 5) == 0) {
      cuda::weightGradient(ops.context(), t.p, Unaligned(x).tensor(), Unaligned(dy).tensor(), nullptr, dw);
    } else {
      cuda::weightGradient(ops.context(), t.p, x, dy, nullptr, dw);
    }
    expectNear("weights" + describe(t, dtype), dw, weightReference(t, x, dy, nullptr, nullptr, nullptr),
               isHalf(dw.dtype()) ? tolerance(dtype) : 0);
  }
}

/// A SphereConv's: with the filter's own direction, and now and then NaN or infinities in x whose patches
/// have h = 0.
void checkDirection(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    vary(ops);
    const DType dtype = kAll[i % 4];
    const Case t = randomCase(600000);
    Array x = Array::random(dtype, xShape(t)), dy = Array::random(dtype, yShape(t));
    const DType filters = isHalf(dtype) ? anyOf({dtype, DType::Float32}) : dtype;
    Array w = Array::random(filters, wShape(t));
    if (isHalf(dtype))
      for (int64_t j = 0; j < w.size(); ++j)  // whole in 16 bits
        w.set(j, halfFormat(dtype).decode(halfFormat(dtype).encode(w[j])));
    const Array q = Array::random(wide(dtype), dims({t.o})),
                nw = Array::random(wide(dtype), dims({t.o}), 0.5, 3);
    if (randomInteger(0, 2) == 0) {
      const int64_t at = randomInteger(0, x.size() - 1);
      x.set(at, randomInteger(0, 1) > 0 ? kNan : -kInfinity);
      w.set(randomInteger(0, w.size() - 1), kInfinity);
      const int64_t group = at % t.c / t.groupChannels(), groupFilters = t.o / t.p.groups;
      for (int64_t m = 0; m < t.positions(); ++m)
        for (int64_t e = 0; e < t.filterSize(); ++e)
          if (t.patchIndex(m, group, e) == at)
            for (int64_t o = group * groupFilters; o < (group + 1) * groupFilters; ++o)
              dy.set(m * t.o + o, 0);
    }
    const Array dw(isHalf(dtype) ? anyOf({dtype, DType::Float32}) : dtype, wShape(t));
    const cuda::FilterDirection direction{w, q, nw};
    cuda::weightGradient(ops.context(), t.p, x, dy, &direction, dw);
    const bool rounded = dtype == DType::Float32 && ops.context().precision == Precision::Tf32;
    const double scale = std::sqrt(static_cast<double>(t.positions()));
    expectNear("direction" + describe(t, dtype), dw, weightReference(t, x, dy, &w, &q, &nw),
               rounded ? 4e-3 : tolerance(dw.dtype(), 1e-5), scale);
  }
}

void checkBias(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    vary(ops);
    const DType dtype = kAll[i % 4];
    const int64_t o = randomInteger(0, 2) > 0 ? randomInteger(1, 40) : 8 * randomInteger(1, 150);
    const Array dy = integers(dtype, dims({randomInteger(1, 300), randomInteger(1, 9), 1, o}));
    const Array dbias(wide(dtype), dims({o}));
    cuda::biasGradient(ops.context(), dy, dbias);
    Values want(static_cast<size_t>(o));
    for (int64_t j = 0; j < dy.size(); ++j) want[j % o] += dy[j];
    expectNear("bias", dbias, want, 0);
  }
}

struct AngularCase {
  AngularParams a;
  int64_t rows, filters, groups;
  DType dtype;
  bool kept = false;  // c is given (float64)

  double limit(double k) const { return std::tanh(std::numbers::pi / (4 * std::abs(k))); }
  double cosineOf(double y, double k) const {
    if (a.op == AngularOperator::Cosine) return y;
    if (a.op == AngularOperator::SquaredCosine) return std::copysign(std::sqrt(std::abs(y)), y);
    const double bounded = std::clamp(y, -1.0, 1.0);
    if (a.op == AngularOperator::Linear) return std::sin(std::numbers::pi / 2 * bounded);
    const double n = std::clamp(y * limit(k), -1 + 0x1p-24, 1 - 0x1p-24), half = std::numbers::pi / 2;
    return std::sin(std::clamp(2 * std::abs(k) * std::atanh(n), -half, half));
  }
};

/// The pass of native/ops.h from y (or c), element by element.
void checkAngularCase(SynchronousOps& ops, const AngularCase& t, bool saturated) {
  const int64_t groupFilters = t.filters / t.groups;
  const Dims shape = dims({t.rows, 1, 1, t.filters}), norms = dims({t.rows, 1, 1, t.groups});
  const DType other = wide(t.dtype);
  Array y = Array::random(t.dtype, shape, -0.97, 0.97), nx = Array::random(other, norms, 0.5, 4);
  const Array dy = Array::random(t.dtype, shape), nw = Array::random(other, dims({t.filters}), 0.5, 4);
  const bool sigmoid = t.a.op == AngularOperator::Sigmoid;
  const int64_t ks = sigmoid && randomInteger(0, 2) > 0 ? (randomInteger(0, 1) > 0 ? 1 : t.filters) : 0;
  const Array k = Array::random(other, dims({ks}), 0.2, 0.8);
  for (int64_t i = 0; i < y.size(); ++i) {
    if (randomInteger(0, 19) == 0) y.set(i, kNan);
    if (saturated) y.set(i, randomInteger(0, 1) > 0 ? 1 : -1);
  }
  if (randomInteger(0, 1) > 0) nx.set(randomInteger(0, nx.size() - 1), 0);
  if (randomInteger(0, 1) > 0) nx.set(randomInteger(0, nx.size() - 1), kNan);
  const Array h(t.dtype, shape), r(other, norms), q(other, dims({t.filters})), dk(other, dims({ks}));
  const Tensor none, kTensor = ks > 0 ? k.tensor() : none, dkTensor = ks > 0 ? dk.tensor() : none;
  // Where c is kept, y is not looked at: c plays y's part.
  static_cast<Ops&>(ops).sphereConv2dAngularBackward(t.a, y, t.kept ? y.tensor() : none, dy, kTensor, nx, nw,
                                                     h, r, q, dkTensor);

  Values wantH(static_cast<size_t>(y.size())), wantR(static_cast<size_t>(nx.size()));
  Values wantQ(static_cast<size_t>(t.filters)), wantK(static_cast<size_t>(ks));
  double largest = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t filter = i % t.filters, at = i / t.filters * t.groups + filter / groupFilters;
    const double kk = ks > 0 ? k[ks == 1 ? 0 : filter] : t.a.k;
    const double cosine = t.kept ? y[i] : t.cosineOf(y[i], kk), inverse = nx[at] > 0 ? 1 / nx[at] : 0;
    if (std::isnan(y[i])) continue;
    const reference::Angular g = reference::angular(t.a.op, cosine, kk);
    const double gradient = dy[i] * g.byCosine;
    wantH[i] = gradient * inverse / nw[filter];
    wantR[at] += gradient * cosine * inverse * inverse;
    wantQ[filter] += gradient * cosine;
    if (ks > 0) wantK[ks == 1 ? 0 : filter] += dy[i] * g.byK;
    largest = std::max(largest, std::abs(gradient));
  }
  char text[160];
  std::snprintf(text, sizeof text, " %s op %d rows %d filters %d groups %d k %d%s%s", nameOf(t.dtype),
                int(t.a.op), int(t.rows), int(t.filters), int(t.groups), int(ks), t.kept ? " kept" : "",
                saturated ? " saturated" : "");
  // At the ends of g's range, float32 knows its derivative's floor to some 1e-4.
  const double exact = t.dtype == DType::Float64 ? 1e-9 : isHalf(t.dtype) ? 2e-3 : saturated ? 5e-4 : 1e-5;
  const double sums = std::sqrt(static_cast<double>(std::max(t.rows, t.filters)));
  expectNear(std::string("h") + text, h, wantH, std::max(exact, tolerance(t.dtype, 0, 0)),
             largest * 0.01 + 1e-3);
  expectNear(std::string("r") + text, r, wantR, exact, (largest + 1) * sums);
  expectNear(std::string("q") + text, q, wantQ, exact, (largest + 1) * sums);
  if (ks > 0)
    expectNear(std::string("dk") + text, dk, wantK, exact, 4 * sums * (ks == 1 ? std::sqrt(t.filters) : 1));
}

void checkAngular(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    vary(ops);
    AngularCase t;
    t.dtype = kAll[i % 4];
    t.a.op = static_cast<AngularOperator>(randomInteger(0, 3));
    t.a.k = randomNumber(0.2, 1);
    t.rows = randomInteger(1, randomInteger(0, 3) > 0 ? 60 : 700);
    t.groups = randomInteger(0, 2) > 0 ? 1 : randomInteger(2, 5);
    const int64_t each = randomInteger(0, 2) > 0 ? 8 * randomInteger(1, 14) : randomInteger(1, 100);
    t.filters = t.groups * (t.groups == 1 && randomInteger(0, 4) == 0 ? 8 * randomInteger(20, 160) : each);
    if (randomInteger(0, 4) == 0) t.groups = t.filters;
    if (t.rows * t.filters > 60000) t.rows = 1 + 60000 / t.filters;
    t.kept = t.dtype == DType::Float64 && randomInteger(0, 1) > 0;
    checkAngularCase(ops, t, randomInteger(0, 7) == 0);
  }
}

/// Convolutions without tensor cores, forward and data gradient.
void checkDirect(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    const DType dtype = kAll[i % 4], other = wide(dtype);
    Case t = randomCase(100000);
    if (randomInteger(0, 1) > 0) {  // few channels and filters a group
      t.p.groups = static_cast<int32_t>(randomInteger(2, 40));
      t.c = t.p.groups * randomInteger(1, 2);
      t.o = t.p.groups * randomInteger(1, 2);
    }
    t.a.op = static_cast<AngularOperator>(randomInteger(0, 3));
    const DType filters = isHalf(dtype) ? anyOf({dtype, DType::Float32}) : dtype;
    const Array x = Array::random(dtype, xShape(t)), dy = Array::random(dtype, yShape(t));
    Array w = Array::random(dtype, wShape(t));
    if (filters != dtype) w = Array::filled(filters, wShape(t), [&, from = w](int64_t j) { return from[j]; });
    const Array bias = Array::random(other, dims({t.o})), y(dtype, yShape(t)), dx(dtype, xShape(t));
    const Values xs = valuesOf(x), ws = valuesOf(w), dys = valuesOf(dy);
    const double exact = tolerance(dtype, 2e-5, 1e-10),
                 sums = std::sqrt(static_cast<double>(t.o * t.kh * t.kw));
    const auto& context = ops.context();

    const auto plain = reference::run(t, false, xs, ws, {}, valuesOf(bias), dys);
    cuda::directConv2d(context, t.p, x, w, bias, y);
    expectNear("direct y" + describe(t, dtype), y, plain.y, exact,
               std::sqrt(static_cast<double>(t.filterSize())));
    cuda::directDataGradient(context, t.p, dy, w, {}, {}, dx);
    expectNear("direct dx" + describe(t, dtype), dx, plain.dx, exact, sums);

    const Dims norms = dims({t.n, t.oh(), t.ow(), t.p.groups});
    const Array nx(other, norms), nw(other, dims({t.o})), r = Array::random(other, norms);
    const Array c(dtype, yShape(t)),
        k = Array::random(other, dims({randomInteger(0, 1) > 0 ? 1 : t.o}), 0.2, 0.8);
    const auto sphere = reference::run(t, true, xs, ws, valuesOf(k), {}, dys);
    cuda::directSphereConv2d(context, t.p, t.a, x, w, k, {}, y, nx, nw,
                             dtype == DType::Float64 ? c.tensor() : Tensor{});
    // asin is steep where so few elements make vectors parallel.
    const double steep = t.filterSize() < 6 ? 40 : 1;
    expectNear("direct sphere y" + describe(t, dtype), y, sphere.y,
               exact * steep + (isHalf(dtype) ? 2e-3 : 0));
    expectNear("direct nx" + describe(t, dtype), nx, sphere.nx, tolerance(other, 2e-6, 1e-12));
    expectNear("direct nw" + describe(t, dtype), nw, sphere.nw, tolerance(other, 2e-6, 1e-12));
    cuda::directDataGradient(context, t.p, dy, w, x, r, dx);
    Values want = plain.dx;
    for (int64_t m = 0; m < t.positions(); ++m)
      for (int64_t group = 0; group < t.p.groups; ++group)
        for (int64_t e = 0; e < t.filterSize(); ++e) {
          const int64_t at = t.patchIndex(m, group, e);
          if (at >= 0) want[at] -= xs[at] * r[m * t.p.groups + group];
        }
    expectNear("direct sphere dx" + describe(t, dtype), dx, want, exact, 2 * sums);
  }
}

/// Magnitudes whose squares leave the range of their dtype: the cosine does not depend on them.
void checkExtremes(SynchronousOps& ops) {
  for (const DType dtype : {DType::Bfloat16, DType::Float32, DType::Float64})
    for (const double exponent : {-1.0, -0.6, 0.0, 0.6, 0.99})
      for (const double filterExponent : {-0.9, 0.0, 0.99}) {
        const double top = dtype == DType::Float64 ? 306 : 36;
        const double scale = std::pow(10, exponent * top), filterScale = std::pow(10, filterExponent * top);
        Case t;
        t.h = t.w = 4;
        t.c = t.o = t.p.groups = 5;
        t.kh = t.kw = 3;
        t.p.padTop = 1;
        t.a.epsilon = 0;
        Array x = Array::random(dtype, xShape(t)), w = Array::random(dtype, wShape(t));
        const auto want =
            reference::run(t, true, valuesOf(x), valuesOf(w), {}, {}, Values(t.positions() * t.o));
        for (int64_t i = 0; i < x.size(); ++i) x.set(i, x[i] * scale);
        for (int64_t i = 0; i < w.size(); ++i) w.set(i, w[i] * filterScale);
        const DType other = wide(dtype);
        const Dims norms = dims({1, t.oh(), t.ow(), 5});
        const Array y(dtype, yShape(t)), nx(other, norms), nw(other, dims({t.o}));
        cuda::directSphereConv2d(ops.context(), t.p, t.a, x, w, {}, {}, y, nx, nw, {});
        char text[80];
        std::snprintf(text, sizeof text, "y of %s x %g, w %g", nameOf(dtype), scale, filterScale);
        expectNear(text, y, want.y, dtype == DType::Float64 ? 1e-11 : isHalf(dtype) ? 1e-2 : 1e-5);
        for (int64_t i = 0; i < nx.size(); ++i) expect(std::isfinite(nx[i]), std::string("norm of ") + text);
      }
}

/// Gradients beyond float16's range are its largest number: infinity times a zero patch would be NaN.
void checkLargeGradient(SynchronousOps& ops) {
  const Dims one = dims({1, 1, 1, 8});
  const auto all = [](DType dtype, const Dims& shape, double value) {
    return Array::filled(dtype, shape, [=](int64_t) { return value; });
  };
  const Array y = all(DType::Float16, one, 0), dy = all(DType::Float16, one, -1000), h(DType::Float16, one);
  const Array nx = all(DType::Float32, dims({1, 1, 1, 1}), 0.01), nw = all(DType::Float32, dims({8}), 0.01);
  const Array r(DType::Float32, nx.shape()), q(DType::Float32, nw.shape());
  static_cast<Ops&>(ops).sphereConv2dAngularBackward({}, y, {}, dy, {}, nx, nw, h, r, q, {});
  expectNear("float16 gradient out of range", h, Values(8, -65504), 0);
}

/// The same bits in every run, however blocks and warps run.
void checkReproducibility(SynchronousOps& ops) {
  ops.context().multiprocessors = 40;
  const auto run = [&](DType dtype) {
    generator().seed(7);
    Case t;
    t.n = 3;
    t.h = t.w = 14;
    t.c = t.o = 24;
    t.kh = t.kw = 3;
    const Array x = Array::random(dtype, xShape(t)), dy = Array::random(dtype, yShape(t));
    const Array y = Array::random(dtype, yShape(t), -1, 1), h(dtype, yShape(t));
    const Array nx = Array::random(wide(dtype), dims({t.n, 12, 12, 1}), 1, 2), r(wide(dtype), nx.shape());
    const Array nw = Array::random(wide(dtype), dims({t.o}), 1, 2), q(wide(dtype), nw.shape());
    const Array dw(wide(dtype), wShape(t)), dbias(wide(dtype), nw.shape());
    cuda::weightGradient(ops.context(), t.p, x, dy, nullptr, dw);
    cuda::biasGradient(ops.context(), dy, dbias);
    static_cast<Ops&>(ops).sphereConv2dAngularBackward({}, y, {}, dy, {}, nx, nw, h, r, q, {});
    std::vector<std::vector<std::byte>> bytes;
    for (const Array* a : {&dw, &dbias, &h, &r, &q}) bytes.push_back(a->bytes());
    return bytes;
  };
  for (const DType dtype : kAll) {
    const auto first = run(dtype);
    for (int i = 0; i < 3; ++i) expect(run(dtype) == first, "the same bits in every run");
  }
}

/// Empty batches: sums over nothing are zero.
void checkEmpty(SynchronousOps& ops) {
  Case t;
  t.c = 8;
  t.o = 6;
  t.kh = t.kw = 1;
  t.n = 0;
  for (const DType dtype : kAll) {
    const Array x(dtype, dims({0, 1, 1, 8})), dy(dtype, dims({0, 1, 1, 6}));
    const Array dw(wide(dtype), wShape(t)), dbias(wide(dtype), dims({6}));
    cuda::weightGradient(ops.context(), t.p, x, dy, nullptr, dw);
    cuda::biasGradient(ops.context(), dy, dbias);
    expectNear("no positions", dw, Values(48), 0);
    expectNear("no rows", dbias, Values(6), 0);
  }
}

int run(int argc, char** argv) {
  SynchronousOps ops;
  const auto wanted = [&](std::string_view name) {
    for (int i = 1; i < argc; ++i)
      if (name == argv[i]) return true;
    return argc == 1;
  };
  if (wanted("weights")) checkWeights(ops, 300);
  if (wanted("direction")) checkDirection(ops, 160);
  if (wanted("bias")) checkBias(ops, 24);
  if (wanted("angular")) checkAngular(ops, 160);
  if (wanted("direct")) checkDirect(ops, 120);
  if (wanted("extremes")) checkExtremes(ops);
  if (wanted("large")) checkLargeGradient(ops);
  if (wanted("bits")) checkReproducibility(ops);
  if (wanted("empty")) checkEmpty(ops);
  return report();
}

}  // namespace
}  // namespace spherenet::test

int main(int argc, char** argv) {
  return spherenet::test::run(argc, argv);
}
