// Proves what executes CUDA on the CPU: every feature in every schedule, every misuse stopped, every race
// seen.
//   emulator_test                 runs all, itself in child processes
//   emulator_test features        the features, in the schedule that the environment names
//   emulator_test misuse n        commits a misuse
//   emulator_test races           prints for each race whether the result was right: broken, repaired
#include "emulator_test.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace emulator_test {
namespace {

struct Ended {
  std::string output;
  int status;  // exit code, or 128 and the signal
};

/// Runs this program again with other arguments and variables.
Ended runSelf(const std::string& variables, const std::string& arguments) {
  char path[4096] = {};
  if (readlink("/proc/self/exe", path, sizeof path - 1) < 0) return {"", -1};
  const std::string command = "exec env " + variables + " '" + path + "' " + arguments + " 2>&1";
  FILE* pipe = popen(command.c_str(), "r");
  Ended ended{"", -1};
  std::array<char, 4096> buffer;
  for (size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    ended.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  ended.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return ended;
}

const char* const kSchedules[] = {
    "CUDA_HOST_ORDER=greedy CUDA_HOST_COPIES=wait",
    "CUDA_HOST_ORDER=greedy CUDA_HOST_COPIES=issue",
    "CUDA_HOST_ORDER=random CUDA_HOST_COPIES=wait",
    "CUDA_HOST_ORDER=random CUDA_HOST_COPIES=issue CUDA_HOST_SEED=7",
};

void checkSchedules() {
  for (const char* schedule : kSchedules) {
    const Ended ended = runSelf(schedule, "features");
    expect(ended.status == 0, std::string("features, ") + schedule + "\n" + ended.output);
  }
}

void checkMisuses() {
  for (int i = 0; i < kMisuseCount; ++i) {
    const Ended ended = runSelf(kSchedules[i % 4], "misuse " + std::to_string(i));
    // What the sanitizers see first, they report.
    const bool sanitized = ended.output.find("Sanitizer") != std::string::npos ||
                           ended.output.find("runtime error") != std::string::npos;
    const bool said = ended.output.find("CUDA on the CPU: ") != std::string::npos &&
                      ended.output.find(kMisuses[i].sentence) != std::string::npos &&
                      ended.output.find(", block (") != std::string::npos;
    expect(ended.status != 0 && (said || sanitized), std::string("stopped: ") + kMisuses[i].name +
                                                         ", status " + std::to_string(ended.status) + "\n" +
                                                         ended.output);
  }
  const Ended named = runSelf("", "misuse 0");
  expect(named.output.find("earlyReturn") != std::string::npos, "the kernel is named\n" + named.output);
}

void checkRaces() {
  std::vector<bool> seen(static_cast<size_t>(kRaceCount));
  for (const char* schedule : kSchedules) {
    const Ended ended = runSelf(schedule, "races");
    expect(ended.output.size() == 3 * seen.size(), "races run, " + ended.output);
    for (size_t i = 0; i < seen.size() && 3 * i + 1 < ended.output.size(); ++i) {
      if (ended.output[3 * i] == '0') seen[i] = true;
      expect(ended.output[3 * i + 1] == '1', std::string("no race where there is none: ") + kRaces[i].name);
    }
  }
  for (size_t i = 0; i < seen.size(); ++i) expect(seen[i], std::string("a race is seen: ") + kRaces[i].name);
}

/// What the environment says about the device.
void checkEnvironment() {
  const auto answer = [](const char* variables) { return runSelf(variables, "devices").output; };
  expect(answer("") == "1 devices, driver 13000: no error, CUDA on the CPU 9.0\n", "a device");
  expect(answer("CUDA_HOST_DEVICES=0") == "0 devices, driver 13000: no CUDA-capable device is detected\n",
         "no device");
  expect(answer("CUDA_VISIBLE_DEVICES=") == "0 devices, driver 13000: no CUDA-capable device is detected\n",
         "a hidden one");
  expect(answer("CUDA_HOST_DRIVER=0").find("driver version is insufficient") != std::string::npos,
         "no driver");
  expect(answer("CUDA_HOST_CAPABILITY=8.6").find("CPU 8.6") != std::string::npos, "another architecture");
  expect(runSelf("CUDA_HOST_ORDER=sideways", "features").status == 2, "a word that is none");
}

void printDevices() {
  int count = 0, driver = 0;
  cudaDriverGetVersion(&driver);
  const cudaError_t error = cudaGetDeviceCount(&count);
  std::printf("%d devices, driver %d: %s", count, driver, cudaGetErrorString(error));
  cudaDeviceProp properties;
  if (count > 0 && cudaGetDeviceProperties(&properties, 0) == cudaSuccess) {
    std::printf(", %s %d.%d", properties.name, properties.major, properties.minor);
  }
  std::printf("\n");
}

int report() {
  std::printf("%d checks passed, %d failed\n", counts().passed, counts().failed);
  return counts().failed > 0 ? 1 : 0;
}

}  // namespace
}  // namespace emulator_test

int main(int argc, char** argv) {
  using namespace emulator_test;
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "features") {
    checkKernels();
    checkMatrices();
    checkRuntime();
    return report();
  }
  if (what == "misuse") {
    kMisuses[std::atoi(argv[2])].run();
    return 0;
  }
  if (what == "races") {
    for (int i = 0; i < kRaceCount; ++i)
      std::printf("%d%d ", kRaces[i].isRight(false), kRaces[i].isRight(true));
    return 0;
  }
  if (what == "devices") {
    printDevices();
    return 0;
  }
  checkSchedules();
  checkMisuses();
  checkRaces();
  checkEnvironment();
  return report();
}
