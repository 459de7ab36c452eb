// Ops of the CUDA kernels, executed on the CPU, against the CPU's own: random numbers, which are to be the
// same, and steps over long lists of parameters.
#include <cmath>
#include <cstdio>
#include <vector>

#include "../../native/cpu/cpu_ops.h"
#include "ops_on_host.h"
#include "pointwise_checks.h"

namespace spherenet::test {
namespace {

/// Random numbers: the CPU's, bit by bit; normal ones to a few units in the last place.
void checkRandomAgainstCpu(Ops& ops, Ops& cpu) {
  for (DType dtype : kFloats) {
    for (int64_t size : kEdgeSizes) {
      const Array x = Array::random(dtype, dims({size}));
      const Array mine(dtype, dims({size})), theirs(dtype, dims({size}));
      for (uint64_t seed : {uint64_t{0}, uint64_t{0x9E3779B97F4A7C15u}}) {
        ops.randomUniform(seed, -0.3, 1.7, mine);
        cpu.randomUniform(seed, -0.3, 1.7, theirs);
        expect(mine.bytes() == theirs.bytes(), "randomUniform is the CPU's, " + text(dtype));
        ops.dropout(seed, 0.3, x, mine);
        cpu.dropout(seed, 0.3, x, theirs);
        expect(mine.bytes() == theirs.bytes(), "dropout is the CPU's, " + text(dtype));
        ops.randomNormal(seed, 0.5, 2, mine);
        cpu.randomNormal(seed, 0.5, 2, theirs);
        std::vector<double> want;
        for (int64_t i = 0; i < size; ++i) want.push_back(theirs[i]);
        expectNear("randomNormal is the CPU's", mine, want, tolerance(dtype, 2.5e-7, 5e-16));
      }
    }
  }
}

/// Steps over more tensors than one launch takes, of both dtypes, some empty or not aligned, against the
/// CPU's.
void checkLongLists(Ops& ops, Ops& cpu) {
  std::vector<ShiftedArray> mine[4], theirs[4];
  for (int i = 0; i < 200; ++i) {
    const int64_t size = i % 17 == 0 ? randomInteger(2000, 9000) : kEdgeSizes[i % std::size(kEdgeSizes)];
    for (int role = 0; role < 4; ++role) {
      const DType dtype = i % 5 == 0 ? DType::Float64 : DType::Float32;
      const Array values = Array::random(dtype, dims({size}), role == 3 ? 0 : -1, 1);
      mine[role].emplace_back(values, i % 7 == role ? 1 : 0);
      theirs[role].emplace_back(values, 0);
    }
  }
  const auto views = [](const std::vector<ShiftedArray>& arrays) {
    return std::vector<Tensor>(arrays.begin(), arrays.end());
  };
  const auto expectSame = [&](const char* what) {
    bool same = true;
    for (int role = 0; role < 4; ++role) {
      for (size_t i = 0; i < mine[role].size(); ++i) {
        const Tensor u = mine[role][i], v = theirs[role][i];
        for (int64_t j = 0; j < u.size(); ++j) {
          const bool single = u.dtype == DType::Float32;
          const double a = single ? static_cast<double>(u.as<float>()[j]) : u.as<double>()[j];
          const double b = single ? static_cast<double>(v.as<float>()[j]) : v.as<double>()[j];
          same = same && std::abs(a - b) <= tolerance(u.dtype, 1e-6, 1e-14) * (1 + std::abs(b));
        }
        same = same && mine[role][i].isFrontKept();
      }
    }
    expect(same, what);
  };
  SgdParams sgd;
  sgd.lr = 0.1, sgd.weightDecay = 0.01;
  for (double momentum : {0.0, 0.9}) {
    for (int step = 0; step < 2; ++step) {
      sgd.momentum = momentum, sgd.firstStep = step == 0, sgd.nesterov = step == 1;
      ops.sgdStep(sgd, views(mine[0]), views(mine[1]), views(mine[2]));
      cpu.sgdStep(sgd, views(theirs[0]), views(theirs[1]), views(theirs[2]));
      expectSame("SGD over a long list");
    }
  }
  AdamParams adam;
  adam.lr = 0.01, adam.weightDecay = 0.1;
  for (bool decoupled : {false, true}) {
    adam.decoupled = decoupled, ++adam.step;
    ops.adamStep(adam, views(mine[0]), views(mine[1]), views(mine[2]), views(mine[3]));
    cpu.adamStep(adam, views(theirs[0]), views(theirs[1]), views(theirs[2]), views(theirs[3]));
    expectSame("Adam over a long list");
  }
}

}  // namespace
}  // namespace spherenet::test

int main() {
  using namespace spherenet::test;
  SynchronousOps ops;
  spherenet::cpu::CpuOps cpu;
  checkRandomAgainstCpu(ops, cpu);
  checkLongLists(ops, cpu);
  return report();
}
