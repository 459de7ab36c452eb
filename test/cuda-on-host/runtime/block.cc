#include "block.h"

#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "settings.h"
#include "signals.h"
#include "symbol.h"

namespace cuda_on_host {
namespace {

constexpr size_t kGuardBytes = 256;    // behind the shared memory, watched for writes
constexpr uint16_t kRubbish = 0x7FFF;  // repeated: NaN in every floating-point type, a huge integer

thread_local BlockRunner* running = nullptr;

}  // namespace

BlockRunner::BlockRunner()
    : randomOrder_(settings().randomOrder),
      copiesLandAtIssue_(settings().copiesLandAtIssue),
      fibers_(&BlockRunner::fiberMain) {
  watchFaults();
}

BlockRunner& BlockRunner::ofThisThread() {
  thread_local BlockRunner* const instance =
      new BlockRunner;  // its stacks may outlive the thread, harmlessly
  return *instance;
}

BlockRunner* BlockRunner::current() {
  return running;
}

// ---- a block from start to end

void BlockRunner::prepare(const Launch& launch) {
  launch_ = &launch;
  threadCount_ = launch.block.x * launch.block.y * launch.block.z;
  warpCount_ = (threadCount_ + 31) / 32;
  if (threads_.size() < threadCount_) threads_.resize(threadCount_);
  if (warps_.size() < warpCount_) warps_.resize(warpCount_);
  const dim3 block = launch.block;
  if (block.x == preparedBlock_.x && block.y == preparedBlock_.y && block.z == preparedBlock_.z) return;
  preparedBlock_ = block;
  indices_.clear();
  for (uint32_t i = 0; i < threadCount_; ++i) {
    indices_.push_back({i % block.x, i / block.x % block.y, i / block.x / block.y});
  }
}

void BlockRunner::prepareShared() {
  const size_t bytes = launch_->shared;
  if (sharedCapacity_ < bytes + kGuardBytes || !shared_) {
    sharedCapacity_ = bytes + kGuardBytes;
    sharedOwner_.reset(new unsigned char[sharedCapacity_ + 128]);
    shared_ = reinterpret_cast<unsigned char*>((reinterpret_cast<uintptr_t>(sharedOwner_.get()) + 127) &
                                               ~uintptr_t{127});
  }
#if defined(CUDA_ON_HOST_ASAN)
  __asan_unpoison_memory_region(shared_, sharedCapacity_);
#endif
  auto* words = reinterpret_cast<uint16_t*>(shared_);
  std::fill(words, words + (bytes + kGuardBytes) / 2, kRubbish);
#if defined(CUDA_ON_HOST_ASAN)
  __asan_poison_memory_region(shared_ + bytes, sharedCapacity_ - bytes);
#endif
}

void BlockRunner::checkShared() const {
#if !defined(CUDA_ON_HOST_ASAN)
  const size_t bytes = launch_->shared;
  for (size_t i = (bytes + 1) & ~size_t{1}; i + 2 <= bytes + kGuardBytes; i += 2) {
    uint16_t word;
    std::memcpy(&word, shared_ + i, 2);
    if (word != kRubbish)
      fail("the block wrote behind its %zu bytes of shared memory, at byte %zu", bytes, i);
  }
#endif
}

void BlockRunner::run(const Launch& launch, uint3 index, uint64_t random) {
  running = this;
  prepare(launch);
  random_ = random * 0x9E3779B97F4A7C15u | 1;
  blockIdx = index;
  blockDim = launch.block;
  gridDim = launch.grid;
  done_ = waiting_ = 0;
  runnable_ = 0;
  measuresTraffic_ = trafficIsMeasured();
  for (uint32_t w = 0; w < warpCount_; ++w) {
    const uint32_t lanes = std::min(32u, threadCount_ - 32 * w);
    warps_[w].exists = lanes == 32 ? ~0u : (1u << lanes) - 1;
    warps_[w].ready = warps_[w].arrived = warps_[w].ended = 0;
    setReady(w, warps_[w].exists);
  }
  prepareShared();
  pickAnyWarp();
  main_.switchTo(fiberFor(threads_[current_]));
  checkShared();
  if (measuresTraffic_) traffic_.endBlock(launch.kernel, threadCount_);
  running = nullptr;
}

// ---- which thread goes on

uint32_t BlockRunner::randomBit(uint32_t mask) {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  const int turn = static_cast<int>(random_ >> 40 & 31);
  return static_cast<uint32_t>((std::countr_zero(std::rotr(mask, turn)) + turn) & 31);
}

void BlockRunner::setReady(uint32_t warp, uint32_t lanes) {
  warps_[warp].ready |= lanes;
  if (warps_[warp].ready != 0) runnable_ |= 1u << warp;
}

/// Makes a ready lane of the warp the current thread.
void BlockRunner::pick(uint32_t warp, uint32_t lane) {
  uint32_t& ready = warps_[warp].ready;
  ready &= ~(1u << lane);
  if (ready == 0) runnable_ &= ~(1u << warp);
  current_ = 32 * warp + lane;
}

void BlockRunner::pickAnyWarp() {
  if (runnable_ == 0) deadlock();
  const uint32_t warp = randomBit(runnable_);
  pick(warp, randomBit(warps_[warp].ready));
}

void BlockRunner::pickNext() {
  const uint32_t warp = current_ / 32, ready = warps_[warp].ready;
  if (randomOrder_ || ready == 0) return pickAnyWarp();
  const int turn = static_cast<int>((current_ + 1) & 31);  // lanes in a circle
  pick(warp, static_cast<uint32_t>((std::countr_zero(std::rotr(ready, turn)) + turn) & 31));
}

Fiber& BlockRunner::fiberFor(Thread& thread) {
  if (!thread.fiber) thread.fiber = &fibers_.take();
  return *thread.fiber;
}

/// Lets the picked thread run; comes back when thread `self` is picked.
void BlockRunner::switchFrom(uint32_t self) {
  if (current_ == self) return;
  threads_[self].fiber->switchTo(fiberFor(threads_[current_]));
  threadIdx = indices_[current_];
}

// ---- threads

/// Every fiber lives here.
void BlockRunner::fiberMain() {
  Fiber::started();
  BlockRunner& runner = *running;
  Fiber& self = *runner.threads_[runner.current_].fiber;
  for (;;) runner.runThreads(self);
}

/// Runs the picked thread, and as long as the next one has not begun yet, that one as well; then waits in the
/// pool.
void BlockRunner::runThreads(Fiber& self) {
  for (;;) {
    Thread& thread = threads_[current_];
    thread.fiber = &self;
    threadIdx = indices_[current_];
    launch_->thread();
    finishThread(thread);
    if (done_ == threadCount_) break;
    pickNext();
    if (threads_[current_].fiber) break;
  }
  fibers_.give(self);
  self.switchTo(done_ == threadCount_ ? main_ : *threads_[current_].fiber);
}

void BlockRunner::finishThread(Thread& thread) {
  if (waiting_ > 0) fail("the thread returned while %u threads of its block wait at __syncthreads", waiting_);
  Warp& warp = warps_[current_ / 32];
  const uint32_t bit = 1u << current_ % 32;
  if (warp.arrived != 0 && (warp.mask & bit) != 0) {
    fail("the thread returned while lanes %08x of its warp wait for it in %s", warp.arrived, warp.collective);
  }
  warp.ended |= bit;
  ++done_;
  thread.fiber = nullptr;
  thread.groups = 0;
  thread.landed = 0;
  thread.copies.clear();  // nobody can read them any more
}

void BlockRunner::deadlock() {
  for (uint32_t w = 0; w < warpCount_; ++w) {
    const Warp& warp = warps_[w];
    if (warp.arrived == 0) continue;
    fail(
        "deadlock: lanes %08x of warp %u wait in %s for lanes %08x, and %u threads of the block at "
        "__syncthreads",
        warp.arrived, w, warp.collective, warp.mask & ~warp.arrived, waiting_);
  }
  fail("deadlock: %u of %u threads wait at __syncthreads", waiting_, threadCount_);
}

// ---- barriers and collectives

int BlockRunner::blockBarrier(Barrier kind, int predicate) {
  if (done_ > 0) fail("__syncthreads after %u threads of the block have returned", done_);
  if (waiting_ == 0) {
    barrierKind_ = kind;
    barrierSum_ = 0;
  } else if (kind != barrierKind_) {
    fail("threads of a block are at different kinds of __syncthreads");
  }
  barrierSum_ += predicate != 0;
  ++waiting_;
  const uint32_t self = current_;
  if (waiting_ < threadCount_) {
    pickNext();
  } else {
    waiting_ = 0;
    barrierResult_ = kind == Barrier::And  ? barrierSum_ == threadCount_
                     : kind == Barrier::Or ? barrierSum_ > 0
                                           : static_cast<int>(barrierSum_);
    for (uint32_t w = 0; w < warpCount_; ++w) setReady(w, warps_[w].exists);
    pickAnyWarp();
  }
  switchFrom(self);
  return barrierResult_;
}

void BlockRunner::warpCollective(const char* name, uint32_t mask, void* part, Combine combine) {
  Warp& warp = warps_[current_ / 32];
  const uint32_t self = current_, bit = 1u << self % 32;
  mask &= warp.exists;
  if ((mask & bit) == 0) fail("%s with mask %08x, in which the calling lane is missing", name, mask);
  if (warp.arrived == 0) {
    if ((mask & warp.ended) != 0) fail("%s with lanes %08x, which have returned", name, mask & warp.ended);
    warp.mask = mask;
    warp.collective = name;
    warp.combine = combine;
  } else if (warp.combine != combine ||
             (warp.collective != name && std::strcmp(warp.collective, name) != 0)) {
    fail("lanes of a warp are at different collectives: %s and %s", warp.collective, name);
  } else if (warp.mask != mask) {
    fail("lanes of a warp are at %s with different masks: %08x and %08x", name, warp.mask, mask);
  }
  warp.parts[self % 32] = part;
  warp.arrived |= bit;
  if (warp.arrived != mask) {
    pickNext();
  } else {
    warp.arrived = 0;
    combine(warp.parts, mask);
    setReady(self / 32, mask & ~bit);
    if (!randomOrder_) return;
    setReady(self / 32, bit);
    pickAnyWarp();
  }
  switchFrom(self);
}

// ---- shared memory and copies into it

void* BlockRunner::sharedMemory(size_t needed, size_t alignment) {
  if (needed > launch_->shared) {
    fail("the kernel uses %zu bytes of shared memory, its launch gave %zu", needed, launch_->shared);
  }
  if (alignment > 128) fail("shared memory is aligned to 128 bytes, not to %zu", alignment);
  return shared_;
}

uint32_t BlockRunner::sharedOffset(const void* pointer, size_t bytes, size_t alignment, const char* user) {
  const uintptr_t offset = reinterpret_cast<uintptr_t>(pointer) - reinterpret_cast<uintptr_t>(shared_);
  if (offset >= launch_->shared || launch_->shared - offset < bytes) {
    fail("%s at an address outside shared memory (offset %lld of %zu bytes)", user,
         static_cast<long long>(offset), launch_->shared);
  }
  if (offset % alignment != 0) {
    fail("%s at byte %zu of shared memory, which is not a multiple of %zu", user, static_cast<size_t>(offset),
         alignment);
  }
  return static_cast<uint32_t>(offset);
}

namespace {

void land(void* to, const void* from, size_t bytes) {
  if (from) {
    std::memcpy(to, from, bytes);
  } else {
    std::memset(to, 0, bytes);
  }
}

}  // namespace

void BlockRunner::beginCopy(void* shared, const void* global, size_t bytes, bool valid) {
  sharedOffset(shared, bytes, bytes, "copyAsync");
  const auto address = reinterpret_cast<uintptr_t>(global);
  if (valid && address % bytes != 0)
    fail("copyAsync%zu from a global address that is not a multiple of %zu", bytes, bytes);
  if (valid && address - reinterpret_cast<uintptr_t>(shared_) < launch_->shared)
    fail("copyAsync from shared memory");
  if (measuresTraffic_)
    traffic_.copy(current_, sharedOffset(shared, bytes, bytes, "copyAsync"), valid ? global : nullptr,
                  static_cast<uint32_t>(bytes));
  if (copiesLandAtIssue_) return land(shared, valid ? global : nullptr, bytes);
  Thread& thread = threads_[current_];
  thread.copies.push_back({shared, valid ? global : nullptr, static_cast<uint32_t>(bytes), thread.groups});
}

void BlockRunner::commitCopies() {
  ++threads_[current_].groups;
}

void BlockRunner::waitForCopies(int pending) {
  Thread& thread = threads_[current_];
  const int64_t complete = static_cast<int64_t>(thread.groups) - pending;  // groups below it
  auto& copies = thread.copies;
  while (thread.landed < copies.size() && copies[thread.landed].group < complete) {
    const Copy& copy = copies[thread.landed++];
    land(copy.to, copy.from, copy.bytes);
  }
  if (thread.landed == copies.size() || thread.landed >= 256) {
    copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(thread.landed));
    thread.landed = 0;
  }
}

void BlockRunner::countMatrixRows(const unsigned char* const (&rows)[32]) {
  if (!measuresTraffic_) return;
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint32_t offsets[8];
    for (int row = 0; row < 8; ++row) offsets[row] = static_cast<uint32_t>(rows[8 * matrix + row] - shared_);
    traffic_.loadMatrix(offsets);
  }
}

// ---- messages

void BlockRunner::printPlace() const {
  const uint3 thread = indices_[current_];
  std::fprintf(stderr, "  in %s, block (%u, %u, %u), thread (%u, %u, %u)\n",
               symbolName(launch_->kernel).c_str(), blockIdx.x, blockIdx.y, blockIdx.z, thread.x, thread.y,
               thread.z);
}

void fail(const char* sentence, ...) {
  std::va_list values;
  va_start(values, sentence);
  std::fprintf(stderr, "CUDA on the CPU: ");
  std::vfprintf(stderr, sentence, values);
  std::fprintf(stderr, "\n");
  va_end(values);
  if (running) running->printPlace();
  std::abort();
}

namespace {

BlockRunner& here() {
  if (!running) fail("device code was called outside of a kernel");
  return *running;
}

}  // namespace

int blockBarrier(Barrier kind, int predicate) {
  return here().blockBarrier(kind, predicate);
}
void warpCollective(const char* name, uint32_t mask, void* part, Combine combine) {
  here().warpCollective(name, mask, part, combine);
}
int laneIndex() {
  return here().lane();
}
void* sharedMemory(size_t needed, size_t alignment) {
  return here().sharedMemory(needed, alignment);
}
uint32_t sharedOffset(const void* pointer, size_t bytes, size_t alignment, const char* user) {
  return here().sharedOffset(pointer, bytes, alignment, user);
}
void beginCopy(void* shared, const void* global, size_t bytes, bool valid) {
  here().beginCopy(shared, global, bytes, valid);
}
void commitCopies() {
  here().commitCopies();
}
void waitForCopies(int pending) {
  here().waitForCopies(pending);
}

}  // namespace cuda_on_host
