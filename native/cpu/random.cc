// randomUniform, randomNormal and dropout. Element i depends on (seed, i) alone; see native/philox.h.
#include <cmath>
#include <limits>

#include "../philox.h"
#include "cpu_ops.h"
#include "loops.h"
#include "parallel.h"

namespace spherenet::cpu {

namespace {

/// Elements whose words are computed side by side.
constexpr int64_t kBatch = 256;
constexpr int64_t kBatchBlocks = kBatch / 4;
static_assert(kGrain % kBatch == 0, "ranges must begin at a batch");

/// words[i] = the word of element first + i, i < kBatch; first is a multiple of 4.
void drawWords(uint64_t seed, uint32_t stream, int64_t first, uint32_t (&words)[kBatch]) {
  // Blocks do not depend on each other: the compiler handles several at a time where it can.
  uint32_t columns[4][kBatchBlocks];
  for (int64_t i = 0; i < kBatchBlocks; ++i) {
    const PhiloxBlock block = philoxElements(seed, stream, static_cast<uint64_t>(first / 4 + i));
    for (int k = 0; k < 4; ++k) columns[k][i] = block.word[k];
  }
  for (int64_t i = 0; i < kBatchBlocks; ++i) {
    for (int k = 0; k < 4; ++k) words[4 * i + k] = columns[k][i];
  }
}

/// Calls body(first, count) for batches of elements.
template <class F>
void forEachBatch(int64_t size, const F& body) {
  parallelRanges(size, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += kBatch) body(first, std::min(kBatch, end - first));
  });
}

/// Two normal numbers from two uniform ones, u in (0, 1], v in [0, 1) (Box and Muller, 1958).
void boxMuller(double u, double v, double (&z)[2]) {
  constexpr double kTwoPi = 6.283185307179586476925;
  const double radius = std::sqrt(-2 * std::log(u));
  z[0] = radius * std::cos(kTwoPi * v);
  z[1] = radius * std::sin(kTwoPi * v);
}

}  // namespace

void CpuOps::randomUniform(uint64_t seed, double low, double high, const Tensor& yTensor) {
  withFloat(yTensor.dtype, [&](auto type) {
    using T = decltype(type);
    T* y = yTensor.as<T>();
    const double width = high - low;
    // Rounding may reach `high`, which is outside of the range.
    const T least = static_cast<T>(low);
    const T most = std::max(least, std::nextafter(static_cast<T>(high), -std::numeric_limits<T>::infinity()));
    forEachBatch(yTensor.size(), [&](int64_t first, int64_t count) {
      uint32_t words[kBatch], more[kBatch];
      drawWords(seed, 0, first, words);
      if constexpr (sizeof(T) == 8) drawWords(seed, 1, first, more);
      for (int64_t i = 0; i < count; ++i) {
        double u;
        if constexpr (sizeof(T) == 8) {
          u = uniform53(words[i], more[i]);
        } else {
          u = static_cast<double>(static_cast<int32_t>(words[i] >> 8)) * 0x1p-24;  // uniform24
        }
        const T value = static_cast<T>(low + width * u);
        y[first + i] = value < most ? value : most;
      }
    });
  });
}

void CpuOps::randomNormal(uint64_t seed, double mean, double deviation, const Tensor& yTensor) {
  withFloat(yTensor.dtype, [&](auto type) {
    using T = decltype(type);
    T* y = yTensor.as<T>();
    forEachBatch(yTensor.size(), [&](int64_t first, int64_t count) {
      uint32_t words[kBatch], more[kBatch];
      drawWords(seed, 0, first, words);
      if constexpr (sizeof(T) == 8) drawWords(seed, 1, first, more);
      // Elements 2j and 2j + 1 are a pair: u comes from the word of the first, v from that of the second.
      for (int64_t i = 0; i < count; i += 2) {
        double u, v, z[2];
        if constexpr (sizeof(T) == 8) {
          u = uniform53(words[i], more[i]) + 0x1p-53;
          v = uniform53(words[i + 1], more[i + 1]);
        } else {
          u = (static_cast<double>(words[i]) + 1) * 0x1p-32;
          v = static_cast<double>(words[i + 1]) * 0x1p-32;
        }
        boxMuller(u, v, z);
        y[first + i] = static_cast<T>(mean + deviation * z[0]);
        if (i + 1 < count) y[first + i + 1] = static_cast<T>(mean + deviation * z[1]);
      }
    });
  });
}

void CpuOps::dropout(uint64_t seed, double p, const Tensor& xTensor, const Tensor& yTensor) {
  withFloat(yTensor.dtype, [&](auto type) {
    using T = decltype(type);
    const T* x = xTensor.as<T>();
    T* y = yTensor.as<T>();
    const T scale = p < 1 ? static_cast<T>(1 / (1 - p)) : T(0);
    // uniform24(word) >= p, as integers: both sides times 2^24 are exact.
    const int32_t threshold = static_cast<int32_t>(std::ceil(p * 0x1p24));
    forEachBatch(yTensor.size(), [&](int64_t first, int64_t count) {
      uint32_t words[kBatch];
      drawWords(seed, 0, first, words);
      SPHERENET_INDEPENDENT
      for (int64_t i = 0; i < count; ++i) {
        const T value = x[first + i];
        y[first + i] = scale * (static_cast<int32_t>(words[i] >> 8) >= threshold ? value : T(0));
      }
    });
  });
}

}  // namespace spherenet::cpu
