// Where the rows of an implicit GEMM lie in the source, and how slices of both operands get into shared
// memory.
#pragma once

#include "gemm_arguments.h"
#include "tile.cuh"

namespace spherenet::cuda {

/// One axis of a gather: grid coordinate i reads source coordinate i * stride + first + t * step through tap
/// t, and its results belong to coordinate i * outputStep + outputFirst.
struct GatherAxis {
  int32_t grid, source, stride, first, step, taps, outputFirst, outputStep;
};

__device__ __forceinline__ GatherAxis forwardAxis(const ConvAxis& a) {
  return {a.output, a.input, a.stride, -a.pad, a.dilation, a.taps, 0, 1};
}

/// The input coordinates phase + stride * i, and the outputs that they reach through every tapStep-th tap,
/// the last of these taps first.
__device__ __forceinline__ GatherAxis gradientAxis(const ConvAxis& a, int phase) {
  GatherAxis g{(a.input - phase + a.stride - 1) / a.stride, a.output, 1, 0, a.sourceStep, 0, phase, a.stride};
  for (int tap = a.taps - 1; tap >= 0 && tap >= a.taps - a.tapStep; --tap) {
    const int distance = phase + a.pad - tap * a.dilation;
    if (distance % a.stride) continue;
    g.first = distance / a.stride;
    g.taps = tap / a.tapStep + 1;
    break;
  }
  return g;
}

/// What a block gathers: one phase and one group.
struct Gather {
  GatherAxis h, w;
  int32_t channels, groupChannels;  // of a source pixel; of them the group's

  __device__ __forceinline__ Gather(const GemmArguments& g, int phase)
      : h(g.gradient ? gradientAxis(g.h, phase / g.w.phases) : forwardAxis(g.h)),
        w(g.gradient ? gradientAxis(g.w, phase % g.w.phases) : forwardAxis(g.w)),
        channels(g.sourceChannels),
        groupChannels(g.groupChannels) {}

  __device__ __forceinline__ int depth() const { return h.taps * w.taps * groupChannels; }
  __device__ __forceinline__ int imageSize() const { return h.source * w.source * channels; }
  /// Elements from one tap to the next along each axis.
  __device__ __forceinline__ int downTaps() const { return h.step * w.source * channels; }
  __device__ __forceinline__ int acrossTaps() const { return w.step * channels; }
};

/// A row's patch: its first tap lies at (h, w), `offset` elements from the tile's origin, both possibly
/// outside of the image. Bit t of `taps`: tap row t is inside; bit 16 + t: tap column t is.
struct PatchRow {
  int32_t offset;
  uint32_t taps;
  int32_t h, w;
};

constexpr int kNowhere = -(1 << 30);
/// Up to this many taps an axis, PatchRow::taps holds them all.
constexpr int kMaskedTaps = 15;

/// Patch and output pixel of row `row` of the gather; the tile's origin is image `firstImage`. Rows behind
/// the last one are empty, with pixel -1.
__device__ inline PatchRow patchRow(const Gather& g, const GemmArguments& arguments, int64_t row,
                                    int firstImage, int32_t& pixel) {
  const int64_t rows = static_cast<int64_t>(arguments.images) * g.h.grid * g.w.grid;
  pixel = -1;
  if (row >= rows) return {0, 0, kNowhere, kNowhere};
  const unsigned index = static_cast<unsigned>(row), across = static_cast<unsigned>(g.w.grid);
  const unsigned line = index / across, down = static_cast<unsigned>(g.h.grid);
  const int j = static_cast<int>(index % across), i = static_cast<int>(line % down);
  const int image = static_cast<int>(line / down);
  const int height = arguments.gradient ? arguments.h.input : arguments.h.output;
  const int width = arguments.gradient ? arguments.w.input : arguments.w.output;
  pixel =
      (image * height + i * g.h.outputStep + g.h.outputFirst) * width + j * g.w.outputStep + g.w.outputFirst;

  PatchRow patch{0, 0, i * g.h.stride + g.h.first, j * g.w.stride + g.w.first};
  patch.offset = (image - firstImage) * g.imageSize() + (patch.h * g.w.source + patch.w) * g.channels;
  for (int t = 0; t < g.h.taps && t < kMaskedTaps; ++t)
    if (static_cast<unsigned>(patch.h + t * g.h.step) < static_cast<unsigned>(g.h.source))
      patch.taps |= 1u << t;
  for (int t = 0; t < g.w.taps && t < kMaskedTaps; ++t)
    if (static_cast<unsigned>(patch.w + t * g.w.step) < static_cast<unsigned>(g.w.source))
      patch.taps |= 0x10000u << t;
  return patch;
}

/// What a block multiplies and writes.
template <class T>
struct OutputTile {
  const T* origin;   // first image of the tile, first channel of the group
  const T* filters;  // the tile's columns, each of `depth` elements
  int32_t depth;
  int32_t firstFilter;               // of all groups
  int32_t columns;                   // to the end of the group; may exceed the tile's
  bool reportsRows, reportsColumns;  // whether this block writes norms of its rows, of its columns
};

/// Fills stages by asynchronous copies of 16 bytes. Needs channel counts and addresses of whole chunks, and
/// no more than kMaskedTaps taps an axis.
template <class Tile, class T>
class ChunkLoader {
 public:
  static constexpr int kStages = 4;
  static constexpr bool kAhead = sizeof(T) == 2;  // leaves registers for two sets of fragments
  static constexpr bool kFromShared = false;

  __device__ __forceinline__ ChunkLoader(const Gather& gather, const PatchRow* rows,
                                         const OutputTile<T>& tile, int firstSlice)
      : gather_(gather), origin_(tile.origin), depth_(tile.depth) {
    const int thread = static_cast<int>(threadIdx.x), row = thread / kChunks, chunk = thread % kChunks;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      offsets_[i] = rows[row + i * kRowStep].offset;
      taps_[i] = rows[row + i * kRowStep].taps;
    }
    to_ = chunkOffset(row, chunk);
    columns_ = tile.columns - row;
    k_ = firstSlice * kElements + chunk * kChunkElements;
    filters_ = tile.filters + static_cast<int64_t>(row) * depth_ + k_;
    filterStep_ = kRowStep * depth_;

    const int tap = k_ / gather_.groupChannels, down = tap / max(gather_.w.taps, 1);  // a phase may have none
    channel_ = k_ - tap * gather_.groupChannels;
    across_ = tap - down * gather_.w.taps;
    position_ = down * gather_.downTaps() + across_ * gather_.acrossTaps() + channel_;
    // Behind the last tap no row has this bit.
    bit_ = 1u << min(down, kMaskedTaps) | 0x10000u << across_;
  }

  /// Begins to fill `stage` with the next slice, if there is one.
  __device__ __forceinline__ void start(unsigned char* stages, int stage, bool exists) {
    if (exists) {
      unsigned char* const to = stages + stage * Tile::kStageBytes + to_;
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        copyAsync16(to + i * kRowStep * kRowBytes, origin_ + (offsets_[i] + position_),
                    (taps_[i] & bit_) == bit_);
      const int columns = k_ < depth_ ? columns_ : 0;
      const T* from = filters_;
#pragma unroll
      for (int i = 0; i < kColumns; ++i, from += filterStep_)
        copyAsync16(to + Tile::kRows * kRowBytes + i * kRowStep * kRowBytes, from, i * kRowStep < columns);
      advance();
    }
    commitCopies();
  }

  /// Makes sure that the stage to be read next has arrived, as far as this thread filled it.
  __device__ __forceinline__ void finish(unsigned char*, int) {
    waitForCopies<kStages - 2>();
  }

 private:
  static constexpr int kElements = kRowBytes / static_cast<int>(sizeof(T));
  static constexpr int kChunkElements = kChunkBytes / static_cast<int>(sizeof(T));
  static constexpr int kRowStep = Tile::kThreads / kChunks;
  static constexpr int kRows = Tile::kRows / kRowStep, kColumns = Tile::kColumns / kRowStep;
  static_assert(Tile::kRows % kRowStep == 0 && Tile::kColumns % kRowStep == 0 && kRowStep % 8 == 0);

  __device__ __forceinline__ void advance() {
    k_ += kElements;
    filters_ += kElements;
    channel_ += kElements;
    position_ += kElements;
    while (channel_ >= gather_.groupChannels) {
      channel_ -= gather_.groupChannels;
      position_ += gather_.acrossTaps() - gather_.groupChannels;
      bit_ += bit_ & 0xffff0000u;
      if (++across_ < gather_.w.taps) continue;
      across_ = 0;
      position_ += gather_.downTaps() - gather_.w.taps * gather_.acrossTaps();
      bit_ = (bit_ & 0x7fffu) << 1 | (bit_ & 0x8000u) | 0x10000u;  // the topmost bit stays: behind the end
    }
  }

  const Gather& gather_;
  const T* origin_;
  const T* filters_;
  int depth_, filterStep_;
  int offsets_[kRows];
  uint32_t taps_[kRows];
  uint32_t bit_;                             // this thread's tap, as in PatchRow::taps
  int to_, columns_;                         // place in a stage; columns from this thread's first one on
  int k_, channel_, across_, position_ = 0;  // of this thread's chunk; position_ counts from a row's offset
};

/// Fills stages element by element through registers: any channel count, any address, any number of taps.
template <class Tile, class T>
class ElementLoader {
 public:
  static constexpr int kStages = 2;
  static constexpr bool kAhead = false;
  static constexpr bool kFromShared = true;  // gather and tile stay there: the elements take the registers

  __device__ __forceinline__ ElementLoader(const Gather& gather, const PatchRow* rows,
                                           const OutputTile<T>& tile, int firstSlice)
      : gather_(gather), rows_(rows), tile_(tile) {
    const int thread = static_cast<int>(threadIdx.x);
    row_ = thread / kElements;
    element_ = thread % kElements;
    k_ = firstSlice * kElements + element_;
  }

  /// Loads the next slice, if there is one, into registers.
  __device__ __forceinline__ void start(unsigned char*, int, bool exists) {
    if (!exists) return;
    const int k = k_;
    const bool inside = k < tile_.depth;
    const int tap = inside ? k / gather_.groupChannels : 0, down = tap / gather_.w.taps;
    const int h = inside ? down * gather_.h.step : kNowhere,
              w = (tap - down * gather_.w.taps) * gather_.w.step;
    const int position =
        (down * gather_.h.step * gather_.w.source + w) * gather_.channels + (k - tap * gather_.groupChannels);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const PatchRow& row = rows_[row_ + i * kRowStep];
      const bool valid = static_cast<unsigned>(row.h + h) < static_cast<unsigned>(gather_.h.source) &&
                         static_cast<unsigned>(row.w + w) < static_cast<unsigned>(gather_.w.source);
      source_[i] = valid ? tile_.origin[row.offset + position] : toStorage<T>(0.0f);
    }
    const T* from = tile_.filters + (row_ * tile_.depth + k);
#pragma unroll
    for (int i = 0; i < kColumns; ++i, from += kRowStep * tile_.depth)
      filters_[i] = inside && row_ + i * kRowStep < tile_.columns ? *from : toStorage<T>(0.0f);
    k_ += kElements;
  }

  /// Stores what start() loaded.
  __device__ __forceinline__ void finish(unsigned char* stages, int stage) {
    unsigned char* const to = stages + stage * Tile::kStageBytes +
                              chunkOffset(row_, element_ / kChunkElements) +
                              element_ % kChunkElements * static_cast<int>(sizeof(T));
#pragma unroll
    for (int i = 0; i < kRows; ++i) *reinterpret_cast<T*>(to + i * kRowStep * kRowBytes) = source_[i];
#pragma unroll
    for (int i = 0; i < kColumns; ++i)
      *reinterpret_cast<T*>(to + (Tile::kRows + i * kRowStep) * kRowBytes) = filters_[i];
  }

 private:
  static constexpr int kElements = kRowBytes / static_cast<int>(sizeof(T));
  static constexpr int kChunkElements = kChunkBytes / static_cast<int>(sizeof(T));
  static constexpr int kRowStep = Tile::kThreads / kElements;
  static constexpr int kRows = Tile::kRows / kRowStep, kColumns = Tile::kColumns / kRowStep;
  static_assert(kRowStep % 8 == 0);  // the same order of chunks in all rows of a thread

  const Gather& gather_;
  const PatchRow* rows_;
  const OutputTile<T>& tile_;
  int row_, element_, k_;
  T source_[kRows], filters_[kColumns];
};

}  // namespace spherenet::cuda
