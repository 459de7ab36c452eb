#include "tensor_handle.h"

namespace spherenet::node {
namespace {

Dims dimsFrom(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  Dims dims;
  if (array.Length() > kMaxRank) throw std::runtime_error("a tensor has at most 8 axes");
  dims.rank = static_cast<int32_t>(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) {
    dims[static_cast<int>(i)] = array.Get(i).As<Napi::Number>().Int64Value();
    if (dims[static_cast<int>(i)] < 0) throw std::runtime_error("a tensor has no negative extents");
  }
  return dims;
}

}  // namespace

Storage::Storage(std::shared_ptr<Context> context, DeviceId device, size_t bytes)
    : context_(std::move(context)), device_(device), bytes_(bytes), memory_(backend().allocate(bytes)) {
  context_->bytes += bytes_;
}

Storage::~Storage() {
  backend().release(memory_, bytes_);
  context_->bytes -= bytes_;
}

void TensorHandle::define(Napi::Env env, Context& context) {
  Napi::Function constructor =
      DefineClass(env, "TensorHandle", {InstanceMethod<&TensorHandle::free>("free")});
  context.tensorConstructor = Napi::Persistent(constructor);
}

TensorHandle::TensorHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<TensorHandle>(info), context_(contextOf(info.Env())) {
  guarded(info.Env(), [&] {
    tensor_.shape = dimsFrom(info[2]);
    if (info[0].IsNumber()) {
      tensor_.dtype = static_cast<DType>(info[1].As<Napi::Number>().Int32Value());
      const auto device = static_cast<DeviceId>(info[0].As<Napi::Number>().Int32Value());
      storage_ = std::make_shared<Storage>(context_, device, tensor_.bytes());
      tensor_.data = storage_->memory();
      Napi::MemoryManagement::AdjustExternalMemory(info.Env(), static_cast<int64_t>(storage_->bytes()));
    } else {
      const TensorHandle& base = from(info[0]);
      const int64_t offset = info[1].As<Napi::Number>().Int64Value();
      if (offset < 0 || offset + tensor_.size() > base.tensor_.size())
        throw std::runtime_error("a view must lie inside its tensor");
      tensor_.dtype = base.tensor_.dtype;
      tensor_.data =
          static_cast<char*>(base.tensor_.data) + static_cast<size_t>(offset) * sizeOf(tensor_.dtype);
      storage_ = base.storage_;
    }
    ++context_->tensors;
    return info.Env().Undefined();
  });
}

void TensorHandle::Finalize(Napi::BasicEnv env) {
  drop(env);
}

Napi::Value TensorHandle::free(const Napi::CallbackInfo& info) {
  drop(info.Env());
  return info.Env().Undefined();
}

void TensorHandle::drop(Napi::BasicEnv env) {
  if (!storage_) return;
  --context_->tensors;
  const bool last = storage_.use_count() == 1;
  const auto bytes = static_cast<int64_t>(storage_->bytes());
  storage_.reset();
  if (last) Napi::MemoryManagement::AdjustExternalMemory(env, -bytes);
}

const TensorHandle& TensorHandle::from(const Napi::Value& value) {
  TensorHandle* handle = value.IsObject() ? Unwrap(value.As<Napi::Object>()) : nullptr;
  if (!handle || !handle->storage_) throw std::runtime_error("a tensor was used after it was freed");
  return *handle;
}

}  // namespace spherenet::node
