// Puts the table of one translation unit together, and holds the two kernels that need no file of their own.
#pragma once

#include "angular.h"
#include "col2im.h"
#include "gemm.h"
#include "math.h"
#include "patches.h"
#include "vector.h"
#include "window.h"
#include "winograd.h"

namespace spherenet::cpu::simd {
namespace {

template <class S>
void columnSums(const typename S::T* y, int64_t rows, int64_t columns, double* sums) {
  // Short sums in T, which are then added up in float64.
  constexpr int64_t kBlock = 32;
  for (int64_t begin = 0; begin < rows; begin += kBlock) {
    const int64_t end = begin + kBlock < rows ? begin + kBlock : rows;
    for (int64_t j = 0; j < columns; j += S::lanes) {
      const int64_t width = columns - j < S::lanes ? columns - j : S::lanes;
      typename S::V sum{};
      for (int64_t i = begin; i < end; ++i) sum += loadPart<S>(y + i * columns + j, width);
      for (int64_t lane = 0; lane < width; ++lane) sums[j + lane] += static_cast<double>(sum[lane]);
    }
  }
}

template <class S>
void asinAll(const typename S::T* x, typename S::T* y, int64_t count) {
  for (int64_t i = 0; i < count; i += S::lanes)
    storePart<S>(y + i, vectorAsin<S>(loadPart<S>(x + i, count - i)), count - i);
}

template <class S>
void tanhAll(const typename S::T* x, typename S::T* y, int64_t count) {
  for (int64_t i = 0; i < count; i += S::lanes)
    storePart<S>(y + i, vectorTanh<S>(loadPart<S>(x + i, count - i)), count - i);
}

template <class S>
void atanhAll(const typename S::T* x, typename S::T* y, int64_t count) {
  for (int64_t i = 0; i < count; i += S::lanes)
    storePart<S>(y + i, vectorAtanh<S>(loadPart<S>(x + i, count - i)), count - i);
}

template <class S>
void sinCosAll(const typename S::T* x, typename S::T* y, int64_t count) {
  for (int64_t i = 0; i < count; i += S::lanes) {
    const auto v = loadPart<S>(x + i, count - i);
    const SinCos<S> result = vectorSinCos<S>(v, rightAngleMinus<S>(v));
    storePart<S>(y + i, result.sin, count - i);
    storePart<S>(y + count + i, result.cos, count - i);
  }
}

template <class S>
constexpr KernelSet<typename S::T> kernelSet = {
    S::lanes,
    kTileVectors* S::lanes,
    kTileRows,
    pack<S>,
    window<S>,
    packRuns<S>,
    col2im<S>,
    normsOfRows<S, false>,
    gemm<S>,
    angles<S>,
    angularBackward<S>,
    columnSums<S>,
    asinAll<S>,
    tanhAll<S>,
    atanhAll<S>,
    sinCosAll<S>,
};

constexpr int kChains = SPHERENET_SIMD_BYTES == 64 ? 24 : 12;

/// As many independent multiply-adds as registers allow, so that their latency is hidden.
double fmaChain(int64_t iterations) {
  using S = Simd<float>;
  S::V sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = splat<S>(static_cast<float>(i));
  const S::V factor = splat<S>(0.999f), term = splat<S>(0.001f);
  for (int64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) sum[i] = S::mulAdd(sum[i], factor, term);
  }
  double total = 0;
  for (int i = 0; i < kChains; ++i) total += static_cast<double>(S::sum(sum[i]));
  return total;
}

constexpr double kFlopsPerIteration = 2.0 * kChains * Simd<float>::lanes;

}  // namespace
}  // namespace spherenet::cpu::simd
