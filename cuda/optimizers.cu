// SGD and Adam steps over lists of parameters: a launch updates as many tensors as fit into a kernel's
// arguments.
#include <cmath>

#include "cuda_ops.h"
#include "elementwise.cuh"

namespace spherenet::cuda {

namespace {

constexpr int kStepThreads = 256;
/// Packs of 16 bytes that a thread updates.
constexpr int kPacks = 2;
/// Tensors of one launch: a kernel's arguments hold 4 KiB.
constexpr int kMostTensors = 90;
/// Parameter, gradient and up to two moments.
constexpr int kMostRoles = 4;

/// What one launch updates. Tensor i belongs to the blocks from firstBlock[i] to firstBlock[i + 1] - 1.
struct TensorList {
  void* data[kMostTensors][kMostRoles];
  int64_t size[kMostTensors];
  uint32_t firstBlock[kMostTensors + 1];
  int32_t count;
};

/// An SGD step without momentum. Roles: parameter, gradient.
template <class T>
struct Sgd {
  static constexpr int kRoles = 2, kOutputs = 1;
  using Element = T;
  T lr, decay;

  __device__ __forceinline__ void operator()(T (&v)[kRoles]) const { v[0] -= lr * (v[1] + decay * v[0]); }
};

/// Roles: parameter, velocity, gradient. What `keep` = 0 forgets may be NaN.
template <class T>
struct SgdMomentum {
  static constexpr int kRoles = 3, kOutputs = 2;
  using Element = T;
  T lr, decay, keep, take;
  T direct, along;  // the step is along nesterov ? g + momentum * velocity : velocity
  bool first;

  __device__ __forceinline__ void operator()(T (&v)[kRoles]) const {
    const T g = v[2] + decay * v[0];
    v[1] = (first ? 0 : keep * v[1]) + take * g;
    v[0] -= lr * (direct * g + along * v[1]);
  }
};

/// Roles: parameter, first and second moment, gradient.
template <class T>
struct Adam {
  static constexpr int kRoles = 4, kOutputs = 3;
  using Element = T;
  T shrink, decay, beta1, rest1, beta2, rest2, stepSize, inverseRoot2, epsilon;

  __device__ __forceinline__ void operator()(T (&v)[kRoles]) const {
    const T g = v[3] + decay * v[0];
    v[1] = beta1 * v[1] + rest1 * g;
    v[2] = beta2 * v[2] + rest2 * (g * g);
    v[0] = shrink * v[0] - stepSize * v[1] / (sqrt(v[2]) * inverseRoot2 + epsilon);
  }
};

/// Elements that one block updates.
template <class T>
constexpr int kChunk = kStepThreads* kPacks* kPackWidth<T>;

/// Step: kRoles tensors that go in, of which the first kOutputs come out again.
template <class Step>
__global__ void __launch_bounds__(kStepThreads) stepKernel(const TensorList list, const Step step) {
  using T = typename Step::Element;
  constexpr int kWidth = kPackWidth<T>, kRoles = Step::kRoles, kOutputs = Step::kOutputs;
  int tensor = 0;
  for (int end = list.count; end - tensor > 1;) {
    const int middle = (tensor + end) / 2;
    (blockIdx.x >= list.firstBlock[middle] ? tensor : end) = middle;
  }
  const int64_t first = static_cast<int64_t>(blockIdx.x - list.firstBlock[tensor]) * kChunk<T>;
  const int64_t left = list.size[tensor] - first;
  T* data[kRoles];
  uintptr_t addresses = 0;
#pragma unroll
  for (int r = 0; r < kRoles; ++r) {
    data[r] = static_cast<T*>(list.data[tensor][r]) + first;
    addresses |= reinterpret_cast<uintptr_t>(data[r]);
  }
  if (left >= kChunk<T> && addresses % 16 == 0) {
    Pack<T, kWidth> packs[kPacks][kRoles];
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
#pragma unroll
      for (int r = 0; r < kRoles; ++r)
        packs[p][r] = loadPack<kWidth>(data[r] + (p * kStepThreads + threadIdx.x) * kWidth);
    }
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        T values[kRoles];
#pragma unroll
        for (int r = 0; r < kRoles; ++r) values[r] = packs[p][r].at[j];
        step(values);
#pragma unroll
        for (int r = 0; r < kOutputs; ++r) packs[p][r].at[j] = values[r];
      }
#pragma unroll
      for (int r = 0; r < kOutputs; ++r)
        storePack(data[r] + (p * kStepThreads + threadIdx.x) * kWidth, packs[p][r]);
    }
    return;
  }
  const int count = left < kChunk<T> ? static_cast<int>(left) : kChunk<T>;
#pragma unroll 1
  for (int i = threadIdx.x; i < count; i += kStepThreads) {
    T values[kRoles];
#pragma unroll
    for (int r = 0; r < kRoles; ++r) values[r] = data[r][i];
    step(values);
#pragma unroll
    for (int r = 0; r < kOutputs; ++r) data[r][i] = values[r];
  }
}

/// Takes the step on all tensors of the step's dtype; `roles` in the step's order.
template <class Step>
void takeStep(const Context& context, const Step& step,
              const std::vector<Tensor>* const (&roles)[Step::kRoles]) {
  using T = typename Step::Element;
  static_assert(sizeof(TensorList) + sizeof(Step) <= 4096, "a kernel's arguments hold 4 KiB");
  const std::vector<Tensor>& parameters = *roles[0];
  TensorList list{};
  const auto flush = [&] {
    if (list.count > 0)
      launch(context, stepKernel<Step>, dim3(list.firstBlock[list.count]), kStepThreads, 0, list, step);
    list.count = 0;
  };
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].dtype != DTypeOf<T>::value || parameters[i].size() == 0) continue;
    for (int r = 0; r < Step::kRoles; ++r) list.data[list.count][r] = (*roles[r])[i].template as<T>();
    list.size[list.count] = parameters[i].size();
    const int64_t blocks = ceilDivide(parameters[i].size(), kChunk<T>);
    list.firstBlock[list.count + 1] = list.firstBlock[list.count] + static_cast<uint32_t>(blocks);
    if (++list.count == kMostTensors) flush();
  }
  flush();
}

template <class T>
void stepSgd(const Context& context, const SgdParams& p, const std::vector<Tensor>& parameters,
             const std::vector<Tensor>& gradients, const std::vector<Tensor>& velocities) {
  const T lr = static_cast<T>(p.lr), decay = static_cast<T>(p.weightDecay),
          momentum = static_cast<T>(p.momentum);
  if (p.momentum == 0) return takeStep(context, Sgd<T>{lr, decay}, {&parameters, &gradients});
  const T take = p.firstStep ? T(1) : static_cast<T>(1 - p.dampening);
  const SgdMomentum<T> step{
      lr, decay, momentum, take, p.nesterov ? T(1) : T(0), p.nesterov ? momentum : T(1), p.firstStep};
  takeStep(context, step, {&parameters, &velocities, &gradients});
}

template <class T>
void stepAdam(const Context& context, const AdamParams& p, const std::vector<Tensor>& parameters,
              const std::vector<Tensor>& gradients, const std::vector<Tensor>& firstMoments,
              const std::vector<Tensor>& secondMoments) {
  Adam<T> step;
  step.shrink = static_cast<T>(p.decoupled ? 1 - p.lr * p.weightDecay : 1);
  step.decay = static_cast<T>(p.decoupled ? 0 : p.weightDecay);
  step.beta1 = static_cast<T>(p.beta1);
  step.rest1 = static_cast<T>(1 - p.beta1);
  step.beta2 = static_cast<T>(p.beta2);
  step.rest2 = static_cast<T>(1 - p.beta2);
  step.stepSize = static_cast<T>(p.lr / (1 - std::pow(p.beta1, p.step)));
  step.inverseRoot2 = static_cast<T>(1 / std::sqrt(1 - std::pow(p.beta2, p.step)));
  step.epsilon = static_cast<T>(p.epsilon);
  takeStep(context, step, {&parameters, &firstMoments, &secondMoments, &gradients});
}

}  // namespace

void CudaOps::sgdStep(const SgdParams& p, const std::vector<Tensor>& parameters,
                      const std::vector<Tensor>& gradients, const std::vector<Tensor>& velocities) {
  stepSgd<float>(context_, p, parameters, gradients, velocities);
  stepSgd<double>(context_, p, parameters, gradients, velocities);
}

void CudaOps::adamStep(const AdamParams& p, const std::vector<Tensor>& parameters,
                       const std::vector<Tensor>& gradients, const std::vector<Tensor>& firstMoments,
                       const std::vector<Tensor>& secondMoments) {
  stepAdam<float>(context_, p, parameters, gradients, firstMoments, secondMoments);
  stepAdam<double>(context_, p, parameters, gradients, firstMoments, secondMoments);
}

}  // namespace spherenet::cuda
