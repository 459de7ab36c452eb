// Forward passes and data gradients of the CUDA convolutions on tensor cores, executed on the CPU, against
// float64 loops.
//   conv_test [integers] [sphere] [rescaled] [gradients] [linear] [tiles] [extremes] [other] [cases per
//   group]
#include <cstdio>
#include <cstring>
#include <string_view>

#include "conv_cases.h"
#include "rescaling_checks.h"

namespace spherenet::test {
namespace {

/// transposed conv(h, w) - x box(r); r may be empty.
Values dataGradient(const Case& t, const Values& h, const Values& w, const Values& x, const Values& r) {
  Values dx(static_cast<size_t>(t.n * t.h * t.w * t.c), 0.0);
  const int64_t size = t.filterSize(), groupFilters = t.o / t.p.groups;
  for (int64_t position = 0; position < t.positions(); ++position)
    for (int64_t group = 0; group < t.p.groups; ++group)
      for (int64_t e = 0; e < size; ++e) {
        const int64_t at = t.patchIndex(position, group, e);
        if (at < 0) continue;
        double sum = 0;
        for (int64_t o = group * groupFilters; o < (group + 1) * groupFilters; ++o)
          sum += h[static_cast<size_t>(position * t.o + o)] * w[static_cast<size_t>(o * size + e)];
        if (!r.empty())
          sum -= x[static_cast<size_t>(at)] * r[static_cast<size_t>(position * t.p.groups + group)];
        dx[static_cast<size_t>(at)] += sum;
      }
  return dx;
}

/// Small integers are exact in every type, and so are their sums.
void testIntegers(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    const Case t = randomCase(2000000);
    const Kind& kind = anyKind();
    configure(ops, kind);
    const DType filterType = randomInteger(0, 2) ? kind.dtype : DType::Float32;
    const Array x = integers(kind.dtype, xShape(t)), w = integers(filterType, wShape(t));
    const Array dy = integers(kind.dtype, yShape(t)), bias = integers(DType::Float32, dims({t.o}));
    const bool biased = randomInteger(0, 1) != 0;
    const Array y(kind.dtype, yShape(t)), dx(kind.dtype, xShape(t));
    const auto want =
        reference::run(t, false, valuesOf(x), valuesOf(w), {}, biased ? valuesOf(bias) : Values{},
                       Values(static_cast<size_t>(y.size()), 0.0));
    const Values gradient = dataGradient(t, valuesOf(dy), valuesOf(w), {}, {});
    Ops& o = ops;
    const bool moved = randomInteger(0, 4) == 0;  // views that begin anywhere
    if (moved) {
      const Unaligned ux(x), uw(w), uy(y), udy(dy), udx(dx);
      o.conv2d(t.p, ux.tensor(), uw.tensor(), biased ? bias.tensor() : Tensor{}, uy.tensor());
      o.conv2dDataGradient(t.p, udy.tensor(), uw.tensor(), udx.tensor());
      std::memcpy(y.tensor().data, uy.tensor().data, y.tensor().bytes());
      std::memcpy(dx.tensor().data, udx.tensor().data, dx.tensor().bytes());
    } else {
      o.conv2d(t.p, x, w, biased ? bias.tensor() : Tensor{}, y);
      o.conv2dDataGradient(t.p, dy, w, dx);
    }
    expectEqual("conv2d" + describe(t, kind), y, stored(kind.dtype, yShape(t), want.y));
    expectEqual("conv2dDataGradient" + describe(t, kind), dx, stored(kind.dtype, xShape(t), gradient));
  }
}

/// The error that a cosine of `size` products may have.
double cosineError(const Kind& kind, int64_t size) {
  return 4 * kind.operandError + 1e-6 * (1 + std::sqrt(static_cast<double>(size)) / 16);
}

/// How much g turns an error of the cosine into its own: asin is steep near 1, where its error is of root
/// size.
double angularError(const Case& t, double k, const Kind& kind, int64_t size) {
  double error = cosineError(kind, size);
  if (t.a.op != AngularOperator::Cosine) error = std::sqrt(2 * error) * (size < 12 ? 1 : 0.1) + 2 * error;
  if (t.a.op == AngularOperator::Sigmoid) error *= std::max(1.0, 1 / (2 * k));
  return error + 2 * kind.resultError;
}

void checkSphere(SynchronousOps& ops, const Case& t, const Kind& kind) {
  const DType filterType = randomInteger(0, 2) ? kind.dtype : DType::Float32;
  const Array x = Array::random(kind.dtype, xShape(t)), given = Array::random(filterType, wShape(t));
  const Array w = stored(kind.dtype, wShape(t), valuesOf(given));  // what is multiplied
  const int64_t kSize = t.a.op == AngularOperator::Sigmoid ? randomInteger(0, 2) : 0;
  const Array k = Array::random(DType::Float32, dims({kSize == 2 ? t.o : kSize}), 0.25, 0.9);
  const Array y(kind.dtype, yShape(t)), nx(DType::Float32, rShape(t)), nw(DType::Float32, dims({t.o}));
  static_cast<Ops&>(ops).sphereConv2d(t.p, t.a, x, given, kSize ? k.tensor() : Tensor{}, y, nx, nw, {});
  const auto want = reference::run(t, true, valuesOf(x), valuesOf(w), valuesOf(k), {},
                                   Values(static_cast<size_t>(y.size()), 0.0));
  expectClose("sphereConv2d y" + describe(t, kind), y, want.y, angularError(t, 0.25, kind, t.filterSize()));
  expectClose("sphereConv2d nx" + describe(t, kind), nx, want.nx, 2e-6 + 2 * kind.operandError);
  expectClose("sphereConv2d nw" + describe(t, kind), nw, want.nw, 2e-6 + 2 * kind.operandError);
}

void testSphere(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    const Kind& kind = anyKind();
    configure(ops, kind);
    checkSphere(ops, randomCase(2000000), kind);
  }
}

void checkSphereGradient(SynchronousOps& ops, const Case& t, const Kind& kind) {
  const DType filterType = randomInteger(0, 2) ? kind.dtype : DType::Float32;
  const Array x = Array::random(kind.dtype, xShape(t)), given = Array::random(filterType, wShape(t));
  const Array w = stored(kind.dtype, wShape(t), valuesOf(given));
  const Array h = Array::random(kind.dtype, yShape(t)), r = Array::random(DType::Float32, rShape(t));
  const Array dx(kind.dtype, xShape(t));
  static_cast<Ops&>(ops).sphereConv2dDataGradient(t.p, h, given, x, r, dx);
  const Values want = dataGradient(t, valuesOf(h), valuesOf(w), valuesOf(x), valuesOf(r));
  expectClose("sphereConv2dDataGradient" + describe(t, kind), dx, want,
              kind.resultError + 4 * kind.operandError + 2e-6);
}

void testGradients(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    const Kind& kind = anyKind();
    configure(ops, kind);
    checkSphereGradient(ops, randomCase(2000000), kind);
  }
}

/// SphereLinear: few tiles and a long inner dimension, which many multiprocessors split.
void testLinear(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    Case t;
    t.n = randomInteger(1, 140);
    t.c = 8 * randomInteger(16, 150) + (randomInteger(0, 3) ? 0 : 3);
    t.o = randomInteger(1, 70);
    t.a.op = static_cast<AngularOperator>(randomInteger(0, 3));
    const Kind& kind = anyKind();
    configure(ops, kind);
    if (randomInteger(0, 1)) ops.context().multiprocessors = 132;
    checkSphere(ops, t, kind);
    std::swap(t.c, t.o);
    checkSphereGradient(ops, t, kind);
  }
}

/// Shapes for which one multiprocessor takes each of the wide tiles, whole and with a rest, and more of them
/// split the inner dimension of one.
void testTiles(SynchronousOps& ops) {
  for (const Kind& kind : kKinds)
    for (const int64_t columns : {32, 64, 96, 128, 192, 61, 100}) {
      Case t;
      t.h = randomInteger(17, 23);
      t.w = randomInteger(17, 23);
      t.c = 8 * randomInteger(1, 4);
      t.o = columns;
      t.kh = t.kw = randomInteger(1, 3);
      t.p.padTop = t.p.padLeft = t.p.padRight = 1;
      t.a.op = static_cast<AngularOperator>(randomInteger(0, 3));
      configure(ops, kind);
      ops.context().multiprocessors = 1;
      checkSphere(ops, t, kind);
      std::swap(t.c, t.o);
      checkSphereGradient(ops, t, kind);
      const Array x = integers(kind.dtype, xShape(t)), w = integers(kind.dtype, wShape(t)),
                  y(kind.dtype, yShape(t));
      static_cast<Ops&>(ops).conv2d(t.p, x, w, {}, y);
      const auto want = reference::run(t, false, valuesOf(x), valuesOf(w), {}, {},
                                       Values(static_cast<size_t>(y.size()), 0.0));
      expectEqual("conv2d" + describe(t, kind), y, stored(kind.dtype, yShape(t), want.y));
      if (columns % 32 != 0 || columns > 128) continue;
      t.kh = t.kw = 1;
      t.h = t.w = 14;
      t.c = 2048;
      t.o = columns;
      ops.context().multiprocessors = static_cast<int>(randomInteger(8, 16));
      checkSphere(ops, t, kind);
      std::swap(t.c, t.o);
      checkSphereGradient(ops, t, kind);
    }
}

/// Zero, parallel and antiparallel vectors at all magnitudes: finite, and the angle of vectors far above
/// epsilon does not depend on how long they are.
void testExtremes(SynchronousOps& ops) {
  for (const Kind& kind : kKinds)
    for (const double xScale : {0.0, 1e-30, 1.0, 1e18, 1e30, 3e37})
      for (const double wScale : {0.0, 1e-30, 1.0, 1e18, 3e37})
        for (const int64_t kernel : {1, 3})
          for (const int64_t channels : {9, 32, 1024}) {
            if (kind.dtype == DType::Float16 && std::max(xScale, wScale) > 1) continue;
            if (channels == 1024 && kernel == 3) continue;
            Case t;
            t.h = t.w = 4;
            t.c = channels;
            t.o = 6;
            t.kh = t.kw = kernel;
            t.p.padTop = t.p.padLeft = static_cast<int32_t>(kernel / 2);
            t.a.op = static_cast<AngularOperator>(randomInteger(0, 3));
            t.a.epsilon = randomInteger(0, 1) ? 1e-4 : 0;
            configure(ops, kind);
            const Array w1 = Array::random(kind.dtype, wShape(t), -1, 1);
            const Array x1 = Array::filled(kind.dtype, xShape(t), [&](int64_t i) {
              if (i < t.c) return w1[i];
              if (i < 2 * t.c) return -w1[i - t.c];
              return i < 3 * t.c ? 0.0 : randomNumber(-1, 1);
            });
            const auto scaled = [&](const Array& a, double scale) {
              return Array::filled(kind.dtype, a.shape(), [&](int64_t i) { return a[i] * scale; });
            };
            const Array x = scaled(x1, xScale), w = scaled(w1, wScale);
            const Array y(kind.dtype, yShape(t)), nx(DType::Float32, rShape(t)),
                nw(DType::Float32, dims({t.o}));
            static_cast<Ops&>(ops).sphereConv2d(t.p, t.a, x, w, {}, y, nx, nw, {});
            char text[80];
            std::snprintf(text, sizeof text, " x * %g, w * %g, epsilon %g", xScale, wScale, t.a.epsilon);
            const std::string name = "extremes" + describe(t, kind) + text;
            for (const Array* a : {&y, &nx, &nw}) {
              bool finite = true;
              for (int64_t i = 0; i < a->size(); ++i) finite &= std::isfinite((*a)[i]);
              expect(finite, name + " finite");
            }
            const auto want = reference::run(t, true, valuesOf(x), valuesOf(w), {}, {},
                                             Values(static_cast<size_t>(y.size()), 0.0));
            Values expected = want.y;
            for (double& e : expected) e = std::isnan(e) ? 0 : e;  // two zeros without an epsilon
            // Some vectors are parallel: asin has the root of the cosine's error there.
            const double error = cosineError(kind, t.filterSize());
            const double slack = t.a.op == AngularOperator::Cosine ? error : 2 * std::sqrt(2 * error);
            double worst = 0;
            for (int64_t i = 0; i < y.size(); ++i)
              if (const double e = std::abs(y[i] - expected[static_cast<size_t>(i)]); !(e <= worst))
                worst = e;
            std::snprintf(text, sizeof text, ": off by %g of %g", worst, slack + 2 * kind.resultError);
            expect(worst <= slack + 2 * kind.resultError, name + text);
          }
}

/// NaN and infinities reach what holds them, and nothing else; gradients pass them over.
void testNotFinite(SynchronousOps& ops) {
  for (const Kind& kind : kKinds)
    for (const double bad : {kNan, kInfinity, -kInfinity})
      for (const int64_t channels : {20, 32}) {
        Case t;
        t.h = t.w = 4;
        t.c = channels;
        t.o = 5;
        t.kh = t.kw = 3;
        t.a.op = AngularOperator::Sigmoid;
        configure(ops, kind);
        const Array x = Array::random(kind.dtype, xShape(t)), w = Array::random(kind.dtype, wShape(t));
        const Array broken =
            Array::filled(kind.dtype, xShape(t), [&](int64_t i) { return i == 7 ? bad : x[i]; });
        const Array filters =
            Array::filled(kind.dtype, wShape(t), [&](int64_t i) { return i == 7 ? bad : w[i]; });
        const Array y(kind.dtype, yShape(t)), nx(DType::Float32, rShape(t)), nw(DType::Float32, dims({t.o}));
        Ops& o = ops;
        const std::string name = describe(t, kind);
        o.sphereConv2d(t.p, t.a, broken, w, {}, y, nx, nw, {});
        for (int64_t i = 0; i < y.size(); ++i)
          expect(std::isnan(y[i]) == (i < t.o), "NaN in a patch stays there" + name);
        o.sphereConv2d(t.p, t.a, x, filters, {}, y, nx, nw, {});
        for (int64_t i = 0; i < y.size(); ++i)
          expect(std::isnan(y[i]) == (i % t.o == 0), "NaN in a filter stays there" + name);
        const Array plain(kind.dtype, yShape(t));
        o.conv2d(t.p, broken, w, {}, plain);
        for (int64_t i = 0; i < y.size(); ++i)
          expect(std::isfinite(plain[i]) == (i >= t.o), "conv2d of " + std::to_string(bad) + name);
        const Array h = Array::random(kind.dtype, yShape(t)), r = Array::random(DType::Float32, rShape(t));
        const Array dx(kind.dtype, xShape(t));
        o.sphereConv2dDataGradient(t.p, h, filters, broken, r, dx);
        expectFinite("data gradient" + name, dx);
      }
}

/// An empty batch has no outputs, but its filters have norms.
void testEmptyBatch(SynchronousOps& ops) {
  for (const Kind& kind : kKinds) {
    Case t;
    t.h = t.w = 4;
    t.c = t.o = 16;
    t.kh = t.kw = 3;
    configure(ops, kind);
    const Array w = Array::random(kind.dtype, wShape(t));
    Dims none = xShape(t), noOutputs = yShape(t), noNorms = rShape(t);
    none[0] = noOutputs[0] = noNorms[0] = 0;
    const Array one(kind.dtype, dims({16})), nw(DType::Float32, dims({t.o}));
    const Tensor x{one.tensor().data, kind.dtype, none}, y{one.tensor().data, kind.dtype, noOutputs};
    const Tensor nx{one.tensor().data, DType::Float32, noNorms};
    Ops& o = ops;
    o.sphereConv2dRescaled(t.p, t.a, true, 0, x, w, {}, {}, {}, {}, {}, y, nx, nw, {}, y);
    o.conv2d(t.p, x, w, {}, y);
    o.conv2dDataGradient(t.p, y, w, x);
    const Case whole = t;
    const auto want = reference::run(whole, true, Values(static_cast<size_t>(16 * t.c), 1.0), valuesOf(w), {},
                                     {}, Values(static_cast<size_t>(4 * t.o), 0.0));
    expectClose("nw of an empty batch " + std::string(kind.name), nw, want.nw, 2e-6 + 2 * kind.operandError);
  }
}

int run(int argc, char** argv) {
  SynchronousOps ops;
  int count = 100;
  const auto isWanted = [&](std::string_view name) {
    bool any = false;
    for (int i = 1; i < argc; ++i) {
      if (std::isdigit(static_cast<unsigned char>(argv[i][0]))) continue;
      any = true;
      if (name == argv[i]) return true;
    }
    return !any;
  };
  for (int i = 1; i < argc; ++i)
    if (std::isdigit(static_cast<unsigned char>(argv[i][0]))) count = std::atoi(argv[i]);
  if (isWanted("integers")) testIntegers(ops, count);
  if (isWanted("sphere")) testSphere(ops, count);
  if (isWanted("rescaled")) {
    checkRescaled(ops, 2 * count);
    checkRescaledExtremes(ops);
  }
  if (isWanted("gradients")) testGradients(ops, count);
  if (isWanted("linear")) testLinear(ops, count / 4);
  if (isWanted("tiles")) testTiles(ops);
  if (isWanted("extremes")) testExtremes(ops);
  if (isWanted("other")) {
    testNotFinite(ops);
    testEmptyBatch(ops);
  }
  std::printf("%lld passed, %lld failed\n", static_cast<long long>(counts().passed),
              static_cast<long long>(counts().failed));
  return counts().failed > 0 ? 1 : 0;
}

}  // namespace
}  // namespace spherenet::test

int main(int argc, char** argv) {
  try {
    return spherenet::test::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
