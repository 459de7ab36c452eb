// Vectors of the instruction set whose translation unit includes this (see isa_*.cc): no includes but of the
// like, everything in an unnamed namespace, so that code for one instruction set never gets linked into
// another.
//
// No lambdas either: inside templates GCC compiles them for the baseline instruction set.
//
// The including file defines SPHERENET_SIMD_BYTES, the vector size.

#pragma once

#define SPHERENET_INLINE __attribute__((always_inline)) inline

namespace spherenet::cpu::simd {
namespace {

constexpr int kVectorBytes = SPHERENET_SIMD_BYTES;

template <class T>
struct Simd;

template <>
struct Simd<float> {
  using T = float;
  using Integer = int32_t;
  typedef float V __attribute__((vector_size(kVectorBytes)));
  typedef float Unaligned __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
  typedef int32_t I __attribute__((vector_size(kVectorBytes)));
  static constexpr int lanes = kVectorBytes / 4;
  static constexpr float max = __FLT_MAX__;
  static constexpr Integer signBit = INT32_MIN;

  static SPHERENET_INLINE V mulAdd(V a, V b, V c) {
#if SPHERENET_SIMD_BYTES == 64
    return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif SPHERENET_SIMD_BYTES == 32
    return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
  }

  /// count < lanes. Memory of the other lanes is not touched.
  static SPHERENET_INLINE V loadFirst(const float* p, int64_t count) {
#if SPHERENET_SIMD_BYTES == 64
    return (V)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#elif SPHERENET_SIMD_BYTES == 32
    return (V)_mm256_maskload_ps(p, (__m256i)firstLanes(count));
#else
    return (V){p[0], count > 1 ? p[1] : 0, count > 2 ? p[2] : 0, 0};
#endif
  }

  static SPHERENET_INLINE void storeFirst(float* p, V v, int64_t count) {
#if SPHERENET_SIMD_BYTES == 64
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
#elif SPHERENET_SIMD_BYTES == 32
    _mm256_maskstore_ps(p, (__m256i)firstLanes(count), (__m256)v);
#else
    for (int i = 0; i < count; ++i) p[i] = v[i];
#endif
  }

#if SPHERENET_SIMD_BYTES == 32
  static SPHERENET_INLINE I firstLanes(int64_t count) {
    return static_cast<int32_t>(count) - I{} > I{0, 1, 2, 3, 4, 5, 6, 7};
  }
#endif

  /// a and b as b's lanes between a's: the first half of that in `low`, the second in `high`.
  static SPHERENET_INLINE void interleave(V a, V b, V& low, V& high) {
#if SPHERENET_SIMD_BYTES == 64
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i second = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    low = (V)_mm512_permutex2var_ps((__m512)a, first, (__m512)b);
    high = (V)_mm512_permutex2var_ps((__m512)a, second, (__m512)b);
#elif SPHERENET_SIMD_BYTES == 32
    const __m256 even = _mm256_unpacklo_ps((__m256)a, (__m256)b),
                 odd = _mm256_unpackhi_ps((__m256)a, (__m256)b);
    low = (V)_mm256_permute2f128_ps(even, odd, 0x20);
    high = (V)_mm256_permute2f128_ps(even, odd, 0x31);
#else
    low = V{a[0], b[0], a[1], b[1]};
    high = V{a[2], b[2], a[3], b[3]};
#endif
  }

  /// Of all lanes: halves are added until one lane is left, the same way on every path.
  static SPHERENET_INLINE float sum(V a) {
#if SPHERENET_SIMD_BYTES >= 32
#if SPHERENET_SIMD_BYTES == 64
    __m256 halves[2];
    __builtin_memcpy(halves, &a, sizeof a);
    const __m256 half = _mm256_add_ps(halves[0], halves[1]);
#else
    const __m256 half = (__m256)a;
#endif
    const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
#else
    return (a[0] + a[2]) + (a[1] + a[3]);
#endif
  }

  static SPHERENET_INLINE V sqrt(V a) {
#if SPHERENET_SIMD_BYTES == 64
    return (V)_mm512_maskz_sqrt_ps(0xffff, (__m512)a);
#elif SPHERENET_SIMD_BYTES == 32
    return (V)_mm256_sqrt_ps((__m256)a);
#elif defined(__SSE2__)
    return (V)_mm_sqrt_ps((__m128)a);
#else
    for (int i = 0; i < lanes; ++i) a[i] = __builtin_sqrtf(a[i]);
    return a;
#endif
  }
};

template <>
struct Simd<double> {
  using T = double;
  using Integer = int64_t;
  typedef double V __attribute__((vector_size(kVectorBytes)));
  typedef double Unaligned __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
  typedef int64_t I __attribute__((vector_size(kVectorBytes)));
  static constexpr int lanes = kVectorBytes / 8;
  static constexpr double max = __DBL_MAX__;
  static constexpr Integer signBit = INT64_MIN;

  static SPHERENET_INLINE V mulAdd(V a, V b, V c) { return a * b + c; }

  static SPHERENET_INLINE V loadFirst(const double* p, int64_t count) {
    V v{};
    for (int i = 0; i < count; ++i) v[i] = p[i];
    return v;
  }

  static SPHERENET_INLINE void storeFirst(double* p, V v, int64_t count) {
    for (int i = 0; i < count; ++i) p[i] = v[i];
  }

  static SPHERENET_INLINE double sum(V a) {
    double total = a[0];
    for (int i = 1; i < lanes; ++i) total += a[i];
    return total;
  }

  static SPHERENET_INLINE V sqrt(V a) {
    for (int i = 0; i < lanes; ++i) a[i] = __builtin_sqrt(a[i]);
    return a;
  }
};

template <class S>
SPHERENET_INLINE typename S::V load(const typename S::T* p) {
  return *reinterpret_cast<const typename S::Unaligned*>(p);
}

template <class S>
SPHERENET_INLINE void store(typename S::T* p, typename S::V v) {
  *reinterpret_cast<typename S::Unaligned*>(p) = v;
}

template <class S>
SPHERENET_INLINE typename S::V splat(typename S::T value) {
  return value - typename S::V{};
}

/// The first `count` lanes from memory, zeros in the others; count >= 1, and may exceed the lanes.
template <class S>
SPHERENET_INLINE typename S::V loadPart(const typename S::T* p, int64_t count) {
  if (count >= S::lanes) return load<S>(p);
  return S::loadFirst(p, count);
}

template <class S>
SPHERENET_INLINE void storePart(typename S::T* p, typename S::V v, int64_t count) {
  if (count >= S::lanes) return store<S>(p, v);
  S::storeFirst(p, v, count);
}

template <class S>
SPHERENET_INLINE typename S::V absolute(typename S::V v) {
  return (typename S::V)((typename S::I)v & ~S::signBit);
}

/// `magnitude` (not negative) with the sign of `sign`.
template <class S>
SPHERENET_INLINE typename S::V withSign(typename S::V magnitude, typename S::V sign) {
  return (typename S::V)((typename S::I)magnitude | ((typename S::I)sign & S::signBit));
}

/// yes where the mask of a comparison is set, else no.
template <class S>
SPHERENET_INLINE typename S::V select(typename S::I mask, typename S::V yes, typename S::V no) {
  return mask ? yes : no;
}

/// NaN stays NaN.
template <class S>
SPHERENET_INLINE typename S::V atMost(typename S::V v, typename S::V limit) {
  return select<S>(v > limit, limit, v);
}
template <class S>
SPHERENET_INLINE typename S::V atLeast(typename S::V v, typename S::V limit) {
  return select<S>(v < limit, limit, v);
}

/// NaN and infinities become 0.
template <class S>
SPHERENET_INLINE typename S::V finiteOrZero(typename S::V v) {
  return select<S>(v - v == typename S::V{}, v, typename S::V{});
}

/// Compile-time lists of indices; std::integer_sequence would be shared with other translation units.
template <int... I>
struct Indices {};

template <int Count, int... I>
struct IndexList : IndexList<Count - 1, Count - 1, I...> {};
template <int... I>
struct IndexList<0, I...> {
  using Type = Indices<I...>;
};

template <int Count>
using FirstIndices = typename IndexList<Count>::Type;

}  // namespace
}  // namespace spherenet::cpu::simd
