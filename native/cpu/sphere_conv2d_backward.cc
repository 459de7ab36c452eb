// SphereConv's gradients: of the angles, alone or with what follows them, of the input and of the filters.
#include <algorithm>
#include <cstdint>
#include <functional>

#include "angular_pass.h"
#include "batch_norm.h"
#include "cpu_ops.h"
#include "exact_angles.h"
#include "implicit_gemm.h"
#include "weight_gradient.h"

namespace spherenet::cpu {
namespace {

/// (begin, end, room) -> the gradients of rows [begin, end) of the angles: where they are in memory or, made
/// of what follows, in `room`.
template <class T>
using GradientRows = std::function<const T*(int64_t, int64_t, T*)>;

/// Calls body(GradientRows).
template <class T, class Body>
void withAngleGradient(bool relu, const Tensor& y, const Tensor& gamma, const Tensor& beta,
                       const Tensor& mean, const Tensor& invStd, const Tensor& dz, const Tensor& dgamma,
                       const Tensor& dbeta, const Body& body) {
  const int64_t filters = y.shape[y.shape.rank - 1];
  if (!gamma && !relu) return body([&](int64_t begin, int64_t, T*) { return dz.as<T>() + begin * filters; });
  const auto behind = [&](const auto& gradient) {
    body([&gradient](int64_t begin, int64_t end, T* room) {
      gradient.rows(begin, end, room);
      return room;
    });
  };
  if (relu) {
    behind(batch_norm::Gradient<T, true>(y, gamma, beta, mean, invStd, dz, dgamma, dbeta));
  } else {
    behind(batch_norm::Gradient<T, false>(y, gamma, beta, mean, invStd, dz, dgamma, dbeta));
  }
}

/// Ops::sphereConv2dAngularBackward of some rows, with whose first h and r begin.
template <class T>
void angularBackward(const AngularPass<T>& pass, int64_t firstRow, int64_t rows, const GradientRows<T>& dyOf,
                     T* h, T* r, T* q) {
  // Ranges of some 16,000 elements; each adds up q and dk for itself.
  const int64_t filters = pass.filters(), grain = std::clamp<int64_t>(16384 / filters, 16, 1024);
  const int64_t ranges = ceilDivide(rows, grain), stride = pass.sumCount();
  T* const sums = scratch<T>(ScratchSlot::Partials, ranges * stride);
  parallelRanges(rows, grain, [&](int64_t begin, int64_t end) {
    T *const own = sums + begin / grain * stride, *const room = h + begin * filters;
    std::fill_n(own, stride, T(0));
    const T* const dy = dyOf(firstRow + begin, firstRow + end, room);
    pass.rows(firstRow + begin, firstRow + end, dy, room, r + begin * pass.normGroups(), own);
  });
  pass.finish(sums, ranges, stride, q);
}

/// The same from cosines that were kept.
void exactBackward(const AngularParams& a, const Tensor& c, const GradientRows<double>& dyOf,
                   int64_t firstRow, const Tensor& k, const Tensor& nx, const Tensor& nw, const Tensor& h,
                   const Tensor& r, const Tensor& q, const Tensor& dk) {
  const int64_t filters = nw.size();
  double* const room = h.as<double>();
  // All rows are in memory already, or every call writes its own.
  const double* dy = dyOf(firstRow, firstRow, room);
  if (dy == room) {
    parallelRanges(h.size() / filters, grainOfRows(filters), [&](int64_t begin, int64_t end) {
      dyOf(firstRow + begin, firstRow + end, room + begin * filters);
    });
  }
  const Tensor gradient{const_cast<double*>(dy), DType::Float64, h.shape};
  exactAngularBackward(a, c, gradient, k, nx, nw, h, r, q, dk);
}

/// What takes w q / nw^2 from elements of dw when they are complete, as of weightGradient().
template <class T>
auto minusFilters(const Tensor& w, const T* q, const Tensor& nw, T* dw) {
  const int64_t size = w.size() / nw.size();
  return [filters = w.as<T>(), q, norms = nw.as<T>(), dw, size](int64_t filter, int64_t begin, int64_t end) {
    const T inverse = inverseOf(norms[filter]), factor = q[filter] * inverse * inverse;
    for (int64_t i = filter * size + begin; i < filter * size + end; ++i)
      if (filters[i] - filters[i] == 0) dw[i] -= filters[i] * factor;
  };
}

/// A result that blocks of positions add to: the first writes it.
template <class T>
struct BlockSum {
  T *total, *part;
  int64_t count;

  T* of(bool first) const { return first ? total : part; }
  void add(bool first) const {
    if (first) return;
    parallelRanges(count, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) total[i] += part[i];
    });
  }
};

Tensor imagesOf(const Tensor& t, int64_t first, int64_t count) {
  Tensor part = t;
  part.shape[0] = count;
  part.data = static_cast<char*>(t.data) + (first > 0 ? t.bytes() / t.shape[0] * first : 0);
  return part;
}

/// The gradient of filters where the input asks for none.
template <class T>
struct FilterBackward {
  const Conv2dParams& p;
  const AngularParams& a;
  const Tensor &x, &w, &y, &c, &k, &nx, &nw, &dw, &dk;
  ConvShape s{p, x.shape, w.shape, y.shape};
  DirectWeightGradient<T> direct{p, s, x.as<T>(), true};

  /// Whether the task that multiplies rows of h can make them: where tasks share positions and not dw, so
  /// that none makes what another has made, and h is recovered from y.
  bool formsRowsInPlace() const {
    const bool winograd = sizeof(T) == 4 && usesWinograd(p, s);
    return !c && !hasTinyGroups(s) && !winograd && direct.sharesPositions();
  }

  /// Rows of h are multiplied where they are made, and stay in the cache.
  void byRows(const GradientRows<T>& dyOf) const {
    const AngularPass<T> pass(a, y, k, nx, nw, dk);
    const int64_t rowBytes = s.o * static_cast<int64_t>(sizeof(T));
    const int64_t blockRows = std::clamp<int64_t>(kRowsBytes / rowBytes, 16, direct.kRangeRows);
    const auto sums = direct.sumByPositions(
        blockRows, pass.sumCount(), [&](int64_t begin, int64_t end, T* own) -> const T* {
          T* const h = scratch<T>(ScratchSlot::AngleGradient, blockRows * s.o);
          pass.rows(begin, end, dyOf(begin, end, h), h, nullptr, own);
          return h;
        });
    T* const q = scratch<T>(ScratchSlot::FilterSums, s.o);
    pass.finish(sums.values + dw.size(), sums.ranges, sums.stride, q);
    direct.addRanges(sums, dw.as<T>(), minusFilters<T>(w, q, nw, dw.as<T>()));
  }

  /// Op after op, for as many images at once as h takes bounded memory.
  void byImages(const GradientRows<T>& dyOf) const {
    const int64_t imageRows = s.oh * s.ow;
    const int64_t fitting = kImagesBytes / std::max<int64_t>(1, imageRows * s.o * int64_t{sizeof(T)});
    const int64_t atOnce = std::clamp<int64_t>(fitting, 1, std::max<int64_t>(1, s.images));
    T* const h = scratch<T>(ScratchSlot::AngleGradient, atOnce * imageRows * s.o);
    T* const r = scratch<T>(ScratchSlot::PatchGradient, atOnce * imageRows * s.groups);
    const int64_t curvatures = dk ? dk.size() : 0, filterElements = atOnce < s.images ? dw.size() : 0;
    T* const memory = scratch<T>(ScratchSlot::FilterSums, 2 * s.o + curvatures + filterElements);
    const BlockSum<T> q{memory, memory + s.o, s.o}, kGradient{dk.as<T>(), memory + 2 * s.o, curvatures},
        wGradient{dw.as<T>(), memory + 2 * s.o + curvatures, filterElements};
    for (int64_t first = 0; first == 0 || first < s.images; first += atOnce) {
      const int64_t images = std::min(atOnce, s.images - first);
      const bool isFirst = first == 0;
      Tensor dkPart = dk;
      dkPart.data = dk ? kGradient.of(isFirst) : nullptr;
      angles(dyOf, first, images, h, r, q.of(isFirst), dkPart);
      ConvShape part = s;
      part.images = images;
      weightGradient(p, part, x.as<T>() + first * s.h * s.w * s.c, h, true, wGradient.of(isFirst),
                     [](int64_t, int64_t, int64_t) {});
      for (const BlockSum<T>* sum : {&q, &kGradient, &wGradient}) sum->add(isFirst);
    }
    const auto finish = minusFilters<T>(w, q.total, nw, dw.as<T>());
    parallelRanges(s.o, 8, [&](int64_t begin, int64_t end) {
      for (int64_t filter = begin; filter < end; ++filter) finish(filter, 0, s.filterSize());
    });
  }

 private:
  /// Of rows of h for a thread: a quarter of a second-level cache.
  static constexpr int64_t kRowsBytes = 256 * 1024;
  /// Of h where it is computed beforehand.
  static constexpr int64_t kImagesBytes = 4 << 20;

  void angles(const GradientRows<T>& dyOf, int64_t first, int64_t images, T* h, T* r, T* q,
              const Tensor& dkPart) const {
    const int64_t firstRow = first * s.oh * s.ow;
    if constexpr (sizeof(T) == 8) {
      if (c) {
        Tensor hPart = imagesOf(y, first, images), rPart = imagesOf(nx, first, images), qPart = nw;
        hPart.data = h, rPart.data = r, qPart.data = q;
        return exactBackward(a, imagesOf(c, first, images), dyOf, firstRow, k, imagesOf(nx, first, images),
                             nw, hPart, rPart, qPart, dkPart);
      }
    }
    angularBackward(AngularPass<T>(a, y, k, nx, nw, dkPart), firstRow, images * s.oh * s.ow, dyOf, h, r, q);
  }
};

}  // namespace

void CpuOps::sphereConv2dAngularBackward(const AngularParams& a, const Tensor& y, const Tensor& c,
                                         const Tensor& dy, const Tensor& k, const Tensor& nx,
                                         const Tensor& nw, const Tensor& h, const Tensor& r, const Tensor& q,
                                         const Tensor& dk) {
  sphereConv2dNormBackward(a, false, y, c, k, nx, nw, {}, {}, {}, {}, dy, h, r, q, dk, {}, {});
}

void CpuOps::sphereConv2dNormBackward(const AngularParams& a, bool relu, const Tensor& y, const Tensor& c,
                                      const Tensor& k, const Tensor& nx, const Tensor& nw,
                                      const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                      const Tensor& invStd, const Tensor& dz, const Tensor& h,
                                      const Tensor& r, const Tensor& q, const Tensor& dk,
                                      const Tensor& dgamma, const Tensor& dbeta) {
  withFloat(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    withAngleGradient<T>(relu, y, gamma, beta, mean, invStd, dz, dgamma, dbeta,
                         [&](const GradientRows<T>& dyOf) {
                           if constexpr (sizeof(T) == 8) {
                             if (c) return exactBackward(a, c, dyOf, 0, k, nx, nw, h, r, q, dk);
                           }
                           angularBackward(AngularPass<T>(a, y, k, nx, nw, dk), 0, y.size() / nw.size(), dyOf,
                                           h.as<T>(), r.as<T>(), q.as<T>());
                         });
  });
}

void CpuOps::sphereConv2dFilterBackward(const Conv2dParams& p, const AngularParams& a, bool relu,
                                        const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& c,
                                        const Tensor& k, const Tensor& nx, const Tensor& nw,
                                        const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                        const Tensor& invStd, const Tensor& dz, const Tensor& dw,
                                        const Tensor& dk, const Tensor& dgamma, const Tensor& dbeta) {
  withFloat(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const FilterBackward<T> backward{p, a, x, w, y, c, k, nx, nw, dw, dk};
    withAngleGradient<T>(relu, y, gamma, beta, mean, invStd, dz, dgamma, dbeta,
                         [&](const GradientRows<T>& dyOf) {
                           if (backward.formsRowsInPlace()) {
                             backward.byRows(dyOf);
                           } else {
                             backward.byImages(dyOf);
                           }
                         });
  });
}

void CpuOps::sphereConv2dDataGradient(const Conv2dParams& p, const Tensor& h, const Tensor& w,
                                      const Tensor& x, const Tensor& r, const Tensor& dx) {
  withFloat(dx.dtype, [&](auto zero) {
    using T = decltype(zero);
    dataGradient(p, ConvShape(p, dx.shape, w.shape, h.shape), h.as<T>(), w.as<T>(), x.as<T>(), r.as<T>(),
                 dx.as<T>());
  });
}

void CpuOps::sphereConv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& h,
                                        const Tensor& w, const Tensor& q, const Tensor& nw,
                                        const Tensor& dw) {
  withFloat(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const ConvShape s(p, x.shape, w.shape, h.shape);
    weightGradient(p, s, x.as<T>(), h.as<T>(), true, dw.as<T>(),
                   minusFilters<T>(w, q.as<T>(), nw, dw.as<T>()));
  });
}

}  // namespace spherenet::cpu
