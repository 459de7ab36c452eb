#pragma once

#include <napi.h>

namespace spherenet::node {

/// `build`: what this addon was built as. The loader (ts/core/loader.ts) refuses one that is not of its
/// package.
void defineBuildInfo(Napi::Env env, Napi::Object& exports);

}  // namespace spherenet::node
