// The 16-bit types of the CPU: conversions against their definition in check.h, and what ops with 16-bit
// arguments must take care of.
#include "../../native/cpu/half.h"

#include <bit>
#include <memory>

#include "../../native/cpu/half_ops.h"
#include "check.h"

namespace spherenet::test {

template <class Half>
constexpr DType kDType = DTypeOf<Half>::value;

template <class Half>
void expectRounded(double value, Half got, const char* what) {
  const HalfFormat format = halfFormat(kDType<Half>);
  const bool same =
      std::isnan(value) ? std::isnan(format.decode(got.bits)) : got.bits == format.encode(value);
  expect(same, same ? what : what + std::string(" of ") + std::to_string(value));
}

/// Every bit pattern, numbers of all kinds, and those about the middle of two neighbours.
template <class Half>
void checkConversions() {
  const HalfFormat format = halfFormat(kDType<Half>);
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    Half half;
    half.bits = static_cast<uint16_t>(bits);
    const double value = format.decode(half.bits);
    const float wide = static_cast<float>(half);
    expect(std::isnan(value)
               ? std::isnan(wide)
               : std::bit_cast<uint32_t>(wide) == std::bit_cast<uint32_t>(static_cast<float>(value)),
           "a 16-bit number as float32");
    expectRounded(value, static_cast<Half>(wide), "a 16-bit number through float32");
  }
  for (uint64_t bits = 0; bits <= 0xFFFFFFFF; bits += 4093) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(bits));
    expectRounded(static_cast<double>(value), static_cast<Half>(value), "a float32");
  }
  for (int trial = 0; trial < 400000; ++trial) {
    const double anything = std::bit_cast<double>(generator()());
    expectRounded(anything, static_cast<Half>(roundToOdd(anything)), "a float64");
    const auto below = static_cast<uint16_t>(randomInteger(0, 0x7C00 - 2));
    const double middle = (format.decode(below) + format.decode(static_cast<uint16_t>(below + 1))) / 2;
    const auto about = static_cast<uint64_t>(randomInteger(-2, 2)) + std::bit_cast<uint64_t>(middle);
    const double value = trial % 2 == 0 ? std::bit_cast<double>(about) : -middle;
    expectRounded(value, static_cast<Half>(roundToOdd(value)), "a middle");
  }
  for (double value : {0.0, -0.0, kInfinity, -kInfinity, kNan, 1e300, -1e300, 5e-324, 65519.999, 65520.0}) {
    expectRounded(value, static_cast<Half>(roundToOdd(value)), "a special number");
  }
}

/// The output may be the memory of an input; an input keeps its bits; absent and empty arguments are left
/// alone.
void checkMemory(Ops& ops, DType dtype) {
  const Dims shape = dims({3, 1000});
  const Array a = Array::random(dtype, shape), b = Array::random(dtype, dims({1000}));
  Array apart(dtype, shape), within = a;
  const std::vector<std::byte> before = a.bytes();
  ops.binary(BinaryOp::Mul, a, b, apart);
  ops.binary(BinaryOp::Mul, within, b, within);
  expect(a.bytes() == before, "an input is not written to");
  expect(apart.bytes() == within.bytes(), "binary in place");

  const Array x = Array::random(dtype, dims({2, 5, 5, 3})),
              w = Array::random(DType::Float32, dims({4, 1, 1, 3}));
  Array y(dtype, dims({2, 5, 5, 4}));
  const std::vector<std::byte> filters = w.bytes();
  ops.conv2d({}, x, w, {}, y);
  expect(w.bytes() == filters, "float32 filters are rounded elsewhere");

  const Array none(dtype, dims({0, 3}));
  ops.affine(2, 1, none, none);
  ops.unary(UnaryOp::Square, none, none);
  Array sum(dtype, dims({1, 3}));
  ops.sumTo(none, sum);
  for (int64_t i = 0; i < 3; ++i) expect(sum[i] == 0, "the sum of nothing");
}

}  // namespace spherenet::test

int main() {
  using namespace spherenet;
  test::checkConversions<Bfloat16>();
  test::checkConversions<Float16>();
  const std::unique_ptr<Ops> ops = cpu::makeOpsWithHalf();
  for (DType dtype : test::kHalves) test::checkMemory(*ops, dtype);
  return test::report();
}
