// Philox4x32-10: a counter-based random number generator (Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). Every block of four words is a pure function of a counter and a
// key, so any thread on any backend can compute any element on its own.
#pragma once

#include <cstdint>

/// A function that nvcc shall compile for the device too.
#ifdef __CUDACC__
#define SPHERENET_HOST_DEVICE __host__ __device__
#else
#define SPHERENET_HOST_DEVICE
#endif

namespace spherenet {

struct PhiloxBlock {
  uint32_t word[4];
};

constexpr int kPhiloxRounds = 10;
constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53u, kPhiloxMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9u, kPhiloxWeyl1 = 0xBB67AE85u;

SPHERENET_HOST_DEVICE constexpr PhiloxBlock philox(PhiloxBlock counter, uint32_t key0, uint32_t key1) {
  uint32_t c0 = counter.word[0], c1 = counter.word[1], c2 = counter.word[2], c3 = counter.word[3];
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kPhiloxMultiplier0) * c0;
    const uint64_t p1 = static_cast<uint64_t>(kPhiloxMultiplier1) * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ key0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ key1;
    c3 = static_cast<uint32_t>(p0);
    key0 += kPhiloxWeyl0;
    key1 += kPhiloxWeyl1;
  }
  return {{c0, c1, c2, c3}};
}

/// The random words of elements 4 * block to 4 * block + 3: the key is the seed, the counter
/// (block, block >> 32, stream, 0). Stream 0 holds each element's leading 32 bits, stream 1 the next 32,
/// which only float64 needs.
SPHERENET_HOST_DEVICE constexpr PhiloxBlock philoxElements(uint64_t seed, uint32_t stream, uint64_t block) {
  return philox({{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), stream, 0}},
                static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

/// [0, 1) in steps of 2^-24, exact in float32 and float64.
SPHERENET_HOST_DEVICE constexpr double uniform24(uint32_t high) {
  return static_cast<double>(high >> 8) * 0x1p-24;
}

/// [0, 1) in steps of 2^-53; rounded down to 24 bits it is uniform24(high).
SPHERENET_HOST_DEVICE constexpr double uniform53(uint32_t high, uint32_t low) {
  return static_cast<double>((static_cast<uint64_t>(high) << 32 | low) >> 11) * 0x1p-53;
}

}  // namespace spherenet
