// JavaScript arguments to native ones, by type. One overload per parameter struct of ops.h.
#pragma once

#include <napi.h>

#include <type_traits>
#include <vector>

#include "tensor_handle.h"

namespace spherenet::node {

template <class T>
struct FromJs {
  static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>, "no conversion from JavaScript for this type");
  static T get(const Napi::Value& value) {
    if constexpr (std::is_same_v<T, bool>) {
      return value.ToBoolean();
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
    } else {
      return static_cast<T>(value.As<Napi::Number>().DoubleValue());
    }
  }
};

template <class T>
void field(const Napi::Object& from, const char* name, T& to) {
  to = FromJs<T>::get(from.Get(name));
}

template <>
struct FromJs<Tensor> {
  static Tensor get(const Napi::Value& value) {
    if (value.IsNull() || value.IsUndefined()) return {};
    return TensorHandle::from(value).tensor();
  }
};

template <>
struct FromJs<std::vector<Tensor>> {
  static std::vector<Tensor> get(const Napi::Value& value) {
    const auto array = value.As<Napi::Array>();
    std::vector<Tensor> tensors(array.Length());
    for (uint32_t i = 0; i < array.Length(); ++i) tensors[i] = FromJs<Tensor>::get(array.Get(i));
    return tensors;
  }
};

template <>
struct FromJs<Dims> {
  static Dims get(const Napi::Value& value) {
    const auto array = value.As<Napi::Array>();
    Dims dims;
    dims.rank = static_cast<int32_t>(array.Length());
    for (int i = 0; i < dims.rank && i < kMaxRank; ++i)
      dims[i] = array.Get(static_cast<uint32_t>(i)).As<Napi::Number>().Int64Value();
    return dims;
  }
};

template <>
struct FromJs<Conv2dParams> {
  static Conv2dParams get(const Napi::Value& value) {
    const auto o = value.As<Napi::Object>();
    Conv2dParams p;
    field(o, "strideH", p.strideH);
    field(o, "strideW", p.strideW);
    field(o, "padTop", p.padTop);
    field(o, "padBottom", p.padBottom);
    field(o, "padLeft", p.padLeft);
    field(o, "padRight", p.padRight);
    field(o, "dilationH", p.dilationH);
    field(o, "dilationW", p.dilationW);
    field(o, "groups", p.groups);
    return p;
  }
};

template <>
struct FromJs<Pool2dParams> {
  static Pool2dParams get(const Napi::Value& value) {
    const auto o = value.As<Napi::Object>();
    Pool2dParams p;
    field(o, "kernelH", p.kernelH);
    field(o, "kernelW", p.kernelW);
    field(o, "strideH", p.strideH);
    field(o, "strideW", p.strideW);
    field(o, "padTop", p.padTop);
    field(o, "padBottom", p.padBottom);
    field(o, "padLeft", p.padLeft);
    field(o, "padRight", p.padRight);
    return p;
  }
};

template <>
struct FromJs<AngularParams> {
  static AngularParams get(const Napi::Value& value) {
    const auto o = value.As<Napi::Object>();
    AngularParams p;
    field(o, "operator", p.op);
    field(o, "k", p.k);
    field(o, "epsilon", p.epsilon);
    return p;
  }
};

template <>
struct FromJs<SgdParams> {
  static SgdParams get(const Napi::Value& value) {
    const auto o = value.As<Napi::Object>();
    SgdParams p;
    field(o, "lr", p.lr);
    field(o, "momentum", p.momentum);
    field(o, "dampening", p.dampening);
    field(o, "weightDecay", p.weightDecay);
    field(o, "nesterov", p.nesterov);
    field(o, "firstStep", p.firstStep);
    return p;
  }
};

template <>
struct FromJs<AdamParams> {
  static AdamParams get(const Napi::Value& value) {
    const auto o = value.As<Napi::Object>();
    AdamParams p;
    field(o, "lr", p.lr);
    field(o, "beta1", p.beta1);
    field(o, "beta2", p.beta2);
    field(o, "epsilon", p.epsilon);
    field(o, "weightDecay", p.weightDecay);
    field(o, "decoupled", p.decoupled);
    field(o, "step", p.step);
    return p;
  }
};

}  // namespace spherenet::node
