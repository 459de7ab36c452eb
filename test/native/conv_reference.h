// Convolution and SphereConv from their definitions: float64, plain loops, gradients patch by patch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "../../native/ops.h"

namespace reference {

using Values = std::vector<double>;

struct Case {
  spherenet::Conv2dParams p;
  spherenet::AngularParams a;
  int64_t n = 1, h = 1, w = 1, c = 1, o = 1, kh = 1, kw = 1;

  int64_t extent(int64_t in, int64_t pads, int64_t taps, int64_t dilation, int64_t stride) const {
    return (in + pads - dilation * (taps - 1) - 1) / stride + 1;
  }
  int64_t oh() const { return extent(h, p.padTop + p.padBottom, kh, p.dilationH, p.strideH); }
  int64_t ow() const { return extent(w, p.padLeft + p.padRight, kw, p.dilationW, p.strideW); }
  int64_t groupChannels() const { return c / p.groups; }
  int64_t filterSize() const { return kh * kw * groupChannels(); }
  int64_t positions() const { return n * oh() * ow(); }

  /// Index into x of element e of the patch at a position for a group; -1 in the padding.
  int64_t patchIndex(int64_t position, int64_t group, int64_t e) const {
    const int64_t channel = group * groupChannels() + e % groupChannels(), tap = e / groupChannels();
    const int64_t image = position / (oh() * ow()), i = position / ow() % oh(), j = position % ow();
    const int64_t y = i * p.strideH - p.padTop + tap / kw * p.dilationH;
    const int64_t x = j * p.strideW - p.padLeft + tap % kw * p.dilationW;
    if (y < 0 || y >= h || x < 0 || x >= w) return -1;
    return ((image * h + y) * w + x) * c + channel;
  }
};

struct Angular {
  double value, byCosine, byK;
};

inline Angular angular(spherenet::AngularOperator op, double cosine, double k) {
  const double pi = std::numbers::pi;
  const double root = std::sqrt(std::max(1 - cosine * cosine, spherenet::kMinSinSquared));
  const double s = std::asin(std::clamp(cosine, -1.0, 1.0));
  if (op == spherenet::AngularOperator::Cosine) return {cosine, 1, 0};
  if (op == spherenet::AngularOperator::SquaredCosine)
    return {cosine * std::abs(cosine), 2 * std::abs(cosine), 0};
  if (op == spherenet::AngularOperator::Linear) return {2 / pi * s, 2 / pi / root, 0};
  const double numerator = std::tanh(s / (2 * k)), limit = std::tanh(pi / (4 * k));
  const double g = numerator / limit;
  const double byK =
      -(1 - numerator * numerator) * s / (2 * k * k) + g * (1 - limit * limit) * pi / (4 * k * k);
  return {g, (1 - numerator * numerator) / (2 * k * limit * root), byK / limit};
}

struct Result {
  Values y, nx, nw, dx, dw, dbias, dk;
};

/// Everything about a case. `sphere` off: a plain convolution. k, bias may be empty.
inline Result run(const Case& t, bool sphere, const Values& x, const Values& w, const Values& k,
                  const Values& bias, const Values& dy) {
  const int64_t size = t.filterSize(), groupFilters = t.o / t.p.groups;
  Result r;
  r.y.resize(t.positions() * t.o);
  r.nx.resize(t.positions() * t.p.groups);
  r.nw.resize(t.o);
  r.dx.resize(x.size());
  r.dw.resize(w.size());
  r.dbias.resize(t.o);
  r.dk.resize(k.size());
  for (int64_t o = 0; o < t.o; ++o) {
    double sum = 0;
    for (int64_t e = 0; e < size; ++e) sum += w[o * size + e] * w[o * size + e];
    r.nw[o] = std::sqrt(sum + t.a.epsilon);
  }
  for (int64_t m = 0; m < t.positions(); ++m) {
    for (int64_t group = 0; group < t.p.groups; ++group) {
      double squares = 0;
      std::vector<int64_t> index(size);
      for (int64_t e = 0; e < size; ++e) {
        index[e] = t.patchIndex(m, group, e);
        if (index[e] >= 0) squares += x[index[e]] * x[index[e]];
      }
      const double nx = std::sqrt(squares + t.a.epsilon);
      r.nx[m * t.p.groups + group] = nx;
      for (int64_t o = group * groupFilters; o < (group + 1) * groupFilters; ++o) {
        double dot = 0;
        for (int64_t e = 0; e < size; ++e)
          if (index[e] >= 0) dot += x[index[e]] * w[o * size + e];
        const double upstream = dy[m * t.o + o], nw = r.nw[o];
        double byX = upstream, byW = upstream, xShare = 0, wShare = 0;
        if (sphere) {
          const double cosine = dot / (nx * nw);
          const int64_t at = k.size() == 1 ? 0 : o;
          const Angular g = angular(t.a.op, cosine, k.empty() ? t.a.k : k[at]);
          r.y[m * t.o + o] = g.value;
          if (!k.empty()) r.dk[at] += upstream * g.byK;
          byX = byW = upstream * g.byCosine / (nx * nw);
          xShare = upstream * g.byCosine * cosine / (nx * nx);
          wShare = upstream * g.byCosine * cosine / (nw * nw);
        } else {
          r.y[m * t.o + o] = dot + (bias.empty() ? 0 : bias[o]);
          r.dbias[o] += upstream;
        }
        for (int64_t e = 0; e < size; ++e) {
          const double patch = index[e] >= 0 ? x[index[e]] : 0;
          if (index[e] >= 0) r.dx[index[e]] += byX * w[o * size + e] - xShare * patch;
          r.dw[o * size + e] += byW * patch - wShare * w[o * size + e];
        }
      }
    }
  }
  return r;
}

}  // namespace reference
