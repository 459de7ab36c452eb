#include "read.h"

#include <cstring>
#include <future>

#include "mailbox.h"
#include "tensor_handle.h"

namespace spherenet::node {
namespace {

const TensorHandle& handleOf(const Napi::CallbackInfo& info, size_t argument) {
  return TensorHandle::from(*contextOf(info.Env()), info[argument].As<Napi::Number>().DoubleValue());
}

/// The host side of a copy: the array's bytes, checked against the tensor's.
void* hostMemory(const Napi::Value& value, const Tensor& tensor) {
  const auto array = value.As<Napi::TypedArray>();
  if (array.ByteLength() != tensor.bytes())
    throw std::runtime_error("host array of " + std::to_string(array.ByteLength()) +
                             " bytes for a tensor of " + std::to_string(tensor.bytes()));
  return static_cast<char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
}

/// Bytes on their way from one device's stream to the memory of another's: the latter waits for them here.
/// They are staged, because work before this may still use that memory.
class Arrival final : public Call {
 public:
  struct Parcel {
    explicit Parcel(size_t bytes) : data(new char[bytes]) {}
    std::unique_ptr<char[]> data;
    std::promise<std::string> error;
  };

  Arrival(std::shared_ptr<Parcel> parcel, const Tensor& to)
      : parcel_(std::move(parcel)), error_(parcel_->error.get_future()), to_(to) {}

  void run(Ops&) const override {
    if (const std::string& error = error_.get(); !error.empty()) throw std::runtime_error(error);
    std::memcpy(to_.data, parcel_->data.get(), to_.bytes());
  }
  std::string describe() const override { return "copy from another device"; }

 private:
  std::shared_ptr<Parcel> parcel_;
  std::shared_future<std::string> error_;
  Tensor to_;
};

}  // namespace

Napi::Value read(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const TensorHandle& handle = handleOf(info, 0);
    // Before the promise is made: that may collect garbage, and the handle with it.
    const Tensor tensor = handle.tensor();
    Backend& backend = handle.storage().backend();
    void* host = hostMemory(info[1], tensor);
    Mailbox& mailbox = Mailbox::of(info.Env());
    auto letter = mailbox.open(info.Env(), info[1].As<Napi::Object>());
    Napi::Value promise = letter->promise.Promise();
    backend.read(tensor, host,
                 [&mailbox, letter](std::string error) { mailbox.send(letter, std::move(error)); });
    return promise;
  });
}

Napi::Value readSync(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const TensorHandle& handle = handleOf(info, 0);
    std::promise<std::string> ended;
    handle.storage().backend().read(handle.tensor(), hostMemory(info[1], handle.tensor()),
                                    [&](std::string error) { ended.set_value(std::move(error)); });
    if (const std::string error = ended.get_future().get(); !error.empty()) throw std::runtime_error(error);
    return info[1];
  });
}

Napi::Value write(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const TensorHandle& handle = handleOf(info, 0);
    handle.storage().backend().write(hostMemory(info[1], handle.tensor()), handle.tensor());
    return info.Env().Undefined();
  });
}

Napi::Value copyAcross(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const TensorHandle& from = handleOf(info, 0);
    const TensorHandle& to = handleOf(info, 1);
    if (from.tensor().bytes() != to.tensor().bytes())
      throw std::runtime_error("a copy between devices is of as many bytes on both");
    if (from.storage().device() == DeviceId::Cpu) {
      // A CPU's memory is host memory, once its work is done.
      from.storage().backend().synchronize();
      to.storage().backend().write(from.tensor().data, to.tensor());
    } else {
      auto parcel = std::make_shared<Arrival::Parcel>(from.tensor().bytes());
      to.storage().backend().submit(std::make_unique<Arrival>(parcel, to.tensor()));
      from.storage().backend().read(from.tensor(), parcel->data.get(), [parcel](std::string error) {
        parcel->error.set_value(std::move(error));
      });
    }
    return info.Env().Undefined();
  });
}

}  // namespace spherenet::node
