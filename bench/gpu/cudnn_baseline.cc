// Times cuDNN's plain convolution, forward and both gradients, NHWC with float32 accumulation, on layers read
// from standard input, one a line: "N C size O kernel stride". For each pass all engines that the heuristics
// propose are tried and the fastest is measured. One line of JSON per layer on standard output, the library
// first.
//
//   cudnn_baseline [--dtype bf16|tf32] [--seconds S] [--cudnn FOLDER]... < layers.txt
//   cudnn_baseline --device     the GPU's properties as JSON
//   cudnn_baseline --check      opens cuDNN and builds the operations; needs no GPU
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <sstream>
#include <string>

#include "cudnn_plans.h"

namespace baseline {
namespace {

constexpr size_t kRotationBytes = 192u << 20;     // of inputs and outputs, several times any L2
constexpr size_t kMostWorkspaceBytes = 1u << 30;  // plans that want more are left out
constexpr int64_t kMostConfigurations = 32;       // per heuristic
constexpr double kBatchSeconds = 0.02;            // between two events
constexpr int kBatches = 7;

struct Options {
  cudnnDataType_t type = CUDNN_DATA_BFLOAT16;
  double seconds = 90;
  std::vector<std::string> folders;
  bool device = false, check = false;
};

void check(cudaError_t code, const char* what) {
  if (code != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(code));
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Device memory of one kind of tensor, in as many copies as the rotation has, filled with random numbers.
class Buffers {
 public:
  Buffers(size_t bytes, size_t copies, const std::vector<uint8_t>& random)
      : stride_((bytes + 255) / 256 * 256) {
    check(cudaMalloc(&data_, stride_ * copies), "cudaMalloc");
    for (size_t at = 0; at < stride_ * copies; at += random.size())
      check(cudaMemcpy(data_ + at, random.data(), std::min(random.size(), stride_ * copies - at),
                       cudaMemcpyHostToDevice),
            "cudaMemcpy");
  }
  Buffers(const Buffers&) = delete;
  ~Buffers() { cudaFree(data_); }
  void* operator[](size_t copy) const { return data_ + copy * stride_; }

 private:
  size_t stride_;
  uint8_t* data_ = nullptr;
};

/// Random numbers in [-1, 1) of the type's bit pattern, to be repeated over a tensor.
std::vector<uint8_t> randomBytes(cudnnDataType_t type) {
  std::mt19937 generator(20171204);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const bool wide = type == CUDNN_DATA_FLOAT;
  std::vector<uint8_t> bytes(32u << 20);
  for (size_t at = 0; at < bytes.size(); at += wide ? 4 : 2) {
    const float value = uniform(generator);
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    const uint16_t upper = static_cast<uint16_t>(bits >> 16);
    if (wide)
      std::memcpy(&bytes[at], &bits, 4);
    else
      std::memcpy(&bytes[at], &upper, 2);
  }
  return bytes;
}

struct Figure {
  double microseconds = std::numeric_limits<double>::infinity();
  int64_t engine = -1;
  int64_t workspaceBytes = 0;
  int tried = 0;
};

/// Runs one layer's passes.
class Bench {
 public:
  Bench(const Cudnn& cudnn, cudnnHandle_t handle, cudaStream_t stream, const Layer& layer,
        cudnnDataType_t type, const std::vector<uint8_t>& random)
      : cudnn_(cudnn), handle_(handle), stream_(stream), layer_(layer), type_(type) {
    const size_t width = type == CUDNN_DATA_FLOAT ? 4 : 2;
    const size_t each = width * std::min(layer.xElements(), layer.yElements());
    sets_ = std::clamp<size_t>((kRotationBytes + each - 1) / each, 2, 64);
    x_.emplace(width * layer.xElements(), sets_, random);
    w_.emplace(width * layer.wElements(), sets_, random);
    y_.emplace(width * layer.yElements(), sets_, random);
    check(cudaEventCreate(&begin_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
  }
  ~Bench() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Bench(const Bench&) = delete;

  /// The fastest plan found before `deadline`; at least one is tried.
  Figure best(Pass pass, double deadline) {
    const Operation operation(cudnn_, layer_, pass, type_);
    const Graph graph(cudnn_, handle_, operation);
    Figure best;
    std::optional<Plan> winner;
    int tried = 0;
    for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
      if (mode == CUDNN_HEUR_MODE_FALLBACK && winner) break;
      for (const Descriptor& configuration : graph.configurations(mode, kMostConfigurations)) {
        if (winner && now() > deadline) break;
        try {
          Plan plan(cudnn_, handle_, configuration);
          if (plan.workspaceBytes > static_cast<int64_t>(kMostWorkspaceBytes)) continue;
          const double time = measure(plan, kBatchSeconds / 8, 1);
          ++tried;
          if (time < best.microseconds) {
            best = {time, plan.engine, plan.workspaceBytes, 0};
            winner.reset();
            winner.emplace(std::move(plan));
          }
        } catch (const std::exception&) {
          // Proposals need not be supported; only those that are count.
        }
      }
    }
    if (!winner) throw std::runtime_error("cuDNN has no plan for it");
    best.microseconds = measure(*winner, kBatchSeconds, kBatches);
    best.tried = tried;
    return best;
  }

 private:
  /// Median microseconds of one execution over batches of at least `seconds` each.
  double measure(const Plan& plan, double seconds, int batches) {
    void* workspace = nullptr;
    if (plan.workspaceBytes > 0)
      check(cudaMalloc(&workspace, static_cast<size_t>(plan.workspaceBytes)), "cudaMalloc");
    const std::shared_ptr<void> owner(workspace, [](void* memory) { cudaFree(memory); });
    std::vector<Descriptor> packs;
    for (size_t i = 0; i < sets_; ++i)
      packs.push_back(variantPack(cudnn_, (*x_)[i], (*w_)[i], (*y_)[i], workspace));
    size_t run = 0;
    const auto batch = [&](int count) {
      check(cudaEventRecord(begin_, stream_), "cudaEventRecord");
      for (int i = 0; i < count; ++i)
        cudnn_.check(cudnn_.execute(handle_, plan.plan.get(), packs[run++ % sets_].get()),
                     "cudnnBackendExecute");
      check(cudaEventRecord(end_, stream_), "cudaEventRecord");
      check(cudaEventSynchronize(end_), "cudaEventSynchronize");
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
      return milliseconds * 1e3 / count;
    };
    batch(3);
    const double estimate = batch(5);
    const int count = std::clamp(static_cast<int>(seconds * 1e6 / estimate), 5, 5000);
    std::vector<double> times;
    for (int i = 0; i < batches; ++i) times.push_back(batch(count));
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    return times[times.size() / 2];
  }

  const Cudnn& cudnn_;
  cudnnHandle_t handle_;
  cudaStream_t stream_;
  Layer layer_;
  cudnnDataType_t type_;
  size_t sets_ = 2;
  std::optional<Buffers> x_, w_, y_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

/// A string as JSON has it.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c == '\n' || c == '\t' ? ' ' : c;
  }
  return result + "\"";
}

std::vector<Layer> readLayers() {
  std::vector<Layer> layers;
  for (std::string line; std::getline(std::cin, line);) {
    Layer layer{};
    std::istringstream words(line);
    if (words >> layer.n >> layer.c >> layer.size >> layer.o >> layer.kernel >> layer.stride)
      layers.push_back(layer);
  }
  return layers;
}

constexpr std::pair<Pass, const char*> kPasses[] = {{Pass::Forward, "forward"},
                                                    {Pass::DataGradient, "dataGradient"},
                                                    {Pass::WeightGradient, "weightGradient"}};

void benchmark(const Options& options, const Cudnn& cudnn) {
  const std::vector<Layer> layers = readLayers();
  cudaStream_t stream = nullptr;
  cudnnHandle_t handle = nullptr;
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  cudnn.check(cudnn.create(&handle), "cudnnCreate");
  cudnn.check(cudnn.setStream(handle, stream), "cudnnSetStream");
  const std::vector<uint8_t> random = randomBytes(options.type);
  const double end = now() + options.seconds;
  double left = static_cast<double>(layers.size()) * 3;
  for (const Layer& layer : layers) {
    std::ostringstream line;
    line.precision(6);
    line << "{\"layer\":[" << layer.n << ',' << layer.c << ',' << layer.size << ',' << layer.o << ','
         << layer.kernel << ',' << layer.stride << ']';
    Bench bench(cudnn, handle, stream, layer, options.type, random);
    for (const auto& [pass, name] : kPasses) {
      const double share = std::max(end - now(), 0.0) / left--;
      try {
        const Figure figure = bench.best(pass, now() + share);
        line << ",\"" << name << "\":{\"microseconds\":" << figure.microseconds
             << ",\"engine\":" << figure.engine << ",\"workspaceBytes\":" << figure.workspaceBytes
             << ",\"plansTried\":" << figure.tried << '}';
      } catch (const std::exception& error) {
        line << ",\"" << name << "\":{\"error\":" << quoted(error.what()) << '}';
        check(cudaGetLastError(), "the device, after an error of cuDNN");
      }
    }
    std::printf("%s}\n", line.str().c_str());
    std::fflush(stdout);
  }
}

void printDevice() {
  cudaDeviceProp p;
  check(cudaGetDeviceProperties(&p, 0), "cudaGetDeviceProperties");
  int clock = 0, memoryClock = 0;
  cudaDeviceGetAttribute(&clock, cudaDevAttrClockRate, 0);
  cudaDeviceGetAttribute(&memoryClock, cudaDevAttrMemoryClockRate, 0);
  std::printf(
      "{\"name\":%s,\"computeCapability\":\"%d.%d\",\"multiprocessors\":%d,\"memoryBytes\":%zu,\"l2Bytes\":%"
      "d,"
      "\"sharedBytesPerBlock\":%zu,\"clockKilohertz\":%d,\"memoryClockKilohertz\":%d}\n",
      quoted(p.name).c_str(), p.major, p.minor, p.multiProcessorCount, p.totalGlobalMem, p.l2CacheSize,
      p.sharedMemPerBlockOptin, clock, memoryClock);
}

Options parse(int count, char** arguments) {
  Options options;
  const auto value = [&](int& i) {
    if (++i >= count) throw std::runtime_error(std::string(arguments[i - 1]) + " needs a value");
    return std::string(arguments[i]);
  };
  for (int i = 1; i < count; ++i) {
    const std::string option = arguments[i];
    if (option == "--device")
      options.device = true;
    else if (option == "--check")
      options.check = true;
    else if (option == "--dtype")
      options.type = value(i) == "tf32" ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
    else if (option == "--seconds")
      options.seconds = std::stod(value(i));
    else if (option == "--cudnn")
      options.folders.push_back(value(i));
    else
      throw std::runtime_error("unknown option " + option);
  }
  return options;
}

void run(const Options& options) {
  if (options.device) return printDevice();
  const Cudnn cudnn(options.folders);
  std::printf("{\"cudnn\":%zu,\"library\":%s}\n", cudnn.version(), quoted(cudnn.path).c_str());
  if (!options.check) return benchmark(options, cudnn);
  for (const auto& [pass, name] : kPasses) {
    const Operation operation(cudnn, {32, 64, 56, 64, 3, 1}, pass, options.type);
    std::printf("{\"operation\":\"%s\"}\n", name);
  }
}

}  // namespace
}  // namespace baseline

int main(int count, char** arguments) {
  try {
    baseline::run(baseline::parse(count, arguments));
    return 0;
  } catch (const std::exception& error) {
    std::printf("{\"error\":%s}\n", baseline::quoted(error.what()).c_str());
    return 1;
  }
}
