// The runtime's interface: streams, events, memory, the errors that host code has to live with.
#include <cuda_on_host/controls.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include "emulator_test.h"

namespace emulator_test {
namespace {

using namespace cuda_on_host;

__global__ void add(float* values, float what) {
  values[blockIdx.x * blockDim.x + threadIdx.x] += what;
}

cudaError_t addOn(cudaStream_t stream, float* values, unsigned count, float what, dim3 block = 32,
                  size_t shared = 0) {
  cudaLaunchConfig_t config{};
  config.gridDim = count / 32;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, add, values, what);
}

/// A gate in a stream: what is submitted behind it does not run before it is opened.
class Gate {
 public:
  explicit Gate(cudaStream_t stream) { cudaLaunchHostFunc(stream, wait, this); }
  void open() { open_ = true; }

 private:
  static void wait(void* gate) {
    while (!static_cast<Gate*>(gate)->open_) std::this_thread::yield();
  }
  std::atomic<bool> open_{false};
};

cudaStream_t newStream(unsigned flags = cudaStreamNonBlocking) {
  cudaStream_t stream = nullptr;
  expect(cudaStreamCreateWithFlags(&stream, flags) == cudaSuccess, "a new stream");
  return stream;
}

void checkStreams() {
  const cudaStream_t first = newStream(), second = newStream();
  DeviceArray<float> values(64, 0.0f);
  Gate gate(first);
  addOn(first, values.get(), 64, 1);
  expect(cudaStreamQuery(first) == cudaErrorNotReady && values[0] == 0, "a launch returns before it runs");
  cudaEvent_t event = nullptr, before = nullptr;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  cudaEventCreate(&before);
  expect(cudaEventQuery(event) == cudaSuccess, "an event that was never recorded is over");
  cudaEventRecord(event, first);
  expect(cudaEventQuery(event) == cudaErrorNotReady, "a recorded event waits for its stream");
  cudaStreamWaitEvent(second, event);
  cudaMemsetAsync(values.get(), 0, 64 * sizeof(float), second);
  addOn(second, values.get(), 64, 5);
  expect(cudaStreamQuery(second) == cudaErrorNotReady, "a stream waits for another one's event");
  gate.open();
  expect(cudaEventSynchronize(event) == cudaSuccess, "cudaEventSynchronize");
  expect(cudaStreamSynchronize(second) == cudaSuccess && values[63] == 5, "order between streams");
  cudaEvent_t end = nullptr;
  cudaEventCreate(&end);
  cudaEventRecord(before, first);
  cudaLaunchHostFunc(
      first, [](void*) { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }, nullptr);
  cudaEventRecord(end, first);
  cudaStreamSynchronize(first);
  float milliseconds = 0;
  expect(cudaEventElapsedTime(&milliseconds, before, end) == cudaSuccess && milliseconds >= 5,
         "elapsed time");
  expect(cudaEventElapsedTime(&milliseconds, before, event) == cudaErrorInvalidResourceHandle,
         "an event without time");
  cudaGetLastError();
  static cudaError_t inside;
  cudaLaunchHostFunc(
      first, [](void*) { inside = cudaFree(nullptr); }, nullptr);
  cudaStreamSynchronize(first);
  expect(inside == cudaErrorNotPermitted, "a host function may not call CUDA");
  for (cudaEvent_t e : {event, before, end}) cudaEventDestroy(e);
  // A stream may be destroyed with work in it, which is done all the same.
  addOn(first, values.get(), 64, 1);
  cudaStreamDestroy(first);
  cudaDeviceSynchronize();
  expect(values[1] == 6, "a destroyed stream ends its work");
  cudaStreamDestroy(second);
  cudaGetLastError();
}

void checkDefaultStream() {
  const cudaStream_t blocking = newStream(cudaStreamDefault);
  DeviceArray<float> values(32, 0.0f);
  cudaLaunchHostFunc(
      blocking, [](void*) { std::this_thread::sleep_for(std::chrono::milliseconds(3)); }, nullptr);
  addOn(blocking, values.get(), 32, 2);
  float host = 0;
  cudaMemcpy(&host, values.get(), sizeof host, cudaMemcpyDeviceToHost);
  expect(host == 2, "the default stream waits for blocking streams");
  cudaStreamDestroy(blocking);
}

void checkCopies() {
  const cudaStream_t stream = newStream();
  DeviceArray<float> values(256);
  expect(std::isnan(values[0]) && std::isnan(values[255]), "new device memory is NaN");
  std::vector<float> pageable(256, 1.0f), back(256, 0.0f);
  float* pinned = nullptr;
  cudaMallocHost(&pinned, 1024);
  Gate gate(stream);
  cudaMemcpyAsync(values.get(), pageable.data(), 1024, cudaMemcpyHostToDevice, stream);
  std::fill(pageable.begin(), pageable.end(), 2.0f);
  std::fill(pinned, pinned + 256, 0.0f);
  cudaMemcpyAsync(pinned, values.get(), 1024, cudaMemcpyDeviceToHost, stream);
  expect(pinned[0] == 0, "a copy to pinned memory does not wait");
  gate.open();
  cudaMemcpyAsync(back.data(), values.get(), 1024, cudaMemcpyDeviceToHost, stream);
  expect(back[7] == 1, "pageable memory is staged on its way in and waited for on its way out");
  cudaStreamSynchronize(stream);
  expect(pinned[255] == 1, "a copy to pinned memory");
  expect(cudaMemcpy(values.get() + 1, pageable.data(), 1024, cudaMemcpyHostToDevice) == cudaErrorInvalidValue,
         "a copy beyond the end of an allocation");
  expect(cudaMemcpy(pageable.data(), values.get(), 16, cudaMemcpyHostToDevice) == cudaErrorInvalidValue,
         "a copy in the wrong direction");
  expect(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess,
         "the last error is told once");
  cudaFreeHost(pinned);
  cudaStreamDestroy(stream);
}

void checkMemory() {
  size_t free = 0, total = 0;
  DeviceArray<float> some(100);
  cudaMemGetInfo(&free, &total);
  const size_t used = deviceMemoryInUse();
  expect(used > 0 && total - free == used, "cudaMemGetInfo");
  void* memory = nullptr;
  expect(cudaMalloc(&memory, free + 1) == cudaErrorMemoryAllocation && memory == nullptr, "out of memory");
  expect(cudaGetLastError() == cudaErrorMemoryAllocation && cudaMalloc(&memory, 1000) == cudaSuccess,
         "life goes on after out of memory");
  expect(deviceMemoryInUse() == used + 1000 && reinterpret_cast<uintptr_t>(memory) % 256 == 0,
         "an allocation");
  expect(cudaFree(static_cast<char*>(memory) + 8) == cudaErrorInvalidValue, "freeing what was not allocated");
  expect(cudaFree(memory) == cudaSuccess && deviceMemoryInUse() == used, "freeing");
  cudaGetLastError();
}

void checkLimits() {
  DeviceArray<float> values(32, 0.0f);
  const auto shaped = [&](dim3 grid, dim3 block, size_t shared) {
    const cudaError_t error = launch(add, grid, block, shared, values.get(), 0.0f);
    expect(error == cudaGetLastError(), "a refused launch is the last error");
    return error;
  };
  expect(shaped({1, 65536}, 1, 0) == cudaErrorInvalidConfiguration, "gridDim.y");
  expect(shaped({1, 1, 65536}, 1, 0) == cudaErrorInvalidConfiguration, "gridDim.z");
  expect(shaped(0, 32, 0) == cudaErrorInvalidConfiguration, "an empty grid");
  expect(shaped(1, 1025, 0) == cudaErrorInvalidConfiguration, "more than 1024 threads");
  expect(shaped(1, {32, 33}, 0) == cudaErrorInvalidConfiguration, "more than 1024 threads in two dimensions");
  expect(shaped(1, {1, 1, 65}, 0) == cudaErrorInvalidConfiguration, "blockDim.z");
  expect(shaped(1, 32, 49 << 10) == cudaErrorInvalidValue, "shared memory that was not asked for");
  expect(cudaFuncSetAttribute(add, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 << 10) ==
             cudaErrorInvalidValue,
         "more shared memory than there is");
  cudaGetLastError();
  expect(cudaFuncSetAttribute(add, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 << 10) == cudaSuccess &&
             shaped(1, 32, 227 << 10) == cudaSuccess,
         "shared memory that was asked for");
  cudaFuncAttributes attributes;
  cudaFuncGetAttributes(&attributes, add);
  expect(attributes.maxDynamicSharedSizeBytes == 227 << 10, "attributes of a kernel");
  int blocks = 0;
  cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, add, 256, 100 << 10);
  expect(blocks == 2, "occupancy by shared memory");
  int value = 0;
  expect(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) == cudaSuccess &&
             value == 227 << 10,
         "a device attribute");
  expect(cudaSetDevice(1) == cudaErrorInvalidDevice && cudaGetLastError() == cudaErrorInvalidDevice,
         "one device");
}

void checkFaults() {
  const cudaStream_t stream = newStream();
  DeviceArray<float> values(32, 0.0f);
  refuseLaunch(2);
  expect(addOn(stream, values.get(), 32, 1) == cudaSuccess, "a launch before the refused one");
  expect(addOn(stream, values.get(), 32, 1) == cudaErrorLaunchOutOfResources &&
             cudaGetLastError() != cudaSuccess,
         "a refused launch");
  expect(addOn(stream, values.get(), 32, 1) == cudaSuccess && cudaStreamSynchronize(stream) == cudaSuccess &&
             values[0] == 2,
         "a refused launch leaves the rest alone");
  failLaunch(2);
  Gate gate(stream);
  const cudaError_t good = addOn(stream, values.get(), 32, 1), bad = addOn(stream, values.get(), 32, 1);
  const cudaError_t dropped = addOn(stream, values.get(), 32, 1);
  expect(good == cudaSuccess && bad == cudaSuccess && dropped == cudaSuccess, "a fault shows later");
  gate.open();
  expect(cudaStreamSynchronize(stream) == cudaErrorIllegalAddress && values[0] == 3,
         "a fault shows when waited for");
  void* memory = nullptr;
  expect(cudaMalloc(&memory, 1) == cudaErrorIllegalAddress && cudaGetLastError() == cudaErrorIllegalAddress &&
             cudaGetLastError() == cudaErrorIllegalAddress &&
             cudaStreamQuery(stream) == cudaErrorIllegalAddress,
         "a lost context stays lost");
  recover();
  expect(addOn(stream, values.get(), 32, 1) == cudaSuccess && cudaStreamSynchronize(stream) == cudaSuccess &&
             values[0] == 4,
         "a recovered context");
  cudaStreamDestroy(stream);
}

}  // namespace

void checkRuntime() {
  checkStreams();
  checkDefaultStream();
  checkCopies();
  checkMemory();
  checkLimits();
  checkFaults();
}

}  // namespace emulator_test
