// Winograd's F(4x4, 3x3) with the points 0, +-a, +-b and infinity; see winograd_kernels.h. With B', G and A'
// the matrices of the algorithm, y = A' [(G g G') * (B' d B)] A, and by transposition dg = G' [(B' d B) * (A
// dy A')] G. Each transform is applied to columns, then to rows; lanes are channels.
#pragma once

#include "gemm.h"
#include "patches.h"
#include "vector.h"

namespace spherenet::cpu::simd {
namespace {

constexpr double kA = winograd::kPoint, kB = winograd::kFarPoint, kA2 = kA * kA, kB2 = kB * kB;

/// 6 <- 6: B'.
template <class S>
struct InputLine {
  using V = typename S::V;
  static constexpr int extent = winograd::kInputs, results = winograd::kInputs;
  static SPHERENET_INLINE void apply(const V* d, V* t) {
    const V a = splat<S>(kA), b = splat<S>(kB), a2 = splat<S>(-kA2), b2 = splat<S>(-kB2),
            product = splat<S>(kA2 * kB2), sum = splat<S>(-kA2 - kB2);
    const V nearEven = S::mulAdd(b2, d[2], d[4]), nearOdd = S::mulAdd(b2, d[1], d[3]);
    const V farEven = S::mulAdd(a2, d[2], d[4]), farOdd = S::mulAdd(a2, d[1], d[3]);
    t[0] = S::mulAdd(product, d[0], S::mulAdd(sum, d[2], d[4]));
    t[1] = S::mulAdd(a, nearOdd, nearEven);
    t[2] = S::mulAdd(-a, nearOdd, nearEven);
    t[3] = S::mulAdd(b, farOdd, farEven);
    t[4] = S::mulAdd(-b, farOdd, farEven);
    t[5] = S::mulAdd(product, d[1], S::mulAdd(sum, d[3], d[5]));
  }
};

/// 6 <- 4: A.
template <class S>
struct OutputGradientLine {
  using V = typename S::V;
  static constexpr int extent = winograd::kOutputs, results = winograd::kInputs;
  static SPHERENET_INLINE void apply(const V* d, V* t) {
    const V a = splat<S>(kA), b = splat<S>(kB), a2 = splat<S>(kA2), b2 = splat<S>(kB2);
    const V nearEven = S::mulAdd(a2, d[2], d[0]), nearOdd = S::mulAdd(a2, d[3], d[1]);
    const V farEven = S::mulAdd(b2, d[2], d[0]), farOdd = S::mulAdd(b2, d[3], d[1]);
    t[0] = d[0];
    t[1] = S::mulAdd(a, nearOdd, nearEven);
    t[2] = S::mulAdd(-a, nearOdd, nearEven);
    t[3] = S::mulAdd(b, farOdd, farEven);
    t[4] = S::mulAdd(-b, farOdd, farEven);
    t[5] = d[3];
  }
};

/// 4 <- 6: A'.
template <class S>
struct OutputLine {
  using V = typename S::V;
  static constexpr int extent = winograd::kInputs, results = winograd::kOutputs;
  static SPHERENET_INLINE void apply(const V* d, V* t) {
    const V nearSum = d[1] + d[2], nearDifference = d[1] - d[2];
    const V farSum = d[3] + d[4], farDifference = d[3] - d[4];
    t[0] = d[0] + (nearSum + farSum);
    t[1] = S::mulAdd(splat<S>(kA), nearDifference, splat<S>(kB) * farDifference);
    t[2] = S::mulAdd(splat<S>(kA2), nearSum, splat<S>(kB2) * farSum);
    t[3] = S::mulAdd(splat<S>(kA * kA2), nearDifference, S::mulAdd(splat<S>(kB * kB2), farDifference, d[5]));
  }
};

/// One over the product of the distances from a point to the others.
constexpr double kZeroWeight = 1 / (kA2 * kB2), kNearWeight = 1 / (2 * kA2 * (kA2 - kB2)),
                 kFarWeight = 1 / (2 * kB2 * (kB2 - kA2));

/// 6 <- 3: G.
template <class S>
struct FilterLine {
  using V = typename S::V;
  static constexpr int extent = winograd::kTaps, results = winograd::kInputs;
  static SPHERENET_INLINE void apply(const V* d, V* t) {
    const V nearEven = S::mulAdd(splat<S>(kA2), d[2], d[0]) * float(kNearWeight),
            nearOdd = d[1] * float(kA * kNearWeight);
    const V farEven = S::mulAdd(splat<S>(kB2), d[2], d[0]) * float(kFarWeight),
            farOdd = d[1] * float(kB * kFarWeight);
    t[0] = d[0] * float(kZeroWeight);
    t[1] = nearEven + nearOdd;
    t[2] = nearEven - nearOdd;
    t[3] = farEven + farOdd;
    t[4] = farEven - farOdd;
    t[5] = d[2];
  }
};

/// 3 <- 6: G'.
template <class S>
struct FilterGradientLine {
  using V = typename S::V;
  static constexpr int extent = winograd::kInputs, results = winograd::kTaps;
  static SPHERENET_INLINE void apply(const V* d, V* t) {
    const V nearSum = (d[1] + d[2]) * float(kNearWeight), farSum = (d[3] + d[4]) * float(kFarWeight);
    const V nearDifference = (d[1] - d[2]) * float(kA * kNearWeight),
            farDifference = (d[3] - d[4]) * float(kB * kFarWeight);
    t[0] = S::mulAdd(splat<S>(kZeroWeight), d[0], nearSum + farSum);
    t[1] = nearDifference + farDifference;
    t[2] = S::mulAdd(splat<S>(kA2), nearSum, S::mulAdd(splat<S>(kB2), farSum, d[5]));
  }
};

/// The columns of a tile, then its rows: to[i * results + j].
template <class S, class Line>
SPHERENET_INLINE void transformTile(const typename S::V* from, typename S::V* to) {
  using V = typename S::V;
  constexpr int extent = Line::extent, results = Line::results;
  V half[results * extent];
#pragma GCC unroll 6
  for (int j = 0; j < extent; ++j) {
    V column[extent], done[results];
#pragma GCC unroll 6
    for (int i = 0; i < extent; ++i) column[i] = from[i * extent + j];
    Line::apply(column, done);
#pragma GCC unroll 6
    for (int i = 0; i < results; ++i) half[i * extent + j] = done[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < results; ++i) Line::apply(half + i * extent, to + i * results);
}

template <class S, class Line>
void transformTiles(const winograd::TilesJob& job) {
  using V = typename S::V;
  constexpr int extent = Line::extent;
  const winograd::TileMap& m = job.map;
  int64_t tj = job.tileBegin % m.w.tiles, ti = job.tileBegin / m.w.tiles % m.h.tiles;
  int64_t image = job.tileBegin / (m.w.tiles * m.h.tiles);
  const float* pixels[extent * extent];
  for (int64_t tile = job.tileBegin; tile < job.tileEnd; ++tile) {
    const int64_t top = m.h.first + ti * winograd::kOutputs, left = m.w.first + tj * winograd::kOutputs;
    for (int i = 0; i < extent; ++i)
      for (int j = 0; j < extent; ++j) {
        const int64_t y = top + i, x = left + j;
        const bool read = y >= m.h.begin && y < m.h.end && x >= m.w.begin && x < m.w.end;
        const float* const pixel = job.source + ((image * m.h.extent + y) * m.w.extent + x) * m.channels;
        pixels[i * extent + j] = read ? pixel + job.channelBegin : job.zeros;
      }
    float* const out = job.out + (tile - job.tileBegin) * job.tileStride;
    const int64_t channels = job.channelEnd - job.channelBegin;
    // The next tile has this many columns of pixels for itself; its lines are too short for hardware to
    // foresee.
    const int64_t ahead = tj + 1 < m.w.tiles ? winograd::kOutputs * m.channels : 0;
    for (int64_t c = 0; c < channels; c += S::lanes) {
      if (ahead) {
#pragma GCC unroll 6
        for (int i = 0; i < extent; ++i)
#pragma GCC unroll 4
          for (int j = extent - winograd::kOutputs; j < extent; ++j)
            __builtin_prefetch(pixels[i * extent + j] + c + ahead);
      }
      V from[extent * extent], to[winograd::kPositions];
#pragma GCC unroll 36
      for (int i = 0; i < extent * extent; ++i) from[i] = loadPart<S>(pixels[i] + c, channels - c);
      transformTile<S, Line>(from, to);
#pragma GCC unroll 36
      for (int i = 0; i < winograd::kPositions; ++i) store<S>(out + i * job.positionStride + c, to[i]);
    }
    if (++tj == m.w.tiles) {
      tj = 0;
      if (++ti == m.h.tiles) ti = 0, ++image;
    }
  }
}

template <class S>
void winogradTiles(const winograd::TilesJob& job) {
  return job.gradient ? transformTiles<S, OutputGradientLine<S>>(job) : transformTiles<S, InputLine<S>>(job);
}

/// One row of a panel: `taps` holds the nine vectors of its columns.
template <class S>
SPHERENET_INLINE void filterRow(const winograd::FiltersJob& job, const typename S::V* taps, int64_t row,
                                int64_t column) {
  typename S::V to[winograd::kPositions];
  transformTile<S, FilterLine<S>>(taps, to);
  float* const out = job.out + row * (kTileVectors * S::lanes) + column;
#pragma GCC unroll 36
  for (int i = 0; i < winograd::kPositions; ++i) store<S>(out + i * job.positionStride, to[i]);
}

constexpr int kFilterTaps = winograd::kTaps * winograd::kTaps;

/// Columns are channels, which lie side by side.
template <class S>
void transposedFilters(const winograd::FiltersJob& job) {
  using V = typename S::V;
  for (int64_t filter = job.stepBegin; filter < job.stepEnd; ++filter)
    for (int64_t j = 0; j < kTileVectors * S::lanes; j += S::lanes) {
      const int64_t channel = job.firstColumn + j, width = job.channels - channel;
      V taps[kFilterTaps] = {};
      const float* const from = job.filters + filter * job.filterStride + channel;
      for (int tap = 0; width > 0 && tap < kFilterTaps; ++tap) {
        const V v = loadPart<S>(from + (kFilterTaps - 1 - tap) * job.channels, width);
        taps[tap] = job.finiteOnly ? finiteOrZero<S>(v) : v;
      }
      filterRow<S>(job, taps, filter - job.stepBegin, j);
    }
}

/// Rows become columns: each round interleaves the first half of the rows with the second.
template <class S>
SPHERENET_INLINE void transpose(typename S::V (&rows)[S::lanes]) {
  typename S::V next[S::lanes];
  for (int extent = 1; extent < S::lanes; extent *= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < S::lanes / 2; ++i)
      S::interleave(rows[i], rows[i + S::lanes / 2], next[2 * i], next[2 * i + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < S::lanes; ++i) rows[i] = next[i];
  }
}

/// Columns are filters, whose channels lie side by side.
template <class S>
void plainFilters(const winograd::FiltersJob& job) {
  using V = typename S::V;
  constexpr int lanes = S::lanes;
  V block[lanes][kFilterTaps];  // of some channels
  for (int64_t j = 0; j < kTileVectors * lanes; j += lanes) {
    const int64_t first = job.firstColumn + j;
    for (int64_t c = job.stepBegin; c < job.stepEnd; c += lanes) {
      const int64_t width = job.stepEnd - c < lanes ? job.stepEnd - c : lanes;
      for (int tap = 0; tap < kFilterTaps; ++tap) {
        V rows[lanes] = {};
        for (int lane = 0; lane < lanes && first + lane < job.count; ++lane)
          rows[lane] =
              loadPart<S>(job.filters + (first + lane) * job.filterStride + tap * job.channels + c, width);
        transpose<S>(rows);
        for (int i = 0; i < lanes; ++i) block[i][tap] = rows[i];
      }
      for (int64_t i = 0; i < width; ++i) filterRow<S>(job, block[i], c - job.stepBegin + i, j);
    }
  }
}

template <class S>
void winogradFilters(const winograd::FiltersJob& job) {
  return job.transposed ? transposedFilters<S>(job) : plainFilters<S>(job);
}

/// Register tiles are written where they belong: rows of the result are a panel apart, as in a tile.
template <class S>
void winogradProduct(const winograd::ProductJob& job) {
  static constexpr ProductTiles<S> byRow = productTiles<S, true, false>(FirstIndices<kTileRows>{});
  static constexpr ProductTiles<S> byStep = productTiles<S, false, false>(FirstIndices<kTileRows>{});
  static constexpr ProductTiles<S> byRowOnto = productTiles<S, true, true>(FirstIndices<kTileRows>{});
  static constexpr ProductTiles<S> byStepOnto = productTiles<S, false, true>(FirstIndices<kTileRows>{});
  const bool rowMajor = job.aStep == 1;
  const ProductTiles<S>& tiles =
      rowMajor ? (job.accumulate ? byRowOnto : byRow) : (job.accumulate ? byStepOnto : byStep);
  const int vectors = job.columns > S::lanes ? 2 : 1;
  const int64_t count = (job.rows + kTileRows - 1) / kTileRows;
  float* to[kTileRows];
  for (int64_t t = 0; t < count; ++t) {
    const int64_t row = job.rows * t / count, rows = job.rows * (t + 1) / count - row;
    for (int64_t i = 0; i < rows; ++i) to[i] = job.out + (row + i) * kTileVectors * S::lanes;
    tiles.at[rows - 1][vectors - 1](job.steps, job.a + row * job.aRow, rowMajor ? job.aRow : job.aStep, job.b,
                                    job.bStep, to);
  }
}

template <class S, Epilogue E, bool Followed>
void outputsWith(const winograd::OutputsJob& job) {
  using V = typename S::V;
  const winograd::TileMap& m = job.map;
  const GemmJob<float>& product = *job.product;
  int64_t tj = job.tileBegin % m.w.tiles, ti = job.tileBegin / m.w.tiles % m.h.tiles;
  int64_t image = job.tileBegin / (m.w.tiles * m.h.tiles);
  for (int64_t tile = 0; tile < job.tileEnd - job.tileBegin; ++tile) {
    const int64_t y = ti * winograd::kOutputs, x = tj * winograd::kOutputs;
    const int64_t height = m.h.extent - y < winograd::kOutputs ? m.h.extent - y : winograd::kOutputs;
    const int64_t width = m.w.extent - x < winograd::kOutputs ? m.w.extent - x : winograd::kOutputs;
    const int64_t first = image * job.imageStride + y * job.rowStride + x * job.columnStride;
    typename S::I flagged{};
    for (int64_t filter = 0; filter < product.columns; filter += S::lanes) {
      const float* const products = job.products + tile * kTileVectors * S::lanes + filter;
      V from[winograd::kPositions], to[winograd::kTileOutputs];
#pragma GCC unroll 36
      for (int i = 0; i < winograd::kPositions; ++i) from[i] = load<S>(products + i * job.positionStride);
      transformTile<S, OutputLine<S>>(from, to);
      for (int64_t i = 0; i < height; ++i)
        for (int64_t j = 0; j < width; ++j) {
          const int64_t place = i * winograd::kOutputs + j, value = tile * winograd::kTileOutputs + place;
          const int64_t offset = first + i * job.rowStride + j * job.columnStride + filter;
          V factor{};
          const float* other = nullptr;
          if constexpr (E == Epilogue::MinusRow) {
            factor = splat<S>(product.rowFactors[value]);
            other = product.other + offset;
          } else if constexpr (E != Epilogue::Store) {
            factor = splat<S>(product.inverseRowNorms[value]);
          }
          float* const out = product.out + offset;
          flagged |= !(absolute<S>(to[place]) <= S::max);
          const int64_t columns = product.columns - filter;
          const V v = finish<S, E>(product, to[place], factor, filter, out, other, columns);
          if constexpr (E == Epilogue::Sigmoid) {
            to[place] = v;
          } else {
            storePart<S>(out, rest<S, E, Followed>(product, v, filter), columns);
          }
        }
      if constexpr (E == Epilogue::Sigmoid) {
        for (int64_t i = 0; i < height; ++i)
          for (int64_t j = 0; j < width; ++j) {
            const V v = rest<S, E, Followed>(product, to[i * winograd::kOutputs + j], filter);
            storePart<S>(product.out + first + i * job.rowStride + j * job.columnStride + filter, v,
                         product.columns - filter);
          }
      }
    }
    for (int lane = 0; lane < S::lanes; ++lane)
      if (flagged[lane]) job.flags[tile] = 1;
    if (++tj == m.w.tiles) {
      tj = 0;
      if (++ti == m.h.tiles) ti = 0, ++image;
    }
  }
}

template <class S, Epilogue E>
void anglesOfOutputs(const winograd::OutputsJob& job) {
  return job.product->following ? outputsWith<S, E, true>(job) : outputsWith<S, E, false>(job);
}

template <class S>
void winogradOutputs(const winograd::OutputsJob& job) {
  switch (job.product->epilogue) {
    case Epilogue::Cosine:
      return anglesOfOutputs<S, Epilogue::Cosine>(job);
    case Epilogue::Linear:
      return anglesOfOutputs<S, Epilogue::Linear>(job);
    case Epilogue::Sigmoid:
      return anglesOfOutputs<S, Epilogue::Sigmoid>(job);
    case Epilogue::SquaredCosine:
      return anglesOfOutputs<S, Epilogue::SquaredCosine>(job);
    case Epilogue::MinusRow:
      return outputsWith<S, Epilogue::MinusRow, false>(job);
    case Epilogue::Store:
    case Epilogue::Add:
      return outputsWith<S, Epilogue::Store, false>(job);
  }
}

template <class S>
bool winogradFilterGradient(const winograd::FilterGradientJob& job) {
  using V = typename S::V;
  typename S::I bad{};
  for (int64_t filter = 0; filter < job.filters; ++filter)
    for (int64_t c = 0; c < job.columns; c += S::lanes) {
      const float* const sums = job.sums + filter * kTileVectors * S::lanes + c;
      V from[winograd::kPositions], to[kFilterTaps];
      for (int i = 0; i < winograd::kPositions; ++i) from[i] = load<S>(sums + i * job.positionStride);
      transformTile<S, FilterGradientLine<S>>(from, to);
      for (int tap = 0; tap < kFilterTaps; ++tap) {
        bad |= !(absolute<S>(to[tap]) <= S::max);
        storePart<S>(job.out + (filter * kFilterTaps + tap) * job.channels + c, to[tap], job.columns - c);
      }
    }
  bool finite = true;
  for (int lane = 0; lane < S::lanes; ++lane) finite = finite && !bad[lane];
  return finite;
}

template <class S>
void winogradSquares(const float* x, int64_t rows, int64_t columns, float* sums) {
  for (int64_t row = 0; row < rows; ++row) sums[row] = sumOfSquares<S>(x + row * columns, columns);
}

template <class S>
constexpr winograd::Kernels winogradKernels = {
    winogradSquares<S>, winogradTiles<S>,   winogradFilters<S>,
    winogradProduct<S>, winogradOutputs<S>, winogradFilterGradient<S>,
};

}  // namespace
}  // namespace spherenet::cpu::simd
