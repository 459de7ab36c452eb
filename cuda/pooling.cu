// Max and average pooling over NHWC images. A thread handles a pack of neighbouring channels at one position;
// the gradients gather, so that nothing is added atomically and sums have a fixed order.
#include <limits>
#include <stdexcept>

#include "cuda_ops.h"
#include "device/ptx.cuh"
#include "device/reduce.cuh"
#include "elementwise.cuh"

namespace spherenet::cuda {
namespace {

constexpr int kPoolThreads = 256;
// Blocks of a multiprocessor, at least; the gradient of maxima needs more registers.
constexpr int kBlocks = 4, kBackwardBlocks = 3;
/// Warps that share a large window, whose rows they deal out among them.
constexpr int kSlices = 8;

int narrow(int64_t extent) {
  if (extent > std::numeric_limits<int>::max())
    throw std::length_error("pooling: an image is too large for CUDA");
  return static_cast<int>(extent);
}

struct PoolShape {
  Pool2dParams p;
  int64_t images, channels;
  int height, width, outHeight, outWidth;
  int packs;  // per position

  PoolShape(const Pool2dParams& params, const Dims& x, const Dims& y, int packWidth)
      : p(params),
        images(x[0]),
        channels(x[3]),
        height(narrow(x[1])),
        width(narrow(x[2])),
        outHeight(narrow(y[1])),
        outWidth(narrow(y[2])),
        packs(narrow(x[3] / packWidth)) {}

  __device__ int64_t imageSize() const { return int64_t{height} * width * channels; }
  __device__ int64_t outImageSize() const { return int64_t{outHeight} * outWidth * channels; }
  bool overlaps() const { return p.strideH < p.kernelH || p.strideW < p.kernelW; }
};

/// How the packs of a tensor [images, rows, columns, channels] are dealt out: a block takes (a piece of) a
/// line of one image.
struct PackGrid {
  int rows, items, packs;  // items: packs of a line
  int pieces, perBlock;
  int64_t blocks;

  PackGrid(int64_t images, int rowCount, int columns, int perPosition, int most)
      : rows(rowCount), items(narrow(int64_t{columns} * perPosition)), packs(perPosition) {
    pieces = narrow(ceilDivide(items, most));
    perBlock = narrow(ceilDivide(ceilDivide(items, pieces), kWarpSize) * kWarpSize);
    blocks = images * rows * pieces;
  }
  dim3 grid() const { return dim3(static_cast<unsigned>(narrow(blocks))); }
};

/// Pack `index` of a tensor.
struct Item {
  int64_t index, image, channel;
  int row, column;
  bool exists;
};

/// `at`: which of the block's packs.
template <int N>
__device__ __forceinline__ Item itemAt(const PackGrid& g, int at) {
  const unsigned line = blockIdx.x / static_cast<unsigned>(g.pieces), piece = blockIdx.x - line * g.pieces;
  const unsigned image = line / static_cast<unsigned>(g.rows);
  const int i = static_cast<int>(piece) * g.perBlock + at;
  const int column = static_cast<int>(static_cast<unsigned>(i) / static_cast<unsigned>(g.packs));
  return {int64_t{line} * g.items + i,
          image,
          int64_t{i - column * g.packs} * N,
          static_cast<int>(line - image * g.rows),
          column,
          i < g.items};
}

/// Part of an axis: `count` coordinates from `begin` on.
struct Span {
  int begin, count;
};

/// What of a window of `length` that starts at `start` lies inside [0, extent).
__device__ __forceinline__ Span insideOf(int start, int length, int extent) {
  const int begin = max(0, start);
  return {begin, max(0, min(start + length, extent) - begin)};
}
__device__ __forceinline__ Span windowRows(const PoolShape& s, int oh) {
  return insideOf(oh * s.p.strideH - s.p.padTop, s.p.kernelH, s.height);
}
__device__ __forceinline__ Span windowColumns(const PoolShape& s, int ow) {
  return insideOf(ow * s.p.strideW - s.p.padLeft, s.p.kernelW, s.width);
}

/// The windows, along one axis, that hold coordinate `at`.
__device__ __forceinline__ Span windowsAround(int at, int pad, int kernel, int stride, int windows) {
  const int reach = at + pad;  // stride * window <= reach < stride * window + kernel
  const int first = reach < kernel ? 0 : (reach - kernel) / stride + 1;
  return {first, max(0, min(windows - 1, reach / stride) - first + 1)};
}

/// Of each channel the maximum of a window, -infinity for an empty one, and the number (row-major) of the
/// first value that has it; NaN is greater than all others.
template <class T, int N>
struct Maxima {
  Compute<T> best[N];
  int at[N];

  /// `image`: the image at the first of the channels.
  __device__ __forceinline__ Maxima(const PoolShape& s, Span rows, Span columns,
                                    const T* __restrict__ image) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      best[j] = kMinusInfinity<Compute<T>>;
      at[j] = 0;
    }
    const T* line = image + (int64_t{rows.begin} * s.width + columns.begin) * s.channels;
    for (int h = 0; h < rows.count; ++h, line += s.width * s.channels) {
#pragma unroll 2
      for (int w = 0; w < columns.count; ++w) {
        Compute<T> values[N];
        loadValues<N>(line + w * s.channels, values);
        const int number = h * columns.count + w;
#pragma unroll
        for (int j = 0; j < N; ++j) {
          const bool takes = values[j] > best[j] || (isnan(values[j]) && !isnan(best[j]));
          best[j] = takes ? values[j] : best[j];
          at[j] = takes ? number : at[j];
        }
      }
    }
  }
};

template <class T, int N>
__global__ void __launch_bounds__(kPoolThreads, kBlocks)
    maxPool(const PoolShape s, const PackGrid g, const T* __restrict__ x, T* __restrict__ y) {
  const Item item = itemAt<N>(g, static_cast<int>(threadIdx.x));
  if (!item.exists) return;
  const T* image = x + item.image * s.imageSize() + item.channel;
  const Maxima<T, N> maxima(s, windowRows(s, item.row), windowColumns(s, item.column), image);
  storeValues(maxima.best, y + item.index * N);
}

/// What belongs to a window alone where windows do not overlap, along one axis: from its start to the next
/// one's.
__device__ __forceinline__ Span ownedBy(int window, int windows, int stride, int pad, int extent) {
  const auto clamped = [&](int at) { return max(0, min(at, extent)); };
  const int begin = window == 0 ? 0 : clamped(window * stride - pad);
  const int end = window == windows - 1 ? extent : clamped((window + 1) * stride - pad);
  return {begin, end - begin};
}

/// Windows that do not overlap: a thread takes a window and writes all elements that belong to it.
template <class T, int N>
__global__ void __launch_bounds__(kPoolThreads, kBackwardBlocks)
    maxPoolBackwardDisjoint(const PoolShape s, const PackGrid g, const T* __restrict__ x,
                            const T* __restrict__ dy, T* __restrict__ dx) {
  const Item item = itemAt<N>(g, static_cast<int>(threadIdx.x));
  if (!item.exists) return;
  const int64_t start = item.image * s.imageSize() + item.channel;
  const Span rows = windowRows(s, item.row), columns = windowColumns(s, item.column);
  const Maxima<T, N> maxima(s, rows, columns, x + start);
  Compute<T> outer[N];
  loadValues<N>(dy + item.index * N, outer);
  const Span ownRows = ownedBy(item.row, s.outHeight, s.p.strideH, s.p.padTop, s.height);
  const Span ownColumns = ownedBy(item.column, s.outWidth, s.p.strideW, s.p.padLeft, s.width);
  for (int h = 0; h < ownRows.count; ++h) {
    const int windowRow = ownRows.begin + h - rows.begin;
    T* line = dx + start + (int64_t{ownRows.begin + h} * s.width + ownColumns.begin) * s.channels;
    for (int w = 0; w < ownColumns.count; ++w) {
      const int windowColumn = ownColumns.begin + w - columns.begin;
      const bool inside =
          windowRow >= 0 && windowRow < rows.count && windowColumn >= 0 && windowColumn < columns.count;
      const int number = inside ? windowRow * columns.count + windowColumn : -1;
      Compute<T> values[N];
#pragma unroll
      for (int j = 0; j < N; ++j) values[j] = maxima.at[j] == number ? outer[j] : Compute<T>(0);
      storeValues(values, line + w * s.channels);
    }
  }
}

/// Windows that overlap: a thread takes an element and asks each window around it for its maximum.
template <class T, int N>
__global__ void __launch_bounds__(kPoolThreads, kBackwardBlocks)
    maxPoolBackward(const PoolShape s, const PackGrid g, const T* __restrict__ x, const T* __restrict__ dy,
                    T* __restrict__ dx) {
  const Item item = itemAt<N>(g, static_cast<int>(threadIdx.x));
  if (!item.exists) return;
  const T* image = x + item.image * s.imageSize() + item.channel;
  const T* outer = dy + item.image * s.outImageSize() + item.channel;
  const Span windowsH = windowsAround(item.row, s.p.padTop, s.p.kernelH, s.p.strideH, s.outHeight);
  const Span windowsW = windowsAround(item.column, s.p.padLeft, s.p.kernelW, s.p.strideW, s.outWidth);
  Compute<T> sum[N] = {};
#pragma unroll 1
  for (int oh = windowsH.begin; oh < windowsH.begin + windowsH.count; ++oh) {
#pragma unroll 1
    for (int ow = windowsW.begin; ow < windowsW.begin + windowsW.count; ++ow) {
      const Span rows = windowRows(s, oh), columns = windowColumns(s, ow);
      const Maxima<T, N> maxima(s, rows, columns, image);
      const int number = (item.row - rows.begin) * columns.count + item.column - columns.begin;
      Compute<T> values[N];
      loadValues<N>(outer + (int64_t{oh} * s.outWidth + ow) * s.channels, values);
#pragma unroll
      for (int j = 0; j < N; ++j) sum[j] += maxima.at[j] == number ? values[j] : Compute<T>(0);
    }
  }
  storeValues(sum, dx + item.index * N);
}

/// 1 / (the number of values that a window's mean is over), 0 for a window without any.
template <class C>
__device__ __forceinline__ C meanFactor(const PoolShape& s, bool countPadding, Span rows, Span columns) {
  const int64_t count =
      countPadding ? int64_t{s.p.kernelH} * s.p.kernelW : int64_t{rows.count} * columns.count;
  return count == 0 ? C(0) : C(1) / static_cast<C>(count);
}

/// Sums over the window's rows first, first + step, ...; sums of rows are summed, which loses less in large
/// windows than one long sum.
template <class T, int N>
__device__ __forceinline__ void windowSums(const PoolShape& s, Span rows, Span columns,
                                           const T* __restrict__ image, int first, int step,
                                           Compute<T> (&total)[N]) {
  for (int h = first; h < rows.count; h += step) {
    const T* line = image + (int64_t{rows.begin + h} * s.width + columns.begin) * s.channels;
    Compute<T> sums[N] = {};
#pragma unroll 2
    for (int w = 0; w < columns.count; ++w) {
      Compute<T> values[N];
      loadValues<N>(line + w * s.channels, values);
#pragma unroll
      for (int j = 0; j < N; ++j) sums[j] += values[j];
    }
#pragma unroll
    for (int j = 0; j < N; ++j) total[j] += sums[j];
  }
}

template <class T, int N>
__global__ void __launch_bounds__(kPoolThreads, kBlocks)
    avgPool(const PoolShape s, bool countPadding, const PackGrid g, const T* __restrict__ x,
            T* __restrict__ y) {
  const Item item = itemAt<N>(g, static_cast<int>(threadIdx.x));
  if (!item.exists) return;
  const Span rows = windowRows(s, item.row), columns = windowColumns(s, item.column);
  Compute<T> total[N] = {};
  windowSums<T, N>(s, rows, columns, x + item.image * s.imageSize() + item.channel, 0, 1, total);
  const auto factor = meanFactor<Compute<T>>(s, countPadding, rows, columns);
#pragma unroll
  for (int j = 0; j < N; ++j) total[j] *= factor;
  storeValues(total, y + item.index * N);
}

template <class T, int N>
struct SliceSums {
  Compute<T> at[kSlices][N][kWarpSize];
};

/// Few large windows: a block takes 32 packs of results, its warps the rows of their windows in turn.
template <class T, int N>
__global__ void __launch_bounds__(kPoolThreads, kBlocks)
    avgPoolSliced(const PoolShape s, bool countPadding, const PackGrid g, const T* __restrict__ x,
                  T* __restrict__ y) {
  auto& shared = dynamicShared<SliceSums<T, N>>();
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize,
            slice = static_cast<int>(threadIdx.x) / kWarpSize;
  const Item item = itemAt<N>(g, lane);
  const int column = min(item.column, s.outWidth - 1);  // a lane without an item reads that of another
  const Span rows = windowRows(s, item.row), columns = windowColumns(s, column);
  Compute<T> total[N] = {};
  windowSums<T, N>(s, rows, columns, x + item.image * s.imageSize() + item.channel, slice, kSlices, total);
#pragma unroll
  for (int j = 0; j < N; ++j) shared.at[slice][j][lane] = total[j];
  __syncthreads();
  if (slice > 0 || !item.exists) return;
  const auto factor = meanFactor<Compute<T>>(s, countPadding, rows, columns);
#pragma unroll
  for (int j = 0; j < N; ++j) {
#pragma unroll
    for (int i = 1; i < kSlices; ++i) total[j] += shared.at[i][j][lane];
    total[j] *= factor;
  }
  storeValues(total, y + item.index * N);
}

template <class T, int N>
__global__ void __launch_bounds__(kPoolThreads, kBlocks)
    avgPoolBackward(const PoolShape s, bool countPadding, const PackGrid g, const T* __restrict__ dy,
                    T* __restrict__ dx) {
  const Item item = itemAt<N>(g, static_cast<int>(threadIdx.x));
  if (!item.exists) return;
  const T* outer = dy + item.image * s.outImageSize() + item.channel;
  const Span windowsH = windowsAround(item.row, s.p.padTop, s.p.kernelH, s.p.strideH, s.outHeight);
  const Span windowsW = windowsAround(item.column, s.p.padLeft, s.p.kernelW, s.p.strideW, s.outWidth);
  Compute<T> sum[N] = {};
#pragma unroll 1
  for (int oh = windowsH.begin; oh < windowsH.begin + windowsH.count; ++oh) {
    const Span rows = windowRows(s, oh);
#pragma unroll 1
    for (int ow = windowsW.begin; ow < windowsW.begin + windowsW.count; ++ow) {
      const auto factor = meanFactor<Compute<T>>(s, countPadding, rows, windowColumns(s, ow));
      Compute<T> values[N];
      loadValues<N>(outer + (int64_t{oh} * s.outWidth + ow) * s.channels, values);
#pragma unroll
      for (int j = 0; j < N; ++j) sum[j] += factor * values[j];
    }
  }
  storeValues(sum, dx + item.index * N);
}

/// Calls f(storage type, pack width): packs of 16 bytes where the channels and all addresses allow them, else
/// single elements.
template <class F, class... Tensors>
void withPacks(const F& f, const Tensor& first, const Tensors&... others) {
  withStorage(first.dtype, [&](auto type) {
    using T = decltype(type);
    constexpr int kWidth = Vector<T>::kSize;
    if (first.shape[3] % kWidth == 0 && areAligned(first.data, others.data...)) {
      f(type, std::integral_constant<int, kWidth>{});
    } else {
      f(type, std::integral_constant<int, 1>{});
    }
  });
}

PackGrid overInput(const PoolShape& s) {
  return {s.images, s.height, s.width, s.packs, kPoolThreads};
}
PackGrid overOutput(const PoolShape& s, int perBlock = kPoolThreads) {
  return {s.images, s.outHeight, s.outWidth, s.packs, perBlock};
}

}  // namespace

void CudaOps::maxPool2d(const Pool2dParams& p, const Tensor& x, const Tensor& y) {
  if (x.size() == 0) return fill(-std::numeric_limits<double>::infinity(), y);
  withPacks(
      [&](auto type, auto width) {
        using T = decltype(type);
        const PoolShape s(p, x.shape, y.shape, width);
        const PackGrid g = overOutput(s);
        launch(context_, maxPool<T, width>, g.grid(), g.perBlock, 0, s, g, x.as<T>(), y.as<T>());
      },
      x, y);
}

void CudaOps::maxPool2dBackward(const Pool2dParams& p, const Tensor& x, const Tensor& dy, const Tensor& dx) {
  if (dx.size() == 0) return;
  if (dy.size() == 0) return fill(0, dx);
  withPacks(
      [&](auto type, auto width) {
        using T = decltype(type);
        const PoolShape s(p, x.shape, dy.shape, width);
        const auto kernel = s.overlaps() ? maxPoolBackward<T, width> : maxPoolBackwardDisjoint<T, width>;
        const PackGrid g = s.overlaps() ? overInput(s) : overOutput(s);
        launch(context_, kernel, g.grid(), g.perBlock, 0, s, g, x.as<T>(), dy.as<T>(), dx.as<T>());
      },
      x, dy, dx);
}

void CudaOps::avgPool2d(const Pool2dParams& p, bool countPadding, const Tensor& x, const Tensor& y) {
  if (x.size() == 0) return fill(0, y);
  withPacks(
      [&](auto type, auto width) {
        using T = decltype(type);
        const PoolShape s(p, x.shape, y.shape, width);
        // Slices where a thread for each result would leave the device idle and windows have rows to share
        // out.
        const int64_t threads = y.size() / width, busy = int64_t{context_.multiprocessors} * 4 * kPoolThreads;
        if (std::min(p.kernelH, s.height) >= kSlices / 2 && threads < busy) {
          const PackGrid g = overOutput(s, kWarpSize);
          launch(context_, avgPoolSliced<T, width>, g.grid(), kPoolThreads, sizeof(SliceSums<T, width>), s,
                 countPadding, g, x.as<T>(), y.as<T>());
        } else {
          const PackGrid g = overOutput(s);
          launch(context_, avgPool<T, width>, g.grid(), g.perBlock, 0, s, countPadding, g, x.as<T>(),
                 y.as<T>());
        }
      },
      x, y);
}

void CudaOps::avgPool2dBackward(const Pool2dParams& p, bool countPadding, const Tensor& dy,
                                const Tensor& dx) {
  if (dx.size() == 0) return;
  if (dy.size() == 0) return fill(0, dx);
  withPacks(
      [&](auto type, auto width) {
        using T = decltype(type);
        const PoolShape s(p, dx.shape, dy.shape, width);
        const PackGrid g = overInput(s);
        launch(context_, avgPoolBackward<T, width>, g.grid(), g.perBlock, 0, s, countPadding, g, dy.as<T>(),
               dx.as<T>());
      },
      dx, dy);
}

}  // namespace spherenet::cuda
