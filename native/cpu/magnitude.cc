// h(|x|) of the decoupled operators: a pass over the output of a SphereConv, and one before its gradient.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"
#include "scratch.h"
#include "simd/kernels.h"

namespace spherenet::cpu {
namespace {

/// dg is kept below this, far enough from the end of the range for sums over filters and positions.
template <class T>
constexpr T kLargestGradient = sizeof(T) == 4 ? T(0x1p96) : T(0x1p900);

/// Where h differs within a row of y: with one radius for all filters the groups, else the filters.
struct Layout {
  int64_t rows, filters, groups, groupFilters;
  bool perFilter;

  Layout(const Tensor& y, const Tensor& nx, const Tensor& radius)
      : filters(y.shape[y.shape.rank - 1]), groups(nx.shape[nx.shape.rank - 1]) {
    rows = filters > 0 ? y.size() / filters : 0;
    groupFilters = groups > 0 ? filters / groups : 0;
    perFilter = radius.size() > 1;
  }
  int64_t columns() const { return perFilter ? filters : groups; }
  int64_t grain() const { return grainOfRows(filters); }
};

/// h of one row: value * factor, where factor is 1 unless an h leaves the range of T; and its derivatives.
template <class T>
class MagnitudeRow {
 public:
  static constexpr int64_t kArrays = 9;

  T *value, *slope, *radiusSlope;  // [columns]; the last two: dh/dn, dh/drho
  T* inverse;                      // 1 / value
  T factor = 1;

  /// memory: kArrays * layout.columns() elements.
  MagnitudeRow(const MagnitudeParams& p, const Layout& layout, const Tensor& radius, T* memory)
      : p_(p), layout_(layout), columns_(layout.columns()) {
    T** const arrays[kArrays] = {&value,    &slope,   &radiusSlope,    &norms_, &quotient_,
                                 &tangent_, &radius_, &inverseRadius_, &inverse};
    for (T** array : arrays) {
      *array = memory;
      memory += columns_;
    }
    for (int64_t j = 0; j < columns_; ++j) {
      const double given = radius ? static_cast<double>(radius.as<T>()[layout.perFilter ? j : 0]) : p.radius;
      radius_[j] = static_cast<T>(given < kMinRadius ? kMinRadius : given);
      inverseRadius_[j] = 1 / radius_[j];
    }
  }

  /// From the norms of the row's patches, one a group.
  void evaluate(const T* nx) {
    if (layout_.perFilter) {
      for (int64_t group = 0; group < layout_.groups; ++group)
        std::fill_n(norms_ + group * layout_.groupFilters, layout_.groupFilters, nx[group]);
    } else {
      std::copy_n(nx, columns_, norms_);
    }
    // The outputs of a patch that is NaN are NaN already; its h is to be none of the sums' business.
    for (int64_t j = 0; j < columns_; ++j) norms_[j] = norms_[j] > 0 ? norms_[j] : T(0);
    evaluateWith(static_cast<T>(p_.scale), static_cast<T>(p_.slope));
    factor = 1;
    const T largest = *std::max_element(value, value + columns_);
    if (!(largest > std::numeric_limits<T>::max())) return;
    // h is linear in its coefficients.
    constexpr T kFactor = T(0x1p64);
    factor = kFactor;
    evaluateWith(static_cast<T>(p_.scale) / kFactor, static_cast<T>(p_.slope) / kFactor);
    for (int64_t j = 0; j < columns_; ++j) slope[j] *= kFactor, radiusSlope[j] *= kFactor;
  }

  /// Fills `inverse`. An h that is too small for it counts as 0, and its inverse too: nothing flows back
  /// there.
  void invert() {
    for (int64_t j = 0; j < columns_; ++j) {
      const bool positive = value[j] >= std::numeric_limits<T>::min();
      inverse[j] = positive ? 1 / value[j] : T(0);
      value[j] = positive ? value[j] : T(0);
    }
  }

 private:
  void evaluateWith(T a, T b) {
    const T *n = norms_, *rho = radius_, *inverseRadius = inverseRadius_;
    const auto each = [&](const auto& f) {
      SPHERENET_INDEPENDENT
      for (int64_t j = 0; j < columns_; ++j) f(j);
    };
    switch (p_.function) {
      case Magnitude::Ball:
        return each([&](int64_t j) {
          const bool beyond = n[j] >= rho[j];
          const T part = n[j] * inverseRadius[j];
          value[j] = beyond ? a : a * part;
          slope[j] = beyond ? T(0) : a * inverseRadius[j];
          radiusSlope[j] = beyond ? T(0) : -a * part * inverseRadius[j];
        });
      case Magnitude::Tanh: {
        constexpr T kSaturated = 40;
        each([&](int64_t j) {
          const T part = n[j] * inverseRadius[j];
          quotient_[j] = part > kSaturated ? kSaturated : part;
        });
        simd::kernels().set<T>().tanh(quotient_, tangent_, columns_);
        return each([&](int64_t j) {
          const T rest = a * (1 - tangent_[j]) * (1 + tangent_[j]) * inverseRadius[j];
          value[j] = a * tangent_[j];
          slope[j] = rest;
          radiusSlope[j] = -rest * quotient_[j];
        });
      }
      case Magnitude::Linear:
        return each([&](int64_t j) { value[j] = a * n[j], slope[j] = a, radiusSlope[j] = 0; });
      case Magnitude::Segmented:
        return each([&](int64_t j) {
          const bool beyond = n[j] > rho[j];
          value[j] = beyond ? b * n[j] + (a - b) * rho[j] : a * n[j];
          slope[j] = beyond ? b : a;
          radiusSlope[j] = beyond ? a - b : T(0);
        });
      case Magnitude::Logarithmic:
        return each([&](int64_t j) {
          value[j] = a * std::log1p(n[j]), slope[j] = a / (1 + n[j]), radiusSlope[j] = 0;
        });
      case Magnitude::Mixed:
        return each([&](int64_t j) {
          value[j] = a * n[j] + b * std::log1p(n[j]), slope[j] = a + b / (1 + n[j]), radiusSlope[j] = 0;
        });
    }
  }

  const MagnitudeParams& p_;
  const Layout& layout_;
  const int64_t columns_;
  T *norms_, *quotient_, *tangent_, *radius_, *inverseRadius_;
};

template <class T>
void forward(const MagnitudeParams& p, const Layout& layout, const T* nx, const Tensor& radius, const T* g,
             T* y) {
  parallelRanges(layout.rows, layout.grain(), [&](int64_t begin, int64_t end) {
    MagnitudeRow<T> h(p, layout, radius,
                      scratch<T>(ScratchSlot::RowValues, MagnitudeRow<T>::kArrays * layout.columns()));
    for (int64_t row = begin; row < end; ++row) {
      h.evaluate(nx + row * layout.groups);
      for (int64_t group = 0; group < layout.groups; ++group) {
        const int64_t filter = group * layout.groupFilters, first = row * layout.filters + filter;
        const T value = h.value[layout.perFilter ? 0 : group], factor = h.factor;
        const T* const values = h.value + filter;
        SPHERENET_INDEPENDENT
        for (int64_t j = 0; j < layout.groupFilters; ++j)
          y[first + j] = g[first + j] * (layout.perFilter ? values[j] : value) * factor;
      }
    }
  });
}

/// Sum in float64, in an order that vectorises.
template <class Term>
double sumOf(int64_t count, const Term& term) {
  constexpr int64_t kLanes = 8;
  double lanes[kLanes] = {};
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += static_cast<double>(term(j + lane));
  for (int64_t lane = 0; j < count; ++j, ++lane) lanes[lane] += static_cast<double>(term(j));
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

/// Writes g and dg of `count` outputs, and products = dy g. `at` gives the place of an output's h.
template <class T, class At>
void recover(const MagnitudeRow<T>& h, int64_t count, const T* y, const T* dy, T* g, T* dg, T* products,
             const At& at) {
  const T factor = h.factor, inverseFactor = 1 / factor;
  SPHERENET_INDEPENDENT
  for (int64_t j = 0; j < count; ++j) {
    // Selects instead of branches, so that the loop vectorises; NaN passes both bounds.
    const T outcome = y[j], incoming = dy[j];
    T angle = outcome * inverseFactor * h.inverse[at(j)];
    angle = angle > 1 ? T(1) : angle;
    angle = angle < -1 ? T(-1) : angle;
    T gradient = incoming * h.value[at(j)] * factor, product = incoming * angle;
    gradient = gradient > kLargestGradient<T> ? kLargestGradient<T> : gradient;
    gradient = gradient < -kLargestGradient<T> ? -kLargestGradient<T> : gradient;
    g[j] = angle;
    dg[j] = outcome == outcome ? gradient : T(0);
    products[j] = outcome == outcome ? product : T(0);
  }
}

template <class T>
void backward(const MagnitudeParams& p, const Layout& layout, const T* y, const T* dy, const T* nx,
              const Tensor& radius, T* g, T* dg, T* radial, const Tensor& dradius) {
  const int64_t grain = std::clamp<int64_t>(layout.grain(), 16, 1024);
  const int64_t ranges = ceilDivide(layout.rows, grain), columns = layout.columns();
  double* const partial = scratch<double>(ScratchSlot::Partials, ranges * columns);
  parallelRanges(layout.rows, grain, [&](int64_t begin, int64_t end) {
    T* const products =
        scratch<T>(ScratchSlot::RowValues, layout.groupFilters + MagnitudeRow<T>::kArrays * columns);
    MagnitudeRow<T> h(p, layout, radius, products + layout.groupFilters);
    double* const sums = partial + begin / grain * columns;
    std::fill_n(sums, columns, 0.0);
    for (int64_t row = begin; row < end; ++row) {
      h.evaluate(nx + row * layout.groups);
      h.invert();
      for (int64_t group = 0; group < layout.groups; ++group) {
        const int64_t count = layout.groupFilters, filter = group * count;
        const int64_t first = row * layout.filters + filter;
        double sum;
        if (layout.perFilter) {
          recover(h, count, y + first, dy + first, g + first, dg + first, products,
                  [&](int64_t j) { return filter + j; });
          const T *slope = h.slope + filter, *radiusSlope = h.radiusSlope + filter;
          sum = sumOf(count, [&](int64_t j) { return products[j] * slope[j]; });
          for (int64_t j = 0; j < count; ++j)
            sums[filter + j] += static_cast<double>(products[j] * radiusSlope[j]);
        } else {
          recover(h, count, y + first, dy + first, g + first, dg + first, products,
                  [&](int64_t) { return group; });
          const double all = sumOf(count, [&](int64_t j) { return products[j]; });
          sum = all * static_cast<double>(h.slope[group]);
          sums[group] += all * static_cast<double>(h.radiusSlope[group]);
        }
        const T norm = nx[row * layout.groups + group];
        radial[row * layout.groups + group] =
            norm > 0 ? static_cast<T>(sum / static_cast<double>(norm)) : T(0);
      }
    }
  });
  if (!dradius) return;
  double all = 0;
  for (int64_t j = 0; j < columns; ++j) {
    double sum = 0;
    for (int64_t range = 0; range < ranges; ++range) sum += partial[range * columns + j];
    if (layout.perFilter) dradius.as<T>()[j] = static_cast<T>(sum);
    all += sum;
  }
  if (!layout.perFilter) dradius.as<T>()[0] = static_cast<T>(all);
}

}  // namespace

void CpuOps::magnitude(const MagnitudeParams& p, const Tensor& nx, const Tensor& radius, const Tensor& g,
                       const Tensor& y) {
  withFloat(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    forward(p, Layout(y, nx, radius), nx.as<T>(), radius, g.as<T>(), y.as<T>());
  });
}

void CpuOps::magnitudeBackward(const MagnitudeParams& p, const Tensor& y, const Tensor& dy, const Tensor& nx,
                               const Tensor& radius, const Tensor& g, const Tensor& dg, const Tensor& radial,
                               const Tensor& dradius) {
  withFloat(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    backward(p, Layout(y, nx, radius), y.as<T>(), dy.as<T>(), nx.as<T>(), radius, g.as<T>(), dg.as<T>(),
             radial.as<T>(), dradius);
  });
}

void CpuOps::meanNorm(double decay, const Tensor& nx, const Tensor& average, const Tensor& mean) {
  withFloat(mean.dtype, [&](auto zero) {
    using T = decltype(zero);
    T *const running = average.as<T>(), *const out = mean.as<T>();
    if (!nx || nx.size() == 0) {
      *out = running[1] > 0 ? running[0] / running[1] : T(1);
      return;
    }
    Dims one;
    one.rank = nx.shape.rank;
    for (int i = 0; i < one.rank; ++i) one[i] = 1;
    sumTo(nx, {out, mean.dtype, one});
    const double sum =
        std::min(static_cast<double>(*out), static_cast<double>(std::numeric_limits<T>::max()));
    *out = static_cast<T>(std::isnan(*out) ? *out : sum / static_cast<double>(nx.size()));
    running[0] = static_cast<T>(decay * running[0] + (1 - decay) * *out);
    running[1] = static_cast<T>(decay * running[1] + (1 - decay));
  });
}

}  // namespace spherenet::cpu
