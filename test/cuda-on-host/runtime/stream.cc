#include "stream.h"

#include <cuda_on_host/controls.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "device.h"

using namespace cuda_on_host;

namespace {

struct Registry {
  std::mutex mutex;
  std::vector<CUstream_st*> streams;
};

Registry& registry() {
  static Registry* const instance = new Registry;  // streams' threads live as long as the process
  return *instance;
}

CUstream_st& defaultStream() {
  static CUstream_st* const instance = new CUstream_st(false);
  return *instance;
}

}  // namespace

CUstream_st::CUstream_st(bool blocking) : blocking(blocking) {
  {
    const std::lock_guard lock(registry().mutex);
    registry().streams.push_back(this);
  }
  std::thread([this] { work(); }).detach();
}

void CUstream_st::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    submitted_.wait(lock, [&] { return !tasks_.empty() || closed_; });
    if (tasks_.empty()) break;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    if (task.always || lostContext() == cudaSuccess) task.run();
    task.run = nullptr;
    lock.lock();
    ++doneCount_;
    done_.notify_all();
  }
  lock.unlock();
  {
    const std::lock_guard registered(registry().mutex);
    std::erase(registry().streams, this);
  }
  delete this;
}

void CUstream_st::submit(std::function<void()> task, bool always) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back({std::move(task), always});
    ++submittedCount_;
  }
  submitted_.notify_one();
}

void CUstream_st::synchronize() {
  std::unique_lock lock(mutex_);
  const uint64_t last = submittedCount_;
  done_.wait(lock, [&] { return doneCount_ >= last; });
}

bool CUstream_st::isIdle() {
  const std::lock_guard lock(mutex_);
  return doneCount_ == submittedCount_;
}

void CUstream_st::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  submitted_.notify_one();
}

namespace cuda_on_host {
namespace {

std::atomic<bool> synchronous{false};

void synchronizeStreams(bool onlyBlocking) {
  // Under the registry's lock no stream goes away; a stream's thread takes it only when its work is done.
  const std::lock_guard lock(registry().mutex);
  for (CUstream_st* stream : registry().streams) {
    if (stream->blocking || !onlyBlocking) stream->synchronize();
  }
}

}  // namespace

void synchronizeAllStreams() {
  synchronizeStreams(false);
}

void runSynchronously(bool on) {
  synchronous = on;
}

CUstream_st* streamOf(cudaStream_t handle) {
  if (!handle) {
    CUstream_st& stream = defaultStream();
    synchronizeStreams(true);
    return &stream;
  }
  const std::lock_guard lock(registry().mutex);
  const auto& streams = registry().streams;
  return std::find(streams.begin(), streams.end(), handle) != streams.end() ? handle : nullptr;
}

cudaError_t submitTo(cudaStream_t handle, std::function<void()> task, bool always) {
  if (const cudaError_t error = answer(); error != cudaSuccess) return error;
  CUstream_st* stream = streamOf(handle);
  if (!stream) return answer(cudaErrorInvalidResourceHandle);
  stream->submit(std::move(task), always);
  if (!handle || synchronous) stream->synchronize();
  return cudaSuccess;
}

}  // namespace cuda_on_host

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  if (const cudaError_t error = answer(); error != cudaSuccess) return error;
  *stream = new CUstream_st((flags & cudaStreamNonBlocking) == 0);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (!stream || !streamOf(stream)) return answer(cudaErrorInvalidResourceHandle);
  stream->close();
  return answer();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (const cudaError_t error = answer(); error != cudaSuccess) return error;
  CUstream_st* found = streamOf(stream);
  if (!found) return answer(cudaErrorInvalidResourceHandle);
  found->synchronize();
  return answer();
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  CUstream_st* found = streamOf(stream);
  if (!found) return answer(cudaErrorInvalidResourceHandle);
  const bool idle = found->isIdle();
  return answer(idle ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return submitTo(stream, [function, data] {
    inHostFunction() = true;
    function(data);
    inHostFunction() = false;
  });
}
