// fill, cast, copyRegion and randomCropFlip: ops that move memory.
#include <cstring>
#include <limits>

#include "../philox.h"
#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"

namespace spherenet::cpu {

namespace {

/// To an integer: towards zero, saturating, NaN to 0. To a float: rounded to nearest, once.
template <class T>
T convert(double value) {
  if constexpr (std::numeric_limits<T>::is_integer) {
    constexpr double low = std::numeric_limits<T>::min();
    constexpr double high = std::numeric_limits<T>::max();
    value = value == value ? value : 0.0;
    value = value > low ? value : low;
    value = value < high ? value : high;
  }
  if constexpr (isHalf(DTypeOf<T>::value)) {
    return static_cast<T>(roundToOdd(value));
  } else {
    return static_cast<T>(value);
  }
}

/// Exact.
template <class T>
double toDouble(T value) {
  if constexpr (isHalf(DTypeOf<T>::value)) {
    return static_cast<double>(static_cast<float>(value));
  } else {
    return static_cast<double>(value);
  }
}

/// Where randomCropFlip cuts image i; counted from the padding's corner.
struct Window {
  int64_t top, left;
  bool mirrored;

  Window(uint64_t seed, int64_t image, int32_t padding, bool flip, const Dims& from, const Dims& to) {
    const PhiloxBlock drawn = philoxElements(seed, 0, static_cast<uint64_t>(image));
    const auto below = [&](uint32_t word, int axis) {
      const int64_t places = from[axis] + 2 * int64_t{padding} - to[axis] + 1;
      return static_cast<int64_t>(word * static_cast<uint64_t>(places) >> 32);
    };
    top = below(drawn.word[0], 1);
    left = below(drawn.word[1], 2);
    mirrored = flip && drawn.word[2] >= 0x80000000u;
  }
};

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
          out[i] = convert<To>(scale * toDouble(in[i]) + shift);
        }
      });
    });
  });
}

void CpuOps::copyRegion(const Dims& xStart, const Dims& yStart, const Dims& extent, const Tensor& x,
                        const Tensor& y) {
  if (extent.product() == 0) return;
  const SharedBlock block(extent, xStart, x.shape, yStart, y.shape);
  const Axes<2>& axes = block.axes;
  const int64_t xInner = axes.stride[0][axes.rank - 1];
  const int64_t yInner = axes.stride[1][axes.rank - 1];
  withAny(x.dtype, [&](auto type) {
    using T = decltype(type);
    const T* in = x.as<T>() + block.offset[0];
    T* out = y.as<T>() + block.offset[1];
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

void CpuOps::randomCropFlip(uint64_t seed, int32_t padding, bool flip, const Tensor& xTensor,
                            const Tensor& yTensor) {
  if (yTensor.size() == 0) return;
  const Dims& from = xTensor.shape;
  const Dims& to = yTensor.shape;
  const int64_t pixel = to[3];
  withAny(xTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* x = xTensor.as<T>();
    T* y = yTensor.as<T>();
    parallelRanges(to[0] * to[1], grainOfRows(to[2] * pixel), [&](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; ++line) {
        const int64_t image = line / to[1];
        const Window window(seed, image, padding, flip, from, to);
        const int64_t row = window.top + line % to[1] - padding;
        T* out = y + line * to[2] * pixel;
        if (row < 0 || row >= from[1]) {
          std::fill_n(out, to[2] * pixel, T{});
          continue;
        }
        const T* in = x + (image * from[1] + row) * from[2] * pixel;
        for (int64_t column = 0; column < to[2]; ++column, out += pixel) {
          const int64_t within = window.mirrored ? to[2] - 1 - column : column;
          const int64_t source = window.left + within - padding;
          if (source < 0 || source >= from[2]) {
            std::fill_n(out, pixel, T{});
          } else {
            std::copy_n(in + source * pixel, pixel, out);
          }
        }
      }
    });
  });
}

}  // namespace spherenet::cpu
