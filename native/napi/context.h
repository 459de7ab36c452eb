// What one JavaScript environment (main thread or worker) owns: its backends and its count of live tensors.
#pragma once

#include <napi.h>

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "../backend.h"

namespace spherenet::node {

enum class DeviceId : int32_t { Cpu = 0, Cuda = 1 };

constexpr std::array kDevices{DeviceId::Cpu, DeviceId::Cuda};

constexpr const char* nameOf(DeviceId device) {
  return device == DeviceId::Cpu ? "cpu" : "cuda";
}

class TensorHandle;

/// Shared by the environment and by every storage, because finalizers run after the environment's own data is
/// gone.
class Context {
 public:
  /// Made when it is first asked for.
  Backend& backend(DeviceId id);
  /// Null where nothing has asked for it yet.
  Backend* existing(DeviceId id) const { return backends_[static_cast<size_t>(id)].get(); }
  Precision precision() const { return precision_; }
  void setPrecision(Precision precision);
  /// Stops the streams; called before the environment ends. Memory stays valid until the last storage is
  /// gone.
  void shutDown();

  uint64_t tensors = 0;  // live handles
  uint64_t bytes = 0;    // of distinct live storages, as requested
  /// What JavaScript has written for the next call, see frame.h.
  std::span<const double> frame;
  /// By their numbers less 1, null where there is none any more.
  std::vector<TensorHandle*> handles;
  std::vector<size_t> freePlaces;

 private:
  Precision precision_ = Precision::Tf32;
  std::array<std::unique_ptr<Backend>, kDevices.size()> backends_;
};

std::shared_ptr<Context>& contextOf(Napi::Env env);

/// Runs f; a C++ exception becomes a JavaScript Error whose `code` says what kind it is.
template <class F>
Napi::Value guarded(Napi::Env env, F&& f) {
  const auto thrown = [&](const char* code, const char* message) {
    Napi::Error error = Napi::Error::New(env, message);
    error.Set("code", code);
    error.ThrowAsJavaScriptException();
    return env.Undefined();
  };
  try {
    return f();
  } catch (const Napi::Error&) {
    throw;
  } catch (const OutOfMemory& e) {
    return thrown("SPHERENET_OUT_OF_MEMORY", e.what());
  } catch (const std::exception& e) {
    return thrown("SPHERENET_NATIVE", e.what());
  }
}

}  // namespace spherenet::node
