// h(|x|) of the decoupled operators: a pass over the output of a SphereConv, and one before its gradient.
// native/ops.h has the formulas.
#include <cfloat>

#include "cuda_ops.h"
#include "device/angular.cuh"
#include "device/conv_geometry.cuh"
#include "device/numeric.cuh"
#include "elementwise.cuh"
#include "row_column_totals.cuh"

namespace spherenet::cuda {
namespace {

/// h = value * factor, where factor is 1 unless h leaves the range of C; dh/dn and dh/drho.
template <class C>
struct MagnitudeAt {
  C value, factor, slope, radiusSlope;
};

template <class C>
constexpr C kLargestNorm = sizeof(C) == 4 ? C(FLT_MAX) : C(DBL_MAX);

template <class C>
__device__ __forceinline__ MagnitudeAt<C> magnitudeWith(Magnitude function, C a, C b, C n, C rho) {
  switch (function) {
    case Magnitude::Ball: {
      if (n >= rho) return {a, 1, 0, 0};
      const C part = n / rho, steep = a / rho;
      return {a * part, 1, steep, -part * steep};
    }
    case Magnitude::Tanh: {
      const C quotient = n / rho, part = quotient > 40 ? C(40) : quotient, t = tanh(part);
      const C steep = a * (1 - t) * (1 + t) / rho;
      return {a * t, 1, steep, -part * steep};
    }
    case Magnitude::Linear:
      return {a * n, 1, a, 0};
    case Magnitude::Segmented:
      if (n > rho) return {b * n + (a - b) * rho, 1, b, a - b};
      return {a * n, 1, a, 0};
    case Magnitude::Logarithmic:
      return {a * log1p(n), 1, a / (1 + n), 0};
    case Magnitude::Mixed:
      return {a * n + b * log1p(n), 1, a + b / (1 + n), 0};
  }
  return {};
}

/// NaN counts as 0: its outputs are NaN already, and h is to be none of the sums' business. Called, not
/// inlined: once for a vector of outputs, and otherwise most of what the kernels consist of.
template <class C>
__device__ __noinline__ MagnitudeAt<C> magnitudeAt(Magnitude function, C a, C b, C norm, C radius) {
  const C n = norm > 0 ? norm : C(0);
  const C rho = radius < C(kMinRadius) ? C(kMinRadius) : radius;
  MagnitudeAt<C> h = magnitudeWith(function, a, b, n, rho);
  if (!(h.value > kLargestNorm<C>)) return h;
  // h is linear in its coefficients.
  constexpr C kFactor = C(0x1p64);
  h.value = magnitudeWith(function, a / kFactor, b / kFactor, n, rho).value;
  h.factor = kFactor;
  return h;
}

template <class C>
struct MagnitudeFunction {
  Magnitude function;
  C scale, slope;

  explicit MagnitudeFunction(const MagnitudeParams& p)
      : function(p.function), scale(static_cast<C>(p.scale)), slope(static_cast<C>(p.slope)) {}

  __device__ __forceinline__ MagnitudeAt<C> at(C norm, C radius) const {
    return magnitudeAt(function, scale, slope, norm, radius);
  }
};

/// What both passes know. A pass with Width > 1 has one radius for all filters, so that h differs from row to
/// row (and group to group) only.
template <class T>
struct MagnitudeTensors {
  using C = Compute<T>;

  MagnitudeFunction<C> h;
  const C* radii;  // per filter, or one, or null: `radius`
  C radius;
  bool perFilter;
  const C* nx;
  int64_t rows, filters, groups, groupFilters;

  MagnitudeTensors(const MagnitudeParams& p, const Tensor& nxTensor, const Tensor& radiusTensor,
                   const Tensor& y)
      : h(p),
        radii(radiusTensor.as<C>()),
        radius(static_cast<C>(p.radius)),
        perFilter(radiusTensor && radiusTensor.size() > 1),
        nx(nxTensor.as<C>()),
        filters(y.shape[y.shape.rank - 1]),
        groups(nxTensor.shape[nxTensor.shape.rank - 1]) {
    rows = filters > 0 ? y.size() / filters : 0;
    groupFilters = groups > 0 ? filters / groups : 0;
  }

  template <class... Pointers>
  bool takesVectors(const Pointers*... pointers) const {
    return !perFilter && groupFilters % Vector<T>::kSize == 0 && areAligned(pointers...);
  }
  __device__ __forceinline__ C radiusOf(int64_t filter) const {
    return radii ? radii[perFilter ? filter : 0] : radius;
  }
};

constexpr int kMagnitudeThreads = 256;

/// y = h g, one thread for `Width` outputs of a row.
template <class T, int Width>
__global__ void __launch_bounds__(kMagnitudeThreads)
    magnitudeForward(MagnitudeTensors<T> m, const T* g, T* y, int64_t vectors) {
  using C = Compute<T>;
  const int rowVectors = static_cast<int>(m.filters / Width);
  for (int64_t i = int64_t{blockIdx.x} * kMagnitudeThreads + threadIdx.x; i < vectors;
       i += int64_t{gridDim.x} * kMagnitudeThreads) {
    const Quotient place = divide(i, rowVectors);
    const int64_t filter = place.rest * Width, group = filter / m.groupFilters;
    const MagnitudeAt<C> h = m.h.at(m.nx[place.value * m.groups + group], m.radiusOf(filter));
    C values[Width];
    loadValues<Width>(g + i * Width, values);
#pragma unroll
    for (int j = 0; j < Width; ++j) values[j] = values[j] * h.value * h.factor;
    storeValues<Width>(values, y + i * Width);
  }
}

template <class T, int Width>
void launchForward(const Context& context, const MagnitudeTensors<T>& m, const T* g, T* y) {
  const int64_t vectors = m.rows * m.filters / Width;
  const int64_t blocks =
      std::min<int64_t>(ceilDivide(vectors, kMagnitudeThreads), 16 * int64_t{context.multiprocessors});
  launch(context, magnitudeForward<T, Width>, dim3(static_cast<unsigned>(blocks)), kMagnitudeThreads, 0, m, g,
         y, vectors);
}

template <class T>
struct MagnitudePass {
  using C = Compute<T>;

  MagnitudeTensors<T> m;
  bool depthwise;  // norms and radial are per element
  const T *y, *dy;
  T *g, *dg;
  C* radial;
  C* radialPartial;    // [chunk, row, group] where a row is in several chunks
  C* partial;          // [rowBlock, filter]: dradius
  RowColumnGrid grid;  // of one group
};

template <class T, int Width, int Vectors>
using MagnitudeShared = ColumnSumsShared<Compute<T>, Width, Vectors, 1>;

/// dg is kept below this, far enough from the end of the range for sums over filters and positions.
template <class C>
constexpr C kLargestGradient = sizeof(C) == 4 ? C(0x1p96) : C(0x1p900);
template <class C>
constexpr C kSmallestNormal = sizeof(C) == 4 ? C(FLT_MIN) : C(DBL_MIN);

/// h of one patch as its outputs need it: their y is divided by it, their dy multiplied.
template <class C>
struct RowMagnitude {
  bool vanishes;
  C value, factor, inverseValue, inverseFactor;

  __device__ __forceinline__ explicit RowMagnitude(const MagnitudeAt<C>& h)
      : vanishes(!(h.value >= kSmallestNormal<C>)),
        value(h.value),
        factor(h.factor),
        inverseValue(1 / h.value),
        inverseFactor(1 / h.factor) {}
};

/// What one output passes on.
template <class C>
struct RecoveredAngle {
  C g, dg, product;  // product = dy g
};

template <class C>
__device__ __forceinline__ RecoveredAngle<C> recoverAngle(const RowMagnitude<C>& h, C y, C dy) {
  if (y != y) return {y, 0, 0};
  if (h.vanishes) return {0, 0, 0};
  const C g = clampToOne(y * h.inverseFactor * h.inverseValue), gradient = dy * h.value * h.factor;
  const C bounded = fabs(gradient) > kLargestGradient<C> ? copysign(kLargestGradient<C>, gradient) : gradient;
  return {g, bounded, dy * g};
}

template <class T, int Width, int Vectors>
__global__ void __launch_bounds__(RowColumnGrid::kThreads, 2) magnitudeBackward(MagnitudePass<T> pass) {
  using C = Compute<T>;
  using Part = Vector<T, Width>;
  constexpr int kRows = RowColumnGrid::rowsInFlight(Vectors);
  auto& shared = dynamicShared<MagnitudeShared<T, Width, Vectors>>();
  const RowColumnGrid& grid = pass.grid;
  const MagnitudeTensors<T>& m = pass.m;

  const int rowBlock = static_cast<int>(blockIdx.x) % grid.rowBlocks;
  const int segment = static_cast<int>(blockIdx.x) / grid.rowBlocks;
  const int chunk = segment % grid.chunks, group = segment / grid.chunks;
  const int64_t groupStart = int64_t{group} * grid.columnVectors * Width;

  const auto visit = [&](int64_t row, int step, int count, int vector, C(&columnSums)[Width][1],
                         C(&rowSums)[kRows]) {
    const int64_t column = groupStart + int64_t{vector} * Width;
    const C radius = m.radiusOf(column);
    Part y[kRows], dy[kRows];
    C n[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (i >= count) continue;
      const int64_t at = (row + int64_t{i} * step) * m.filters + column;
      y[i] = *reinterpret_cast<const Part*>(pass.y + at);
      dy[i] = *reinterpret_cast<const Part*>(pass.dy + at);
      n[i] = m.nx[pass.depthwise ? at : (row + int64_t{i} * step) * m.groups + group];
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (i >= count) continue;
      const int64_t at = (row + int64_t{i} * step) * m.filters + column;
      const MagnitudeAt<C> h = m.h.at(n[i], radius);
      const RowMagnitude<C> outputs(h);
      C products = 0;
#pragma unroll
      for (int j = 0; j < Width; ++j) {
        const RecoveredAngle<C> angle = recoverAngle(outputs, toCompute(y[i].at[j]), toCompute(dy[i].at[j]));
        y[i].at[j] = toStorage<T>(angle.g);
        dy[i].at[j] = storeGradient<T>(angle.dg);
        products += angle.product;
        columnSums[j][0] += angle.product * h.radiusSlope;
      }
      rowSums[i] += products * h.slope;
      *reinterpret_cast<Part*>(pass.g + at) = y[i];
      *reinterpret_cast<Part*>(pass.dg + at) = dy[i];
      if (Width == 1 && pass.depthwise) pass.radial[at] = products * h.slope * inverseNormOf(n[i]);
    }
  };
  const auto finishRow = [&](int64_t row, C sum) {
    if (Width == 1 && pass.depthwise) return;
    const int64_t at = row * m.groups + group;
    if (grid.chunks > 1) {
      pass.radialPartial[chunk * grid.rows * m.groups + at] = sum;
    } else {
      pass.radial[at] = sum * inverseNormOf(m.nx[at]);
    }
  };
  rowColumnSums<Width, Vectors, 1>(grid, rowBlock, chunk, shared, m.filters,
                                   pass.partial + int64_t{rowBlock} * m.filters + groupStart, visit,
                                   finishRow);
}

template <class T, int Width, int Vectors>
void launchPass(const Context& context, const MagnitudePass<T>& pass, int64_t segments) {
  launch(context, magnitudeBackward<T, Width, Vectors>,
         dim3(static_cast<unsigned>(pass.grid.rowBlocks * segments)), RowColumnGrid::kThreads,
         sizeof(MagnitudeShared<T, Width, Vectors>), pass);
}

/// The pass, then the sums over its blocks.
template <class T, int Width>
void runBackward(const Context& context, MagnitudePass<T> pass, const Tensor& dradius) {
  using C = Compute<T>;
  const MagnitudeTensors<T>& m = pass.m;
  const int64_t sumGroups = pass.depthwise ? 1 : m.groups;
  constexpr int kMost = RowColumnGrid::mostVectors(Width);
  pass.grid = RowColumnGrid(m.rows, m.filters / sumGroups, Width, sumGroups, context.multiprocessors, kMost);
  const RowColumnGrid& grid = pass.grid;
  const int64_t sums = int64_t{grid.rowBlocks} * m.filters, normCount = m.rows * m.groups;
  const bool split = grid.chunks > 1 && !pass.depthwise;
  const Workspace workspace(context,
                            static_cast<size_t>(sums + (split ? grid.chunks * normCount : 0)) * sizeof(C));
  pass.partial = workspace.as<C>();
  pass.radialPartial = pass.partial + sums;
  const int64_t segments = sumGroups * grid.chunks;
  if (grid.vectors == 1) {
    launchPass<T, Width, 1>(context, pass, segments);
  } else {
    launchPass<T, Width, kMost>(context, pass, segments);
  }
  if (dradius) {
    ColumnTotals<C, 1> totals;
    totals.partial = pass.partial;
    totals.blocks = grid.rowBlocks;
    totals.columns = m.filters;
    totals.out[0] = dradius.as<C>();
    totals.shared[0] = dradius.size() == 1 && m.filters > 1;
    launchColumnTotals(context, totals);
  }
  if (split) launchRowTotals(context, pass.radialPartial, grid.chunks, normCount, m.nx, false, pass.radial);
}

/// average and mean of native/ops.h from a sum of `count` norms; without a sum, what was averaged.
template <class C>
__global__ void finishMeanNorm(const C* sum, double count, double decay, C* average, C* mean) {
  if (threadIdx.x > 0) return;
  if (!sum) {
    *mean = average[1] > 0 ? average[0] / average[1] : C(1);
    return;
  }
  const C value = *sum > kLargestNorm<C> ? kLargestNorm<C> : *sum;
  *mean = static_cast<C>(static_cast<double>(value) / count);
  average[0] =
      static_cast<C>(decay * static_cast<double>(average[0]) + (1 - decay) * static_cast<double>(*mean));
  average[1] = static_cast<C>(decay * static_cast<double>(average[1]) + (1 - decay));
}

}  // namespace

void CudaOps::magnitude(const MagnitudeParams& p, const Tensor& nx, const Tensor& radius, const Tensor& g,
                        const Tensor& y) {
  if (y.size() == 0) return;
  withStorage(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const MagnitudeTensors<T> m(p, nx, radius, y);
    if (m.takesVectors(g.as<T>(), y.as<T>())) {
      launchForward<T, Vector<T>::kSize>(context_, m, g.as<T>(), y.as<T>());
    } else {
      launchForward<T, 1>(context_, m, g.as<T>(), y.as<T>());
    }
  });
}

void CudaOps::magnitudeBackward(const MagnitudeParams& p, const Tensor& y, const Tensor& dy, const Tensor& nx,
                                const Tensor& radius, const Tensor& g, const Tensor& dg, const Tensor& radial,
                                const Tensor& dradius) {
  if (y.size() == 0) {
    if (dradius) fill(0, dradius);
    return;
  }
  withStorage(y.dtype, [&](auto zero) {
    using T = decltype(zero);
    using C = Compute<T>;
    const MagnitudeTensors<T> m(p, nx, radius, y);
    const MagnitudePass<T> pass{m,
                                m.groups == m.filters && m.groups > 1,
                                y.as<T>(),
                                dy.as<T>(),
                                g.as<T>(),
                                dg.as<T>(),
                                radial.as<C>(),
                                nullptr,
                                nullptr,
                                {}};
    if constexpr (!std::is_same_v<T, double>) {
      if (m.takesVectors(pass.y, pass.dy, pass.g, pass.dg))
        return runBackward<T, Vector<T>::kSize>(context_, pass, dradius);
    }
    runBackward<T, 1>(context_, pass, dradius);
  });
}

void CudaOps::meanNorm(double decay, const Tensor& nx, const Tensor& average, const Tensor& mean) {
  const bool counts = nx && nx.size() > 0;
  if (counts) {
    Dims one;
    one.rank = nx.shape.rank;
    for (int i = 0; i < one.rank; ++i) one[i] = 1;
    sumTo(nx, {mean.data, mean.dtype, one});
  }
  withStorage(mean.dtype, [&](auto zero) {
    using C = Compute<decltype(zero)>;
    launch(context_, finishMeanNorm<C>, dim3(1), 32, 0, counts ? mean.as<C>() : nullptr,
           counts ? static_cast<double>(nx.size()) : 0, decay, average.as<C>(), mean.as<C>());
  });
}

}  // namespace spherenet::cuda
