// What the environment says about the execution; read once.
//   CUDA_HOST_COPIES       wait (default): an asynchronous copy lands when it is waited for; issue: at once
//   CUDA_HOST_ORDER        greedy (default): a warp runs as far as its next block barrier, then another one,
//   in random
//                          order; random: after every collective and barrier any thread that can go on does
//   CUDA_HOST_SEED         of the random order
//   SPHERENET_THREADS      threads of the CPU that run blocks; default: as many as processors
//   CUDA_HOST_MEMORY       MiB of device memory, default 16384
//   CUDA_HOST_MULTIPROCESSORS   default 4, CUDA_HOST_CAPABILITY default 9.0, CUDA_HOST_DEVICES default 1,
//   CUDA_HOST_DRIVER       driver version as CUDA counts it, default 13000; 0: no driver
//   CUDA_HOST_FAIL_LAUNCH    n: the n-th kernel ends in an illegal address, after which the context is lost
//   CUDA_HOST_REFUSE_LAUNCH  n: the n-th launch is refused for want of resources
#pragma once

#include <cstddef>
#include <cstdint>

namespace cuda_on_host {

struct Settings {
  bool copiesLandAtIssue, randomOrder;
  uint64_t seed;
  int threads, multiprocessors, major, minor, devices, driver;
  size_t memory;  // bytes
  int64_t failLaunch, refuseLaunch;
};

const Settings& settings();

}  // namespace cuda_on_host
