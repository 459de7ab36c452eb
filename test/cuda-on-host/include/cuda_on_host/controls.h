// What tests may ask of the execution beyond CUDA's interface. CUDA_HOST_FAIL_LAUNCH and
// CUDA_HOST_REFUSE_LAUNCH plant the same faults from outside (runtime/settings.h).
#pragma once

#include <cstddef>
#include <cstdint>

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
/// Bytes of device memory that were allocated and not freed.
size_t deviceMemoryInUse();

}  // namespace cuda_on_host
