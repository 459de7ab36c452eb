// The CPU as a device with a stream: a thread of its own executes ops in order while JavaScript goes on.
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "cpu_memory.h"
#include "half_ops.h"
#include "parallel.h"

namespace spherenet::cpu {
namespace {

// JavaScript may run this far ahead of the kernels before it has to wait.
constexpr size_t kMaxPending = 4096;

constexpr const char* kShutDown = "the device was shut down";

/// Bytes to or from the host, in order with the ops.
class Copy final : public Call {
 public:
  /// `staged` is kept while the copy is pending.
  Copy(const char* name, const void* from, void* to, size_t bytes, std::shared_ptr<char[]> staged = nullptr)
      : name_(name), from_(from), to_(to), bytes_(bytes), staged_(std::move(staged)) {}

  void run(Ops&) const override { std::memcpy(to_, from_, bytes_); }
  std::string describe() const override { return name_; }

 private:
  const char* name_;
  const void* from_;
  void* to_;
  size_t bytes_;
  std::shared_ptr<char[]> staged_;
};

class CpuBackend final : public Backend {
 public:
  CpuBackend() : thread_([this] { run(); }) {}

  ~CpuBackend() override { shutDown(); }

  void shutDown() noexcept override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    // A long op gives up between two of its parallel tasks, so that a process can end promptly.
    cancel_.store(true);
    changed_.notify_all();
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
    drain();
    allocator_.trim();
  }

  void submit(std::unique_ptr<const Call> call) override {
    if (!push(std::move(call), nullptr)) throw std::runtime_error(kShutDown);
  }

  void write(const void* host, const Tensor& to) override {
    std::shared_ptr<char[]> staged(new char[to.bytes()]);
    std::memcpy(staged.get(), host, to.bytes());
    submit(std::make_unique<Copy>("write", staged.get(), to.data, to.bytes(), staged));
  }

  void read(const Tensor& from, void* host, std::function<void(std::string)> done) override {
    auto copy = std::make_unique<Copy>("read", from.data, host, from.bytes());
    if (!push(std::move(copy), done)) done(kShutDown);
  }

  void synchronize() override {
    drain();
    std::lock_guard lock(mutex_);
    if (!error_.empty()) throw std::runtime_error(std::exchange(error_, {}));
  }

 private:
  struct Work {
    std::unique_ptr<const Call> call;
    std::function<void(std::string)> done;  // told the error so far, and thereby takes it
  };

  /// False where the stream has ended.
  bool push(std::unique_ptr<const Call> call, std::function<void(std::string)> done) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return queue_.size() < kMaxPending || stopping_; });
    if (stopping_) return false;
    queue_.push_back({std::move(call), std::move(done)});
    lock.unlock();
    changed_.notify_all();
    return true;
  }

  void drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return (queue_.empty() && !running_) || stopping_; });
  }

  void run() {
    setCancelFlag(&cancel_);
    const std::unique_ptr<Ops> ops = makeOpsWithHalf();
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (stopping_) break;
      Work work = std::move(queue_.front());
      queue_.pop_front();
      running_ = true;
      lock.unlock();
      std::string failure = execute(work, *ops);
      lock.lock();
      if (error_.empty()) error_ = std::move(failure);
      if (work.done) {
        std::string error = std::exchange(error_, {});
        lock.unlock();
        work.done(std::move(error));
        lock.lock();
      }
      running_ = false;
      changed_.notify_all();
    }
    for (Work& work : queue_)
      if (work.done) work.done(kShutDown);
    queue_.clear();
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
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> queue_;
  std::string error_;
  bool running_ = false, stopping_ = false;
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
