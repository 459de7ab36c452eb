// What the passes by Winograd's algorithm share: where tiles lie, and sums over them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "implicit_gemm.h"
#include "winograd.h"

namespace spherenet::cpu::wino {

using namespace simd::winograd;

/// Elements that are written or read at all positions at once lie an odd number of cache lines apart, so that
/// the positions spread over the sets of the caches.
constexpr int64_t positionStride(int64_t elements) {
  return packedRowStride<float>(elements);
}

constexpr int64_t tilesAlong(int64_t extent) {
  return ceilDivide(extent, kOutputs);
}

/// Along an axis of taps at stride 1: the inputs of tiles, of which some may be in no patch.
constexpr TileAxis inputTiles(const simd::TapAxis& a) {
  return {tilesAlong(a.grid), a.first, a.source, std::max<int64_t>(0, a.first),
          std::min(a.source, a.grid + a.first + kTaps - 1)};
}

/// The outputs of tiles; read, as gradients, are those whose patch is not all padding.
constexpr TileAxis outputTiles(const simd::TapAxis& a) {
  return {tilesAlong(a.grid), 0, a.grid, std::max<int64_t>(0, 1 - kTaps - a.first),
          std::min(a.grid, a.source - a.first)};
}

inline TileMap inputTiles(const simd::PatchMap& m) {
  return {inputTiles(m.h), inputTiles(m.w), m.channels};
}

inline TileMap outputTiles(const simd::PatchMap& m, int64_t channels) {
  return {outputTiles(m.h), outputTiles(m.w), channels};
}

/// What a tile reads of a map of one number per pixel; zeros where nothing is read.
template <int64_t Extent>
struct TileValues {
  float at[Extent][Extent];

  TileValues(const TileMap& m, const float* pixels, int64_t stride, int64_t tile) {
    const int64_t top = m.h.first + tile / m.w.tiles % m.h.tiles * kOutputs,
                  left = m.w.first + tile % m.w.tiles * kOutputs;
    const float* const image = pixels + tile / (m.h.tiles * m.w.tiles) * m.h.extent * m.w.extent * stride;
    const int64_t begin = std::max<int64_t>(0, m.w.begin - left), end = std::min(Extent, m.w.end - left);
    for (int64_t i = 0; i < Extent; ++i) {
      std::fill_n(at[i], Extent, 0.f);
      if (top + i < m.h.begin || top + i >= m.h.end) continue;
      const float* const from = image + ((top + i) * m.w.extent + left) * stride;
      for (int64_t j = begin; j < end; ++j) at[i][j] = from[j * stride];
    }
  }
};

/// The sums of a map of pixels over each patch of a tile, and over the whole tile.
struct TileSums {
  float patches[kTileOutputs], tile = 0;

  TileSums(const TileMap& m, const float* pixels, int64_t stride, int64_t tileIndex) {
    const TileValues<kInputs> values(m, pixels, stride, tileIndex);
    float rows[kInputs][kOutputs];
    for (int64_t i = 0; i < kInputs; ++i) {
      const float* const row = values.at[i];
      for (int64_t j = 0; j < kOutputs; ++j) rows[i][j] = row[j] + row[j + 1] + row[j + 2];
      tile += rows[i][0] + rows[i][kOutputs - 1];
    }
    for (int64_t i = 0; i < kOutputs; ++i)
      for (int64_t j = 0; j < kOutputs; ++j)
        patches[i * kOutputs + j] = rows[i][j] + rows[i + 1][j] + rows[i + 2][j];
  }
};

/// The sum of squares of every pixel of NHWC images, in scratch memory.
inline const float* pixelSquares(ScratchSlot slot, const float* x, int64_t pixels, int64_t channels) {
  float* const squares = scratch<float>(slot, pixels);
  parallelRanges(pixels, std::max<int64_t>(1, 65536 / channels), [&](int64_t begin, int64_t end) {
    simd::kernels().winograd->squares(x + begin * channels, end - begin, channels, squares + begin);
  });
  return squares;
}

}  // namespace spherenet::cpu::wino
