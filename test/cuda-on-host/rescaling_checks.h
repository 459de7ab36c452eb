// What follows a SphereConv in the pass that computes its angles (sphereConv2dRescaled), executed on the CPU:
// against the formula in float64, and against the angles without it.
#pragma once

#include "conv_cases.h"

namespace spherenet::test {

inline constexpr Kind kDouble{DType::Float64, Precision::Float32, "float64", 0, 0x1p-52};

/// What follows the angles, in all combinations that there are.
struct Rescaled {
  bool relu, rescales, normalizes, keepsAngles;
  double epsilon = 1e-3;
  Array gamma, beta, mean, variance;

  Rescaled(DType activations, int64_t filters, int64_t which)
      : relu(which % 2 == 1),
        rescales(which / 2 % 3 > 0),
        normalizes(which / 2 % 3 > 1),
        keepsAngles(which / 6 % 2 == 1),
        gamma(Array::random(parameters(activations), dims({filters}), -2, 2)),
        beta(Array::random(gamma.dtype(), gamma.shape(), -1, 1)),
        mean(Array::random(gamma.dtype(), gamma.shape(), -0.5, 0.5)),
        variance(Array::random(gamma.dtype(), gamma.shape(), 0, 2)) {}

  static DType parameters(DType activations) { return isHalf(activations) ? DType::Float32 : activations; }
  static constexpr int64_t kCombinations = 12;

  /// Of float64 numbers, so that they are those of the definition.
  double factor(int64_t filter) const {
    if (!rescales) return 1;
    return gamma[filter] * (normalizes ? 1 / std::sqrt(variance[filter] + epsilon) : 1);
  }
  double at(double y, int64_t filter) const {
    const double z = rescales ? (y - (normalizes ? mean[filter] : 0)) * factor(filter) + beta[filter] : y;
    return relu && z < 0 ? 0 : z;
  }
  std::string describe() const {
    return std::string(rescales ? normalizes ? " normalized" : " rescaled" : "") + (relu ? " relu" : "") +
           (keepsAngles ? " angles kept" : "");
  }
};

/// Tensors of one forward pass.
struct AngularOutput {
  Array y, nx, nw, c;

  AngularOutput(const Case& t, DType activations)
      : y(activations, yShape(t)),
        nx(Rescaled::parameters(activations), rShape(t)),
        nw(nx.dtype(), dims({t.o})),
        c(activations, yShape(t)) {}
};

/// z of the angles as they are stored, up to the rounding of the formula and of the result.
inline void expectRescaled(const std::string& what, const Rescaled& r, const Array& angles, const Array& z,
                           const Kind& kind) {
  const int64_t filters = r.gamma.size();
  const double arithmetic = kind.dtype == DType::Float64 ? 1e-14 : 3e-7;
  // The smallest steps of float16.
  const double least = kind.dtype == DType::Float16 ? 0x1p-24 : 1e-37;
  for (int64_t i = 0; i < z.size(); ++i) {
    const int64_t filter = i % filters;
    const double want = r.at(angles[i], filter);
    const double slack = kind.resultError * std::abs(want) + least +
                         arithmetic * ((std::abs(angles[i]) + 1) * std::abs(r.factor(filter)) + 1);
    if (std::isnan(want) ? std::isnan(z[i]) : std::abs(z[i] - want) <= slack) continue;
    char detail[160];
    std::snprintf(detail, sizeof detail, " at %lld: %.9g instead of %.9g, angle %.9g",
                  static_cast<long long>(i), z[i], want, angles[i]);
    expect(false, what + detail);
    return;
  }
  expect(true, what);
}

/// The op on x and w against sphereConv2d on them, which has to give the same angles and norms bit by bit.
inline void checkRescaledCase(SynchronousOps& ops, const Case& t, const Kind& kind, const Array& x,
                              const Array& w, const Array& k, int64_t which) {
  const Rescaled r(kind.dtype, t.o, which);
  const auto given = [](bool is, const Array& array) { return is ? array.tensor() : Tensor{}; };
  const AngularOutput plain(t, kind.dtype), kept(t, kind.dtype);
  const Array z(kind.dtype, yShape(t));
  const bool keepsCosines = kind.dtype == DType::Float64 && which % 4 < 2;
  Ops& o = ops;
  o.sphereConv2d(t.p, t.a, x, w, given(k.size() > 0, k), plain.y, plain.nx, plain.nw,
                 given(keepsCosines, plain.c));
  const Unaligned moved(kept.y);
  const bool shifted = r.keepsAngles && which % 5 == 0;
  const Tensor angles = shifted ? moved.tensor() : kept.y.tensor();
  o.sphereConv2dRescaled(t.p, t.a, r.relu, r.epsilon, x, w, given(k.size() > 0, k),
                         given(r.rescales, r.gamma), given(r.rescales, r.beta), given(r.normalizes, r.mean),
                         given(r.normalizes, r.variance), r.keepsAngles ? angles : Tensor{}, kept.nx, kept.nw,
                         given(keepsCosines, kept.c), z);
  const std::string what = "sphereConv2dRescaled" + describe(t, kind) + r.describe();
  expectRescaled(what, r, plain.y, z, kind);
  expect(kept.nx.bytes() == plain.nx.bytes() && kept.nw.bytes() == plain.nw.bytes(), what + " norms");
  if (r.keepsAngles)
    expect(std::memcmp(angles.data, plain.y.tensor().data, angles.bytes()) == 0, what + " angles");
  if (keepsCosines) expect(kept.c.bytes() == plain.c.bytes(), what + " cosines");
}

/// Random shapes: every tile, whole and split sums, groups, channels that are no whole chunks.
inline void checkRescaled(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    Case t = randomCase(300000);
    if (randomInteger(0, 5) == 0) {  // too few channels a group for tensor cores
      t.p.groups = static_cast<int32_t>(randomInteger(2, 20));
      t.c = t.p.groups * randomInteger(1, 2);
      t.o = t.p.groups * randomInteger(1, 2);
    }
    if (randomInteger(0, 3) == 0) {  // an inner dimension to split
      t.h = t.w = t.kh = t.kw = 1;
      t.p = Conv2dParams{};
      t.c = 8 * randomInteger(30, 120) + (randomInteger(0, 2) ? 0 : 3);
      t.o = randomInteger(1, 140);
    }
    const int64_t kind = randomInteger(0, 4);
    const Kind& chosen = kind == 4 ? kDouble : kKinds[kind];
    configure(ops, chosen);
    const Array x = Array::random(chosen.dtype, xShape(t)), w = Array::random(chosen.dtype, wShape(t));
    const int64_t kSize = t.a.op == AngularOperator::Sigmoid ? randomInteger(0, 2) : 0;
    const Array k =
        Array::random(Rescaled::parameters(chosen.dtype), dims({kSize == 2 ? t.o : kSize}), 0.25, 0.9);
    checkRescaledCase(ops, t, chosen, x, w, k, i);
  }
}

/// Patches and filters whose squares leave float32's range go another way, alone or beside others; NaN stays
/// where it is, behind a ReLU too.
inline void checkRescaledExtremes(SynchronousOps& ops) {
  for (const Kind& kind : kKinds)
    for (int64_t which = 0; which < Rescaled::kCombinations; ++which)
      for (const int64_t channels : {33, 32, 1024}) {
        Case t;
        t.h = t.w = channels == 1024 ? 2 : 6;
        t.c = channels;
        t.o = which % 2 ? 5 : 136;
        t.kh = t.kw = channels == 1024 ? 1 : 3;
        t.a.op = static_cast<AngularOperator>(which % 4);
        configure(ops, kind);
        Array x = Array::random(kind.dtype, xShape(t)), w = Array::random(kind.dtype, wShape(t));
        const double huge = kind.dtype == DType::Float16 ? 1 : 1e25;
        for (int64_t i = 0; i < t.c; ++i) x.set(i, x[i] * huge);
        for (int64_t i = 0; i < t.filterSize(); ++i) w.set(i, w[i] * huge);
        if (which % 3 == 0) x.set(x.size() - 1, kNan);
        checkRescaledCase(ops, t, kind, x, w, Array(DType::Float32, dims({0})), which);
      }
}

}  // namespace spherenet::test
