// The inner loops of convolutions by Winograd's algorithm F(4x4, 3x3): tiles of 4x4 outputs, which depend on
// 6x6 inputs, become 36 numbers each, and the convolution a matrix product for each of these 36 positions
// (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016). float32 only.
#pragma once

#include <cstdint>

namespace spherenet::cpu::simd {

template <class T>
struct GemmJob;

namespace winograd {

constexpr int64_t kOutputs = 4;                    // extent of a tile of outputs
constexpr int64_t kTaps = 3;                       // extent of a filter
constexpr int64_t kInputs = kOutputs + kTaps - 1;  // extent of a tile of inputs
constexpr int64_t kPositions = kInputs * kInputs;  // of a transformed tile
constexpr int64_t kTileOutputs = kOutputs * kOutputs;

/// The finite interpolation points are 0 and plus and minus these; the last is infinity. Of the pairs of
/// short binary fractions (all products of them in the transforms are exact), this gives the smallest largest
/// error: about a fifth of that of 1 and 2.
constexpr float kPoint = 0.6875f, kFarPoint = 1.375f;

/// Where tiles lie along one axis of an image: tile i begins at first + 4 i, and of the image, which has this
/// extent, [begin, end) is read.
struct TileAxis {
  int64_t tiles = 0, first = 0, extent = 0, begin = 0, end = 0;
};

/// The tiles of a batch of NHWC images, in the order (image, i, j).
struct TileMap {
  TileAxis h, w;
  int64_t channels = 0;
};

/// Transforms tiles [tileBegin, tileEnd) x channels [channelBegin, channelEnd): position p of tile t goes to
/// out + p * positionStride + (t - tileBegin) * tileStride. Pixels that are not read are zeros.
struct TilesJob {
  TileMap map;
  bool gradient = false;  // tiles of 4x4 outputs' gradients (for dw) instead of 6x6 inputs
  const float* source = nullptr;
  const float* zeros = nullptr;  // as many as there are channels
  int64_t tileBegin = 0, tileEnd = 0, channelBegin = 0, channelEnd = 0;
  float* out = nullptr;
  int64_t tileStride = 0, positionStride = 0;  // tileStride holds whole vectors
};

/// Transforms filters [o, 3, 3, channels] to rows [stepBegin, stepEnd) of one panel of B for each position:
/// rows are channels and columns filters, from firstColumn on; or where transposed rows are filters, columns
/// channels, and taps in reverse order.
struct FiltersJob {
  const float* filters = nullptr;
  int64_t filterStride = 0, count = 0, channels = 0;
  bool transposed = false, finiteOnly = false;  // finiteOnly: NaN and infinities become 0
  int64_t firstColumn = 0, stepBegin = 0, stepEnd = 0;
  float* out = nullptr;
  int64_t positionStride = 0;
};

/// out[i][j] = sum over steps of A(i, k) B(k, j) for a panel of B, rows a panel apart; accumulate: +=. A as
/// in GemmJob.
struct ProductJob {
  const float* a = nullptr;
  int64_t aRow = 0, aStep = 1;
  const float* b = nullptr;
  int64_t bStep = 0;
  int64_t rows = 0, columns = 0, steps = 0;
  bool accumulate = false;
  float* out = nullptr;
};

/// Transforms the products of tiles [tileBegin, tileEnd) back and finishes each result as the epilogue of the
/// product says, whose row values are here one for each output of a tile, from tileBegin on.
struct OutputsJob {
  TileMap map;  // of the output, from its first row and column on
  const GemmJob<float>* product = nullptr;
  int64_t imageStride = 0, rowStride = 0, columnStride = 0;  // of the output
  int64_t tileBegin = 0, tileEnd = 0;
  const float* products = nullptr;
  int64_t positionStride = 0;
  unsigned char* flags = nullptr;  // set to 1 for tiles with products that are not finite
};

/// dw [o, 3, 3, channels] of one panel of channels from the sums over tiles of its 36 positions.
struct FilterGradientJob {
  const float* sums = nullptr;  // row o a panel apart
  int64_t positionStride = 0, filters = 0, columns = 0;
  float* out = nullptr;  // of the panel's first channel
  int64_t channels = 0;
};

struct Kernels {
  /// sums[i] = sum of the squares of row i
  void (*squares)(const float* x, int64_t rows, int64_t columns, float* sums);
  void (*tiles)(const TilesJob&);
  void (*filters)(const FiltersJob&);
  void (*product)(const ProductJob&);
  void (*outputs)(const OutputsJob&);
  /// Whether everything is finite.
  bool (*filterGradient)(const FilterGradientJob&);
};

}  // namespace winograd
}  // namespace spherenet::cpu::simd
