// What a block's matrix loads and asynchronous copies ask of shared memory and of the second-level cache.
#pragma once

#include <cuda_on_host/controls.h>

#include <cstdint>
#include <vector>

namespace cuda_on_host {

/// Whether measureTraffic() has switched it on.
bool trafficIsMeasured();

/// Of one block; the hardware serves eight lanes of 16 bytes at a time.
class TrafficMeter {
 public:
  /// The rows of one 8x8 matrix, as offsets in shared memory.
  void loadMatrix(const uint32_t (&offsets)[8]);
  /// A thread's next copy; `global` is null where zeros are written.
  void copy(uint32_t thread, uint32_t shared, const void* global, uint32_t bytes);
  /// Hands the block's sums on to its kernel.
  void endBlock(const void* kernel, uint32_t threads);

 private:
  struct Copy {
    uint32_t shared;
    uint32_t bytes;
    uintptr_t global;
  };
  Traffic sums_;
  std::vector<std::vector<Copy>> copies_;  // by thread
};

}  // namespace cuda_on_host
