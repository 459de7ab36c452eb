// Streams: a queue of work and a thread that takes it in order.
#pragma once

#include <cuda_runtime_api.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

struct CUstream_st {
 public:
  /// A blocking stream and the default stream wait for each other.
  explicit CUstream_st(bool blocking);

  /// `always` runs even after the context is lost.
  void submit(std::function<void()> task, bool always = false);
  /// Waits for all that was submitted so far.
  void synchronize();
  bool isIdle();
  /// Ends the thread and deletes the stream, when all work is done.
  void close();

  const bool blocking;

 private:
  struct Task {
    std::function<void()> run;
    bool always;
  };
  void work();

  std::mutex mutex_;
  std::condition_variable submitted_, done_;
  std::deque<Task> tasks_;
  uint64_t submittedCount_ = 0, doneCount_ = 0;
  bool closed_ = false;
};

namespace cuda_on_host {

/// The stream behind the handle, or null where it is none. The default stream (null) is returned after all
/// blocking streams have ended their work.
CUstream_st* streamOf(cudaStream_t handle);

/// Puts work into a stream; work of the default stream has ended when this returns.
cudaError_t submitTo(cudaStream_t handle, std::function<void()> task, bool always = false);

}  // namespace cuda_on_host
