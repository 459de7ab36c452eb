// Events: marks in streams that others can wait for and that carry the time.
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "device.h"
#include "stream.h"

using namespace cuda_on_host;

namespace {

/// One recording of an event; whoever waits keeps it, whatever becomes of the event.
class Mark {
 public:
  void reach() {
    const std::lock_guard lock(mutex_);
    reached_ = true;
    time_ = std::chrono::steady_clock::now();
    wake_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return reached_; });
  }
  bool isReached() {
    const std::lock_guard lock(mutex_);
    return reached_;
  }
  std::chrono::steady_clock::time_point time() {
    const std::lock_guard lock(mutex_);
    return time_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool reached_ = false;
  std::chrono::steady_clock::time_point time_;
};

}  // namespace

struct CUevent_st {
  unsigned flags;
  std::mutex mutex;
  std::shared_ptr<Mark> mark;  // none before the first recording

  std::shared_ptr<Mark> current() {
    const std::lock_guard lock(mutex);
    return mark;
  }
};

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  if (const cudaError_t error = answer(); error != cudaSuccess) return error;
  *event = new CUevent_st{flags, {}, {}};
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (!event) return answer(cudaErrorInvalidResourceHandle);
  delete event;
  return answer();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!event) return answer(cudaErrorInvalidResourceHandle);
  auto mark = std::make_shared<Mark>();
  const cudaError_t error = submitTo(
      stream, [mark] { mark->reach(); }, true);
  if (error != cudaSuccess) return error;
  const std::lock_guard lock(event->mutex);
  event->mark = std::move(mark);
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (!event) return answer(cudaErrorInvalidResourceHandle);
  const auto mark = event->current();
  const bool reached = !mark || mark->isReached();
  return answer(reached ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (!event) return answer(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = answer(); error != cudaSuccess) return error;
  if (const auto mark = event->current()) mark->wait();
  return answer();
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!start || !end || ((start->flags | end->flags) & cudaEventDisableTiming)) {
    return answer(cudaErrorInvalidResourceHandle);
  }
  const auto from = start->current(), to = end->current();
  if (!from || !to) return answer(cudaErrorInvalidResourceHandle);
  if (!from->isReached() || !to->isReached()) return answer(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(to->time() - from->time()).count();
  return answer();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (!event) return answer(cudaErrorInvalidResourceHandle);
  const auto mark = event->current();
  if (!mark) return answer();
  return submitTo(stream, [mark] { mark->wait(); });
}
