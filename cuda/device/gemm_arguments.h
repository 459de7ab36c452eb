// What an implicit GEMM is told: filled by the host, read by the kernels.
#pragma once

#include <cstdint>

#include "../../native/ops.h"
#include "rescaling.h"

namespace spherenet::cuda {

/// One spatial axis of a convolution.
struct ConvAxis {
  int32_t input, output, stride, pad, dilation, taps;
  // For the data gradient. Its phases are the classes of input coordinates modulo the stride. The taps that
  // meet in one phase are `tapStep` apart and reach outputs `sourceStep` apart: stride and dilation over
  // their greatest common divisor. `phaseTaps` is the most taps that one phase has.
  int32_t phases, tapStep, sourceStep, phaseTaps;
};

/// What becomes of the sums when they are complete.
enum class GemmResult : int32_t {
  Plain = 0,    // y = sum + bias, bias optional
  Angular = 1,  // y = g(sum / (nx nw)), and what follows it
  MinusRow = 2  // y = sum - x box(r)
};

/// C[row][column] = sum over taps and channels of A times B. Rows are output positions (input pixels of one
/// phase where `gradient`), and A gathers their patches from `source` [images,H,W,sourceChannels], of which a
/// group has groupChannels. B is `filters`: for each phase, group and column a row of taps * groupChannels
/// elements, of which `phaseStride` elements belong to a phase.
struct GemmArguments {
  ConvAxis h, w;
  bool gradient;  // gathers from the output's side, stride by stride
  int32_t images, sourceChannels, groupChannels;
  int32_t groups, columns;  // columns of each group
  const void* source;
  const void* filters;
  int64_t phaseStride;

  int32_t rowTiles, columnTiles;  // of a phase; of a group
  int32_t sliceCount;             // slices of the inner dimension that one split takes
  int32_t splits;

  void* output;        // [pixels, groups * columns]
  int64_t outputSize;  // elements
  int64_t pixels;
  bool quads;  // whole aligned quads of columns can be read and written at once

  GemmResult result;
  const float* bias;  // Plain: [groups * columns] or null

  AngularOperator op;  // Angular
  float k, epsilon;
  const float* kTensor;  // [groups * columns], [1] (kStride 0) or null
  int32_t kStride;
  float* nx;  // [pixels, groups]
  float* nw;  // [groups * columns]
  Rescaling<float> rescaling;

  const void* x;   // MinusRow: like output
  const float* r;  // MinusRow: [positions of source, groups]

  // Where splits > 1: sums [splits, outputSize]; sums of squares of rows [splits, pixels, groups] (MinusRow:
  // box(r), one split only) and of columns [splits, groups * columns].
  float *partialSums, *partialRows, *partialColumns;
};

}  // namespace spherenet::cuda
