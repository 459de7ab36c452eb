// One row per op: the method of Ops and its JavaScript name. Arguments are converted by type (convert.h) and
// the call is submitted to the stream of the device that its tensors live on.
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

template <auto Method>
struct Row;

template <class... Args, void (Ops::*Method)(Args...)>
struct Row<Method> {
  using Arguments = std::tuple<std::remove_cvref_t<Args>...>;

  class OpCall final : public Call {
   public:
    OpCall(const char* name, Arguments arguments) : name_(name), arguments_(std::move(arguments)) {}

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
      submit(info, std::index_sequence_for<Args...>{});
      return info.Env().Undefined();
    });
  }

  template <size_t... I>
  static void submit(const Napi::CallbackInfo& info, std::index_sequence<I...>) {
    const char* name = static_cast<const char*>(info.Data());
    CallDevice device;
    std::unique_ptr<const Call> op;
    try {
      if (info.Length() != sizeof...(Args)) throw std::runtime_error("wrong number of arguments");
      Arguments arguments{FromJs<std::remove_cvref_t<Args>>::get(info[I], device)...};
      op = std::make_unique<OpCall>(name, std::move(arguments));
    } catch (const std::runtime_error& e) {
      throw std::runtime_error(std::string(name) + ": " + e.what());
    }
    device.backend().submit(std::move(op));
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
  row<&Ops::sphereConv2dAngularBackward>(table, "sphereConv2dAngularBackward");
  row<&Ops::sphereConv2dNormBackward>(table, "sphereConv2dNormBackward");
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
