// One row per op: the method of Ops and its JavaScript name. Arguments are converted by type (convert.h) and
// the call is submitted to the stream of the device that its tensors live on.
#include "ops_table.h"

#include <tuple>
#include <utility>

#include "convert.h"

namespace spherenet::node {
namespace {

/// The first tensor among the arguments decides the device.
Backend& backendOf(const Napi::CallbackInfo& info) {
  for (size_t i = 0; i < info.Length(); ++i) {
    const Napi::Value value = info[i];
    if (!value.IsObject()) continue;
    const auto object = value.As<Napi::Object>();
    if (object.IsArray()) {
      const auto array = object.As<Napi::Array>();
      if (array.Length() > 0 && array.Get(uint32_t{0}).IsObject())
        return TensorHandle::from(array.Get(uint32_t{0})).storage().backend();
    } else if (object.InstanceOf(contextOf(info.Env())->tensorConstructor.Value())) {
      return TensorHandle::from(value).storage().backend();
    }
  }
  throw std::runtime_error("an op needs a tensor argument");
}

template <auto Method>
struct Row;

template <class... Args, void (Ops::*Method)(Args...)>
struct Row<Method> {
  static Napi::Value call(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      submit(info, std::index_sequence_for<Args...>{});
      return info.Env().Undefined();
    });
  }

  template <size_t... I>
  static void submit(const Napi::CallbackInfo& info, std::index_sequence<I...>) {
    if (info.Length() != sizeof...(Args))
      throw std::runtime_error("wrong number of arguments for a native op");
    std::tuple<std::remove_cvref_t<Args>...> args{FromJs<std::remove_cvref_t<Args>>::get(info[I])...};
    backendOf(info).submit(static_cast<const char*>(info.Data()),
                           [args = std::move(args)](Ops& ops) { (ops.*Method)(std::get<I>(args)...); });
  }
};

template <auto Method>
void row(Napi::Object& table, const char* name) {
  table.Set(name, Napi::Function::New(table.Env(), Row<Method>::call, name, const_cast<char*>(name)));
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
  row<&Ops::leakyRelu>(table, "leakyRelu");
  row<&Ops::leakyReluBackward>(table, "leakyReluBackward");
  row<&Ops::sumTo>(table, "sumTo");
  row<&Ops::broadcastTo>(table, "broadcastTo");
  row<&Ops::randomUniform>(table, "randomUniform");
  row<&Ops::randomNormal>(table, "randomNormal");
  row<&Ops::dropout>(table, "dropout");
  row<&Ops::maxPool2d>(table, "maxPool2d");
  row<&Ops::maxPool2dBackward>(table, "maxPool2dBackward");
  row<&Ops::avgPool2d>(table, "avgPool2d");
  row<&Ops::avgPool2dBackward>(table, "avgPool2dBackward");
  row<&Ops::batchNorm>(table, "batchNorm");
  row<&Ops::batchNormBackward>(table, "batchNormBackward");
  row<&Ops::batchNormInference>(table, "batchNormInference");
  row<&Ops::batchNormInferenceBackward>(table, "batchNormInferenceBackward");
  row<&Ops::conv2d>(table, "conv2d");
  row<&Ops::conv2dDataGradient>(table, "conv2dDataGradient");
  row<&Ops::conv2dWeightGradient>(table, "conv2dWeightGradient");
  row<&Ops::sphereConv2d>(table, "sphereConv2d");
  row<&Ops::sphereConv2dAngularBackward>(table, "sphereConv2dAngularBackward");
  row<&Ops::sphereConv2dDataGradient>(table, "sphereConv2dDataGradient");
  row<&Ops::sphereConv2dWeightGradient>(table, "sphereConv2dWeightGradient");
  row<&Ops::softmaxCrossEntropy>(table, "softmaxCrossEntropy");
  row<&Ops::softmaxCrossEntropyBackward>(table, "softmaxCrossEntropyBackward");
  row<&Ops::angularSoftmax>(table, "angularSoftmax");
  row<&Ops::angularSoftmaxBackward>(table, "angularSoftmaxBackward");
  row<&Ops::sgdStep>(table, "sgdStep");
  row<&Ops::adamStep>(table, "adamStep");
  return table;
}

}  // namespace spherenet::node
