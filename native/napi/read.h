#pragma once

#include <napi.h>

namespace spherenet::node {

/// read(handle, typedArray): Promise, fulfilled with the array once the device has filled it.
Napi::Value read(const Napi::CallbackInfo& info);
/// readSync(handle, typedArray): waits for the device.
Napi::Value readSync(const Napi::CallbackInfo& info);
/// write(handle, typedArray): copies the array, which may change afterwards.
Napi::Value write(const Napi::CallbackInfo& info);

/// The way back from device threads to this environment's JavaScript thread.
void openMailbox(Napi::Env env);

}  // namespace spherenet::node
