// The module: what ts/core/binding.ts sees. Loadable by several environments (worker threads) of one process.
#include "addon.h"

#include "device_info.h"
#include "ops_table.h"
#include "read.h"
#include "tensor_handle.h"

namespace spherenet::node {

Backend& Context::backend(DeviceId id) {
  if (id != DeviceId::Cpu) throw std::runtime_error("device cuda is not available: " + cudaStatus().reason);
  if (!cpu_) cpu_ = makeCpuBackend();
  return *cpu_;
}

void Context::shutDown() {
  if (cpu_) cpu_->shutDown();
}

std::shared_ptr<Context>& contextOf(Napi::Env env) {
  return env.GetInstanceData<Addon>()->context;
}

namespace {

Napi::Value memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Context& context = *contextOf(info.Env());
    const MemoryUse use = context.backend(DeviceId::Cpu).memory();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("tensors", static_cast<double>(context.tensors));
    result.Set("bytes", static_cast<double>(context.bytes));
    result.Set("cachedBytes", static_cast<double>(use.cached));
    result.Set("peakBytes", static_cast<double>(use.peak));
    return result;
  });
}

Napi::Value trim(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    contextOf(info.Env())->backend(DeviceId::Cpu).trim();
    return info.Env().Undefined();
  });
}

Napi::Value synchronize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    contextOf(info.Env())->backend(DeviceId::Cpu).synchronize();
    return info.Env().Undefined();
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* addon = new Addon{std::make_shared<Context>(), std::make_unique<Mailbox>(env)};
  env.SetInstanceData(addon);
  // Before the environment ends: stop the stream, so that no thread touches its JavaScript memory any more.
  env.AddCleanupHook(
      [](Addon* closing) {
        closing->context->shutDown();
        closing->mailbox->close();
      },
      addon);
  TensorHandle::define(env, *addon->context);

  exports.Set("TensorHandle", addon->context->tensorConstructor.Value());
  exports.Set("ops", makeOpsTable(env));
  exports.Set("read", Napi::Function::New(env, read, "read"));
  exports.Set("readSync", Napi::Function::New(env, readSync, "readSync"));
  exports.Set("write", Napi::Function::New(env, write, "write"));
  exports.Set("memory", Napi::Function::New(env, memory, "memory"));
  exports.Set("trim", Napi::Function::New(env, trim, "trim"));
  exports.Set("synchronize", Napi::Function::New(env, synchronize, "synchronize"));
  defineDeviceInfo(env, exports);
  return exports;
}

}  // namespace
}  // namespace spherenet::node

static Napi::Object initSpherenet(Napi::Env env, Napi::Object exports) {
  return spherenet::node::init(env, exports);
}

NODE_API_MODULE(spherenet, initSpherenet)
