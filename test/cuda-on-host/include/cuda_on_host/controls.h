// What tests may ask of the execution beyond CUDA's interface. CUDA_HOST_FAIL_LAUNCH and
// CUDA_HOST_REFUSE_LAUNCH plant the same faults from outside (runtime/settings.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "../cuda_runtime_api.h"

namespace cuda_on_host {

/// Lets every call that puts work into a stream wait until it has run.
void runSynchronously(bool synchronous);

/// Lets the n-th launch from now (1: the next) end in `error` when it runs: every later call returns it, and
/// work that has not run is dropped.
void failLaunch(int64_t n, cudaError_t error = cudaErrorIllegalAddress);
/// Lets the call of the n-th launch from now return cudaErrorLaunchOutOfResources; nothing is lost by that.
void refuseLaunch(int64_t n);
/// Makes a lost context usable again, which no call of CUDA can do.
void recover();
/// Launches accepted so far.
int64_t launchCount();
/// What matrix loads and asynchronous copies of 16 bytes have asked of the memories.
struct Traffic {
  uint64_t matrixLoads = 0;       // 8x8 matrices, each one wavefront of shared memory
  uint64_t matrixWavefronts = 0;  // those taken: more where rows lie in the same banks
  uint64_t copyGroups = 0;        // eight lanes' copies, each one wavefront
  uint64_t copyWavefronts = 0;
  uint64_t copiedBytes = 0;  // read from global memory
  uint64_t sectors = 0;      // of 32 bytes, that eight lanes touched for it
};
/// Begins to count, or ends it; what was counted is forgotten.
void measureTraffic(bool on);
/// By kernel.
std::map<std::string, Traffic> traffic();

/// Bytes of device memory that were allocated and not freed.
size_t deviceMemoryInUse();

}  // namespace cuda_on_host
