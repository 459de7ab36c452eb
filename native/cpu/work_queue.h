// Work on its way from the JavaScript thread to the CPU backend's thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "relax.h"

namespace spherenet::cpu {

/// A ring that one thread, the owner, fills and another, the worker, empties in order. Neither takes a lock
/// or makes a system call while the other is awake. The worker polls for a while before it sleeps: ops come
/// one close behind the other, and to wake a thread costs as much as a small op. What the worker is done with
/// is destroyed by the owner, whose allocator it came from.
template <class Work>
class WorkQueue {
 public:
  /// `capacity`: how far the owner may be ahead of the worker, at least 2.
  explicit WorkQueue(size_t capacity) : ring_(capacity) {}

  /// Owner: waits while the ring is full. False once it was closed.
  bool push(Work work) {
    const uint64_t place = pushed_.load(std::memory_order_relaxed);
    reclaim();
    // Not count(): a place is free when what was in it has been destroyed.
    if (place - reclaimed_ == ring_.size()) {
      // Half of it, so that the worker does not have to wake this thread after each piece of work from now
      // on.
      ownerWaits([&] { return count() <= ring_.size() / 2; });
      reclaim();
    }
    if (closed_.load()) return false;
    ring_[place % ring_.size()] = std::move(work);
    pushed_.store(place + 1);
    if (workerSleeps_.load()) notify();
    return true;
  }

  /// Owner: waits until the worker is done with everything, or until the ring was closed.
  void drain() {
    if (count() > 0) ownerWaits([&] { return count() == 0; });
    reclaim();
  }

  /// Any thread. What is left is not taken any more.
  void close() {
    closed_.store(true);
    notify();
  }

  /// Worker: the oldest piece of work, which stays in the ring until done(). Null once the ring was closed.
  Work* next() {
    const auto ready = [&] { return count() > 0 || closed_.load(); };
    for (int i = 0; i < spins_ && !ready(); ++i) relax();
    if (!ready()) {
      std::unique_lock lock(mutex_);
      workerSleeps_.store(true);
      changed_.wait(lock, ready);
      workerSleeps_.store(false);
    }
    return closed_.load() ? nullptr : oldest();
  }

  /// Worker.
  void done() {
    done_.fetch_add(1);
    if (ownerWaits_.load()) notify();
  }

  /// Worker, after next() was null: calls f of each piece of work that was not taken.
  template <class F>
  void forEachLeft(F&& f) {
    for (; count() > 0; done()) f(*oldest());
  }

 private:
  // Some 20 microseconds. In vain where the owner cannot run at the same time.
  static constexpr int kSpins = 1000;

  uint64_t count() const { return pushed_.load() - done_.load(); }
  Work* oldest() { return &ring_[done_.load(std::memory_order_relaxed) % ring_.size()]; }

  void reclaim() {
    for (const uint64_t done = done_.load(); reclaimed_ < done; ++reclaimed_)
      ring_[reclaimed_ % ring_.size()] = Work{};
  }

  template <class Condition>
  void ownerWaits(Condition&& condition) {
    std::unique_lock lock(mutex_);
    ownerWaits_.store(true);
    changed_.wait(lock, [&] { return condition() || closed_.load(); });
    ownerWaits_.store(false);
  }

  /// The lock is what makes sure that a thread which has found nothing to do is waiting by now.
  void notify() {
    { std::lock_guard lock(mutex_); }
    changed_.notify_all();
  }

  std::vector<Work> ring_;
  alignas(64) std::atomic<uint64_t> pushed_{0};
  uint64_t reclaimed_ = 0;  // the owner's
  alignas(64) std::atomic<uint64_t> done_{0};
  alignas(64) std::atomic<bool> closed_{false}, workerSleeps_{false}, ownerWaits_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  const int spins_ = std::thread::hardware_concurrency() == 1 ? 0 : kSpins;
};

}  // namespace spherenet::cpu
