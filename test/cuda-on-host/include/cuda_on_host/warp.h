// Collectives of a warp: shuffles, votes, __syncwarp.
#pragma once

#include <cstdint>
#include <type_traits>

#include "execution.h"

namespace cuda_on_host {

template <class T>
struct Shuffle {
  T value;
  int source;  // lane
  T result;
};

template <class T>
void combineShuffles(void* const* parts, uint32_t mask) {
  for (int lane = 0; lane < warpSize; ++lane) {
    if (!(mask >> lane & 1)) continue;
    auto& mine = *static_cast<Shuffle<T>*>(parts[lane]);
    if (!(mask >> mine.source & 1)) {
      fail("lane %d takes a shuffled value from lane %d, which is outside the mask %08x", lane, mine.source,
           mask);
    }
    mine.result = static_cast<const Shuffle<T>*>(parts[mine.source])->value;
  }
}

inline void checkWidth(int width) {
  if (width < 1 || width > warpSize || (width & (width - 1)) != 0) {
    fail("a shuffle's width is a power of two up to 32, not %d", width);
  }
}

template <class T>
T shuffle(const char* name, uint32_t mask, T value, int source) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>, "CUDA shuffles numbers of up to 8 bytes");
  Shuffle<T> part{value, source, value};
  warpCollective(name, mask, &part, combineShuffles<T>);
  return part.result;
}

struct Vote {
  bool predicate;
  uint32_t result;
};

inline void combineVotes(void* const* parts, uint32_t mask) {
  uint32_t votes = 0;
  for (int lane = 0; lane < warpSize; ++lane) {
    if (mask >> lane & 1 && static_cast<Vote*>(parts[lane])->predicate) votes |= 1u << lane;
  }
  for (int lane = 0; lane < warpSize; ++lane) {
    if (mask >> lane & 1) static_cast<Vote*>(parts[lane])->result = votes;
  }
}

struct AllVote {
  bool predicate, result;
};

inline void combineAllVotes(void* const* parts, uint32_t mask) {
  bool all = true;
  for (int lane = 0; lane < warpSize; ++lane) {
    if (mask >> lane & 1) all = all && static_cast<AllVote*>(parts[lane])->predicate;
  }
  for (int lane = 0; lane < warpSize; ++lane) {
    if (mask >> lane & 1) static_cast<AllVote*>(parts[lane])->result = all;
  }
}

inline void combineNothing(void* const*, uint32_t) {}

}  // namespace cuda_on_host

template <class T>
T __shfl_sync(uint32_t mask, T value, int source, int width = warpSize) {
  cuda_on_host::checkWidth(width);
  const int first = cuda_on_host::laneIndex() & ~(width - 1);
  return cuda_on_host::shuffle("__shfl_sync", mask, value, first | (source & (width - 1)));
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int lanes, int width = warpSize) {
  cuda_on_host::checkWidth(width);
  // A lane of an earlier segment may be read, one of a later segment may not: then the lane keeps its own
  // value.
  const int lane = cuda_on_host::laneIndex(), source = lane ^ lanes;
  const bool valid = source < warpSize && source >= 0 && source <= (lane | (width - 1));
  return cuda_on_host::shuffle("__shfl_xor_sync", mask, value, valid ? source : lane);
}
template <class T>
T __shfl_up_sync(uint32_t mask, T value, unsigned delta, int width = warpSize) {
  cuda_on_host::checkWidth(width);
  const int lane = cuda_on_host::laneIndex();
  const bool valid = static_cast<unsigned>(lane & (width - 1)) >= delta;
  return cuda_on_host::shuffle("__shfl_up_sync", mask, value, valid ? lane - static_cast<int>(delta) : lane);
}
template <class T>
T __shfl_down_sync(uint32_t mask, T value, unsigned delta, int width = warpSize) {
  cuda_on_host::checkWidth(width);
  const int lane = cuda_on_host::laneIndex();
  const bool valid = (lane & (width - 1)) + static_cast<uint64_t>(delta) < static_cast<uint64_t>(width);
  return cuda_on_host::shuffle("__shfl_down_sync", mask, value,
                               valid ? lane + static_cast<int>(delta) : lane);
}

inline uint32_t __ballot_sync(uint32_t mask, int predicate) {
  cuda_on_host::Vote part{predicate != 0, 0};
  cuda_on_host::warpCollective("__ballot_sync", mask, &part, cuda_on_host::combineVotes);
  return part.result;
}
inline int __any_sync(uint32_t mask, int predicate) {
  cuda_on_host::Vote part{predicate != 0, 0};
  cuda_on_host::warpCollective("__any_sync", mask, &part, cuda_on_host::combineVotes);
  return part.result != 0;
}
inline int __all_sync(uint32_t mask, int predicate) {
  cuda_on_host::AllVote part{predicate != 0, false};
  cuda_on_host::warpCollective("__all_sync", mask, &part, cuda_on_host::combineAllVotes);
  return part.result;
}
inline void __syncwarp(uint32_t mask = ~0u) {
  cuda_on_host::warpCollective("__syncwarp", mask, nullptr, cuda_on_host::combineNothing);
}
