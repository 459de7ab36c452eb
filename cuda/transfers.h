// Copies between host and device that run in the order of the stream while the host goes on. Host code.
#pragma once

#include <cuda_runtime_api.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../native/tensor.h"
#include "pinned_memory.h"

namespace spherenet::cuda {

/// Events for reuse. One thread.
class EventPool {
 public:
  EventPool() = default;
  EventPool(const EventPool&) = delete;
  EventPool& operator=(const EventPool&) = delete;
  ~EventPool();

  /// An event recorded on the stream.
  cudaEvent_t record(cudaStream_t stream);
  void give(cudaEvent_t event) { free_.push_back(event); }

 private:
  std::vector<cudaEvent_t> free_;
};

/// Host to device. The host's bytes are copied to page-locked memory piece by piece, so that they may change
/// when write() returns; the device fetches one piece while the host copies the next. The owner's thread.
class Uploads {
 public:
  Uploads(cudaStream_t stream, PinnedMemory& pinned) : stream_(stream), pinned_(pinned) {}
  /// The stream must be idle or lost.
  ~Uploads();

  void write(const void* host, const Tensor& to);

 private:
  struct Piece {
    void* block;
    size_t bytes;
    cudaEvent_t fetched;
  };

  /// Takes back the pieces that were fetched, and waits for the oldest while more than `limit` bytes are
  /// pending.
  void retire(size_t limit);

  cudaStream_t stream_;
  PinnedMemory& pinned_;
  EventPool events_;
  std::deque<Piece> pending_;  // in the order of the stream
  size_t pendingBytes_ = 0;
};

/// Device to host. A thread waits for each copy in turn and tells `done`. A host function on the stream would
/// not do: it holds the stream up while it copies, and CUDA does not call it once the context is lost.
class Downloads {
 public:
  /// `failed` turns the error of a wait into the message that `done` gets; it is called on the thread.
  Downloads(cudaStream_t stream, PinnedMemory& pinned, std::function<std::string(cudaError_t)> failed);
  /// The stream must be idle or lost.
  ~Downloads();

  /// Throws, without a call of `done`, where the copy cannot be submitted.
  void read(const Tensor& from, void* host, std::function<void(std::string)> done);
  /// Tells all who wait that the device was shut down, and calls `done` no more.
  void stop() noexcept;

 private:
  struct Request {
    void* block;
    size_t bytes;
    cudaEvent_t arrived;
    void* host;
    std::function<void(std::string)> done;
  };

  void run();

  cudaStream_t stream_;
  PinnedMemory& pinned_;
  std::function<std::string(cudaError_t)> failed_;
  EventPool events_;  // under the mutex
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request> pending_;
  std::vector<Request> abandoned_;  // the device may still write to their blocks
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace spherenet::cuda
