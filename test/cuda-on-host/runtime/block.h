// Executes one block at a time on one thread of the CPU: a fiber for each CUDA thread that has to wait; those
// that never wait run one after another on the same fiber.
#pragma once

#include <cuda_on_host/launch.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "fiber.h"
#include "traffic.h"

namespace cuda_on_host {

class BlockRunner {
 public:
  BlockRunner();
  /// The calling thread's own; made at the first call.
  static BlockRunner& ofThisThread();
  /// That of the block which the calling thread executes, or null.
  static BlockRunner* current();

  /// Runs block `index` of the launch to its end. `random` seeds the order.
  void run(const Launch& launch, uint3 index, uint64_t random);

  int blockBarrier(Barrier kind, int predicate);
  void warpCollective(const char* name, uint32_t mask, void* part, Combine combine);
  int lane() const { return static_cast<int>(current_ % 32); }

  void* sharedMemory(size_t needed, size_t alignment);
  uint32_t sharedOffset(const void* pointer, size_t bytes, size_t alignment, const char* user);
  void beginCopy(void* shared, const void* global, size_t bytes, bool valid);
  void commitCopies();
  void waitForCopies(int pending);
  /// Counts the bank conflicts of a matrix load whose lanes have these rows.
  void countMatrixRows(const unsigned char* const (&rows)[32]);

  /// Kernel, block and thread, for a message.
  void printPlace() const;

 private:
  struct Copy {
    void* to;
    const void* from;  // null: zeros
    uint32_t bytes, group;
  };
  struct Thread {
    Fiber* fiber = nullptr;  // none before it starts and after it ends
    uint32_t groups = 0;     // committed so far
    size_t landed = 0;       // of `copies`
    std::vector<Copy> copies;
  };
  struct Warp {
    uint32_t exists = 0, ready = 0, arrived = 0, ended = 0, mask = 0;
    const char* collective = nullptr;
    Combine combine = nullptr;
    void* parts[32] = {};
  };

  static void fiberMain();
  void runThreads(Fiber& self);
  void finishThread(Thread& thread);
  void prepare(const Launch& launch);
  void prepareShared();
  void checkShared() const;
  void setReady(uint32_t warp, uint32_t lanes);
  uint32_t randomBit(uint32_t mask);
  void pick(uint32_t warp, uint32_t lane);
  void pickAnyWarp();
  void pickNext();
  Fiber& fiberFor(Thread& thread);
  void switchFrom(uint32_t self);
  [[noreturn]] void deadlock();

  const Launch* launch_ = nullptr;
  uint32_t threadCount_ = 0, warpCount_ = 0;
  dim3 preparedBlock_{0, 0, 0};
  std::vector<uint3> indices_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;

  uint32_t current_ = 0;   // thread
  uint32_t runnable_ = 0;  // warps with a ready lane
  uint32_t done_ = 0, waiting_ = 0;
  Barrier barrierKind_ = Barrier::Plain;
  uint32_t barrierSum_ = 0;
  int barrierResult_ = 0;
  uint64_t random_ = 1;
  const bool randomOrder_, copiesLandAtIssue_;

  bool measuresTraffic_ = false;
  TrafficMeter traffic_;

  Fiber main_;
  FiberPool fibers_;
  std::unique_ptr<unsigned char[]> sharedOwner_;
  unsigned char* shared_ = nullptr;
  size_t sharedCapacity_ = 0;
};

}  // namespace cuda_on_host
