// Tests the CPU convolutions against their definitions on random shapes, the vectorised elementary functions
// against float64, and extreme inputs. `--bench` measures instead (see conv_bench.h).
//
//   SPHERENET_SIMD=portable|avx2|avx512 conv_test [--bench]
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "../../native/cpu/cpu_ops.h"
#include "../../native/cpu/parallel.h"
#include "../../native/cpu/simd/kernels.h"
#include "conv_bench.h"
#include "conv_checks.h"

namespace {

using namespace conv_checks;

void testShape(const Case& t) {
  const Values x = randomValues(t.n * t.h * t.w * t.c, 1), w = randomValues(t.o * t.filterSize(), 0.3);
  const Values dy = randomValues(t.positions() * t.o, 1);
  const Values bias = pick(0, 1) ? randomValues(t.o, 1) : Values{};
  const Values k = randomCurvatures(t);
  checkPlain<float>(t, x, w, bias, dy);
  checkPlain<double>(t, x, w, bias, dy);
  checkSphere<float>(t, x, w, k, dy);
  checkSphere<double>(t, x, w, k, dy);
}

void testRandomShapes(int count) {
  for (int i = 0; i < count; ++i) testShape(randomCase());
}

/// What random shapes are too small for: pixels that collide in the first-level cache, blocks that end within
/// images and lines, and the splits among tasks of an image's gradients.
void testLargeShapes() {
  constexpr int kShapes[][10] = {
      {1, 6, 5, 512, 8, 3, 2, 1, 1, 1},     {2, 7, 6, 1024, 40, 2, 1, 1, 2, 2},
      {3, 5, 5, 512, 70, 1, 1, 0, 1, 1},    {2, 9, 9, 64, 40, 1, 2, 0, 1, 1},
      {2, 92, 90, 3, 12, 3, 1, 1, 1, 1},    {1, 131, 129, 6, 4, 3, 1, 1, 1, 2},
      {1, 130, 66, 2, 5, 5, 1, 2, 1, 1},    {1, 90, 160, 3, 3, 7, 2, 3, 1, 1},
      {3, 29, 23, 32, 36, 5, 1, 2, 1, 1},   {5, 19, 21, 24, 70, 3, 2, 1, 1, 1},
      {1, 150, 120, 20, 10, 1, 1, 0, 1, 1}, {4, 33, 17, 48, 34, 3, 1, 0, 2, 1},
  };
  for (const auto& shape : kShapes) testShape(caseOf(shape));
}

/// Zero, parallel and antiparallel vectors at magnitudes from 1e-30 to 1e38: everything stays finite, and far
/// above epsilon the output does not depend on the magnitude.
template <class T>
void testExtremes() {
  for (const double xScale : {0.0, 1e-30, 1e-10, 1.0, 1e10, 1e18, 1e30, 3e37})
    for (const double wScale : {0.0, 1e-30, 1.0, 1e18, 3e37})
      for (int op = 0; op < 4; ++op)
        for (const int64_t kernel : {1, 3}) {
          Case t;
          t.h = t.w = 5;
          t.c = 9;
          t.o = 6;
          t.kh = t.kw = kernel;
          t.p.padTop = t.p.padLeft = static_cast<int32_t>(kernel / 2);
          t.a.op = static_cast<AngularOperator>(op);
          Values w = randomValues(t.o * t.filterSize(), 1), x = randomValues(25 * t.c, 1);
          for (int64_t i = 0; i < t.c; ++i) x[i] = w[i], x[t.c + i] = -w[i], x[2 * t.c + i] = 0;
          const Values dy = randomValues(t.positions() * t.o, 1), k(t.o, 0.3);
          const auto want = reference::run(t, true, x, w, k, {}, dy);
          for (double& e : x) e *= xScale;
          for (double& e : w) e *= wScale;
          const std::vector<int64_t> ys{1, t.oh(), t.ow(), t.o}, rs{1, t.oh(), t.ow(), 1},
              ws{t.o, kernel, kernel, t.c};
          const Array<T> X({1, 5, 5, t.c}, &x), W(ws, &w), DY(ys, &dy), K({t.o}, &k), Y(ys), NX(rs),
              NW({t.o}), H(ys), R(rs), Q({t.o}), DK({t.o}), DX({1, 5, 5, t.c}), DW(ws);
          ops.sphereConv2d(t.p, t.a, X, W, K, Y, NX, NW, {});
          ops.sphereConv2dAngularBackward(t.a, Y, {}, DY, K, NX, NW, H, R, Q, DK);
          ops.sphereConv2dDataGradient(t.p, H, W, X, R, DX);
          ops.sphereConv2dWeightGradient(t.p, X, H, W, Q, NW, DW);
          checkFinite("y", xScale, wScale, Y.values);
          checkFinite("nx", xScale, wScale, NX.values);
          checkFinite("dx", xScale, wScale, DX.values);
          checkFinite("dw", xScale, wScale, DW.values);
          checkFinite("dk", xScale, wScale, DK.values);
          if (xScale >= 1e10 && wScale >= 1e18) {
            // The reference has epsilon; what it changes is within this.
            double worst = 0;
            for (size_t i = 0; i < Y.values.size(); ++i)
              worst = std::max(worst, std::abs(static_cast<double>(Y.values[i]) - want.y[i]));
            ++checks;
            if (!(worst < 0.02))
              ++failures, std::printf("FAIL y of x * %g, w * %g: off by %g\n", xScale, wScale, worst);
          }
        }
}

/// NaN and infinities in the input: outputs show NaN, gradients do not.
void testNotFinite() {
  for (const float bad : {std::nanf(""), INFINITY, -INFINITY}) {
    Case t;
    t.h = t.w = 4;
    t.c = 20;
    t.o = 5;
    t.kh = t.kw = 3;
    t.a.op = AngularOperator::Sigmoid;
    Values x = randomValues(16 * t.c, 1), w = randomValues(t.o * t.filterSize(), 1),
           dy = randomValues(4 * t.o, 1);
    x[7] = static_cast<double>(bad);
    const Array<float> X({1, 4, 4, t.c}, &x), W({t.o, 3, 3, t.c}, &w), DY({1, 2, 2, t.o}, &dy),
        Y({1, 2, 2, t.o}), NX({1, 2, 2, 1}), NW({t.o}), H({1, 2, 2, t.o}), R({1, 2, 2, 1}), Q({t.o}),
        DX({1, 4, 4, t.c}), DW({t.o, 3, 3, t.c});
    ops.sphereConv2d(t.p, t.a, X, W, Tensor{}, Y, NX, NW, {});
    ops.sphereConv2dAngularBackward(t.a, Y, {}, DY, Tensor{}, NX, NW, H, R, Q, Tensor{});
    ops.sphereConv2dDataGradient(t.p, H, W, X, R, DX);
    ops.sphereConv2dWeightGradient(t.p, X, H, W, Q, NW, DW);
    ++checks;
    if (!std::isnan(Y.values[0]) || !std::isfinite(Y.values[t.o]))
      ++failures, std::puts("FAIL NaN in outputs");
    checkFinite("dx", 0, 0, DX.values);
    checkFinite("dw", 0, 0, DW.values);
  }
}

/// Results are the same, bit by bit, on any number of threads.
void testThreads() {
  for (const int64_t groups : {1, 2, 24}) {
    Case t;
    t.n = 3;
    t.h = t.w = 13;
    t.c = 48;
    t.o = 72;
    t.kh = t.kw = 3;
    t.p.groups = static_cast<int32_t>(groups);
    t.a.op = AngularOperator::Sigmoid;
    const Values x = randomValues(t.n * 169 * t.c, 1), w = randomValues(t.o * t.filterSize(), 1),
                 dy = randomValues(t.positions() * t.o, 1), k(1, 0.4);
    std::vector<std::vector<float>> results[2];
    for (const int threads : {1, 3}) {
      cpu::setThreadCount(threads);
      const std::vector<int64_t> ys{t.n, 11, 11, t.o}, rs{t.n, 11, 11, groups},
          ws{t.o, 3, 3, t.groupChannels()};
      const Array<float> X({t.n, 13, 13, t.c}, &x), W(ws, &w), DY(ys, &dy), K({1}, &k), Y(ys), NX(rs),
          NW({t.o}), H(ys), R(rs), Q({t.o}), DK({1}), DX({t.n, 13, 13, t.c}), DW(ws), PW(ws), DB({t.o});
      ops.sphereConv2d(t.p, t.a, X, W, K, Y, NX, NW, {});
      ops.sphereConv2dAngularBackward(t.a, Y, {}, DY, K, NX, NW, H, R, Q, DK);
      ops.sphereConv2dDataGradient(t.p, H, W, X, R, DX);
      ops.sphereConv2dWeightGradient(t.p, X, H, W, Q, NW, DW);
      ops.conv2dWeightGradient(t.p, X, DY, PW, DB);
      for (const auto* a : {&Y, &NX, &H, &R, &Q, &DK, &DX, &DW, &PW, &DB})
        results[threads / 2].push_back(a->values);
    }
    ++checks;
    if (results[0] != results[1]) ++failures, std::puts("FAIL results depend on the number of threads");
  }
}

/// Largest error in ULP of f over every `step`-th float32 between low and high and their negatives.
template <class F>
void testFunction(const char* name, void (*f)(const float*, float*, int64_t), F exact, float low, float high,
                  double allowed, bool second = false) {
  uint32_t first = 0, last = 0;
  std::memcpy(&first, &low, 4);
  std::memcpy(&last, &high, 4);
  constexpr uint32_t kStep = 61;
  std::vector<float> x, y;
  double worst = 0, at = 0;
  const auto flush = [&] {
    y.resize(2 * x.size());
    f(x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = exact(static_cast<double>(x[i]));
      const double got = static_cast<double>(y[second ? x.size() + i : i]);
      int exponent = 0;
      std::frexp(want, &exponent);
      const double error = std::abs(got - want) / std::ldexp(1.0, std::max(exponent - 24, -149));
      if (!(error <= worst)) worst = error, at = static_cast<double>(x[i]);
    }
    x.clear();
  };
  for (uint64_t bits = first; bits <= last; bits += kStep) {
    const uint32_t b = static_cast<uint32_t>(bits);
    float v = 0;
    std::memcpy(&v, &b, 4);
    x.push_back(v);
    if (!second && low == 0) x.push_back(-v);
    if (x.size() >= 4096) flush();
  }
  flush();
  ++checks;
  std::printf("%-6s %.2f ULP at %.9g\n", name, worst, at);
  if (!(worst <= allowed)) ++failures, std::printf("FAIL %s: more than %.2f ULP\n", name, allowed);
}

void testFunctions() {
  const auto& set = *cpu::simd::kernels().single;
  const float halfPi = 1.57079637f;
  testFunction(
      "asin", set.asin, [](double x) { return std::asin(x); }, 0.f, 1.f, 2.4);
  testFunction(
      "tanh", set.tanh, [](double x) { return std::tanh(x); }, 0.f, 100.f, 2.5);
  testFunction(
      "atanh", set.atanh, [](double x) { return std::atanh(x); }, 0.f, 0.99999994f, 3.6);
  testFunction(
      "sin", set.sinCos, [](double x) { return std::sin(x); }, 1e-30f, halfPi, 1.5);
  testFunction(
      "cos", set.sinCos, [](double x) { return std::cos(x); }, 1e-30f, 1.5f, 1.5, true);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::printf("path: %s\n", cpu::simd::simdPath());
    if (argc > 1 && !std::strcmp(argv[1], "--bench")) return runBench(ops);
    testFunctions();
    testRandomShapes(argc > 1 ? std::stoi(argv[1]) : 300);
    testLargeShapes();
    testExtremes<float>();
    testExtremes<double>();
    testNotFinite();
    testThreads();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::printf("%d checks, %d failed\n", checks, failures);
  return failures ? 1 : 0;
}
