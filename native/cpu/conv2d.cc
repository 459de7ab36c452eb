#include <algorithm>

#include "cpu_ops.h"
#include "implicit_gemm.h"
#include "weight_gradient.h"

namespace spherenet::cpu {
namespace {

template <class T>
void forward(const Conv2dParams& p, const ConvShape& s, const T* x, const T* filters, const T* bias, T* y) {
  if (hasTinyGroups(s)) {
    return groupedForward<false>(
        p, s, x, filters, [&](int64_t position, const double* products, const double*) {
          for (int64_t o = 0; o < s.o; ++o)
            y[position * s.o + o] = static_cast<T>(products[o] + (bias ? static_cast<double>(bias[o]) : 0.0));
        });
  }
  const int64_t padded = roundUp(s.groupFilters, simd::kernels().set<T>().panel);
  for (int64_t group = 0; group < s.groups; ++group) {
    const simd::PatchMap map = inputPatches(p, s, group);
    const int64_t firstFilter = group * s.groupFilters;
    simd::PackJob<T> pack;
    pack.map = &map;
    pack.source = x;
    simd::GemmJob<T> product;
    const T* const groupFilters = filters + firstFilter * s.filterSize();
    product.out = y;
    if (bias) {
      T* const values = scratch<T>(ScratchSlot::FilterConstants, padded);
      std::copy_n(bias + firstFilter, s.groupFilters, values);
      std::fill(values + s.groupFilters, values + padded, T(0));
      product.bias = values;
    }
    filterProduct(usesWinograd(p, s), pack, product, s.groupFilters,
                  {firstFilter, s.oh * s.ow * s.o, s.ow * s.o, s.o},
                  FilterRows<T>{groupFilters, s.filterSize(), s.groupFilters, s.c, false, false},
                  [&] { return packFilters(groupFilters, s.groupFilters, s.filterSize(), s.filterSize()); });
  }
}

/// sums[j] = sum over rows of y[rows, columns], in float64 and in an order that does not depend on the
/// threads.
template <class T>
void sumRows(const T* y, int64_t rows, int64_t columns, T* sums) {
  constexpr int64_t kGrain = 1024;
  const auto& kernel = simd::kernels().set<T>();
  const int64_t ranges = ceilDivide(rows, kGrain);
  double* const partial = scratch<double>(ScratchSlot::Partials, ranges * columns);
  std::fill_n(partial, ranges * columns, 0.0);
  parallelRanges(rows, kGrain, [&](int64_t begin, int64_t end) {
    kernel.columnSums(y + begin * columns, end - begin, columns, partial + begin / kGrain * columns);
  });
  for (int64_t j = 0; j < columns; ++j) {
    double sum = 0;
    for (int64_t range = 0; range < ranges; ++range) sum += partial[range * columns + j];
    sums[j] = static_cast<T>(sum);
  }
}

}  // namespace

void CpuOps::conv2d(const Conv2dParams& p, const Tensor& x, const Tensor& w, const Tensor& bias,
                    const Tensor& y) {
  withFloat(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    forward(p, ConvShape(p, x.shape, w.shape, y.shape), x.as<T>(), w.as<T>(), bias.as<T>(), y.as<T>());
  });
}

void CpuOps::conv2dDataGradient(const Conv2dParams& p, const Tensor& dy, const Tensor& w, const Tensor& dx) {
  withFloat(dx.dtype, [&](auto zero) {
    using T = decltype(zero);
    dataGradient<T>(p, ConvShape(p, dx.shape, w.shape, dy.shape), dy.as<T>(), w.as<T>(), nullptr, nullptr,
                    dx.as<T>());
  });
}

void CpuOps::conv2dWeightGradient(const Conv2dParams& p, const Tensor& x, const Tensor& dy, const Tensor& dw,
                                  const Tensor& dbias) {
  withFloat(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const ConvShape s(p, x.shape, dw.shape, dy.shape);
    weightGradient(p, s, x.as<T>(), dy.as<T>(), false, dw.as<T>(), [](int64_t, int64_t, int64_t) {});
    if (dbias) sumRows(dy.as<T>(), s.positions(), s.o, dbias.as<T>());
  });
}

}  // namespace spherenet::cpu
