#include "transfers.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "context.h"

namespace spherenet::cuda {
namespace {

constexpr size_t kPiece = PinnedMemory::kLargestKept;
// Uploads may run this far ahead of the device.
constexpr size_t kMostPending = 8 * kPiece;

}  // namespace

EventPool::~EventPool() {
  for (const cudaEvent_t event : free_) cudaEventDestroy(event);
}

cudaEvent_t EventPool::record(cudaStream_t stream) {
  cudaEvent_t event = nullptr;
  if (free_.empty()) {
    // A thread that waits for it sleeps.
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync), "event");
  } else {
    event = free_.back();
    free_.pop_back();
  }
  try {
    check(cudaEventRecord(event, stream), "event");
  } catch (...) {
    free_.push_back(event);
    throw;
  }
  return event;
}

// ---- Uploads ----------------------------------------------------------------------------------------------

Uploads::~Uploads() {
  for (const Piece& piece : pending_) {
    events_.give(piece.fetched);
    pinned_.give(piece.block, piece.bytes);
  }
}

void Uploads::write(const void* host, const Tensor& to) {
  const size_t total = to.bytes();
  for (size_t at = 0; at < total; at += kPiece) {
    const size_t bytes = std::min(kPiece, total - at);
    retire(kMostPending - bytes);
    void* const block = pinned_.take(bytes);
    std::memcpy(block, static_cast<const char*>(host) + at, bytes);
    char* const target = static_cast<char*>(to.data) + at;
    try {
      check(cudaMemcpyAsync(target, block, bytes, cudaMemcpyHostToDevice, stream_), "copy to the device");
    } catch (...) {
      pinned_.give(block, bytes);
      throw;
    }
    pending_.push_back({block, bytes, events_.record(stream_)});
    pendingBytes_ += bytes;
  }
}

void Uploads::retire(size_t limit) {
  while (!pending_.empty()) {
    const Piece& oldest = pending_.front();
    const bool mustWait = pendingBytes_ > limit;
    const cudaError_t state =
        mustWait ? cudaEventSynchronize(oldest.fetched) : cudaEventQuery(oldest.fetched);
    if (state == cudaErrorNotReady) {
      cudaGetLastError();
      return;
    }
    check(state, "copy to the device");
    pendingBytes_ -= oldest.bytes;
    events_.give(oldest.fetched);
    pinned_.give(oldest.block, oldest.bytes);
    pending_.pop_front();
  }
}

// ---- Downloads --------------------------------------------------------------------------------------------

Downloads::Downloads(cudaStream_t stream, PinnedMemory& pinned,
                     std::function<std::string(cudaError_t)> failed)
    : stream_(stream), pinned_(pinned), failed_(std::move(failed)), thread_([this] { run(); }) {}

Downloads::~Downloads() {
  stop();
  for (const Request& request : abandoned_) {
    if (request.arrived) events_.give(request.arrived);
    pinned_.give(request.block, request.bytes);
  }
}

void Downloads::read(const Tensor& from, void* host, std::function<void(std::string)> done) {
  const size_t bytes = from.bytes();
  void* const block = pinned_.take(bytes);
  try {
    check(cudaMemcpyAsync(block, from.data, bytes, cudaMemcpyDeviceToHost, stream_), "copy to the host");
    std::lock_guard lock(mutex_);
    pending_.push_back({block, bytes, events_.record(stream_), host, std::move(done)});
  } catch (...) {
    // Whatever failed, the device may have begun to write to the block.
    std::lock_guard lock(mutex_);
    abandoned_.push_back({block, bytes, nullptr, nullptr, nullptr});
    throw;
  }
  changed_.notify_one();
}

void Downloads::stop() noexcept {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Downloads::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !pending_.empty(); });
    if (stopping_) break;
    Request request = std::move(pending_.front());
    pending_.pop_front();
    lock.unlock();
    const cudaError_t state = cudaEventSynchronize(request.arrived);
    // The process is ending and its JavaScript with it.
    if (state == cudaErrorCudartUnloading) return;
    lock.lock();
    if (stopping_) {
      pending_.push_front(std::move(request));
      break;
    }
    lock.unlock();
    std::string error = state == cudaSuccess ? "" : failed_(state);
    if (error.empty()) std::memcpy(request.host, request.block, request.bytes);
    // As long as the copy above runs, stop() waits: the JavaScript memory is still there.
    request.done(std::move(error));
    pinned_.give(request.block, request.bytes);
    lock.lock();
    events_.give(request.arrived);
  }
  for (Request& request : pending_) {
    request.done("the device was shut down");
    abandoned_.push_back(std::move(request));
  }
  pending_.clear();
}

}  // namespace spherenet::cuda
