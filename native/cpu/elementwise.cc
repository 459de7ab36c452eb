// Elementwise ops: binary with broadcasting, affine, unary, leaky ReLU, and their gradients.
#include <cmath>
#include <type_traits>

#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"

namespace spherenet::cpu {

namespace {

/// Integers wrap around.
template <BinaryOp op, class T>
T combine(T a, T b) {
  using Arithmetic =
      typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::type_identity<T>>::type;
  const auto u = static_cast<Arithmetic>(a);
  const auto v = static_cast<Arithmetic>(b);
  if constexpr (op == BinaryOp::Add) return static_cast<T>(u + v);
  if constexpr (op == BinaryOp::Sub) return static_cast<T>(u - v);
  if constexpr (op == BinaryOp::Mul) return static_cast<T>(u * v);
}

/// One run; a stride of 0 repeats the first element.
template <BinaryOp op, class T>
void combineRun(const T* a, int64_t aStride, const T* b, int64_t bStride, T* y, int64_t count) {
  if (aStride == 0) {
    const T value = *a;
    SPHERENET_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) y[i] = combine<op>(value, b[i]);
  } else if (bStride == 0) {
    const T value = *b;
    SPHERENET_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) y[i] = combine<op>(a[i], value);
  } else {
    SPHERENET_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) y[i] = combine<op>(a[i], b[i]);
  }
}

/// Rows of up to kShortRow elements against one vector are handled kTile elements at a time.
constexpr int64_t kShortRow = 64;
constexpr int64_t kTile = 256;

/// [rows, width] op [width], where the rows are too short to loop over one by one: the vector is repeated.
template <BinaryOp op, class T>
void combineShortRows(const T* a, const T* b, bool vectorIsA, T* y, int64_t rows, int64_t width) {
  T tile[kTile];
  const int64_t repeat = kTile / width;
  const T* vector = vectorIsA ? a : b;
  for (int64_t i = 0; i < repeat * width; ++i) tile[i] = vector[i % width];
  parallelRanges(rows, grainOfRows(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row += repeat) {
      const int64_t at = row * width;
      const int64_t count = std::min(repeat, end - row) * width;
      if (vectorIsA) {
        combineRun<op>(tile, 1, b + at, 1, y + at, count);
      } else {
        combineRun<op>(a + at, 1, tile, 1, y + at, count);
      }
    }
  });
}

template <BinaryOp op, class T>
void combineTensors(const Tensor& aTensor, const Tensor& bTensor, const Tensor& yTensor) {
  const T* a = aTensor.as<T>();
  const T* b = bTensor.as<T>();
  T* y = yTensor.as<T>();
  const Axes<2> axes = broadcastAxes<2>(yTensor.shape, {&aTensor.shape, &bTensor.shape});
  const int last = axes.rank - 1;
  const int64_t aStride = axes.stride[0][last];
  const int64_t bStride = axes.stride[1][last];
  if (axes.rank == 2 && aStride == 1 && bStride == 1 && axes.extent[1] <= kShortRow) {
    combineShortRows<op>(a, b, axes.stride[0][0] == 0, y, axes.extent[0], axes.extent[1]);
    return;
  }
  parallelRanges(axes.size(), kGrain, [&](int64_t begin, int64_t end) {
    forEachRun(axes, begin, end, [&](int64_t position, const int64_t(&offset)[2], int64_t count) {
      combineRun<op>(a + offset[0], aStride, b + offset[1], bStride, y + position, count);
    });
  });
}

template <class T>
void combineTensors(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& y) {
  switch (op) {
    case BinaryOp::Add:
      return combineTensors<BinaryOp::Add, T>(a, b, y);
    case BinaryOp::Sub:
      return combineTensors<BinaryOp::Sub, T>(a, b, y);
    case BinaryOp::Mul:
      return combineTensors<BinaryOp::Mul, T>(a, b, y);
  }
}

/// y[i] = f(x[i])
template <class T, class F>
void mapElements(const Tensor& xTensor, const Tensor& yTensor, const F& f) {
  const T* x = xTensor.as<T>();
  T* y = yTensor.as<T>();
  parallelRanges(yTensor.size(), kGrain, [&](int64_t begin, int64_t end) {
    SPHERENET_INDEPENDENT
    for (int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

/// dx[i] = f(x[i], dy[i])
template <class T, class F>
void mapPairs(const Tensor& xTensor, const Tensor& dyTensor, const Tensor& dxTensor, const F& f) {
  const T* x = xTensor.as<T>();
  const T* dy = dyTensor.as<T>();
  T* dx = dxTensor.as<T>();
  parallelRanges(dxTensor.size(), kGrain, [&](int64_t begin, int64_t end) {
    SPHERENET_INDEPENDENT
    for (int64_t i = begin; i < end; ++i) dx[i] = f(x[i], dy[i]);
  });
}

/// condition ? value : factor * value, in a form that the compiler vectorises although a multiplication may
/// trap. factor: finite.
template <class T>
T scaleUnless(bool condition, T value, T factor) {
  const T unscaled = condition ? value : T(0);
  const T rest = condition ? T(0) : value;
  return unscaled + factor * rest;
}

}  // namespace

void CpuOps::binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& y) {
  if (y.size() == 0) return;
  if (y.dtype == DType::Int32) return combineTensors<int32_t>(op, a, b, y);
  withFloat(y.dtype, [&](auto type) { combineTensors<decltype(type)>(op, a, b, y); });
}

void CpuOps::affine(double scale, double shift, const Tensor& x, const Tensor& y) {
  withFloat(y.dtype, [&](auto type) {
    using T = decltype(type);
    const T factor = static_cast<T>(scale), offset = static_cast<T>(shift);
    mapElements<T>(x, y, [=](T v) { return factor * v + offset; });
  });
}

void CpuOps::unary(UnaryOp op, const Tensor& x, const Tensor& y) {
  withFloat(y.dtype, [&](auto type) {
    using T = decltype(type);
    switch (op) {
      case UnaryOp::Abs:
        return mapElements<T>(x, y, [](T v) { return std::abs(v); });
      case UnaryOp::Square:
        return mapElements<T>(x, y, [](T v) { return v * v; });
      case UnaryOp::Sqrt:
        return mapElements<T>(x, y, [](T v) { return std::sqrt(v); });
    }
  });
}

void CpuOps::unaryBackward(UnaryOp op, const Tensor& x, const Tensor& dy, const Tensor& dx) {
  withFloat(dx.dtype, [&](auto type) {
    using T = decltype(type);
    switch (op) {
      case UnaryOp::Abs:
        // The subgradient 0 at 0.
        return mapPairs<T>(x, dy, dx, [](T v, T g) {
          const T otherwise = v < 0 ? -g : T(0);
          return v > 0 ? g : otherwise;
        });
      case UnaryOp::Square:
        return mapPairs<T>(x, dy, dx, [](T v, T g) { return 2 * v * g; });
      case UnaryOp::Sqrt:
        // The slope at 0 is infinite; 0 instead keeps gradients finite.
        return mapPairs<T>(x, dy, dx, [](T v, T g) { return v == 0 ? T(0) : g / (2 * std::sqrt(v)); });
    }
  });
}

// A slope of 0 has loops of its own: 0 * infinity would be NaN.
void CpuOps::leakyRelu(double slope, const Tensor& x, const Tensor& y) {
  withFloat(y.dtype, [&](auto type) {
    using T = decltype(type);
    if (slope == 0) {
      mapElements<T>(x, y, [](T v) { return v < 0 ? T(0) : v; });
    } else {
      const T factor = static_cast<T>(slope);
      mapElements<T>(x, y, [=](T v) { return scaleUnless(v > 0, v, factor); });
    }
  });
}

void CpuOps::leakyReluBackward(double slope, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  withFloat(dx.dtype, [&](auto type) {
    using T = decltype(type);
    if (slope == 0) {
      mapPairs<T>(y, dy, dx, [](T v, T g) { return v > 0 ? g : T(0); });
    } else {
      const T factor = static_cast<T>(slope);
      mapPairs<T>(y, dy, dx, [=](T v, T g) { return scaleUnless(v > 0, g, factor); });
    }
  });
}

}  // namespace spherenet::cpu
