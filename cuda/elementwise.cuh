// The kernel of all ops that compute every element on its own: y[i] = f(i, inputs at i). A thread handles
// kUnroll packs of 16 bytes, all of whose loads are under way before the first result is stored; a block
// handles one tile.
#pragma once

#include <cstdint>

#include "context.h"
#include "device/numeric.cuh"

namespace spherenet::cuda {

/// N elements, accessed at once, 16 bytes at a time.
template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T at[N];
};

/// How many elements of the largest of the types make 16 bytes.
template <class X, class... More>
constexpr int kPackWidth = [] {
  size_t largest = sizeof(X);
  ((largest = sizeof(More) > largest ? sizeof(More) : largest), ...);
  return static_cast<int>(16 / largest);
}();

template <int N, class T>
__device__ __forceinline__ Pack<T, N> loadPack(const T* x) {
  return *reinterpret_cast<const Pack<T, N>*>(x);
}

template <int N, class T>
__device__ __forceinline__ void storePack(T* y, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(y) = pack;
}

constexpr int kElementwiseThreads = 256;

/// Op: kWidth, kUnroll, `packed` (kWidth elements may be accessed at once), Inputs<N>, and for N = kWidth and
/// 1
///   load<N>(i)            the inputs of elements i to i + N - 1
///   store<N>(i, inputs)   computes and stores them
/// The inputs may be the outputs' memory.
template <class Op>
__global__ void __launch_bounds__(kElementwiseThreads) elementwiseKernel(const Op op, int64_t size) {
  constexpr int kWidth = Op::kWidth, kStep = kElementwiseThreads * kWidth;
  constexpr int kTile = kStep * Op::kUnroll;
  const int64_t tile = static_cast<int64_t>(blockIdx.x) * kTile;
  if (op.packed && tile + kTile <= size) {
    const int64_t first = tile + threadIdx.x * kWidth;
    typename Op::template Inputs<kWidth> inputs[Op::kUnroll];
#pragma unroll
    for (int u = 0; u < Op::kUnroll; ++u) inputs[u] = op.template load<kWidth>(first + u * kStep);
#pragma unroll
    for (int u = 0; u < Op::kUnroll; ++u) op.template store<kWidth>(first + u * kStep, inputs[u]);
    return;
  }
  // One by one: the last tile, views that are not aligned, rows that packs would cross the ends of.
  constexpr int kSingles = 2;
  const int64_t end = tile + kTile < size ? tile + kTile : size;
#pragma unroll 1
  for (int64_t i = tile + threadIdx.x; i < end; i += kSingles * kElementwiseThreads) {
    typename Op::template Inputs<1> inputs[kSingles];
#pragma unroll
    for (int u = 0; u < kSingles; ++u) {
      const int64_t at = i + u * kElementwiseThreads;
      if (at < end) inputs[u] = op.template load<1>(at);
    }
#pragma unroll
    for (int u = 0; u < kSingles; ++u) {
      const int64_t at = i + u * kElementwiseThreads;
      if (at < end) op.template store<1>(at, inputs[u]);
    }
  }
}

template <class Op>
void launchElementwise(const Context& context, const Op& op, int64_t size) {
  const int64_t blocks = ceilDivide(size, int64_t{kElementwiseThreads} * Op::kWidth * Op::kUnroll);
  launch(context, elementwiseKernel<Op>, dim3(static_cast<unsigned>(blocks)), kElementwiseThreads, 0, op,
         size);
}

/// Whether all of these addresses are aligned to 16 bytes.
template <class... Pointers>
bool areAligned(const Pointers*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

/// y[i] = f(x[i]), f from X to Y.
template <class X, class Y, class F>
struct Map {
  static constexpr int kWidth = kPackWidth<X, Y>, kUnroll = 2;
  template <int N>
  using Inputs = Pack<X, N>;

  const X* x;
  Y* y;
  F f;
  bool packed;

  template <int N>
  __device__ __forceinline__ Inputs<N> load(int64_t i) const {
    return loadPack<N>(x + i);
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t i, const Inputs<N>& in) const {
    Pack<Y, N> out;
#pragma unroll
    for (int j = 0; j < N; ++j) out.at[j] = f(in.at[j]);
    storePack(y + i, out);
  }
};

template <class X, class Y, class F>
void launchMap(const Context& context, const Tensor& x, const Tensor& y, const F& f) {
  launchElementwise(context, Map<X, Y, F>{x.as<X>(), y.as<Y>(), f, areAligned(x.data, y.data)}, y.size());
}

/// y[i] = f(a[i], b[i])
template <class T, class F>
struct MapPairs {
  static constexpr int kWidth = kPackWidth<T>, kUnroll = 2;
  template <int N>
  struct Inputs {
    Pack<T, N> a, b;
  };

  const T* a;
  const T* b;
  T* y;
  F f;
  bool packed;

  template <int N>
  __device__ __forceinline__ Inputs<N> load(int64_t i) const {
    return {loadPack<N>(a + i), loadPack<N>(b + i)};
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t i, const Inputs<N>& in) const {
    Pack<T, N> out;
#pragma unroll
    for (int j = 0; j < N; ++j) out.at[j] = f(in.a.at[j], in.b.at[j]);
    storePack(y + i, out);
  }
};

template <class T, class F>
void launchMapPairs(const Context& context, const Tensor& a, const Tensor& b, const Tensor& y, const F& f) {
  const bool packed = areAligned(a.data, b.data, y.data);
  launchElementwise(context, MapPairs<T, F>{a.as<T>(), b.as<T>(), y.as<T>(), f, packed}, y.size());
}

}  // namespace spherenet::cuda
