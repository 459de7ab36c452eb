// What the parts of the emulator's own test share. Host code reads and writes device memory directly: here
// both are one.
#pragma once

#include <cuda_runtime.h>

#include <cstdio>
#include <string>

namespace emulator_test {

struct Counts {
  int passed = 0, failed = 0;
};
inline Counts& counts() {
  static Counts instance;
  return instance;
}
inline bool expect(bool condition, const std::string& what) {
  if (condition) {
    ++counts().passed;
  } else {
    ++counts().failed;
    std::fprintf(stderr, "FAILED %s\n", what.c_str());
  }
  return condition;
}

/// Device memory of the test; freed at the end.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t size) : size_(size) { cudaMalloc(&data_, size * sizeof(T)); }
  DeviceArray(size_t size, T value) : DeviceArray(size) {
    for (size_t i = 0; i < size; ++i) data_[i] = value;
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(data_); }

  T* get() const { return data_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  size_t size_;
};

/// Launches on the default stream and waits.
template <class... Parameters>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared,
                   std::type_identity_t<Parameters>... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  if (const cudaError_t error = cudaLaunchKernelEx(&config, kernel, arguments...); error != cudaSuccess)
    return error;
  return cudaDeviceSynchronize();
}

/// Indices, barriers, warp collectives, atomics, shared memory, copies, matrices, numbers
/// (emulator_kernels.cu, emulator_matrices.cu).
void checkKernels();
void checkMatrices();
/// Streams, events, memory, errors (emulator_runtime.cc).
void checkRuntime();

/// A kernel that is wrong, and what has to come of it (emulator_misuse.cu).
struct Misuse {
  const char* name;
  void (*run)();
  const char* sentence;  // part of the message it is stopped with
};
extern const Misuse kMisuses[];
extern const int kMisuseCount;

/// A race: the result is wrong in one of the schedules at least, and right in all of them when repaired.
struct Race {
  const char* name;
  bool (*isRight)(bool repaired);
};
extern const Race kRaces[];
extern const int kRaceCount;

}  // namespace emulator_test
