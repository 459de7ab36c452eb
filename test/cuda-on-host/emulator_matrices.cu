// Matrix loads and products against the lane maps of the PTX manual, and numbers against other ways to get
// them.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "../../cuda/device/ptx.cuh"
#include "emulator_test.h"

namespace emulator_test {
namespace {

using namespace spherenet::cuda;

struct Matrices {
  alignas(16) uint16_t at[4][8][8];
};

__global__ void load(uint32_t* plain, uint32_t* transposed) {
  Matrices& shared = dynamicShared<Matrices>();
  const unsigned lane = threadIdx.x;
  for (unsigned i = lane; i < 256; i += 32) shared.at[i / 64][i / 8 % 8][i % 8] = static_cast<uint16_t>(i);
  __syncwarp();
  uint32_t got[4], turned[4];
  loadMatrices(got, shared.at[lane / 8][lane % 8]);
  loadMatricesTransposed(turned, shared.at[lane / 8][lane % 8]);
  for (unsigned m = 0; m < 4; ++m) {
    plain[4 * lane + m] = got[m];
    transposed[4 * lane + m] = turned[m];
  }
}

void checkLoads() {
  DeviceArray<uint32_t> plain(128), transposed(128);
  launch(load, 1, 32, sizeof(Matrices), plain.get(), transposed.get());
  bool right = true, turned = true;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    for (uint32_t m = 0; m < 4; ++m) {
      const auto element = [&](uint32_t row, uint32_t column) { return 64 * m + 8 * row + column; };
      const uint32_t row = lane / 4, pair = 2 * (lane % 4);
      right = right && plain[4 * lane + m] == (element(row, pair) | element(row, pair + 1) << 16);
      turned = turned && transposed[4 * lane + m] == (element(pair, row) | element(pair + 1, row) << 16);
    }
  }
  expect(right, "loadMatrices");
  expect(turned, "loadMatricesTransposed");
}

/// Fragments are put together here element by element, as the manual's tables for m16n8k16 and m16n8k8 have
/// them.
template <class T>
__global__ void product(const float* a, const float* b, const float* c, float* d) {
  constexpr int kSteps = sizeof(T) == 4 ? 8 : 16, kPerRegister = 4 / sizeof(T);
  const int lane = static_cast<int>(threadIdx.x), group = lane / 4, t = lane % 4;
  uint32_t aBits[4] = {}, bBits[2] = {};
  const auto place = [](uint32_t& word, int i, float value) {
    if constexpr (sizeof(T) == 4) {
      word = __float_as_uint(value) | 0x1FFF;  // bits that have to be ignored
    } else {
      const T narrow(value);
      word |= static_cast<uint32_t>(std::bit_cast<uint16_t>(narrow)) << (16 * i);
    }
  };
  for (int i = 0; i < 4 * kPerRegister; ++i) {
    // i counts the elements a lane holds: for 16 bits a0..a7, for 32 bits a0..a3.
    int row, column;
    if constexpr (sizeof(T) == 2) {
      row = (i < 2 || (i >= 4 && i < 6)) ? group : group + 8;
      column = t * 2 + (i & 1) + (i >= 4 ? 8 : 0);
    } else {
      row = i % 2 == 0 ? group : group + 8;
      column = i < 2 ? t : t + 4;
    }
    place(aBits[i / kPerRegister], i % kPerRegister, a[row * kSteps + column]);
  }
  for (int i = 0; i < 2 * kPerRegister; ++i) {
    const int row = sizeof(T) == 2 ? t * 2 + (i & 1) + (i >= 2 ? 8 : 0) : t + 4 * i;
    place(bBits[i / kPerRegister], i % kPerRegister, b[row * 8 + group]);
  }
  float sum[4];
  for (int i = 0; i < 4; ++i) sum[i] = c[(i < 2 ? group : group + 8) * 8 + t * 2 + (i & 1)];
  multiplyAdd(T{}, sum, aBits, bBits);
  for (int i = 0; i < 4; ++i) d[(i < 2 ? group : group + 8) * 8 + t * 2 + (i & 1)] = sum[i];
}

template <class T>
void checkProduct(const char* name) {
  constexpr size_t kSteps = sizeof(T) == 4 ? 8 : 16;
  std::mt19937 generator(3);
  std::uniform_int_distribution<int> integers(-64, 64);
  DeviceArray<float> a(16 * kSteps), b(8 * kSteps), c(128), d(128);
  // Integers: every product and sum is exact.
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(integers(generator));
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(integers(generator));
  for (size_t i = 0; i < c.size(); ++i) c[i] = static_cast<float>(integers(generator));
  launch(product<T>, 1, 32, 0, a.get(), b.get(), c.get(), d.get());
  bool right = true;
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 8; ++j) {
      float want = c[i * 8 + j];
      for (size_t k = 0; k < kSteps; ++k) want += a[i * kSteps + k] * b[k * 8 + j];
      right = right && d[i * 8 + j] == want;
    }
  }
  expect(right, std::string("multiplyAdd of ") + name);
}

// ---- numbers

void checkHalf() {
  bool back = true, same = true;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const __half h = __ushort_as_half(static_cast<uint16_t>(bits));
    const float wide = __half2float(h);
    same = same && (std::isnan(wide) || wide == static_cast<float>(std::bit_cast<_Float16>(h.bits)));
    back = back && (std::isnan(wide) ? (__float2half_rn(wide).bits & 0x7FFF) > 0x7C00
                                     : __float2half_rn(wide).bits == bits);
  }
  expect(same && back, "every half as a float and back");
  std::mt19937 generator(4);
  bool rounded = true;
  for (int i = 0; i < 4000000; ++i) {
    // Exponents around those that half has.
    const auto bits = static_cast<uint32_t>(generator()),
               exponent = 100 + static_cast<uint32_t>(generator()) % 45;
    const float x = std::bit_cast<float>((bits & 0x807FFFFF) | exponent << 23);
    rounded = rounded && __float2half_rn(x).bits == std::bit_cast<uint16_t>(static_cast<_Float16>(x));
  }
  for (float tie :
       {1.00048828125f, 1.00146484375f, 65519.996f, 65520.0f, 5.9604645e-8f, 2.9802322e-8f, 8.940697e-8f}) {
    rounded = rounded && __float2half_rn(tie).bits == std::bit_cast<uint16_t>(static_cast<_Float16>(tie));
  }
  expect(rounded, "float rounded to half as the compiler does");
}

void checkBfloat16() {
  std::mt19937 generator(5);
  bool right = true;
  for (int i = 0; i < 2000000; ++i) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(generator()));
    const float got = __bfloat162float(__float2bfloat16_rn(x));
    if (std::isnan(x)) {
      right = right && std::isnan(got);
      continue;
    }
    // The neighbours that have 8 bits; the nearer one wins, the even one of equals.
    const uint32_t cut = std::bit_cast<uint32_t>(x) & 0xFFFF0000u, next = cut + 0x10000u;
    const double below = static_cast<double>(std::bit_cast<float>(cut)), exact = static_cast<double>(x);
    const double above = std::isinf(std::bit_cast<float>(next))
                             ? std::copysign(0x1p128, exact)
                             : static_cast<double>(std::bit_cast<float>(next));
    const double down = std::abs(exact - below), up = std::abs(above - exact);
    const uint32_t want = down < up || (down == up && !(cut >> 16 & 1)) ? cut : next;
    right = right && (std::isinf(x) ? got == x : std::bit_cast<uint32_t>(got) == want);
  }
  expect(right, "float rounded to bfloat16");
}

void checkNumbers() {
  expect(roundToTf32(1.0f + 0x1p-11f) == __float_as_uint(1.0f + 0x1p-10f),
         "roundToTf32 rounds ties away from zero");
  expect(roundToTf32(-1.0f - 0x1p-12f) == __float_as_uint(-1.0f), "roundToTf32 rounds to nearest");
  double worst = 0;
  for (float x = -9; x < 9; x += 0.001f) {
    const double exact = std::tanh(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(tanhApproximate(x)) / exact - 1));
  }
  expect(worst < 0x1p-10 && worst > 0x1p-14, "tanhApproximate is approximate");
  expect(min(3, -2) == -2 && max(2u, 7u) == 7u && max(NAN, 1.0f) == 1.0f && min(2.0, NAN) == 2.0,
         "min and max");
  expect(__popc(0xF0F0u) == 8 && __clz(1) == 31 && __clz(0) == 32 && __brev(1u) == 0x80000000u, "bits");
  expect(__umulhi(0x80000000u, 6u) == 3u && __byte_perm(0x33221100u, 0x77665544u, 0x7250u) == 0x77225500u,
         "words");
  expect(__float2int_rz(3e9f) == 2147483647 && __float2int_rn(-3e9f) == -2147483647 - 1 &&
             __float2int_rn(NAN) == 0 && __float2int_rn(2.5f) == 2 && __float2int_ru(2.1f) == 3,
         "conversions to integers saturate");
  const float2 pair = __bfloat1622float2(__floats2bfloat162_rn(1.5f, -2.0f));
  expect(pair.x == 1.5f && pair.y == -2.0f && sizeof(__half2) == 4 && alignof(float4) == 16,
         "packed numbers");
}

}  // namespace

void checkMatrices() {
  checkLoads();
  checkProduct<__nv_bfloat16>("bfloat16");
  checkProduct<__half>("half");
  checkProduct<float>("tf32");
  checkHalf();
  checkBfloat16();
  checkNumbers();
}

}  // namespace emulator_test
