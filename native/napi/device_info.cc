#include "device_info.h"

#include <chrono>
#include <cstring>

#include "../cpu/cpu_memory.h"
#include "../cpu/parallel.h"
#include "../cpu/simd/kernels.h"
#include "context.h"

namespace spherenet::node {
namespace {

Napi::Value cudaStatusToJs(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const CudaStatus status = cudaStatus();
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("compiled", status.compiled);
    result.Set("available", status.available);
    result.Set("reason", status.reason);
    result.Set("driverVersion", status.driverVersion);
    result.Set("runtimeVersion", status.runtimeVersion);
    Napi::Array devices = Napi::Array::New(info.Env(), status.devices.size());
    for (uint32_t i = 0; i < status.devices.size(); ++i) {
      const CudaStatus::Device& device = status.devices[i];
      Napi::Object entry = Napi::Object::New(info.Env());
      entry.Set("name", device.name);
      entry.Set("computeCapability", std::to_string(device.major) + "." + std::to_string(device.minor));
      entry.Set("memoryBytes", static_cast<double>(device.memory));
      devices.Set(i, entry);
    }
    result.Set("devices", devices);
    return result;
  });
}

Napi::Value precision(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Napi::Number::New(info.Env(), static_cast<int32_t>(contextOf(info.Env())->precision()));
  });
}

Napi::Value setPrecision(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto precision = static_cast<Precision>(info[0].As<Napi::Number>().Int32Value());
    contextOf(info.Env())->setPrecision(precision);
    return info.Env().Undefined();
  });
}

Napi::Value simd(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&]() -> Napi::Value { return Napi::String::New(info.Env(), cpu::simd::simdPath()); });
}

Napi::Value threads(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&]() -> Napi::Value { return Napi::Number::New(info.Env(), cpu::threadCount()); });
}

Napi::Value setThreads(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    cpu::setThreadCount(info[0].As<Napi::Number>().Int32Value());
    return info.Env().Undefined();
  });
}

/// FLOP/s of multiply-adds that never leave the registers, on all threads for about as long as asked.
Napi::Value fmaPeak(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    using Clock = std::chrono::steady_clock;
    const double seconds = info[0].As<Napi::Number>().DoubleValue();
    const int threads = cpu::threadCount();
    constexpr int64_t kIterations = 1 << 16;
    int64_t rounds = 0;
    double sink = 0;
    const auto begin = Clock::now();
    std::chrono::duration<double> elapsed{0};
    while (elapsed.count() < seconds) {
      std::vector<double> sums(static_cast<size_t>(threads));
      cpu::parallelTasks(threads, [&](int64_t task) {
        sums[static_cast<size_t>(task)] = cpu::simd::kernels().fmaChain(kIterations);
      });
      for (double sum : sums) sink += sum;
      ++rounds;
      elapsed = Clock::now() - begin;
    }
    const double flops =
        static_cast<double>(rounds) * threads * kIterations * cpu::simd::kernels().flopsPerIteration;
    return Napi::Number::New(info.Env(), sink == sink ? flops / elapsed.count() : 0.0);
  });
}

/// Bytes per second, read and written, of copies between two blocks that no cache holds, on all threads for
/// about as long as asked. The C library's copy writes past the caches where that is faster.
Napi::Value memoryBandwidth(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    using Clock = std::chrono::steady_clock;
    const double seconds = info[0].As<Napi::Number>().DoubleValue();
    const int threads = cpu::threadCount();
    constexpr size_t kBytes = size_t{128} << 20;
    cpu::CachingAllocator memory;
    char* const from = static_cast<char*>(memory.allocate(kBytes));
    char* const to = static_cast<char*>(memory.allocate(kBytes));
    const auto giveBack = [&] {
      if (from) memory.release(from, kBytes);
      if (to) memory.release(to, kBytes);
    };
    if (!from || !to) {
      giveBack();
      throw OutOfMemory("device.cpu.memoryBandwidth: out of memory for 256 MiB");
    }
    const size_t share = kBytes / static_cast<size_t>(threads);
    const auto onEachThread = [&](auto&& work) {
      cpu::parallelTasks(threads, [&](int64_t task) {
        const size_t begin = static_cast<size_t>(task) * share;
        work(from + begin, to + begin);
      });
    };
    // The pages come from the system at the first touch, which is not to be timed.
    onEachThread([&](char* source, char* target) {
      std::memset(source, 1, share);
      std::memset(target, 2, share);
    });
    int64_t rounds = 0;
    const auto begin = Clock::now();
    std::chrono::duration<double> elapsed{0};
    while (elapsed.count() < seconds) {
      onEachThread([&](char* source, char* target) { std::memcpy(target, source, share); });
      ++rounds;
      elapsed = Clock::now() - begin;
    }
    giveBack();
    const double bytes = 2.0 * static_cast<double>(rounds) * threads * static_cast<double>(share);
    return Napi::Number::New(info.Env(), bytes / elapsed.count());
  });
}

}  // namespace

void defineDeviceInfo(Napi::Env env, Napi::Object& exports) {
  exports.Set("cudaStatus", Napi::Function::New(env, cudaStatusToJs, "cudaStatus"));
  exports.Set("precision", Napi::Function::New(env, precision, "precision"));
  exports.Set("setPrecision", Napi::Function::New(env, setPrecision, "setPrecision"));
  exports.Set("simd", Napi::Function::New(env, simd, "simd"));
  exports.Set("threads", Napi::Function::New(env, threads, "threads"));
  exports.Set("setThreads", Napi::Function::New(env, setThreads, "setThreads"));
  exports.Set("fmaPeak", Napi::Function::New(env, fmaPeak, "fmaPeak"));
  exports.Set("memoryBandwidth", Napi::Function::New(env, memoryBandwidth, "memoryBandwidth"));
}

}  // namespace spherenet::node
