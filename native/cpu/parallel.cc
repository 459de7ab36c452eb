#include "parallel.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#ifdef __linux__
#include <sched.h>
#endif

#include "relax.h"

namespace spherenet::cpu {
namespace {

constexpr int kMaxThreads = 256;
// How long an idle worker polls before it sleeps: some 20 microseconds, about the cost of waking it.
constexpr int kSpins = 1000;

int defaultThreads() {
  if (const char* text = std::getenv("SPHERENET_THREADS"); text && *text) {
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (*end || n < 1 || n > kMaxThreads)
      throw std::runtime_error("SPHERENET_THREADS must be a whole number from 1 to 256, got '" +
                               std::string(text) + "'");
    return static_cast<int>(n);
  }
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::clamp(CPU_COUNT(&set), 1, kMaxThreads);
#endif
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);
}

thread_local const std::atomic<bool>* cancelFlag = nullptr;
thread_local bool insideLoop = false;

struct Loop {
  const TaskBody* body = nullptr;
  int64_t tasks = 0;
  const std::atomic<bool>* cancel = nullptr;
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;

  void run() {
    insideLoop = true;
    for (;;) {
      const int64_t task = next.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks || failed.load(std::memory_order_relaxed)) break;
      try {
        if (cancel && cancel->load(std::memory_order_relaxed)) throw Cancelled{};
        (*body)(task);
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
    insideLoop = false;
  }
};

/// One loop at a time. `state_` holds generation | open | attached workers in one word, so that a worker that
/// wakes late either attaches before the loop is closed or not at all: nobody waits for a worker that is not
/// running.
class Pool {
 public:
  int threads() const { return threads_; }

  void setThreads(int threads) {
    std::lock_guard lock(busy_);
    threads_ = threads;
  }

  void run(int64_t tasks, const TaskBody& body) {
    std::unique_lock lock(busy_, std::defer_lock);
    if (tasks == 1 || insideLoop || threads_ == 1 || !lock.try_lock()) return runAlone(tasks, body);
    grow();
    loop_.body = &body;
    loop_.tasks = tasks;
    loop_.cancel = cancelFlag;
    loop_.next.store(0, std::memory_order_relaxed);
    loop_.failed.store(false, std::memory_order_relaxed);
    loop_.error = nullptr;
    helpers_.store(static_cast<int>(std::min<int64_t>(threads_.load(), tasks)) - 1,
                   std::memory_order_relaxed);
    const uint64_t generation = (state_.load(std::memory_order_relaxed) >> kGenerationShift) + 1;
    state_.store(generation << kGenerationShift | kOpen);
    if (sleeping_.load() > 0) {
      std::lock_guard sleep(sleepMutex_);
      wake_.notify_all();
    }
    loop_.run();
    state_.fetch_and(~kOpen);
    for (int spins = 0; state_.load(std::memory_order_acquire) & kAttached; ++spins) {
      if (spins < kSpins * 16) {
        relax();
      } else {
        std::this_thread::yield();
      }
    }
    if (loop_.error) std::rethrow_exception(std::exchange(loop_.error, nullptr));
  }

 private:
  static constexpr uint64_t kAttached = 0xffff, kOpen = 0x10000;
  static constexpr int kGenerationShift = 17;

  static void runAlone(int64_t tasks, const TaskBody& body) {
    const bool outer = insideLoop;
    for (int64_t task = 0; task < tasks; ++task) {
      if (!outer && cancelFlag && cancelFlag->load(std::memory_order_relaxed)) throw Cancelled{};
      body(task);
    }
  }

  void grow() {
    for (; workers_ < threads_ - 1; ++workers_) std::thread([this] { work(); }).detach();
  }

  void work() {
    uint64_t seen = 0;
    for (;;) {
      uint64_t state = awaitLoop(seen);
      seen = state >> kGenerationShift;
      bool attached = false;
      while (!attached && (state & kOpen) && state >> kGenerationShift == seen &&
             static_cast<int>(state & kAttached) < helpers_.load(std::memory_order_relaxed))
        attached = state_.compare_exchange_weak(state, state + 1);
      if (!attached) continue;
      loop_.run();
      state_.fetch_sub(1, std::memory_order_release);
    }
  }

  uint64_t awaitLoop(uint64_t seen) {
    const auto fresh = [&](uint64_t s) { return (s & kOpen) && s >> kGenerationShift != seen; };
    for (int i = 0; i < kSpins; ++i) {
      if (const uint64_t s = state_.load(); fresh(s)) return s;
      relax();
    }
    std::unique_lock lock(sleepMutex_);
    sleeping_.fetch_add(1);
    uint64_t s = 0;
    wake_.wait(lock, [&] { return fresh(s = state_.load()); });
    sleeping_.fetch_sub(1);
    return s;
  }

  std::atomic<int> threads_{defaultThreads()};
  int workers_ = 0;
  std::mutex busy_;
  Loop loop_;
  std::atomic<uint64_t> state_{0};
  std::atomic<int> helpers_{0}, sleeping_{0};
  std::mutex sleepMutex_;
  std::condition_variable wake_;
};

// Never destroyed: its threads outlive every JavaScript environment of the process.
Pool& pool() {
  static Pool* const instance = new Pool;
  return *instance;
}

}  // namespace

int threadCount() {
  return pool().threads();
}

void setThreadCount(int threads) {
  if (threads < 1 || threads > kMaxThreads)
    throw std::runtime_error("threads must be a whole number from 1 to 256, got " + std::to_string(threads));
  pool().setThreads(threads);
}

void parallelTasks(int64_t tasks, const TaskBody& body) {
  if (tasks > 0) pool().run(tasks, body);
}

void setCancelFlag(const std::atomic<bool>* flag) {
  cancelFlag = flag;
}

}  // namespace spherenet::cpu
