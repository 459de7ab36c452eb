// Max and average pooling over NHWC images; the inner loops run over channels.
#include <cstring>
#include <limits>

#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"

namespace spherenet::cpu {

namespace {

/// Channels that a task keeps on its stack.
constexpr int64_t kChannels = 256;

/// The part [begin, end) of a window that lies inside the image, along one axis.
struct Span {
  int64_t begin, end;
  int64_t length() const { return std::max<int64_t>(0, end - begin); }
};

struct Geometry {
  Pool2dParams p;
  int64_t batch, height, width, channels, outHeight, outWidth;

  Geometry(const Pool2dParams& params, const Dims& x, const Dims& y)
      : p(params), batch(x[0]), height(x[1]), width(x[2]), channels(x[3]), outHeight(y[1]), outWidth(y[2]) {}

  Span rows(int64_t oh) const { return clip(oh * p.strideH - p.padTop, p.kernelH, height); }
  Span columns(int64_t ow) const { return clip(ow * p.strideW - p.padLeft, p.kernelW, width); }
  bool overlaps() const { return p.strideH < p.kernelH || p.strideW < p.kernelW; }
  /// Elements read for one row of output.
  int64_t rowWork() const { return outWidth * channels * p.kernelH * p.kernelW; }
  int64_t imageSize() const { return height * width * channels; }

 private:
  static Span clip(int64_t start, int64_t length, int64_t extent) {
    return {std::max<int64_t>(0, start), std::min(start + length, extent)};
  }
};

template <class T>
void maxOf(const T* x, T* y, int64_t count) {
  SPHERENET_INDEPENDENT
  for (int64_t c = 0; c < count; ++c) {
    const bool takes = (x[c] > y[c]) | (x[c] != x[c]);  // a NaN once taken stays: nothing is greater
    y[c] = takes ? x[c] : y[c];
  }
}

template <class T>
void addTo(const T* x, T* y, int64_t count) {
  SPHERENET_INDEPENDENT
  for (int64_t c = 0; c < count; ++c) y[c] += x[c];
}

template <class T>
void addScaled(T factor, const T* x, T* y, int64_t count) {
  SPHERENET_INDEPENDENT
  for (int64_t c = 0; c < count; ++c) y[c] += factor * x[c];
}

/// at[c] = position h * width + w of the window's first maximum, or first NaN, in each of `count` channels.
/// x points to the image at the first of these channels. False where the window has no element.
template <class T>
bool findMaxima(const Geometry& g, Span rows, Span columns, const T* x, int64_t count, int32_t* at) {
  T best[kChannels];
  if (rows.length() * columns.length() == 0) return false;
  const int64_t start = rows.begin * g.width + columns.begin;
  std::copy_n(x + start * g.channels, count, best);
  std::fill_n(at, count, static_cast<int32_t>(start));
  for (int64_t h = rows.begin; h < rows.end; ++h) {
    for (int64_t w = columns.begin; w < columns.end; ++w) {
      const int32_t position = static_cast<int32_t>(h * g.width + w);
      const T* values = x + position * g.channels;
      SPHERENET_INDEPENDENT
      for (int64_t c = 0; c < count; ++c) {
        const T value = values[c];
        const T old = best[c];
        const bool takes = (value > old) | ((value != value) & (old == old));
        best[c] = takes ? value : old;
        at[c] = takes ? position : at[c];
      }
    }
  }
  return true;
}

/// Windows that do not overlap: output row oh alone touches input rows from its window's first row to the
/// next one's, and each element belongs to at most one window.
template <class T>
void maxBackwardDisjoint(const Geometry& g, const T* x, const T* dy, T* dx) {
  parallelRanges(g.batch * g.outHeight, grainOfRows(g.rowWork()), [&](int64_t begin, int64_t end) {
    int32_t at[kChannels];
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / g.outHeight, oh = row % g.outHeight;
      const T* image = x + n * g.imageSize();
      T* gradient = dx + n * g.imageSize();
      const int64_t top = oh * g.p.strideH - g.p.padTop;
      const int64_t from = oh == 0 ? 0 : std::clamp<int64_t>(top, 0, g.height);
      const int64_t to =
          oh == g.outHeight - 1 ? g.height : std::clamp<int64_t>(top + g.p.strideH, 0, g.height);
      std::fill(gradient + from * g.width * g.channels, gradient + to * g.width * g.channels, T(0));
      const Span rows = g.rows(oh);
      for (int64_t ow = 0; ow < g.outWidth; ++ow) {
        const Span columns = g.columns(ow);
        const T* outer = dy + (row * g.outWidth + ow) * g.channels;
        for (int64_t first = 0; first < g.channels; first += kChannels) {
          const int64_t count = std::min(kChannels, g.channels - first);
          if (!findMaxima(g, rows, columns, image + first, count, at)) continue;
          for (int64_t h = rows.begin; h < rows.end; ++h) {
            for (int64_t w = columns.begin; w < columns.end; ++w) {
              const int32_t position = static_cast<int32_t>(h * g.width + w);
              T* inner = gradient + position * g.channels + first;
              SPHERENET_INDEPENDENT
              for (int64_t c = 0; c < count; ++c) {
                const T value = outer[first + c];
                inner[c] = at[c] == position ? value : T(0);
              }
            }
          }
        }
      }
    }
  });
}

/// Windows that overlap: one task owns all of an image in a block of channels.
template <class T>
void maxBackwardOverlapping(const Geometry& g, const T* x, const T* dy, T* dx) {
  const int64_t block = std::min(g.channels, g.batch >= 16 ? kChannels : 16);
  const int64_t blocks = ceilDivide(g.channels, block);
  const int64_t work = g.outHeight * g.rowWork() / blocks;
  parallelRanges(g.batch * blocks, grainOfRows(work), [&](int64_t begin, int64_t end) {
    int32_t at[kChannels];
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / blocks, first = task % blocks * block;
      const int64_t count = std::min(block, g.channels - first);
      const T* image = x + n * g.imageSize() + first;
      T* gradient = dx + n * g.imageSize() + first;
      for (int64_t i = 0; i < g.height * g.width; ++i) std::fill_n(gradient + i * g.channels, count, T(0));
      for (int64_t oh = 0; oh < g.outHeight; ++oh) {
        for (int64_t ow = 0; ow < g.outWidth; ++ow) {
          if (!findMaxima(g, g.rows(oh), g.columns(ow), image, count, at)) continue;
          const T* outer = dy + ((n * g.outHeight + oh) * g.outWidth + ow) * g.channels + first;
          for (int64_t c = 0; c < count; ++c) gradient[at[c] * g.channels + c] += outer[c];
        }
      }
    }
  });
}

/// 1 / (the number of values that a window's mean is over), 0 for a window without any.
double meanFactor(const Geometry& g, bool countPadding, Span rows, Span columns) {
  const int64_t count = countPadding ? int64_t{g.p.kernelH} * g.p.kernelW : rows.length() * columns.length();
  return count == 0 ? 0.0 : 1.0 / static_cast<double>(count);
}

}  // namespace

void CpuOps::maxPool2d(const Pool2dParams& p, const Tensor& xTensor, const Tensor& yTensor) {
  if (xTensor.size() == 0) return fill(-std::numeric_limits<double>::infinity(), yTensor);
  const Geometry g(p, xTensor.shape, yTensor.shape);
  withFloat(xTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* x = xTensor.as<T>();
    T* y = yTensor.as<T>();
    parallelRanges(g.batch * g.outHeight, grainOfRows(g.rowWork()), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* image = x + row / g.outHeight * g.imageSize();
        const Span rows = g.rows(row % g.outHeight);
        for (int64_t ow = 0; ow < g.outWidth; ++ow) {
          const Span columns = g.columns(ow);
          T* out = y + (row * g.outWidth + ow) * g.channels;
          if (rows.length() * columns.length() == 0) {
            std::fill_n(out, g.channels, -std::numeric_limits<T>::infinity());
            continue;
          }
          bool isFirst = true;
          for (int64_t h = rows.begin; h < rows.end; ++h) {
            for (int64_t w = columns.begin; w < columns.end; ++w) {
              const T* values = image + (h * g.width + w) * g.channels;
              if (isFirst) {
                std::copy_n(values, g.channels, out);
              } else {
                maxOf(values, out, g.channels);
              }
              isFirst = false;
            }
          }
        }
      }
    });
  });
}

void CpuOps::maxPool2dBackward(const Pool2dParams& p, const Tensor& xTensor, const Tensor& dyTensor,
                               const Tensor& dxTensor) {
  if (dxTensor.size() == 0) return;
  if (dyTensor.size() == 0) return fill(0, dxTensor);
  const Geometry g(p, xTensor.shape, dyTensor.shape);
  withFloat(xTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const auto backward = g.overlaps() ? maxBackwardOverlapping<T> : maxBackwardDisjoint<T>;
    backward(g, xTensor.as<T>(), dyTensor.as<T>(), dxTensor.as<T>());
  });
}

void CpuOps::avgPool2d(const Pool2dParams& p, bool countPadding, const Tensor& xTensor,
                       const Tensor& yTensor) {
  if (xTensor.size() == 0) return fill(0, yTensor);
  const Geometry g(p, xTensor.shape, yTensor.shape);
  withFloat(xTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* x = xTensor.as<T>();
    T* y = yTensor.as<T>();
    parallelRanges(g.batch * g.outHeight, grainOfRows(g.rowWork()), [&](int64_t begin, int64_t end) {
      // Sums of rows are summed, which loses less in large windows than one long sum.
      T total[kChannels], line[kChannels];
      for (int64_t row = begin; row < end; ++row) {
        const T* image = x + row / g.outHeight * g.imageSize();
        const Span rows = g.rows(row % g.outHeight);
        for (int64_t ow = 0; ow < g.outWidth; ++ow) {
          const Span columns = g.columns(ow);
          const T factor = static_cast<T>(meanFactor(g, countPadding, rows, columns));
          for (int64_t first = 0; first < g.channels; first += kChannels) {
            const int64_t count = std::min(kChannels, g.channels - first);
            std::fill_n(total, count, T(0));
            for (int64_t h = rows.begin; h < rows.end; ++h) {
              std::fill_n(line, count, T(0));
              for (int64_t w = columns.begin; w < columns.end; ++w) {
                addTo(image + (h * g.width + w) * g.channels + first, line, count);
              }
              addTo(line, total, count);
            }
            T* out = y + (row * g.outWidth + ow) * g.channels + first;
            for (int64_t c = 0; c < count; ++c) out[c] = factor * total[c];
          }
        }
      }
    });
  });
}

void CpuOps::avgPool2dBackward(const Pool2dParams& p, bool countPadding, const Tensor& dyTensor,
                               const Tensor& dxTensor) {
  if (dxTensor.size() == 0) return;
  if (dyTensor.size() == 0) return fill(0, dxTensor);
  const Geometry g(p, dxTensor.shape, dyTensor.shape);
  withFloat(dxTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* dy = dyTensor.as<T>();
    T* dx = dxTensor.as<T>();
    // Each row of dx gathers from the windows that hold it, so no two tasks write the same element.
    const int64_t windowRows = ceilDivide(p.kernelH, p.strideH);
    const int64_t work = (g.width + windowRows * g.outWidth * p.kernelW) * g.channels;
    parallelRanges(g.batch * g.height, grainOfRows(work), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t n = row / g.height, h = row % g.height;
        T* line = dx + row * g.width * g.channels;
        std::fill_n(line, g.width * g.channels, T(0));
        const int64_t reach = h + p.padTop;  // windows oh * stride <= reach < oh * stride + kernel
        const int64_t first = reach < p.kernelH ? 0 : (reach - p.kernelH) / p.strideH + 1;
        const int64_t last = std::min(g.outHeight - 1, reach / p.strideH);
        for (int64_t oh = first; oh <= last; ++oh) {
          const Span rows = g.rows(oh);
          for (int64_t ow = 0; ow < g.outWidth; ++ow) {
            const Span columns = g.columns(ow);
            const T factor = static_cast<T>(meanFactor(g, countPadding, rows, columns));
            const T* outer = dy + ((n * g.outHeight + oh) * g.outWidth + ow) * g.channels;
            for (int64_t w = columns.begin; w < columns.end; ++w) {
              addScaled(factor, outer, line + w * g.channels, g.channels);
            }
          }
        }
      }
    });
  });
}

}  // namespace spherenet::cpu
