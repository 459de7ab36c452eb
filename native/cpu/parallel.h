// The process-wide pool of threads that CPU ops share.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace spherenet::cpu {

/// A borrowed callable, valid for the duration of the call it is passed to.
class TaskBody {
 public:
  template <class F>
  TaskBody(const F& f)  // NOLINT: implicit on purpose, call sites pass lambdas
      : object_(&f), call_([](const void* o, int64_t task) { (*static_cast<const F*>(o))(task); }) {}
  void operator()(int64_t task) const { call_(object_, task); }

 private:
  const void* object_;
  void (*call_)(const void*, int64_t);
};

/// Threads that work on a parallel loop, the caller included. SPHERENET_THREADS, else the CPUs this process
/// may use.
int threadCount();
/// 1 to 256; takes effect for the next loop.
void setThreadCount(int threads);

/// Runs body(task) once for each task in [0, tasks), on several threads. The first exception thrown by a task
/// is rethrown here. Nested or concurrent calls run their tasks on the calling thread alone.
void parallelTasks(int64_t tasks, const TaskBody& body);

/// Splits [0, count) into ranges of `grain` (the last may be shorter) and runs body(begin, end) for each. The
/// split depends on count and grain only, so a reduction over ranges is reproducible on any number of
/// threads.
template <class F>
void parallelRanges(int64_t count, int64_t grain, const F& body) {
  if (count <= 0) return;
  const int64_t tasks = (count + grain - 1) / grain;
  parallelTasks(tasks, [&](int64_t task) {
    const int64_t begin = task * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

/// What parallelTasks throws once the calling thread's cancel flag is up.
struct Cancelled {};

/// Loops started by this thread end early, with Cancelled, when `flag` becomes true. Null: never.
void setCancelFlag(const std::atomic<bool>* flag);

}  // namespace spherenet::cpu
