// Times of the convolutions on the layers of CNN-9 at batch 64, as shares of the measured multiply-add peak.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "../../native/cpu/cpu_ops.h"
#include "../../native/cpu/parallel.h"
#include "../../native/cpu/simd/kernels.h"

inline double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The best of some runs within about a third of a second: the machine may be shared.
template <class F>
double bestTime(const F& f) {
  f();
  double best = 1e9;
  const double end = seconds() + 0.3;
  for (int i = 0; i < 3 || seconds() < end; ++i) {
    const double begin = seconds();
    f();
    best = std::min(best, seconds() - begin);
  }
  return best;
}

struct BenchTensor {
  std::vector<float> values;
  spherenet::Tensor tensor;
  BenchTensor(std::vector<int64_t> shape, float scale = 1) {
    for (int64_t extent : shape) tensor.shape[tensor.shape.rank++] = extent;
    values.resize(tensor.shape.product());
    std::mt19937 generator(1);
    for (float& v : values) v = scale * (static_cast<float>(generator() >> 8) / float(1 << 23) - 1);
    tensor.data = values.data();
  }
  operator const spherenet::Tensor&() const { return tensor; }
};

inline int runBench(spherenet::Ops& ops) {
  using namespace spherenet;
  const auto& kernels = cpu::simd::kernels();
  const int threads = cpu::threadCount();
  constexpr int64_t kIterations = 2000000;
  volatile double sink = 0;
  const double peak = threads * kIterations * kernels.flopsPerIteration / 1e9 / bestTime([&] {
                        cpu::parallelTasks(threads, [&](int64_t) { sink = kernels.fmaChain(kIterations); });
                      });
  std::printf("%d threads, peak %.1f GFLOP/s; GFLOP/s (share of peak)\n", threads, peak);
  struct Layer {
    int64_t size, c, o;
  };
  double plainTotal = 0, sphereTotal = 0;
  for (const Layer l :
       {Layer{32, 3, 64}, {32, 64, 64}, {16, 64, 96}, {16, 96, 96}, {8, 96, 128}, {8, 128, 128}}) {
    const int64_t n = 64;
    Conv2dParams p;
    p.padTop = p.padBottom = p.padLeft = p.padRight = 1;
    AngularParams a;
    a.op = AngularOperator::Sigmoid;
    const BenchTensor x({n, l.size, l.size, l.c}), w({l.o, 3, 3, l.c}), dy({n, l.size, l.size, l.o}),
        y({n, l.size, l.size, l.o}), h({n, l.size, l.size, l.o}), dx({n, l.size, l.size, l.c}),
        dw({l.o, 3, 3, l.c}), nx({n, l.size, l.size, 1}), r({n, l.size, l.size, 1}), nw({l.o}), q({l.o}),
        bias({l.o}), dbias({l.o});
    const double work = 2e-9 * static_cast<double>(n * l.size * l.size * l.o * l.c * 9);
    const double forward = bestTime([&] { ops.conv2d(p, x, w, bias, y); });
    const double data = bestTime([&] { ops.conv2dDataGradient(p, dy, w, dx); });
    const double weight = bestTime([&] { ops.conv2dWeightGradient(p, x, dy, dw, dbias); });
    const double sForward = bestTime([&] { ops.sphereConv2d(p, a, x, w, Tensor{}, y, nx, nw, {}); });
    const double sPass =
        bestTime([&] { ops.sphereConv2dAngularBackward(a, y, {}, dy, Tensor{}, nx, nw, h, r, q, Tensor{}); });
    const double sData = bestTime([&] { ops.sphereConv2dDataGradient(p, h, w, x, r, dx); });
    const double sWeight = bestTime([&] { ops.sphereConv2dWeightGradient(p, x, h, w, q, nw, dw); });
    const double plain = forward + data + weight, sphere = sForward + sPass + sData + sWeight;
    plainTotal += plain;
    sphereTotal += sphere;
    std::printf("%2dx%-2d %3d->%-3d", int(l.size), int(l.size), int(l.c), int(l.o));
    for (const double time : {forward, data, weight})
      std::printf("  %6.1f (%3.0f%%)", work / time, 100 * work / time / peak);
    std::printf("  sphere/plain: forward %.3f data %.3f weight %.3f, pass %.3f of plain; in all %.3f\n",
                sForward / forward, sData / data, sWeight / weight, sPass / plain, sphere / plain);
  }
  std::printf("all layers: sphere/plain %.3f\n", sphereTotal / plainTotal);
  return 0;
}
