#pragma once

#include <napi.h>

namespace spherenet::node {

/// Tensors are the numbers of their handles.
/// read(tensor, typedArray): Promise, fulfilled with the array once the device has filled it.
Napi::Value read(const Napi::CallbackInfo& info);
/// readSync(tensor, typedArray): waits for the device.
Napi::Value readSync(const Napi::CallbackInfo& info);
/// write(tensor, typedArray): copies the array, which may change afterwards.
Napi::Value write(const Napi::CallbackInfo& info);
/// copyAcross(from, to): between tensors of as many bytes on two devices, in the order of the work on both.
Napi::Value copyAcross(const Napi::CallbackInfo& info);
}  // namespace spherenet::node
