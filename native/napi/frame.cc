#include "frame.h"

#include "addon.h"

namespace spherenet::node {

Napi::Value frame(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto length = static_cast<size_t>(info[0].As<Napi::Number>().Int64Value());
    const auto numbers = Napi::Float64Array::New(info.Env(), length);
    Addon& addon = *info.Env().GetInstanceData<Addon>();
    addon.frame = Napi::Persistent(numbers.As<Napi::Object>());
    addon.context->frame = {numbers.Data(), length};
    return numbers;
  });
}

FrameReader::FrameReader(const Napi::CallbackInfo& info)
    : context_(*contextOf(info.Env())), at_(context_.frame.data()) {
  const double count = info[0].As<Napi::Number>().DoubleValue();
  if (!(count >= 0 && count <= static_cast<double>(context_.frame.size())))
    throw std::runtime_error("wrong number of arguments");
  end_ = at_ + static_cast<size_t>(count);
}

}  // namespace spherenet::node
