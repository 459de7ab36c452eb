// magnitude, magnitudeBackward and meanNorm against their formulas in native/ops.h, element by element.
#pragma once

#include <initializer_list>

#include "check.h"

namespace spherenet::test {

struct MagnitudeReference {
  double value, slope, radiusSlope;
};

inline MagnitudeReference magnitudeReference(const MagnitudeParams& p, double n, double rho) {
  const double a = p.scale, b = p.slope;
  switch (p.function) {
    case Magnitude::Ball:
      return n < rho ? MagnitudeReference{a * n / rho, a / rho, -a * n / (rho * rho)}
                     : MagnitudeReference{a, 0, 0};
    case Magnitude::Tanh: {
      const double sech = 1 / std::cosh(std::min(300.0, n / rho));
      return {a * std::tanh(n / rho), a * sech * sech / rho, -a * sech * sech * n / (rho * rho)};
    }
    case Magnitude::Linear:
      return {a * n, a, 0};
    case Magnitude::Segmented:
      return n > rho ? MagnitudeReference{b * n + a * rho - b * rho, b, a - b}
                     : MagnitudeReference{a * n, a, 0};
    case Magnitude::Logarithmic:
      return {a * std::log(1 + n), a / (1 + n), 0};
    case Magnitude::Mixed:
      return {a * n + b * std::log(1 + n), a + b / (1 + n), 0};
  }
  return {};
}

struct MagnitudeCase {
  MagnitudeParams p;
  DType dtype;
  int64_t rows, filters, groups, radii;  // radii: 0, 1 or filters

  DType wide() const { return dtype == DType::Float64 ? dtype : DType::Float32; }
  std::string text() const {
    return std::string(" ") + nameOf(dtype) + " function " + std::to_string(static_cast<int>(p.function)) +
           " rows " + std::to_string(rows) + " filters " + std::to_string(filters) + " groups " +
           std::to_string(groups) + " radii " + std::to_string(radii);
  }
};

inline void checkMagnitudeCase(Ops& ops, const MagnitudeCase& t) {
  const Dims shape = dims({t.rows, 1, 1, t.filters}), norms = dims({t.rows, 1, 1, t.groups});
  const Dims radii = dims({t.radii});
  Array g = Array::random(t.dtype, shape, -1, 1), nx = Array::random(t.wide(), norms, 0.01, 4);
  const Array radius = Array::random(t.wide(), radii, 0.5, 3), dy = Array::random(t.dtype, shape);
  for (int64_t i = 0; i < g.size(); ++i)
    if (randomInteger(0, 19) == 0) g.set(i, kNan);
  // A norm of 0, and one that is not a number, as where a patch is.
  const int64_t zero = randomInteger(0, nx.size() - 1), undefined = randomInteger(0, nx.size() - 1);
  nx.set(zero, 0);
  const int64_t groupFilters = t.filters / t.groups;
  const auto normOf = [&](int64_t i) { return i / t.filters * t.groups + i % t.filters / groupFilters; };
  const auto radiusOf = [&](int64_t i) {
    return t.radii == 0 ? t.p.radius : radius[t.radii == 1 ? 0 : i % t.filters];
  };
  if (undefined != zero) {
    nx.set(undefined, kNan);
    for (int64_t i = 0; i < g.size(); ++i)
      if (normOf(i) == undefined) g.set(i, kNan);
  }

  const Tensor none, radiusTensor = t.radii > 0 ? radius.tensor() : none;
  const Array y(t.dtype, shape), inPlace = g;
  ops.magnitude(t.p, nx, radiusTensor, g, y);
  ops.magnitude(t.p, nx, radiusTensor, inPlace, inPlace);
  std::vector<double> want(static_cast<size_t>(g.size()));
  for (int64_t i = 0; i < g.size(); ++i)
    want[i] = std::isnan(g[i]) ? kNan : g[i] * magnitudeReference(t.p, nx[normOf(i)], radiusOf(i)).value;
  expectNear("magnitude" + t.text(), y, want, tolerance(t.dtype, 2e-6));
  expect(y.bytes() == inPlace.bytes(), "magnitude in place" + t.text());

  const Array gOut(t.dtype, shape), dg(t.dtype, shape), radial(t.wide(), norms), dradius(t.wide(), radii);
  ops.magnitudeBackward(t.p, y, dy, nx, radiusTensor, gOut, dg, radial,
                        t.radii > 0 ? dradius.tensor() : none);
  std::vector<double> wantG(want.size()), wantDg(want.size()), wantRadial(static_cast<size_t>(nx.size()));
  std::vector<double> wantRadius(static_cast<size_t>(t.radii));
  for (int64_t i = 0; i < g.size(); ++i) {
    wantG[i] = kNan;
    if (std::isnan(g[i])) continue;
    const double n = nx[normOf(i)];
    const MagnitudeReference h = magnitudeReference(t.p, n, radiusOf(i));
    wantG[i] = n > 0 ? std::clamp(y[i] / h.value, -1.0, 1.0) : 0;
    if (n == 0) continue;
    wantDg[i] = dy[i] * h.value;
    wantRadial[normOf(i)] += dy[i] * wantG[i] * h.slope / n;
    if (t.radii > 0) wantRadius[t.radii == 1 ? 0 : i % t.filters] += dy[i] * wantG[i] * h.radiusSlope;
  }
  const double sums = t.wide() == DType::Float64 ? 1e-12 : 1e-5;
  const double rootRows = std::sqrt(static_cast<double>(t.rows)),
               rootFilters = std::sqrt(static_cast<double>(t.filters));
  expectNear("magnitude g" + t.text(), gOut, wantG, tolerance(t.dtype, 4e-6));
  expectNear("magnitude dg" + t.text(), dg, wantDg, tolerance(t.dtype, 4e-6));
  // h' / n is large where n is small.
  expectNear("magnitude radial" + t.text(), radial, wantRadial, sums, 40 * rootFilters);
  if (t.radii > 0)
    expectNear("magnitude dradius" + t.text(), dradius, wantRadius, sums,
               10 * rootRows * (t.radii == 1 ? rootFilters : 1));
}

inline void checkMeanNorm(Ops& ops, DType dtype) {
  const Array nx = Array::random(dtype, dims({3, 17, 9, 2}), 0.1, 4), mean(dtype, dims({1}));
  const Array average = Array::filled(dtype, dims({2}), [](int64_t) { return 0; });
  double sum = 0;
  for (int64_t i = 0; i < nx.size(); ++i) sum += nx[i] / static_cast<double>(nx.size());
  ops.meanNorm(0.9, {}, average, mean);
  expectNear("meanNorm before any batch", mean, {1}, 0);
  ops.meanNorm(0.9, nx, average, mean);
  expectNear("meanNorm of a batch", mean, {sum}, tolerance(dtype));
  ops.meanNorm(0.9, nx, average, mean);
  expectNear("meanNorm's average", average, {0.19 * sum, 0.19}, tolerance(dtype));
  ops.meanNorm(0.9, {}, average, mean);
  expectNear("meanNorm of what was averaged", mean, {sum}, tolerance(dtype, 2e-6));
}

inline void checkMagnitudes(Ops& ops, std::initializer_list<DType> dtypes) {
  struct Shape {
    int64_t rows, filters, groups;
  };
  const Shape shapes[] = {{1, 1, 1},   {7, 3, 1},    {300, 64, 1}, {40, 37, 1},  {130, 96, 3},
                          {20, 24, 8}, {60, 16, 16}, {9, 1000, 1}, {5, 2056, 1}, {1500, 8, 1}};
  for (DType dtype : dtypes) {
    for (const Shape& s : shapes) {
      for (int function = 0; function < 6; ++function) {
        for (const int64_t radii : {int64_t{0}, int64_t{1}, s.filters}) {
          const MagnitudeParams p{
              .function = static_cast<Magnitude>(function), .scale = 1.3, .slope = 0.4, .radius = 1.7};
          checkMagnitudeCase(ops, {p, dtype, s.rows, s.filters, s.groups, radii});
        }
      }
    }
    if (dtype == DType::Float32 || dtype == DType::Float64) checkMeanNorm(ops, dtype);
  }
}

/// Where h leaves the range of the dtype, y does so only where its true value does, and gradients are finite.
inline void checkMagnitudeRange(Ops& ops) {
  for (const DType dtype : {DType::Float32, DType::Float64}) {
    const double huge = dtype == DType::Float32 ? 0x1p127 : 0x1p1023;
    const Array nx = Array::filled(dtype, dims({1, 1, 1, 1}), [&](int64_t) { return huge; });
    const Array g =
        Array::filled(dtype, dims({1, 1, 1, 9}), [](int64_t i) { return (static_cast<double>(i) - 4) / 64; });
    const Array dy =
        Array::filled(dtype, g.shape(), [](int64_t i) { return static_cast<double>(i % 3) - 1; });
    for (const Magnitude function : {Magnitude::Linear, Magnitude::Segmented, Magnitude::Mixed}) {
      const MagnitudeParams p{.function = function, .scale = 4, .slope = 4};
      const Array y(dtype, g.shape()), gOut(dtype, g.shape()), dg(dtype, g.shape()),
          radial(dtype, nx.shape());
      ops.magnitude(p, nx, {}, g, y);
      std::vector<double> want, wantG;
      for (int64_t i = 0; i < 9; ++i) want.push_back(g[i] * 4 * huge), wantG.push_back(g[i]);
      expectNear("magnitude beyond the range", y, want, 1e-6);
      ops.magnitudeBackward(p, y, dy, nx, {}, gOut, dg, radial, {});
      expectNear("g of a magnitude beyond the range", gOut, wantG, 1e-6);
      double sum = 0;
      for (int64_t i = 0; i < 9; ++i) sum += std::abs(dg[i]);
      expect(sum < huge, "bounded gradients of a magnitude beyond the range");
      expect(std::isfinite(radial[0]), "finite radial gradients of a magnitude beyond the range");
    }
  }
}

/// No patches: no gradient, and nothing to average.
inline void checkNoMagnitude(Ops& ops) {
  const Array y(DType::Float32, dims({0, 1, 1, 3})), nx(DType::Float32, dims({0, 1, 1, 1}));
  const Array radius = Array::random(DType::Float32, dims({3}), 1, 2), dradius(DType::Float32, dims({3}));
  const MagnitudeParams p{.function = Magnitude::Tanh};
  ops.magnitude(p, nx, radius, y, y);
  ops.magnitudeBackward(p, y, y, nx, radius, y, y, nx, dradius);
  expectNear("dradius of no patches", dradius, {0, 0, 0}, 0);
  const Array average = Array::filled(DType::Float32, dims({2}), [](int64_t i) { return i == 0 ? 1 : 0.5; });
  const Array mean(DType::Float32, dims({1}));
  ops.meanNorm(0.9, nx, average, mean);
  expectNear("meanNorm of no patches", mean, {2}, 1e-6);
  expectNear("meanNorm's average of no patches", average, {1, 0.5}, 0);
}

inline void checkMagnitude(Ops& ops) {
  checkNoMagnitude(ops);
  checkMagnitudes(ops, {DType::Float32, DType::Float64});
  checkMagnitudeRange(ops);
}

}  // namespace spherenet::test
