#include "read.h"

#include <future>

#include "mailbox.h"
#include "tensor_handle.h"

namespace spherenet::node {
namespace {

/// The host side of a copy: the array's bytes, checked against the tensor's.
void* hostMemory(const Napi::Value& value, const Tensor& tensor) {
  const auto array = value.As<Napi::TypedArray>();
  if (array.ByteLength() != tensor.bytes())
    throw std::runtime_error("host array of " + std::to_string(array.ByteLength()) +
                             " bytes for a tensor of " + std::to_string(tensor.bytes()));
  return static_cast<char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
}

}  // namespace

Napi::Value read(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const TensorHandle& handle = TensorHandle::from(info[0]);
    void* host = hostMemory(info[1], handle.tensor());
    Mailbox& mailbox = Mailbox::of(info.Env());
    auto letter = mailbox.open(info.Env(), info[1].As<Napi::Object>());
    Napi::Value promise = letter->promise.Promise();
    handle.storage().backend().read(handle.tensor(), host, [&mailbox, letter](std::string error) {
      mailbox.send(letter, std::move(error));
    });
    return promise;
  });
}

Napi::Value readSync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const TensorHandle& handle = TensorHandle::from(info[0]);
    std::promise<std::string> ended;
    handle.storage().backend().read(handle.tensor(), hostMemory(info[1], handle.tensor()),
                                    [&](std::string error) { ended.set_value(std::move(error)); });
    if (const std::string error = ended.get_future().get(); !error.empty()) throw std::runtime_error(error);
    return info[1];
  });
}

Napi::Value write(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const TensorHandle& handle = TensorHandle::from(info[0]);
    handle.storage().backend().write(hostMemory(info[1], handle.tensor()), handle.tensor());
    return info.Env().Undefined();
  });
}

}  // namespace spherenet::node
