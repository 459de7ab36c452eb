// Sums and coefficients per channel of a tensor [rows, C] of any C: how it is shared out, walked along, and
// how the partial sums of a launch are merged by the blocks of the next one. All sums have a fixed order.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "numeric.cuh"
#include "ptx.cuh"

namespace spherenet::cuda {

/// The tensor is read in lines of `width` elements, the smallest number of whole rows that is a multiple of a
/// pack of N elements, so that a lane (an element of a line) always meets the same channel and each thread
/// packs, whatever C is. A tile of `tileColumns` packs goes to `blocks` blocks, which take the lines in turn,
/// `linesAtOnce` at a time. Block index = block * tiles + tile.
struct ChannelGrid {
  static constexpr int kThreads = 512;
  /// Bytes of a line that a tile covers, at least; and at most twice as many elements.
  static constexpr int kTileBytes = 128;
  static constexpr int kMaxLanes = 2 * kTileBytes / 2;

  int64_t elements, rows;
  double inverseRows, unbias;  // 1 / rows and rows / (rows - 1)
  int channels;
  int width, repeat;  // elements and rows of a line
  int columns;        // packs of a line
  int tileColumns, tiles, linesAtOnce, blocks;
  int64_t lines, wholeLines;  // all, the last of which may be incomplete, and the complete ones
  bool aligned;               // complete lines are read and written in packs

  ChannelGrid(const Dims& shape, int pack, size_t elementSize, bool packed, int multiprocessors) {
    const int64_t c = shape[shape.rank - 1], line = std::lcm(c, int64_t{pack});
    if (line > std::numeric_limits<int>::max()) throw std::length_error("too many channels for CUDA");
    elements = shape.product();
    channels = static_cast<int>(c);
    rows = elements / c;
    inverseRows = 1 / static_cast<double>(rows);
    unbias = rows > 1 ? static_cast<double>(rows) / static_cast<double>(rows - 1) : 1;
    width = static_cast<int>(line);
    repeat = width / channels;
    columns = width / pack;
    lines = (elements + width - 1) / width;
    wholeLines = elements / width;
    aligned = packed;
    const int least = kTileBytes / (pack * static_cast<int>(elementSize));
    const int wanted = std::max(1, columns / least);
    tileColumns = (columns + wanted - 1) / wanted;
    tiles = (columns + tileColumns - 1) / tileColumns;
    linesAtOnce = kThreads / tileColumns;
    // A block for each multiprocessor: each block of the next launch reads the partial sums of all of its
    // tile.
    const int64_t steps = (lines + linesAtOnce - 1) / linesAtOnce;
    blocks = static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(steps, multiprocessors / tiles)));
  }

  unsigned gridSize() const { return static_cast<unsigned>(tiles) * static_cast<unsigned>(blocks); }
  /// Elements of the partial sums of one quantity.
  size_t partials() const { return static_cast<size_t>(blocks) * static_cast<size_t>(width); }
};

/// A block's part of a ChannelGrid, and a thread's of the block's.
template <int N>
struct ChannelTile {
  int block;             // which of the tile's blocks this is
  int firstLane, lanes;  // of the tile
  int channels;          // different ones in the tile
  int column, line;      // the thread's pack of the tile and line of the block's linesAtOnce
  int64_t firstLine, step;
  bool active;  // whether the thread has a pack

  __device__ __forceinline__ explicit ChannelTile(const ChannelGrid& g) {
    block = static_cast<int>(blockIdx.x) / g.tiles;
    const int tile = static_cast<int>(blockIdx.x) - block * g.tiles;
    firstLane = tile * g.tileColumns * N;
    lanes = min(g.tileColumns * N, g.width - firstLane);
    channels = min(lanes, g.channels);
    line = static_cast<int>(threadIdx.x) / g.tileColumns;
    column = static_cast<int>(threadIdx.x) - line * g.tileColumns;
    active = line < g.linesAtOnce && column * N < lanes;
    firstLine = int64_t{block} * g.linesAtOnce + line;
    step = int64_t{g.blocks} * g.linesAtOnce;
  }

  /// The thread's lane j in the line.
  __device__ __forceinline__ int lane(int j) const { return firstLane + column * N + j; }
  /// Channel `index` of the tile's.
  __device__ __forceinline__ int channelAt(const ChannelGrid& g, int index) const {
    return channels == g.channels ? index : (firstLane + index) % g.channels;
  }
  /// Calls body(j, channel, its index in the tile) for the thread's lanes.
  template <class Body>
  __device__ __forceinline__ void forEachLane(const ChannelGrid& g, const Body& body) const {
    int channel = active ? lane(0) % g.channels : 0;
    const bool all = channels == g.channels;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      body(j, channel, all ? channel : active ? column * N + j : 0);
      channel = channel + 1 == g.channels ? 0 : channel + 1;
    }
  }
  /// Whether this block of all writes what there is once per channel.
  __device__ __forceinline__ bool owns(int channel) const {
    return block == 0 && channel >= firstLane && channel < firstLane + lanes;
  }
};

/// A pass that begins at the end finds there in the cache what was written last, and leaves the start there
/// for the next one.
enum class Order { Forwards, Backwards };

/// Calls visit(offset, values, count, whole) for the thread's packs: values[operand][j] of the elements
/// offset + j, j < count; `whole`: the pack may be stored at once. `Unroll` lines are loaded at once.
template <int N, int Unroll, Order order, int Operands, class T, class Visit>
__device__ __forceinline__ void walkLines(const ChannelGrid& g, const ChannelTile<N>& tile,
                                          const T* const (&operands)[Operands], const Visit& visit) {
  if (!tile.active) return;
  const int64_t lane = tile.lane(0);
  const auto offsetOf = [&](int64_t line) {
    return (order == Order::Backwards ? g.wholeLines - 1 - line : line) * g.width + lane;
  };
  const int64_t packedLines = g.aligned ? g.wholeLines : 0;
#pragma unroll 1
  for (int64_t line = tile.firstLine; line < packedLines; line += Unroll * tile.step) {
    Vector<T, N> vectors[Unroll][Operands];
#pragma unroll
    for (int u = 0; u < Unroll; ++u) {
      if (line + u * tile.step >= packedLines) continue;
#pragma unroll
      for (int o = 0; o < Operands; ++o)
        vectors[u][o] = *reinterpret_cast<const Vector<T, N>*>(operands[o] + offsetOf(line + u * tile.step));
    }
#pragma unroll
    for (int u = 0; u < Unroll; ++u) {
      if (line + u * tile.step >= packedLines) continue;
      Compute<T> values[Operands][N];
#pragma unroll
      for (int o = 0; o < Operands; ++o)
#pragma unroll
        for (int j = 0; j < N; ++j) values[o][j] = toCompute(vectors[u][o].at[j]);
      visit(offsetOf(line + u * tile.step), values, N, true);
    }
  }
  // Element by element, in the same order: lines that are not aligned, then the incomplete one.
  const int64_t singleLines = g.wholeLines - packedLines;
  bool isLeft = tile.firstLine == 0 && g.lines > g.wholeLines;
#pragma unroll 1
  for (int64_t line = tile.firstLine; line < singleLines || isLeft; line += tile.step) {
    const bool isWhole = line < singleLines;
    isLeft = isLeft && isWhole;
    const int64_t offset = isWhole ? offsetOf(line) : g.wholeLines * g.width + lane;
    const int count = static_cast<int>(max(int64_t{0}, min(int64_t{N}, g.elements - offset)));
    Compute<T> values[Operands][N];
#pragma unroll
    for (int o = 0; o < Operands; ++o)
#pragma unroll
      for (int j = 0; j < N; ++j)
        values[o][j] = j < count ? toCompute(operands[o][offset + j]) : Compute<T>(0);
    visit(offset, values, count, false);
  }
}

/// Stores the first `count` of N values, where `whole` all of them at once.
template <int N, class T>
__device__ __forceinline__ void storeLanes(T* to, const Compute<T> (&values)[N], int count, bool whole) {
  if (whole) return storeValues(values, to);
#pragma unroll
  for (int j = 0; j < N; ++j)
    if (j < count) to[j] = toStorage<T>(values[j]);
}

template <class C, int N, int Sums>
struct BlockSumsShared {
  C at[Sums][N][ChannelGrid::kThreads + 8];  // 8: neighbouring rows in other banks
};

/// Adds up the sums of the block's threads, lane by lane: partial[(block * Sums + s) * width + lane].
template <int N, int Sums, class C>
__device__ __forceinline__ void storePartialSums(const ChannelGrid& g, const ChannelTile<N>& tile,
                                                 const C (&sums)[Sums][N],
                                                 BlockSumsShared<C, N, Sums>& shared,
                                                 C* __restrict__ partial) {
#pragma unroll
  for (int s = 0; s < Sums; ++s)
#pragma unroll
    for (int j = 0; j < N; ++j) shared.at[s][j][threadIdx.x] = sums[s][j];
  __syncthreads();
  const int columns = tile.lanes / N;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Sums * tile.lanes; i += ChannelGrid::kThreads) {
    const int row = i / columns, column = i - row * columns, s = row / N, j = row - s * N;
    C sum = 0;
#pragma unroll 4
    for (int line = 0; line < g.linesAtOnce; ++line) sum += shared.at[s][j][line * g.tileColumns + column];
    partial[(int64_t{tile.block} * Sums + s) * g.width + tile.firstLane + column * N + j] = sum;
  }
}

template <int Sums>
struct TileTotals {
  double slices[Sums][ChannelGrid::kThreads];
  double at[Sums][ChannelGrid::kMaxLanes];  // of the tile's channels
};

/// totals.at[s][index] = the sums over all blocks' partial sums, for each of the tile's channels. A barrier
/// for the block.
template <int N, int Sums, class C>
__device__ __forceinline__ void mergePartialSums(const ChannelGrid& g, const ChannelTile<N>& tile,
                                                 const C* __restrict__ partial, TileTotals<Sums>& totals) {
  constexpr int kMostSlices = 64;
  const int slices = min(kMostSlices, ChannelGrid::kThreads / tile.channels);
  const int slice = static_cast<int>(threadIdx.x) / tile.channels;
  const int index = static_cast<int>(threadIdx.x) - slice * tile.channels;
  if (slice < slices) {
    const C* from = partial + tile.channelAt(g, index);
    double sums[Sums] = {};
#pragma unroll 1
    for (int copy = 0; copy < g.repeat; ++copy, from += g.channels) {
#pragma unroll 4
      for (int block = slice; block < g.blocks; block += slices) {
#pragma unroll
        for (int s = 0; s < Sums; ++s)
          sums[s] += static_cast<double>(from[(int64_t{block} * Sums + s) * g.width]);
      }
    }
#pragma unroll
    for (int s = 0; s < Sums; ++s) totals.slices[s][threadIdx.x] = sums[s];
  }
  __syncthreads();
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Sums * tile.channels; i += ChannelGrid::kThreads) {
    const int s = i / tile.channels, channel = i - s * tile.channels;
    double sum = 0;
#pragma unroll 4
    for (int k = 0; k < slices; ++k) sum += totals.slices[s][k * tile.channels + channel];
    totals.at[s][channel] = sum;
  }
  __syncthreads();
}

}  // namespace spherenet::cuda
