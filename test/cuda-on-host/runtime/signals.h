// Faults of the processor while a kernel runs.
#pragma once

namespace cuda_on_host {

/// Lets the kernel, block and thread be printed when the calling thread faults in a kernel. Faults elsewhere
/// go where they went before.
void watchFaults();

}  // namespace cuda_on_host
