// Convolutions of 3x3 filters at stride 1 by Winograd's algorithm F(4x4, 3x3), float32 only: a quarter of the
// multiplications of the direct product.
//
// Of normally distributed images and filters, the root mean square of y and dx errs by 5e-7, 9e-7, 1.6e-6 and
// 2.2e-6 of its own size with 16, 64, 256 and 512 channels to add up, which is 1.8 to 2.8 times the error of
// the direct product; that of dw by 5e-7 to 6e-7 (test/native/winograd_test.cc). But the bound is another: a
// result errs in proportion to the largest patch of its tile, not to its own. Therefore what the direct
// product is better at is left to it, by rules on the data alone:
//  - tiles in which a result is not finite, so that NaN, infinities and overflow show where they do in a sum;
//  - SphereConv, forward: tiles whose 6x6 inputs have a sum of squares above kLargestTileSquare, or above
//    kLargestTileRatio times that of one of their patches plus epsilon;
//  - SphereConv, dw: tiles in which the sum of squares of dy or of the inputs is above kLargestTileSquare, or
//    the product of both above kLargestTileRatio times the sum over positions of their squares' products; and
//    all of dw where more than a quarter of the tiles is of this kind;
//  - all of dw where an element of it is not finite.
//
// Cosines near 1, whose error asin magnifies, need no rule: they err no more than those of the direct
// product, which there adds up numbers of one sign.
#pragma once

#include <cstdint>

#include "conv_shape.h"
#include "simd/kernels.h"

namespace spherenet::cpu {

enum class WinogradUse { Never, WhereItPays, WherePossible };

/// SPHERENET_WINOGRAD: 0 for Never, 1 for WherePossible, else WhereItPays. Throws std::runtime_error for
/// anything else.
WinogradUse winogradUse();
/// For tests; takes effect for the next operation.
void setWinogradUse(WinogradUse use);

/// Whether the three passes of this convolution take Winograd's algorithm (in float32). Depends on the shape
/// and on winogradUse() only, never on the threads.
bool usesWinograd(const Conv2dParams& p, const ConvShape& s);

constexpr float kLargestTileSquare = 1e30f, kLargestTileRatio = 64;

/// [count, 3, 3, channels], filters `stride` elements apart. transposed: those of the data gradient.
template <class T>
struct FilterRows {
  const T* values;
  int64_t stride, count, channels;
  bool transposed, finiteOnly;  // finiteOnly: NaN and infinities count as 0
};

/// Where row (image, i, j) of a product goes.
struct OutputMap {
  int64_t base = 0, imageStride = 0, iStride = 0, jStride = 0;
};

/// Tiles that have to be computed directly.
struct FlaggedTiles {
  const unsigned char* flags;  // one for each tile (image, i, j), in scratch memory
  int64_t tilesH, tilesW, count;
  bool any;
};

/// As patchProduct, for 3x3 taps at stride 1 with all channels.
FlaggedTiles winogradProduct(const simd::PackJob<float>& pack, const simd::GemmJob<float>& product,
                             const FilterRows<float>& filters, const OutputMap& output);

/// dw = corr(dy, x). False where a result is not finite, which is then to be computed directly.
bool winogradWeightGradient(const Conv2dParams& p, const ConvShape& s, const float* x, const float* dy,
                            bool finiteOnly, float* dw);

}  // namespace spherenet::cpu
