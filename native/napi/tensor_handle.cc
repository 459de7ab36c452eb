#include "tensor_handle.h"

#include <utility>

#include "frame.h"

namespace spherenet::node {

Storage::Storage(std::shared_ptr<Context> context, DeviceId device, size_t bytes)
    : context_(std::move(context)), device_(device), bytes_(bytes), memory_(backend().allocate(bytes)) {
  context_->bytes += bytes_;
}

Storage::~Storage() {
  backend().release(memory_, bytes_);
  context_->bytes -= bytes_;
}

TensorHandle::TensorHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<TensorHandle>(info), context_(contextOf(info.Env())) {
  std::vector<TensorHandle*>& handles = context_->handles;
  if (context_->freePlaces.empty()) {
    place_ = handles.size();
    handles.push_back(this);
  } else {
    place_ = context_->freePlaces.back();
    context_->freePlaces.pop_back();
    handles[place_] = this;
  }
  info.This().As<Napi::Object>().Set("id", static_cast<double>(place_ + 1));
}

void TensorHandle::Finalize(Napi::BasicEnv env) {
  drop(env);
  context_->handles[place_] = nullptr;
  context_->freePlaces.push_back(place_);
}

void TensorHandle::hold(std::shared_ptr<Storage> storage, const Tensor& tensor) {
  if (storage_) throw std::logic_error("a tensor handle that is in use was filled again");
  storage_ = std::move(storage);
  tensor_ = tensor;
  ++context_->tensors;
}

void TensorHandle::drop(Napi::BasicEnv env) {
  if (!storage_) return;
  --context_->tensors;
  const bool last = storage_.use_count() == 1;
  const auto bytes = static_cast<int64_t>(storage_->bytes());
  storage_.reset();
  if (last) Napi::MemoryManagement::AdjustExternalMemory(env, -bytes);
}

TensorHandle* TensorHandle::find(const Context& context, double id) {
  const bool known = id >= 1 && id <= static_cast<double>(context.handles.size());
  return known ? context.handles[static_cast<size_t>(id) - 1] : nullptr;
}

const TensorHandle& TensorHandle::from(const Context& context, double id) {
  const TensorHandle* const handle = find(context, id);
  if (!handle || !handle->storage_) throw std::runtime_error("a tensor was used after it was freed");
  return *handle;
}

TensorHandle& TensorHandle::empty(FrameReader& from) {
  TensorHandle* const handle = find(from.context(), from.next());
  if (!handle) throw std::logic_error("there is no tensor handle of this number");
  return *handle;
}

Dims TensorHandle::shape(FrameReader& from) {
  const Dims dims = from.dims();
  from.expectEnd();
  for (int i = 0; i < dims.rank; ++i)
    if (dims[i] < 0) throw std::runtime_error("a tensor has no negative extents");
  return dims;
}

Napi::Value TensorHandle::allocate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    FrameReader from(info);
    TensorHandle& handle = empty(from);
    const auto device = static_cast<DeviceId>(from.whole<int32_t>());
    Tensor tensor;
    tensor.dtype = static_cast<DType>(from.whole<int32_t>());
    tensor.shape = shape(from);
    auto storage = std::make_shared<Storage>(handle.context_, device, tensor.bytes());
    tensor.data = storage->memory();
    const auto bytes = static_cast<int64_t>(storage->bytes());
    handle.hold(std::move(storage), tensor);
    Napi::MemoryManagement::AdjustExternalMemory(info.Env(), bytes);
    return info.Env().Undefined();
  });
}

Napi::Value TensorHandle::view(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    FrameReader from(info);
    TensorHandle& handle = empty(from);
    const TensorHandle& base = TensorHandle::from(from.context(), from.next());
    const auto offset = from.whole<int64_t>();
    Tensor tensor;
    tensor.shape = shape(from);
    if (offset < 0 || offset + tensor.size() > base.tensor_.size())
      throw std::runtime_error("a view must lie inside its tensor");
    tensor.dtype = base.tensor_.dtype;
    tensor.data = static_cast<char*>(base.tensor_.data) + static_cast<size_t>(offset) * sizeOf(tensor.dtype);
    handle.hold(base.storage_, tensor);
    return info.Env().Undefined();
  });
}

Napi::Value TensorHandle::free(const Napi::CallbackInfo& info) {
  TensorHandle* const handle = find(*contextOf(info.Env()), info[0].As<Napi::Number>().DoubleValue());
  if (handle) handle->drop(info.Env());
  return info.Env().Undefined();
}

void TensorHandle::define(Napi::Env env, Napi::Object& exports) {
  const Napi::Function constructor = DefineClass(env, "TensorHandle", {});
  exports.Set("TensorHandle", constructor);
  exports.Set("allocate", Napi::Function::New(env, allocate, "allocate"));
  exports.Set("view", Napi::Function::New(env, view, "view"));
  exports.Set("free", Napi::Function::New(env, free, "free"));
}

}  // namespace spherenet::node
