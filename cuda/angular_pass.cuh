// The elementwise pass between a SphereConv's forward pass and its two gradient convolutions: y, dy and nx
// are read once, h and r written, and q and dk added up on the way (native/ops.h has the formulas). With
// `Norm` the gradient passes through what is behind the SphereConv in the same registers: batch normalisation
// or SphereNorm, and ReLU. With `Sums` = 4 SphereNorm's own gradients are added up too.
#pragma once

#include "context.h"
#include "device/angular.cuh"
#include "device/norm_gradient.cuh"
#include "device/numeric.cuh"
#include "elementwise.cuh"
#include "row_column_totals.cuh"

namespace spherenet::cuda {

template <class T, bool Norm>
struct AngularPass {
  using C = Compute<T>;

  AngularOperator op;
  const T *y, *dy;   // Norm: dy is the gradient behind what follows y
  const T* cosines;  // double only: c where the forward pass kept it
  const C* ks;       // per filter, or one where `sharedK`, or null: `k`
  C k;
  bool sharedK, depthwise;  // depthwise: norms and r are per element
  const C* norm;            // Norm: the fields of each filter's NormGradient, [5, filters], or null:
  const C *gamma, *beta;    // z = gamma y + beta, [filters]; or null: z = y
  bool relu;
  const C *nx, *nw;
  T* h;
  C* r;
  C* rPartial;              // [chunk, row, group] where a row is in several chunks
  C* partial;               // [rowBlock, {q, dk, dgamma, dbeta}, filter], the first Sums of them
  int64_t filters, groups;  // groups: of rows' sums
  RowColumnGrid grid;       // of one group
};

/// What the pass needs of a filter, [.., element, vector] so that neighbouring lanes read neighbouring words;
/// with `Norm` also what it needs of its normalisation.
enum AngularConstant {
  kInverseNorm,
  kLimit,
  kTwoK,
  kGradientGain,
  kKSlope,
  kKGain,
  kPlainConstants,
  kCenter = kPlainConstants,
  kScale,
  kBeta,
  kNormSlope,
  kShift,
  kNormConstants
};

template <class T, int Width, int Vectors, bool Norm, int Sums>
struct AngularShared {
  // Constants of the chunk's filters; slope and gain are needed only where c is given, so they share places.
  Compute<T> constants[Norm ? kNormConstants : kPlainConstants][Width][32 * Vectors];
  ColumnSumsShared<Compute<T>, Width, Vectors, Sums> sums;
};

template <class T, int Width>
struct alignas(Width * sizeof(T)) Elements {
  T at[Width];
};

/// A field of a filter's NormGradient.
template <class T>
__device__ __forceinline__ Compute<T> normConstant(const AngularPass<T, true>& pass, int which,
                                                   int64_t filter) {
  if (pass.norm) return pass.norm[(which - kPlainConstants) * pass.filters + filter];
  if (which == kScale) return pass.gamma ? pass.gamma[filter] : Compute<T>(1);
  return which == kBeta && pass.beta ? pass.beta[filter] : Compute<T>(0);
}

/// What the gradient through the angles of one filter needs of it.
template <class C>
struct FilterConstants {
  AngularFilter<C> angles;
  NormGradient<C> norm;
  C inverseNorm;
};

/// Computes the constants of a filter, the i-th of those in shared memory.
template <bool FromCosine, class T, bool Norm, class C, int Constants, int Width, int Vectors>
__device__ __forceinline__ void putConstants(const AngularPass<T, Norm>& pass, int64_t filter,
                                             C (&constants)[Constants][Width][Vectors], int i) {
  const C k = pass.ks ? pass.ks[pass.sharedK ? 0 : filter] : pass.k;
  const AngularFilter<C> f = angularFilter<C>(pass.op, k);
  const auto put = [&](int which, C value) { constants[which][i % Width][i / Width] = value; };
  put(kInverseNorm, inverseNormOf(pass.nw[filter]));
  put(kLimit, FromCosine ? f.slope : f.limit);
  put(kTwoK, FromCosine ? f.gain : f.twoK);
  put(kGradientGain, f.gradientGain);
  put(kKSlope, f.kSlope);
  put(kKGain, f.kGain);
  if constexpr (Norm)
    for (int which = kPlainConstants; which < kNormConstants; ++which)
      put(which, normConstant(pass, which, filter));
}

/// Those of the filter that is element j of a vector.
template <bool FromCosine, bool Norm, class C, int Constants, int Width, int Vectors>
__device__ __forceinline__ FilterConstants<C> constantsOf(AngularOperator op,
                                                          const C (&constants)[Constants][Width][Vectors],
                                                          int j, int vector) {
  const auto constant = [&](int which) { return constants[which][j][vector]; };
  FilterConstants<C> filter;
  if (op == AngularOperator::Sigmoid) {
    AngularFilter<C>& f = filter.angles;
    (FromCosine ? f.slope : f.limit) = constant(kLimit);
    (FromCosine ? f.gain : f.twoK) = constant(kTwoK);
    f.gradientGain = constant(kGradientGain);
    f.kSlope = constant(kKSlope);
    f.kGain = constant(kKGain);
  }
  filter.inverseNorm = constant(kInverseNorm);
  if constexpr (Norm)
    filter.norm = {constant(kCenter), constant(kScale), constant(kBeta), constant(kNormSlope),
                   constant(kShift)};
  return filter;
}

/// `FromCosine`: the derivatives come from c itself instead of y.
template <class T, int Width, int Vectors, bool FromCosine, bool Norm, int Sums>
__global__ void __launch_bounds__(RowColumnGrid::kThreads, 2) angularBackward(AngularPass<T, Norm> pass) {
  using C = Compute<T>;
  using Part = Elements<T, Width>;
  constexpr int kRows = RowColumnGrid::rowsInFlight(Vectors);
  auto& shared = dynamicShared<AngularShared<T, Width, Vectors, Norm, Sums>>();
  const RowColumnGrid& grid = pass.grid;

  const int rowBlock = static_cast<int>(blockIdx.x) % grid.rowBlocks;
  const int segment = static_cast<int>(blockIdx.x) / grid.rowBlocks;
  const int chunk = segment % grid.chunks, group = segment / grid.chunks;
  const int firstVector = chunk * grid.chunkVectors;
  const int64_t groupStart = int64_t{group} * grid.columnVectors * Width;

  // The constants of this chunk's filters.
  const int chunkColumns = (min(grid.columnVectors, firstVector + grid.chunkVectors) - firstVector) * Width;
  for (int i = static_cast<int>(threadIdx.x); i < chunkColumns; i += RowColumnGrid::kThreads)
    putConstants<FromCosine>(pass, groupStart + int64_t{firstVector} * Width + i, shared.constants, i);
  __syncthreads();

  const auto visit = [&](int64_t row, int step, int count, int vector, C(&columnSums)[Width][Sums],
                         C(&rowSums)[kRows]) {
    const int64_t column = groupStart + int64_t{vector} * Width;
    Part y[kRows], dy[kRows], c[FromCosine ? kRows : 1];
    C inverse[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (i >= count) continue;
      const int64_t at = (row + int64_t{i} * step) * pass.filters + column;
      y[i] = *reinterpret_cast<const Part*>(pass.y + at);
      dy[i] = *reinterpret_cast<const Part*>(pass.dy + at);
      if constexpr (FromCosine) c[i] = *reinterpret_cast<const Part*>(pass.cosines + at);
      inverse[i] = pass.nx[pass.depthwise ? at : (row + int64_t{i} * step) * pass.groups + group];
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) inverse[i] = inverseNormOf(inverse[i]);
#pragma unroll
    for (int j = 0; j < Width; ++j) {
      const auto [f, norm, inverseNorm] =
          constantsOf<FromCosine, Norm>(pass.op, shared.constants, j, vector - firstVector);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        if (i >= count) continue;
        const C value = toCompute(y[i].at[j]);
        C incoming = toCompute(dy[i].at[j]);
        if constexpr (Sums > 2) {
          const C g = norm.throughRelu(pass.relu, norm.scale, value, norm.beta, incoming);
          columnSums[j][2] += g * value;
          columnSums[j][3] += g;
          incoming = norm.scale * g;
        } else if constexpr (Norm) {
          incoming = norm.at(pass.relu, value, incoming);
        }
        AngularGradient<C> gradient;
        if constexpr (FromCosine) {
          const bool defined = c[i].at[j] == c[i].at[j];
          const C upstream = defined ? incoming : C(0);
          const AngularSlopes<C> slopes = doubleSlopesAt(pass.op, f, defined ? c[i].at[j] : C(0));
          gradient = {upstream * slopes.slope, upstream * slopes.slope * slopes.c, upstream * slopes.kSlope};
        } else {
          gradient = angularGradient<sizeof(T) == 2>(pass.op, f, value, incoming);
        }
        y[i].at[j] = storeGradient<T>(gradient.g * inverse[i] * inverseNorm);
        rowSums[i] += gradient.product;
        columnSums[j][0] += gradient.product;
        columnSums[j][1] += gradient.k;
        if (Width == 1 && pass.depthwise)
          pass.r[(row + int64_t{i} * step) * pass.filters + column] =
              gradient.product * inverse[i] * inverse[i];
      }
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      if (i < count)
        *reinterpret_cast<Part*>(pass.h + (row + int64_t{i} * step) * pass.filters + column) = y[i];
  };
  const auto finishRow = [&](int64_t row, C sum) {
    if (Width == 1 && pass.depthwise) return;
    const int64_t at = row * pass.groups + group;
    if (grid.chunks > 1) {
      pass.rPartial[chunk * grid.rows * pass.groups + at] = sum;
      return;
    }
    const C inverse = inverseNormOf(pass.nx[at]);
    pass.r[at] = sum * inverse * inverse;
  };
  rowColumnSums<Width, Vectors, Sums>(grid, rowBlock, chunk, shared.sums, pass.filters,
                                      pass.partial + int64_t{rowBlock} * Sums * pass.filters + groupStart,
                                      visit, finishRow);
}

template <class T, int Width, int Vectors, bool FromCosine, bool Norm, int Sums>
void launchPass(const Context& context, const AngularPass<T, Norm>& pass, int64_t segments) {
  launch(context, angularBackward<T, Width, Vectors, FromCosine, Norm, Sums>,
         dim3(static_cast<unsigned>(pass.grid.rowBlocks * segments)), RowColumnGrid::kThreads,
         sizeof(AngularShared<T, Width, Vectors, Norm, Sums>), pass);
}

/// The pass, then the sums over its blocks. dgamma and dbeta: of SphereNorm, where Sums = 4.
template <class T, int Width, bool FromCosine, int Sums = 2, bool Norm>
void runPass(const Context& context, AngularPass<T, Norm> pass, int64_t rows, const Tensor& q,
             const Tensor& dk, const Tensor& dgamma = {}, const Tensor& dbeta = {}) {
  using C = Compute<T>;
  const int64_t sumGroups = pass.depthwise ? 1 : pass.groups;
  constexpr int kMost = Sums > 2 ? 1 : RowColumnGrid::mostVectors(Width);
  pass.grid = RowColumnGrid(rows, pass.filters / sumGroups, Width, sumGroups, context.multiprocessors, kMost);
  const RowColumnGrid& grid = pass.grid;
  const int64_t sums = int64_t{grid.rowBlocks} * Sums * pass.filters, normCount = rows * pass.groups;
  const bool split = grid.chunks > 1 && !pass.depthwise;
  const Workspace workspace(context,
                            static_cast<size_t>(sums + (split ? grid.chunks * normCount : 0)) * sizeof(C));
  pass.partial = workspace.as<C>();
  pass.rPartial = pass.partial + sums;
  const int64_t segments = sumGroups * grid.chunks;
  if (grid.vectors == 1) {
    launchPass<T, Width, 1, FromCosine, Norm, Sums>(context, pass, segments);
  } else {
    launchPass<T, Width, kMost, FromCosine, Norm, Sums>(context, pass, segments);
  }
  ColumnTotals<C, Sums> totals;
  totals.partial = pass.partial;
  totals.blocks = grid.rowBlocks;
  totals.columns = pass.filters;
  totals.out[0] = q.as<C>();
  totals.out[1] = dk.as<C>();
  totals.shared[1] = dk && dk.size() == 1 && pass.filters > 1;
  if constexpr (Sums > 2) {
    totals.out[2] = dgamma.as<C>();
    totals.out[3] = dbeta.as<C>();
  }
  launchColumnTotals(context, totals, Sums > 2 ? Sums : dk ? 2 : 1);
  if (split) launchRowTotals(context, pass.rPartial, grid.chunks, normCount, pass.nx, true, pass.r);
}

/// The pass over tensors as sphereConv2dAngularBackward has them.
template <class T, bool Norm>
AngularPass<T, Norm> angularPass(const AngularParams& a, const Tensor& y, const Tensor& c, const Tensor& dy,
                                 const Tensor& k, const Tensor& nx, const Tensor& nw, const Tensor& h,
                                 const Tensor& r) {
  using C = Compute<T>;
  AngularPass<T, Norm> pass{};
  pass.op = a.op;
  pass.y = y.as<T>();
  pass.dy = dy.as<T>();
  pass.cosines = c.as<T>();
  pass.ks = k.as<C>();
  pass.k = static_cast<C>(a.k);
  pass.sharedK = k.size() == 1;
  pass.nx = nx.as<C>();
  pass.nw = nw.as<C>();
  pass.h = h.as<T>();
  pass.r = r.as<C>();
  pass.filters = y.shape[y.shape.rank - 1];
  pass.groups = nx.shape[nx.shape.rank - 1];
  pass.depthwise = pass.groups == pass.filters && pass.groups > 1;
  return pass;
}

/// Whether the pass may read and write 16 bytes at once. Depthwise reads and writes float32 norms per
/// element: one element a lane keeps those coalesced too.
template <class T, bool Norm>
bool takesVectors(const AngularPass<T, Norm>& pass) {
  return !pass.depthwise && pass.filters / pass.groups % Vector<T>::kSize == 0 &&
         areAligned(pass.y, pass.dy, pass.h);
}

}  // namespace spherenet::cuda
