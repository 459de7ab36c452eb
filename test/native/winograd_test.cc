// Tests Winograd's algorithm wherever it is possible: every pass on random and on awkward shapes against the
// definitions, its error against float64, that results do not depend on the threads, and what is computed
// directly instead.
#include "../../native/cpu/winograd.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "../../native/cpu/parallel.h"
#include "../../native/cpu/simd/kernels.h"
#include "conv_checks.h"

namespace {

using namespace conv_checks;
using cpu::WinogradUse;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(),
                kInfinity = std::numeric_limits<float>::infinity();

void expect(bool condition, const std::string& what) {
  ++checks;
  if (!condition) ++failures, std::printf("FAIL %s\n", what.c_str());
}

Case shape(int64_t n, int64_t h, int64_t w, int64_t c, int64_t o, int32_t pad,
           AngularOperator op = AngularOperator::Cosine) {
  Case t;
  t.n = n, t.h = h, t.w = w, t.c = c, t.o = o;
  t.kh = t.kw = 3;
  t.p.padTop = t.p.padBottom = t.p.padLeft = t.p.padRight = pad;
  t.a.op = op;
  t.a.k = 0.3;
  return t;
}

struct Inputs {
  Values x, w, dy;

  explicit Inputs(const Case& t)
      : x(randomValues(t.n * t.h * t.w * t.c, 1)),
        w(randomValues(t.o * t.filterSize(), 0.3)),
        dy(randomValues(t.positions() * t.o, 1)) {}
};

/// Every float32 result of a case, plain (p) and SphereConv.
struct Results {
  std::vector<float> py, pdx, pdw, y, nx, dx, dw;

  Results(const Case& t, const Inputs& in, WinogradUse use) {
    cpu::setWinogradUse(use);
    const std::vector<int64_t> xs{t.n, t.h, t.w, t.c}, ws{t.o, 3, 3, t.c}, ys{t.n, t.oh(), t.ow(), t.o},
        rs{t.n, t.oh(), t.ow(), 1};
    const Array<float> X(xs, &in.x), W(ws, &in.w), DY(ys, &in.dy), PY(ys), PDX(xs), PDW(ws), DB({t.o}), Y(ys),
        NX(rs), NW({t.o}), H(ys), R(rs), Q({t.o}), DX(xs), DW(ws);
    ops.conv2d(t.p, X, W, {}, PY);
    ops.conv2dDataGradient(t.p, DY, W, PDX);
    ops.conv2dWeightGradient(t.p, X, DY, PDW, DB);
    ops.sphereConv2d(t.p, t.a, X, W, {}, Y, NX, NW, {});
    ops.sphereConv2dAngularBackward(t.a, Y, {}, DY, {}, NX, NW, H, R, Q, {});
    ops.sphereConv2dDataGradient(t.p, H, W, X, R, DX);
    ops.sphereConv2dWeightGradient(t.p, X, H, W, Q, NW, DW);
    py = PY.values, pdx = PDX.values, pdw = PDW.values;
    y = Y.values, nx = NX.values, dx = DX.values, dw = DW.values;
  }

  std::vector<const std::vector<float>*> all() const { return {&py, &pdx, &pdw, &y, &nx, &dx, &dw}; }
};

const char* const kNames[] = {"y", "dx", "dw", "sphere y", "nx", "sphere dx", "sphere dw"};

bool sameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

double largestDifference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 1e-30, worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return worst / largest;
}

void checkBothWays(const Case& t) {
  const Inputs in(t);
  const Values bias = pick(0, 1) ? randomValues(t.o, 1) : Values{};
  const Values k = t.a.op == AngularOperator::Sigmoid && pick(0, 1) ? Values(t.o, 0.5) : Values{};
  for (const WinogradUse use : {WinogradUse::WherePossible, WinogradUse::Never}) {
    cpu::setWinogradUse(use);
    checkPlain<float>(t, in.x, in.w, bias, in.dy);
    checkSphere<float>(t, in.x, in.w, k, in.dy);
  }
}

void testShapes() {
  for (const auto& [h, w] : {std::pair{1, 1}, {1, 9}, {3, 3}, {4, 4}, {5, 7}, {7, 7}, {8, 8}, {9, 13}})
    for (const int64_t c : {1, 3, 16, 17, 64})
      for (const int32_t pad : {0, 1, 2})
        if (h + 2 * pad >= 3 && w + 2 * pad >= 3)
          checkBothWays(shape(2, h, w, c, pick(1, 70), pad, static_cast<AngularOperator>(pick(0, 3))));
  for (int i = 0; i < 60; ++i) {
    Case t = shape(pick(1, 4), pick(1, 14), pick(1, 14), pick(1, 100), pick(1, 100), 0,
                   static_cast<AngularOperator>(pick(0, 3)));
    for (int32_t* pad : {&t.p.padTop, &t.p.padBottom, &t.p.padLeft, &t.p.padRight})
      *pad = static_cast<int32_t>(pick(0, 4));
    if (t.h + t.p.padTop + t.p.padBottom >= 3 && t.w + t.p.padLeft + t.p.padRight >= 3) checkBothWays(t);
  }
}

/// Root mean square and largest error, relative to the root mean square and the largest of the exact values.
struct Error {
  double mean = 0, largest = 0;

  Error(const std::vector<float>& got, const Values& want) {
    double squares = 0, all = 0, most = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const double difference = static_cast<double>(got[i]) - want[i];
      squares += difference * difference;
      all += want[i] * want[i];
      largest = std::max(largest, std::abs(difference));
      most = std::max(most, std::abs(want[i]));
    }
    mean = std::sqrt(squares / all);
    largest /= most;
  }
};

/// The bounds that winograd.h states.
void testError() {
  std::puts("channels: root mean square and largest error of y, dx and dw; the same of the direct product");
  for (const int64_t channels : {16, 64, 256, 512}) {
    const Case t = shape(2, 12, 12, channels, 16, 1), back = shape(2, 12, 12, 16, channels, 1);
    const Inputs in(t), backIn(back);
    const auto want = reference::run(t, false, in.x, in.w, {}, {}, in.dy);
    const auto backWant = reference::run(back, false, backIn.x, backIn.w, {}, {}, backIn.dy);
    std::printf("%4d:", static_cast<int>(channels));
    for (const WinogradUse use : {WinogradUse::WherePossible, WinogradUse::Never}) {
      const Results got(t, in, use), backGot(back, backIn, use);
      for (const Error error :
           {Error(got.py, want.y), Error(backGot.pdx, backWant.dx), Error(got.pdw, want.dw)}) {
        std::printf("  %.1e %.1e", error.mean, error.largest);
        expect(error.mean < 2e-7 * std::sqrt(static_cast<double>(channels)) && error.largest < 5e-6,
               "error with " + std::to_string(channels) + " channels");
      }
    }
    std::puts("");
  }
}

/// Results are the same, bit by bit, on any number of threads.
void testThreads() {
  for (const Case& t : {shape(3, 13, 11, 48, 72, 1, AngularOperator::Sigmoid), shape(9, 20, 20, 40, 33, 0)}) {
    const Inputs in(t);
    const int threads = cpu::threadCount();
    cpu::setThreadCount(1);
    const Results one(t, in, WinogradUse::WherePossible);
    for (const int count : {2, 3, 7}) {
      cpu::setThreadCount(count);
      const Results more(t, in, WinogradUse::WherePossible);
      for (size_t i = 0; i < one.all().size(); ++i)
        expect(sameBits(*one.all()[i], *more.all()[i]),
               std::string(kNames[i]) + " depends on the number of threads");
    }
    cpu::setThreadCount(threads);
  }
}

/// What is not finite is so in the same places as in a direct product, and the rest is as near as ever.
void testNotFinite() {
  const Case t = shape(2, 9, 10, 20, 18, 1, AngularOperator::Sigmoid);
  for (const float bad : {kNan, kInfinity, -kInfinity, 3e38f})
    for (Values Inputs::*where : {&Inputs::x, &Inputs::w, &Inputs::dy}) {
      Inputs in(t);
      (in.*where)[203] = static_cast<double>(bad);
      const Results got(t, in, WinogradUse::WherePossible), direct(t, in, WinogradUse::Never);
      for (size_t i = 0; i < got.all().size(); ++i) {
        const auto &a = *got.all()[i], &b = *direct.all()[i];
        const std::string what = std::string(kNames[i]) + " with " + std::to_string(bad);
        std::vector<float> finite, expected;
        bool same = true;
        for (size_t j = 0; j < a.size(); ++j) {
          same = same && std::isfinite(a[j]) == std::isfinite(b[j]);
          if (!std::isfinite(a[j]) || !std::isfinite(b[j])) continue;
          finite.push_back(a[j]);
          expected.push_back(b[j]);
        }
        expect(same, what + ": not finite in other places");
        expect(largestDifference(finite, expected) < 1e-4, what + ": differs from the direct product");
      }
    }
}

/// Results do not depend on the magnitudes of images and filters as long as a direct product does not.
void testMagnitudes() {
  const Case t = shape(1, 9, 9, 24, 20, 1, AngularOperator::Linear);
  for (const double xScale : {0.0, 1e-38, 1e-25, 1e-10, 1e10, 1e19, 1e30, 3e37})
    for (const double wScale : {0.0, 1e-38, 1e-25, 1.0, 1e19, 3e37}) {
      Inputs in(t);
      for (double& e : in.x) e *= xScale;
      for (double& e : in.w) e *= wScale;
      const Results got(t, in, WinogradUse::WherePossible), direct(t, in, WinogradUse::Never);
      for (const auto& [name, a, b] : {std::tuple{"sphere y", &got.y, &direct.y},
                                       {"nx", &got.nx, &direct.nx},
                                       {"sphere dx", &got.dx, &direct.dx},
                                       {"sphere dw", &got.dw, &direct.dw}}) {
        const double error = largestDifference(*a, *b);
        char text[120];
        std::snprintf(text, sizeof text, "%s of x * %g, w * %g: off by %g", name, xScale, wScale, error);
        expect(error < 1e-4, text);
      }
    }
}

/// Rows and columns of the output, of which there are 4x4 a tile, that have the bits of the direct product.
std::vector<bool> directTiles(const Case& t, const std::vector<float>& got,
                              const std::vector<float>& direct) {
  const int64_t th = (t.oh() + 3) / 4, tw = (t.ow() + 3) / 4;
  std::vector<bool> same(th * tw, true);
  for (size_t i = 0; i < got.size(); ++i) {
    const int64_t column = static_cast<int64_t>(i) / t.o % t.ow(),
                  row = static_cast<int64_t>(i) / t.o / t.ow();
    if (std::memcmp(&got[i], &direct[i], sizeof(float)) != 0) same[row / 4 * tw + column / 4] = false;
  }
  return same;
}

/// One image of 12 x 12 outputs (3 x 3 tiles), whose pixels `change` alters; the tiles listed, and no other,
/// have to be computed directly by SphereConv.
void checkDirect(const char* what, const Case& t, const std::vector<int>& tiles,
                 const std::function<void(Inputs&)>& change) {
  Inputs in(t);
  change(in);
  const Results got(t, in, WinogradUse::WherePossible), direct(t, in, WinogradUse::Never);
  const std::vector<bool> same = directTiles(t, got.y, direct.y);
  for (int tile = 0; tile < static_cast<int>(same.size()); ++tile) {
    const bool wanted = std::find(tiles.begin(), tiles.end(), tile) != tiles.end();
    expect(same[tile] == wanted, std::string(what) + ": tile " + std::to_string(tile) +
                                     (wanted ? " is not computed directly" : " is computed directly"));
  }
  expect(largestDifference(got.y, direct.y) < 1e-5, std::string(what) + ": y");
  expect(largestDifference(got.dx, direct.dx) < 1e-4, std::string(what) + ": dx");
  expect(largestDifference(got.dw, direct.dw) < 2e-5, std::string(what) + ": dw");
}

void testDirectTiles() {
  const Case t = shape(1, 14, 14, 20, 40, 0, AngularOperator::Sigmoid);
  const auto pixel = [&](Inputs& in, int64_t i, int64_t j) { return in.x.begin() + (i * t.w + j) * t.c; };
  const auto scalePixel = [&](Inputs& in, int64_t i, int64_t j, double factor) {
    for (int64_t c = 0; c < t.c; ++c) pixel(in, i, j)[c] *= factor;
  };
  checkDirect("ordinary pixels", t, {}, [](Inputs&) {});
  // A corner of tile 4, whose 6x6 inputs are rows and columns 4 to 9, is in one of its patches.
  checkDirect("a pixel of seven times the norm", t, {}, [&](Inputs& in) { scalePixel(in, 6, 6, 7); });
  checkDirect("a pixel of forty times the norm", t, {4}, [&](Inputs& in) { scalePixel(in, 6, 6, 40); });
  checkDirect("a pixel that four tiles share", t, {0, 1, 3, 4},
              [&](Inputs& in) { scalePixel(in, 4, 5, 1e6); });
  checkDirect("a patch of zeros", t, {8}, [&](Inputs& in) {
    for (int64_t i = 11; i < 14; ++i)
      for (int64_t j = 11; j < 14; ++j) scalePixel(in, i, j, 0);
  });
  checkDirect("a patch of next to nothing", t, {8}, [&](Inputs& in) {
    for (int64_t i = 11; i < 14; ++i)
      for (int64_t j = 11; j < 14; ++j) scalePixel(in, i, j, 1e-5);
  });
  checkDirect("a filter that is not finite", t, {0, 1, 2, 3, 4, 5, 6, 7, 8},
              [](Inputs& in) { in.w[100] = static_cast<double>(kInfinity); });
}

/// Where patch and filter are parallel, and asin magnifies the error of the cosine without bound, the cosine
/// is as precise as elsewhere, also beside pixels that are as large as the rules allow.
void testParallel() {
  for (const int64_t c : {3, 16, 64, 256})
    for (const double around : {0.2, 1.0, 4.2}) {
      Case t = shape(1, 6, 6, c, 16, 0);
      t.a.epsilon = 1e-12;
      Inputs in(t);
      for (double& e : in.x) e = static_cast<double>(static_cast<float>(0.3 * around * e));
      for (int64_t tap = 0; tap < 9; ++tap)
        std::copy_n(in.w.begin() + (5 * 9 + tap) * c, c,
                    in.x.begin() + ((1 + tap / 3) * 6 + 1 + tap % 3) * c);
      const auto want = reference::run(t, true, in.x, in.w, {}, {}, in.dy);
      const Results got(t, in, WinogradUse::WherePossible), direct(t, in, WinogradUse::Never);
      expect(std::abs(want.y[5 * 16 + 5] - 1) < 1e-6, "a patch is parallel to a filter");
      expect(!sameBits(got.y, direct.y), "a tile with a parallel patch is transformed");
      for (size_t i = 0; i < want.y.size(); ++i)
        if (!(std::abs(static_cast<double>(got.y[i]) - want.y[i]) < 1.5e-6)) {
          expect(false, "cosine " + std::to_string(i) + " with " + std::to_string(c) + " channels");
          break;
        }
    }
}

/// Where it pays is a matter of the shape.
void testChoice() {
  cpu::setWinogradUse(WinogradUse::WhereItPays);
  const auto uses = [](const Case& t) {
    return cpu::usesWinograd(t.p, {t.p,
                                   {4, {t.n, t.h, t.w, t.c}},
                                   {4, {t.o, t.kh, t.kw, t.groupChannels()}},
                                   {4, {t.n, t.oh(), t.ow(), t.o}}});
  };
  expect(uses(shape(64, 32, 32, 64, 64, 1)), "64x64x32x32->64 pays");
  expect(uses(shape(8, 7, 7, 512, 512, 1)), "8x512x7x7->512 pays");
  expect(!uses(shape(64, 32, 32, 3, 64, 1)), "3 channels do not pay");
  expect(!uses(shape(64, 1, 1, 64, 64, 1)), "1x1 maps do not pay");
  for (int32_t Conv2dParams::*other :
       {&Conv2dParams::strideH, &Conv2dParams::strideW, &Conv2dParams::dilationH, &Conv2dParams::dilationW,
        &Conv2dParams::groups}) {
    Case t = shape(64, 32, 32, 64, 64, 1);
    t.p.*other = 2;
    cpu::setWinogradUse(WinogradUse::WherePossible);
    expect(!uses(t), "strides, dilations and groups keep the direct product");
  }
}

}  // namespace

int main() {
  try {
    std::printf("path: %s\n", cpu::simd::simdPath());
    testShapes();
    testError();
    testThreads();
    testNotFinite();
    testMagnitudes();
    testDirectTiles();
    testParallel();
    testChoice();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::printf("%d checks, %d failed\n", checks, failures);
  return failures ? 1 : 0;
}
