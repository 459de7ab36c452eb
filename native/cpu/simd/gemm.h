// The matrix product: a register tile of up to kTileRows x kTileVectors accumulators runs over all of the
// inner dimension; its epilogue then works on the tile while that is in the first-level cache, row by row,
// and writes each result once.
#pragma once

#include "math.h"
#include "vector.h"

namespace spherenet::cpu::simd {
namespace {

#if SPHERENET_SIMD_BYTES == 64
constexpr int kTileRows = 14;  // 28 of 32 registers accumulate
#elif SPHERENET_SIMD_BYTES == 32
constexpr int kTileRows = 6;  // 12 of 16
#else
constexpr int kTileRows = 4;  // 8 of 16
#endif
constexpr int kTileVectors = 2;

/// tile[i][j] = sum over k of A(i, k) B(k, j), Onto: added to what is there. RowMajor: A's steps are
/// contiguous (aStep = 1, aRow = stride), else its rows are (aRow = 1, aStep = stride).
template <class S, bool RowMajor, bool Onto, int Rows, int Vectors>
void productTile(int64_t steps, const typename S::T* a, int64_t stride, const typename S::T* b, int64_t bStep,
                 typename S::T* tile) {
  using V = typename S::V;
  V sum[Rows][Vectors] = {};
  if constexpr (Onto) {
#pragma GCC unroll 14
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) sum[i][j] = load<S>(tile + (i * kTileVectors + j) * S::lanes);
  }
  for (int64_t k = 0; k < steps; ++k, b += bStep) {
    V right[Vectors];
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) right[j] = load<S>(b + j * S::lanes);
#pragma GCC unroll 14
    for (int i = 0; i < Rows; ++i) {
      const V left = splat<S>(RowMajor ? a[i * stride + k] : a[k * stride + i]);
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) sum[i][j] = S::mulAdd(left, right[j], sum[i][j]);
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) store<S>(tile + (i * kTileVectors + j) * S::lanes, sum[i][j]);
}

template <class S>
using ProductTile = void (*)(int64_t, const typename S::T*, int64_t, const typename S::T*, int64_t,
                             typename S::T*);

template <class S>
struct ProductTiles {
  ProductTile<S> at[kTileRows][kTileVectors];
};

template <class S, bool RowMajor, bool Onto, int... Row>
constexpr ProductTiles<S> productTiles(Indices<Row...>) {
  return {{{productTile<S, RowMajor, Onto, Row + 1, 1>, productTile<S, RowMajor, Onto, Row + 1, 2>}...}};
}

/// g of cosines; `filter` is the constants' place of the first lane.
template <class S, Epilogue E>
SPHERENET_INLINE typename S::V angle(const FilterConstants<typename S::T>& filters, typename S::V cosine,
                                     int64_t filter) {
  const auto c = atMost<S>(atLeast<S>(cosine, splat<S>(-1)), splat<S>(1));
  if constexpr (E == Epilogue::Cosine) return c;
  if constexpr (E == Epilogue::SquaredCosine) return c * absolute<S>(c);
  if constexpr (E == Epilogue::Linear) return vectorAsin<S>(c) * typename S::T(2 / kPi);
  return vectorTanh<S>(vectorAsin<S>(c) * load<S>(filters.slope + filter)) * load<S>(filters.gain + filter);
}

template <class S, Epilogue E>
void anglesWith(const FilterConstants<typename S::T>& filters, typename S::T* y, int64_t rows,
                int64_t columns) {
  for (int64_t i = 0; i < rows; ++i, y += columns)
    for (int64_t j = 0; j < columns; j += S::lanes)
      storePart<S>(y + j, angle<S, E>(filters, loadPart<S>(y + j, columns - j), j), columns - j);
}

template <class S>
void angles(AngularOperator op, const FilterConstants<typename S::T>& filters, typename S::T* y, int64_t rows,
            int64_t columns) {
  switch (op) {
    case AngularOperator::Cosine:
      return anglesWith<S, Epilogue::Cosine>(filters, y, rows, columns);
    case AngularOperator::Linear:
      return anglesWith<S, Epilogue::Linear>(filters, y, rows, columns);
    case AngularOperator::Sigmoid:
      return anglesWith<S, Epilogue::Sigmoid>(filters, y, rows, columns);
    case AngularOperator::SquaredCosine:
      return anglesWith<S, Epilogue::SquaredCosine>(filters, y, rows, columns);
  }
}

/// The result for one vector of a tile's row. `filter` is its first column in the panel, `width` how many of
/// its lanes count.
template <class S, Epilogue E>
SPHERENET_INLINE typename S::V finish(const GemmJob<typename S::T>& job, typename S::V v,
                                      typename S::V rowFactor, int64_t filter, const typename S::T* out,
                                      const typename S::T* other, int64_t width) {
  if constexpr (E == Epilogue::Store) {
    return job.bias ? v + load<S>(job.bias + filter) : v;
  } else if constexpr (E == Epilogue::Add) {
    return v + loadPart<S>(out, width);
  } else if constexpr (E == Epilogue::MinusRow) {
    return v - finiteOrZero<S>(loadPart<S>(other, width)) * rowFactor;
  } else {
    return angle<S, E>(job.filters, v * rowFactor * load<S>(job.filters.inverseNorm + filter), filter);
  }
}

template <class S, Epilogue E>
void finishTile(const GemmJob<typename S::T>& job, int64_t firstRow, int64_t rows,
                const typename S::T* tile) {
  using T = typename S::T;
  constexpr bool usesRow = E != Epilogue::Store && E != Epilogue::Add;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t row = firstRow + i, offset = job.rowOffsets ? job.rowOffsets[row] : row * job.outRow;
    T rowFactor = 0;
    if constexpr (E == Epilogue::MinusRow) {
      rowFactor = job.rowFactors[row * job.rowFactorStride];
    } else if constexpr (usesRow) {
      rowFactor = job.inverseRowNorms[row];
    }
    for (int64_t j = 0; j < job.columns; j += S::lanes) {
      T* out = job.out + offset + j;
      const T* other = E == Epilogue::MinusRow ? job.other + offset + j : nullptr;
      const auto v = load<S>(tile + i * kTileVectors * S::lanes + j);
      storePart<S>(out, finish<S, E>(job, v, splat<S>(rowFactor), j, out, other, job.columns - j),
                   job.columns - j);
    }
  }
}

template <class S, Epilogue E>
void gemmWith(const GemmJob<typename S::T>& job) {
  using T = typename S::T;
  static constexpr ProductTiles<S> byRow = productTiles<S, true, false>(FirstIndices<kTileRows>{});
  static constexpr ProductTiles<S> byStep = productTiles<S, false, false>(FirstIndices<kTileRows>{});
  const bool rowMajor = job.aStep == 1;
  const ProductTiles<S>& tiles = rowMajor ? byRow : byStep;
  const int vectors = job.columns > S::lanes ? 2 : 1;
  // Rows are shared evenly among the tiles, so that no thin one is left at the end.
  const int64_t count = (job.rows + kTileRows - 1) / kTileRows;
  alignas(64) T tile[kTileRows * kTileVectors * S::lanes];
  for (int64_t t = 0; t < count; ++t) {
    const int64_t row = job.rows * t / count, rows = job.rows * (t + 1) / count - row;
    tiles.at[rows - 1][vectors - 1](job.steps, job.a + row * job.aRow, rowMajor ? job.aRow : job.aStep, job.b,
                                    job.bStep, tile);
    finishTile<S, E>(job, row, rows, tile);
  }
}

template <class S>
void gemm(const GemmJob<typename S::T>& job) {
  switch (job.epilogue) {
    case Epilogue::Store:
      return gemmWith<S, Epilogue::Store>(job);
    case Epilogue::Add:
      return gemmWith<S, Epilogue::Add>(job);
    case Epilogue::Cosine:
      return gemmWith<S, Epilogue::Cosine>(job);
    case Epilogue::Linear:
      return gemmWith<S, Epilogue::Linear>(job);
    case Epilogue::Sigmoid:
      return gemmWith<S, Epilogue::Sigmoid>(job);
    case Epilogue::SquaredCosine:
      return gemmWith<S, Epilogue::SquaredCosine>(job);
    case Epilogue::MinusRow:
      return gemmWith<S, Epilogue::MinusRow>(job);
  }
}

}  // namespace
}  // namespace spherenet::cpu::simd
