// What the tests of the convolutions share: tensors, and comparisons of every pass with the definitions.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../../native/cpu/cpu_ops.h"
#include "conv_reference.h"

namespace conv_checks {

using namespace spherenet;
using reference::Case;
using reference::Values;

inline int checks = 0, failures = 0;
inline cpu::CpuOps ops;
inline std::mt19937 generator(20);

inline int64_t pick(int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(generator);
}

/// Values that float32 holds exactly.
inline Values randomValues(int64_t count, double scale) {
  Values v(count);
  std::normal_distribution<float> normal;
  for (double& e : v) e = static_cast<double>(normal(generator) * static_cast<float>(scale));
  return v;
}

inline Case randomCase() {
  for (;;) {
    Case t;
    const int64_t groups = pick(0, 2) ? 1 : pick(2, 4);
    t.p.groups = static_cast<int32_t>(groups);
    t.n = pick(1, 3);
    t.h = pick(1, 11);
    t.w = pick(1, 11);
    t.c = groups * (pick(0, 3) ? pick(1, 20) : pick(1, 70));
    t.o = groups * (pick(0, 3) ? pick(1, 20) : pick(1, 70));
    if (groups > 1 && pick(0, 2) == 0) {
      t.p.groups = static_cast<int32_t>(pick(5, 40));
      t.c = t.p.groups * pick(1, 2);
      t.o = t.p.groups * pick(1, 2);
    }
    t.kh = pick(1, 7);
    t.kw = pick(1, 7);
    if (pick(0, 3) == 0) t.kh = t.kw = 1;
    t.p.strideH = static_cast<int32_t>(pick(1, 3));
    t.p.strideW = static_cast<int32_t>(pick(1, 3));
    if (pick(0, 1)) t.p.strideH = t.p.strideW = 1;
    t.p.dilationH = static_cast<int32_t>(pick(0, 2) ? 1 : pick(2, 3));
    t.p.dilationW = static_cast<int32_t>(pick(0, 2) ? 1 : pick(2, 3));
    int32_t* const pads[] = {&t.p.padTop, &t.p.padBottom, &t.p.padLeft, &t.p.padRight};
    if (t.kh > 1 || pick(0, 1))
      for (int32_t* pad : pads) *pad = static_cast<int32_t>(pick(0, 3));
    t.a.op = static_cast<AngularOperator>(pick(0, 3));
    t.a.k = 0.3;
    if (t.h + t.p.padTop + t.p.padBottom < t.p.dilationH * (t.kh - 1) + 1) continue;
    if (t.w + t.p.padLeft + t.p.padRight < t.p.dilationW * (t.kw - 1) + 1) continue;
    if (t.positions() * t.o * t.filterSize() > 1500000) continue;
    return t;
  }
}

/// k as a tensor [1] or [O], or none.
inline Values randomCurvatures(const Case& t) {
  if (t.a.op != AngularOperator::Sigmoid || !pick(0, 1)) return {};
  Values k(pick(0, 1) ? 1 : t.o);
  for (double& e : k) e = static_cast<double>(0.25f + 0.05f * static_cast<float>(pick(0, 12)));
  return k;
}

/// n, h, w, c, o, kernel, stride, padding, dilation, groups
inline Case caseOf(const int (&shape)[10]) {
  const auto& [n, h, w, c, o, kernel, stride, padding, dilation, groups] = shape;
  Case t;
  t.n = n, t.h = h, t.w = w, t.c = c, t.o = o;
  t.kh = t.kw = kernel;
  t.p.strideH = t.p.strideW = stride;
  t.p.padTop = t.p.padBottom = t.p.padLeft = t.p.padRight = padding;
  t.p.dilationH = t.p.dilationW = dilation;
  t.p.groups = groups;
  t.a.op = static_cast<AngularOperator>(pick(0, 3));
  t.a.k = 0.3;
  return t;
}

template <class T>
struct Array {
  std::vector<T> values;
  Tensor tensor;

  Array(std::vector<int64_t> shape, const Values* from = nullptr) {
    for (int64_t extent : shape) tensor.shape[tensor.shape.rank++] = extent;
    values.assign(tensor.shape.product(), std::numeric_limits<T>::quiet_NaN());
    if (from)
      for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>((*from)[i]);
    tensor.data = values.data();
    tensor.dtype = DTypeOf<T>::value;
  }
  operator const Tensor&() const { return tensor; }
};

inline std::string describe(const Case& t) {
  char text[300];
  std::snprintf(text, sizeof text,
                "[%d,%d,%d,%d]->%d k %dx%d stride %d,%d pad %d,%d,%d,%d dilation %d,%d groups %d op %d",
                int(t.n), int(t.h), int(t.w), int(t.c), int(t.o), int(t.kh), int(t.kw), t.p.strideH,
                t.p.strideW, t.p.padTop, t.p.padBottom, t.p.padLeft, t.p.padRight, t.p.dilationH,
                t.p.dilationW, t.p.groups, int(t.a.op));
  return text;
}

template <class T>
void compare(const char* what, const Case& t, const std::vector<T>& got, const Values& expected,
             double factor = 1) {
  double largest = 1e-30, worst = 0;
  for (double e : expected) largest = std::max(largest, std::abs(e));
  for (size_t i = 0; i < expected.size(); ++i) {
    const double error = std::abs(static_cast<double>(got[i]) - expected[i]) / largest;
    if (!(error <= worst)) worst = error;
  }
  ++checks;
  const double tolerance = (sizeof(T) == 4 ? 1e-4 : 1e-9) * factor;
  if (got.size() == expected.size() && worst <= tolerance) return;
  ++failures;
  std::printf("FAIL %s %s: error %.3g, %s\n", sizeof(T) == 4 ? "float32" : "float64", what, worst,
              describe(t).c_str());
}

template <class T>
void checkPlain(const Case& t, const Values& x, const Values& w, const Values& bias, const Values& dy) {
  const auto want = reference::run(t, false, x, w, {}, bias, dy);
  const std::vector<int64_t> xs{t.n, t.h, t.w, t.c}, ws{t.o, t.kh, t.kw, t.groupChannels()},
      ys{t.n, t.oh(), t.ow(), t.o};
  const Array<T> X(xs, &x), W(ws, &w), DY(ys, &dy), Y(ys), DX(xs), DW(ws), DB({t.o});
  const Array<T> B({t.o}, bias.empty() ? nullptr : &bias);
  ops.conv2d(t.p, X, W, bias.empty() ? Tensor{} : B.tensor, Y);
  compare("y", t, Y.values, want.y);
  ops.conv2dDataGradient(t.p, DY, W, DX);
  compare("dx", t, DX.values, want.dx);
  ops.conv2dWeightGradient(t.p, X, DY, DW, DB);
  compare("dw", t, DW.values, want.dw);
  compare("dbias", t, DB.values, want.dbias);
}

template <class T>
void checkSphere(const Case& t, const Values& x, const Values& w, const Values& k, const Values& dy) {
  const auto want = reference::run(t, true, x, w, k, {}, dy);
  const std::vector<int64_t> xs{t.n, t.h, t.w, t.c}, ws{t.o, t.kh, t.kw, t.groupChannels()},
      ys{t.n, t.oh(), t.ow(), t.o}, rs{t.n, t.oh(), t.ow(), t.p.groups}, ks{static_cast<int64_t>(k.size())};
  const Array<T> X(xs, &x), W(ws, &w), DY(ys, &dy), Y(ys), DX(xs), DW(ws), NX(rs), NW({t.o}), H(ys), R(rs),
      Q({t.o});
  const Array<T> K(ks, &k), DK(ks);
  const Tensor kTensor = k.empty() ? Tensor{} : K.tensor, dkTensor = k.empty() ? Tensor{} : DK.tensor;
  // float64 may keep the cosines.
  const Array<T> C(ys);
  const Tensor cosines = sizeof(T) == 8 && pick(0, 1) ? C.tensor : Tensor{};
  ops.sphereConv2d(t.p, t.a, X, W, kTensor, Y, NX, NW, cosines);
  compare("sphere y", t, Y.values, want.y);
  compare("nx", t, NX.values, want.nx);
  compare("nw", t, NW.values, want.nw);
  // Filters of which few elements can meet an image give c near 1, where the terms of dx cancel and 1 /
  // sqrt(1 - c^2) is steep.
  const int64_t elements = t.groupChannels() * std::min(t.kh, t.h) * std::min(t.kw, t.w);
  const bool ill = sizeof(T) == 4 && elements < 6;
  const double factor = ill ? (t.a.op == AngularOperator::Cosine ? 10 : 500) : 1;
  ops.sphereConv2dAngularBackward(t.a, Y, cosines, DY, kTensor, NX, NW, H, R, Q, dkTensor);
  ops.sphereConv2dDataGradient(t.p, H, W, X, R, DX);
  compare("sphere dx", t, DX.values, want.dx, factor);
  ops.sphereConv2dWeightGradient(t.p, X, H, W, Q, NW, DW);
  compare("sphere dw", t, DW.values, want.dw, factor);
  if (!k.empty()) compare("dk", t, DK.values, want.dk);
}

template <class T>
void checkFinite(const char* what, double xScale, double wScale, const std::vector<T>& values) {
  ++checks;
  for (T v : values)
    if (!std::isfinite(v)) {
      ++failures;
      std::printf("FAIL %s of x * %g, w * %g: not finite\n", what, xScale, wScale);
      return;
    }
}

}  // namespace conv_checks
