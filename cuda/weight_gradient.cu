// The weight gradient of both convolutions: a product on tensor cores over all positions, split over blocks,
// then one launch that adds the splits up. What tensor cores do not serve goes to direct_convolution.
#include <algorithm>

#include "device/direct_weight_gradient.cuh"
#include "device/weight_gemm.cuh"
#include "direct_convolution.h"
#include "weight_launch.cuh"

namespace spherenet::cuda {
namespace {

template <class T>
void sumSplits(const Context& context, const WeightOutput<T>& out, const Compute<T>* partial, int64_t splits,
               int64_t pitch) {
  const int64_t count = int64_t{out.geometry.o} * out.geometry.filterSize();
  launch(context, sumWeights<T>, dim3(static_cast<unsigned>(ceilDivide(count, kWeightSumColumns))),
         32 * kWeightSumWarps, sizeof(WeightSumShared<Compute<T>>), out, partial, static_cast<int>(splits),
         pitch);
}

/// Distance from split to split of partial sums, which are read four at a time.
int64_t partialPitch(const ConvGeometry& g) {
  return ceilDivide(int64_t{g.o} * g.filterSize(), 4) * 4;
}

template <class T>
void directWeightGradient(const Context& context, const WeightOutput<T>& out) {
  using C = Compute<T>;
  const ConvGeometry& g = out.geometry;
  const int64_t positions = g.positions(), pitch = partialPitch(g);
  DirectWeightPass pass;
  pass.filterBlocks = static_cast<int>(ceilDivide(g.o, 32));
  pass.step = Position::at(g, kDirectWarps);
  // Blocks for a few rounds on all multiprocessors, where that leaves each thread some 32 positions.
  const int64_t blocks = int64_t{pass.filterBlocks} * g.filterSize();
  const int64_t wanted = std::clamp<int64_t>(16 * int64_t{context.multiprocessors} / blocks, 1,
                                             std::max<int64_t>(1, positions / (32 * kDirectWarps)));
  pass.positionsPerSplit = std::max<int64_t>(1, ceilDivide(positions, wanted));
  const int64_t splits = std::max<int64_t>(1, ceilDivide(positions, pass.positionsPerSplit));
  const Workspace workspace(context, static_cast<size_t>(splits * pitch) * sizeof(C));
  launch(context, directWeights<T>, dim3(static_cast<unsigned>(splits * blocks)), 32 * kDirectWarps,
         sizeof(DirectWeightShared<C>), out, pass, workspace.as<C>(), pitch);
  sumSplits(context, out, workspace.as<C>(), splits, pitch);
}

template <class Tile>
void runTile(const Context& context, const WeightOutput<typename Tile::T>& out, bool chunkedRows) {
  const ConvGeometry& g = out.geometry;
  const int64_t positions = g.positions(), size = g.filterSize(), pitch = partialPitch(g);
  WeightPass pass;
  pass.rowTiles = static_cast<int>(ceilDivide(g.groupFilters, Tile::kRows));
  pass.columnTiles = static_cast<int>(ceilDivide(size, Tile::kColumns));
  pass.step = Position::at(g, Tile::kDepth);
  pass.chunkedRows = chunkedRows;
  const int64_t tiles = int64_t{pass.rowTiles} * pass.columnTiles * g.groups;
  const int64_t stages = std::max<int64_t>(1, ceilDivide(positions, Tile::kDepth));
  // tf32 has half the depth and half the rate, so its stages take as long; float32 is three products.
  const double stageSeconds =
      SplitCosts::kStage * Tile::kRows * Tile::kColumns / (64.0 * 96.0) * (Tile::Operand::kExact ? 3 : 1);
  int64_t splits = SplitCosts::choose(tiles, stages, Tile::kBlocks, stageSeconds,
                                      static_cast<double>(pitch) * sizeof(float), context.multiprocessors);
  splits = std::max(splits, ceilDivide(positions, int64_t{1} << 30));
  const int64_t stagesPerSplit = ceilDivide(stages, splits);
  splits = ceilDivide(stages, stagesPerSplit);
  pass.positionsPerSplit = stagesPerSplit * Tile::kDepth;

  const Workspace workspace(context, splits > 1 ? static_cast<size_t>(splits * pitch) * sizeof(float) : 0);
  float* const partial = splits > 1 ? workspace.as<float>() : nullptr;
  launch(context, weightGemm<Tile>,
         dim3(static_cast<unsigned>(splits * pass.rowTiles * pass.columnTiles), 1,
              static_cast<unsigned>(g.groups)),
         Tile::kThreads, sizeof(WeightShared<Tile>), out, pass, partial, pitch);
  if (partial) sumSplits(context, out, partial, splits, pitch);
}

/// Filters of a tile: where several are needed, the fewest that are computed in vain, with a bonus for large
/// tiles, which read less from shared memory for each product.
int rowsOfTile(int64_t filters) {
  int best = 0;
  double least = 0;
  for (const int rows : {128, 96, 64}) {
    const double cost = static_cast<double>(ceilDivide(filters, rows) * (rows + 32));
    if (best != 0 && cost >= least) continue;
    best = rows;
    least = cost;
  }
  return best;
}

template <class Operand>
void runOperand(const Context& context, const WeightOutput<typename Operand::Storage>& out) {
  using T = typename Operand::Storage;
  constexpr int kChunk = 16 / sizeof(T);
  const ConvGeometry& g = out.geometry;
  const bool chunkedRows = g.groupFilters % kChunk == 0 && areAligned(out.dy);
  const bool chunkedColumns = g.groupChannels % kChunk == 0 && areAligned(out.x);
  if (!chunkedRows || !chunkedColumns) {
    // 27 columns of a first layer fit into 32.
    if (g.filterSize() <= 32) return runTile<WeightTile<Operand, 64, 32, false>>(context, out, chunkedRows);
    return runTile<WeightTile<Operand, 64, 96, false>>(context, out, chunkedRows);
  }
  // 96 columns divide the nine taps of any multiple of 32 channels.
  const int rows = rowsOfTile(g.groupFilters);
  if constexpr (!Operand::kExact) {
    // Exact products are bound by the tensor cores, three of which they take: for them one tile is enough.
    if (rows == 96) return runTile<WeightTile<Operand, 96, 96, true>>(context, out, true);
    if (rows == 128) return runTile<WeightTile<Operand, 128, 96, true>>(context, out, true);
  }
  return runTile<WeightTile<Operand, 64, 96, true>>(context, out, true);
}

}  // namespace

void weightGradient(const Context& context, const Conv2dParams& p, const Tensor& x, const Tensor& dy,
                    const FilterDirection* direction, const Tensor& dw) {
  const ConvShape shape(p, x.shape, dw.shape, dy.shape);
  if (dw.size() == 0) return;
  const ConvGeometry geometry(p, shape);
  withStorage(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const WeightOutput<T> out = outputOf<T>(geometry, x, dy, direction, dw);
    if constexpr (std::is_same_v<T, double>) {
      directWeightGradient(context, out);
    } else {
      if (isDirect(shape, x.dtype)) return directWeightGradient(context, out);
      if constexpr (std::is_same_v<T, __nv_bfloat16>) {
        runOperand<Bfloat16Operand>(context, out);
      } else if constexpr (std::is_same_v<T, __half>) {
        runOperand<Float16Operand>(context, out);
      } else if (context.precision == Precision::Float32) {
        runOperand<Float32Operand>(context, out);
      } else {
        runOperand<Tf32Operand>(context, out);
      }
    }
  });
}

}  // namespace spherenet::cuda
