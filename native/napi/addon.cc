// The module: what ts/core/binding.ts sees. Loadable by several environments (worker threads) of one process.
#include "addon.h"

#include <exception>

#include "build_info.h"
#include "device_info.h"
#include "frame.h"
#include "ops_table.h"
#include "read.h"
#include "tensor_handle.h"

namespace spherenet::node {

Backend& Context::backend(DeviceId id) {
  std::unique_ptr<Backend>& backend = backends_[static_cast<size_t>(id)];
  if (!backend) {
    backend = id == DeviceId::Cpu ? makeCpuBackend() : makeCudaBackend();
    backend->setPrecision(precision_);
  }
  return *backend;
}

void Context::setPrecision(Precision precision) {
  precision_ = precision;
  for (const auto& backend : backends_)
    if (backend) backend->setPrecision(precision);
}

void Context::shutDown() {
  // CUDA first: the CPU's stream may wait for a copy from there.
  for (const DeviceId id : {DeviceId::Cuda, DeviceId::Cpu})
    if (Backend* backend = existing(id)) backend->shutDown();
}

std::shared_ptr<Context>& contextOf(Napi::Env env) {
  return env.GetInstanceData<Addon>()->context;
}

namespace {

Napi::Value memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Context& context = *contextOf(info.Env());
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("tensors", static_cast<double>(context.tensors));
    result.Set("bytes", static_cast<double>(context.bytes));
    MemoryUse sum;
    Napi::Object devices = Napi::Object::New(info.Env());
    for (const DeviceId id : kDevices) {
      const Backend* backend = context.existing(id);
      const MemoryUse use = backend ? backend->memory() : MemoryUse{};
      sum.cached += use.cached;
      sum.peak += use.peak;
      Napi::Object entry = Napi::Object::New(info.Env());
      entry.Set("bytes", static_cast<double>(use.live));
      entry.Set("cachedBytes", static_cast<double>(use.cached));
      entry.Set("peakBytes", static_cast<double>(use.peak));
      devices.Set(nameOf(id), entry);
    }
    result.Set("cachedBytes", static_cast<double>(sum.cached));
    result.Set("peakBytes", static_cast<double>(sum.peak));
    result.Set("devices", devices);
    return result;
  });
}

/// Calls f of each backend there is; what one of them throws does not keep the others from their turn.
template <class F>
Napi::Value forEachBackend(const Napi::CallbackInfo& info, F&& f) {
  return guarded(info.Env(), [&] {
    std::exception_ptr failure;
    for (const DeviceId id : kDevices) {
      try {
        if (Backend* backend = contextOf(info.Env())->existing(id)) f(*backend);
      } catch (...) {
        if (!failure) failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    return info.Env().Undefined();
  });
}

Napi::Value trim(const Napi::CallbackInfo& info) {
  return forEachBackend(info, [](Backend& backend) { backend.trim(); });
}

Napi::Value synchronize(const Napi::CallbackInfo& info) {
  return forEachBackend(info, [](Backend& backend) { backend.synchronize(); });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* addon = new Addon{std::make_shared<Context>(), std::make_unique<Mailbox>(env), {}};
  env.SetInstanceData(addon);
  // Before the environment ends: stop the stream, so that no thread touches its JavaScript memory any more.
  env.AddCleanupHook(
      [](Addon* closing) {
        closing->context->shutDown();
        closing->mailbox->close();
      },
      addon);
  TensorHandle::define(env, exports);
  exports.Set("frame", Napi::Function::New(env, frame, "frame"));
  exports.Set("ops", makeOpsTable(env));
  exports.Set("read", Napi::Function::New(env, read, "read"));
  exports.Set("readSync", Napi::Function::New(env, readSync, "readSync"));
  exports.Set("write", Napi::Function::New(env, write, "write"));
  exports.Set("copyAcross", Napi::Function::New(env, copyAcross, "copyAcross"));
  exports.Set("memory", Napi::Function::New(env, memory, "memory"));
  exports.Set("trim", Napi::Function::New(env, trim, "trim"));
  exports.Set("synchronize", Napi::Function::New(env, synchronize, "synchronize"));
  defineDeviceInfo(env, exports);
  defineBuildInfo(env, exports);
  return exports;
}

}  // namespace
}  // namespace spherenet::node

static Napi::Object initSpherenet(Napi::Env env, Napi::Object exports) {
  return spherenet::node::init(env, exports);
}

NODE_API_MODULE(spherenet, initSpherenet)
