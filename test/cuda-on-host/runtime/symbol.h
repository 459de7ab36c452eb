// Names of functions, for messages.
#pragma once

#include <string>

namespace cuda_on_host {

/// The name of the function at `address`, from the symbol table of the program or library it lies in; local
/// functions have one there too.
std::string symbolName(const void* address);

}  // namespace cuda_on_host
