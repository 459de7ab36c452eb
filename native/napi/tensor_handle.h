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

class FrameReader;

/// A place for a tensor, which has none at first. JavaScript names it by the number in its property `id`, and
/// fills it again after free(): to make such an object and let the garbage collector find it costs more than
/// a tiny op.
class TensorHandle : public Napi::ObjectWrap<TensorHandle> {
 public:
  /// The class, and these functions:
  ///   allocate(count)  the frame holds: handle, device, dtype, shape. Fresh memory for an empty handle.
  ///   view(count)      handle, base, offset in elements, shape. The memory of the base for an empty handle.
  ///   free(id)         empties the handle; a second call does nothing.
  static void define(Napi::Env env, Napi::Object& exports);

  explicit TensorHandle(const Napi::CallbackInfo& info);
  void Finalize(Napi::BasicEnv env) override;

  /// The handle of that number; throws where it has no tensor.
  static const TensorHandle& from(const Context& context, double id);

  const Tensor& tensor() const { return tensor_; }
  const Storage& storage() const { return *storage_; }

 private:
  static Napi::Value allocate(const Napi::CallbackInfo& info);
  static Napi::Value view(const Napi::CallbackInfo& info);
  static Napi::Value free(const Napi::CallbackInfo& info);
  static TensorHandle* find(const Context& context, double id);
  static TensorHandle& empty(FrameReader& from);
  static Dims shape(FrameReader& from);

  void hold(std::shared_ptr<Storage> storage, const Tensor& tensor);
  void drop(Napi::BasicEnv env);

  std::shared_ptr<Context> context_;
  std::shared_ptr<Storage> storage_;
  Tensor tensor_;
  size_t place_ = 0;  // in Context::handles
};

}  // namespace spherenet::node
