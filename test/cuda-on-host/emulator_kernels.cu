// What kernels can do, each against its definition.
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "../../cuda/device/ptx.cuh"
#include "emulator_test.h"

namespace emulator_test {
namespace {

using spherenet::cuda::dynamicShared;

// ---- indices

__global__ void countVisits(int* visits, dim3 grid, dim3 block) {
  const unsigned thread = threadIdx.x + block.x * (threadIdx.y + block.y * threadIdx.z);
  const unsigned in = blockIdx.x + grid.x * (blockIdx.y + grid.y * blockIdx.z);
  const bool same = gridDim.x == grid.x && gridDim.y == grid.y && gridDim.z == grid.z &&
                    blockDim.x == block.x && blockDim.y == block.y && blockDim.z == block.z;
  if (same) atomicAdd(&visits[in * block.x * block.y * block.z + thread], 1);
}

void checkIndices() {
  const dim3 cases[][2] = {{1, 1},   {7, 33}, {{5, 3, 2}, {4, 8, 3}}, {300, 64}, {{1, 1, 9}, {1, 1, 64}},
                           {2, 1024}};
  for (const auto& [grid, block] : cases) {
    const size_t threads = size_t{grid.x} * grid.y * grid.z * block.x * block.y * block.z;
    DeviceArray<int> visits(threads, 0);
    launch(countVisits, grid, block, 0, visits.get(), grid, block);
    bool once = true;
    for (size_t i = 0; i < threads; ++i) once = once && visits[i] == 1;
    expect(once, "every thread of every block runs once");
  }
}

// ---- barriers

struct Numbers {
  int at[1024];
};

/// Passes a number around the block, one place in each round.
__global__ void rotate(int* result, int rounds) {
  Numbers& shared = dynamicShared<Numbers>();
  int mine = static_cast<int>(threadIdx.x);
  for (int round = 0; round < rounds; ++round) {
    shared.at[threadIdx.x] = mine;
    __syncthreads();
    mine = shared.at[(threadIdx.x + 1) % blockDim.x];
    __syncthreads();
  }
  result[blockIdx.x * blockDim.x + threadIdx.x] = mine;
}

__global__ void vote(int* result, int bound) {
  const int mine = static_cast<int>(threadIdx.x) < bound;
  const int count = __syncthreads_count(mine), any = __syncthreads_or(mine), all = __syncthreads_and(mine);
  result[threadIdx.x] = count * 4 + (any != 0) * 2 + (all != 0);
}

void checkBarriers() {
  for (unsigned threads : {1u, 31u, 32u, 45u, 256u, 1024u}) {
    DeviceArray<int> result(3 * threads);
    launch(rotate, 3, threads, sizeof(Numbers), result.get(), 17);
    bool right = true;
    for (unsigned i = 0; i < 3 * threads; ++i)
      right = right && result[i] == static_cast<int>((i % threads + 17) % threads);
    expect(right, "__syncthreads in blocks of " + std::to_string(threads));
    for (int bound : {0, 1, static_cast<int>(threads)}) {
      launch(vote, 1, threads, 0, result.get(), bound);
      const int want = bound * 4 + (bound > 0) * 2 + (bound == static_cast<int>(threads));
      right = true;
      for (unsigned i = 0; i < threads; ++i) right = right && result[i] == want;
      expect(right, "__syncthreads_count, _or and _and");
    }
  }
}

// ---- warp collectives

__global__ void shuffle(int* result, int kind, int by, int width) {
  const int value = 100 + static_cast<int>(threadIdx.x);
  int got = 0;
  if (kind == 0) got = __shfl_sync(~0u, value, by, width);
  if (kind == 1) got = __shfl_up_sync(~0u, value, static_cast<unsigned>(by), width);
  if (kind == 2) got = __shfl_down_sync(~0u, value, static_cast<unsigned>(by), width);
  if (kind == 3) got = __shfl_xor_sync(~0u, value, by, width);
  result[threadIdx.x] = got;
}

void checkShuffles() {
  DeviceArray<int> result(32);
  for (int kind = 0; kind < 4; ++kind) {
    for (int width : {1, 2, 8, 16, 32}) {
      for (int by : {0, 1, 3, 7, 16, 31}) {
        launch(shuffle, 1, 32, 0, result.get(), kind, by, width);
        bool right = true;
        for (int lane = 0; lane < 32; ++lane) {
          const int first = lane / width * width, last = first + width - 1;
          int source = kind == 0   ? first + by % width
                       : kind == 1 ? lane - by
                       : kind == 2 ? lane + by
                                   : lane ^ by;
          if ((kind == 1 && source < first) || (kind >= 2 && source > last)) source = lane;
          right = right && result[static_cast<size_t>(lane)] == 100 + source;
        }
        expect(right, "shuffle " + std::to_string(kind) + " by " + std::to_string(by) + " of " +
                          std::to_string(width));
      }
    }
  }
}

__global__ void votes(uint32_t* result) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  uint32_t* mine = result + 3 * threadIdx.x;
  mine[0] = __ballot_sync(~0u, lane % 3 == 0);
  mine[1] = static_cast<uint32_t>(__any_sync(~0u, lane == 5));
  mine[2] = static_cast<uint32_t>(__all_sync(~0u, lane < 13));
}

void checkVotes() {
  constexpr unsigned kThreads = 32 + 13;  // the last warp has 13 lanes
  DeviceArray<uint32_t> result(3 * kThreads);
  launch(votes, 1, kThreads, 0, result.get());
  bool right = true;
  for (unsigned t = 0; t < kThreads; ++t) {
    const uint32_t* mine = result.get() + 3 * t;
    const uint32_t ballot = t < 32 ? 0x49249249u : 0x1249u;
    right = right && mine[0] == ballot && mine[1] == 1 && mine[2] == (t < 32 ? 0u : 1u);
  }
  expect(right, "ballot, any and all");
}

// ---- atomics, and the last block of a grid

struct Partial {
  unsigned last;
};

__global__ void sumByLastBlock(const int* values, int* partials, unsigned* done, int* total) {
  Partial& shared = dynamicShared<Partial>();
  atomicAdd(&partials[blockIdx.x], values[blockIdx.x * blockDim.x + threadIdx.x]);
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    shared.last = atomicInc(done, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (shared.last && threadIdx.x == 0) {
    __threadfence();
    int sum = 0;
    for (unsigned b = 0; b < gridDim.x; ++b) sum += partials[b];
    *total = sum;
  }
}

__global__ void manyAtomics(int* low, int* high, unsigned long long* sum, unsigned* counter, float* total) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicMin(low, -i);
  atomicMax(high, i);
  atomicAdd(sum, static_cast<unsigned long long>(i));
  atomicAdd(total, 0.5f);
  unsigned seen = *counter, expected;
  do {
    expected = seen;
    seen = atomicCAS(counter, expected, expected + 2);
  } while (seen != expected);
}

void checkAtomics() {
  constexpr unsigned kBlocks = 60, kThreads = 96;
  DeviceArray<int> values(kBlocks * kThreads, 3), partials(kBlocks, 0), total(1, 0);
  DeviceArray<unsigned> done(1, 0);
  for (int run = 1; run < 3; ++run) {
    launch(sumByLastBlock, kBlocks, kThreads, sizeof(Partial), values.get(), partials.get(), done.get(),
           total.get());
    expect(total[0] == run * 3 * static_cast<int>(kBlocks * kThreads),
           "the last block sees what the others wrote");
    expect(done[0] == 0, "atomicInc starts again");
  }
  DeviceArray<int> low(1, 0), high(1, 0);
  DeviceArray<unsigned long long> sum(1, 0);
  DeviceArray<unsigned> counter(1, 0);
  DeviceArray<float> floats(1, 0);
  launch(manyAtomics, kBlocks, kThreads, 0, low.get(), high.get(), sum.get(), counter.get(), floats.get());
  const int n = static_cast<int>(kBlocks * kThreads);
  expect(low[0] == 1 - n && high[0] == n - 1, "atomicMin and atomicMax");
  expect(sum[0] == static_cast<unsigned long long>(n) * (n - 1) / 2, "atomicAdd");
  expect(counter[0] == 2 * static_cast<unsigned>(n) && floats[0] == 0.5f * static_cast<float>(n),
         "atomicCAS, float");
}

// ---- shared memory and asynchronous copies

struct Stage {
  alignas(16) float at[4][32][4];
};

__global__ void firstContents(float* result, int* aligned) {
  Stage& shared = dynamicShared<Stage>();
  result[threadIdx.x] = shared.at[threadIdx.x / 32][threadIdx.x % 32][0];
  *aligned = reinterpret_cast<uintptr_t>(&shared) % 128 == 0;
  shared.at[threadIdx.x / 32][threadIdx.x % 32][0] = 1;
}

/// Copies four groups, waits for all but one, notes what has landed; then waits for the rest.
__global__ void copyGroups(const float* from, float* early, float* late) {
  Stage& shared = dynamicShared<Stage>();
  for (int group = 0; group < 4; ++group) {
    spherenet::cuda::copyAsync16(shared.at[group][threadIdx.x], from + 4 * (32 * group + threadIdx.x),
                                 group != 1);
    spherenet::cuda::commitCopies();
  }
  spherenet::cuda::waitForCopies<1>();
  for (int group = 0; group < 4; ++group) early[32 * group + threadIdx.x] = shared.at[group][threadIdx.x][3];
  spherenet::cuda::waitForCopies<0>();
  for (int group = 0; group < 4; ++group) late[32 * group + threadIdx.x] = shared.at[group][threadIdx.x][3];
}

void checkShared() {
  DeviceArray<float> first(128);
  DeviceArray<int> aligned(1, 0);
  for (int run = 0; run < 2; ++run) {
    launch(firstContents, 4, 128, sizeof(Stage), first.get(), aligned.get());
    bool rubbish = true;
    for (size_t i = 0; i < 128; ++i) rubbish = rubbish && std::isnan(first[i]);
    expect(rubbish && aligned[0], "shared memory is aligned, and NaN at the start of each block");
  }
  DeviceArray<float> from(512), early(128), late(128);
  for (size_t i = 0; i < 512; ++i) from[i] = static_cast<float>(i);
  launch(copyGroups, 1, 32, sizeof(Stage), from.get(), early.get(), late.get());
  const char* copies = std::getenv("CUDA_HOST_COPIES");
  const bool atIssue = copies && std::string(copies) == "issue";
  bool landed = true, pending = true;
  for (size_t i = 0; i < 128; ++i) {
    const float want = i / 32 == 1 ? 0.0f : static_cast<float>(4 * i + 3);
    landed = landed && late[i] == want && (early[i] == want || i / 32 == 3);
    if (i / 32 == 3) pending = pending && (atIssue ? early[i] == want : std::isnan(early[i]));
  }
  expect(landed, "copies have landed when they were waited for; zeros where not valid");
  expect(pending, "a copy that nobody waited for lands as the schedule says");
}

// ---- parameters

struct Parameters {
  double values[64];
  int scale;
};

__global__ void sumParameters(const __grid_constant__ Parameters p, float4 v, double* result) {
  double sum = static_cast<double>(v.x + v.y + v.z + v.w);
  for (double value : p.values) sum += value * p.scale;
  result[threadIdx.x] = sum;
}

void checkParameters() {
  Parameters p{};
  for (int i = 0; i < 64; ++i) p.values[i] = i;
  p.scale = 2;
  DeviceArray<double> result(3);
  launch(sumParameters, 1, 3, 0, p, make_float4(1, 2, 3, 4), result.get());
  expect(result[0] == 4042 && result[2] == 4042, "parameters by value");
}

}  // namespace

void checkKernels() {
  checkIndices();
  checkBarriers();
  checkShuffles();
  checkVotes();
  checkAtomics();
  checkShared();
  checkParameters();
}

}  // namespace emulator_test
