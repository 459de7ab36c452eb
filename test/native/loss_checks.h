// Softmax cross-entropy and GA-Softmax against loops over float64, differences and limits known in closed
// form.
#pragma once

#include "check.h"

namespace spherenet::test {

inline Array randomLabels(int64_t batch, int64_t classes) {
  return Array::filled(DType::Int32, dims({batch}),
                       [=](int64_t) { return static_cast<double>(randomInteger(0, classes - 1)); });
}

/// log sum exp of a row.
inline double logSum(const std::vector<double>& logits) {
  double top = -kInfinity, sum = 0;
  for (double v : logits) top = std::max(top, v);
  for (double v : logits) sum += std::exp(v - top);
  return top + std::log(sum);
}

inline void checkCrossEntropy(Ops& ops) {
  for (const Dims& shape : {dims({1, 1}), dims({3, 2}), dims({17, 10}), dims({300, 101}), dims({4, 5003})}) {
    for (DType dtype : kFloats) {
      for (double smoothing : {0.0, 0.1, 1.0}) {
        const int64_t batch = shape[0], classes = shape[1];
        Array logits = Array::random(dtype, shape, -9, 9);
        const Array labels = randomLabels(batch, classes);
        Array loss(dtype, dims({})), probabilities(dtype, shape), dlogits(dtype, shape);
        const Array dloss = Array::filled(dtype, dims({}), [](int64_t) { return 1.75; });
        double want = 0;
        std::vector<double> softmax, gradient;
        for (int64_t i = 0; i < batch; ++i) {
          std::vector<double> row;
          for (int64_t j = 0; j < classes; ++j) row.push_back(logits[i * classes + j]);
          const double total = logSum(row), n = static_cast<double>(batch);
          for (int64_t j = 0; j < classes; ++j) {
            const double q = (j == labels[i] ? 1 - smoothing : 0) + smoothing / static_cast<double>(classes);
            const double p = std::exp(row[static_cast<size_t>(j)] - total);
            want -= q * (row[static_cast<size_t>(j)] - total) / n;
            softmax.push_back(p);
            gradient.push_back(1.75 / n * (p - q));
          }
        }
        ops.softmaxCrossEntropy(smoothing, logits, labels, loss, probabilities);
        expectNear("softmaxCrossEntropy", loss, {want}, tolerance(dtype));
        expectNear("softmaxCrossEntropy probabilities", probabilities, softmax, tolerance(dtype));
        ops.softmaxCrossEntropyBackward(smoothing, probabilities, labels, dloss, dlogits);
        expectNear("softmaxCrossEntropy gradient", dlogits, gradient, tolerance(dtype));
        if (dtype == DType::Float64 && logits.size() < 200) {
          Array dummy(dtype, shape);
          expectGradient("softmaxCrossEntropy", logits, dlogits, [&] {
            ops.softmaxCrossEntropy(smoothing, logits, labels, loss, dummy);
            return 1.75 * loss[0];
          });
        }
      }
    }
  }
  Array huge(DType::Float32, dims({2, 3})), probabilities(DType::Float32, huge.shape());
  const double values[] = {3e38, -3e38, 0, -1e5, -1e5, 1e5};
  for (int i = 0; i < 6; ++i) huge.set(i, values[i]);
  Array labels(DType::Int32, dims({2})), loss(DType::Float32, dims({}));
  labels.set(0, 0);
  labels.set(1, 2);
  ops.softmaxCrossEntropy(0, huge, labels, loss, probabilities);
  expectNear("softmaxCrossEntropy of huge logits", loss, {0}, 1e-6);
  expectNear("softmaxCrossEntropy of huge logits", probabilities, {1, 0, 0, 0, 0, 1}, 1e-6);
}

inline double angularReference(const AngularParams& a, double c) {
  const double pi = std::acos(-1.0), angle = std::asin(c);
  if (a.op == AngularOperator::Cosine) return c;
  if (a.op == AngularOperator::Linear) return 2 / pi * angle;
  return std::tanh(angle / (2 * a.k)) / std::tanh(pi / (4 * a.k));
}

/// psi(theta), written as it is defined.
inline double marginReference(const AngularParams& a, const MarginParams& margin, double c) {
  const double pi = std::acos(-1.0), theta = std::acos(c), m = margin.margin;
  switch (margin.kind) {
    case MarginKind::ClampedMultiple:
      return std::cos(std::min(m * theta, pi));
    case MarginKind::DividedOthers:
      return c;
    case MarginKind::AdditiveAngle:
      return std::cos(std::min(theta + m, pi));
    case MarginKind::AdditiveCosine:
      return c - m;
    default:
      break;
  }
  if (a.op == AngularOperator::Cosine) {
    double j = 0;
    while (j + 1 < m && theta > (j + 1) * pi / m) ++j;
    return std::pow(-1, j) * std::cos(m * theta) - 2 * j;
  }
  if (a.op == AngularOperator::Linear) return 1 - 2 * m * theta / pi;
  return std::tanh((pi / 2 - m * theta) / (2 * a.k)) / std::tanh(pi / (4 * a.k));
}

/// The logit, of length 1, of a class.
inline double logitReference(const AngularParams& a, const MarginParams& m, bool target, double c) {
  if (target) return (m.lambda * angularReference(a, c) + marginReference(a, m, c)) / (1 + m.lambda);
  return m.kind == MarginKind::DividedOthers ? std::cos(std::acos(c) / m.margin) : angularReference(a, c);
}

struct AngularCase {
  AngularParams a;
  MarginParams m;
  Array cosines, norms, labels, loss, probabilities, dloss, dcosines, radial;

  AngularCase(const AngularParams& params, const MarginParams& margin, DType dtype, int64_t batch,
              int64_t classes)
      : a(params),
        m(margin),
        cosines(Array::random(dtype, dims({batch, classes}), -0.98, 0.98)),
        norms(Array::random(dtype, dims({batch}), 0.01, 6)),
        labels(randomLabels(batch, classes)),
        loss(dtype, dims({})),
        probabilities(dtype, cosines.shape()),
        dloss(Array::filled(dtype, dims({}), [](int64_t) { return 1.25; })),
        dcosines(dtype, cosines.shape()),
        radial(dtype, norms.shape()) {}

  /// The length of row i.
  double length(int64_t i) const { return m.scale > 0 ? m.scale : norms[i]; }
  void forward(Ops& ops) { ops.angularSoftmax(a, m, cosines, norms, labels, loss, probabilities); }
  void backward(Ops& ops) {
    ops.angularSoftmaxBackward(a, m, cosines, norms, labels, probabilities, dloss, dcosines, radial);
  }
};

constexpr AngularParams kAngularCases[] = {{.op = AngularOperator::Cosine},
                                           {.op = AngularOperator::Linear},
                                           {.op = AngularOperator::Sigmoid, .k = 0.1},
                                           {.op = AngularOperator::Sigmoid, .k = 0.5},
                                           {.op = AngularOperator::Sigmoid, .k = 3}};

/// The margins to check with an operator: every kind that it has.
inline std::vector<MarginParams> marginsOf(AngularOperator op) {
  std::vector<MarginParams> margins;
  for (double m : {1.0, 1.5, 2.0, 3.0, 4.0, 4.7}) margins.push_back({.margin = m});
  margins.push_back({.margin = 4, .lambda = 5});
  margins.push_back({.margin = 2, .scale = 11, .smoothing = 0.1});
  margins.push_back({.margin = 3, .lambda = 0.5, .smoothing = 0.3});
  if (op != AngularOperator::Cosine) return margins;
  for (MarginKind kind : {MarginKind::ClampedMultiple, MarginKind::DividedOthers})
    for (double m : {1.0, 1.4, 3.0}) margins.push_back({.kind = kind, .margin = m, .scale = 7});
  for (MarginKind kind : {MarginKind::AdditiveAngle, MarginKind::AdditiveCosine})
    for (double m : {0.0, 0.5, 4.0}) margins.push_back({.kind = kind, .margin = m, .scale = 7});
  margins.push_back({.kind = MarginKind::ClampedMultiple, .margin = 1.4, .smoothing = 0.1});
  margins.push_back({.kind = MarginKind::DividedOthers, .margin = 1.4, .smoothing = 0.1});
  margins.push_back({.kind = MarginKind::AdditiveAngle, .margin = 0.5, .lambda = 2});
  margins.push_back({.kind = MarginKind::AdditiveCosine, .margin = 0.35, .smoothing = 0.1});
  return margins;
}

/// Loss and probabilities after forward().
inline void expectDefinition(const AngularCase& t) {
  const int64_t batch = t.cosines.shape()[0], classes = t.cosines.shape()[1];
  double want = 0;
  std::vector<double> softmax;
  for (int64_t i = 0; i < batch; ++i) {
    std::vector<double> row;
    double mean = 0;
    for (int64_t j = 0; j < classes; ++j) {
      const double c = t.cosines[i * classes + j];
      row.push_back(t.length(i) * logitReference(t.a, t.m, j == t.labels[i], c));
      mean += row.back() / static_cast<double>(classes);
    }
    const double total = logSum(row), target = row[static_cast<size_t>(t.labels[i])];
    want += (total - (1 - t.m.smoothing) * target - t.m.smoothing * mean) / static_cast<double>(batch);
    for (double v : row) softmax.push_back(std::exp(v - total));
  }
  expectNear("angularSoftmax", t.loss, {want}, tolerance(t.loss.dtype(), 3e-6));
  expectNear("angularSoftmax probabilities", t.probabilities, softmax, tolerance(t.loss.dtype(), 3e-6));
}

/// Gradients after backward(): in float32 against float64's, which is checked by differences.
inline void expectGradients(Ops& ops, AngularCase& t) {
  if (t.loss.dtype() == DType::Float32) {
    AngularCase exact = t;
    for (Array AngularCase::*member :
         {&AngularCase::cosines, &AngularCase::norms, &AngularCase::loss, &AngularCase::probabilities,
          &AngularCase::dloss, &AngularCase::dcosines, &AngularCase::radial}) {
      const Array& single = t.*member;
      exact.*member = Array::filled(DType::Float64, single.shape(), [&](int64_t i) { return single[i]; });
    }
    exact.forward(ops);
    exact.backward(ops);
    std::vector<double> dc, dr;
    for (int64_t i = 0; i < exact.dcosines.size(); ++i) dc.push_back(exact.dcosines[i]);
    for (int64_t i = 0; i < exact.radial.size(); ++i) dr.push_back(exact.radial[i]);
    expectNear("angularSoftmax dcosines", t.dcosines, dc, 1e-5);
    expectNear("angularSoftmax radial", t.radial, dr, 1e-5);
  } else if (t.cosines.shape()[1] < 10) {
    const Array dcosines = t.dcosines;
    const Array dnorms =
        Array::filled(DType::Float64, t.norms.shape(), [&](int64_t i) { return t.radial[i] * t.norms[i]; });
    const auto loss = [&] {
      t.forward(ops);
      return 1.25 * t.loss[0];
    };
    expectGradient("angularSoftmax dcosines", t.cosines, dcosines, loss, 1e-5, 1e-6);
    expectGradient("angularSoftmax dnorms", t.norms, dnorms, loss, 1e-6);
  }
}

/// With a detached margin, dcosines are those of logits that all have g's slope: (p - target) length g'.
inline void expectDetachedGradients(Ops& ops, AngularCase& t) {
  t.m.detached = true;
  t.forward(ops);
  t.backward(ops);
  expectDefinition(t);
  const int64_t batch = t.cosines.shape()[0], classes = t.cosines.shape()[1];
  std::vector<double> dc;
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t j = 0; j < classes; ++j) {
      const double share = t.m.smoothing / static_cast<double>(classes);
      const double want = share + (j == t.labels[i] ? 1 - t.m.smoothing : 0);
      dc.push_back(1.25 / static_cast<double>(batch) * (t.probabilities[i * classes + j] - want) *
                   t.length(i));
    }
  expectNear("angularSoftmax detached dcosines", t.dcosines, dc, tolerance(t.loss.dtype(), 1e-5));
}

inline void checkAngularSoftmax(Ops& ops) {
  for (const AngularParams& a : kAngularCases) {
    for (const MarginParams& m : marginsOf(a.op)) {
      for (DType dtype : kFloats) {
        for (const auto& [batch, classes] : {std::pair{1, 1}, {9, 4}, {70, 33}}) {
          AngularCase t(a, m, dtype, batch, classes);
          t.forward(ops);
          expectDefinition(t);
          t.backward(ops);
          expectGradients(ops, t);
          if (a.op == AngularOperator::Cosine) expectDetachedGradients(ops, t);
        }
      }
    }
  }
}

/// dpsi/dc by way of two classes with equal logits but for the target's: dcosines = (p - 1) norm psi'.
inline double slopeOf(Ops& ops, AngularCase& t, double cosine) {
  t.cosines.set(0, cosine);
  t.cosines.set(1, 0);
  t.norms.set(0, 1);
  t.labels.set(0, 0);
  t.dloss.set(0, 1);
  t.forward(ops);
  t.backward(ops);
  return t.dcosines[0] / (t.probabilities[0] - 1);
}

inline void checkAngularLimits(Ops& ops) {
  const double nearOne[] = {1, 1 - 1e-15, 1 - 1e-12, 1 - 1e-9, 1 - 1e-6, 0.999, 0.5, 1e-9, 0};
  for (double m : {1.0, 2.0, 3.0, 4.0}) {
    AngularCase t({.op = AngularOperator::Cosine}, {.margin = m}, DType::Float64, 1, 2);
    for (double magnitude : nearOne) {
      for (double c : {magnitude, -magnitude}) {
        // sin(m theta) / sin(theta) is the Chebyshev polynomial U of degree m - 1 in c.
        double before = 0, u = 1;
        for (int i = 1; i < m; ++i) before = std::exchange(u, 2 * c * u - before);
        double j = 0;
        while (j + 1 < m && std::acos(c) > (j + 1) * std::acos(-1.0) / m) ++j;
        const double want = std::pow(-1, j) * m * u;
        char what[96];
        std::snprintf(what, sizeof what, "slope of psi for m = %g at c = %.17g", m, c);
        const double got = slopeOf(ops, t, c);
        expect(std::abs(got - want) < 1e-7 * (1 + std::abs(want)), what + (" is " + std::to_string(got)));
      }
    }
  }
  // psi falls monotonically with theta, without jumps, for any margin.
  for (double m : {1.0, 1.5, 2.0, 2.5, 4.0}) {
    AngularCase t({.op = AngularOperator::Cosine}, {.margin = m}, DType::Float64, 1, 2);
    double previous = kInfinity;
    bool monotonic = true, continuous = true;
    for (int i = 0; i <= 4000; ++i) {
      t.cosines.set(0, std::cos(i * std::acos(-1.0) / 4000));
      t.cosines.set(1, 0);
      t.norms.set(0, 1);
      t.labels.set(0, 0);
      t.forward(ops);
      const double psi = std::log(t.probabilities[0] / t.probabilities[1]);
      monotonic = monotonic && psi <= previous + 1e-9;
      continuous = continuous && (i == 0 || previous - psi < 0.01);
      previous = psi;
    }
    expect(monotonic && continuous, "psi is monotonic and continuous");
  }
  for (const AngularParams& a : kAngularCases) {
    for (const MarginParams& m : marginsOf(a.op)) {
      for (DType dtype : kFloats) {
        const double cosines[] = {1, -1, 0, 1 - 1e-7, -1 + 1e-7, 1.0000002, -1.0000002, 1e-30};
        for (double norm : {1e-30, 1.0, 1e4, 3e38}) {
          AngularCase t(a, m, dtype, 8, 8);
          for (int64_t i = 0; i < 64; ++i) t.cosines.set(i, cosines[i % 8]);
          for (int64_t i = 0; i < 8; ++i) t.norms.set(i, norm), t.labels.set(i, static_cast<double>(i));
          t.forward(ops);
          t.backward(ops);
          expectFinite("angularSoftmax loss", t.loss);
          expectFinite("angularSoftmax probabilities", t.probabilities);
          expectFinite("angularSoftmax dcosines", t.dcosines);
          expectFinite("angularSoftmax radial", t.radial);
        }
      }
    }
  }
}

}  // namespace spherenet::test
