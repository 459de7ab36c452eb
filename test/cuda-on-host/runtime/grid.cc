#include "grid.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>

#include "block.h"
#include "settings.h"

namespace cuda_on_host {
namespace {

/// A launch of fewer threads is over before other threads of the CPU have woken up.
constexpr uint64_t kThreadsWorthSharing = 2048;

struct Job {
  const Launch& launch;
  const uint64_t blocks;
  const uint64_t stride;  // between blocks that begin one after another; coprime to `blocks`
  std::atomic<uint64_t> next{0}, finished{0};

  explicit Job(const Launch& launch)
      : launch(launch),
        blocks(uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z),
        stride(settings().randomOrder ? coprime(blocks) : 1) {}

  /// Runs blocks until all have begun. Returns whether the last one to finish was among them.
  bool work() {
    bool last = false;
    for (uint64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < blocks;) {
      const uint64_t block = i * stride % blocks;
      const dim3 grid = launch.grid;
      const uint3 index{static_cast<unsigned>(block % grid.x), static_cast<unsigned>(block / grid.x % grid.y),
                        static_cast<unsigned>(block / grid.x / grid.y)};
      BlockRunner::ofThisThread().run(launch, index, settings().seed * 1000003 + block + 1);
      last = finished.fetch_add(1, std::memory_order_acq_rel) + 1 == blocks;
    }
    return last;
  }

 private:
  /// A number near 0.62 n without a common divisor, so that i * it mod n visits everything, neighbours far
  /// apart.
  static uint64_t coprime(uint64_t n) {
    uint64_t stride = static_cast<uint64_t>(static_cast<double>(n) * 0.618) | 1;
    while (std::gcd(stride, n) != 1) ++stride;
    return stride;
  }
};

/// The threads that help the streams' own threads.
class Helpers {
 public:
  static Helpers& instance() {
    static Helpers* const helpers = new Helpers;  // its threads end with the process
    return *helpers;
  }

  void run(Job& job) {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(&job);
    }
    wake_.notify_all();
    job.work();
    std::unique_lock lock(mutex_);
    jobs_.remove(&job);
    ended_.wait(lock, [&] { return job.finished == job.blocks && !inUse(job); });
  }

 private:
  Helpers() {
    for (int i = 1; i < settings().threads; ++i) {
      users_.push_back(nullptr);
      std::thread([this, user = std::prev(users_.end())] { help(*user); }).detach();
    }
  }

  bool inUse(const Job& job) const {
    for (const Job* used : users_) {
      if (used == &job) return true;
    }
    return false;
  }

  void help(Job*& mine) {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return !jobs_.empty(); });
      mine = jobs_.front();
      lock.unlock();
      mine->work();
      lock.lock();
      jobs_.remove(mine);
      mine = nullptr;
      ended_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, ended_;
  std::list<Job*> jobs_;   // with blocks that have not begun
  std::list<Job*> users_;  // what each helper works on
};

}  // namespace

void runGrid(const Launch& launch) {
  Job job(launch);
  const uint64_t threads = job.blocks * launch.block.x * launch.block.y * launch.block.z;
  if (job.blocks == 1 || threads < kThreadsWorthSharing || settings().threads == 1) {
    job.work();
  } else {
    Helpers::instance().run(job);
  }
}

}  // namespace cuda_on_host
