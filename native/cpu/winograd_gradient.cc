// The weight gradient by Winograd's algorithm: dw = G' (sum over tiles of (B' x B) * (A dy A')) G.
#include <algorithm>
#include <atomic>

#include "winograd_tiles.h"

namespace spherenet::cpu {
namespace {

using namespace wino;

/// Tiles that are added up in registers; fixed, as the order of summation depends on it.
constexpr int64_t kBlockTiles = 64;

/// How the elements of dw are shared among tasks: each owns some panels of channels and some filters, for all
/// tiles.
struct GradientTasks {
  int64_t panelTasks = 1, filterTasks = 1;

  GradientTasks(int64_t panels, int64_t panel, int64_t filters, int64_t tileRows) {
    // Sums above some 2 MB would have to come from memory for every block of tiles.
    constexpr int64_t kMostElements = 16384;
    const int64_t threads = threadCount(), mostFilterTasks = ceilDivide(filters, tileRows);
    double best = 0;
    for (int64_t f = 1; f <= mostFilterTasks; ++f)
      for (int64_t k = 1; k <= panels; ++k) {
        const int64_t ownFilters = ceilDivide(filters, f), ownChannels = ceilDivide(panels, k) * panel;
        const bool smallest = f == mostFilterTasks && k == panels;
        if (ownFilters * ownChannels > kMostElements && !smallest) continue;
        // Time of the last thread; transforming an element takes about as long as 12 products at every
        // position.
        const double cost = static_cast<double>(ceilDivide(f * k, threads)) *
                            static_cast<double>(ownFilters * ownChannels + 12 * (ownFilters + ownChannels));
        if (best > 0 && cost >= best) continue;
        best = cost;
        panelTasks = k;
        filterTasks = f;
      }
  }
};

struct Gradient {
  const ConvShape& s;
  const simd::PatchMap& patches;
  const float *x, *dy;
  float* dw;
  const unsigned char* flags;  // of tiles to be left out, or null

  TileMap inputs() const { return inputTiles(patches); }
  TileMap outputs() const { return outputTiles(patches, s.o); }
  int64_t tiles() const { return s.images * inputs().h.tiles * inputs().w.tiles; }
};

/// One task: filters [filterBegin, filterEnd) x channels [channelBegin, channelEnd).
struct GradientTask {
  const Gradient& g;
  int64_t filterBegin, filterEnd, channelBegin, channelEnd;

  int64_t filters() const { return filterEnd - filterBegin; }
  int64_t channels() const { return channelEnd - channelBegin; }

  /// Whether every element is finite.
  bool run() const {
    const auto& kernel = *simd::kernels().winograd;
    const int64_t panel = simd::kernels().single->panel, panels = ceilDivide(channels(), panel);
    const int64_t channelStride = packedRowStride<float>(panels * panel),
                  filterStride = packedRowStride<float>(roundUp(filters(), panel));
    const int64_t xStride = positionStride(kBlockTiles * channelStride),
                  dyStride = positionStride(kBlockTiles * filterStride);
    const int64_t sumStride = positionStride(filters() * panel), panelStride = kPositions * sumStride;
    const int64_t zeros = std::max(channels(), filters());
    float* const transformedX = scratch<float>(
        ScratchSlot::TransformedTiles, kPositions * (xStride + dyStride) + panels * panelStride + zeros);
    float *const transformedDy = transformedX + kPositions * xStride,
                 *const sums = transformedDy + kPositions * dyStride,
                 *const zero = sums + panels * panelStride;
    std::fill_n(zero, zeros, 0.f);

    TilesJob fromX{g.inputs(),   false,      g.x,          zero,          0,      0,
                   channelBegin, channelEnd, transformedX, channelStride, xStride};
    TilesJob fromDy{g.outputs(), true,      g.dy,          zero,         0,       0,
                    filterBegin, filterEnd, transformedDy, filterStride, dyStride};
    ProductJob product;
    product.aRow = 1;
    product.aStep = filterStride;
    product.bStep = channelStride;
    product.rows = filters();
    const int64_t tiles = g.tiles();
    for (int64_t begin = 0; begin < tiles; begin += kBlockTiles) {
      const int64_t end = std::min(tiles, begin + kBlockTiles);
      for (TilesJob* job : {&fromX, &fromDy}) {
        job->tileBegin = begin;
        job->tileEnd = end;
        kernel.tiles(*job);
        leaveOut(*job);
      }
      product.steps = end - begin;
      product.accumulate = begin > 0;
      for (int64_t position = 0; position < kPositions; ++position)
        for (int64_t k = 0; k < panels; ++k) {
          product.a = transformedDy + position * dyStride;
          product.b = transformedX + position * xStride + k * panel;
          product.columns = std::min(panel, channels() - k * panel);
          product.out = sums + k * panelStride + position * sumStride;
          kernel.product(product);
        }
    }
    bool finite = true;
    for (int64_t k = 0; k < panels; ++k) {
      const int64_t first = channelBegin + k * panel;
      const FilterGradientJob job{sums + k * panelStride,
                                  sumStride,
                                  filters(),
                                  std::min(panel, channelEnd - first),
                                  g.dw + filterBegin * g.s.filterSize() + first,
                                  g.s.c};
      finite = kernel.filterGradient(job) && finite;
    }
    return finite;
  }

  /// Flagged tiles count as zeros, whatever they hold.
  void leaveOut(const TilesJob& job) const {
    if (!g.flags) return;
    for (int64_t tile = job.tileBegin; tile < job.tileEnd; ++tile)
      for (int64_t position = 0; g.flags[tile] && position < kPositions; ++position)
        std::fill_n(job.out + position * job.positionStride + (tile - job.tileBegin) * job.tileStride,
                    job.tileStride, 0.f);
  }

  /// Adds the flagged tiles' share to dw; NaN and infinities in x count as 0.
  void addFlagged() const {
    constexpr int64_t kRows = 128;
    const auto& kernel = *simd::kernels().single;
    const int64_t xStride = packedRowStride<float>(roundUp(channels(), kernel.panel)), dyStride = filters();
    float* const dyRows = scratch<float>(ScratchSlot::RowValues, kRows * dyStride);
    simd::PackJob<float> pack;
    pack.map = &g.patches;
    pack.source = g.x;
    pack.packed = scratch<float>(ScratchSlot::PackedRows, kRows * xStride);
    pack.packedStride = xStride;
    pack.finiteOnly = true;
    const TileMap outputs = g.outputs();
    int64_t runs[kRows][2], runCount = 0, rows = 0;  // (first position, positions) of a row of a tile
    const auto flush = [&] {
      for (int64_t tap = 0; rows > 0 && tap < kTaps * kTaps; ++tap)
        add(pack, runs, runCount, dyRows, rows, tap);
      runCount = rows = 0;
    };
    for (int64_t tile = 0, tiles = g.tiles(); tile < tiles; ++tile) {
      if (!g.flags[tile]) continue;
      const int64_t y = tile / outputs.w.tiles % outputs.h.tiles * kOutputs,
                    left = tile % outputs.w.tiles * kOutputs;
      const int64_t image = tile / (outputs.h.tiles * outputs.w.tiles),
                    width = std::min(kOutputs, g.s.ow - left);
      for (int64_t i = y; i < std::min(g.s.oh, y + kOutputs); ++i) {
        if (rows + width > kRows) flush();
        const int64_t first = (image * g.s.oh + i) * g.s.ow + left;
        runs[runCount][0] = first;
        runs[runCount++][1] = width;
        for (int64_t j = 0; j < width; ++j)
          std::copy_n(g.dy + (first + j) * g.s.o + filterBegin, filters(), dyRows + rows++ * dyStride);
      }
    }
    flush();
  }

  void add(simd::PackJob<float> pack, const int64_t (*runs)[2], int64_t runCount, const float* dyRows,
           int64_t rows, int64_t tap) const {
    const auto& kernel = *simd::kernels().single;
    float* const packed = pack.packed;
    pack.columnBegin = tap * g.s.c + channelBegin;
    pack.columnEnd = tap * g.s.c + channelEnd;
    for (int64_t run = 0; run < runCount; ++run) {
      pack.rowBegin = runs[run][0];
      pack.rowEnd = runs[run][0] + runs[run][1];
      kernel.pack(pack);
      pack.packed += runs[run][1] * pack.packedStride;
    }
    simd::GemmJob<float> product;
    product.a = dyRows;
    product.aRow = 1;
    product.aStep = filters();
    product.bStep = pack.packedStride;
    product.rows = filters();
    product.steps = rows;
    product.outRow = g.s.filterSize();
    product.epilogue = simd::Epilogue::Add;
    for (int64_t c = 0; c < channels(); c += kernel.panel) {
      product.b = packed + c;
      product.columns = std::min(kernel.panel, channels() - c);
      product.out = g.dw + filterBegin * g.s.filterSize() + pack.columnBegin + c;
      kernel.gemm(product);
    }
  }
};

/// Whether what the tile adds to dw, the sum over its positions of dy times patch, is large enough beside the
/// product of all of dy and x in it, in proportion to which the transform errs.
bool mayTransform(const TileValues<kOutputs>& dySquares, const TileSums& xSquares) {
  double dy = 0, both = 0;
  for (int64_t i = 0; i < kTileOutputs; ++i) {
    const double square = static_cast<double>(dySquares.at[i / kOutputs][i % kOutputs]);
    dy += square;
    both += square * static_cast<double>(xSquares.patches[i]);
  }
  const double limit = static_cast<double>(kLargestTileSquare), x = static_cast<double>(xSquares.tile);
  return dy <= limit && x <= limit && dy * x <= static_cast<double>(kLargestTileRatio) * both;
}

struct Flags {
  const unsigned char* tiles;
  int64_t count;
};

Flags flagTiles(const Gradient& g) {
  const float* const x = pixelSquares(ScratchSlot::PixelValues, g.x, g.s.images * g.s.h * g.s.w, g.s.c);
  const float* const dy = pixelSquares(ScratchSlot::TileValues, g.dy, g.s.positions(), g.s.o);
  const int64_t tiles = g.tiles();
  unsigned char* const flags = scratch<unsigned char>(ScratchSlot::TileFlags, tiles);
  parallelRanges(tiles, 512, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile)
      flags[tile] =
          !mayTransform(TileValues<kOutputs>(g.outputs(), dy, 1, tile), TileSums(g.inputs(), x, 1, tile));
  });
  return {flags, std::count(flags, flags + tiles, 1)};
}

}  // namespace

bool winogradWeightGradient(const Conv2dParams& p, const ConvShape& s, const float* x, const float* dy,
                            bool finiteOnly, float* dw) {
  const simd::PatchMap patches = inputPatches(p, s, 0);
  Gradient gradient{s, patches, x, dy, dw, nullptr};
  if (finiteOnly) {
    const Flags flags = flagTiles(gradient);
    // Above a quarter, a direct product of everything is faster.
    if (flags.count * 4 > gradient.tiles()) return false;
    if (flags.count > 0) gradient.flags = flags.tiles;
  }
  const int64_t panel = simd::kernels().single->panel, panels = ceilDivide(s.c, panel);
  const GradientTasks tasks(panels, panel, s.o, simd::kernels().single->tileRows);
  std::atomic<bool> finite{true};
  parallelTasks(tasks.panelTasks * tasks.filterTasks, [&](int64_t task) {
    const int64_t f = task % tasks.filterTasks, k = task / tasks.filterTasks;
    const GradientTask part{gradient, s.o * f / tasks.filterTasks, s.o * (f + 1) / tasks.filterTasks,
                            panels * k / tasks.panelTasks * panel,
                            std::min(s.c, panels * (k + 1) / tasks.panelTasks * panel)};
    if (!part.run()) finite = false;
    if (gradient.flags) part.addFlagged();
  });
  return finite;
}

}  // namespace spherenet::cpu
