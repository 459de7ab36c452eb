#include "winograd.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "winograd_tiles.h"

namespace spherenet::cpu {
namespace {

using namespace wino;

WinogradUse fromEnvironment() {
  const char* variable = std::getenv("SPHERENET_WINOGRAD");
  const std::string text = variable ? variable : "";
  if (text.empty()) return WinogradUse::WhereItPays;
  if (text == "0") return WinogradUse::Never;
  if (text == "1") return WinogradUse::WherePossible;
  throw std::runtime_error("SPHERENET_WINOGRAD must be 0 (never) or 1 (wherever it is possible), got '" +
                           text + "'");
}

std::atomic<WinogradUse>& use() {
  static std::atomic<WinogradUse> chosen{fromEnvironment()};
  return chosen;
}

/// Writes the norms of a tile's patches to pack.norms and their inverses. Whether the tile may be
/// transformed.
bool putNorms(const simd::PackJob<float>& pack, const TileMap& tiles, int64_t tile, const TileSums& sums,
              float* inverseNorms) {
  const simd::PatchMap& map = *pack.map;
  const float epsilon = static_cast<float>(pack.epsilon);
  float squares[kTileOutputs], norms[kTileOutputs];
  for (int64_t i = 0; i < kTileOutputs; ++i) {
    squares[i] = sums.patches[i] + epsilon;
    norms[i] = std::sqrt(squares[i]);
    inverseNorms[i] = norms[i] > 0 ? 1 / norms[i] : 0.f;
  }
  const int64_t y = tile / tiles.w.tiles % tiles.h.tiles * kOutputs, x = tile % tiles.w.tiles * kOutputs;
  const int64_t image = tile / (tiles.h.tiles * tiles.w.tiles);
  float least = squares[0];
  for (int64_t i = 0; i < std::min(kOutputs, map.h.grid - y); ++i)
    for (int64_t j = 0; j < std::min(kOutputs, map.w.grid - x); ++j) {
      pack.norms[((image * map.h.grid + y + i) * map.w.grid + x + j) * pack.normStride] =
          norms[i * kOutputs + j];
      least = std::min(least, squares[i * kOutputs + j]);
    }
  return sums.tile <= kLargestTileSquare && sums.tile <= kLargestTileRatio * least;
}

/// What the epilogue needs of every row, in the order of the tiles: inverse norms, which are reported too, or
/// sums of r. Flags tiles with norms that are too large or too unlike.
const float* tileValues(const simd::PackJob<float>& pack, unsigned char* flags) {
  if (!pack.norms && !pack.pixels) return nullptr;
  const simd::PatchMap& map = *pack.map;
  const TileMap tiles = inputTiles(map);
  const int64_t count = map.images * tiles.h.tiles * tiles.w.tiles;
  const float* const pixels = pack.norms
                                  ? pixelSquares(ScratchSlot::PixelValues, pack.source,
                                                 map.images * map.h.source * map.w.source, map.channels)
                                  : pack.pixels;
  const int64_t stride = pack.norms ? 1 : pack.pixelStride;
  float* const values = scratch<float>(ScratchSlot::TileValues, count * kTileOutputs);
  parallelRanges(count, 512, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const TileSums sums(tiles, pixels, stride, tile);
      float* const to = values + tile * kTileOutputs;
      if (pack.norms) {
        flags[tile] = !putNorms(pack, tiles, tile, sums, to);
      } else {
        std::copy_n(sums.patches, kTileOutputs, to);
      }
    }
  });
  return values;
}

/// Panels of transformed filters.
struct TransformedFilters {
  const float* values;
  int64_t panelStride, positionStride;
};

TransformedFilters transformFilters(const FilterRows<float>& filters, int64_t steps, int64_t columns) {
  const int64_t panel = simd::kernels().single->panel, panels = ceilDivide(columns, panel);
  const int64_t stride = positionStride(steps * panel), panelStride = kPositions * stride;
  float* const values = scratch<float>(ScratchSlot::TransformedFilters, panels * panelStride);
  parallelTasks(panels, [&](int64_t task) {
    FiltersJob job;
    job.filters = filters.values;
    job.filterStride = filters.stride;
    job.count = filters.count;
    job.channels = filters.channels;
    job.transposed = filters.transposed;
    job.finiteOnly = filters.finiteOnly;
    job.firstColumn = task * panel;
    job.out = values + task * panelStride;
    job.positionStride = stride;
    simd::kernels().winograd->filters(job);
  });
  return {values, panelStride, stride};
}

/// Transformed tiles of one task: half of a second-level cache.
constexpr int64_t kTransformedBytes = 512 * 1024;

/// How tiles and panels are shared among tasks.
struct TileTasks {
  int64_t blockTiles, tileTasks, panelsPerTask, panelTasks;

  TileTasks(int64_t tiles, int64_t channelStride, int64_t tileRows, int64_t panels) {
    const int64_t bytes = kPositions * channelStride * static_cast<int64_t>(sizeof(float));
    // Fewer rows would not make good use of the filters that have to be read for them.
    const int64_t fitting =
        std::clamp(kTransformedBytes / bytes / tileRows * tileRows, 2 * tileRows, 4 * tileRows);
    const int64_t wanted = 2 * threadCount();
    tileTasks = ceilDivide(tiles, fitting);
    // As many for each thread, where there are few.
    if (tileTasks > 1 && tileTasks < 4 * wanted)
      tileTasks = std::min(tiles, roundUp(tileTasks, threadCount()));
    blockTiles = ceilDivide(tiles, tileTasks);
    tileTasks = ceilDivide(tiles, blockTiles);
    panelsPerTask = tileTasks >= wanted ? panels : ceilDivide(panels, ceilDivide(wanted, tileTasks));
    panelTasks = ceilDivide(panels, panelsPerTask);
  }
};

/// Whether a tile is flagged by one of the tasks that share it; flags of task k are `count` after those of
/// task 0.
bool mergeFlags(unsigned char* flags, int64_t tasks, int64_t count) {
  bool any = false;
  for (int64_t tile = 0; tile < count; ++tile) {
    for (int64_t task = 1; task < tasks; ++task) flags[tile] |= flags[task * count + tile];
    any = any || flags[tile];
  }
  return any;
}

}  // namespace

WinogradUse winogradUse() {
  return use().load(std::memory_order_relaxed);
}

void setWinogradUse(WinogradUse chosen) {
  use() = chosen;
}

bool usesWinograd(const Conv2dParams& p, const ConvShape& s) {
  const WinogradUse chosen = winogradUse();
  const bool possible = s.kh == kTaps && s.kw == kTaps && p.strideH == 1 && p.strideW == 1 &&
                        p.dilationH == 1 && p.dilationW == 1 && s.groups == 1;
  if (!possible || chosen == WinogradUse::Never) return false;
  if (chosen == WinogradUse::WherePossible) return true;
  // Multiply-adds of both, in the transforms what takes as long.
  const double c = static_cast<double>(s.c), o = static_cast<double>(s.o);
  const double tiles = static_cast<double>(s.images * tilesAlong(s.oh) * tilesAlong(s.ow));
  const double direct = static_cast<double>(s.positions()) * static_cast<double>(kTaps * kTaps) * c * o;
  const double winograd = tiles * (static_cast<double>(kPositions) * c * o + 250 * (c + o)) + 300 * c * o;
  return winograd < 0.8 * direct;
}

FlaggedTiles winogradProduct(const simd::PackJob<float>& pack, const simd::GemmJob<float>& product,
                             const FilterRows<float>& filters, const OutputMap& output) {
  const auto& kernel = *simd::kernels().winograd;
  const int64_t panel = simd::kernels().single->panel;
  const simd::PatchMap& map = *pack.map;
  const int64_t steps = map.channels, columns = filters.transposed ? filters.channels : filters.count;
  const TileMap inputs = inputTiles(map), outputs = outputTiles(map, columns);
  const int64_t tiles = map.images * inputs.h.tiles * inputs.w.tiles, panels = ceilDivide(columns, panel);
  const int64_t channelStride = packedRowStride<float>(steps);
  const TileTasks tasks(tiles, channelStride, simd::kernels().single->tileRows, panels);
  unsigned char* const flags = scratch<unsigned char>(ScratchSlot::TileFlags, tiles * tasks.panelTasks);
  std::fill_n(flags, tiles * tasks.panelTasks, 0);
  const float* const values = tileValues(pack, flags);
  const TransformedFilters transformed = transformFilters(filters, steps, columns);
  const int64_t inputStride = positionStride(tasks.blockTiles * channelStride),
                productStride = positionStride(tasks.blockTiles * panel);

  parallelTasks(tasks.tileTasks * tasks.panelTasks, [&](int64_t task) {
    const int64_t panelTask = task % tasks.panelTasks, begin = task / tasks.panelTasks * tasks.blockTiles;
    const int64_t end = std::min(tiles, begin + tasks.blockTiles);
    float* const input =
        scratch<float>(ScratchSlot::TransformedTiles, kPositions * (inputStride + productStride) + steps);
    float *const products = input + kPositions * inputStride, *const zeros =
                                                                  products + kPositions * productStride;
    std::fill_n(zeros, steps, 0.f);
    TilesJob from;
    from.map = inputs;
    from.source = pack.source;
    from.zeros = zeros;
    from.tileBegin = begin;
    from.tileEnd = end;
    from.channelEnd = steps;
    from.out = input;
    from.tileStride = channelStride;
    from.positionStride = inputStride;
    kernel.tiles(from);

    ProductJob part;
    part.aRow = channelStride;
    part.bStep = panel;
    part.rows = end - begin;
    part.steps = steps;
    const int64_t lastPanel = std::min(panels, (panelTask + 1) * tasks.panelsPerTask);
    for (int64_t index = panelTask * tasks.panelsPerTask; index < lastPanel; ++index) {
      const int64_t column = index * panel;
      part.columns = std::min(panel, columns - column);
      for (int64_t position = 0; position < kPositions; ++position) {
        part.a = input + position * inputStride;
        part.b = transformed.values + index * transformed.panelStride + position * transformed.positionStride;
        part.out = products + position * productStride;
        kernel.product(part);
      }
      simd::GemmJob<float> epilogue = product;
      epilogue.out += output.base + column;
      epilogue.columns = part.columns;
      if (product.other) epilogue.other += output.base + column;
      if (product.bias) epilogue.bias += column;
      epilogue.filters = product.filters.from(column);
      epilogue.inverseRowNorms = epilogue.rowFactors = values ? values + begin * kTileOutputs : nullptr;
      OutputsJob to;
      to.map = outputs;
      to.product = &epilogue;
      to.imageStride = output.imageStride;
      to.rowStride = output.iStride;
      to.columnStride = output.jStride;
      to.tileBegin = begin;
      to.tileEnd = end;
      to.products = products;
      to.positionStride = productStride;
      to.flags = flags + panelTask * tiles + begin;
      kernel.outputs(to);
    }
  });
  return {flags, inputs.h.tiles, inputs.w.tiles, tiles, mergeFlags(flags, tasks.panelTasks, tiles)};
}

}  // namespace spherenet::cpu
