// Forward pass and data gradient by Winograd's algorithm: y = A' (sum over channels of (G g G') * (B' x B))
// A.
#include <algorithm>
#include <cmath>

#include "winograd_tiles.h"

namespace spherenet::cpu {
namespace {

using namespace wino;

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

/// How tiles and panels are shared among tasks, and how they are taken within one.
struct TileTasks {
  int64_t blockTiles, tileTasks, panelsPerTask, panelTasks, groupPanels;

  TileTasks(int64_t tiles, int64_t channelStride, int64_t tileRows, int64_t panels, int64_t panel) {
    // Bytes per tile; transformed tiles may take half of a second-level cache, products a quarter. But fewer
    // tiles would not make good use of the filters that have to be read for them.
    const int64_t inputBytes = kPositions * channelStride * 4, productBytes = kPositions * panel * 4;
    const int64_t fitting =
        std::clamp((512 << 10) / inputBytes / tileRows * tileRows, 2 * tileRows, 4 * tileRows);
    const int64_t wanted = 2 * threadCount();
    tileTasks = ceilDivide(tiles, fitting);
    // As many for each thread, where there are few.
    if (tileTasks > 1 && tileTasks < 4 * wanted)
      tileTasks = std::min(tiles, roundUp(tileTasks, threadCount()));
    blockTiles = ceilDivide(tiles, tileTasks);
    tileTasks = ceilDivide(tiles, blockTiles);
    panelsPerTask = tileTasks >= wanted ? panels : ceilDivide(panels, ceilDivide(wanted, tileTasks));
    panelTasks = ceilDivide(panels, panelsPerTask);
    groupPanels = std::clamp<int64_t>((256 << 10) / (productBytes * blockTiles), 1, panelsPerTask);
  }
};

/// Steps of a panel whose transformed filters fit into a second-level cache.
constexpr int64_t kChunkSteps = 128;

struct Product {
  const simd::PackJob<float>& pack;
  const simd::GemmJob<float>& epilogue;
  const FilterRows<float>& filters;
  const OutputMap& output;
  const simd::PatchMap& map = *pack.map;
  int64_t panel = simd::kernels().single->panel;
  int64_t steps = map.channels, columns = filters.transposed ? filters.channels : filters.count,
          panels = ceilDivide(columns, panel);
  TileMap inputs = inputTiles(map), outputs = outputTiles(map, columns);
  int64_t tiles = map.images * inputs.h.tiles * inputs.w.tiles, channelStride = packedRowStride<float>(steps);
  TileTasks tasks{tiles, channelStride, simd::kernels().single->tileRows, panels, panel};
  int64_t inputStride = positionStride(tasks.blockTiles * channelStride),
          productStride = positionStride(tasks.blockTiles * panel);

  // Where a panel serves one block of tiles only, each task transforms its own filters, chunk by chunk; else
  // all panels are transformed beforehand.
  bool ownFilters = tasks.tileTasks == 1;
  int64_t filterStride = positionStride((ownFilters ? std::min(steps, kChunkSteps) : steps) * panel);
  const float* transformed = nullptr;

  unsigned char* flags = nullptr;  // of each panel task for each tile
  const float* values = nullptr;   // for each output of each tile

  void transformFilters(int64_t index, int64_t stepBegin, int64_t stepEnd, float* to) const {
    const FiltersJob job{
        filters.values,     filters.stride, filters.count, filters.channels, filters.transposed,
        filters.finiteOnly, index * panel,  stepBegin,     stepEnd,          to,
        filterStride};
    simd::kernels().winograd->filters(job);
  }

  void transformAllFilters() {
    float* const to = scratch<float>(ScratchSlot::TransformedFilters, panels * kPositions * filterStride);
    const int64_t chunks = ceilDivide(steps, kChunkSteps);
    parallelTasks(panels * chunks, [&](int64_t task) {
      const int64_t index = task / chunks, begin = task % chunks * kChunkSteps;
      transformFilters(index, begin, std::min(steps, begin + kChunkSteps),
                       to + index * kPositions * filterStride + begin * panel);
    });
    transformed = to;
  }

  void run(int64_t task) const {
    const int64_t panelTask = task % tasks.panelTasks, begin = task / tasks.panelTasks * tasks.blockTiles;
    const int64_t end = std::min(tiles, begin + tasks.blockTiles);
    float* const input =
        scratch<float>(ScratchSlot::TransformedTiles,
                       kPositions * (inputStride + tasks.groupPanels * productStride) + steps);
    float *const products = input + kPositions * inputStride, *const zeros = products + tasks.groupPanels *
                                                                                            kPositions *
                                                                                            productStride;
    std::fill_n(zeros, steps, 0.f);
    simd::kernels().winograd->tiles(
        {inputs, false, pack.source, zeros, begin, end, 0, steps, input, channelStride, inputStride});
    const int64_t lastPanel = std::min(panels, (panelTask + 1) * tasks.panelsPerTask);
    for (int64_t first = panelTask * tasks.panelsPerTask; first < lastPanel; first += tasks.groupPanels) {
      const int64_t last = std::min(lastPanel, first + tasks.groupPanels);
      multiply(first, last, end - begin, input, products);
      for (int64_t index = first; index < last; ++index)
        finish(index, begin, end, products + (index - first) * kPositions * productStride,
               flags + panelTask * tiles + begin);
    }
  }

  /// The products of panels [first, last) with `count` tiles.
  void multiply(int64_t first, int64_t last, int64_t count, const float* input, float* products) const {
    if (ownFilters) return multiplyByChunks(first, last, count, input, products);
    for (int64_t position = 0; position < kPositions; ++position)
      for (int64_t index = first; index < last; ++index)
        multiplyOne(index, count, 0, steps, input + position * inputStride,
                    transformed + (index * kPositions + position) * filterStride,
                    products + ((index - first) * kPositions + position) * productStride);
  }

  void multiplyByChunks(int64_t first, int64_t last, int64_t count, const float* input,
                        float* products) const {
    float* const chunk = scratch<float>(ScratchSlot::TransformedFilters, kPositions * filterStride);
    for (int64_t index = first; index < last; ++index)
      for (int64_t step = 0; step < steps; step += kChunkSteps) {
        const int64_t end = std::min(steps, step + kChunkSteps);
        transformFilters(index, step, end, chunk);
        for (int64_t position = 0; position < kPositions; ++position)
          multiplyOne(index, count, step, end, input + position * inputStride,
                      chunk + position * filterStride,
                      products + ((index - first) * kPositions + position) * productStride);
      }
  }

  /// Steps [begin, end) of one panel at one position.
  void multiplyOne(int64_t index, int64_t count, int64_t begin, int64_t end, const float* input,
                   const float* filterRows, float* to) const {
    ProductJob job;
    job.a = input + begin;
    job.aRow = channelStride;
    job.b = filterRows;
    job.bStep = panel;
    job.rows = count;
    job.columns = std::min(panel, columns - index * panel);
    job.steps = end - begin;
    job.accumulate = begin > 0;
    job.out = to;
    simd::kernels().winograd->product(job);
  }

  void finish(int64_t index, int64_t begin, int64_t end, const float* products,
              unsigned char* tileFlags) const {
    const int64_t column = index * panel;
    simd::GemmJob<float> job = epilogue;
    job.out += output.base + column;
    job.columns = std::min(panel, columns - column);
    if (job.other) job.other += output.base + column;
    if (job.bias) job.bias += column;
    job.filters = epilogue.filters.from(column);
    job.following = epilogue.following.from(column);
    job.inverseRowNorms = job.rowFactors = values ? values + begin * kTileOutputs : nullptr;
    simd::kernels().winograd->outputs({outputs, &job, output.imageStride, output.iStride, output.jStride,
                                       begin, end, products, productStride, tileFlags});
  }

  /// Whether a tile is flagged by one of the tasks that share it.
  bool mergeFlags() const {
    bool any = false;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      for (int64_t task = 1; task < tasks.panelTasks; ++task) flags[tile] |= flags[task * tiles + tile];
      any = any || flags[tile];
    }
    return any;
  }
};

}  // namespace

FlaggedTiles winogradProduct(const simd::PackJob<float>& pack, const simd::GemmJob<float>& product,
                             const FilterRows<float>& filters, const OutputMap& output) {
  Product work{pack, product, filters, output};
  const int64_t flags = work.tiles * work.tasks.panelTasks;
  work.flags = scratch<unsigned char>(ScratchSlot::TileFlags, flags);
  std::fill_n(work.flags, flags, 0);
  work.values = tileValues(pack, work.flags);
  if (!work.ownFilters) work.transformAllFilters();
  parallelTasks(work.tasks.tileTasks * work.tasks.panelTasks, [&](int64_t task) { work.run(task); });
  return {work.flags, work.inputs.h.tiles, work.inputs.w.tiles, work.tiles, work.mergeFlags()};
}

}  // namespace spherenet::cpu
