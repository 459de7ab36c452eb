#include "cuda_ops.h"
#include "device/numeric.cuh"
#include "row_column_totals.cuh"
#include "weight_gradient.h"

namespace spherenet::cuda {
namespace {

template <class T, int Width>
struct alignas(Width * sizeof(T)) Elements {
  T at[Width];
};

/// There are no sums of rows, so columns may be in any number of chunks: one vector a lane is enough.
template <class T, int Width>
__global__ void __launch_bounds__(RowColumnGrid::kThreads, 2)
    biasSums(RowColumnGrid grid, const T* __restrict__ dy, int64_t columns, Compute<T>* partial) {
  using C = Compute<T>;
  using Part = Elements<T, Width>;
  constexpr int kRows = RowColumnGrid::rowsInFlight(1);
  auto& shared = dynamicShared<ColumnSumsShared<C, Width, 1, 1>>();
  const int rowBlock = static_cast<int>(blockIdx.x) % grid.rowBlocks;
  const int chunk = static_cast<int>(blockIdx.x) / grid.rowBlocks;
  const auto visit = [&](int64_t row, int step, int count, int vector, C(&columnSums)[Width][1],
                         C(&)[kRows]) {
    Part parts[kRows] = {};
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      if (i < count)
        parts[i] = *reinterpret_cast<const Part*>(dy + (row + int64_t{i} * step) * columns +
                                                  int64_t{vector} * Width);
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      if (i < count)
#pragma unroll
        for (int j = 0; j < Width; ++j) columnSums[j][0] += toCompute(parts[i].at[j]);
  };
  rowColumnSums<Width, 1, 1>(grid, rowBlock, chunk, shared, columns, partial + rowBlock * columns, visit,
                             [](int64_t, C) {});
}

template <class T, int Width>
void run(const Context& context, const Tensor& dy, const Tensor& dbias) {
  using C = Compute<T>;
  const int64_t columns = dbias.size(), rows = dy.size() / columns;
  const RowColumnGrid grid(rows, columns, Width, 1, context.multiprocessors, 1);
  const Workspace workspace(context, static_cast<size_t>(grid.rowBlocks * columns) * sizeof(C));
  launch(context, biasSums<T, Width>, dim3(static_cast<unsigned>(grid.rowBlocks * grid.chunks)),
         RowColumnGrid::kThreads, sizeof(ColumnSumsShared<C, Width, 1, 1>), grid, dy.as<T>(), columns,
         workspace.as<C>());
  ColumnTotals<C, 1> totals;
  totals.partial = workspace.as<C>();
  totals.blocks = grid.rowBlocks;
  totals.columns = columns;
  totals.out[0] = dbias.as<C>();
  launchColumnTotals(context, totals);
}

}  // namespace

void biasGradient(const Context& context, const Tensor& dy, const Tensor& dbias) {
  if (dbias.size() == 0) return;
  withStorage(dy.dtype, [&](auto zero) {
    using T = decltype(zero);
    constexpr int kWidth = Vector<T>::kSize;
    if (dbias.size() % kWidth == 0 && reinterpret_cast<uintptr_t>(dy.data) % 16 == 0) {
      run<T, kWidth>(context, dy, dbias);
    } else {
      run<T, 1>(context, dy, dbias);
    }
  });
}

}  // namespace spherenet::cuda
