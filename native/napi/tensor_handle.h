// The JavaScript object that holds a native tensor.
#pragma once

#include <napi.h>

#include "context.h"

namespace spherenet::node {

/// A block of device memory, shared by a tensor and its views.
class Storage {
 public:
  Storage(std::shared_ptr<Context> context, DeviceId device, size_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  Backend& backend() const { return context_->backend(device_); }
  void* memory() const { return memory_; }
  DeviceId device() const { return device_; }
  size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<Context> context_;
  DeviceId device_;
  size_t bytes_;
  void* memory_;
};

class TensorHandle : public Napi::ObjectWrap<TensorHandle> {
 public:
  static void define(Napi::Env env, Context& context);

  /// (device, dtype, shape) for fresh memory, (base, offset in elements, shape) for a view.
  explicit TensorHandle(const Napi::CallbackInfo& info);
  void Finalize(Napi::BasicEnv env) override;

  /// Frees now instead of with the garbage collector; a second call does nothing.
  Napi::Value free(const Napi::CallbackInfo& info);

  /// The tensor of a JavaScript argument; throws where it was freed.
  static const TensorHandle& from(const Napi::Value& value);

  const Tensor& tensor() const { return tensor_; }
  const Storage& storage() const { return *storage_; }

 private:
  void drop(Napi::BasicEnv env);

  std::shared_ptr<Context> context_;
  std::shared_ptr<Storage> storage_;
  Tensor tensor_;
};

}  // namespace spherenet::node
