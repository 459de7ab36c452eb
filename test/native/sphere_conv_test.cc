// Tests what follows SphereConv's angles in one pass, sphereConv2dRescaled, and the gradient of its filters
// alone, sphereConv2dFilterBackward, against their definitions in float64; extreme inputs; and that results
// do not depend on the threads.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../../native/cpu/parallel.h"
#include "../../native/cpu/simd/kernels.h"
#include "../../native/cpu/winograd.h"
#include "conv_checks.h"

namespace {

using namespace conv_checks;

/// What follows the angles: nothing, gamma y + beta, or that of normalised y; and a ReLU.
enum class Rescale { None, Affine, Statistics };
struct After {
  Rescale rescale;
  bool relu;
};
constexpr After kAll[] = {{Rescale::None, false},  {Rescale::None, true},        {Rescale::Affine, false},
                          {Rescale::Affine, true}, {Rescale::Statistics, false}, {Rescale::Statistics, true}};
constexpr double kNormEpsilon = 1e-3;

/// Constants of each filter; those that are not used are 0, 1.
struct Channels {
  Values gamma, beta, mean, variance;

  Channels(const After& after, int64_t filters)
      : gamma(filters, 1), beta(filters, 0), mean(filters, 0), variance(filters, 1 - kNormEpsilon) {
    if (after.rescale == Rescale::None) return;
    gamma = randomValues(filters, 1), beta = randomValues(filters, 0.3);
    if (after.rescale != Rescale::Statistics) return;
    mean = randomValues(filters, 0.1);
    for (double& v : variance) v = static_cast<double>(0.02f * static_cast<float>(pick(1, 20)));
  }

  double invStd(int64_t filter) const { return 1 / std::sqrt(variance[filter] + kNormEpsilon); }
  /// What the ReLU sees of y.
  double before(double y, int64_t filter) const {
    return gamma[filter] * (y - mean[filter]) * invStd(filter) + beta[filter];
  }
};

struct Inputs {
  Values x, w, k, dz;

  explicit Inputs(const Case& t)
      : x(randomValues(t.n * t.h * t.w * t.c, 1)),
        w(randomValues(t.o * t.filterSize(), 0.3)),
        k(randomCurvatures(t)),
        dz(randomValues(t.positions() * t.o, 1)) {}
};

template <class T>
struct Shapes {
  std::vector<int64_t> x, w, y, r, k;

  Shapes(const Case& t, const Inputs& in)
      : x{t.n, t.h, t.w, t.c},
        w{t.o, t.kh, t.kw, t.groupChannels()},
        y{t.n, t.oh(), t.ow(), t.o},
        r{t.n, t.oh(), t.ow(), t.p.groups},
        k{static_cast<int64_t>(in.k.size())} {}
};

/// z of one call; y and c are given where the caller wants them.
template <class T>
std::vector<T> rescaled(const Case& t, const Inputs& in, const After& after, const Channels& of,
                        std::vector<T>* kept, bool keepsCosines) {
  const Shapes<T> shape(t, in);
  const Array<T> X(shape.x, &in.x), W(shape.w, &in.w), K(shape.k, &in.k), Y(shape.y), Z(shape.y), C(shape.y),
      NX(shape.r), NW({t.o}), gamma({t.o}, &of.gamma), beta({t.o}, &of.beta), mean({t.o}, &of.mean),
      variance({t.o}, &of.variance);
  const bool affine = after.rescale != Rescale::None, statistics = after.rescale == Rescale::Statistics;
  const auto given = [](bool is, const Array<T>& a) { return is ? a.tensor : Tensor{}; };
  ops.sphereConv2dRescaled(t.p, t.a, after.relu, kNormEpsilon, X, W, given(!in.k.empty(), K),
                           given(affine, gamma), given(affine, beta), given(statistics, mean),
                           given(statistics, variance), given(kept != nullptr, Y), NX, NW,
                           given(keepsCosines, C), Z);
  if (kept) *kept = Y.values;
  return Z.values;
}

/// `y`: the angles by definition.
template <class T>
void checkRescaled(const Case& t, const Inputs& in, const After& after, const Values& y) {
  const Channels of(after, t.o);
  Values z(y.size());
  for (size_t i = 0; i < y.size(); ++i) {
    z[i] = of.before(y[i], static_cast<int64_t>(i) % t.o);
    if (after.relu && z[i] < 0) z[i] = 0;
  }
  std::vector<T> kept;
  const bool keeps = pick(0, 1);
  const auto got = rescaled<T>(t, in, after, of, keeps ? &kept : nullptr, sizeof(T) == 8 && pick(0, 1));
  compare("rescaled z", t, got, z);
  if (keeps) compare("rescaled y", t, kept, y);
}

/// The gradient of the angles, and of gamma and beta, from dz. Of a ReLU whose input is within the rounding
/// of 0, dz becomes 0, as it may open or not.
struct AngleGradient {
  Values dy, dgamma, dbeta, mean, invStd;

  AngleGradient(const Case& t, const Values& y, Values& dz, const After& after, Channels& of)
      : dy(y.size()), dgamma(t.o), dbeta(t.o), mean(t.o), invStd(t.o, 1) {
    const double rows = static_cast<double>(t.positions());
    const bool statistics = after.rescale == Rescale::Statistics;
    for (int64_t o = 0; o < t.o; ++o) {
      const auto sum = [&](const auto& of) {
        double total = 0;
        for (int64_t i = o; i < static_cast<int64_t>(y.size()); i += t.o) total += of(i);
        return total;
      };
      if (statistics) {
        of.mean[o] = mean[o] = sum([&](int64_t i) { return y[i]; }) / rows;
        of.variance[o] = sum([&](int64_t i) { return (y[i] - mean[o]) * (y[i] - mean[o]); }) / rows;
        invStd[o] = of.invStd(o);
      }
      const auto normal = [&](int64_t i) { return (y[i] - mean[o]) * invStd[o]; };
      for (int64_t i = o; i < static_cast<int64_t>(y.size()); i += t.o) {
        const double before = of.before(y[i], o);
        if (after.relu && std::abs(before) < 1e-4) dz[i] = 0;
        dy[i] = after.relu && before < 0 ? 0 : dz[i];
      }
      dbeta[o] = sum([&](int64_t i) { return dy[i]; });
      dgamma[o] = sum([&](int64_t i) { return dy[i] * normal(i); });
      for (int64_t i = o; i < static_cast<int64_t>(y.size()); i += t.o) {
        if (statistics) dy[i] -= dbeta[o] / rows + normal(i) * dgamma[o] / rows;
        dy[i] *= of.gamma[o] * invStd[o];
      }
    }
  }
};

template <class T>
struct FilterGradient {
  std::vector<T> dw, dk, dgamma, dbeta;

  FilterGradient(const Case& t, const Inputs& in, const After& after, const Channels& of, const Values& mean,
                 const Values& invStd, bool keepsCosines = false) {
    const Shapes<T> shape(t, in);
    const Array<T> X(shape.x, &in.x), W(shape.w, &in.w), K(shape.k, &in.k), DZ(shape.y, &in.dz), Y(shape.y),
        C(shape.y), NX(shape.r), NW({t.o}), gamma({t.o}, &of.gamma), beta({t.o}, &of.beta), M({t.o}, &mean),
        S({t.o}, &invStd), DW(shape.w), DK(shape.k), DG({t.o}), DB({t.o});
    const auto given = [](bool is, const Array<T>& a) { return is ? a.tensor : Tensor{}; };
    const bool affine = after.rescale != Rescale::None, statistics = after.rescale == Rescale::Statistics,
               curved = !in.k.empty();
    const Tensor c = given(keepsCosines, C), k = given(curved, K);
    ops.sphereConv2d(t.p, t.a, X, W, k, Y, NX, NW, c);
    ops.sphereConv2dFilterBackward(t.p, t.a, after.relu, X, W, Y, c, k, NX, NW, given(affine, gamma),
                                   given(affine, beta), given(statistics, M), given(statistics, S), DZ, DW,
                                   given(curved, DK), given(affine, DG), given(affine, DB));
    dw = DW.values, dk = DK.values, dgamma = DG.values, dbeta = DB.values;
  }
};

template <class T>
void checkFilterBackward(const Case& t, const Inputs& in, const After& after, const Channels& of,
                         const AngleGradient& given, const reference::Result& want) {
  const FilterGradient<T> got(t, in, after, of, given.mean, given.invStd, sizeof(T) == 8 && pick(0, 1));
  // As in checkSphere(): few elements of a filter make c near 1, where slopes are steep.
  const int64_t elements = t.groupChannels() * std::min(t.kh, t.h) * std::min(t.kw, t.w);
  const bool ill = sizeof(T) == 4 && elements < 6;
  // What batch normalisation divides by may be small beside y.
  const double factor = (ill ? 500 : 1) * (after.rescale == Rescale::Statistics ? 10 : 1);
  compare("filter dw", t, got.dw, want.dw, factor);
  if (!in.k.empty()) compare("filter dk", t, got.dk, want.dk, factor);
  if (after.rescale == Rescale::None) return;
  compare("filter dgamma", t, got.dgamma, given.dgamma, factor);
  compare("filter dbeta", t, got.dbeta, given.dbeta, factor);
}

void testInputs(const Case& t, Inputs in, const After& after) {
  const Values y = reference::run(t, true, in.x, in.w, in.k, {}, in.dz).y;
  checkRescaled<float>(t, in, after, y);
  checkRescaled<double>(t, in, after, y);
  Channels of(after, t.o);
  const AngleGradient given(t, y, in.dz, after, of);
  const auto want = reference::run(t, true, in.x, in.w, in.k, {}, given.dy);
  checkFilterBackward<float>(t, in, after, of, given, want);
  checkFilterBackward<double>(t, in, after, of, given, want);
}

void testShape(const Case& t, const After& after) {
  testInputs(t, Inputs(t), after);
}

void testRandomShapes(int count) {
  for (int i = 0; i < count; ++i) testShape(randomCase(), kAll[i % 6]);
}

/// First layers, whose tasks share positions: images' channels, strides, dilations, groups, filters in few
/// and in many panels, rows of h in one and in several blocks; and where not, several blocks of images:
/// Winograd's algorithm and tiny groups.
constexpr int kLargeShapes[][10] = {
    {2, 92, 90, 3, 12, 3, 1, 1, 1, 1},     {1, 131, 129, 6, 4, 3, 1, 1, 1, 2},
    {1, 260, 259, 3, 5, 7, 2, 3, 1, 1},    {1, 150, 120, 20, 10, 1, 1, 0, 1, 1},
    {1, 132, 131, 16, 6, 3, 1, 2, 2, 1},   {1, 130, 130, 1, 100, 3, 1, 1, 1, 1},
    {1, 130, 129, 16, 16, 2, 1, 0, 1, 4},  {5, 66, 66, 5, 64, 3, 1, 1, 1, 1},
    {3, 131, 129, 32, 32, 3, 1, 1, 1, 32}, {33, 23, 23, 2, 300, 2, 1, 0, 1, 1},
};

void testLargeShapes() {
  int i = 0;
  for (const auto& shape : kLargeShapes) {
    Case t = caseOf(shape);
    testShape(t, kAll[++i % 6]);
    t.a.op = AngularOperator::Sigmoid;
    Inputs in(t);
    in.k = Values(i % 2 ? 1 : t.o, 0.375);
    testInputs(t, in, kAll[5 * i % 6]);
  }
}

/// Winograd's algorithm wherever it is possible, with every epilogue.
void testWinograd() {
  cpu::setWinogradUse(cpu::WinogradUse::WherePossible);
  for (const After& after : kAll)
    for (const auto& shape :
         {caseOf({2, 9, 13, 17, 37, 3, 1, 1, 1, 1}), caseOf({1, 4, 4, 3, 5, 3, 1, 0, 1, 1}),
          caseOf({2, 5, 7, 64, 70, 3, 1, 2, 1, 1})})
      testShape(shape, after);
  cpu::setWinogradUse(cpu::WinogradUse::WhereItPays);
}

/// Pixels that are huge, infinite or NaN: what follows the angles is the same as op after op; NaN stays NaN,
/// ReLU or not; nothing of it is in the gradient.
void testExtremes() {
  for (const float pixel : {1e20f, -3e38f, INFINITY, -INFINITY, std::nanf("")})
    for (const auto& shape :
         {caseOf({1, 9, 9, 20, 33, 3, 1, 1, 1, 1}), caseOf({1, 8, 9, 12, 12, 3, 1, 1, 1, 12}),
          caseOf({1, 140, 120, 3, 5, 3, 1, 1, 1, 1})})
      for (const After& after : kAll) {
        Case t = shape;
        Inputs in(t);
        in.x[t.c * 40 + 1] = static_cast<double>(pixel);
        const Channels of(after, t.o);
        std::vector<float> y;
        const auto together = rescaled<float>(t, in, after, of, nullptr, false);
        const auto apart = rescaled<float>(t, in, after, of, &y, false);
        bool same = true, isNan = false;
        for (size_t i = 0; i < y.size(); ++i) {
          if (std::isnan(y[i])) isNan = true;
          same = same &&
                 (std::isnan(y[i]) ? std::isnan(together[i]) && std::isnan(apart[i])
                                   : std::abs(together[i] - apart[i]) <= 1e-5f * (1 + std::abs(apart[i])));
        }
        ++checks;
        if (!same || isNan == std::isfinite(pixel))
          ++failures, std::printf("FAIL a pixel of %g: what follows the angles, %s\n", double(pixel),
                                  describe(t).c_str());
        const Values mean(t.o, 0.01), invStd(t.o, 2);
        if (after.rescale == Rescale::Statistics && !std::isfinite(pixel)) continue;  // NaN everywhere
        const FilterGradient<float> gradient(t, in, after, of, mean, invStd);
        checkFinite("filter dw", static_cast<double>(pixel), 1, gradient.dw);
        if (!in.k.empty()) checkFinite("filter dk", static_cast<double>(pixel), 1, gradient.dk);
      }
}

bool sameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || !std::memcmp(a.data(), b.data(), a.size() * sizeof(float)));
}

void testThreads() {
  for (const auto& shape : kLargeShapes)
    for (const After& after : {kAll[1], kAll[5]}) {
      const Case t = caseOf(shape);
      const Inputs in(t);
      const Channels of(after, t.o);
      const Values mean(t.o, 0.01), invStd(t.o, 2);
      std::vector<std::vector<float>> results[2];
      for (const int threads : {1, 3}) {
        cpu::setThreadCount(threads);
        FilterGradient<float> g(t, in, after, of, mean, invStd);
        results[threads / 2] = {rescaled<float>(t, in, after, of, nullptr, false), g.dw, g.dk, g.dgamma,
                                g.dbeta};
      }
      ++checks;
      for (size_t i = 0; i < results[0].size(); ++i)
        if (!sameBits(results[0][i], results[1][i])) {
          ++failures, std::printf("FAIL result %d depends on the threads: %s\n", int(i), describe(t).c_str());
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::printf("path: %s\n", cpu::simd::simdPath());
    testRandomShapes(argc > 1 ? std::stoi(argv[1]) : 150);
    testLargeShapes();
    testWinograd();
    testExtremes();
    testThreads();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::printf("%d checks, %d failed\n", checks, failures);
  return failures ? 1 : 0;
}
