#include "exact_angles.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "parallel.h"
#include "rounding.h"
#include "scratch.h"

namespace spherenet::cpu {
namespace {

using std::numbers::pi;

constexpr int64_t kRows = 64;  // a parallel range

struct Angle {
  double value, slope, kSlope;  // g, dg/dc, dg/dk
};

Angle angleAt(AngularOperator op, double c, double k) {
  c = std::clamp(c, -1.0, 1.0);
  if (op == AngularOperator::Cosine) return {c, 1, 0};
  if (op == AngularOperator::SquaredCosine) return {std::abs(c) * c, 2 * std::abs(c), 0};
  const double root = std::sqrt(std::max((1 - c) * (1 + c), kMinSinSquared));
  const double s = std::asin(c);
  if (op == AngularOperator::Linear) return {s * 2 / pi, 2 / pi / root, 0};
  const double sign = k < 0 ? -1 : 1;  // g is even in k
  k = std::max(std::abs(k), 1e-6);
  const double limit = std::tanh(pi / (4 * k)), n = std::tanh(s / (2 * k));
  const double rest = (1 - n) * (1 + n), limitRest = (1 - limit) * (1 + limit);
  const double kSlope = (-rest * s * 2 + n / limit * limitRest * pi) / (4 * k * k * limit);
  return {n / limit, rest / (2 * k * limit * root), sign * kSlope};
}

/// 0 for a norm of 0 and for NaN: nothing flows back there.
double inverseOf(double norm) {
  return norm > 0 ? 1 / norm : 0;
}

double curvature(const AngularParams& a, const Tensor& k, int64_t filter) {
  return k ? k.as<double>()[k.size() == 1 ? 0 : filter] : a.k;
}

}  // namespace

void exactAngles(const AngularParams& a, const Tensor& c, const Tensor& k, const Tensor& y) {
  const int64_t filters = c.shape[c.shape.rank - 1];
  const double* const cosines = c.as<double>();
  double* const values = y.as<double>();
  parallelRanges(c.size() / filters, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * filters; i < end * filters; ++i)
      values[i] = angleAt(a.op, cosines[i], curvature(a, k, i % filters)).value;
  });
}

void exactAngularBackward(const AngularParams& a, const Tensor& c, const Tensor& dy, const Tensor& k,
                          const Tensor& nx, const Tensor& nw, const Tensor& h, const Tensor& r,
                          const Tensor& q, const Tensor& dk) {
  const int64_t filters = c.shape[c.shape.rank - 1], groups = nx.shape[nx.shape.rank - 1];
  const int64_t rows = c.size() / filters, groupFilters = filters / groups;
  const int64_t ranges = ceilDivide(rows, kRows);
  const double *cosines = c.as<double>(), *gradients = dy.as<double>();
  const double *patchNorms = nx.as<double>(), *filterNorms = nw.as<double>();
  double *const products = h.as<double>(), *const radial = r.as<double>();
  double* const partial =
      scratch<double>(ScratchSlot::Partials, ranges * 2 * filters);  // q, then dk, a range
  parallelRanges(rows, kRows, [&](int64_t begin, int64_t end) {
    double* const qs = partial + begin / kRows * 2 * filters;
    std::fill_n(qs, 2 * filters, 0.0);
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t group = 0; group < groups; ++group) {
        const double inverse = inverseOf(patchNorms[row * groups + group]);
        double sum = 0;
        for (int64_t filter = group * groupFilters; filter < (group + 1) * groupFilters; ++filter) {
          const int64_t i = row * filters + filter;
          const Angle angle = angleAt(a.op, cosines[i], curvature(a, k, filter));
          const bool defined =
              cosines[i] == cosines[i];  // a patch with NaN or infinities passes nothing back
          const double given = gradients[i], gradient = defined ? given * angle.slope : 0;
          const double along = defined ? gradient * cosines[i] : 0;
          products[i] = gradient * inverse * inverseOf(filterNorms[filter]);
          sum += along;
          qs[filter] += along;
          if (defined) qs[filters + filter] += given * angle.kSlope;
        }
        radial[row * groups + group] = sum * inverse * inverse;
      }
    }
  });
  double shared = 0;
  for (int64_t filter = 0; filter < filters; ++filter) {
    double sums[2] = {0, 0};
    for (int64_t range = 0; range < ranges; ++range) {
      sums[0] += partial[range * 2 * filters + filter];
      sums[1] += partial[range * 2 * filters + filters + filter];
    }
    q.as<double>()[filter] = sums[0];
    shared += sums[1];
    if (dk && dk.size() > 1) dk.as<double>()[filter] = sums[1];
  }
  if (dk && dk.size() == 1) *dk.as<double>() = shared;
}

}  // namespace spherenet::cpu
