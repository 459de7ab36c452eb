// Runs the blocks of a launch on all threads of the CPU that the settings allow.
#pragma once

#include <cuda_on_host/launch.h>

namespace cuda_on_host {

/// Runs the launch to its end.
void runGrid(const Launch& launch);

}  // namespace cuda_on_host
