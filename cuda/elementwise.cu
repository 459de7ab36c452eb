// Elementwise ops: binary with broadcasting, affine, unary, power, leaky ReLU, and their gradients; one-hot
// rows. Limited by memory, so the kinds of an op are told apart at run time, which costs nothing.
#include "broadcast.cuh"
#include "cuda_ops.h"
#include "device/angular.cuh"

namespace spherenet::cuda {

namespace {

template <class C>
__device__ __forceinline__ C combine(BinaryOp op, C a, C b) {
  if constexpr (std::is_floating_point_v<C>) {
    if (op == BinaryOp::Div) return a / b;
  }
  return op == BinaryOp::Add ? a + b : op == BinaryOp::Sub ? a - b : a * b;
}

/// a op b; integers wrap around.
template <class T>
__device__ __forceinline__ T combineElements(BinaryOp op, T a, T b) {
  if constexpr (std::is_same_v<T, int32_t>) {
    return static_cast<int32_t>(combine(op, static_cast<uint32_t>(a), static_cast<uint32_t>(b)));
  } else {
    return toStorage<T>(combine(op, toCompute(a), toCompute(b)));
  }
}

/// y = a op b. Operands of the index map: a, b, y.
template <class T>
struct Broadcast {
  static constexpr int kWidth = kPackWidth<T>, kUnroll = 2;
  template <int N>
  struct Inputs {
    Pack<T, N> a, b;
  };

  BinaryOp op;
  Operand<0, T> a;
  Operand<1, T> b;
  T* y;
  IndexMap<3> map;
  bool packed;

  template <int N>
  __device__ __forceinline__ Inputs<N> load(int64_t i) const {
    return {a.template load<N>(map, i), b.template load<N>(map, i)};
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t i, const Inputs<N>& in) const {
    Pack<T, N> out;
#pragma unroll
    for (int j = 0; j < N; ++j) out.at[j] = combineElements(op, a.get(in.a, j), b.get(in.b, j));
    storePack(y + i, out);
  }
};

/// One launch: a part of the result that 32-bit indices can count.
template <class T>
void launchBroadcast(const Context& context, BinaryOp op, const Axes<3>& axes, const T* a, const T* b, T* y) {
  constexpr int kWidth = Broadcast<T>::kWidth;
  Broadcast<T> broadcast{op, {a}, {b}, y, IndexMap<3>(axes), areAligned(y)};
  broadcast.packed &= broadcast.a.template describe<kWidth>(axes);
  broadcast.packed &= broadcast.b.template describe<kWidth>(axes);
  launchElementwise(context, broadcast, axes.size());
}

template <class T>
void combineTensors(const Context& context, BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& y) {
  const Axes<3> axes = broadcastAxes<3>(y.shape, {&a.shape, &b.shape, &y.shape});
  forEachPart(axes, [&](const Axes<3>& part, const int64_t(&offset)[3]) {
    launchBroadcast(context, op, part, a.as<T>() + offset[0], b.as<T>() + offset[1], y.as<T>() + offset[2]);
  });
}

template <class T>
struct Affine {
  Compute<T> factor, offset;
  __device__ __forceinline__ T operator()(T x) const { return toStorage<T>(factor * toCompute(x) + offset); }
};

/// The functions that take many instructions, each of which would be there once per element of a thread: so
/// they are called instead of inlined.
template <class C>
__device__ __noinline__ C transcendental(UnaryOp op, C x) {
  switch (op) {
    case UnaryOp::Exp:
      return exp(x);
    case UnaryOp::Log:
      return log(x);
    case UnaryOp::Tanh:
      return tanh(x);
    case UnaryOp::Softplus:  // e^x alone would overflow
      return (x > 0 ? x : C(0)) + log1p(exp(-fabs(x)));
    default:
      return acos(clampToOne(x));
  }
}

/// Their slopes.
template <class C>
__device__ __noinline__ C transcendentalSlope(UnaryOp op, C x) {
  if (op == UnaryOp::Exp) return exp(x);
  if (op == UnaryOp::Log) return 1 / x;
  if (op == UnaryOp::Acos) {
    const C c = clampToOne(x), sinSquared = (1 - c) * (1 + c), least = static_cast<C>(kMinSinSquared);
    return -1 / sqrt(sinSquared < least ? least : sinSquared);
  }
  const C decay = exp((op == UnaryOp::Tanh ? -2 : -1) * fabs(x)), whole = 1 + decay;
  if (op == UnaryOp::Tanh) return 4 * decay / (whole * whole);
  return (x < 0 ? decay : C(1)) / whole;
}

template <class C>
__device__ __noinline__ C powerOf(C x, C exponent) {
  return pow(x, exponent);
}

template <class T>
struct Unary {
  UnaryOp op;
  __device__ __forceinline__ T operator()(T x) const {
    const Compute<T> v = toCompute(x);
    if (op > UnaryOp::Sqrt) return toStorage<T>(transcendental(op, v));
    return toStorage<T>(op == UnaryOp::Abs ? fabs(v) : op == UnaryOp::Square ? v * v : sqrt(v));
  }
};

template <class T>
struct UnaryGradient {
  UnaryOp op;
  __device__ __forceinline__ T operator()(T x, T dy) const {
    const Compute<T> v = toCompute(x), g = toCompute(dy);
    Compute<T> dx;
    if (op > UnaryOp::Sqrt) {
      dx = g * transcendentalSlope(op, v);
    } else if (op == UnaryOp::Abs) {
      dx = v > 0 ? g : v < 0 ? -g : 0;  // the subgradient 0 at 0
    } else if (op == UnaryOp::Square) {
      dx = 2 * v * g;
    } else {
      dx = v == 0 ? 0 : g * (rsqrt(v) / 2);  // the slope at 0 is infinite; 0 instead keeps gradients finite
    }
    return toStorage<T>(dx);
  }
};

template <class T>
struct Power {
  Compute<T> exponent;
  __device__ __forceinline__ T operator()(T x) const { return toStorage<T>(powerOf(toCompute(x), exponent)); }
};

template <class T>
struct PowerGradient {
  Compute<T> exponent, lower;  // lower: exponent - 1
  __device__ __forceinline__ T operator()(T x, T dy) const {
    const Compute<T> v = toCompute(x);
    if (v == 0 && exponent < 1) return toStorage<T>(0);  // as for the root
    return toStorage<T>(toCompute(dy) * exponent * powerOf(v, lower));
  }
};

/// y[i] = whether element i is its row's label.
template <class T>
struct OneHot {
  static constexpr int kWidth = kPackWidth<T>, kUnroll = 2;
  template <int N>
  using Inputs = Pack<T, N>;

  const int32_t* labels;
  T* y;
  uint32_t classes;
  bool packed;

  template <int N>
  __device__ __forceinline__ Inputs<N> load(int64_t i) const {
    Pack<T, N> pack;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const uint32_t at = static_cast<uint32_t>(i) + j, row = at / classes;
      const bool isLabel = static_cast<uint32_t>(labels[row]) == at - row * classes;
      pack.at[j] = toStorage<T>(isLabel ? 1 : 0);
    }
    return pack;
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t i, const Inputs<N>& in) const {
    storePack(y + i, in);
  }
};

/// A slope of 0 is an assignment: 0 * infinity would be NaN.
template <class T>
struct LeakyRelu {
  Compute<T> slope;
  __device__ __forceinline__ T operator()(T x) const {
    const Compute<T> v = toCompute(x);
    if (slope == 0) return v < 0 ? toStorage<T>(0) : x;
    return v > 0 ? x : toStorage<T>(slope * v);
  }
};

template <class T>
struct LeakyReluGradient {
  Compute<T> slope;
  __device__ __forceinline__ T operator()(T y, T dy) const {
    if (toCompute(y) > 0) return dy;
    return toStorage<T>(slope == 0 ? 0 : slope * toCompute(dy));
  }
};

}  // namespace

void CudaOps::binary(BinaryOp op, const Tensor& a, const Tensor& b, const Tensor& y) {
  if (y.size() == 0) return;
  if (y.dtype == DType::Int32) return combineTensors<int32_t>(context_, op, a, b, y);
  withStorage(y.dtype, [&](auto type) { combineTensors<decltype(type)>(context_, op, a, b, y); });
}

void CudaOps::affine(double scale, double shift, const Tensor& x, const Tensor& y) {
  withStorage(y.dtype, [&](auto type) {
    using T = decltype(type);
    launchMap<T, T>(context_, x, y,
                    Affine<T>{static_cast<Compute<T>>(scale), static_cast<Compute<T>>(shift)});
  });
}

void CudaOps::unary(UnaryOp op, const Tensor& x, const Tensor& y) {
  withStorage(y.dtype, [&](auto type) {
    using T = decltype(type);
    launchMap<T, T>(context_, x, y, Unary<T>{op});
  });
}

void CudaOps::unaryBackward(UnaryOp op, const Tensor& x, const Tensor& dy, const Tensor& dx) {
  withStorage(dx.dtype, [&](auto type) {
    using T = decltype(type);
    launchMapPairs<T>(context_, x, dy, dx, UnaryGradient<T>{op});
  });
}

void CudaOps::power(double exponent, const Tensor& x, const Tensor& y) {
  withStorage(y.dtype, [&](auto type) {
    using T = decltype(type);
    launchMap<T, T>(context_, x, y, Power<T>{static_cast<Compute<T>>(exponent)});
  });
}

void CudaOps::powerBackward(double exponent, const Tensor& x, const Tensor& dy, const Tensor& dx) {
  withStorage(dx.dtype, [&](auto type) {
    using T = decltype(type);
    const PowerGradient<T> gradient{static_cast<Compute<T>>(exponent), static_cast<Compute<T>>(exponent - 1)};
    launchMapPairs<T>(context_, x, dy, dx, gradient);
  });
}

void CudaOps::oneHot(const Tensor& labels, const Tensor& y) {
  withStorage(y.dtype, [&](auto type) {
    using T = decltype(type);
    const auto classes = static_cast<uint32_t>(y.shape[1]);
    const OneHot<T> rows{labels.as<int32_t>(), y.as<T>(), classes, areAligned(y.data)};
    launchElementwise(context_, rows, y.size());
  });
}

void CudaOps::leakyRelu(double slope, const Tensor& x, const Tensor& y) {
  withStorage(y.dtype, [&](auto type) {
    using T = decltype(type);
    launchMap<T, T>(context_, x, y, LeakyRelu<T>{static_cast<Compute<T>>(slope)});
  });
}

void CudaOps::leakyReluBackward(double slope, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  withStorage(dx.dtype, [&](auto type) {
    using T = decltype(type);
    launchMapPairs<T>(context_, y, dy, dx, LeakyReluGradient<T>{static_cast<Compute<T>>(slope)});
  });
}

}  // namespace spherenet::cuda
