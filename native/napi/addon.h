#pragma once

#include <napi.h>

#include <memory>

#include "context.h"
#include "mailbox.h"

namespace spherenet::node {

/// Instance data of one environment.
struct Addon {
  std::shared_ptr<Context> context;
  std::unique_ptr<Mailbox> mailbox;
  Napi::ObjectReference frame;  // keeps the memory behind Context::frame
};

}  // namespace spherenet::node
