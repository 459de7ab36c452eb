// The CPU ops for every dtype that ops.h allows.
#pragma once

#include <memory>

#include "../ops.h"

namespace spherenet::cpu {

/// CpuOps, and for 16-bit activations CpuOps on float32 copies of them: what comes out is rounded.
std::unique_ptr<Ops> makeOpsWithHalf();

}  // namespace spherenet::cpu
