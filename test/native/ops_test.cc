// Checks every CPU op but the convolutions against naive float64 loops, over random shapes and special
// values.
#include <algorithm>
#include <utility>

#include "../../native/cpu/cpu_ops.h"
#include "../../native/cpu/parallel.h"
#include "elementwise_checks.h"
#include "layer_checks.h"
#include "loss_checks.h"
#include "magnitude_checks.h"

namespace spherenet::test {

/// Sums must not depend on how many threads took part: bit by bit the same.
void checkReproducibility(Ops& ops) {
  const auto run = [&](int threads) {
    cpu::setThreadCount(threads);
    generator().seed(5);
    BatchNormCase t(DType::Float32, dims({9, 50, 50, 24}));
    t.forward(ops);
    t.backward(ops);
    Array all(DType::Float32, dims({1, 1, 1, 1})), channels(DType::Float32, dims({1, 1, 1, 24})),
        random = t.x;
    ops.sumTo(t.x, all);
    ops.sumTo(t.x, channels);
    ops.randomNormal(3, 0, 1, random);
    std::vector<std::vector<std::byte>> bytes;
    for (const Array* a : {&t.y, &t.mean, &t.dx, &t.dgamma, &t.dbeta, &all, &channels, &random}) {
      bytes.push_back(a->bytes());
    }
    return bytes;
  };
  const int before = cpu::threadCount();
  const auto alone = run(1);
  for (int threads : {2, 3, 5}) expect(run(threads) == alone, "the same bits on any number of threads");
  cpu::setThreadCount(before);
}

}  // namespace spherenet::test

int main() {
  using namespace spherenet::test;
  spherenet::cpu::CpuOps ops;
  spherenet::cpu::setThreadCount(3);  // more than one even on a small machine
  checkMovement(ops);
  checkBinary(ops);
  checkUnary(ops);
  checkOneHot(ops);
  checkReductions(ops);
  checkRandom(ops);
  checkPooling(ops);
  checkBatchNorm(ops);
  checkOptimizers(ops);
  checkCrossEntropy(ops);
  checkAngularSoftmax(ops);
  checkAngularLimits(ops);
  checkMagnitude(ops);
  checkReproducibility(ops);
  checkEmpty(ops);
  if (counts().failed > 0) {
    std::fprintf(stderr, "%lld of %lld checks failed\n", static_cast<long long>(counts().failed),
                 static_cast<long long>(counts().failed + counts().passed));
    return 1;
  }
  std::printf("%lld checks passed\n", static_cast<long long>(counts().passed));
  return 0;
}
