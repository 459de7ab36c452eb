// The ring between the JavaScript thread and the CPU backend's thread, with two threads of its own.
#include "../../native/cpu/work_queue.h"

#include <chrono>
#include <memory>
#include <thread>

#include "check.h"

namespace spherenet::test {

/// Says where it is destroyed.
struct Parcel {
  std::unique_ptr<int> number;
  std::shared_ptr<std::thread::id> destroyedBy;

  Parcel() = default;
  Parcel(int n, std::shared_ptr<std::thread::id> by)
      : number(std::make_unique<int>(n)), destroyedBy(std::move(by)) {}
  Parcel(Parcel&&) = default;
  Parcel& operator=(Parcel&& other) {
    note();
    number = std::move(other.number);
    destroyedBy = std::move(other.destroyedBy);
    return *this;
  }
  ~Parcel() { note(); }
  void note() const {
    if (number && destroyedBy) *destroyedBy = std::this_thread::get_id();
  }
};

/// `pause` of the worker, in microseconds, at every 100th piece of work: the owner then finds the ring full.
void checkOrder(size_t capacity, int count, int pause) {
  cpu::WorkQueue<Parcel> queue(capacity);
  bool ordered = true;
  int taken = 0;
  std::thread worker([&] {
    while (Parcel* const parcel = queue.next()) {
      ordered = ordered && *parcel->number == taken++;
      if (pause > 0 && taken % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(pause));
      queue.done();
    }
  });
  const auto destroyedBy = std::make_shared<std::thread::id>();
  bool accepted = true;
  for (int i = 0; i < count; ++i) {
    accepted = queue.push(Parcel(i, destroyedBy)) && accepted;
    // Long enough for the worker to fall asleep.
    if (i % 1000 == 999) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  queue.drain();
  expect(accepted && ordered && taken == count, "all work is done in order once the queue is drained");
  expect(*destroyedBy == std::this_thread::get_id(), "the owner destroys what is done");
  queue.close();
  worker.join();
  expect(!queue.push(Parcel(count, nullptr)), "nothing is taken once the queue is closed");
}

void checkClose() {
  cpu::WorkQueue<Parcel> queue(8);
  for (int i = 0; i < 5; ++i) queue.push(Parcel(i, nullptr));
  expect(*queue.next()->number == 0, "the oldest comes first");
  queue.done();
  queue.close();
  expect(queue.next() == nullptr, "a closed queue gives nothing");
  int left = 0;
  queue.forEachLeft([&](Parcel& parcel) { left = 10 * left + *parcel.number; });
  expect(left == 1234, "what was left is told in order");
}

void checkCloseWhileFull() {
  cpu::WorkQueue<Parcel> queue(2);
  queue.push(Parcel(0, nullptr));
  queue.push(Parcel(1, nullptr));
  std::thread closer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    queue.close();
  });
  expect(!queue.push(Parcel(2, nullptr)), "closing ends the wait for a place");
  closer.join();
}

}  // namespace spherenet::test

int main() {
  using namespace spherenet::test;
  for (const size_t capacity : {size_t{2}, size_t{7}, size_t{4096}}) {
    checkOrder(capacity, 20000, 0);
    checkOrder(capacity, 2000, 200);
  }
  checkClose();
  checkCloseWhileFull();
  return report();
}
