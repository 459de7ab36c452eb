// A libcuda.so.1 that takes the process down as soon as it is loaded.
#include <csignal>

__attribute__((constructor)) static void crash() {
  std::raise(SIGSEGV);
}
