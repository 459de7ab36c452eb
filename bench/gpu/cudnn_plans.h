// Convolutions as cuDNN execution plans: one operation, and the engines that cuDNN's heuristics propose for
// it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "cudnn_library.h"

namespace baseline {

enum class Pass { Forward, DataGradient, WeightGradient };

struct Layer {
  int64_t n, c, size, o, kernel, stride;

  int64_t padding() const { return (kernel - 1) / 2; }
  int64_t outputSize() const { return (size + 2 * padding() - kernel) / stride + 1; }
  int64_t xElements() const { return n * size * size * c; }
  int64_t wElements() const { return o * kernel * kernel * c; }
  int64_t yElements() const { return n * outputSize() * outputSize() * o; }
};

/// A backend descriptor that destroys itself.
class Descriptor {
 public:
  Descriptor(const Cudnn& cudnn, cudnnBackendDescriptorType_t type) : cudnn_(&cudnn) {
    cudnn.check(cudnn.createDescriptor(type, &handle_), "cudnnBackendCreateDescriptor");
  }
  Descriptor(Descriptor&& other) noexcept
      : cudnn_(other.cudnn_), handle_(std::exchange(other.handle_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (handle_ != nullptr) cudnn_->destroyDescriptor(handle_);
  }

  cudnnBackendDescriptor_t get() const { return handle_; }

  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const void* values,
                  int64_t count = 1) {
    cudnn_->check(cudnn_->setAttribute(handle_, name, type, count, values), "cudnnBackendSetAttribute");
    return *this;
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
    return set(name, CUDNN_TYPE_INT64, values.data(), static_cast<int64_t>(values.size()));
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    const cudnnBackendDescriptor_t handle = value.get();
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, &handle);
  }
  Descriptor& finalize(const char* what) {
    cudnn_->check(cudnn_->finalize(handle_), what);
    return *this;
  }

 private:
  const Cudnn* cudnn_;
  cudnnBackendDescriptor_t handle_ = nullptr;
};

constexpr int64_t kInputId = 1, kFilterId = 2, kOutputId = 3;

/// A tensor [n, c, h, w] in NHWC order (filters: [o, c, kh, kw] in OHWI order).
inline Descriptor tensorDescriptor(const Cudnn& cudnn, int64_t id, cudnnDataType_t type,
                                   std::array<int64_t, 4> dims) {
  const int64_t alignment = 16;
  const auto [n, c, h, w] = dims;
  Descriptor tensor(cudnn, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, &type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, {n, c, h, w})
      .set(CUDNN_ATTR_TENSOR_STRIDES, {h * w * c, 1, w * c, c})
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {id})
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, {alignment})
      .finalize("tensor descriptor");
  return tensor;
}

/// One pass of a convolution: its operation with what that refers to. Needs no GPU.
struct Operation {
  Descriptor x, w, y, convolution, operation;

  Operation(const Cudnn& cudnn, const Layer& layer, Pass pass, cudnnDataType_t type)
      : x(tensorDescriptor(cudnn, kInputId, type, {layer.n, layer.c, layer.size, layer.size})),
        w(tensorDescriptor(cudnn, kFilterId, type, {layer.o, layer.c, layer.kernel, layer.kernel})),
        y(tensorDescriptor(cudnn, kOutputId, type,
                           {layer.n, layer.o, layer.outputSize(), layer.outputSize()})),
        convolution(cudnn, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR),
        operation(cudnn, kinds(pass).type) {
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t padding = layer.padding();
    convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, &compute)
        .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, &mode)
        .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, {2})
        .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, {layer.stride, layer.stride})
        .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, {1, 1})
        .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, {padding, padding})
        .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, {padding, padding})
        .finalize("convolution descriptor");
    const Kinds names = kinds(pass);
    const float alpha = 1, beta = 0;
    operation.set(names.x, x)
        .set(names.w, w)
        .set(names.y, y)
        .set(names.convolution, convolution)
        .set(names.alpha, CUDNN_TYPE_FLOAT, &alpha)
        .set(names.beta, CUDNN_TYPE_FLOAT, &beta)
        .finalize("operation descriptor");
  }

 private:
  struct Kinds {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
  };

  static Kinds kinds(Pass pass) {
    switch (pass) {
      case Pass::Forward:
        return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
      case Pass::DataGradient:
        return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
      case Pass::WeightGradient:
        break;
    }
    return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  }
};

/// The graph of one operation, and what cuDNN proposes to run it with.
class Graph {
 public:
  Graph(const Cudnn& cudnn, cudnnHandle_t handle, const Operation& operation)
      : cudnn_(cudnn), handle_(handle), graph_(cudnn, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) {
    graph_.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation.operation)
        .set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, &handle)
        .finalize("operation graph");
  }

  /// Engine configurations in the order that a heuristic prefers them; none where it does not serve this
  /// graph.
  std::vector<Descriptor> configurations(cudnnBackendHeurMode_t mode, int64_t most) const {
    Descriptor heuristic(cudnn_, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_)
        .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, &mode);
    if (cudnn_.finalize(heuristic.get()) != CUDNN_STATUS_SUCCESS) return {};
    std::vector<Descriptor> found;
    std::vector<cudnnBackendDescriptor_t> handles;
    for (int64_t i = 0; i < most; ++i) {
      found.emplace_back(cudnn_, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      handles.push_back(found.back().get());
    }
    int64_t count = 0;
    if (cudnn_.getAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                            most, &count, handles.data()) != CUDNN_STATUS_SUCCESS)
      return {};
    while (static_cast<int64_t>(found.size()) > std::min(count, most)) found.pop_back();
    return found;
  }

  cudnnHandle_t handle() const { return handle_; }

 private:
  const Cudnn& cudnn_;
  cudnnHandle_t handle_;
  Descriptor graph_;
};

/// A configuration made ready to run.
struct Plan {
  Descriptor plan;
  int64_t workspaceBytes = 0;
  int64_t engine = -1;

  /// Throws where the engine does not serve this shape after all.
  Plan(const Cudnn& cudnn, cudnnHandle_t handle, const Descriptor& configuration)
      : plan(cudnn, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration)
        .set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, &handle)
        .finalize("execution plan");
    int64_t count = 0;
    cudnn.check(cudnn.getAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                   &count, &workspaceBytes),
                "workspace size");
    Descriptor chosen(cudnn, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    cudnnBackendDescriptor_t into = chosen.get();
    if (cudnn.getAttribute(configuration.get(), CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                           &count, &into) == CUDNN_STATUS_SUCCESS)
      cudnn.getAttribute(into, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &count, &engine);
  }
};

/// Where the tensors of one execution lie.
inline Descriptor variantPack(const Cudnn& cudnn, void* x, void* w, void* y, void* workspace) {
  const std::array<void*, 3> pointers{x, w, y};
  Descriptor pack(cudnn, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, {kInputId, kFilterId, kOutputId})
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers.data(), 3)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, &workspace)
      .finalize("variant pack");
  return pack;
}

}  // namespace baseline
