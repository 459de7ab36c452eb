// The kernel of all tensor-core convolutions (arguments: gemm_arguments.h): a pipelined main loop over slices
// of taps and channels, which on the way adds up the squares of rows and columns where an angle is wanted.
#pragma once

#include "epilogue.cuh"

namespace spherenet::cuda {

/// One step of the main loop.
template <class Operand, bool Norms, class Tile>
__device__ __forceinline__ void consume(Fragments<Tile>& f, Accumulators<Tile>& sums,
                                        SquareSums<Tile>& squares) {
  roundFragments<Operand>(f);
  if constexpr (Norms) squares.template add<typename Operand::Storage>(f);
  multiply<Operand>(sums, f);
}

/// Begins to fill the stages that the main loop reads first.
template <class Loader>
__device__ __forceinline__ void primeStages(Loader& loader, unsigned char* stages, int slices) {
  for (int stage = 0; stage < Loader::kStages - 1; ++stage) loader.start(stages, stage, stage < slices);
}

/// Multiplies `slices` slices, which `loader` brings into the stages, while copies of later ones are under
/// way. Afterwards the stages are free.
template <class Operand, bool Norms, class Tile, class Loader>
__device__ __forceinline__ void multiplySlices(Loader& loader, unsigned char* stages, int slices,
                                               Accumulators<Tile>& sums, SquareSums<Tile>& squares) {
  // While a step is multiplied, the fragments of the next one are read, where registers allow: float32
  // operands are first rounded, or split, into others, elements come through registers, and from sm_100 on
  // the compiler takes more of them for the squares than there are.
  constexpr bool kAhead = Loader::kAhead && !(Norms && kArchitecture >= 100);
  constexpr int kStages = Loader::kStages;
  static_assert(kSteps == 2);
  if (slices == 0) return;
  const FragmentLoader<Tile> from{WarpPlace<Tile>()};
  Fragments<Tile> even, odd;
  loader.finish(stages, 0);
  __syncthreads();
  if (kAhead) from.template load<0>(even, stages);
  int read = 0, write = kStages - 1;
  for (int left = slices;;) {
    const unsigned char* const stage = stages + read * Tile::kStageBytes;
    if (!kAhead) from.template load<0>(even, stage);
    if (kAhead) from.template load<1>(odd, stage);
    // The stage to be filled was read by all warps before the last barrier.
    loader.start(stages, write, left >= kStages);
    consume<Operand, Norms>(even, sums, squares);
    if (!kAhead) from.template load<1>(odd, stage);
    if (!kAhead) consume<Operand, Norms>(odd, sums, squares);
    write = read;
    read = read + 1 == kStages ? 0 : read + 1;
    loader.finish(stages, read);
    __syncthreads();
    if (kAhead && left > 1) from.template load<0>(even, stages + read * Tile::kStageBytes);
    if (kAhead) consume<Operand, Norms>(odd, sums, squares);
    if (--left == 0) break;
  }
}

/// Grid: x = column tiles (innermost, so that blocks which share rows run together), row tiles, phases; y =
/// groups; z = splits.
template <class Tile, class Operand, template <class, class> class LoaderTemplate, bool Norms>
__global__ void __launch_bounds__(Tile::kThreads, Tile::kBlocks) implicitGemm(const GemmArguments g) {
  using T = typename Operand::Storage;
  using Loader = LoaderTemplate<Tile, T>;
  constexpr int kElements = kRowBytes / static_cast<int>(sizeof(T));
  auto& shared = dynamicShared<BlockShared<Tile, T, Loader::kStages>>();

  const unsigned columnTiles = static_cast<unsigned>(g.columnTiles),
                 rowTiles = static_cast<unsigned>(g.rowTiles);
  const int columnTile = static_cast<int>(blockIdx.x % columnTiles);
  const int rowTile = static_cast<int>(blockIdx.x / columnTiles % rowTiles);
  const int phases = static_cast<int>(gridDim.x / columnTiles / rowTiles);
  // The last phases tend to have the most taps: begin with these.
  const int phase = phases - 1 - static_cast<int>(blockIdx.x / columnTiles / rowTiles);
  const Gather gather(g, phase);
  const int64_t positions = static_cast<int64_t>(gather.h.grid) * gather.w.grid;
  const int64_t firstRow = static_cast<int64_t>(rowTile) * Tile::kRows;
  // A phase of fewer rows. The first tile of an empty batch still has norms of filters to report.
  if (rowTile > 0 && firstRow >= positions * g.images) return;

  OutputTile<T> tile;
  const int firstImage =
      rowTile == 0 ? 0 : static_cast<int>(static_cast<unsigned>(firstRow) / static_cast<unsigned>(positions));
  const int group = static_cast<int>(blockIdx.y), depth = gather.depth();
  tile.firstFilter = group * g.columns + columnTile * Tile::kColumns;
  tile.columns = g.columns - columnTile * Tile::kColumns;
  tile.reportsRows = columnTile == 0;
  tile.reportsColumns = rowTile == 0;
  tile.depth = depth;
  tile.origin = static_cast<const T*>(g.source) + static_cast<int64_t>(firstImage) * gather.imageSize() +
                group * g.groupChannels;
  tile.filters = static_cast<const T*>(g.filters) + phase * g.phaseStride +
                 static_cast<int64_t>(tile.firstFilter) * depth;

  const int thread = static_cast<int>(threadIdx.x);
  for (int row = thread; row < Tile::kRows; row += Tile::kThreads)
    shared.rows[row] = patchRow(gather, g, firstRow + row, firstImage, shared.pixels[row]);
  if (thread == 0) {
    shared.gather = gather;
    shared.tile = tile;
  }
  __syncthreads();

  const int split = static_cast<int>(blockIdx.z), allSlices = (depth + kElements - 1) / kElements;
  const int firstSlice = min(split * g.sliceCount, allSlices);
  const int slices = min(g.sliceCount, allSlices - firstSlice);
  Loader loader(Loader::kFromShared ? shared.gather : gather, shared.rows,
                Loader::kFromShared ? shared.tile : tile, firstSlice);
  primeStages(loader, shared.memory, slices);
  if (!Norms && g.result == GemmResult::MinusRow && split == 0) {
    for (int row = thread; row < Tile::kRows; row += Tile::kThreads) {
      const int32_t pixel = shared.pixels[row];
      if (pixel < 0) continue;
      const float sum = boxSum(gather, shared.rows[row], firstImage, g.r + group, g.groups);
      shared.rowFactors[row] = sum;
      if (g.splits > 1 && columnTile == 0)
        g.partialRows[static_cast<int64_t>(pixel) * g.groups + group] = sum;
    }
  }

  Accumulators<Tile> sums{};
  SquareSums<Tile> squares{};
  multiplySlices<Operand, Norms>(loader, shared.memory, slices, sums, squares);

  // What the epilogue needs of the tile is in shared memory: the main loop has no registers to spare.
  stageSums<Tile, Norms>(sums, squares, shared);
  __syncthreads();
  bool exact = false;
  if constexpr (Norms) exact = __syncthreads_or(finishNorms<Tile>(g, shared));
  if (g.splits > 1) {
    writePartialSums<Tile>(g, shared);
  } else if constexpr (Norms) {
    writeAngles<Tile>(g, shared);
    if (!exact) return;
    if (thread == 0) shared.arguments = g;
    __syncthreads();
    exactTile<Tile>(shared);
  } else {
    writeSums<Tile>(g, shared);
  }
}

}  // namespace spherenet::cuda
