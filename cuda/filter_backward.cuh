// The backward pass of a SphereConv whose input asks for no gradient, so that only its weight gradient reads
// h (native/ops.h has the formulas): h is formed on its way into the product, and q, dk and what follows the
// SphereConv are summed there too.
#pragma once

#include "angular_pass.cuh"
#include "device/reduce.cuh"
#include "device/weight_gemm.cuh"

namespace spherenet::cuda {

/// Sums over positions that belong to a filter.
enum FilterSum { kAlong, kByK, kByGamma, kByBeta, kMostFilterSums };

/// How Type is multiplied; float32 as FilterPass::exact says.
template <class Type>
using FilterOperand =
    std::conditional_t<sizeof(Type) == 4, Tf32Operand,
                       std::conditional_t<std::is_same_v<Type, __half>, Float16Operand, Bfloat16Operand>>;

/// 64 filters by all taps and channels. `Norm`: a normalisation or rescaling is behind the SphereConv.
template <class Type, int Columns, bool Norm>
struct FilterTile : WeightTile<FilterOperand<Type>, 64, Columns, false> {
  using Base = WeightTile<FilterOperand<Type>, 64, Columns, false>;
  using T = Type;
  static constexpr bool kNorm = Norm;
  static constexpr int kStages = 2;  // of operands, and of y, dz and nx on their way
  static constexpr int kBlocks = Norm && sizeof(T) == 2 ? 3 : 4;
  static constexpr int kSums = Norm ? kMostFilterSums : kByK + 1;
  static constexpr int kConstants = Norm ? kNormConstants : kPlainConstants;
  static constexpr int kChunk = 16 / sizeof(T), kChunks = Base::kRows / kChunk;
  static constexpr int kPositions = Base::kDepth * kChunks / Base::kThreads;  // of a thread, at most
  static_assert(kChunks <= 32 && kPositions > 0);
};

template <class Tile>
struct FilterShared {
  WeightShared<Tile> operands;
  union {
    // Each thread reads only what it has copied here itself.
    Vector<typename Tile::T> arriving[Tile::kStages][2][Tile::kPositions][Tile::kThreads];
    float sums[Tile::kThreads / 32][Tile::kSums][Tile::kRows];  // in the end
  };
  float norms[Tile::kStages][Tile::kPositions][Tile::kThreads];
  float constants[Tile::kConstants][Tile::kChunk][Tile::kChunks];
};

template <class T, bool Norm>
struct FilterPass {
  AngularPass<T, Norm> angles;  // what h is made of; dy is dz, h and r are not written
  const T* x;
  ConvGeometry geometry;
  WeightPass product;
  bool exact;      // float32 is not rounded to tf32
  float* partial;  // [filter, split, element or sum], `width` numbers a split
  int splits, width;
};

/// Brings h into shared memory, and adds up what it finds on the way. Threads lie along the chunks that there
/// are of the tile's filters (a power of two), the rest along positions: one has a chunk of each of its
/// positions, all of the same filters.
template <class Tile>
class AngleLoader {
 public:
  using T = typename Tile::T;

  __device__ AngleLoader(const FilterPass<T, Tile::kNorm>& pass, FilterShared<Tile>& shared, int group,
                         int firstRow, int64_t begin, int64_t end)
      : pass_(pass.angles), shared_(shared) {
    const int groupFilters = pass.geometry.groupFilters;
    int chunks = 1;
    while (chunks < Tile::kChunks && chunks * Tile::kChunk < groupFilters - firstRow) chunks *= 2;
    chunk_ = static_cast<int>(threadIdx.x) & (chunks - 1);
    row_ = static_cast<int>(threadIdx.x) / chunks;
    rowStep_ = Tile::kThreads / chunks;
    const int filter = firstRow + chunk_ * Tile::kChunk;
    left_ = filter < groupFilters ? static_cast<int>(end - begin) - row_ : 0;
    at_ = (begin + row_) * pass_.filters + int64_t{group} * groupFilters + filter;
    normAt_ = (begin + row_) * pass_.groups + group;
  }

  /// Begins to bring y, dz and nx of positions `ahead` of those that are to be formed next.
  __device__ __forceinline__ void start(int stage, int ahead) {
#pragma unroll
    for (int i = 0; i < Tile::kPositions; ++i) {
      if (row_ + i * rowStep_ >= Tile::kDepth) break;
      const bool valid = left_ > ahead + i * rowStep_;
      const int64_t at = at_ + i * rowStep_ * pass_.filters;
      copyAsync16(&shared_.arriving[stage][0][i][threadIdx.x], pass_.y + at, valid);
      copyAsync16(&shared_.arriving[stage][1][i][threadIdx.x], pass_.dy + at, valid);
      copyAsync4(&shared_.norms[stage][i][threadIdx.x], pass_.nx + (normAt_ + i * rowStep_ * pass_.groups),
                 valid);
    }
    commitCopies();
    at_ += Tile::kDepth * pass_.filters;
    normAt_ += Tile::kDepth * pass_.groups;
  }

  /// Forms h of the next positions, and begins to bring others into their place.
  __device__ __forceinline__ void finish(int stage) {
    waitForCopies<Tile::kStages - 1>();
    // Not unrolled: the code of one position is large, and holds enough independent work.
#pragma unroll 1
    for (int i = 0; row_ + i * rowStep_ < Tile::kDepth; ++i) form(stage, i);
    left_ -= Tile::kDepth;
    start(stage, (Tile::kStages - 1) * Tile::kDepth);
  }

  /// The block's sums: lanes of the same filters, then warps, in order. A barrier for the block.
  __device__ __forceinline__ void addUp() {
    // What is still on its way must not land on them.
    waitForCopies<0>();
    __syncthreads();
    const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
    const int chunks = Tile::kThreads / rowStep_;
#pragma unroll
    for (int s = 0; s < Tile::kSums; ++s)
#pragma unroll
      for (int j = 0; j < Tile::kChunk; ++j) {
        float sum = sums_[j][s];
        for (int distance = chunks; distance < 32; distance *= 2)
          sum += __shfl_xor_sync(0xffffffffu, sum, distance);
        if (lane < chunks) shared_.sums[warp][s][chunk_ * Tile::kChunk + j] = sum;
      }
    __syncthreads();
  }

 private:
  /// Forms h of one position. Behind the end y, dz and nx are 0, which adds 0 to each sum.
  __device__ __forceinline__ void form(int stage, int i) {
    const Vector<T> y = shared_.arriving[stage][0][i][threadIdx.x];
    const Vector<T> dz = shared_.arriving[stage][1][i][threadIdx.x];
    const float inverse = inverseNormOf(shared_.norms[stage][i][threadIdx.x]);
    Vector<T> h;
#pragma unroll
    for (int j = 0; j < Tile::kChunk; ++j) {
      const auto [f, norm, inverseNorm] =
          constantsOf<false, Tile::kNorm>(pass_.op, shared_.constants, j, chunk_);
      const float value = toCompute(y.at[j]);
      float incoming = toCompute(dz.at[j]);
      if constexpr (Tile::kNorm) {
        const float d = value - norm.center;
        const float passed = norm.throughRelu(pass_.relu, norm.scale, d, norm.beta, incoming);
        sums_[j][kByGamma] += passed * d;
        sums_[j][kByBeta] += passed;
        incoming = norm.at(pass_.relu, value, incoming);
      } else if (pass_.relu && !(value > 0)) {
        incoming = 0;
      }
      const AngularGradient<float> gradient = angularGradient<sizeof(T) == 2>(pass_.op, f, value, incoming);
      h.at[j] = storeGradient<T>(gradient.g * inverse * inverseNorm);
      sums_[j][kAlong] += gradient.product;
      sums_[j][kByK] += gradient.k;
    }
    *reinterpret_cast<Vector<T>*>(shared_.operands.a[stage] + Tile::A::at(row_ + i * rowStep_, chunk_)) = h;
  }

  const AngularPass<T, Tile::kNorm>& pass_;
  FilterShared<Tile>& shared_;
  int chunk_, row_, rowStep_;
  int left_;  // positions from this thread's next on
  int64_t at_, normAt_;
  float sums_[Tile::kChunk][Tile::kSums] = {};
};

/// Writes a split's sums of a tile's filters, of which there are `rows`. `products`: those of this thread's
/// lane in the product.
template <class Tile>
__device__ __forceinline__ void storeSplit(const FilterPass<typename Tile::T, Tile::kNorm>& pass,
                                           const FilterShared<Tile>& shared,
                                           const float (&products)[Tile::kRowTiles][Tile::kColumnTiles][4],
                                           int firstFilter, int rows, int split) {
  const int size = pass.geometry.filterSize();
  const WarpCorner<Tile> corner;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const auto partialOf = [&](int row) {
    return pass.partial + (int64_t{firstFilter + row} * pass.splits + split) * pass.width;
  };
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kSums * Tile::kRows; i += Tile::kThreads) {
    const int s = i / Tile::kRows, row = i % Tile::kRows;
    if (row >= rows) continue;
    float sum = 0;
#pragma unroll
    for (int w = 0; w < Tile::kThreads / 32; ++w) sum += shared.sums[w][s][row];
    partialOf(row)[size + s] = sum;
  }
#pragma unroll
  for (int m = 0; m < Tile::kRowTiles; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = corner.row + lane / 4 + 16 * m + 8 * half;
      if (row >= rows) continue;
      float* const to = partialOf(row);
#pragma unroll
      for (int n = 0; n < Tile::kColumnTiles; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int element = corner.column + 8 * n + lane % 4 * 2 + e;
          if (element < size) to[element] = products[m][n][2 * half + e];
        }
    }
}

/// Grid: x = splits * row tiles, the last fastest; z = group.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks)
    filterBackward(FilterPass<typename Tile::T, Tile::kNorm> pass) {
  using T = typename Tile::T;
  auto& shared = dynamicShared<FilterShared<Tile>>();
  const ConvGeometry& g = pass.geometry;
  const int rowTile = static_cast<int>(blockIdx.x) % pass.product.rowTiles;
  const int split = static_cast<int>(blockIdx.x) / pass.product.rowTiles;
  const int group = static_cast<int>(blockIdx.z);
  const int64_t begin = split * pass.product.positionsPerSplit,
                end = min(g.positions(), begin + pass.product.positionsPerSplit);
  const int firstRow = rowTile * Tile::kRows, rows = min(Tile::kRows, g.groupFilters - firstRow);
  const int firstFilter = group * g.groupFilters + firstRow;

  for (int i = static_cast<int>(threadIdx.x); i < rows; i += Tile::kThreads)
    putConstants<false>(pass.angles, firstFilter + i, shared.constants, i);
  AngleLoader<Tile> angles(pass, shared, group, firstRow, begin, end);
#pragma unroll 1
  for (int stage = 0; stage < Tile::kStages; ++stage) angles.start(stage, stage * Tile::kDepth);
  // Ends in a barrier, behind which the constants are there too.
  ColumnLoader<Tile, true> columns(g, pass.product, shared.operands, pass.x, group, 0, begin, end);
  columns.start(0);

  const WarpCorner<Tile> corner;
  float sums[Tile::kRowTiles][Tile::kColumnTiles][4] = {};
  const int stages = static_cast<int>((end - begin + Tile::kDepth - 1) / Tile::kDepth);
  for (int step = 0; step < stages; ++step) {
    // A stage is filled while slower warps multiply the other: all have passed the barrier since they did
    // this.
    const int stage = step % Tile::kStages;
    angles.finish(stage);
    columns.finish(stage);
    __syncthreads();
    columns.start(stage);
    const auto multiply = [&](auto exact) {
#pragma unroll
      for (int row = 0; row < Tile::kDepth; row += kStepRows<T>)
        multiplyRows<decltype(exact)::value>(sums, shared.operands.a[stage], corner.row,
                                             shared.operands.b[stage], corner.column, row, typename Tile::A{},
                                             typename Tile::B{});
    };
    if (sizeof(T) == 4 && pass.exact) {
      multiply(std::true_type{});
    } else {
      multiply(std::false_type{});
    }
  }
  angles.addUp();
  storeSplit<Tile>(pass, shared, sums, firstFilter, rows, split);
}

constexpr int kFilterTotalsThreads = 1024;

/// `Columns`: of a tile.
template <int Columns>
struct FilterTotalsShared {
  float at[32][33];
  float totals[Columns + 32];
};

template <class T>
struct FilterTotals {
  WeightOutput<T> out;  // of it w, nw and dw
  const float* partial;
  int splits, width;
  float *dk, *dgamma, *dbeta;  // null where nobody asks
  bool sharedK;                // dk is one number
};

/// Adds up the splits and finishes a filter. Grid: a block for each; where dk is shared, one more for it.
template <class T, int Columns>
__global__ void __launch_bounds__(kFilterTotalsThreads) finishFilters(FilterTotals<T> pass) {
  auto& shared = dynamicShared<FilterTotalsShared<Columns>>();
  const int size = pass.out.geometry.filterSize(), filter = static_cast<int>(blockIdx.x);
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  if (filter == pass.out.geometry.o) {
    float sum = 0;
    const int64_t count = int64_t{filter} * pass.splits;
    for (int64_t i = threadIdx.x; i < count; i += kFilterTotalsThreads)
      sum += pass.partial[i * pass.width + size + kByK];
    sum = blockSum(sum, &shared.at[0][0]);
    if (threadIdx.x == 0) *pass.dk = sum;
    return;
  }
  const float* const partial = pass.partial + int64_t{filter} * pass.splits * pass.width;
  for (int first = 0; first < pass.width; first += 32) {
    float sum = 0;
    if (first + lane < pass.width) {
#pragma unroll 8
      for (int split = warp; split < pass.splits; split += 32)
        sum += partial[int64_t{split} * pass.width + first + lane];
    }
    shared.at[warp][lane] = sum;
    __syncthreads();
    // Each warp adds up one column.
    sum = warpSum(shared.at[lane][warp]);
    if (lane == 0) shared.totals[first + warp] = sum;
    __syncthreads();
  }
  const float* const totals = shared.totals + size;
  const float inverse = inverseNormOf(pass.out.nw[filter]), along = totals[kAlong] * inverse * inverse;
  for (int element = static_cast<int>(threadIdx.x); element < size; element += kFilterTotalsThreads)
    storeWeight(pass.out, along, int64_t{filter} * size + element, shared.totals[element]);
  if (threadIdx.x > 0) return;
  if (pass.dk && !pass.sharedK) pass.dk[filter] = totals[kByK];
  if (pass.dgamma) pass.dgamma[filter] = totals[kByGamma];
  if (pass.dbeta) pass.dbeta[filter] = totals[kByBeta];
}

}  // namespace spherenet::cuda
