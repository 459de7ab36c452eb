// fill, cast and copyRegion: ops that move memory.
#include <cstring>
#include <limits>

#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"

namespace spherenet::cpu {

namespace {

/// To an integer: towards zero, saturating, NaN to 0. To a float: rounded to nearest.
template <class T>
T convert(double value) {
  if constexpr (std::numeric_limits<T>::is_integer) {
    constexpr double low = std::numeric_limits<T>::min();
    constexpr double high = std::numeric_limits<T>::max();
    value = value == value ? value : 0.0;
    value = value > low ? value : low;
    value = value < high ? value : high;
  }
  return static_cast<T>(value);
}

template <class T>
void copyElements(const T* x, int64_t xStride, T* y, int64_t yStride, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i * yStride] = x[i * xStride];
}

}  // namespace

void CpuOps::fill(double value, const Tensor& y) {
  withAny(y.dtype, [&](auto type) {
    using T = decltype(type);
    T* out = y.as<T>();
    const T element = convert<T>(value);
    const T zero{};
    const bool clears = std::memcmp(&element, &zero, sizeof(T)) == 0;
    parallelRanges(y.size(), 4 * kGrain, [&](int64_t begin, int64_t end) {
      if (clears) {
        std::memset(static_cast<void*>(out + begin), 0, static_cast<size_t>(end - begin) * sizeof(T));
      } else {
        std::fill(out + begin, out + end, element);
      }
    });
  });
}

void CpuOps::cast(double scale, double shift, const Tensor& x, const Tensor& y) {
  const bool plain = x.dtype == y.dtype && scale == 1 && shift == 0;
  withAny(x.dtype, [&](auto from) {
    using From = decltype(from);
    withAny(y.dtype, [&](auto to) {
      using To = decltype(to);
      const From* in = x.as<From>();
      To* out = y.as<To>();
      parallelRanges(y.size(), kGrain, [&](int64_t begin, int64_t end) {
        if (plain) {
          std::memmove(out + begin, in + begin, static_cast<size_t>(end - begin) * sizeof(To));
          return;
        }
        for (int64_t i = begin; i < end; ++i) {
          out[i] = convert<To>(scale * static_cast<double>(in[i]) + shift);
        }
      });
    });
  });
}

void CpuOps::copyRegion(const Dims& xStart, const Dims& yStart, const Dims& extent, const Tensor& x,
                        const Tensor& y) {
  if (extent.product() == 0) return;
  const int rank = extent.rank;
  int64_t strides[kMaxRank][2];
  int64_t xStep = 1, yStep = 1, xOffset = 0, yOffset = 0;
  for (int i = rank - 1; i >= 0; --i) {
    strides[i][0] = xStep;
    strides[i][1] = yStep;
    xOffset += xStart[i] * xStep;
    yOffset += yStart[i] * yStep;
    xStep *= x.shape[i];
    yStep *= y.shape[i];
  }
  Axes<2> axes;
  for (int i = 0; i < rank; ++i) axes.push(extent[i], strides[i]);
  axes.close();
  const int64_t xInner = axes.stride[0][axes.rank - 1];
  const int64_t yInner = axes.stride[1][axes.rank - 1];
  withAny(x.dtype, [&](auto type) {
    using T = decltype(type);
    const T* in = x.as<T>() + xOffset;
    T* out = y.as<T>() + yOffset;
    parallelRanges(axes.size(), kGrain, [&](int64_t begin, int64_t end) {
      forEachRun(axes, begin, end, [&](int64_t, const int64_t(&offset)[2], int64_t count) {
        if (xInner == 1 && yInner == 1 && count > 8) {
          std::memcpy(out + offset[1], in + offset[0], static_cast<size_t>(count) * sizeof(T));
        } else {
          copyElements(in + offset[0], xInner, out + offset[1], yInner, count);
        }
      });
    });
  });
}

}  // namespace spherenet::cpu
