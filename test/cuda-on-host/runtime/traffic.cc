#include "traffic.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include "symbol.h"

namespace cuda_on_host {
namespace {

constexpr uint32_t kBankGroups = 8;  // of four banks, which hold 16 bytes
constexpr uintptr_t kSector = 32;    // bytes that the second-level cache delivers at once

std::atomic<bool> measured{false};
std::mutex mutex;
std::map<const void*, Traffic> byKernel;

/// How often shared memory is asked for these pieces of 16 bytes: different ones in the same banks take
/// turns.
uint64_t wavefronts(std::vector<uint32_t> offsets) {
  std::sort(offsets.begin(), offsets.end());
  offsets.erase(std::unique(offsets.begin(), offsets.end()), offsets.end());
  uint64_t perGroup[kBankGroups] = {};
  for (const uint32_t offset : offsets) ++perGroup[offset / 16 % kBankGroups];
  return *std::max_element(perGroup, perGroup + kBankGroups);
}

Traffic& operator+=(Traffic& sum, const Traffic& t) {
  sum.matrixWavefronts += t.matrixWavefronts;
  sum.matrixLoads += t.matrixLoads;
  sum.copyWavefronts += t.copyWavefronts;
  sum.copyGroups += t.copyGroups;
  sum.sectors += t.sectors;
  sum.copiedBytes += t.copiedBytes;
  return sum;
}

}  // namespace

void measureTraffic(bool on) {
  const std::lock_guard lock(mutex);
  byKernel.clear();
  measured = on;
}

std::map<std::string, Traffic> traffic() {
  const std::lock_guard lock(mutex);
  std::map<std::string, Traffic> byName;
  for (const auto& [kernel, sums] : byKernel) byName[symbolName(kernel)] += sums;
  return byName;
}

bool trafficIsMeasured() {
  return measured;
}

void TrafficMeter::loadMatrix(const uint32_t (&offsets)[8]) {
  ++sums_.matrixLoads;
  sums_.matrixWavefronts += wavefronts({offsets, offsets + 8});
}

void TrafficMeter::copy(uint32_t thread, uint32_t shared, const void* global, uint32_t bytes) {
  if (bytes != 16) return;
  if (copies_.size() <= thread) copies_.resize(thread + 1);
  copies_[thread].push_back({shared, bytes, reinterpret_cast<uintptr_t>(global)});
}

void TrafficMeter::endBlock(const void* kernel, uint32_t threads) {
  copies_.resize(threads);
  for (uint32_t first = 0; first < threads; first += 8) {
    const uint32_t end = std::min(threads, first + 8);
    size_t steps = 0;
    for (uint32_t t = first; t < end; ++t) steps = std::max(steps, copies_[t].size());
    for (size_t step = 0; step < steps; ++step) {
      std::vector<uint32_t> offsets;
      std::set<uintptr_t> sectors;
      for (uint32_t t = first; t < end; ++t) {
        if (step >= copies_[t].size()) continue;
        const Copy& copy = copies_[t][step];
        offsets.push_back(copy.shared);
        if (copy.global == 0) continue;
        sectors.insert(copy.global / kSector);
        sums_.copiedBytes += copy.bytes;
      }
      ++sums_.copyGroups;
      sums_.copyWavefronts += wavefronts(std::move(offsets));
      sums_.sectors += sectors.size();
    }
  }
  for (auto& copies : copies_) copies.clear();
  const std::lock_guard lock(mutex);
  byKernel[kernel] += sums_;
  sums_ = {};
}

}  // namespace cuda_on_host
