// fill, cast, copyRegion, broadcastTo and randomCropFlip: ops that move memory.
#include <limits>

#include "../native/philox.h"
#include "broadcast.cuh"
#include "cuda_ops.h"
#include "device/ptx.cuh"

namespace spherenet::cuda {

namespace {

/// Calls f with a value of the tensor's element type, whichever it is.
template <class F>
void withElement(DType dtype, const F& f) {
  if (dtype == DType::Int32) return f(int32_t{});
  if (dtype == DType::Uint8) return f(uint8_t{});
  withStorage(dtype, f);
}

/// The float32 on the way from float64 to a 16-bit type: of the two neighbours of a number between them the
/// one with an odd last bit, so that rounding it gives what rounding the float64 gives (Boldo and Melquiond,
/// "Emulation of FMA and correctly rounded sums", 2008).
__device__ __forceinline__ float roundToOdd(double value) {
  const float nearest = static_cast<float>(value);
  const double back = static_cast<double>(nearest);
  const uint32_t bits = __float_as_uint(nearest);
  if (back == value || value != value || (bits & 1) != 0) return nearest;
  return __uint_as_float(fabs(back) < fabs(value) ? bits + 1 : bits - 1);
}

/// To an integer: towards zero, saturating, NaN to 0. To a float: rounded to nearest.
template <class T>
__device__ __forceinline__ T convert(double value) {
  if constexpr (std::is_integral_v<T>) {
    constexpr double low = std::is_same_v<T, uint8_t> ? 0.0 : -2147483648.0;
    constexpr double high = std::is_same_v<T, uint8_t> ? 255.0 : 2147483647.0;
    value = value == value ? value : 0.0;
    value = value > low ? value : low;
    value = value < high ? value : high;
    return static_cast<T>(static_cast<int32_t>(value));
  } else if constexpr (sizeof(T) == 2) {
    return toStorage<T>(roundToOdd(value));
  } else {
    return static_cast<T>(value);
  }
}

template <class T>
struct Fill {
  static constexpr int kWidth = kPackWidth<T>, kUnroll = 2;
  template <int N>
  struct Inputs {};

  T* y;
  double value;
  bool packed;

  template <int N>
  __device__ __forceinline__ Inputs<N> load(int64_t) const {
    return {};
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t i, Inputs<N>) const {
    Pack<T, N> out;
#pragma unroll
    for (int j = 0; j < N; ++j) out.at[j] = convert<T>(value);
    storePack(y + i, out);
  }
};

/// Whether values of the type pass through float32 unchanged.
template <class T>
constexpr bool kWithinFloat = !std::is_integral_v<T> && !std::is_same_v<T, double>;

template <class X, class Y>
struct Cast {
  double scale, shift;
  bool plain;  // scale 1, shift 0

  __device__ __forceinline__ Y operator()(X x) const {
    if constexpr (kWithinFloat<X> && kWithinFloat<Y>) {
      if (plain) return toStorage<Y>(toCompute(x));
    }
    double value;
    if constexpr (std::is_integral_v<X>) {
      value = static_cast<double>(static_cast<int32_t>(x));
    } else {
      value = static_cast<double>(toCompute(x));
    }
    // fma(.., 0) rounds the product on its own, as the CPU does; a * b + c would not.
    return convert<Y>(fma(scale, value, 0.0) + shift);
  }
};

/// B bytes, moved at once, in registers of their own size or 4 bytes.
template <int B>
using Unit = std::conditional_t<B == 1, Pack<uint8_t, 1>,
                                std::conditional_t<B == 2, Pack<uint16_t, 1>, Pack<uint32_t, B / 4>>>;

/// Calls f with a Unit of the most bytes, at most 16, that divide `divisor`.
template <class F>
void withUnit(int64_t divisor, const F& f) {
  if (divisor % 16 == 0) return f(Unit<16>{});
  if (divisor % 8 == 0) return f(Unit<8>{});
  if (divisor % 4 == 0) return f(Unit<4>{});
  if (divisor % 2 == 0) return f(Unit<2>{});
  f(Unit<1>{});
}

/// y at its offset of i = x at its offset of i. Operands of the index map: x, y.
template <class U>
struct Copy {
  static constexpr int kWidth = 1, kUnroll = 4;
  template <int>
  using Inputs = U;

  const U* x;
  U* y;
  IndexMap<2> map;
  bool packed = true;

  template <int>
  __device__ __forceinline__ U load(int64_t i) const {
    return x[map.offset(0, static_cast<uint32_t>(i))];
  }
  template <int>
  __device__ __forceinline__ void store(int64_t i, const U& in) const {
    y[map.offset(1, static_cast<uint32_t>(i))] = in;
  }
};

/// Copies elements of `bytes` bytes; operands of the axes: x, y.
void copyElements(const Context& context, Axes<2> axes, int64_t bytes, const unsigned char* x,
                  unsigned char* y) {
  const int last = axes.rank - 1;
  // Where rows are dense, in units that divide a row and every distance: `common` has just the bits that
  // matter.
  const bool dense = axes.stride[0][last] == 1 && axes.stride[1][last] == 1;
  int64_t common = static_cast<int64_t>(reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y));
  common |= axes.extent[last] * bytes;
  for (int i = 0; i < last; ++i) common |= (axes.stride[0][i] | axes.stride[1][i]) * bytes;
  withUnit(dense ? common : bytes, [&](auto unit) {
    using U = decltype(unit);
    const int64_t elements = dense ? static_cast<int64_t>(sizeof(U)) / bytes : 1;
    axes.extent[last] /= elements;
    for (int i = 0; i < last; ++i) {
      axes.stride[0][i] /= elements;
      axes.stride[1][i] /= elements;
    }
    const U* from = reinterpret_cast<const U*>(x);
    U* to = reinterpret_cast<U*>(y);
    forEachPart(axes, [&](const Axes<2>& part, const int64_t(&offset)[2]) {
      launchElementwise(context, Copy<U>{from + offset[0], to + offset[1], IndexMap<2>(part)}, part.size());
    });
  });
}

/// y = x, repeated. Operands of the index map: x, y.
template <class T>
struct Repeat {
  static constexpr int kWidth = kPackWidth<T>, kUnroll = 2;
  template <int N>
  using Inputs = Pack<T, N>;

  Operand<0, T> x;
  T* y;
  IndexMap<2> map;
  bool packed;

  template <int N>
  __device__ __forceinline__ Inputs<N> load(int64_t i) const {
    return x.template load<N>(map, i);
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t i, const Inputs<N>& in) const {
    Pack<T, N> out;
#pragma unroll
    for (int j = 0; j < N; ++j) out.at[j] = x.get(in, j);
    storePack(y + i, out);
  }
};

template <class T>
void repeatElements(const Context& context, const Tensor& xTensor, const Tensor& yTensor) {
  const T* x = static_cast<const T*>(xTensor.data);
  T* y = static_cast<T*>(yTensor.data);
  const Axes<2> axes = broadcastAxes<2>(yTensor.shape, {&xTensor.shape, &yTensor.shape});
  forEachPart(axes, [&](const Axes<2>& part, const int64_t(&offset)[2]) {
    Repeat<T> repeat{{x + offset[0]}, y + offset[1], IndexMap<2>(part), areAligned(y + offset[1])};
    repeat.packed &= repeat.x.template describe<Repeat<T>::kWidth>(part);
    launchElementwise(context, repeat, part.size());
  });
}

/// Random windows of images. Extents in pixels; a row of the result has rowUnits units, a pixel pixelUnits.
struct Windows {
  int64_t height, width, outHeight, outWidth;  // of x and y
  int64_t firstRow, rows;                      // of y, that one launch writes
  uint32_t blocks;                             // per image
  FastDivisor rowUnits, pixelUnits;
  uint64_t seed;
  int32_t padding;
  bool flip;
};

constexpr int kWindowThreads = 256, kWindowUnroll = 4;

struct WindowShared {
  int64_t top, left;  // in x, negative in the padding
  bool mirrored;
};

template <class U>
__global__ void __launch_bounds__(kWindowThreads)
    windowKernel(const Windows windows, const U* __restrict__ x, U* __restrict__ y) {
  WindowShared& shared = dynamicShared<WindowShared>();
  const uint32_t image = blockIdx.x / windows.blocks, block = blockIdx.x % windows.blocks;
  if (threadIdx.x == 0) {
    const PhiloxBlock random = philoxElements(windows.seed, 0, image);
    const auto draw = [&](uint32_t word, int64_t whole, int64_t part) {
      const uint64_t positions = static_cast<uint64_t>(whole + 2 * windows.padding - part + 1);
      return static_cast<int64_t>(word * positions >> 32) - windows.padding;
    };
    shared.top = draw(random.word[0], windows.height, windows.outHeight);
    shared.left = draw(random.word[1], windows.width, windows.outWidth);
    shared.mirrored = windows.flip && random.word[2] >> 31 != 0;
  }
  __syncthreads();
  const uint32_t rowUnits = windows.rowUnits.divisor, pixelUnits = windows.pixelUnits.divisor;
  const uint32_t units = static_cast<uint32_t>(windows.rows) * rowUnits;
  const uint32_t first = block * (kWindowThreads * kWindowUnroll) + threadIdx.x;
  U* out = y + (image * windows.outHeight + windows.firstRow) * rowUnits;
  U values[kWindowUnroll];
#pragma unroll
  for (int u = 0; u < kWindowUnroll; ++u) {
    const uint32_t i = first + u * kWindowThreads;
    values[u] = U{};
    if (i >= units) continue;
    const uint32_t row = windows.rowUnits.quotient(i), inRow = i - row * rowUnits;
    const uint32_t pixel = windows.pixelUnits.quotient(inRow), inPixel = inRow - pixel * pixelUnits;
    const int64_t h = shared.top + windows.firstRow + row;
    const int64_t w = shared.left + (shared.mirrored ? windows.outWidth - 1 - pixel : pixel);
    if (h >= 0 && h < windows.height && w >= 0 && w < windows.width) {
      values[u] = x[((image * windows.height + h) * windows.width + w) * pixelUnits + inPixel];
    }
  }
#pragma unroll
  for (int u = 0; u < kWindowUnroll; ++u) {
    const uint32_t i = first + u * kWindowThreads;
    if (i < units) out[i] = values[u];
  }
}

}  // namespace

void CudaOps::fill(double value, const Tensor& y) {
  withElement(y.dtype, [&](auto type) {
    using T = decltype(type);
    launchElementwise(context_, Fill<T>{y.as<T>(), value, areAligned(y.data)}, y.size());
  });
}

void CudaOps::cast(double scale, double shift, const Tensor& x, const Tensor& y) {
  const bool plain = scale == 1 && shift == 0;
  if (plain && x.dtype == y.dtype) {
    Dims start, size;
    start.rank = size.rank = 1;
    size[0] = y.size();
    return copyRegion(start, start, size, {x.data, x.dtype, size}, {y.data, y.dtype, size});
  }
  withElement(x.dtype, [&](auto from) {
    withElement(y.dtype, [&](auto to) {
      using X = decltype(from);
      using Y = decltype(to);
      launchMap<X, Y>(context_, x, y, Cast<X, Y>{scale, shift, plain});
    });
  });
}

void CudaOps::copyRegion(const Dims& xStart, const Dims& yStart, const Dims& extent, const Tensor& x,
                         const Tensor& y) {
  if (extent.product() == 0) return;
  const SharedBlock block(extent, xStart, x.shape, yStart, y.shape);
  const int64_t bytes = static_cast<int64_t>(sizeOf(y.dtype));
  copyElements(context_, block.axes, bytes,
               static_cast<const unsigned char*>(x.data) + block.offset[0] * bytes,
               static_cast<unsigned char*>(y.data) + block.offset[1] * bytes);
}

void CudaOps::broadcastTo(const Tensor& x, const Tensor& y) {
  if (y.size() == 0) return;
  switch (sizeOf(y.dtype)) {
    case 1:
      return repeatElements<uint8_t>(context_, x, y);
    case 2:
      return repeatElements<uint16_t>(context_, x, y);
    case 4:
      return repeatElements<uint32_t>(context_, x, y);
    default:
      return repeatElements<uint64_t>(context_, x, y);
  }
}

void CudaOps::randomCropFlip(uint64_t seed, int32_t padding, bool flip, const Tensor& x, const Tensor& y) {
  if (y.size() == 0) return;
  const int64_t pixelBytes = x.shape[3] * static_cast<int64_t>(sizeOf(x.dtype));
  const auto addresses = reinterpret_cast<uintptr_t>(x.data) | reinterpret_cast<uintptr_t>(y.data);
  withUnit(pixelBytes | static_cast<int64_t>(addresses), [&](auto unit) {
    using U = decltype(unit);
    const int64_t pixelUnits = pixelBytes / static_cast<int64_t>(sizeof(U)),
                  rowUnits = y.shape[2] * pixelUnits;
    const int64_t rows = rowUnits < kMostIndices ? kMostIndices / rowUnits : 1;
    Windows windows{x.shape[1],
                    x.shape[2],
                    y.shape[1],
                    y.shape[2],
                    0,
                    0,
                    0,
                    FastDivisor(rowUnits),
                    FastDivisor(pixelUnits),
                    seed,
                    padding,
                    flip};
    for (int64_t row = 0; row < y.shape[1]; row += rows) {
      windows.firstRow = row;
      windows.rows = y.shape[1] - row < rows ? y.shape[1] - row : rows;
      windows.blocks =
          static_cast<uint32_t>(ceilDivide(windows.rows * rowUnits, kWindowThreads * kWindowUnroll));
      launch(context_, windowKernel<U>, dim3(static_cast<unsigned>(y.shape[0] * windows.blocks)),
             kWindowThreads, sizeof(WindowShared), windows, static_cast<const U*>(x.data),
             static_cast<U*>(y.data));
    }
  });
}

}  // namespace spherenet::cuda
