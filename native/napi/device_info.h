#pragma once

#include <napi.h>

namespace spherenet::node {

/// cudaStatus(), precision(), setPrecision(p), simd(), threads(), setThreads(n), fmaPeak(seconds),
/// memoryBandwidth(seconds).
void defineDeviceInfo(Napi::Env env, Napi::Object& exports);

}  // namespace spherenet::node
