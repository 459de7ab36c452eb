#pragma once

#include <napi.h>

namespace spherenet::node {

/// { opName: { submit, fields } }: submit(count) takes the arguments, in the order of ops.h, from the frame,
/// in which they are so many numbers; fields are the names of those arguments that are structs.
/// ts/core/run.ts writes them.
Napi::Object makeOpsTable(Napi::Env env);

}  // namespace spherenet::node
