// The CPU as a device with a stream: a thread of its own executes ops in order while JavaScript goes on.
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "cpu_memory.h"
#include "half_ops.h"
#include "parallel.h"
#include "work_queue.h"

namespace spherenet::cpu {
namespace {

// JavaScript may run this far ahead of the kernels before it has to wait.
constexpr size_t kMaxPending = 4096;

constexpr const char* kShutDown = "the device was shut down";

/// Bytes to or from the host, in order with the ops.
class Copy final : public Call {
 public:
  Copy(const char* name, const void* from, void* to, size_t bytes)
      : name_(name), from_(from), to_(to), bytes_(bytes) {}

  void run(Ops&) const override { std::memcpy(to_, from_, bytes_); }
  std::string describe() const override { return name_; }

 private:
  const char* name_;
  const void* from_;
  void* to_;
  size_t bytes_;
};

class CpuBackend final : public Backend {
 public:
  CpuBackend() : thread_([this] { run(); }) {}

  ~CpuBackend() override { shutDown(); }

  void shutDown() noexcept override {
    // A long op gives up between two of its parallel tasks, so that a process can end promptly.
    cancel_.store(true);
    queue_.close();
    if (thread_.joinable()) thread_.join();
  }

  void* allocate(size_t bytes) override {
    void* memory = allocator_.allocate(bytes);
    if (!memory) {
      trim();
      memory = allocator_.allocate(bytes);
    }
    if (!memory) throw OutOfMemory(outOfMemory(bytes));
    return memory;
  }

  void release(void* memory, size_t bytes) noexcept override { allocator_.release(memory, bytes); }

  MemoryUse memory() const override { return allocator_.use(); }

  void trim() override {
    queue_.drain();
    allocator_.trim();
  }

  void submit(std::unique_ptr<const Call> call) override { submit(Work{std::move(call), nullptr, nullptr}); }

  void write(const void* host, const Tensor& to) override {
    std::unique_ptr<char[]> staged(new char[to.bytes()]);
    std::memcpy(staged.get(), host, to.bytes());
    auto copy = std::make_unique<Copy>("write", staged.get(), to.data, to.bytes());
    submit(Work{std::move(copy), nullptr, std::move(staged)});
  }

  void read(const Tensor& from, void* host, std::function<void(std::string)> done) override {
    auto copy = std::make_unique<Copy>("read", from.data, host, from.bytes());
    if (!queue_.push(Work{std::move(copy), done, nullptr})) done(kShutDown);
  }

  void synchronize() override {
    queue_.drain();
    if (std::string error = takeError(); !error.empty()) throw std::runtime_error(error);
  }

 private:
  struct Work {
    std::unique_ptr<const Call> call;
    std::function<void(std::string)> done;  // told the error so far, and thereby takes it
    std::unique_ptr<char[]> staged;         // what the call copies from
  };

  void submit(Work work) {
    if (!queue_.push(std::move(work))) throw std::runtime_error(kShutDown);
  }

  void run() {
    setCancelFlag(&cancel_);
    const std::unique_ptr<Ops> ops = makeOpsWithHalf();
    while (Work* const work = queue_.next()) {
      if (std::string failure = execute(*work, *ops); !failure.empty()) keepError(std::move(failure));
      // Not left to the owner, who may be long in coming: a batch of images may be waiting here.
      work->staged.reset();
      if (work->done) std::exchange(work->done, nullptr)(takeError());
      queue_.done();
    }
    queue_.forEachLeft([](Work& work) {
      if (work.done) work.done(kShutDown);
    });
  }

  /// The first error is the one that is told.
  void keepError(std::string error) {
    std::lock_guard lock(errorMutex_);
    if (error_.empty()) error_ = std::move(error);
  }

  std::string takeError() {
    std::lock_guard lock(errorMutex_);
    return std::exchange(error_, {});
  }

  static std::string execute(const Work& work, Ops& ops) {
    try {
      work.call->run(ops);
      return {};
    } catch (const std::exception& e) {
      return work.call->describe() + ": " + e.what();
    } catch (const Cancelled&) {
      return work.call->describe() + ": cancelled, the process is ending";
    }
  }

  std::string outOfMemory(size_t bytes) const {
    const auto megabytes = [](uint64_t b) { return std::to_string((b + (1u << 20) - 1) >> 20) + " MiB"; };
    return "out of memory on the cpu: " + megabytes(bytes) + " requested, " +
           megabytes(allocator_.use().live) + " in use by tensors, " + megabytes(CachingAllocator::limit()) +
           " in the machine; a smaller batch, scope() around each step, or noGrad() for evaluation would "
           "help";
  }

  CachingAllocator allocator_;
  WorkQueue<Work> queue_{kMaxPending};
  std::mutex errorMutex_;
  std::string error_;
  std::atomic<bool> cancel_{false};
  std::thread thread_;
};

}  // namespace
}  // namespace spherenet::cpu

namespace spherenet {

std::unique_ptr<Backend> makeCpuBackend() {
  return std::make_unique<cpu::CpuBackend>();
}

}  // namespace spherenet
