// Kernels that are wrong: each must be stopped with its sentence, and each race must show in one of the
// schedules.
#include <cstdint>

#include "../../cuda/device/ptx.cuh"
#include "emulator_test.h"

namespace emulator_test {
namespace {

using namespace spherenet::cuda;

struct Tile {
  alignas(16) float at[2][64][4];
};

// ---- misuse

/// Recurses `steps` times, each with memory of its own.
int deeper(int steps) {
  volatile int memory[64];
  memory[steps % 64] = steps;
  return steps == 0 ? 0 : deeper(steps - 1) + memory[steps % 64];
}

__global__ void earlyReturn() {
  if (threadIdx.x == 40) return;
  __syncthreads();
}
__global__ void lateReturn() {
  if (threadIdx.x != 40) __syncthreads();
}
__global__ void missingLanes() {
  if (threadIdx.x < 40) __syncwarp();
  if (threadIdx.x < 60) __syncthreads();
}
__global__ void differentBarriers() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads_count(1);
  }
}
__global__ void differentCollectives(int* result) {
  *result = threadIdx.x % 2 ? __shfl_sync(~0u, 1, 0) : __shfl_xor_sync(~0u, 1, 1);
}
__global__ void differentMasks(int* result) {
  *result = __shfl_sync(threadIdx.x % 2 ? ~0u : 0x7FFFFFFFu, 1, 0);
}
__global__ void callerOutsideMask(int* result) {
  *result = __shfl_sync(0x7FFFFFFFu, 1, 0);
}
__global__ void laneOutsideMask(int* result) {
  if (threadIdx.x < 16) *result = __shfl_sync(0xFFFFu, 1, 20);
}
__global__ void returnedLane(int* result) {
  if (threadIdx.x == 3) return;
  *result = __any_sync(~0u, 1);
}
__global__ void misalignedRow() {
  uint32_t words[4];
  loadMatrices(words, &dynamicShared<Tile>().at[0][threadIdx.x % 32][threadIdx.x == 9]);
}
__global__ void rowOutside(const float* global) {
  uint32_t words[4];
  loadMatrices(words, global);
}
__global__ void halfWarpMatrices() {
  uint32_t words[4];
  loadMatrices(words, dynamicShared<Tile>().at[0][threadIdx.x]);
}
__global__ void misalignedCopy(const float* from) {
  copyAsync16(&dynamicShared<Tile>().at[0][0][1], from, true);
}
__global__ void misalignedSource(const float* from) {
  copyAsync16(dynamicShared<Tile>().at[0][0], from + 1, true);
}
__global__ void copyOutside(const float* from, float* to) {
  copyAsync4(to, from, true);
}
__global__ void tooLittleShared() {
  dynamicShared<Tile>().at[0][0][0] = 1;
}
__global__ void writesBehind(int steps) {
  Tile& tile = dynamicShared<Tile>();
  for (int i = 0; i <= steps; ++i) (&tile.at[0][0][0])[i] = 1;
}
__global__ void dividesByZero(int* result) {
  *result = 7 / static_cast<int>(threadIdx.y);
}
__global__ void stepsOutside(int* result) {
  volatile int* nowhere = reinterpret_cast<int*>(uintptr_t{64} * (threadIdx.y + 1));
  *result = *nowhere;
}
__global__ void fillsItsStack(int* result) {
  *result = deeper(*result + 1000000);
}
__global__ void trap() {
  if (threadIdx.x == 5) __trap();
}

/// Runs a kernel of one block with a tile of shared memory.
template <class... Parameters>
void once(void (*kernel)(Parameters...), unsigned threads, std::type_identity_t<Parameters>... arguments) {
  launch(kernel, 2, threads, sizeof(Tile), arguments...);
}

DeviceArray<float>& memory() {
  static DeviceArray<float> instance(64, 0.0f);
  return instance;
}
int* number() {
  return reinterpret_cast<int*>(memory().get());
}

// ---- races

/// What a neighbour wrote is read; without a barrier between, some still read what was there before.
template <bool Repaired>
__global__ void readAfterWrite(float* result) {
  Tile& tile = dynamicShared<Tile>();
  tile.at[0][threadIdx.x][0] = static_cast<float>(threadIdx.x);
  if (Repaired) __syncthreads();
  result[threadIdx.x] = tile.at[0][63 - threadIdx.x][0];
}

/// What was read is written over; without the second barrier before some have read it.
template <bool Repaired>
__global__ void writeAfterRead(float* result) {
  Tile& tile = dynamicShared<Tile>();
  float sum = 0;
  for (int round = 0; round < 4; ++round) {
    tile.at[0][threadIdx.x][0] = static_cast<float>(round);
    __syncthreads();
    sum += tile.at[0][63 - threadIdx.x][0] == static_cast<float>(round);
    if (Repaired) __syncthreads();
  }
  result[threadIdx.x] = sum == 4 ? static_cast<float>(63 - threadIdx.x) : -1;
}

/// The same inside of a warp.
template <bool Repaired>
__global__ void withoutSyncwarp(float* result) {
  Tile& tile = dynamicShared<Tile>();
  tile.at[0][threadIdx.x][0] = static_cast<float>(threadIdx.x);
  if (Repaired) __syncwarp();
  const unsigned partner = threadIdx.x ^ 31;
  result[threadIdx.x] =
      tile.at[0][partner][0] == static_cast<float>(partner) ? static_cast<float>(63 - threadIdx.x) : -1;
}

enum class Fault { None, NoWait, WaitsForTooFew, NoBarrierAfterWait, NoBarrierBeforeReuse };

/// Two stages of copies, six tiles: each thread copies its row and reads its neighbour's.
template <Fault F>
__global__ void pipeline(const float* from, float* result) {
  constexpr int kTiles = 6;
  Tile& tile = dynamicShared<Tile>();
  const unsigned t = threadIdx.x;
  const auto begin = [&](int index) {
    copyAsync16(tile.at[index % 2][t], from + 4 * (64 * (index % kTiles) + t), index < kTiles);
    commitCopies();
  };
  begin(0);
  float sum = 0;
  for (int index = 0; index < kTiles; ++index) {
    begin(index + 1);
    if (F != Fault::NoWait) waitForCopies<F == Fault::WaitsForTooFew ? 2 : 1>();
    if (F != Fault::NoBarrierAfterWait) __syncthreads();
    sum += tile.at[index % 2][63 - t][1];
    if (F != Fault::NoBarrierBeforeReuse) __syncthreads();
  }
  result[t] = sum;
}

template <Fault F>
bool pipelineIsRight() {
  DeviceArray<float> from(6 * 64 * 4), result(64);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i / 256 * 1000 + i % 256 / 4);
  launch(pipeline<F>, 1, 64, sizeof(Tile), from.get(), result.get());
  for (size_t t = 0; t < 64; ++t) {
    if (result[t] != static_cast<float>(15000 + 6 * (63 - t))) return false;
  }
  return true;
}

bool reverses(void (*kernel)(float*)) {
  launch(kernel, 1, 64, sizeof(Tile), memory().get());
  for (size_t t = 0; t < 64; ++t) {
    if (memory()[t] != static_cast<float>(63 - t)) return false;
  }
  return true;
}

}  // namespace

const Misuse kMisuses[] = {
    {"early return", [] { once(earlyReturn, 64); }, "__syncthreads"},
    {"late return", [] { once(lateReturn, 64); }, "__syncthreads"},
    {"missing lanes", [] { once(missingLanes, 64); }, "__sync"},
    {"different barriers", [] { once(differentBarriers, 64); }, "different kinds of __syncthreads"},
    {"different collectives", [] { once(differentCollectives, 32, number()); }, "different collectives"},
    {"different masks", [] { once(differentMasks, 32, number()); }, "mask"},
    {"caller outside the mask", [] { once(callerOutsideMask, 32, number()); }, "calling lane is missing"},
    {"lane outside the mask", [] { once(laneOutsideMask, 32, number()); },
     "lane 20, which is outside the mask"},
    {"returned lane", [] { once(returnedLane, 32, number()); }, "returned"},
    {"misaligned row", [] { once(misalignedRow, 32); }, "not a multiple of 16"},
    {"row outside shared memory", [] { once(rowOutside, 32, memory().get()); }, "outside shared memory"},
    {"matrices of half a warp", [] { once(halfWarpMatrices, 16); }, "a warp of 32 threads"},
    {"misaligned copy", [] { once(misalignedCopy, 32, memory().get()); }, "not a multiple of 16"},
    {"misaligned source", [] { once(misalignedSource, 32, memory().get()); }, "global address"},
    {"copy outside shared memory", [] { once(copyOutside, 32, memory().get(), memory().get()); },
     "outside shared memory"},
    {"too little shared memory", [] { launch(tooLittleShared, 1, 32, 100); }, "its launch gave 100"},
    {"write behind shared memory", [] { launch(writesBehind, 1, 32, sizeof(Tile), int(sizeof(Tile) / 4)); },
     ""},
    {"division by zero", [] { once(dividesByZero, 32, number()); }, "divided by zero"},
    {"address outside of everything", [] { once(stepsOutside, 32, number()); }, "not there"},
    {"full stack", [] { once(fillsItsStack, 32, number()); }, "stack is full"},
    {"trap", [] { once(trap, 32); }, "__trap"},
};
const int kMisuseCount = static_cast<int>(std::size(kMisuses));

const Race kRaces[] = {
    {"read after write",
     [](bool repaired) { return reverses(repaired ? readAfterWrite<true> : readAfterWrite<false>); }},
    {"write after read",
     [](bool repaired) { return reverses(repaired ? writeAfterRead<true> : writeAfterRead<false>); }},
    {"no __syncwarp",
     [](bool repaired) { return reverses(repaired ? withoutSyncwarp<true> : withoutSyncwarp<false>); }},
    {"no wait",
     [](bool repaired) {
       return repaired ? pipelineIsRight<Fault::None>() : pipelineIsRight<Fault::NoWait>();
     }},
    {"waits for too few groups",
     [](bool repaired) {
       return repaired ? pipelineIsRight<Fault::None>() : pipelineIsRight<Fault::WaitsForTooFew>();
     }},
    {"no barrier after the wait",
     [](bool repaired) {
       return repaired ? pipelineIsRight<Fault::None>() : pipelineIsRight<Fault::NoBarrierAfterWait>();
     }},
    {"no barrier before a stage is used again",
     [](bool repaired) {
       return repaired ? pipelineIsRight<Fault::None>() : pipelineIsRight<Fault::NoBarrierBeforeReuse>();
     }},
};
const int kRaceCount = static_cast<int>(std::size(kRaces));

}  // namespace emulator_test
