// The weight gradient without tensor cores. A block of warps sums one tap and channel for 32 filters: lanes
// lie along filters, so that depthwise convolutions read both operands in order; warps take positions in
// turn.
#pragma once

#include "weight_sums.cuh"

namespace spherenet::cuda {

constexpr int kDirectWarps = 8;

struct DirectWeightPass {
  int filterBlocks;
  int64_t positionsPerSplit;
  Position step;  // kDirectWarps
};

template <class C>
struct DirectWeightShared {
  C at[kDirectWarps][32];
};

/// Grid: x = (split * filterSize + element) * filterBlocks + block of filters. partial [split, filter,
/// element], `pitch` elements from split to split.
template <class T>
__global__ void __launch_bounds__(32 * kDirectWarps, 4)
    directWeights(WeightOutput<T> out, DirectWeightPass pass, Compute<T>* __restrict__ partial,
                  int64_t pitch) {
  using C = Compute<T>;
  auto& shared = dynamicShared<DirectWeightShared<C>>();
  const ConvGeometry& g = out.geometry;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const Quotient block = divide(blockIdx.x, pass.filterBlocks), split = divide(block.value, g.filterSize());
  const int filter = static_cast<int>(block.rest) * 32 + lane, element = static_cast<int>(split.rest);
  const int64_t begin = split.value * pass.positionsPerSplit;
  const int64_t end = min(g.positions(), begin + pass.positionsPerSplit);

  C sum = 0;
  if (filter < g.o) {
    const int tap = element / g.groupChannels;
    const int down = tap / g.kw * g.dilationH, across = tap % g.kw * g.dilationW;
    const T* const x = out.x + filter / g.groupFilters * g.groupChannels + element % g.groupChannels;
    const T* const dy = out.dy + filter;
    const bool finiteOnly = out.q != nullptr;
    Position position = Position::at(g, begin + warp);
#pragma unroll 4
    for (int64_t at = begin + warp; at < end; at += kDirectWarps) {
      const int row = position.top(g) + down, column = position.left(g) + across;
      if (static_cast<unsigned>(row) < static_cast<unsigned>(g.h) &&
          static_cast<unsigned>(column) < static_cast<unsigned>(g.w)) {
        const C value = toCompute(x[((int64_t{position.image} * g.h + row) * g.w + column) * g.c]);
        if (!finiteOnly || value - value == 0) sum += value * toCompute(dy[at * g.o]);
      }
      position.advance(g, pass.step);
    }
  }
  shared.at[warp][lane] = sum;
  __syncthreads();
  if (warp > 0 || filter >= g.o) return;
  sum = 0;
#pragma unroll
  for (int i = 0; i < kDirectWarps; ++i) sum += shared.at[i][lane];
  partial[split.value * pitch + int64_t{filter} * g.filterSize() + element] = sum;
}

}  // namespace spherenet::cuda
