// Instantiates and launches the implicit-GEMM kernels of one operand type; included by
// implicit_gemm_<type>.cu only, so that the types compile apart.
#pragma once

#include "device/implicit_gemm.cuh"
#include "implicit_gemm.h"

namespace spherenet::cuda {

template <class Tile, class Operand, template <class, class> class Loader, bool Norms>
void launchTile(const Context& context, const GemmPlan& plan, const GemmArguments& arguments) {
  using T = typename Operand::Storage;
  using Shared = BlockShared<Tile, T, Loader<Tile, T>::kStages>;
  launch(context, implicitGemm<Tile, Operand, Loader, Norms>, dim3(plan.gridX, plan.gridY, plan.gridZ),
         Tile::kThreads, sizeof(Shared), arguments);
}

template <class Tile, class Operand, template <class, class> class Loader = ChunkLoader>
void launchTile(const Context& context, const GemmPlan& plan, const GemmArguments& arguments) {
  if (arguments.result == GemmResult::Angular) {
    launchTile<Tile, Operand, Loader, true>(context, plan, arguments);
  } else {
    launchTile<Tile, Operand, Loader, false>(context, plan, arguments);
  }
}

template <class Operand>
void launchImplicitGemm(const Context& context, const GemmPlan& plan, const GemmArguments& arguments) {
  // Split operands take registers: fewer blocks at once, and none of the wide tiles.
  constexpr int kFewer = Operand::kExact ? 1 : 0;
  switch (plan.tile) {
    case TileShape::Elements128x64:
      return launchTile<GemmTile<128, 64, 32, 32, 2 - kFewer>, Operand, ElementLoader>(context, plan,
                                                                                       arguments);
    case TileShape::Tile256x32:
      return launchTile<GemmTile<256, 32, 64, 32, 2>, Operand>(context, plan, arguments);
    case TileShape::Tile64x64:
      return launchTile<GemmTile<64, 64, 32, 32, 4 - kFewer>, Operand>(context, plan, arguments);
    default:
      break;
  }
  if constexpr (!Operand::kExact) {
    switch (plan.tile) {
      case TileShape::Tile256x64:
        return launchTile<GemmTile<256, 64, 64, 64, 2>, Operand>(context, plan, arguments);
      case TileShape::Tile128x96:
        return launchTile<GemmTile<128, 96, 64, 48, 2>, Operand>(context, plan, arguments);
      case TileShape::Tile128x128:
        return launchTile<GemmTile<128, 128, 64, 64, 2>, Operand>(context, plan, arguments);
      default:
        break;
    }
  }
  throw std::logic_error("this operand type has no such tile");
}

}  // namespace spherenet::cuda
