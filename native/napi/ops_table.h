#pragma once

#include <napi.h>

namespace spherenet::node {

/// { opName: function(...arguments in the order of ops.h) }; see ts/core/binding.ts for the types.
Napi::Object makeOpsTable(Napi::Env env);

}  // namespace spherenet::node
