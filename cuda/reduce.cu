// sumTo: sums over any set of axes, one group of neighbouring axes after the other, in an order that the
// shape and the device fix. Partial sums are float64, as on the CPU: the results are those of the CPU but for
// float64's last bits. Memory stays the limit: an H100 converts 16 numbers a cycle and multiprocessor to
// float64, four times what it reads of float32, and adds faster than that. Compensated float32 would take
// seven operations for each instead of two.
#include <algorithm>

#include "../native/axes.h"
#include "cuda_ops.h"
#include "device/ptx.cuh"
#include "device/reduce.cuh"
#include "elementwise.cuh"

namespace spherenet::cuda {

namespace {

constexpr int kReduceThreads = 256;
/// Up to so many elements are added up by one thread.
constexpr int64_t kFewElements = 16;
/// Elements that make a block of threads worth a part of a row.
constexpr int64_t kRowPiece = 4096;
/// Bytes that neighbouring threads load of a row when columns are added up.
constexpr int64_t kTileBytes = 128;
/// Rows that make a thread worth a part of a column.
constexpr int64_t kColumnPiece = 8;

/// Where sums go; the dtype is that of the result or, for partial sums, float64.
struct Sums {
  void* data;
  DType dtype;

  __device__ __forceinline__ void store(int64_t i, double sum) const {
    switch (dtype) {
      case DType::Float64:
        static_cast<double*>(data)[i] = sum;
        break;
      case DType::Float32:
        static_cast<float*>(data)[i] = static_cast<float>(sum);
        break;
      case DType::Bfloat16:
        static_cast<__nv_bfloat16*>(data)[i] = toStorage<__nv_bfloat16>(static_cast<float>(sum));
        break;
      default:
        static_cast<__half*>(data)[i] = toStorage<__half>(static_cast<float>(sum));
    }
  }
};

/// x [outer, count, inner] -> [outer, inner]
struct Extents {
  int64_t outer, count, inner;
};

template <class T>
__device__ __forceinline__ double toDouble(T x) {
  return static_cast<double>(toCompute(x));
}

/// One thread, one sum: short sums, or so many that they are enough work side by side.
template <class T>
__global__ void __launch_bounds__(kReduceThreads)
    serialSumKernel(const Extents extents, const T* __restrict__ x, const Sums sums) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kReduceThreads + threadIdx.x, inner = extents.inner;
  if (i >= extents.outer * inner) return;
  const bool narrow = i >> 32 == 0 && inner >> 32 == 0;
  const int64_t a = narrow ? static_cast<uint32_t>(i) / static_cast<uint32_t>(inner) : i / inner;
  const T* from = x + a * (extents.count - 1) * inner + i;
  double sum = 0;
#pragma unroll 4
  for (int64_t k = 0; k < extents.count; ++k) sum += toDouble(from[k * inner]);
  sums.store(i, sum);
}

/// Sums of neighbouring elements, by `lanes` neighbouring threads each: a power of two up to a warp, or the
/// whole block, which then adds up one of `pieces` parts of a row.
struct Rows {
  int64_t outer, count;
  int64_t pieces, length;  // parts of a row, elements of each
  int32_t lanes;
  bool packed;  // 16 bytes at a time; length is a multiple of them
};

struct RowShared {
  double scratch[kBlockScratch];
};

template <class T>
__global__ void __launch_bounds__(kReduceThreads)
    rowSumKernel(const Rows rows, const T* __restrict__ x, const Sums sums) {
  constexpr int kWidth = kPackWidth<T>;
  const int lane = static_cast<int>(threadIdx.x) & (rows.lanes - 1);
  const uint32_t lanes = static_cast<uint32_t>(rows.lanes);
  const int64_t index = static_cast<int64_t>(blockIdx.x) * (kReduceThreads / lanes) + threadIdx.x / lanes;
  const bool valid = index < rows.outer * rows.pieces;
  // More than one piece: one of them to a block, and blocks are counted by 31 bits.
  const uint32_t pieces = static_cast<uint32_t>(rows.pieces);
  const int64_t row = pieces == 1 ? index : blockIdx.x / pieces;
  const int64_t begin = pieces == 1 ? 0 : blockIdx.x % pieces * rows.length;
  const int64_t end = !valid ? begin : begin + rows.length < rows.count ? begin + rows.length : rows.count;
  const T* from = x + row * rows.count;
  double sum = 0;
  int64_t single = begin;
  if (rows.packed) {
    single = end / kWidth * kWidth;
#pragma unroll 4
    for (int64_t i = begin + lane * kWidth; i < single; i += rows.lanes * kWidth) {
      const Pack<T, kWidth> pack = loadPack<kWidth>(from + i);
      double pairs = 0;
#pragma unroll
      for (int j = 0; j < kWidth; j += 2) pairs += toDouble(pack.at[j]) + toDouble(pack.at[j + 1]);
      sum += pairs;
    }
  }
#pragma unroll 4
  for (int64_t i = single + lane; i < end; i += rows.lanes) sum += toDouble(from[i]);
  if (rows.lanes == kReduceThreads) {
    sum = blockSum(sum, dynamicShared<RowShared>().scratch);
  } else {
    sum = warpSum(sum, rows.lanes);
  }
  if (valid && lane == 0) sums.store(index, sum);
}

/// Sums over the middle axis. A block adds up `width` threads' columns, N each, over `length` rows, which its
/// other threads share.
struct Columns {
  Extents extents;
  uint32_t pieces, tiles;  // parts of the middle axis, parts of a row
  int64_t length;          // rows of a piece
  int32_t width;           // threads side by side
};

template <int N>
struct ColumnShared {
  double sums[N][kReduceThreads];
};

template <class T, int N>
__global__ void __launch_bounds__(kReduceThreads)
    columnSumKernel(const Columns columns, const T* __restrict__ x, const Sums sums) {
  ColumnShared<N>& shared = dynamicShared<ColumnShared<N>>();
  const int thread = static_cast<int>(threadIdx.x), width = columns.width, height = kReduceThreads / width;
  const int row = thread / width;
  const uint32_t block = blockIdx.x / columns.tiles;  // outer index * pieces + piece
  const int64_t inner = columns.extents.inner;
  const int64_t column = (static_cast<int64_t>(blockIdx.x % columns.tiles) * width + thread % width) * N;
  const bool valid = row < height && column < inner;
  const int64_t begin = block % columns.pieces * columns.length;
  const int64_t stop = begin + columns.length;
  const int64_t end = !valid ? begin : stop < columns.extents.count ? stop : columns.extents.count;
  const T* from = x + (block / columns.pieces * columns.extents.count) * inner + column;
  double sum[N] = {};
#pragma unroll 4
  for (int64_t i = begin + row; i < end; i += height) {
    const Pack<T, N> pack = loadPack<N>(from + i * inner);
#pragma unroll
    for (int j = 0; j < N; ++j) sum[j] += toDouble(pack.at[j]);
  }
#pragma unroll
  for (int j = 0; j < N; ++j) shared.sums[j][thread] = sum[j];
  // The rows' sums, pairwise: at each step the upper ones are added to the lower ones.
  for (int rows = height; rows > 1;) {
    __syncthreads();
    const int half = (rows + 1) / 2;
    if (row + half < rows) {
#pragma unroll
      for (int j = 0; j < N; ++j) shared.sums[j][thread] += shared.sums[j][thread + half * width];
    }
    rows = half;
  }
  if (valid && row == 0) {
#pragma unroll
    for (int j = 0; j < N; ++j) sums.store(block * inner + column + j, shared.sums[j][thread]);
  }
}

template <class T>
void sumMiddle(const Context& context, const Extents& extents, const T* x, const Sums& sums, bool cut = true);

/// Partial sums by `launchParts(where they go)`, then their sums.
template <class F>
void sumPieces(const Context& context, const Extents& partial, const Sums& sums, const F& launchParts) {
  if (partial.count == 1) return launchParts(sums);
  const Workspace workspace(
      context, static_cast<size_t>(partial.outer * partial.count * partial.inner) * sizeof(double));
  launchParts({workspace.as<double>(), DType::Float64});
  sumMiddle<double>(context, partial, workspace.as<double>(), sums, false);
}

/// Pieces into which each of `count` elements is cut so that `blocks` blocks become enough to fill the
/// device.
int64_t piecesOf(const Context& context, int64_t blocks, int64_t count, int64_t least, bool cut) {
  if (!cut) return 1;
  const int64_t wanted = ceilDivide(int64_t{4} * context.multiprocessors, blocks);
  return std::max<int64_t>(1, std::min(wanted, count / least));
}

template <class T>
void sumRows(const Context& context, int64_t outer, int64_t count, const T* x, const Sums& sums, bool cut) {
  constexpr int kWidth = kPackWidth<T>;
  Rows rows{outer, count, 1, count, 4, areAligned(x) && (outer == 1 || count % kWidth == 0)};
  // A thread shall have four packs to add up.
  while (rows.lanes < kWarpSize && int64_t{rows.lanes} * kWidth * 4 < count) rows.lanes *= 2;
  if (count > int64_t{kWarpSize} * kWidth * 8) {
    rows.lanes = kReduceThreads;
    const int64_t pieces = piecesOf(context, outer, count, kRowPiece, cut);
    rows.length = ceilDivide(ceilDivide(count, pieces), kWidth) * kWidth;
    rows.pieces = ceilDivide(count, rows.length);
  }
  sumPieces(context, {outer, rows.pieces, 1}, sums, [&](const Sums& to) {
    const int64_t blocks = ceilDivide(outer * rows.pieces, kReduceThreads / rows.lanes);
    launch(context, rowSumKernel<T>, dim3(static_cast<unsigned>(blocks)), kReduceThreads, sizeof(RowShared),
           rows, x, to);
  });
}

template <class T, int N>
void sumColumns(const Context& context, const Extents& extents, const T* x, const Sums& sums, bool cut) {
  const int64_t threads = extents.inner / N;
  const int64_t tiles = ceilDivide(threads, kTileBytes / static_cast<int64_t>(N * sizeof(T)));
  Columns columns{extents, 1, static_cast<uint32_t>(tiles), extents.count,
                  static_cast<int32_t>(ceilDivide(threads, tiles))};
  const int64_t height = kReduceThreads / columns.width;
  const int64_t pieces = piecesOf(context, extents.outer * tiles, extents.count, height * kColumnPiece, cut);
  columns.length = ceilDivide(extents.count, pieces);
  columns.pieces = static_cast<uint32_t>(ceilDivide(extents.count, columns.length));
  sumPieces(context, {extents.outer, columns.pieces, extents.inner}, sums, [&](const Sums& to) {
    const int64_t blocks = extents.outer * columns.pieces * tiles;
    launch(context, columnSumKernel<T, N>, dim3(static_cast<unsigned>(blocks)), kReduceThreads,
           sizeof(ColumnShared<N>), columns, x, to);
  });
}

/// Not `cut`: in one launch.
template <class T>
void sumMiddle(const Context& context, const Extents& extents, const T* x, const Sums& sums, bool cut) {
  const auto [outer, count, inner] = extents;
  const bool alone =
      inner > 1 && count * inner <= kRowPiece && outer * inner >= context.multiprocessors * kReduceThreads;
  if (count <= kFewElements || alone) {
    const int64_t blocks = ceilDivide(outer * inner, kReduceThreads);
    return launch(context, serialSumKernel<T>, dim3(static_cast<unsigned>(blocks)), kReduceThreads, 0,
                  extents, x, sums);
  }
  if (inner == 1) return sumRows(context, outer, count, x, sums, cut);
  if (inner % kPackWidth<T> == 0 && areAligned(x)) {
    return sumColumns<T, kPackWidth<T>>(context, extents, x, sums, cut);
  }
  sumColumns<T, 1>(context, extents, x, sums, cut);
}

/// Sums over the longest group that is to be summed, then over what is left of them. At least one is.
template <class T>
void sumGroups(const Context& context, const T* x, std::vector<AxisGroup> groups, const Sums& sums) {
  const auto longest =
      std::max_element(groups.begin(), groups.end(), [](const AxisGroup& a, const AxisGroup& b) {
        return (a.summed ? a.extent : 0) < (b.summed ? b.extent : 0);
      });
  Extents extents{1, longest->extent, 1};
  for (auto group = groups.begin(); group < longest; ++group) extents.outer *= group->extent;
  for (auto group = longest + 1; group < groups.end(); ++group) extents.inner *= group->extent;
  groups.erase(longest);
  if (std::none_of(groups.begin(), groups.end(), [](const AxisGroup& group) { return group.summed; })) {
    return sumMiddle(context, extents, x, sums);
  }
  const Workspace between(context, static_cast<size_t>(extents.outer * extents.inner) * sizeof(double));
  sumMiddle(context, extents, x, {between.as<double>(), DType::Float64});
  sumGroups<double>(context, between.as<double>(), std::move(groups), sums);
}

}  // namespace

void CudaOps::sumTo(const Tensor& x, const Tensor& y) {
  if (y.size() == 0) return;
  if (x.size() == 0) return fill(0, y);
  if (x.size() == y.size()) return cast(1, 0, x, y);
  withStorage(x.dtype, [&](auto type) {
    using T = decltype(type);
    sumGroups<T>(context_, x.as<T>(), groupAxes(x.shape, y.shape), {y.data, y.dtype});
  });
}

}  // namespace spherenet::cuda
