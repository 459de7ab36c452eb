// A GPU as a device: one stream per JavaScript environment. Ops are launched by the thread that submits them
// and run on the GPU while JavaScript goes on.
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <utility>

#include "context.h"
#include "cuda_memory.h"
#include "cuda_ops.h"
#include "pinned_memory.h"
#include "transfers.h"

namespace spherenet::cuda {
namespace {

/// Whether SPHERENET_CUDA_SYNC asks to wait after each op, so that an error names the op that failed.
bool synchronousByEnvironment() {
  const char* value = std::getenv("SPHERENET_CUDA_SYNC");
  return value && *value && std::string_view(value) != "0";
}

/// A stream that does not wait for the default stream.
class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { cudaStreamDestroy(stream_); }

  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

int attribute(cudaDeviceAttr which) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, 0), "device attributes");
  return value;
}

Context contextOf(cudaStream_t stream, Memory* memory) {
  Context context;
  context.stream = stream;
  context.memory = memory;
  context.multiprocessors = attribute(cudaDevAttrMultiProcessorCount);
  context.sharedMemoryPerBlock = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  context.computeCapability =
      10 * attribute(cudaDevAttrComputeCapabilityMajor) + attribute(cudaDevAttrComputeCapabilityMinor);
  return context;
}

class CudaBackend final : public Backend {
 public:
  CudaBackend()
      : memory_(stream_.get()),
        context_(contextOf(stream_.get(), &memory_)),
        ops_(context_),
        uploads_(stream_.get(), pinned_),
        downloads_(stream_.get(), pinned_, [this](cudaError_t error) { return failedRead(error); }) {}

  ~CudaBackend() override {
    shutDown();
    cudaStreamSynchronize(stream_.get());
  }

  /// A GPU's work cannot be cut short: what was launched ends on its own, and memory that it uses is waited
  /// for where it is freed.
  void shutDown() noexcept override { downloads_.stop(); }

  void* allocate(size_t bytes) override {
    throwIfLost();
    try {
      return memory_.allocate(bytes);
    } catch (const CudaError& e) {
      throwFailure("", e);
    }
  }

  void release(void* memory, size_t) noexcept override { memory_.release(memory); }

  MemoryUse memory() const override { return memory_.use(); }

  void trim() override {
    throwIfLost();
    try {
      memory_.trim();
      pinned_.trim();
    } catch (const CudaError& e) {
      throwFailure("", e);
    }
  }

  void submit(std::unique_ptr<const Call> call) override {
    throwIfLost();
    const Call& op = *call;
    {
      std::lock_guard lock(mutex_);
      last_.swap(call);
    }
    try {
      op.run(ops_);
      if (synchronous_) check(cudaStreamSynchronize(stream_.get()), "synchronize");
    } catch (const OutOfMemory& e) {
      throw OutOfMemory(op.describe() + ": " + e.what());
    } catch (const CudaError& e) {
      throwFailure(op.describe() + ": ", e);
    } catch (const std::exception& e) {
      throw std::runtime_error(op.describe() + ": " + e.what());
    }
  }

  void write(const void* host, const Tensor& to) override {
    throwIfLost();
    try {
      uploads_.write(host, to);
    } catch (const CudaError& e) {
      throwFailure("write: ", e);
    }
  }

  void read(const Tensor& from, void* host, std::function<void(std::string)> done) override {
    std::string error;
    try {
      throwIfLost();
      downloads_.read(from, host, done);
      return;
    } catch (const CudaError& e) {
      error = failure("read: ", e.code, e.what());
    } catch (const std::exception& e) {
      error = e.what();
    }
    done(std::move(error));
  }

  void synchronize() override {
    throwIfLost();
    try {
      check(cudaStreamSynchronize(stream_.get()), "synchronize");
    } catch (const CudaError& e) {
      throwFailure("", e);
    }
  }

  void setPrecision(Precision precision) override { context_.precision = precision; }

 private:
  void throwIfLost() {
    std::lock_guard lock(mutex_);
    if (!lost_.empty()) throw std::runtime_error(lost_);
  }

  [[noreturn]] void throwFailure(const std::string& what, const CudaError& e) {
    throw std::runtime_error(failure(what, e.code, e.what()));
  }

  /// What to say about an error of the runtime. Some leave the context in ruins: then every later call of the
  /// runtime fails, and so it is said from now on. Any thread.
  std::string failure(const std::string& what, cudaError_t error, const char* message) {
    const cudaError_t state = cudaStreamQuery(stream_.get());
    std::lock_guard lock(mutex_);
    if (state != cudaSuccess && state != cudaErrorNotReady && lost_.empty()) {
      lost_ = "the CUDA context is lost after " + (last_ ? last_->describe() : "its start") + ": " +
              cudaGetErrorString(error) +
              "; CPU tensors stay usable, restart the process to use the GPU again" +
              (synchronous_ ? "" : " (SPHERENET_CUDA_SYNC=1 names the very op that fails)");
    }
    return lost_.empty() ? what + message : lost_;
  }

  std::string failedRead(cudaError_t error) { return failure("read: ", error, cudaGetErrorString(error)); }

  const bool synchronous_ = synchronousByEnvironment();
  std::mutex mutex_;
  std::string lost_;                  // what every call throws once the context is lost; under the mutex
  std::unique_ptr<const Call> last_;  // the latest op; under the mutex
  Stream stream_;
  Memory memory_;
  PinnedMemory pinned_;
  Context context_;
  CudaOps ops_;
  Uploads uploads_;
  Downloads downloads_;
};

}  // namespace
}  // namespace spherenet::cuda

namespace spherenet {

std::unique_ptr<Backend> makeCudaBackend() {
  if (const CudaStatus status = cudaStatus(); !status.available)
    throw std::runtime_error("device cuda is not available: " + status.reason);
  try {
    return std::make_unique<cuda::CudaBackend>();
  } catch (const cuda::CudaError& e) {
    throw std::runtime_error(std::string("device cuda could not be started: ") + e.what());
  }
}

}  // namespace spherenet
