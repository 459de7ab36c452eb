// What the tensor-core kernels ask of the memories: matrix loads and asynchronous copies without bank
// conflicts, in every tile and operand type, and no more of the second-level cache than they use.
//   traffic_test [table]    prints the counts of each kernel too
#include <cstring>

#include "conv_cases.h"

namespace spherenet::test {
namespace {

/// Random numbers where a sector begins, as memory of a GPU does.
class Aligned {
 public:
  Aligned(DType dtype, const Dims& shape)
      : memory_(Array::random(dtype, dims({shape.product() + 64}))), shape_(shape) {}
  operator Tensor() const {
    Tensor t = memory_.tensor();
    t.data = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(t.data) + 63) & ~uintptr_t{63});
    t.shape = shape_;
    return t;
  }

 private:
  Array memory_;
  Dims shape_;
};

/// Forward pass and both gradients; channel counts are multiples of 32, so that all copies are whole.
void runConvolution(SynchronousOps& ops, const Case& t, const Kind& kind) {
  const Aligned x(kind.dtype, xShape(t)), w(kind.dtype, wShape(t)), y(kind.dtype, yShape(t)),
      dx(kind.dtype, xShape(t)), dw(kind.dtype, wShape(t)), nx(DType::Float32, rShape(t)),
      nw(DType::Float32, dims({t.o})), q(DType::Float32, dims({t.o}));
  Ops& o = ops;
  o.sphereConv2d(t.p, t.a, x, w, {}, y, nx, nw, {});
  o.conv2d(t.p, x, w, {}, y);
  o.sphereConv2dDataGradient(t.p, y, w, x, nx, dx);
  o.sphereConv2dWeightGradient(t.p, x, y, w, q, nw, dw);
}

/// A first layer without a gradient of its input.
void runFirstLayer(SynchronousOps& ops, const Kind& kind) {
  Case t;
  t.h = t.w = 18;
  t.c = 3;
  t.o = 64;
  t.kh = t.kw = 3;
  t.p.padTop = t.p.padLeft = 1;
  t.a.op = AngularOperator::Linear;
  const Aligned x(kind.dtype, xShape(t)), w(kind.dtype, wShape(t)), y(kind.dtype, yShape(t)),
      dz(kind.dtype, yShape(t)), dw(kind.dtype, wShape(t)), nx(DType::Float32, rShape(t)),
      nw(DType::Float32, dims({t.o}));
  static_cast<Ops&>(ops).sphereConv2dFilterBackward(t.p, t.a, true, x, w, y, {}, {}, nx, nw, {}, {}, {}, {},
                                                    dz, dw, {}, {}, {});
}

/// Sizes for which one multiprocessor gets each of the wide tiles, and many split the sums.
void runAll(SynchronousOps& ops) {
  for (const Kind& kind : kKinds) {
    ops.context().precision = kind.precision;
    runFirstLayer(ops, kind);
    for (const int64_t filters : {32, 64, 96, 128, 192})
      for (const int processors : {1, 16}) {
        Case t;
        t.h = t.w = 18;
        t.c = filters == 96 ? 64 : 32;
        t.o = filters;
        t.kh = t.kw = processors == 1 ? 2 : 1;
        t.p.padTop = 1;
        t.p.strideW = filters == 64 ? 2 : 1;
        ops.context().multiprocessors = processors;
        runConvolution(ops, t, kind);
        std::swap(t.c, t.o);
        runConvolution(ops, t, kind);
      }
  }
}

int run(bool table) {
  SynchronousOps ops;
  cuda_on_host::measureTraffic(true);
  runAll(ops);
  int kernels = 0;
  if (table) std::printf("matrices wavefronts   copies wavefronts    sectors     needed  kernel\n");
  for (const auto& [kernel, t] : cuda_on_host::traffic()) {
    if (t.matrixLoads + t.copyGroups == 0) continue;
    ++kernels;
    const uint64_t needed = t.copiedBytes / 32;
    if (table)
      std::printf(
          "%8llu %10llu %8llu %10llu %10llu %10llu  %s\n", static_cast<unsigned long long>(t.matrixLoads),
          static_cast<unsigned long long>(t.matrixWavefronts), static_cast<unsigned long long>(t.copyGroups),
          static_cast<unsigned long long>(t.copyWavefronts), static_cast<unsigned long long>(t.sectors),
          static_cast<unsigned long long>(needed), kernel.c_str());
    expect(t.matrixWavefronts == t.matrixLoads, "matrix loads without bank conflicts, " + kernel);
    expect(t.copyWavefronts == t.copyGroups, "copies without bank conflicts, " + kernel);
    expect(t.sectors == needed, "whole sectors are read, " + kernel);
  }
  expect(kernels >= 20, "the kernels of all operand types and several tiles ran: " + std::to_string(kernels));
  std::printf("%lld passed, %lld failed\n", static_cast<long long>(counts().passed),
              static_cast<long long>(counts().failed));
  return counts().failed > 0 ? 1 : 0;
}

}  // namespace
}  // namespace spherenet::test

int main(int argc, char** argv) {
  try {
    return spherenet::test::run(argc > 1 && std::strcmp(argv[1], "table") == 0);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
