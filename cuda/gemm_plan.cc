// Chooses tile and splits of an implicit GEMM by a model of its time.
#include <algorithm>
#include <limits>

#include "implicit_gemm.h"

namespace spherenet::cuda {
namespace {

struct TileInfo {
  TileShape shape;
  int rows, columns, warps, warpRows, warpColumns;
  int blocks;  // that share a multiprocessor
  bool wide;   // not for split operands
};

// A multiprocessor of an H100 reads 128 bytes of shared memory a clock and multiplies some 1,270 pairs of
// 16-bit numbers through mma.sync. Warps of 64x64 need 64 clocks of the first and 103 of the second for 32
// terms of the inner dimension, with copying just in balance; smaller ones are bound by reading. With 64
// columns, 256 rows keep such warps; 96 divides 96, 192 and 288 without waste; the smaller tiles are for
// outputs that fill too few multiprocessors, and for few columns. A tile of 128x64 besides would, by the
// model below, make 3 layers in 100 a fifteenth faster.
constexpr TileInfo kTiles[] = {{TileShape::Tile128x128, 128, 128, 4, 64, 64, 2, true},
                               {TileShape::Tile256x64, 256, 64, 4, 64, 64, 2, true},
                               {TileShape::Tile128x96, 128, 96, 4, 64, 48, 2, true},
                               {TileShape::Tile64x64, 64, 64, 4, 32, 32, 4, false},
                               {TileShape::Tile256x32, 256, 32, 4, 64, 32, 2, false}};
constexpr TileInfo kElements = {TileShape::Elements128x64, 128, 64, 8, 32, 32, 2, false};

/// Clocks of a multiprocessor that one block takes per slice of its main loop.
double sliceClocks(const TileInfo& tile, const GemmSize& size) {
  // 64 bytes of each row are written once and read by each warp that needs them, 128 bytes a clock.
  const double shared = 0.5 * (tile.warps * (tile.warpRows + tile.warpColumns) + tile.rows + tile.columns);
  // Half as many products of tf32 a clock, and a slice has half as many of them in a row.
  const double products = tile.rows * tile.columns * 32 / 1270.0 * (size.exact ? 3 : 1);
  // Element by element some 15 instructions each, in 128 lanes.
  const double elements = size.chunks ? 0 : (tile.rows + tile.columns) * 32 * 15 / 128.0;
  return std::max(shared, products) + elements;
}

/// Blocks that share a multiprocessor, whose shared memory is what one block may ask for and a little more.
int64_t residentBlocks(const Context& context, const TileInfo& tile) {
  const int operands = 4 * 64 * (tile.rows + tile.columns), sums = 4 * tile.rows * (tile.columns + 8);
  const int bytes = std::max(operands, sums) + 32 * tile.rows + 32 * tile.columns + 1024;
  return std::clamp<int64_t>(context.sharedMemoryPerBlock / bytes, 1, tile.blocks);
}

struct Estimate {
  double clocks;
  int64_t splits, sliceCount;
};

Estimate estimate(const Context& context, const TileInfo& tile, const GemmSize& size, int64_t splits) {
  const int64_t sliceCount = std::max<int64_t>(1, ceilDivide(size.slices, splits));
  splits = std::max<int64_t>(1, ceilDivide(size.slices, sliceCount));
  const int64_t tiles =
      ceilDivide(size.rows, tile.rows) * ceilDivide(size.columns, tile.columns) * size.groups;
  const int64_t processors = std::max(1, context.multiprocessors);
  const int64_t blocks = ceilDivide(tiles * size.phases * splits, processors);  // of the busiest one
  // Sums go through shared memory twice, and every result takes some instructions in 128 lanes.
  const double end = tile.rows * tile.columns * (8 / 128.0 + (size.angular ? 20 : 6) / 128.0);
  // A block alone waits for its own barriers and copies.
  const double alone = std::min(blocks, residentBlocks(context, tile)) == 1 ? 1.5 : 1;
  double clocks = 2000 + static_cast<double>(blocks) * alone *
                             (static_cast<double>(sliceCount) * size.filled * sliceClocks(tile, size) + end);
  if (splits > 1) {
    // Another launch, and the sums out and back through the second-level cache.
    const double bytes =
        8.0 * static_cast<double>(size.rows * size.phases * size.columns * size.groups * splits);
    clocks += 4000 + bytes / (20.0 * static_cast<double>(processors));
  }
  return {clocks, splits, sliceCount};
}

}  // namespace

int tileRows(TileShape shape) {
  for (const TileInfo& tile : kTiles)
    if (tile.shape == shape) return tile.rows;
  return kElements.rows;
}

GemmPlan planGemm(const Context& context, const GemmSize& size, GemmArguments& arguments) {
  constexpr int64_t kMostSplits = 32;
  const TileInfo* best = nullptr;
  Estimate least{std::numeric_limits<double>::infinity(), 1, 1};
  const auto consider = [&](const TileInfo& tile) {
    for (int64_t splits = 1; splits <= std::min(kMostSplits, std::max<int64_t>(1, size.slices / 4));
         ++splits) {
      const Estimate e = estimate(context, tile, size, splits);
      if (e.clocks >= least.clocks) continue;
      least = e;
      best = &tile;
    }
  };
  if (!size.chunks) consider(kElements);
  for (const TileInfo& tile : kTiles)
    if (size.chunks && !(size.exact && tile.wide)) consider(tile);

  const int64_t rowTiles = ceilDivide(size.rows, best->rows),
                columnTiles = ceilDivide(size.columns, best->columns);
  const int64_t tiles = rowTiles * columnTiles * size.phases;
  if (tiles > std::numeric_limits<int32_t>::max() || size.groups > 65535)
    throw std::runtime_error("a convolution of this size is beyond the CUDA backend's grids");
  arguments.rowTiles = static_cast<int32_t>(rowTiles);
  arguments.columnTiles = static_cast<int32_t>(columnTiles);
  arguments.sliceCount = static_cast<int32_t>(least.sliceCount);
  arguments.splits = static_cast<int32_t>(least.splits);
  return {best->shape, static_cast<unsigned>(tiles), static_cast<unsigned>(size.groups),
          static_cast<unsigned>(least.splits)};
}

}  // namespace spherenet::cuda
