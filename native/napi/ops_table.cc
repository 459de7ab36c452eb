// One row per op: the method of Ops and its JavaScript name. Arguments are read by type (convert.h) and the
// call is submitted to the stream of the device that its tensors live on.
#include "ops_table.h"

#include <tuple>
#include <utility>

#include "convert.h"

namespace spherenet::node {
namespace {

/// The tensors among the arguments of an op, in words: "float32 [8, 10], int32 [8]".
class TensorList {
 public:
  void add(const Tensor& tensor) {
    if (!tensor) return;
    if (!text_.empty()) text_ += ", ";
    text_ += nameOf(tensor.dtype);
    for (int i = 0; i < tensor.shape.rank; ++i)
      text_ += (i == 0 ? " [" : ", ") + std::to_string(tensor.shape[i]);
    text_ += tensor.shape.rank == 0 ? " []" : "]";
  }
  void add(const std::vector<Tensor>& tensors) {
    constexpr size_t kShown = 3;
    for (size_t i = 0; i < tensors.size() && i < kShown; ++i) add(tensors[i]);
    if (tensors.size() > kShown) text_ += ", and " + std::to_string(tensors.size() - kShown) + " more";
  }
  template <class Other>
  void add(const Other&) {}

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

template <class Argument>
Napi::Value fieldNames(Napi::Env env) {
  if constexpr (std::tuple_size_v<std::remove_cvref_t<decltype(fieldsOf<Argument>)>> == 0) {
    return env.Null();
  } else {
    Napi::Array names = Napi::Array::New(env);
    std::apply([&](const auto&... f) { (names.Set(names.Length(), Napi::String::New(env, f.name)), ...); },
               fieldsOf<Argument>);
    return names;
  }
}

template <auto Method>
struct Row;

template <class... Args, void (Ops::*Method)(Args...)>
struct Row<Method> {
  using Arguments = std::tuple<std::remove_cvref_t<Args>...>;

  class OpCall final : public Call {
   public:
    // Braces, because they read from left to right.
    OpCall(const char* name, FrameReader& from, CallDevice& device)
        : name_(name), arguments_{FromFrame<std::remove_cvref_t<Args>>::get(from, device)...} {
      from.expectEnd();
    }

    void run(Ops& ops) const override {
      std::apply([&](const auto&... arguments) { (ops.*Method)(arguments...); }, arguments_);
    }

    std::string describe() const override {
      TensorList tensors;
      std::apply([&](const auto&... arguments) { (tensors.add(arguments), ...); }, arguments_);
      return std::string(name_) + "(" + tensors.text() + ")";
    }

   private:
    const char* name_;
    Arguments arguments_;
  };

  static Napi::Value call(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      submit(info);
      return info.Env().Undefined();
    });
  }

  static void submit(const Napi::CallbackInfo& info) {
    const char* name = static_cast<const char*>(info.Data());
    CallDevice device;
    std::unique_ptr<const Call> op;
    try {
      FrameReader from(info);
      op = std::make_unique<OpCall>(name, from, device);
    } catch (const std::runtime_error& e) {
      throw std::runtime_error(std::string(name) + ": " + e.what());
    }
    device.backend().submit(std::move(op));
  }

  /// For each argument the names of its fields in order, null where it is no struct.
  static Napi::Array fields(Napi::Env env) {
    Napi::Array all = Napi::Array::New(env);
    (all.Set(all.Length(), fieldNames<std::remove_cvref_t<Args>>(env)), ...);
    return all;
  }
};

template <auto Method>
void row(Napi::Object& table, const char* name) {
  const Napi::Env env = table.Env();
  Napi::Object entry = Napi::Object::New(env);
  entry.Set("submit", Napi::Function::New(env, Row<Method>::call, name, const_cast<char*>(name)));
  entry.Set("fields", Row<Method>::fields(env));
  table.Set(name, entry);
}

}  // namespace

Napi::Object makeOpsTable(Napi::Env env) {
  Napi::Object table = Napi::Object::New(env);
  row<&Ops::fill>(table, "fill");
  row<&Ops::cast>(table, "cast");
  row<&Ops::copyRegion>(table, "copyRegion");
  row<&Ops::binary>(table, "binary");
  row<&Ops::affine>(table, "affine");
  row<&Ops::unary>(table, "unary");
  row<&Ops::unaryBackward>(table, "unaryBackward");
  row<&Ops::power>(table, "power");
  row<&Ops::powerBackward>(table, "powerBackward");
  row<&Ops::oneHot>(table, "oneHot");
  row<&Ops::leakyRelu>(table, "leakyRelu");
  row<&Ops::leakyReluBackward>(table, "leakyReluBackward");
  row<&Ops::sumTo>(table, "sumTo");
  row<&Ops::broadcastTo>(table, "broadcastTo");
  row<&Ops::randomUniform>(table, "randomUniform");
  row<&Ops::randomNormal>(table, "randomNormal");
  row<&Ops::dropout>(table, "dropout");
  row<&Ops::randomCropFlip>(table, "randomCropFlip");
  row<&Ops::maxPool2d>(table, "maxPool2d");
  row<&Ops::maxPool2dBackward>(table, "maxPool2dBackward");
  row<&Ops::avgPool2d>(table, "avgPool2d");
  row<&Ops::avgPool2dBackward>(table, "avgPool2dBackward");
  row<&Ops::batchNorm>(table, "batchNorm");
  row<&Ops::batchNormBackward>(table, "batchNormBackward");
  row<&Ops::batchNormRelu>(table, "batchNormRelu");
  row<&Ops::batchNormReluBackward>(table, "batchNormReluBackward");
  row<&Ops::batchNormInference>(table, "batchNormInference");
  row<&Ops::batchNormInferenceBackward>(table, "batchNormInferenceBackward");
  row<&Ops::conv2d>(table, "conv2d");
  row<&Ops::conv2dDataGradient>(table, "conv2dDataGradient");
  row<&Ops::conv2dWeightGradient>(table, "conv2dWeightGradient");
  row<&Ops::sphereConv2d>(table, "sphereConv2d");
  row<&Ops::sphereConv2dRescaled>(table, "sphereConv2dRescaled");
  row<&Ops::sphereConv2dAngularBackward>(table, "sphereConv2dAngularBackward");
  row<&Ops::sphereConv2dNormBackward>(table, "sphereConv2dNormBackward");
  row<&Ops::sphereConv2dFilterBackward>(table, "sphereConv2dFilterBackward");
  row<&Ops::sphereConv2dDataGradient>(table, "sphereConv2dDataGradient");
  row<&Ops::sphereConv2dWeightGradient>(table, "sphereConv2dWeightGradient");
  row<&Ops::magnitude>(table, "magnitude");
  row<&Ops::magnitudeBackward>(table, "magnitudeBackward");
  row<&Ops::meanNorm>(table, "meanNorm");
  row<&Ops::softmaxCrossEntropy>(table, "softmaxCrossEntropy");
  row<&Ops::softmaxCrossEntropyBackward>(table, "softmaxCrossEntropyBackward");
  row<&Ops::angularSoftmax>(table, "angularSoftmax");
  row<&Ops::angularSoftmaxBackward>(table, "angularSoftmaxBackward");
  row<&Ops::sgdStep>(table, "sgdStep");
  row<&Ops::adamStep>(table, "adamStep");
  return table;
}

}  // namespace spherenet::node
