// JavaScript arguments to native ones, by type. One fieldsOf per parameter struct of ops.h.
#pragma once

#include <napi.h>

#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "tensor_handle.h"

namespace spherenet::node {

template <class Struct, class T>
struct Field {
  const char* name;  // the JavaScript property's
  T Struct::*member;
};

template <class Struct, class T>
constexpr Field<Struct, T> field(const char* name, T Struct::*member) {
  return {name, member};
}

/// The fields of a parameter struct of ops.h: a tuple of Field.
template <class Struct>
inline constexpr auto fieldsOf = std::tuple{};

template <>
inline constexpr auto fieldsOf<Conv2dParams> =
    std::tuple{field("strideH", &Conv2dParams::strideH),     field("strideW", &Conv2dParams::strideW),
               field("padTop", &Conv2dParams::padTop),       field("padBottom", &Conv2dParams::padBottom),
               field("padLeft", &Conv2dParams::padLeft),     field("padRight", &Conv2dParams::padRight),
               field("dilationH", &Conv2dParams::dilationH), field("dilationW", &Conv2dParams::dilationW),
               field("groups", &Conv2dParams::groups)};

template <>
inline constexpr auto fieldsOf<Pool2dParams> =
    std::tuple{field("kernelH", &Pool2dParams::kernelH), field("kernelW", &Pool2dParams::kernelW),
               field("strideH", &Pool2dParams::strideH), field("strideW", &Pool2dParams::strideW),
               field("padTop", &Pool2dParams::padTop),   field("padBottom", &Pool2dParams::padBottom),
               field("padLeft", &Pool2dParams::padLeft), field("padRight", &Pool2dParams::padRight)};

template <>
inline constexpr auto fieldsOf<AngularParams> =
    std::tuple{field("operator", &AngularParams::op), field("k", &AngularParams::k),
               field("epsilon", &AngularParams::epsilon)};

template <>
inline constexpr auto fieldsOf<MarginParams> =
    std::tuple{field("kind", &MarginParams::kind),           field("margin", &MarginParams::margin),
               field("lambda", &MarginParams::lambda),       field("scale", &MarginParams::scale),
               field("smoothing", &MarginParams::smoothing), field("detached", &MarginParams::detached)};

template <>
inline constexpr auto fieldsOf<MagnitudeParams> =
    std::tuple{field("function", &MagnitudeParams::function), field("scale", &MagnitudeParams::scale),
               field("slope", &MagnitudeParams::slope), field("radius", &MagnitudeParams::radius)};

template <>
inline constexpr auto fieldsOf<SgdParams> = std::tuple{field("lr", &SgdParams::lr),
                                                       field("momentum", &SgdParams::momentum),
                                                       field("dampening", &SgdParams::dampening),
                                                       field("weightDecay", &SgdParams::weightDecay),
                                                       field("nesterov", &SgdParams::nesterov),
                                                       field("firstStep", &SgdParams::firstStep)};

template <>
inline constexpr auto fieldsOf<AdamParams> = std::tuple{field("lr", &AdamParams::lr),
                                                        field("beta1", &AdamParams::beta1),
                                                        field("beta2", &AdamParams::beta2),
                                                        field("epsilon", &AdamParams::epsilon),
                                                        field("weightDecay", &AdamParams::weightDecay),
                                                        field("decoupled", &AdamParams::decoupled),
                                                        field("step", &AdamParams::step)};

/// The device that all tensors of one call live on.
class CallDevice {
 public:
  void add(const Storage& storage) {
    if (!storage_) storage_ = &storage;
    if (storage.device() != storage_->device())
      throw std::runtime_error(std::string("the tensors of one op must be on one device, got ") +
                               nameOf(storage_->device()) + " and " + nameOf(storage.device()));
  }
  Backend& backend() const {
    if (!storage_) throw std::runtime_error("an op needs a tensor argument");
    return storage_->backend();
  }

 private:
  const Storage* storage_ = nullptr;
};

template <class T>
struct FromJs {
  static T get(const Napi::Value& value, CallDevice& device) {
    if constexpr (std::is_class_v<T>) {
      static_assert(std::tuple_size_v<decltype(fieldsOf<T>)> > 0,
                    "no conversion from JavaScript for this type");
      const auto object = value.As<Napi::Object>();
      T params;
      std::apply([&](const auto&... f) { (read(object, f, params, device), ...); }, fieldsOf<T>);
      return params;
    } else if constexpr (std::is_same_v<T, bool>) {
      return value.ToBoolean();
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      return static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
    } else {
      return static_cast<T>(value.As<Napi::Number>().DoubleValue());
    }
  }

 private:
  template <class Member>
  static void read(const Napi::Object& from, const Field<T, Member>& f, T& to, CallDevice& device) {
    to.*f.member = FromJs<Member>::get(from.Get(f.name), device);
  }
};

template <>
struct FromJs<Tensor> {
  static Tensor get(const Napi::Value& value, CallDevice& device) {
    if (value.IsNull() || value.IsUndefined()) return {};
    const TensorHandle& handle = TensorHandle::from(value);
    device.add(handle.storage());
    return handle.tensor();
  }
};

template <>
struct FromJs<std::vector<Tensor>> {
  static std::vector<Tensor> get(const Napi::Value& value, CallDevice& device) {
    const auto array = value.As<Napi::Array>();
    std::vector<Tensor> tensors(array.Length());
    for (uint32_t i = 0; i < array.Length(); ++i) tensors[i] = FromJs<Tensor>::get(array.Get(i), device);
    return tensors;
  }
};

template <>
struct FromJs<Dims> {
  static Dims get(const Napi::Value& value, CallDevice&) {
    const auto array = value.As<Napi::Array>();
    Dims dims;
    dims.rank = static_cast<int32_t>(array.Length());
    for (int i = 0; i < dims.rank && i < kMaxRank; ++i)
      dims[i] = array.Get(static_cast<uint32_t>(i)).As<Napi::Number>().Int64Value();
    return dims;
  }
};

}  // namespace spherenet::node
