// Atomic operations: blocks run on several threads of the CPU at once.
#pragma once

#include <atomic>

namespace cuda_on_host {

/// Replaces *address by update(old); returns old.
template <class T, class F>
T atomicUpdate(T* address, F update) {
  std::atomic_ref<T> atomic(*address);
  T old = atomic.load(std::memory_order_relaxed);
  while (!atomic.compare_exchange_weak(old, update(old))) {
  }
  return old;
}

template <class T>
concept AtomicInteger =
    std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;

}  // namespace cuda_on_host

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  static_assert(cuda_on_host::AtomicInteger<T> || std::is_same_v<T, float> || std::is_same_v<T, double>);
  return cuda_on_host::atomicUpdate(address, [=](T old) -> T {
    if constexpr (std::is_same_v<T, int>) {
      return static_cast<int>(static_cast<unsigned>(old) + static_cast<unsigned>(value));  // wraps
    } else {
      return old + value;
    }
  });
}
template <cuda_on_host::AtomicInteger T>
T atomicSub(T* address, std::type_identity_t<T> value) {
  return atomicAdd(address, T{0} - value);
}
template <cuda_on_host::AtomicInteger T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return cuda_on_host::atomicUpdate(address, [=](T old) { return old < value ? value : old; });
}
template <cuda_on_host::AtomicInteger T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return cuda_on_host::atomicUpdate(address, [=](T old) { return value < old ? value : old; });
}
template <cuda_on_host::AtomicInteger T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_and(value);
}
template <cuda_on_host::AtomicInteger T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_or(value);
}
template <cuda_on_host::AtomicInteger T>
T atomicXor(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).fetch_xor(value);
}
template <class T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return std::atomic_ref<T>(*address).exchange(value);
}
/// Counts up to `last`, then starts again at 0.
inline unsigned atomicInc(unsigned* address, unsigned last) {
  return cuda_on_host::atomicUpdate(address, [=](unsigned old) { return old >= last ? 0 : old + 1; });
}
template <cuda_on_host::AtomicInteger T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  std::atomic_ref<T>(*address).compare_exchange_strong(compare, value);
  return compare;
}
