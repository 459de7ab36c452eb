// Filters as the B operand of an implicit GEMM: in the activations' type, and for the data gradient
// transposed and sorted by phase.
#pragma once

#include "gemm_arguments.h"
#include "numeric.cuh"
#include "ptx.cuh"

namespace spherenet::cuda {

constexpr int kLayoutThreads = 256;

/// to = from, rounded.
template <class T>
__global__ void __launch_bounds__(kLayoutThreads)
    convertFilters(int64_t count, const float* __restrict__ from, T* __restrict__ to) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kLayoutThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kLayoutThreads + threadIdx.x; i < count; i += step)
    to[i] = toStorage<T>(from[i]);
}

/// A tap's phase and its place among the taps of that phase, of which there are `count` (gradientAxis() in
/// gather.cuh has the same order).
struct PhaseTap {
  int phase, place, count;
};

__device__ __forceinline__ PhaseTap phaseTap(const ConvAxis& a, int tap) {
  const int distance = (tap * a.dilation - a.pad) % a.stride, place = (a.taps - 1 - tap) / a.tapStep;
  return {distance < 0 ? distance + a.stride : distance, place, (tap + place * a.tapStep) / a.tapStep + 1};
}

constexpr int kTransposeTile = 32;

template <class T>
struct TransposeShared {
  T tile[kTransposeTile][kTransposeTile + 1];
};

/// w [groups * filters, KH, KW, channels] -> for each phase, group and channel [taps of the phase, filters].
/// finiteOnly: NaN and infinities become 0. Grid: x = tiles of channels times tiles of filters, y = taps, z =
/// groups.
template <class S, class T>
__global__ void __launch_bounds__(kLayoutThreads, 4)
    gradientFilters(const ConvAxis h, const ConvAxis w, int groupFilters, int groupChannels,
                    int64_t phaseStride, bool finiteOnly, const S* __restrict__ from, T* __restrict__ to) {
  const unsigned channelTiles = static_cast<unsigned>((groupChannels + kTransposeTile - 1) / kTransposeTile);
  const unsigned filterTiles = static_cast<unsigned>((groupFilters + kTransposeTile - 1) / kTransposeTile);
  const int firstChannel = static_cast<int>(blockIdx.x % channelTiles) * kTransposeTile;
  const int firstFilter = static_cast<int>(blockIdx.x / channelTiles % filterTiles) * kTransposeTile;
  const int tap = static_cast<int>(blockIdx.x / channelTiles / filterTiles);
  const PhaseTap down = phaseTap(h, tap / w.taps), across = phaseTap(w, tap % w.taps);
  if (down.phase >= h.phases || across.phase >= w.phases) return;  // reaches no input
  auto& shared = dynamicShared<TransposeShared<T>>();
  const int lane = static_cast<int>(threadIdx.x) % kTransposeTile,
            line = static_cast<int>(threadIdx.x) / kTransposeTile;
  const int64_t group = blockIdx.y, taps = static_cast<int64_t>(h.taps) * w.taps;

  for (int i = line; i < kTransposeTile; i += kLayoutThreads / kTransposeTile) {
    const int filter = firstFilter + i, channel = firstChannel + lane;
    if (filter >= groupFilters || channel >= groupChannels) continue;
    const S value = from[((group * groupFilters + filter) * taps + tap) * groupChannels + channel];
    const auto v = toCompute(value);
    shared.tile[i][lane] = toStorage<T>(finiteOnly && !(v - v == 0) ? 0.0f : v);
  }
  __syncthreads();
  const int64_t phase = static_cast<int64_t>(down.phase) * w.phases + across.phase;
  const int64_t count = static_cast<int64_t>(down.count) * across.count;
  const int64_t place = static_cast<int64_t>(down.place) * across.count + across.place;
  for (int i = line; i < kTransposeTile; i += kLayoutThreads / kTransposeTile) {
    const int channel = firstChannel + i, filter = firstFilter + lane;
    if (filter >= groupFilters || channel >= groupChannels) continue;
    to[phase * phaseStride + ((group * groupChannels + channel) * count + place) * groupFilters + filter] =
        shared.tile[lane][i];
  }
}

}  // namespace spherenet::cuda
