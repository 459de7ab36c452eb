// The arguments of a native call from the numbers that JavaScript has written into the frame
// (ts/core/frame.ts), by type. One fieldsOf per parameter struct of ops.h.
#pragma once

#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "frame.h"
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

/// Of a number: itself. Of a struct: its fields in the order of fieldsOf. Specialised below.
template <class T>
struct FromFrame {
  static T get(FrameReader& from, CallDevice& device) {
    if constexpr (std::is_class_v<T>) {
      static_assert(std::tuple_size_v<decltype(fieldsOf<T>)> > 0, "no conversion from numbers for this type");
      T params;
      std::apply([&](const auto&... f) { (read(from, f, params, device), ...); }, fieldsOf<T>);
      return params;
    } else if constexpr (std::is_enum_v<T>) {
      return static_cast<T>(from.whole<std::underlying_type_t<T>>());
    } else if constexpr (std::is_same_v<T, bool>) {
      return from.next() != 0;
    } else if constexpr (std::is_integral_v<T>) {
      return from.whole<T>();
    } else {
      return static_cast<T>(from.next());
    }
  }

 private:
  template <class Member>
  static void read(FrameReader& from, const Field<T, Member>& f, T& to, CallDevice& device) {
    to.*f.member = FromFrame<Member>::get(from, device);
  }
};

/// Its handle's number, 0 for none.
template <>
struct FromFrame<Tensor> {
  static Tensor get(FrameReader& from, CallDevice& device) {
    const double id = from.next();
    if (id == 0) return {};
    const TensorHandle& handle = TensorHandle::from(from.context(), id);
    device.add(handle.storage());
    return handle.tensor();
  }
};

/// How many, and each of them.
template <>
struct FromFrame<std::vector<Tensor>> {
  static std::vector<Tensor> get(FrameReader& from, CallDevice& device) {
    std::vector<Tensor> tensors(from.length());
    for (Tensor& tensor : tensors) tensor = FromFrame<Tensor>::get(from, device);
    return tensors;
  }
};

template <>
struct FromFrame<Dims> {
  static Dims get(FrameReader& from, CallDevice&) { return from.dims(); }
};

}  // namespace spherenet::node
