// The matrix product: a register tile of up to kTileRows x kTileVectors accumulators runs over all of the
// inner dimension. Its rows go where they belong, or, where there is an epilogue, to a buffer on which that
// works, row by row, while it is in the first-level cache.
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

/// Accumulators of a tile, from the rows it is added to or zeros, and back.
template <class S, int Rows, int Vectors>
struct Accumulators {
  typename S::V sum[Rows][Vectors] = {};

  SPHERENET_INLINE void load(typename S::T* const* to) {
#pragma GCC unroll 14
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) sum[i][j] = simd::load<S>(to[i] + j * S::lanes);
  }

  SPHERENET_INLINE void store(typename S::T* const* to) const {
#pragma GCC unroll 14
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) simd::store<S>(to[i] + j * S::lanes, sum[i][j]);
  }
};

/// to[i][j] = sum over k of A(i, k) B(k, j), Onto: added to what is there. RowMajor: A's steps are contiguous
/// (aStep = 1, aRow = stride), else its rows are (aRow = 1, aStep = stride).
template <class S, bool RowMajor, bool Onto, int Rows, int Vectors>
void productTile(int64_t steps, const typename S::T* a, int64_t stride, const typename S::T* b, int64_t bStep,
                 typename S::T* const* to) {
  using V = typename S::V;
  Accumulators<S, Rows, Vectors> tile;
  if constexpr (Onto) tile.load(to);
  for (int64_t k = 0; k < steps; ++k, b += bStep) {
    V right[Vectors];
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) right[j] = load<S>(b + j * S::lanes);
#pragma GCC unroll 14
    for (int i = 0; i < Rows; ++i) {
      const V left = splat<S>(RowMajor ? a[i * stride + k] : a[k * stride + i]);
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) tile.sum[i][j] = S::mulAdd(left, right[j], tile.sum[i][j]);
    }
  }
  tile.store(to);
}

/// The same for rows of A that begin anywhere and consist of runs (see GemmJob). Ahead: fetches the next Rows
/// rows meanwhile.
template <class S, bool Ahead, int Rows, int Vectors>
void runsTile(const GemmJob<typename S::T>& job, int64_t firstRow, typename S::T* const* to) {
  using V = typename S::V;
  using T = typename S::T;
  const T* rows[Rows];
#pragma GCC unroll 14
  for (int i = 0; i < Rows; ++i) rows[i] = job.a + job.rowStarts[firstRow + i];
  const int64_t ahead = Ahead ? job.rowStarts[firstRow + Rows] - job.rowStarts[firstRow] : 0;
  Accumulators<S, Rows, Vectors> tile;
  const T* b = job.b;
  const int64_t bStep = job.bStep;
  for (int64_t run = 0; run < job.runs; ++run) {
    int64_t k = job.runStarts[run];
    const int64_t end = k + job.runSteps;
    while (k < end) {
      int64_t stop = end;
      if constexpr (Ahead) {
        constexpr int64_t line = 64 / sizeof(T);
#pragma GCC unroll 14
        for (int i = 0; i < Rows; ++i) __builtin_prefetch(rows[i] + k + ahead);
        if (k + line < end) stop = k + line;
      }
      for (; k < stop; ++k, b += bStep) {
        V right[Vectors];
#pragma GCC unroll 2
        for (int j = 0; j < Vectors; ++j) right[j] = load<S>(b + j * S::lanes);
#pragma GCC unroll 14
        for (int i = 0; i < Rows; ++i) {
          const V left = splat<S>(rows[i][k]);
#pragma GCC unroll 2
          for (int j = 0; j < Vectors; ++j) tile.sum[i][j] = S::mulAdd(left, right[j], tile.sum[i][j]);
        }
      }
    }
  }
  tile.store(to);
}

/// to[i][j] += sum over k of A(i, k) B(k, j), A(i, k) = a[i + k * aStep], where the rows of B begin anywhere
/// (see GemmJob).
template <class S, int Rows, int Vectors>
void stepsTile(const GemmJob<typename S::T>& job, int64_t firstRow, typename S::T* const* to) {
  using V = typename S::V;
  const typename S::T* a = job.a + firstRow;
  Accumulators<S, Rows, Vectors> tile;
  tile.load(to);
  for (int64_t k = 0; k < job.steps; ++k, a += job.aStep) {
    const typename S::T* const b = job.b + job.stepStarts[k];
    V right[Vectors];
#pragma GCC unroll 2
    for (int j = 0; j < Vectors; ++j) right[j] = load<S>(b + j * S::lanes);
#pragma GCC unroll 14
    for (int i = 0; i < Rows; ++i) {
      const V left = splat<S>(a[i]);
#pragma GCC unroll 2
      for (int j = 0; j < Vectors; ++j) tile.sum[i][j] = S::mulAdd(left, right[j], tile.sum[i][j]);
    }
  }
  tile.store(to);
}

template <class S>
struct JobTiles {
  void (*at[kTileRows][kTileVectors])(const GemmJob<typename S::T>&, int64_t, typename S::T* const*);
};

template <class S, bool Ahead, int... Row>
constexpr JobTiles<S> runsTiles(Indices<Row...>) {
  return {{{runsTile<S, Ahead, Row + 1, 1>, runsTile<S, Ahead, Row + 1, 2>}...}};
}

template <class S, int... Row>
constexpr JobTiles<S> stepsTiles(Indices<Row...>) {
  return {{{stepsTile<S, Row + 1, 1>, stepsTile<S, Row + 1, 2>}...}};
}

template <class S>
using ProductTile = void (*)(int64_t, const typename S::T*, int64_t, const typename S::T*, int64_t,
                             typename S::T* const*);

template <class S>
struct ProductTiles {
  ProductTile<S> at[kTileRows][kTileVectors];
};

template <class S, bool RowMajor, bool Onto, int... Row>
constexpr ProductTiles<S> productTiles(Indices<Row...>) {
  return {{{productTile<S, RowMajor, Onto, Row + 1, 1>, productTile<S, RowMajor, Onto, Row + 1, 2>}...}};
}

/// What follows y, whose first lane is of `filter`.
template <class S>
SPHERENET_INLINE typename S::V followed(const Following<typename S::T>& f, typename S::V y, int64_t filter) {
  if (f.factor)
    y = S::mulAdd(y - load<S>(f.center + filter), load<S>(f.factor + filter), load<S>(f.shift + filter));
  return f.relu ? atLeast<S>(y, typename S::V{}) : y;
}

/// g of cosines in two stages, the second of which is in `rest`: the whole would be a chain of operations so
/// long that a core cannot hold enough of them to overlap. `filter` is the constants' place of the first
/// lane.
template <class S, Epilogue E>
SPHERENET_INLINE typename S::V angle(const FilterConstants<typename S::T>& filters, typename S::V cosine,
                                     int64_t filter) {
  const auto c = atMost<S>(atLeast<S>(cosine, splat<S>(-1)), splat<S>(1));
  if constexpr (E == Epilogue::Cosine) return c;
  if constexpr (E == Epilogue::SquaredCosine) return c * absolute<S>(c);
  if constexpr (E == Epilogue::Linear) return vectorAsin<S>(c) * typename S::T(2 / kPi);
  return vectorAsin<S>(c) * load<S>(filters.slope + filter);
}

/// `job`: GemmJob or AnglesJob. Followed: something follows the angles.
template <class S, Epilogue E, bool Followed, class Job>
SPHERENET_INLINE typename S::V rest(const Job& job, typename S::V v, int64_t filter) {
  if constexpr (E == Epilogue::Sigmoid) v = vectorTanh<S>(v) * load<S>(job.filters.gain + filter);
  if constexpr (Followed) v = followed<S>(job.following, v, filter);
  return v;
}

template <class S, Epilogue E>
void anglesWith(const AnglesJob<typename S::T>& job) {
  for (int64_t i = 0; i < job.rows; ++i)
    for (int64_t j = 0; j < job.columns; j += S::lanes) {
      typename S::T* const y = job.y + i * job.columns + j;
      const auto angles = angle<S, E>(job.filters, loadPart<S>(y, job.columns - j), j);
      storePart<S>(y, rest<S, E, true>(job, angles, j), job.columns - j);
    }
}

template <class S>
void angles(const AnglesJob<typename S::T>& job) {
  switch (job.op) {
    case AngularOperator::Cosine:
      return anglesWith<S, Epilogue::Cosine>(job);
    case AngularOperator::Linear:
      return anglesWith<S, Epilogue::Linear>(job);
    case AngularOperator::Sigmoid:
      return anglesWith<S, Epilogue::Sigmoid>(job);
    case AngularOperator::SquaredCosine:
      return anglesWith<S, Epilogue::SquaredCosine>(job);
  }
}

/// The result for one vector of a tile's row, but for the `rest` of it. `filter` is its first column in
/// the panel, `width` how many of its lanes count.
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

template <class S, Epilogue E, bool Followed>
void finishTile(const GemmJob<typename S::T>& job, int64_t firstRow, int64_t rows, typename S::T* tile) {
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
      T* const at = tile + i * kTileVectors * S::lanes + j;
      const auto v = finish<S, E>(job, load<S>(at), splat<S>(rowFactor), j, out, other, job.columns - j);
      if constexpr (E == Epilogue::Sigmoid) {
        store<S>(at, v);
      } else {
        storePart<S>(out, rest<S, E, Followed>(job, v, j), job.columns - j);
      }
    }
  }
  if constexpr (E == Epilogue::Sigmoid) {
    for (int64_t i = 0; i < rows; ++i) {
      T* const out = job.out + (job.rowOffsets ? job.rowOffsets[firstRow + i] : (firstRow + i) * job.outRow);
      for (int64_t j = 0; j < job.columns; j += S::lanes) {
        const auto v = load<S>(tile + i * kTileVectors * S::lanes + j);
        storePart<S>(out + j, rest<S, E, Followed>(job, v, j), job.columns - j);
      }
    }
  }
}

/// Fetches the rows of a tile of what is laid out like the output, so that they arrive during the product. To
/// be written they are worth it most: stores wait for their lines one after the other. Inlined, as GCC drops
/// calls of a function that does nothing else.
template <class S, bool ToWrite>
SPHERENET_INLINE void prefetchRows(const GemmJob<typename S::T>& job, const typename S::T* at,
                                   int64_t firstRow, int64_t rows) {
  for (int64_t i = firstRow; i < firstRow + rows; ++i) {
    const typename S::T* const row = at + (job.rowOffsets ? job.rowOffsets[i] : i * job.outRow);
    for (int64_t j = 0; j < job.columns; j += S::lanes) __builtin_prefetch(row + j, ToWrite);
  }
}

template <class S, Epilogue E>
void gemmWith(const GemmJob<typename S::T>& job) {
  using T = typename S::T;
  constexpr bool onto = E == Epilogue::Add;
  static constexpr ProductTiles<S> byRow = productTiles<S, true, false>(FirstIndices<kTileRows>{});
  static constexpr ProductTiles<S> byStep = productTiles<S, false, false>(FirstIndices<kTileRows>{});
  static constexpr ProductTiles<S> byStepOnto = productTiles<S, false, true>(FirstIndices<kTileRows>{});
  static constexpr JobTiles<S> runs = runsTiles<S, false>(FirstIndices<kTileRows>{});
  static constexpr JobTiles<S> runsAhead = runsTiles<S, true>(FirstIndices<kTileRows>{});
  static constexpr JobTiles<S> bySteps = stepsTiles<S>(FirstIndices<kTileRows>{});
  const bool rowMajor = job.aStep == 1;
  const int vectors = job.columns > S::lanes ? 2 : 1;
  const bool whole = job.columns == vectors * S::lanes;
  // Without an epilogue, registers are written to their places.
  const bool direct = whole && ((E == Epilogue::Store && !job.bias) || (onto && !rowMajor));
  const ProductTiles<S>& tiles = rowMajor ? byRow : onto && direct ? byStepOnto : byStep;
  // Rows are shared evenly among the tiles, so that no thin one is left at the end.
  const int64_t count = (job.rows + kTileRows - 1) / kTileRows;
  alignas(64) T tile[kTileRows * kTileVectors * S::lanes];
  T* to[kTileRows];
  for (int i = 0; i < kTileRows; ++i) to[i] = tile + i * kTileVectors * S::lanes;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t row = job.rows * t / count, rows = job.rows * (t + 1) / count - row;
    if (direct) {
      for (int64_t i = 0; i < rows; ++i)
        to[i] = job.out + (job.rowOffsets ? job.rowOffsets[row + i] : (row + i) * job.outRow);
    }
    if constexpr (!onto) prefetchRows<S, true>(job, job.out, row, rows);
    if constexpr (E == Epilogue::MinusRow) prefetchRows<S, false>(job, job.other, row, rows);
    if (job.rowStarts) {
      const bool ahead = job.fromMemory && row + 2 * rows <= job.rows;
      (ahead ? runsAhead : runs).at[rows - 1][vectors - 1](job, row, to);
    } else if (job.stepStarts) {
      if (!direct) __builtin_memset(tile, 0, sizeof tile);
      bySteps.at[rows - 1][vectors - 1](job, row, to);
    } else {
      tiles.at[rows - 1][vectors - 1](job.steps, job.a + row * job.aRow, rowMajor ? job.aRow : job.aStep,
                                      job.b, job.bStep, to);
    }
    if (direct) continue;
    if (isAngle(E) && job.following) {
      finishTile<S, E, isAngle(E)>(job, row, rows, tile);
    } else {
      finishTile<S, E, false>(job, row, rows, tile);
    }
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
