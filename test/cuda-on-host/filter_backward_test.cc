// The backward pass of a SphereConv whose input asks for no gradient, executed on the CPU, against the two
// ops that it stands for.
//   filter_backward_test [cases] [extremes] [bits] [empty]
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "gradient_cases.h"
#include "layer_variant_checks.h"
#include "ops_on_host.h"

namespace spherenet::test {
namespace {

struct FilterCase {
  Case t;
  DType dtype;
  SphereNormCase angles;  // all but the convolution
  Array x, w, dw;

  FilterCase(const Case& geometry, DType type, Behind what, bool relu, int64_t ks)
      : t(geometry),
        dtype(type),
        angles(t.a, relu, what, type, t.positions(), t.o, t.p.groups, ks),
        x(Array::random(type, xShape(t))),
        w(Array::random(type, wShape(t))),
        dw(isHalf(type) ? anyOf({type, DType::Float32}) : type, wShape(t)) {
    if (isHalf(dtype) && randomInteger(0, 1) > 0) {
      const Array half = w;
      w = Array::filled(DType::Float32, wShape(t), [&](int64_t i) { return half[i]; });
    }
    reshape(angles.y), reshape(angles.dz), reshape(angles.h);
    angles.nx = Array::random(wide(dtype), nShape(), 0.5, 3);
    angles.r = Array(wide(dtype), nShape());
  }

  Dims nShape() const { return dims({t.n, t.oh(), t.ow(), t.p.groups}); }
  void reshape(Array& like) {
    like = Array::filled(like.dtype(), yShape(t), [from = like](int64_t i) { return from[i]; });
  }

  Tensor scaling(const Array& array) const { return angles.given(Behind::Rescaling, array); }
  Tensor statistics(const Array& array) const { return angles.given(Behind::BatchNorm, array); }

  void together(Ops& ops, const Tensor& dz) {
    const SphereNormCase& a = angles;
    ops.sphereConv2dFilterBackward(
        t.p, a.a, a.relu, x, w, a.y, {}, a.given(a.k), a.nx, a.nw, scaling(a.gamma), scaling(a.beta),
        statistics(a.mean), statistics(a.invStd), dz, dw, a.given(a.dk), scaling(a.dgamma), scaling(a.dbeta));
  }
  void apart(Ops& ops) {
    const SphereNormCase& a = angles;
    ops.sphereConv2dNormBackward(a.a, a.relu, a.y, {}, a.given(a.k), a.nx, a.nw, scaling(a.gamma),
                                 scaling(a.beta), statistics(a.mean), statistics(a.invStd), a.dz, a.h, a.r,
                                 a.q, a.given(a.dk), scaling(a.dgamma), scaling(a.dbeta));
    ops.sphereConv2dWeightGradient(t.p, x, a.h, w, a.q, a.nw, dw);
  }
  FilterCase inFloat64() const {
    FilterCase want = *this;
    for (Array SphereNormCase::*member :
         {&SphereNormCase::y, &SphereNormCase::k, &SphereNormCase::nx, &SphereNormCase::nw,
          &SphereNormCase::gamma, &SphereNormCase::beta, &SphereNormCase::mean, &SphereNormCase::invStd,
          &SphereNormCase::dz, &SphereNormCase::dy, &SphereNormCase::h, &SphereNormCase::r,
          &SphereNormCase::q, &SphereNormCase::dk, &SphereNormCase::dgamma, &SphereNormCase::dbeta})
      want.angles.*member = inDouble(angles.*member);
    want.x = inDouble(x), want.w = inDouble(w), want.dw = inDouble(dw);
    return want;
  }
};

double largestOf(const Array& array) {
  double largest = 1;
  for (int64_t i = 0; i < array.size(); ++i)
    if (std::isfinite(array[i])) largest = std::max(largest, std::abs(array[i]));
  return largest;
}

std::string nameOf(const FilterCase& f) {
  constexpr const char* kBehind[] = {"nothing", "rescale", "batch norm"};
  return describe(f.t, f.dtype) + " " + kBehind[static_cast<int>(f.angles.behind)] + " k " +
         std::to_string(f.angles.k.size()) + (f.angles.relu ? " relu" : "");
}

/// All that both wrote. `exact`: how much of what may add up may differ.
void compare(const std::string& what, const FilterCase& got, const FilterCase& want, double exact) {
  const double sums = std::sqrt(static_cast<double>(std::max<int64_t>(1, got.t.positions())));
  const double scale = 8 * largestOf(want.angles.dz) * largestOf(want.angles.invStd) * sums;
  expectNear(what + " dw", got.dw, numbers(want.dw), tolerance(got.dw.dtype(), exact, 1e-10),
             2 * largestOf(want.angles.h) * sums);
  const SphereNormCase &a = got.angles, &b = want.angles;
  if (a.k.size() > 0)
    expectNear(what + " dk", a.dk, numbers(b.dk), exact,
               scale * (a.k.size() == 1 ? std::sqrt(static_cast<double>(got.t.o)) : 1));
  if (got.angles.behind == Behind::Nothing) return;
  expectNear(what + " dgamma", a.dgamma, numbers(b.dgamma), std::min(exact, 1e-4), scale);
  expectNear(what + " dbeta", a.dbeta, numbers(b.dbeta), std::min(exact, 1e-4), scale);
}

/// First layers: few channels, filters around vectors and tiles, one split and many.
Case firstLayer() {
  constexpr int64_t kFilters[] = {1, 4, 8, 16, 24, 33, 56, 64, 64, 70, 96, 128, 200};
  for (;;) {
    Case t;
    t.o = kFilters[randomInteger(0, std::size(kFilters) - 1)];
    t.c = anyOf<int64_t>({1, 3, 3, 4, 8});
    t.kh = t.kw = t.c == 8 ? 1 : 3;
    if (randomInteger(0, 3) == 0) t.kh = randomInteger(1, t.c == 1 ? 7 : 5), t.kw = randomInteger(1, 5);
    if (randomInteger(0, 7) == 0) {
      t.p.groups = 2;
      t.c = 16, t.o = 2 * t.o;
      t.kh = 1, t.kw = 2;
    }
    const bool isLarge = randomInteger(0, 3) == 0;
    t.n = randomInteger(1, isLarge ? 6 : 3);
    t.h = randomInteger(1, isLarge ? 24 : 12), t.w = randomInteger(1, isLarge ? 24 : 12);
    if (randomInteger(0, 2) == 0) t.p.strideH = static_cast<int32_t>(randomInteger(1, 2)), t.p.strideW = 2;
    if (randomInteger(0, 3) == 0) t.p.dilationH = 2;
    for (int32_t* pad : {&t.p.padTop, &t.p.padBottom, &t.p.padLeft, &t.p.padRight})
      *pad = static_cast<int32_t>(randomInteger(0, 2));
    t.a.op = static_cast<AngularOperator>(randomInteger(0, 3));
    t.a.k = 0.4;
    if (t.h + t.p.padTop + t.p.padBottom < t.p.dilationH * (t.kh - 1) + 1) continue;
    if (t.w + t.p.padLeft + t.p.padRight < t.p.dilationW * (t.kw - 1) + 1) continue;
    if (t.positions() * t.o > 100000) continue;
    return t;
  }
}

FilterCase anyCase(SynchronousOps& ops, int i) {
  ops.context().multiprocessors = static_cast<int>(anyOf<int64_t>({1, 4, 40}));
  ops.context().precision = randomInteger(0, 1) > 0 ? Precision::Tf32 : Precision::Float32;
  const Case t = firstLayer();
  const int64_t ks = t.a.op == AngularOperator::Sigmoid ? anyOf<int64_t>({0, 1, t.o}) : 0;
  const auto behind = static_cast<Behind>(randomInteger(0, 2));
  return FilterCase(t, kAll[i % 4], behind, randomInteger(0, 1) > 0, ks);
}

void checkCases(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    FilterCase f = anyCase(ops, i);
    f.angles.prepare(ops);
    if (randomInteger(0, 3) == 0) f.angles.nx.set(randomInteger(0, f.angles.nx.size() - 1), 0);
    if (randomInteger(0, 3) == 0 && f.angles.behind == Behind::Nothing)
      f.angles.y.set(randomInteger(0, f.angles.y.size() - 1), kNan);
    if (randomInteger(0, 3) == 0) f.w.set(randomInteger(0, f.w.size() - 1), kInfinity);
    FilterCase apart = f, want = f.inFloat64();
    const bool isAligned = randomInteger(0, 5) > 0;
    f.together(ops, isAligned ? f.angles.dz.tensor() : Unaligned(f.angles.dz).tensor());
    const std::string what = "filters" + nameOf(f);
    want.apart(ops);
    const bool isTf32 = f.dtype == DType::Float32 && ops.context().precision == Precision::Tf32;
    compare(what, f, want, isHalf(f.dtype) ? 4e-3 : isTf32 ? 1e-3 : f.dtype == DType::Float32 ? 2e-5 : 1e-10);
    // h of the same bits: only the order of sums differs. One by one, the gradient is rounded before the
    // angles.
    apart.apart(ops);
    if (!isHalf(f.dtype) || f.angles.behind == Behind::Nothing || isAligned)
      compare(what + " exactly", f, apart, 4e-6);
  }
}

/// Pixels whose patches pass nothing back, or next to nothing: NaN, infinities, 1e30.
void checkExtremes(SynchronousOps& ops, int count) {
  for (int i = 0; i < count; ++i) {
    FilterCase f = anyCase(ops, i);
    if (f.angles.behind == Behind::BatchNorm) f.angles.behind = Behind::Rescaling;
    for (int pixels = 0; pixels < 3; ++pixels)
      f.x.set(randomInteger(0, f.x.size() - 1),
              anyOf<double>({kNan, kInfinity, -kInfinity, 1e30, 3.4028e38}));
    const SphereNormCase& a = f.angles;
    static_cast<Ops&>(ops).sphereConv2d(f.t.p, a.a, f.x, f.w, a.given(a.k), a.y, a.nx, a.nw,
                                        f.dtype == DType::Float64 ? Array(f.dtype, a.y.shape()) : Tensor{});
    f.angles.prepare(ops);
    FilterCase apart = f;
    f.together(ops, a.dz);
    apart.apart(ops);
    const std::string what = "extremes" + nameOf(f);
    expectFinite(what, f.dw);
    if (f.angles.behind == Behind::Nothing) compare(what, f, apart, isHalf(f.dtype) ? 1e-5 : 1e-3);
  }
}

/// The same bits in every run, however blocks and warps run.
void checkReproducibility(SynchronousOps& ops) {
  ops.context().multiprocessors = 40;
  for (const DType dtype : kAll) {
    generator().seed(7);
    Case t;
    t.n = 3, t.h = t.w = 14, t.c = 3, t.o = 72, t.kh = t.kw = 3;
    t.a.op = AngularOperator::Sigmoid;
    FilterCase f(t, dtype, Behind::Rescaling, true, 1);
    std::vector<std::vector<std::byte>> first;
    for (int i = 0; i < 4; ++i) {
      f.together(ops, f.angles.dz);
      std::vector<std::vector<std::byte>> bytes;
      for (const Array* a : {&f.dw, &f.angles.dk, &f.angles.dgamma, &f.angles.dbeta})
        bytes.push_back(a->bytes());
      if (i == 0) first = bytes;
      expect(bytes == first, "the same bits in every run");
    }
  }
}

/// Empty batches: sums over nothing are zero.
void checkEmpty(SynchronousOps& ops) {
  for (const DType dtype : kAll)
    for (const Behind behind : {Behind::Nothing, Behind::Rescaling, Behind::BatchNorm}) {
      Case t;
      t.n = 0, t.h = t.w = 5, t.c = 3, t.o = 8, t.kh = t.kw = 3;
      FilterCase f(t, dtype, behind, true, 8);
      f.together(ops, f.angles.dz);
      expectNear("dw of no positions", f.dw, Values(8 * 27), 0);
      expectNear("dk of no positions", f.angles.dk, Values(8), 0);
    }
}

int run(int argc, char** argv) {
  SynchronousOps ops;
  const auto wanted = [&](std::string_view name) {
    for (int i = 1; i < argc; ++i)
      if (name == argv[i]) return true;
    return argc == 1;
  };
  if (wanted("cases")) checkCases(ops, 240);
  if (wanted("extremes")) checkExtremes(ops, 48);
  if (wanted("bits")) checkReproducibility(ops);
  if (wanted("empty")) checkEmpty(ops);
  return report();
}

}  // namespace
}  // namespace spherenet::test

int main(int argc, char** argv) {
  return spherenet::test::run(argc, argv);
}
