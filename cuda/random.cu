// randomUniform, randomNormal and dropout. Element i depends on (seed, i) alone, through the same Philox
// words as on the CPU; native/philox.h. float64 arithmetic throughout, so that the numbers are the CPU's too.
#include <cmath>
#include <limits>

#include "../native/philox.h"
#include "cuda_ops.h"
#include "elementwise.cuh"

namespace spherenet::cuda {

namespace {

/// The words of elements i to i + N - 1: N = 1, or i a multiple of 4 and N too.
template <int N>
__device__ __forceinline__ void drawWords(uint64_t seed, uint32_t stream, int64_t i, uint32_t (&words)[N]) {
  if constexpr (N == 1) {
    const PhiloxBlock block = philoxElements(seed, stream, static_cast<uint64_t>(i) / 4);
    const int at = static_cast<int>(i % 4);
    const uint32_t low = at % 2 == 0 ? block.word[0] : block.word[1];
    const uint32_t high = at % 2 == 0 ? block.word[2] : block.word[3];
    words[0] = at < 2 ? low : high;
  } else {
#pragma unroll
    for (int j = 0; j < N; j += 4) {
      const PhiloxBlock block = philoxElements(seed, stream, static_cast<uint64_t>(i + j) / 4);
#pragma unroll
      for (int k = 0; k < 4; ++k) words[j + k] = block.word[k];
    }
  }
}

/// What generators load.
template <int N>
struct Nothing {};

template <class T>
struct Uniform {
  static constexpr int kWidth = 4, kUnroll = 2;
  template <int N>
  using Inputs = Nothing<N>;

  T* y;
  uint64_t seed;
  double low, width;
  T most;
  bool packed;

  template <int N>
  __device__ __forceinline__ Inputs<N> load(int64_t) const {
    return {};
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t i, Inputs<N>) const {
    uint32_t words[N], more[N] = {};
    drawWords(seed, 0, i, words);
    if constexpr (sizeof(T) == 8) drawWords(seed, 1, i, more);
    Pack<T, N> out;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const double u = sizeof(T) == 8 ? uniform53(words[j], more[j]) : uniform24(words[j]);
      // fma(.., 0) rounds the product on its own, as the CPU does.
      const T value = static_cast<T>(low + fma(width, u, 0.0));
      out.at[j] = value < most ? value : most;
    }
    storePack(y + i, out);
  }
};

template <class T>
struct Normal {
  static constexpr int kWidth = 4, kUnroll = 1;
  template <int N>
  using Inputs = Nothing<N>;

  T* y;
  uint64_t seed;
  double mean, deviation;
  bool packed;

  /// Two normal numbers from two uniform ones, u in (0, 1], v in [0, 1) (Box and Muller, 1958), whose words
  /// are of elements 2j and 2j + 1.
  __device__ __forceinline__ void boxMuller(const uint32_t* words, const uint32_t* more, T (&z)[2]) const {
    double u, v;
    if constexpr (sizeof(T) == 8) {
      u = uniform53(words[0], more[0]) + 0x1p-53;
      v = uniform53(words[1], more[1]);
    } else {
      u = (static_cast<double>(words[0]) + 1) * 0x1p-32;
      v = static_cast<double>(words[1]) * 0x1p-32;
    }
    constexpr double kTwoPi = 6.283185307179586476925;
    const double radius = sqrt(-2 * log(u));
    double sine, cosine;
    sincos(kTwoPi * v, &sine, &cosine);
    z[0] = static_cast<T>(mean + deviation * (radius * cosine));
    z[1] = static_cast<T>(mean + deviation * (radius * sine));
  }

  template <int N>
  __device__ __forceinline__ Inputs<N> load(int64_t) const {
    return {};
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t i, Inputs<N>) const {
    uint32_t words[4], more[4] = {};
    const int64_t first = i / 4 * 4;
    drawWords(seed, 0, first, words);
    if constexpr (sizeof(T) == 8) drawWords(seed, 1, first, more);
    T z[2];
    if constexpr (N == 1) {
      const bool second = i - first >= 2;
      const uint32_t pair[2] = {words[second ? 2 : 0], words[second ? 3 : 1]};
      const uint32_t morePair[2] = {more[second ? 2 : 0], more[second ? 3 : 1]};
      boxMuller(pair, morePair, z);
      y[i] = i % 2 == 0 ? z[0] : z[1];
    } else {
      Pack<T, 4> out;
#pragma unroll
      for (int j = 0; j < 4; j += 2) {
        boxMuller(words + j, more + j, z);
        out.at[j] = z[0];
        out.at[j + 1] = z[1];
      }
      storePack(y + i, out);
    }
  }
};

template <class T>
struct Dropout {
  static constexpr int kWidth = kPackWidth<T> > 4 ? kPackWidth<T> : 4, kUnroll = 2;
  template <int N>
  using Inputs = Pack<T, N>;

  const T* x;
  T* y;
  uint64_t seed;
  Compute<T> scale;
  int32_t threshold;  // an element stays whose leading 24 bits are at least this
  bool packed;

  template <int N>
  __device__ __forceinline__ Inputs<N> load(int64_t i) const {
    return loadPack<N>(x + i);
  }
  template <int N>
  __device__ __forceinline__ void store(int64_t i, const Inputs<N>& in) const {
    uint32_t words[N];
    drawWords(seed, 0, i, words);
    Pack<T, N> out;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const bool stays = static_cast<int32_t>(words[j] >> 8) >= threshold;
      out.at[j] = toStorage<T>(scale * (stays ? toCompute(in.at[j]) : 0));
    }
    storePack(y + i, out);
  }
};

}  // namespace

void CudaOps::randomUniform(uint64_t seed, double low, double high, const Tensor& y) {
  withFloat(y.dtype, [&](auto type) {
    using T = decltype(type);
    // Rounding may reach `high`, which is outside of the range.
    const T least = static_cast<T>(low);
    const T below = std::nextafter(static_cast<T>(high), -std::numeric_limits<T>::infinity());
    const T most = least < below ? below : least;
    launchElementwise(context_, Uniform<T>{y.as<T>(), seed, low, high - low, most, areAligned(y.data)},
                      y.size());
  });
}

void CudaOps::randomNormal(uint64_t seed, double mean, double deviation, const Tensor& y) {
  withFloat(y.dtype, [&](auto type) {
    using T = decltype(type);
    launchElementwise(context_, Normal<T>{y.as<T>(), seed, mean, deviation, areAligned(y.data)}, y.size());
  });
}

void CudaOps::dropout(uint64_t seed, double p, const Tensor& x, const Tensor& y) {
  const int32_t threshold = static_cast<int32_t>(std::ceil(p * 0x1p24));
  withStorage(y.dtype, [&](auto type) {
    using T = decltype(type);
    const auto scale = p < 1 ? static_cast<Compute<T>>(1 / (1 - p)) : Compute<T>(0);
    launchElementwise(context_,
                      Dropout<T>{x.as<T>(), y.as<T>(), seed, scale, threshold, areAligned(x.data, y.data)},
                      y.size());
  });
}

}  // namespace spherenet::cuda
