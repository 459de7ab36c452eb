// ldmatrix and mma.sync: what the 32 lanes hold, put together as matrices and taken apart again.
#include <ptx_on_host.h>

#include <bit>
#include <cstring>

#include "block.h"

namespace cuda_on_host {
namespace {

constexpr int kLanes = 32;
// Eight columns of a result at once.
typedef float Row __attribute__((vector_size(32), aligned(4)));

void needWholeWarp(uint32_t mask, const char* what) {
  if (mask != ~0u) fail("%s needs a warp of 32 threads", what);
}

/// The 32 rows that a warp loads.
struct LoadedRows {
  const unsigned char* at[kLanes];

  LoadedRows(void* const* parts, uint32_t mask, const char* user) {
    needWholeWarp(mask, user);
    for (int lane = 0; lane < kLanes; ++lane) {
      const void* row = static_cast<const MatrixRows*>(parts[lane])->row;
      sharedOffset(row, 16, 16, user);
      at[lane] = static_cast<const unsigned char*>(row);
    }
    BlockRunner::current()->countMatrixRows(at);
  }
};

float widened(uint32_t bits, __nv_bfloat16) {
  return std::bit_cast<float>(bits << 16);
}
float widened(uint32_t bits, __half) {
  return __half2float(__ushort_as_half(static_cast<uint16_t>(bits)));
}
float cutToTf32(uint32_t bits) {
  return std::bit_cast<float>(bits & ~0x1FFFu);
}

/// d += a b, the products of a step one after another. Products of the operands are exact in float32.
template <int Steps>
void multiply(void* const* parts, const float (&a)[16][Steps], const float (&b)[Steps][8]) {
  float d[16][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const float* from = static_cast<const Fragments*>(parts[lane])->d;
    for (int e = 0; e < 4; ++e) d[lane / 4 + e / 2 * 8][lane % 4 * 2 + e % 2] = from[e];
  }
  for (int i = 0; i < 16; ++i) {
    Row sum;
    std::memcpy(&sum, d[i], sizeof sum);
    for (int k = 0; k < Steps; ++k) {
      Row row;
      std::memcpy(&row, b[k], sizeof row);
      sum += a[i][k] * row;
    }
    std::memcpy(d[i], &sum, sizeof sum);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    float* to = static_cast<const Fragments*>(parts[lane])->d;
    for (int e = 0; e < 4; ++e) to[e] = d[lane / 4 + e / 2 * 8][lane % 4 * 2 + e % 2];
  }
}

/// m16n8k16 of 16-bit elements, two in a register.
template <class T>
void multiply16(void* const* parts, uint32_t mask) {
  needWholeWarp(mask, "multiplyAdd");
  float a[16][16], b[16][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto& fragments = *static_cast<const Fragments*>(parts[lane]);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int r = 0; r < 4; ++r) {
      float* to = &a[group + r % 2 * 8][pair + r / 2 * 8];
      to[0] = widened(fragments.a[r] & 0xFFFF, T{});
      to[1] = widened(fragments.a[r] >> 16, T{});
    }
    for (int r = 0; r < 2; ++r) {
      b[pair + r * 8][group] = widened(fragments.b[r] & 0xFFFF, T{});
      b[pair + r * 8 + 1][group] = widened(fragments.b[r] >> 16, T{});
    }
  }
  multiply<16>(parts, a, b);
}

}  // namespace

void combineMatrixRows(void* const* parts, uint32_t mask) {
  const LoadedRows rows(parts, mask, "loadMatrices");
  for (int matrix = 0; matrix < 4; ++matrix) {
    for (int row = 0; row < 8; ++row) {
      const unsigned char* from = rows.at[8 * matrix + row];
      for (int word = 0; word < 4; ++word) {
        std::memcpy(&static_cast<const MatrixRows*>(parts[4 * row + word])->result[matrix], from + 4 * word,
                    4);
      }
    }
  }
}

void combineTransposedMatrixRows(void* const* parts, uint32_t mask) {
  const LoadedRows rows(parts, mask, "loadMatricesTransposed");
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint16_t elements[8][8];
    for (int row = 0; row < 8; ++row) {
      std::memcpy(elements[row], rows.at[8 * matrix + row], 16);
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      const int row = lane % 4 * 2, column = lane / 4;
      static_cast<const MatrixRows*>(parts[lane])->result[matrix] =
          static_cast<uint32_t>(elements[row + 1][column]) << 16 | elements[row][column];
    }
  }
}

void multiplyBfloat16(void* const* parts, uint32_t mask) {
  multiply16<__nv_bfloat16>(parts, mask);
}

void multiplyHalf(void* const* parts, uint32_t mask) {
  multiply16<__half>(parts, mask);
}

void multiplyTf32(void* const* parts, uint32_t mask) {
  needWholeWarp(mask, "multiplyAdd");
  float a[16][8], b[8][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto& fragments = *static_cast<const Fragments*>(parts[lane]);
    const int group = lane / 4, t = lane % 4;
    for (int r = 0; r < 4; ++r) a[group + r % 2 * 8][t + r / 2 * 4] = cutToTf32(fragments.a[r]);
    for (int r = 0; r < 2; ++r) b[t + r * 4][group] = cutToTf32(fragments.b[r]);
  }
  multiply<8>(parts, a, b);
}

}  // namespace cuda_on_host
