// Elementwise ops: binary with broadcasting, affine, unary, power, leaky ReLU, and their gradients; one-hot
// rows.
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
  if constexpr (op == BinaryOp::Div) return static_cast<T>(u / v);
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
    case BinaryOp::Div:
      if constexpr (std::is_floating_point_v<T>) return combineTensors<BinaryOp::Div, T>(a, b, y);
      throw std::logic_error("integers are not divided");
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

/// x in [-1, 1]; NaN stays NaN.
template <class T>
T clampToOne(T x) {
  const T below = x > 1 ? T(1) : x;
  return below < -1 ? T(-1) : below;
}

/// log(1 + e^x), where e^x alone would overflow too.
template <class T>
T softplus(T x) {
  return (x > 0 ? x : T(0)) + std::log1p(std::exp(-std::abs(x)));
}

/// The slope of softplus, 1 / (1 + e^-x).
template <class T>
T logistic(T x) {
  const T decay = std::exp(-std::abs(x));
  return (x < 0 ? decay : T(1)) / (1 + decay);
}

/// The slope of tanh, 1 / cosh^2 x: precise where 1 - tanh^2 x cancels.
template <class T>
T tanhSlope(T x) {
  const T decay = std::exp(-2 * std::abs(x));
  return 4 * decay / ((1 + decay) * (1 + decay));
}

/// The slope of acos, cut off next to -1 and 1.
template <class T>
T acosSlope(T x) {
  const T c = clampToOne(x), sinSquared = (1 - c) * (1 + c);
  return -1 /
         std::sqrt(sinSquared < static_cast<T>(kMinSinSquared) ? static_cast<T>(kMinSinSquared) : sinSquared);
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
      case UnaryOp::Exp:
        return mapElements<T>(x, y, [](T v) { return std::exp(v); });
      case UnaryOp::Log:
        return mapElements<T>(x, y, [](T v) { return std::log(v); });
      case UnaryOp::Tanh:
        return mapElements<T>(x, y, [](T v) { return std::tanh(v); });
      case UnaryOp::Softplus:
        return mapElements<T>(x, y, [](T v) { return softplus(v); });
      case UnaryOp::Acos:
        return mapElements<T>(x, y, [](T v) { return std::acos(clampToOne(v)); });
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
      case UnaryOp::Exp:
        return mapPairs<T>(x, dy, dx, [](T v, T g) { return g * std::exp(v); });
      case UnaryOp::Log:
        return mapPairs<T>(x, dy, dx, [](T v, T g) { return g / v; });
      case UnaryOp::Tanh:
        return mapPairs<T>(x, dy, dx, [](T v, T g) { return g * tanhSlope(v); });
      case UnaryOp::Softplus:
        return mapPairs<T>(x, dy, dx, [](T v, T g) { return g * logistic(v); });
      case UnaryOp::Acos:
        return mapPairs<T>(x, dy, dx, [](T v, T g) { return g * acosSlope(v); });
    }
  });
}

void CpuOps::power(double exponent, const Tensor& x, const Tensor& y) {
  withFloat(y.dtype, [&](auto type) {
    using T = decltype(type);
    const T p = static_cast<T>(exponent);
    mapElements<T>(x, y, [=](T v) { return std::pow(v, p); });
  });
}

void CpuOps::powerBackward(double exponent, const Tensor& x, const Tensor& dy, const Tensor& dx) {
  withFloat(dx.dtype, [&](auto type) {
    using T = decltype(type);
    const T p = static_cast<T>(exponent), lower = static_cast<T>(exponent - 1);
    // The slope at 0 is infinite below exponent 1; 0 instead keeps gradients finite.
    mapPairs<T>(x, dy, dx, [=](T v, T g) { return v == 0 && p < 1 ? T(0) : g * p * std::pow(v, lower); });
  });
}

void CpuOps::oneHot(const Tensor& labelsTensor, const Tensor& yTensor) {
  const int32_t* labels = labelsTensor.as<int32_t>();
  const int64_t rows = yTensor.shape[0], classes = yTensor.shape[1];
  withAny(yTensor.dtype, [&](auto type) {
    using T = decltype(type);
    T* y = yTensor.as<T>();
    parallelRanges(rows, grainOfRows(classes), [&](int64_t begin, int64_t end) {
      std::fill(y + begin * classes, y + end * classes, T(0.0f));
      for (int64_t row = begin; row < end; ++row) y[row * classes + labels[row]] = T(1.0f);
    });
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
