#include "mailbox.h"

#include "addon.h"

namespace spherenet::node {

Mailbox::Mailbox(Napi::Env env) {
  const auto ignore = Napi::Function::New(env, [](const Napi::CallbackInfo&) {});
  wake_ = Napi::ThreadSafeFunction::New(env, ignore, "spherenet.read", 0, 1);
  wake_.Unref(env);
}

Mailbox& Mailbox::of(Napi::Env env) {
  return *env.GetInstanceData<Addon>()->mailbox;
}

Mailbox::Letter* Mailbox::open(Napi::Env env, const Napi::Object& value) {
  auto* letter = new Letter(env);
  letter->value = Napi::Persistent(value);
  if (underWay_++ == 0) wake_.Ref(env);
  return letter;
}

void Mailbox::send(Letter* letter, std::string error) {
  letter->error = std::move(error);
  // Fails only when the environment is closing; the letter's handles are then gone with it.
  wake_.NonBlockingCall(letter,
                        [this](Napi::Env env, Napi::Function, Letter* arrived) { settle(env, arrived); });
}

void Mailbox::settle(Napi::Env env, Letter* arrived) {
  const std::unique_ptr<Letter> letter(arrived);
  if (--underWay_ == 0) wake_.Unref(env);
  if (letter->error.empty()) {
    letter->promise.Resolve(letter->value.Value());
  } else {
    letter->promise.Reject(Napi::Error::New(env, letter->error).Value());
  }
}

void Mailbox::close() {
  wake_.Release();
}

}  // namespace spherenet::node
