// The checks of test/native, and those beside this file, on the CUDA kernels, executed on the CPU. Arguments
// name the groups to run; all without.
//   ops_test [movement] [binary] [unary] ... (kGroups has the names)
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "../native/elementwise_checks.h"
#include "../native/layer_checks.h"
#include "../native/loss_checks.h"
#include "../native/magnitude_checks.h"
#include "layer_variant_checks.h"
#include "ops_on_host.h"
#include "pointwise_checks.h"

namespace spherenet::test {
namespace {

/// Sums must be the same bit by bit, in whatever order blocks and warps run.
void checkReproducibility(Ops& ops) {
  const auto run = [&] {
    generator().seed(5);
    BatchNormCase t(DType::Float32, dims({9, 20, 20, 24}));
    t.forward(ops);
    t.backward(ops);
    Array all(DType::Float32, dims({1, 1, 1, 1})), channels(DType::Float32, dims({1, 1, 1, 24}));
    ops.sumTo(t.x, all);
    ops.sumTo(t.x, channels);
    std::vector<std::vector<std::byte>> bytes;
    for (const Array* a : {&t.y, &t.mean, &t.dx, &t.dgamma, &t.dbeta, &all, &channels})
      bytes.push_back(a->bytes());
    return bytes;
  };
  const auto first = run();
  for (int i = 0; i < 3; ++i) expect(run() == first, "the same bits in every run");
}

struct Group {
  const char* name;
  void (*run)(Ops&);
};
constexpr Group kGroups[] = {
    {"movement", checkMovement},
    {"binary", checkBinary},
    {"unary", checkUnary},
    {"oneHot", checkOneHot},
    {"reductions", checkReductions},
    {"random", checkRandom},
    {"pooling", checkPooling},
    {"batchNorm", checkBatchNorm},
    {"optimizers", checkOptimizers},
    {"crossEntropy", checkCrossEntropy},
    {"angularSoftmax", checkAngularSoftmax},
    {"angularLimits", checkAngularLimits},
    {"magnitude", checkMagnitude},
    {"halfMagnitude",
     [](Ops& ops) {
       checkMagnitudes(ops, {DType::Bfloat16, DType::Float16});
     }},
    {"views", checkViews},
    {"halfElementwise", checkHalfElementwise},
    {"halfMovement", checkHalfMovement},
    {"halfBroadcasts", checkHalfBroadcasts},
    {"sumShapes", checkSumShapes},
    {"cropFlip", checkCropFlip},
    {"poolingVariants", checkPoolingVariants},
    {"batchNormVariants", checkBatchNormVariants},
    {"normRelu", checkNormRelu},
    {"sphereNorm", checkSphereNorm},
    {"longRows", checkLongRows},
    {"indexMaps", [](Ops&) { checkIndexMaps(); }},
    {"reproducibility", checkReproducibility},
    {"empty", checkEmpty},
};

bool isAsked(const char* name, int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == name) return true;
  }
  return argc < 2;
}

}  // namespace
}  // namespace spherenet::test

int main(int argc, char** argv) {
  using namespace spherenet::test;
  SynchronousOps ops;
  for (const Group& group : kGroups) {
    if (!isAsked(group.name, argc, argv)) continue;
    const auto before = counts().failed;
    group.run(ops);
    std::printf("%-16s %s\n", group.name, counts().failed == before ? "passed" : "FAILED");
  }
  return report();
}
