// Convolutions and their data gradients as implicit GEMMs on tensor cores.
#pragma once

#include "../native/conv_shape.h"
#include "context.h"
#include "device/gemm_arguments.h"

namespace spherenet::cuda {

/// y = conv(x, w) + bias; bias may be empty.
void gemmConv2d(const Context& context, const Conv2dParams& p, const Tensor& x, const Tensor& w,
                const Tensor& bias, const Tensor& y);
/// y = g(angle(x, w)), with nx and nw, and z, which is y where nothing follows (native/ops.h).
void gemmSphereConv2d(const Context& context, const Conv2dParams& p, const AngularParams& a, const Tensor& x,
                      const Tensor& w, const Tensor& k, const AngleRescaling& rescaling, const Tensor& z,
                      const Tensor& nx, const Tensor& nw);
/// dx = transposed conv(dy, w), minus x box(r) where r is given.
void gemmDataGradient(const Context& context, const Conv2dParams& p, const Tensor& dy, const Tensor& w,
                      const Tensor& x, const Tensor& r, const Tensor& dx);

// ---- between implicit_gemm.cu, gemm_plan.cc and implicit_gemm_<type>.cu

/// Rows x columns of a block.
enum class TileShape { Elements128x64, Tile256x32, Tile64x64, Tile256x64, Tile128x96, Tile128x128 };

struct GemmPlan {
  TileShape tile;
  unsigned gridX, gridY, gridZ;
};

/// What decides about the tile.
struct GemmSize {
  int64_t rows;  // of the largest phase
  int64_t phases, groups, columns;
  int64_t slices;  // of the longest inner dimension
  double filled;   // mean over the phases of their share of these
  bool chunks;     // operands can be copied in chunks of 16 bytes
  bool exact;      // three products for one
  bool angular;    // angles are computed
};

/// Chooses tile and splits, and enters them into the arguments: rowTiles, columnTiles, sliceCount, splits.
GemmPlan planGemm(const Context& context, const GemmSize& size, GemmArguments& arguments);

/// Rows of a tile.
int tileRows(TileShape tile);

/// Launches the kernel for one of the operand types of device/tile.cuh.
template <class Operand>
void launchImplicitGemm(const Context& context, const GemmPlan& plan, const GemmArguments& arguments);

}  // namespace spherenet::cuda
