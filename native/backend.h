// A device as the N-API layer sees it: memory, an ordered stream of work, and copies in and out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops.h"

namespace spherenet {

/// A request the device's memory cannot hold.
class OutOfMemory : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct MemoryUse {
  uint64_t live = 0;    // bytes handed out, the allocator's rounding included
  uint64_t cached = 0;  // bytes kept for reuse
  uint64_t peak = 0;    // largest `live` so far
};

/// One op with its arguments.
class Call {
 public:
  virtual ~Call() = default;
  virtual void run(Ops& ops) const = 0;
  /// "conv2d(float32 [8, 32, 32, 3], float32 [64, 3, 3, 3])", for messages.
  virtual std::string describe() const = 0;
};

/// How CUDA multiplies float32 tensors in convolutions and products: tf32 rounds the operands to 10 bits of
/// fraction on the tensor cores, float32 keeps them whole (three tf32 products for one).
enum class Precision : int32_t { Tf32 = 0, Float32 = 1 };

/// Everything here is called from the one thread that owns the backend (a JavaScript thread). Work runs in
/// the order of submission, possibly later and elsewhere; memory is stream-ordered too: released memory may
/// be handed out again at once, because whoever gets it submits behind the work that still uses it.
class Backend {
 public:
  virtual ~Backend() = default;

  /// Uninitialised memory, 64-byte aligned. Throws OutOfMemory.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* memory, size_t bytes) noexcept = 0;
  virtual MemoryUse memory() const = 0;
  /// Gives cached memory back to the system, after the submitted work has ended.
  virtual void trim() = 0;

  /// Runs the op in order. A failure is thrown here where it is known at once (CUDA: no scratch memory, a
  /// launch that is refused, a lost device), else by the next synchronise or read; the message begins with
  /// call.describe().
  virtual void submit(std::unique_ptr<const Call> call) = 0;
  /// Copies host memory, which may change as soon as this returns.
  virtual void write(const void* host, const Tensor& to) = 0;
  /// Copies to host memory, which must stay valid until `done` is called, on any thread, with an error or "".
  /// Never throws: `done` is told.
  virtual void read(const Tensor& from, void* host, std::function<void(std::string error)> done) = 0;
  /// Waits for all submitted work. Throws what failed since the last time.
  virtual void synchronize() = 0;
  /// Of the ops submitted from now on; a backend without tensor cores has nothing to choose.
  virtual void setPrecision(Precision) {}
  /// Ends the stream: work under way is cut short where that is possible and waited for where not, reads that
  /// have not ended are told so, and after that `done` is called no more. Memory stays valid.
  virtual void shutDown() noexcept = 0;
};

std::unique_ptr<Backend> makeCpuBackend();
/// The first of the devices that CUDA_VISIBLE_DEVICES leaves. Throws where cudaStatus().available is false.
std::unique_ptr<Backend> makeCudaBackend();

/// Why CUDA can or cannot be used; `reason` is empty where it can.
struct CudaStatus {
  bool compiled = false;
  bool available = false;
  std::string reason;
  int driverVersion = 0;   // as CUDA counts: 13000 for 13.0; 0 without a driver
  int runtimeVersion = 0;  // of the statically linked runtime
  struct Device {
    std::string name;
    int major = 0, minor = 0;  // compute capability
    uint64_t memory = 0;
  };
  std::vector<Device> devices;
};

/// cuda/device.cc answers with a toolkit, native/no_cuda.cc without.
CudaStatus cudaStatus();

}  // namespace spherenet
