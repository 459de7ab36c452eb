// How the losses over rows of classes are launched. Host code.
#pragma once

#include "context.h"
#include "device/loss_rows.cuh"

namespace spherenet::cuda {

struct LossGrid {
  /// Rows longer than this take a block each.
  static constexpr int64_t kWarpClasses = 2048;
  /// Elements that one block handles alone, the mean of the rows' losses with it, in a single launch.
  static constexpr int64_t kBlockElements = 65536;

  int64_t rows, classes;
  bool wholeBlock;  // RowTeam::wholeBlock

  explicit LossGrid(const Dims& shape)
      : rows(shape[0]), classes(shape[1]), wholeBlock(classes > kWarpClasses) {}

  unsigned blocks() const {
    return static_cast<unsigned>(wholeBlock ? rows : ceilDivide(rows, kLossThreads / kWarpSize));
  }
  unsigned forwardBlocks() const { return rows * classes <= kBlockElements ? 1 : blocks(); }
};

/// A kernel that writes each row's loss also writes their mean where its grid has one block; else this does.
template <class T>
void launchMeanLoss(const Context& context, const LossGrid& grid, const double* losses, T* loss) {
  if (grid.forwardBlocks() == 1) return;
  launch(context, meanLoss<T>, 1, kLossThreads, sizeof(LossShared), losses, grid.rows, loss);
}

}  // namespace spherenet::cuda
