// Pooling, batch normalisation and optimiser steps against loops over float64.
#pragma once

#include "check.h"

namespace spherenet::test {

/// Calls body(input index or -1 for padding) for each value of a window.
template <class F>
void overWindow(const Pool2dParams& p, const Dims& x, int64_t n, int64_t oh, int64_t ow, int64_t c,
                const F& body) {
  for (int64_t kh = 0; kh < p.kernelH; ++kh) {
    for (int64_t kw = 0; kw < p.kernelW; ++kw) {
      const int64_t h = oh * p.strideH - p.padTop + kh, w = ow * p.strideW - p.padLeft + kw;
      const bool inside = h >= 0 && h < x[1] && w >= 0 && w < x[2];
      body(inside ? ((n * x[1] + h) * x[2] + w) * x[3] + c : -1);
    }
  }
}

inline void checkPoolingCase(Ops& ops, const Pool2dParams& p, DType dtype, const Dims& xShape,
                             bool specials) {
  const auto out = [](int64_t extent, int64_t pad, int64_t kernel, int64_t stride) {
    return (extent + pad - kernel) / stride + 1;
  };
  const Dims yShape = dims({xShape[0], out(xShape[1], p.padTop + p.padBottom, p.kernelH, p.strideH),
                            out(xShape[2], p.padLeft + p.padRight, p.kernelW, p.strideW), xShape[3]});
  // Few distinct values, so that maxima tie.
  const Array x = Array::filled(dtype, xShape, [&](int64_t) {
    const double v = std::floor(randomNumber(-4, 4));
    return specials && v == 3 ? kNan : specials && v == -4 ? -kInfinity : v;
  });
  const Array dy = Array::random(dtype, yShape);
  const size_t inputs = static_cast<size_t>(x.size());
  std::vector<double> maxima, means[2], dMax(inputs, 0.0), dMean[2] = {dMax, dMax};
  for (int64_t i = 0; i < dy.size(); ++i) {
    const Dims at = positionOf(yShape, i);
    int64_t best = -1, count = 0;
    double sum = 0;
    const auto each = [&](auto body) { overWindow(p, xShape, at[0], at[1], at[2], at[3], body); };
    each([&](int64_t j) {
      if (j < 0) return;
      ++count;
      sum += x[j];
      if (best < 0 || x[j] > x[best] || (std::isnan(x[j]) && !std::isnan(x[best]))) best = j;
    });
    maxima.push_back(best < 0 ? -kInfinity : x[best]);
    if (best >= 0) dMax[static_cast<size_t>(best)] += dy[i];
    for (int padded = 0; padded < 2; ++padded) {
      const double divisor = static_cast<double>(padded ? int64_t{p.kernelH} * p.kernelW : count);
      means[padded].push_back(count == 0 ? 0 : sum / divisor);
      each([&](int64_t j) {
        if (j >= 0) dMean[padded][static_cast<size_t>(j)] += dy[i] / divisor;
      });
    }
  }
  Array y(dtype, yShape), dx(dtype, xShape);
  ops.maxPool2d(p, x, y);
  expectNear("maxPool2d", y, maxima, 0);
  ops.maxPool2dBackward(p, x, dy, dx);
  expectNear("maxPool2d gradient", dx, dMax, tolerance(dtype));
  for (bool padded : {false, true}) {
    if (!specials) {
      ops.avgPool2d(p, padded, x, y);
      expectNear("avgPool2d", y, means[padded], tolerance(dtype));
    }
    ops.avgPool2dBackward(p, padded, dy, dx);
    expectNear("avgPool2d gradient", dx, dMean[padded], tolerance(dtype));
  }
}

inline void checkPooling(Ops& ops) {
  for (int trial = 0; trial < 250; ++trial) {
    Pool2dParams p;
    const auto pick = [](int64_t low, int64_t high) {
      return static_cast<int32_t>(randomInteger(low, high));
    };
    p.kernelH = pick(1, 4), p.kernelW = pick(1, 4);
    const bool disjoint = trial % 2 == 0;
    p.strideH = disjoint ? p.kernelH + pick(0, 1) : pick(1, 3);
    p.strideW = disjoint ? p.kernelW + pick(0, 1) : pick(1, 3);
    p.padTop = pick(0, p.kernelH), p.padBottom = pick(0, p.kernelH);
    p.padLeft = pick(0, p.kernelW), p.padRight = pick(0, p.kernelW);
    const int64_t channels[] = {1, 3, 5, 17, 64, 300};
    const Dims x =
        dims({pick(1, trial % 7 == 0 ? 17 : 3), pick(p.kernelH, 9), pick(p.kernelW, 9), channels[trial % 6]});
    checkPoolingCase(ops, p, kFloats[trial / 2 % 2], x, trial % 5 == 0);
  }
  Pool2dParams whole;
  whole.kernelH = whole.kernelW = 40;
  for (DType dtype : kFloats) checkPoolingCase(ops, whole, dtype, dims({2, 40, 40, 19}), false);
}

struct BatchNormCase {
  Array x, gamma, beta, dy, runningMean, runningVariance, y, mean, invStd, dx, dgamma, dbeta;

  BatchNormCase(DType dtype, const Dims& shape)
      : x(Array::random(dtype, shape)),
        gamma(Array::random(isHalf(dtype) ? DType::Float32 : dtype, dims({shape[shape.rank - 1]}), 0.5, 2)),
        beta(Array::random(gamma.dtype(), gamma.shape())),
        dy(Array::random(dtype, shape)),
        runningMean(Array::random(gamma.dtype(), gamma.shape())),
        runningVariance(Array::random(gamma.dtype(), gamma.shape(), 0.5, 2)),
        y(dtype, shape),
        mean(gamma.dtype(), gamma.shape()),
        invStd(gamma.dtype(), gamma.shape()),
        dx(dtype, shape),
        dgamma(gamma.dtype(), gamma.shape()),
        dbeta(gamma.dtype(), gamma.shape()) {}

  int64_t channels() const { return gamma.size(); }
  int64_t rows() const { return x.size() / channels(); }

  void forward(Ops& ops, double momentum = 0.1, double epsilon = 1e-5) {
    ops.batchNorm(momentum, epsilon, x, gamma, beta, runningMean, runningVariance, y, mean, invStd);
  }
  void backward(Ops& ops) { ops.batchNormBackward(x, gamma, mean, invStd, dy, dx, dgamma, dbeta); }
};

/// Training: forward, running statistics and backward, by the textbook's two passes.
inline void expectBatchNorm(Ops& ops, const std::string& what, BatchNormCase& t, double tolerance) {
  const double momentum = 0.1, epsilon = 1e-5;
  const int64_t rows = t.rows(), channels = t.channels();
  std::vector<double> mean, invStd, runningMean, runningVariance, dgamma, dbeta;
  std::vector<double> y(static_cast<size_t>(t.x.size())), dx = y;
  const double n = static_cast<double>(rows);
  for (int64_t c = 0; c < channels; ++c) {
    double m = 0, v = 0, sumDy = 0, sumDyX = 0;
    for (int64_t r = 0; r < rows; ++r) m += t.x[r * channels + c] / n;
    for (int64_t r = 0; r < rows; ++r) v += std::pow(t.x[r * channels + c] - m, 2) / n;
    const double s = 1 / std::sqrt(v + epsilon);
    const auto normal = [&](int64_t r) { return (t.x[r * channels + c] - m) * s; };
    for (int64_t r = 0; r < rows; ++r) {
      y[static_cast<size_t>(r * channels + c)] = normal(r) * t.gamma[c] + t.beta[c];
      sumDy += t.dy[r * channels + c];
      sumDyX += t.dy[r * channels + c] * normal(r);
    }
    for (int64_t r = 0; r < rows; ++r) {
      dx[static_cast<size_t>(r * channels + c)] =
          t.gamma[c] * s * (t.dy[r * channels + c] - sumDy / n - normal(r) * sumDyX / n);
    }
    mean.push_back(m);
    invStd.push_back(s);
    runningMean.push_back(t.runningMean[c] + momentum * (m - t.runningMean[c]));
    const double unbiased = rows > 1 ? v * n / (n - 1) : v;
    runningVariance.push_back(t.runningVariance[c] + momentum * (unbiased - t.runningVariance[c]));
    dgamma.push_back(sumDyX);
    dbeta.push_back(sumDy);
  }
  t.forward(ops, momentum, epsilon);
  const double rounding = isHalf(t.x.dtype()) ? test::tolerance(t.x.dtype(), tolerance) : tolerance;
  expectNear(what + " y", t.y, y, rounding);
  expectNear(what + " mean", t.mean, mean, tolerance);
  expectNear(what + " invStd", t.invStd, invStd, tolerance);
  expectNear(what + " running mean", t.runningMean, runningMean, tolerance);
  expectNear(what + " running variance", t.runningVariance, runningVariance, tolerance);
  t.backward(ops);
  double largest = 1;
  for (double s : invStd) largest = std::max(largest, s);
  expectNear(what + " dx", t.dx, dx, rounding, largest);
  expectNear(what + " dgamma", t.dgamma, dgamma, tolerance, std::sqrt(n));
  expectNear(what + " dbeta", t.dbeta, dbeta, tolerance, std::sqrt(n));
}

inline void checkBatchNorm(Ops& ops) {
  const Dims shapes[] = {dims({1}),          dims({1, 1}),     dims({1, 70}),          dims({2, 3}),
                         dims({7, 5, 3, 1}), dims({40000, 1}), dims({20011, 3}),       dims({3, 17, 19, 63}),
                         dims({9, 11, 64}),  dims({130, 257}), dims({2, 30, 30, 128}), dims({5, 1000}),
                         dims({50, 2, 48})};
  for (const Dims& shape : shapes) {
    for (DType dtype : kFloats) {
      BatchNormCase t(dtype, shape);
      // Two rows may lie close together, where 1 / deviation magnifies rounding.
      expectBatchNorm(ops, "batchNorm", t, tolerance(dtype, shape.product() < 10 ? 1e-4 : 1e-5, 1e-11));

      std::vector<double> y, dx, dgamma(static_cast<size_t>(t.channels()), 0.0), dbeta = dgamma;
      for (int64_t i = 0; i < t.x.size(); ++i) {
        const int64_t c = i % t.channels();
        const double s = 1 / std::sqrt(t.runningVariance[c] + 0.01);
        y.push_back((t.x[i] - t.runningMean[c]) * s * t.gamma[c] + t.beta[c]);
        dx.push_back(t.dy[i] * s * t.gamma[c]);
        dgamma[static_cast<size_t>(c)] += t.dy[i] * (t.x[i] - t.runningMean[c]) * s;
        dbeta[static_cast<size_t>(c)] += t.dy[i];
      }
      ops.batchNormInference(0.01, t.x, t.gamma, t.beta, t.runningMean, t.runningVariance, t.y);
      expectNear("batchNormInference", t.y, y, tolerance(dtype, 2e-6));
      ops.batchNormInferenceBackward(0.01, t.x, t.gamma, t.runningMean, t.runningVariance, t.dy, t.dx,
                                     t.dgamma, t.dbeta);
      const double root = std::sqrt(static_cast<double>(t.rows()));
      expectNear("batchNormInference dx", t.dx, dx, tolerance(dtype));
      expectNear("batchNormInference dgamma", t.dgamma, dgamma, tolerance(dtype, 2e-6), root);
      expectNear("batchNormInference dbeta", t.dbeta, dbeta, tolerance(dtype, 2e-6), root);
    }
  }
  // Far from 0, in float32: mean 1000 and deviation 0.01, where x^2 - mean^2 has no digit left.
  for (const Dims& shape : {dims({30000, 3}), dims({4000, 64}), dims({300, 300})}) {
    BatchNormCase t(DType::Float32, shape);
    std::normal_distribution<double> normal(1000, 0.01);
    for (int64_t i = 0; i < t.x.size(); ++i)
      t.x.set(i, i % t.channels() % 2 ? normal(generator()) : randomNumber());
    expectBatchNorm(ops, "batchNorm far from 0", t, 1e-4);
    // An outlier in the first row, which must not become the value that differences are taken from.
    for (int64_t c = 0; c < t.channels(); ++c) t.x.set(c, 5e4);
    expectBatchNorm(ops, "batchNorm with an outlier", t, 1e-4);
  }
  BatchNormCase constant(DType::Float32, dims({100, 5}));
  ops.fill(3.1, constant.x);
  expectBatchNorm(ops, "batchNorm of a constant", constant, 1e-5);

  BatchNormCase t(DType::Float64, dims({6, 2, 3}));
  t.forward(ops);
  t.backward(ops);
  const Array dx = t.dx, dgamma = t.dgamma, dbeta = t.dbeta;
  const auto loss = [&] {
    t.forward(ops);
    return dot(t.y, t.dy);
  };
  expectGradient("batchNorm dx", t.x, dx, loss);
  expectGradient("batchNorm dgamma", t.gamma, dgamma, loss);
  expectGradient("batchNorm dbeta", t.beta, dbeta, loss);
}

inline void checkSgd(Ops& ops, DType dtype, const std::vector<Dims>& shapes, SgdParams p) {
  std::vector<Array> values, gradients, velocities;
  std::vector<std::vector<double>> wantValues, wantVelocities;
  for (const Dims& shape : shapes) {
    values.push_back(Array::random(dtype, shape));
    velocities.emplace_back(dtype, shape);
    ops.fill(kNan, velocities.back());  // the first step may not read it
    wantValues.emplace_back();
    for (int64_t i = 0; i < shape.product(); ++i) wantValues.back().push_back(values.back()[i]);
    wantVelocities.emplace_back(static_cast<size_t>(shape.product()), 0.0);
  }
  for (int step = 1; step <= 3; ++step) {
    p.firstStep = step == 1;
    gradients.clear();
    for (size_t k = 0; k < shapes.size(); ++k) {
      gradients.push_back(Array::random(dtype, shapes[k]));
      for (size_t i = 0; i < wantValues[k].size(); ++i) {
        double g = gradients[k][static_cast<int64_t>(i)] + p.weightDecay * wantValues[k][i];
        double& v = wantVelocities[k][i];
        if (p.momentum != 0) {
          v = step == 1 ? g : p.momentum * v + (1 - p.dampening) * g;
          g = p.nesterov ? g + p.momentum * v : v;
        }
        wantValues[k][i] -= p.lr * g;
      }
    }
    const auto tensors = [](const std::vector<Array>& a) { return std::vector<Tensor>(a.begin(), a.end()); };
    const bool has = p.momentum != 0;
    ops.sgdStep(p, tensors(values), tensors(gradients),
                has ? tensors(velocities) : std::vector<Tensor>(values.size()));
  }
  for (size_t k = 0; k < shapes.size(); ++k) {
    expectNear("sgdStep", values[k], wantValues[k], tolerance(dtype, 2e-6));
    if (p.momentum != 0)
      expectNear("sgdStep velocity", velocities[k], wantVelocities[k], tolerance(dtype, 2e-6));
  }
}

inline void checkAdam(Ops& ops, DType dtype, const std::vector<Dims>& shapes, AdamParams p) {
  std::vector<Array> values, firsts, seconds;
  struct State {
    double value, m, v;
  };
  std::vector<std::vector<State>> states;
  for (const Dims& shape : shapes) {
    values.push_back(Array::random(dtype, shape));
    for (auto* moments : {&firsts, &seconds}) {
      moments->emplace_back(dtype, shape);
      ops.fill(0, moments->back());
    }
    states.emplace_back();
    for (int64_t i = 0; i < shape.product(); ++i) states.back().push_back({values.back()[i], 0, 0});
  }
  for (p.step = 1; p.step <= 4; ++p.step) {
    std::vector<Array> gradients;
    for (size_t k = 0; k < shapes.size(); ++k) {
      gradients.push_back(Array::random(dtype, shapes[k]));
      for (size_t i = 0; i < states[k].size(); ++i) {
        auto& [value, m, v] = states[k][i];
        double g = gradients[k][static_cast<int64_t>(i)];
        if (p.decoupled) {
          value -= p.lr * p.weightDecay * value;
        } else {
          g += p.weightDecay * value;
        }
        m = p.beta1 * m + (1 - p.beta1) * g;
        v = p.beta2 * v + (1 - p.beta2) * g * g;
        const double mHat = m / (1 - std::pow(p.beta1, p.step)), vHat = v / (1 - std::pow(p.beta2, p.step));
        value -= p.lr * mHat / (std::sqrt(vHat) + p.epsilon);
      }
    }
    const auto tensors = [](const std::vector<Array>& a) { return std::vector<Tensor>(a.begin(), a.end()); };
    ops.adamStep(p, tensors(values), tensors(gradients), tensors(firsts), tensors(seconds));
  }
  for (size_t k = 0; k < shapes.size(); ++k) {
    std::vector<double> value, m, v;
    for (const State& s : states[k]) value.push_back(s.value), m.push_back(s.m), v.push_back(s.v);
    expectNear("adamStep", values[k], value, tolerance(dtype, 5e-6, 1e-12));
    expectNear("adamStep first moment", firsts[k], m, tolerance(dtype, 2e-6, 1e-12));
    expectNear("adamStep second moment", seconds[k], v, tolerance(dtype, 2e-6, 1e-12));
  }
}

inline void checkOptimizers(Ops& ops) {
  const std::vector<Dims> shapes = {dims({3}), dims({}),      dims({0, 4}), dims({40001}),
                                    dims({1}), dims({70, 9}), dims({17000})};
  for (DType dtype : kFloats) {
    checkSgd(ops, dtype, {}, {});
    for (double momentum : {0.0, 0.9}) {
      for (double decay : {0.0, 0.1}) {
        checkSgd(ops, dtype, shapes, {.lr = 0.1, .momentum = momentum, .weightDecay = decay});
        checkSgd(ops, dtype, shapes,
                 {.lr = 0.1, .momentum = momentum, .dampening = 0.5, .weightDecay = decay});
        checkSgd(ops, dtype, shapes,
                 {.lr = 0.1, .momentum = momentum, .weightDecay = decay, .nesterov = true});
      }
    }
    for (bool decoupled : {false, true}) {
      checkAdam(ops, dtype, shapes, {.lr = 0.01, .decoupled = decoupled});
      checkAdam(ops, dtype, shapes,
                {.lr = 0.01,
                 .beta1 = 0.5,
                 .beta2 = 0.9,
                 .epsilon = 1e-3,
                 .weightDecay = 0.3,
                 .decoupled = decoupled});
    }
  }
}

/// Tensors without elements are left alone.
inline void checkEmpty(Ops& ops) {
  const Array x(DType::Float32, dims({0, 3})), vector(DType::Float32, dims({3}));
  ops.fill(1, x);
  ops.cast(1, 0, x, Array(DType::Float64, x.shape()));
  ops.copyRegion(dims({0, 0}), dims({0, 0}), dims({0, 3}), x, x);
  ops.binary(BinaryOp::Add, x, vector, x);
  ops.affine(1, 2, x, x);
  ops.unary(UnaryOp::Square, x, x);
  ops.power(2, x, x);
  ops.oneHot(Array(DType::Int32, dims({0})), x);
  ops.leakyRelu(0, x, x);
  ops.broadcastTo(Array(DType::Float32, dims({1, 3})), x);
  ops.randomUniform(1, 0, 1, x);
  ops.randomNormal(1, 0, 1, x);
  ops.dropout(1, 0.5, x, x);
  BatchNormCase none(DType::Float32, dims({0, 3}));
  none.forward(ops);
  none.backward(ops);
  expect(true, "empty tensors");
}

}  // namespace spherenet::test
