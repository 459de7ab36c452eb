// What test/native/layer_checks.h and loss_checks.h do not ask, because only the CUDA kernels can get it
// wrong: 16-bit dtypes, views at any address, channel and class counts around packs, tiles and blocks, and
// the passes that are fused.
#pragma once

#include "../native/layer_checks.h"
#include "../native/loss_checks.h"
#include "pointwise_checks.h"

namespace spherenet::test {

inline void checkPoolingVariants(Ops& ops) {
  Pool2dParams disjoint, overlapping, whole;
  disjoint.kernelH = disjoint.kernelW = disjoint.strideH = disjoint.strideW = 2;
  overlapping.kernelH = 3, overlapping.kernelW = 2, overlapping.strideH = 2;
  overlapping.padTop = 1, overlapping.padRight = 1;
  whole.kernelH = 7, whole.kernelW = 5;
  for (const Pool2dParams& p : {disjoint, overlapping, whole}) {
    for (DType dtype : kActivations) {
      for (int64_t channels : {1, 2, 3, 4, 7, 8, 12, 16, 24, 40, 264}) {
        checkPoolingCase(ops, p, dtype, dims({2, 7, 5, channels}), false);
        checkPoolingCase(ops, p, dtype, dims({1, 9, 8, channels}), true);
      }
      checkPoolingCase(ops, p, dtype, dims({1, 7, 300, 8}), false);
    }
  }
  // The same bits at every address.
  for (DType dtype : kActivations) {
    const Array x = Array::random(dtype, dims({2, 9, 8, 16})), dy = Array::random(dtype, dims({2, 4, 4, 16}));
    for (int op = 0; op < 4; ++op) {
      const Array& out = op % 2 == 0 ? dy : x;
      std::vector<std::byte> aligned;
      for (int64_t shift : {0, 1}) {
        const ShiftedArray xs(x, shift), dys(dy, shift), y(Array(dtype, out.shape()), shift);
        if (op == 0) ops.maxPool2d(disjoint, xs, y);
        if (op == 1) ops.maxPool2dBackward(disjoint, xs, dys, y);
        if (op == 2) ops.avgPool2d(disjoint, false, xs, y);
        if (op == 3) ops.avgPool2dBackward(disjoint, false, dys, y);
        if (shift == 0) aligned = y.bytes();
        expect(y.bytes() == aligned && y.isFrontKept(),
               "pooling of a shifted view, op " + std::to_string(op) + " " + text(dtype));
      }
    }
  }
}

/// All that batchNorm writes, forward and backward.
inline std::vector<std::vector<std::byte>> batchNormBytes(Ops& ops, const BatchNormCase& given,
                                                          int64_t shift) {
  BatchNormCase t = given;
  const ShiftedArray x(t.x, shift), dy(t.dy, shift), y(t.y, shift), dx(t.dx, shift);
  ops.batchNorm(0.1, 1e-5, x, t.gamma, t.beta, t.runningMean, t.runningVariance, y, t.mean, t.invStd);
  ops.batchNormBackward(x, t.gamma, t.mean, t.invStd, dy, dx, t.dgamma, t.dbeta);
  expect(y.isFrontKept() && dx.isFrontKept(), "batchNorm keeps what is in front of a view");
  return {y.bytes(),
          dx.bytes(),
          t.mean.bytes(),
          t.invStd.bytes(),
          t.runningMean.bytes(),
          t.runningVariance.bytes(),
          t.dgamma.bytes(),
          t.dbeta.bytes()};
}

inline void checkBatchNormVariants(Ops& ops) {
  const Dims shapes[] = {dims({1, 1}),     dims({1, 8}),     dims({1, 4097}),  dims({3, 20000}),
                         dims({9, 5003}),  dims({2000, 2}),  dims({20011, 3}), dims({513, 5}),
                         dims({7, 8, 8}),  dims({300, 33}),  dims({2100, 64}), dims({700, 96}),
                         dims({515, 136}), dims({257, 200}), dims({99, 1024}), dims({4, 700, 48}),
                         dims({100000, 1})};
  for (const Dims& shape : shapes) {
    for (DType dtype : kHalves) {
      BatchNormCase t(dtype, shape);
      expectBatchNorm(ops, "batchNorm " + text(dtype), t, 1e-4);
    }
    for (DType dtype : kActivations) {
      const BatchNormCase t(dtype, shape);
      const auto aligned = batchNormBytes(ops, t, 0);
      expect(batchNormBytes(ops, t, 1) == aligned,
             "batchNorm of a shifted view " + text(dtype) + describe(shape));
    }
  }
  for (DType dtype : kHalves) {
    // Steps of the type at 100, where squares have no digit left.
    BatchNormCase t(dtype, dims({3000, 24}));
    for (int64_t i = 0; i < t.x.size(); ++i) t.x.set(i, 100 + (randomInteger(0, 1) ? 1 : -1));
    expectBatchNorm(ops, "batchNorm far from 0 " + text(dtype), t, 1e-4);
  }
}

/// The same values in float64.
inline Array inDouble(const Array& a) {
  if (a.size() == 0) return a;
  return Array::filled(DType::Float64, a.shape(), [&](int64_t i) { return a[i]; });
}
inline std::vector<double> numbers(const Array& a) {
  std::vector<double> all;
  for (int64_t i = 0; i < a.size(); ++i) all.push_back(a[i]);
  return all;
}

/// batchNormRelu against batchNorm and leakyRelu, in float64.
inline void checkNormRelu(Ops& ops) {
  for (const Dims& shape :
       {dims({1, 3}), dims({50, 7}), dims({600, 64}), dims({3, 200, 96}), dims({40, 515})}) {
    for (DType dtype : kActivations) {
      BatchNormCase t(dtype, shape);
      ops.batchNormRelu(0.1, 1e-5, t.x, t.gamma, t.beta, t.runningMean, t.runningVariance, t.y, t.mean,
                        t.invStd);
      BatchNormCase want(DType::Float64, shape);
      want.x = inDouble(t.x), want.gamma = inDouble(t.gamma), want.beta = inDouble(t.beta),
      want.dy = inDouble(t.dy);
      want.forward(ops);
      const double near = tolerance(dtype, 2e-5, 1e-10),
                   exact = tolerance(isHalf(dtype) ? DType::Float32 : dtype, 2e-5, 1e-10);
      Array z = want.y;
      ops.leakyRelu(0, want.y, z);
      expectNear("batchNormRelu", t.y, numbers(z), near);
      expectNear("batchNormRelu mean", t.mean, numbers(want.mean), exact);
      // A value that rounding may carry across 0 would be let through by one and not by the other: none is
      // there.
      for (int64_t i = 0; i < z.size(); ++i)
        if (std::abs(want.y[i]) < 1e-4) t.dy.set(i, 0);
      want.dy = inDouble(t.dy);
      ops.leakyReluBackward(0, z, want.dy, want.dy);
      want.backward(ops);
      ops.batchNormReluBackward(t.x, t.gamma, t.beta, t.mean, t.invStd, t.dy, t.dx, t.dgamma, t.dbeta);
      const double root = std::sqrt(static_cast<double>(t.rows()));
      double largest = 1;
      for (int64_t c = 0; c < t.channels(); ++c) largest = std::max(largest, want.invStd[c]);
      expectNear("batchNormRelu dx", t.dx, numbers(want.dx), near, largest);
      expectNear("batchNormRelu dgamma", t.dgamma, numbers(want.dgamma), exact, root);
      expectNear("batchNormRelu dbeta", t.dbeta, numbers(want.dbeta), exact, root);
    }
  }
  BatchNormCase none(DType::Float32, dims({0, 3}));
  ops.batchNormRelu(0.1, 1e-5, none.x, none.gamma, none.beta, none.runningMean, none.runningVariance, none.y,
                    none.mean, none.invStd);
}

/// What follows a SphereConv's angles besides a ReLU.
enum class Behind { Nothing, Rescaling, BatchNorm };

/// What the backward pass behind a SphereConv takes and writes.
struct SphereNormCase {
  AngularParams a;
  bool relu;
  Behind behind;
  Array y, k, nx, nw, gamma, beta, mean, invStd, dz, dy, h, r, q, dk, dgamma, dbeta;

  SphereNormCase(const AngularParams& params, bool withRelu, Behind what, DType dtype, int64_t rows,
                 int64_t filters, int64_t groups, int64_t ks)
      : a(params),
        relu(withRelu),
        behind(what),
        y(Array::random(dtype, dims({1, rows, 1, filters}), -0.9, 0.9)),
        k(Array::random(parameters(), dims({ks}), 0.2, 1)),
        nx(Array::random(parameters(), dims({1, rows, 1, groups}), 0.5, 3)),
        nw(Array::random(parameters(), dims({filters}), 0.5, 3)),
        gamma(Array::random(parameters(), nw.shape(), what == Behind::BatchNorm ? 0.5 : -2, 2)),
        beta(Array::random(parameters(), nw.shape())),
        mean(parameters(), nw.shape()),
        invStd(parameters(), nw.shape()),
        dz(Array::random(dtype, y.shape())),
        dy(dtype, y.shape()),
        h(dtype, y.shape()),
        r(parameters(), nx.shape()),
        q(parameters(), nw.shape()),
        dk(parameters(), k.shape()),
        dgamma(parameters(), nw.shape()),
        dbeta(parameters(), nw.shape()) {}

  DType parameters() const { return isHalf(y.dtype()) ? DType::Float32 : y.dtype(); }
  Tensor given(const Array& array) const { return k.size() == 0 ? Tensor{} : array.tensor(); }
  Tensor given(Behind least, const Array& array) const { return behind >= least ? array.tensor() : Tensor{}; }

  /// What comes out behind the angles, before the ReLU.
  double outputOf(int64_t i) const {
    const int64_t c = i % nw.size();
    if (behind == Behind::Nothing) return y[i];
    if (behind == Behind::Rescaling) return gamma[c] * y[i] + beta[c];
    return (y[i] - mean[c]) * invStd[c] * gamma[c] + beta[c];
  }
  void prepare(Ops& ops) {
    if (behind == Behind::BatchNorm) {
      Array z = y, m = mean, v = invStd;
      ops.fill(0, m);
      ops.fill(1, v);
      ops.batchNorm(0.1, 1e-5, y, gamma, beta, m, v, z, mean, invStd);
    }
    // As in checkNormRelu.
    for (int64_t i = 0; i < y.size(); ++i)
      if (std::abs(outputOf(i)) < 1e-4) dz.set(i, 0);
  }
  void fused(Ops& ops) {
    ops.sphereConv2dNormBackward(a, relu, y, {}, given(k), nx, nw, given(Behind::Rescaling, gamma),
                                 given(Behind::Rescaling, beta), given(Behind::BatchNorm, mean),
                                 given(Behind::BatchNorm, invStd), dz, h, r, q, given(dk),
                                 given(Behind::Rescaling, dgamma), given(Behind::Rescaling, dbeta));
  }
  void separate(Ops& ops) {
    if (behind != Behind::BatchNorm) {
      for (Array* sums : {&dgamma, &dbeta}) ops.fill(0, *sums);
      for (int64_t i = 0; i < y.size(); ++i) {
        const int64_t c = i % nw.size();
        const double g = relu && !(outputOf(i) > 0) ? 0 : dz[i];
        dy.set(i, behind == Behind::Rescaling ? gamma[c] * g : g);
        dgamma.set(c, dgamma[c] + g * y[i]);
        dbeta.set(c, dbeta[c] + g);
      }
    } else if (relu) {
      ops.batchNormReluBackward(y, gamma, beta, mean, invStd, dz, dy, dgamma, dbeta);
    } else {
      ops.batchNormBackward(y, gamma, mean, invStd, dz, dy, dgamma, dbeta);
    }
    ops.sphereConv2dAngularBackward(a, y, {}, dy, given(k), nx, nw, h, r, q, given(dk));
  }
};

inline void checkSphereNorm(Ops& ops) {
  struct Shape {
    int64_t rows, filters, groups;
  };
  const Shape shapes[] = {{1, 8, 1},    {3, 4, 1},     {700, 64, 1},  {130, 96, 1},
                          {65, 384, 1}, {40, 1000, 1}, {300, 64, 4},  {90, 24, 3},
                          {50, 33, 1},  {60, 16, 16},  {20, 2056, 1}, {1500, 16, 1}};
  for (const Shape& shape : shapes) {
    for (DType dtype : kActivations) {
      for (AngularOperator op : {AngularOperator::Cosine, AngularOperator::Linear, AngularOperator::Sigmoid,
                                 AngularOperator::SquaredCosine}) {
        for (int which = 0; which < 6; ++which) {
          const bool sigmoid = op == AngularOperator::Sigmoid, relu = which % 2 == 1;
          const int64_t ks = !sigmoid ? 0 : relu ? shape.filters : shape.rows % 2;
          const auto behind = static_cast<Behind>(which / 2);
          SphereNormCase t({.op = op, .k = 0.4}, relu, behind, dtype, shape.rows, shape.filters, shape.groups,
                           ks);
          t.prepare(ops);
          t.fused(ops);
          SphereNormCase want = t;
          for (Array SphereNormCase::*member :
               {&SphereNormCase::y, &SphereNormCase::k, &SphereNormCase::nx, &SphereNormCase::nw,
                &SphereNormCase::gamma, &SphereNormCase::beta, &SphereNormCase::mean, &SphereNormCase::invStd,
                &SphereNormCase::dz, &SphereNormCase::dy, &SphereNormCase::h, &SphereNormCase::r,
                &SphereNormCase::q, &SphereNormCase::dk, &SphereNormCase::dgamma, &SphereNormCase::dbeta}) {
            want.*member =
                Array::filled(DType::Float64, (t.*member).shape(), [&](int64_t i) { return (t.*member)[i]; });
          }
          want.separate(ops);
          // 16 bits: fast functions, right to 2^-10, of slopes that grow near y = 1.
          const bool half = isHalf(dtype);
          const double slack = half ? 4e-3 : tolerance(dtype, 2e-5, 1e-10);
          double largest = 1;
          for (int64_t i = 0; i < want.dy.size(); ++i) largest = std::max(largest, std::abs(want.dy[i]));
          const double scale = 8 * largest, root = scale * std::sqrt(static_cast<double>(shape.rows));
          const std::string what = "sphereConv2dNormBackward " + text(dtype) + " ";
          expectNear(what + "h", t.h, numbers(want.h), half ? tolerance(dtype, slack) : slack, scale);
          expectNear(what + "r", t.r, numbers(want.r), slack,
                     scale * std::sqrt(static_cast<double>(shape.filters)));
          expectNear(what + "q", t.q, numbers(want.q), slack, root);
          if (ks > 0)
            expectNear(what + "dk", t.dk, numbers(want.dk), slack,
                       root * (ks == 1 ? std::sqrt(static_cast<double>(shape.filters)) : 1));
          if (behind == Behind::Nothing) continue;
          expectNear(what + "dgamma", t.dgamma, numbers(want.dgamma), half ? 1e-4 : slack, root);
          expectNear(what + "dbeta", t.dbeta, numbers(want.dbeta), half ? 1e-4 : slack, root);
        }
      }
    }
  }
  for (const Behind behind : {Behind::Nothing, Behind::Rescaling, Behind::BatchNorm}) {
    SphereNormCase none({}, true, behind, DType::Float32, 0, 8, 1, 0);
    none.fused(ops);
    if (behind != Behind::Rescaling) continue;
    for (const Array* sums : {&none.q, &none.dgamma, &none.dbeta})
      expectNear("gradients of an empty batch", *sums, std::vector<double>(8), 0);
  }
}

/// Rows that take a warp, a block, or more blocks than one, against one row at a time.
inline void checkLongRows(Ops& ops) {
  for (const auto& [rows, classes] :
       {std::pair{1, 2}, {33, 31}, {700, 100}, {40, 2048}, {40, 2049}, {3, 30011}}) {
    for (DType dtype : kFloats) {
      const Array logits = Array::random(dtype, dims({rows, classes}), -9, 9),
                  labels = randomLabels(rows, classes);
      const Array dloss = Array::filled(dtype, dims({}), [](int64_t) { return 0.5; });
      Array loss(dtype, dims({})), p(dtype, logits.shape()), dlogits(dtype, logits.shape());
      ops.softmaxCrossEntropy(0.1, logits, labels, loss, p);
      ops.softmaxCrossEntropyBackward(0.1, p, labels, dloss, dlogits);
      AngularCase t({.op = AngularOperator::Linear}, {.margin = 2}, dtype, rows, classes);
      t.forward(ops);
      t.backward(ops);
      double want = 0, wantAngular = 0;
      for (int64_t i = 0; i < rows; ++i) {
        std::vector<double> row, angular;
        double mean = 0;
        for (int64_t j = 0; j < classes; ++j) {
          row.push_back(logits[i * classes + j]);
          mean += row.back() / classes;
          const double c = t.cosines[i * classes + j];
          angular.push_back(t.norms[i] * logitReference(t.a, t.m, j == t.labels[i], c));
        }
        want += (logSum(row) - 0.9 * row[static_cast<size_t>(labels[i])] - 0.1 * mean) / rows;
        wantAngular += (logSum(angular) - angular[static_cast<size_t>(t.labels[i])]) / rows;
        double total = 0, gradient = 0, angularTotal = 0;
        for (int64_t j = 0; j < classes; ++j) {
          total += p[i * classes + j];
          gradient += dlogits[i * classes + j];
          angularTotal += t.probabilities[i * classes + j];
        }
        expect(std::abs(total - 1) < 1e-5 && std::abs(gradient) < 1e-5 && std::abs(angularTotal - 1) < 1e-5,
               "probabilities add up to 1 and gradients to 0 in row " + std::to_string(i));
      }
      expectNear("softmaxCrossEntropy of long rows", loss, {want}, tolerance(dtype, 2e-6));
      expectNear("angularSoftmax of long rows", t.loss, {wantAngular}, tolerance(dtype, 3e-6));
    }
  }
}

}  // namespace spherenet::test
