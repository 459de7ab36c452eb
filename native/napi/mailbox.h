// The way back from a device's thread to its JavaScript thread: promises settled by a thread-safe function.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

namespace spherenet::node {

/// One per environment. While a letter is under way the event loop is kept alive; else it is not.
class Mailbox {
 public:
  struct Letter {
    explicit Letter(Napi::Env env) : promise(Napi::Promise::Deferred::New(env)) {}
    Napi::Promise::Deferred promise;
    Napi::ObjectReference value;  // what the promise is fulfilled with; keeps its memory alive
    std::string error;
  };

  explicit Mailbox(Napi::Env env);
  static Mailbox& of(Napi::Env env);

  /// JavaScript thread: a promise for `value`, once the letter is sent back.
  Letter* open(Napi::Env env, const Napi::Object& value);
  /// Any thread: settles the letter's promise, rejecting it where there is an error.
  void send(Letter* letter, std::string error);
  void close();

 private:
  void settle(Napi::Env env, Letter* letter);

  Napi::ThreadSafeFunction wake_;
  int underWay_ = 0;
};

}  // namespace spherenet::node
