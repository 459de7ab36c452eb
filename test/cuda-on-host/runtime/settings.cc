#include "settings.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace cuda_on_host {
namespace {

int64_t number(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoll(text, nullptr, 10) : otherwise;
}

/// Whether `name` is set to the second of two words.
bool isSecond(const char* name, const char* first, const char* second) {
  const char* text = std::getenv(name);
  if (!text || !*text || std::strcmp(text, first) == 0) return false;
  if (std::strcmp(text, second) == 0) return true;
  std::fprintf(stderr, "%s is '%s' or '%s', not '%s'\n", name, first, second, text);
  std::exit(2);
}

Settings read() {
  Settings s;
  s.copiesLandAtIssue = isSecond("CUDA_HOST_COPIES", "wait", "issue");
  s.randomOrder = isSecond("CUDA_HOST_ORDER", "greedy", "random");
  s.seed = static_cast<uint64_t>(number("CUDA_HOST_SEED", 1));
  const int64_t processors = std::max(1u, std::thread::hardware_concurrency());
  s.threads = static_cast<int>(std::max<int64_t>(1, number("SPHERENET_THREADS", processors)));
  s.multiprocessors = static_cast<int>(number("CUDA_HOST_MULTIPROCESSORS", 4));
  const char* capability = std::getenv("CUDA_HOST_CAPABILITY");
  if (!capability || std::sscanf(capability, "%d.%d", &s.major, &s.minor) != 2) s.major = 9, s.minor = 0;
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const bool hidden = visible && (*visible == 0 || std::strcmp(visible, "-1") == 0);
  s.devices = hidden ? 0 : static_cast<int>(number("CUDA_HOST_DEVICES", 1));
  s.driver = static_cast<int>(number("CUDA_HOST_DRIVER", 13000));
  s.memory = static_cast<size_t>(number("CUDA_HOST_MEMORY", 16384)) << 20;
  s.failLaunch = number("CUDA_HOST_FAIL_LAUNCH", 0);
  s.refuseLaunch = number("CUDA_HOST_REFUSE_LAUNCH", 0);
  return s;
}

}  // namespace

const Settings& settings() {
  static const Settings instance = read();
  return instance;
}

}  // namespace cuda_on_host
