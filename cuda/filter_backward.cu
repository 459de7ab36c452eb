// The backward pass of a SphereConv whose input asks for no gradient.
#include "cuda_ops.h"
#include "direct_convolution.h"
#include "filter_backward.cuh"
#include "norm_gradient.h"
#include "weight_launch.cuh"

namespace spherenet::cuda {
namespace {

constexpr int kFilterColumns = 32;  // the 27 of a first layer, which sees 3x3 pixels of three channels

/// What decides how filterBackward() is split: seconds of a stage on an H100, estimated from its bytes (8 KiB
/// of y and dz at a multiprocessor's share of the bandwidth) and its instructions, which take about as long.
constexpr double kAnglesSeconds = 0.3e-6;   // for 64 filters
constexpr double kColumnsSeconds = 0.1e-6;  // x, element by element

/// Whether h is formed while it is loaded: for filters in whole vectors, and patches that fit into one tile,
/// as every further tile would form h once more.
bool isFormedWhileLoading(const ConvShape& shape, const Tensor& y, const Tensor& dz) {
  return !isDirect(shape, y.dtype) && shape.filterSize() <= kFilterColumns &&
         shape.groupFilters * static_cast<int64_t>(sizeOf(y.dtype)) % 16 == 0 && areAligned(y.data, dz.data);
}

/// Two launches. The first reads y and dz once, 4 bytes of each result in 16 bits, and x, whose pixels the
/// patches share, mostly from the cache; it writes a few thousand numbers a block, which the second adds up.
/// With h in memory, written and read again, it is 8 bytes.
template <class Tile>
void runFilters(const Context& context, FilterPass<typename Tile::T, Tile::kNorm> pass,
                FilterTotals<typename Tile::T> totals) {
  const ConvGeometry& g = totals.out.geometry;
  pass.geometry = g;
  pass.x = totals.out.x;
  pass.exact = context.precision == Precision::Float32;
  pass.product.rowTiles = static_cast<int>(ceilDivide(g.groupFilters, Tile::kRows));
  pass.product.columnTiles = 1;
  pass.product.step = Position::at(g, Tile::kDepth);
  pass.width = g.filterSize() + Tile::kSums;
  const int64_t tiles = int64_t{pass.product.rowTiles} * g.groups, rowNumbers = int64_t{g.o} * pass.width;
  const int64_t positions = g.positions(), stages = std::max<int64_t>(1, ceilDivide(positions, Tile::kDepth));
  const int64_t resident = std::clamp<int64_t>(
      context.sharedMemoryPerBlock / static_cast<int64_t>(sizeof(FilterShared<Tile>)), 1, Tile::kBlocks);
  const double filters = std::min(g.groupFilters, Tile::kRows);
  int64_t splits =
      SplitCosts::choose(tiles, stages, resident, kColumnsSeconds + kAnglesSeconds * filters / Tile::kRows,
                         static_cast<double>(rowNumbers) * sizeof(float), context.multiprocessors);
  splits = std::max(splits, ceilDivide(positions, int64_t{1} << 30));
  const int64_t stagesPerSplit = ceilDivide(stages, splits);
  splits = ceilDivide(stages, stagesPerSplit);
  pass.product.positionsPerSplit = stagesPerSplit * Tile::kDepth;
  pass.splits = static_cast<int>(splits);

  const Workspace workspace(context, static_cast<size_t>(splits * rowNumbers) * sizeof(float));
  pass.partial = workspace.as<float>();
  launch(context, filterBackward<Tile>,
         dim3(static_cast<unsigned>(splits * pass.product.rowTiles), 1, static_cast<unsigned>(g.groups)),
         Tile::kThreads, sizeof(FilterShared<Tile>), pass);
  totals.partial = pass.partial;
  totals.splits = pass.splits;
  totals.width = pass.width;
  launch(context, finishFilters<typename Tile::T, Tile::kColumns>,
         dim3(static_cast<unsigned>(g.o + (totals.sharedK ? 1 : 0))), kFilterTotalsThreads,
         sizeof(FilterTotalsShared<Tile::kColumns>), totals);
}

}  // namespace

void CudaOps::sphereConv2dFilterBackward(const Conv2dParams& p, const AngularParams& a, bool relu,
                                         const Tensor& x, const Tensor& w, const Tensor& y, const Tensor& c,
                                         const Tensor& k, const Tensor& nx, const Tensor& nw,
                                         const Tensor& gamma, const Tensor& beta, const Tensor& mean,
                                         const Tensor& invStd, const Tensor& dz, const Tensor& dw,
                                         const Tensor& dk, const Tensor& dgamma, const Tensor& dbeta) {
  const ConvShape shape(p, x.shape, w.shape, y.shape);
  if (dw.size() == 0) return;
  if (!isFormedWhileLoading(shape, y, dz)) {
    const Workspace hMemory(context_, y.bytes()), rMemory(context_, nx.bytes()),
        qMemory(context_, nw.bytes());
    const Tensor h{hMemory.as<void>(), y.dtype, y.shape}, r{rMemory.as<void>(), nx.dtype, nx.shape},
        q{qMemory.as<void>(), nw.dtype, nw.shape};
    sphereConv2dNormBackward(a, relu, y, c, k, nx, nw, gamma, beta, mean, invStd, dz, h, r, q, dk, dgamma,
                             dbeta);
    return sphereConv2dWeightGradient(p, x, h, w, q, nw, dw);
  }
  const Workspace coefficients(context_, mean ? kNormFields * gamma.bytes() : 0);
  if (mean) sumNormGradients(context_, relu, y, gamma, beta, mean, invStd, dz, dgamma, dbeta, coefficients);
  withStorage(y.dtype, [&](auto type) {
    using T = decltype(type);
    if constexpr (!std::is_same_v<T, double>) {
      const FilterDirection direction{w, {}, nw};
      FilterTotals<T> totals{};
      totals.out = outputOf<T>(ConvGeometry(p, shape), x, dz, &direction, dw);
      totals.dk = dk.as<float>();
      totals.sharedK = dk && dk.size() == 1;
      if (!mean) {
        totals.dgamma = dgamma.as<float>();
        totals.dbeta = dbeta.as<float>();
      }
      const auto run = [&](auto norm) {
        constexpr bool kNorm = decltype(norm)::value;
        FilterPass<T, kNorm> pass{};
        pass.angles = angularPass<T, kNorm>(a, y, {}, dz, k, nx, nw, {}, {});
        pass.angles.relu = relu;
        pass.angles.norm = mean ? coefficients.as<float>() : nullptr;
        pass.angles.gamma = gamma.as<float>();
        pass.angles.beta = beta.as<float>();
        runFilters<FilterTile<T, kFilterColumns, kNorm>>(context_, pass, totals);
      };
      gamma ? run(std::true_type{}) : run(std::false_type{});
    }
  });
}

}  // namespace spherenet::cuda
