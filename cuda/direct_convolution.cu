#include <algorithm>

#include "device/angular.cuh"
#include "device/conv_geometry.cuh"
#include "device/numeric.cuh"
#include "device/rescaling.cuh"
#include "direct_convolution.h"

namespace spherenet::cuda {
namespace {

constexpr unsigned kDirectThreads = 256;

/// A sum of squares up to which, and from which on, it and products within the same bounds are as precise as
/// T is.
template <class T>
constexpr double kLargestSquare = sizeof(T) == 8 ? 1e300 : 1e30;
template <class T>
constexpr double kSmallestSquare = sizeof(T) == 8 ? 1e-280 : 1e-25;

/// A vector times `scale` has a norm of 1 / inverse; scale * x and its squares are in the range of float64
/// for every finite x.
struct ScaledNorm {
  double scale, inverse;

  /// norm = sqrt(squares + epsilon), of the vector itself.
  template <class C>
  __device__ C norm() const {
    // NaN stays NaN; what T cannot hold is its largest number.
    constexpr double kMax = sizeof(C) == 8 ? 1.7976931348623157e308 : 3.4028234663852886e38;
    const double norm = inverse > 0 ? 1 / inverse / scale : 0;
    return static_cast<C>(norm > kMax ? kMax : norm);
  }
};

/// visit(f) calls f(value) for each element of a vector.
template <class Visit>
__device__ ScaledNorm scaledNorm(double epsilon, const Visit& visit) {
  double largest = 0;
  visit([&](double v) { largest = fmax(largest, fabs(v)); });
  ScaledNorm s{1, 0};
  if (largest - largest == 0 && (largest > 1e100 || largest < 1e-100)) s.scale = 1 / fmax(largest, 1e-300);
  double squares = 0;
  visit([&](double v) { squares += (v * s.scale) * (v * s.scale); });
  s.inverse = inverseNormOf(sqrt(squares + epsilon * s.scale * s.scale));
  return s;
}

/// What the forward pass needs of a filter.
template <class T>
struct DirectFilter {
  using C = Compute<T>;

  ScaledNorm wide;
  C inverse;     // 1 / norm
  bool regular;  // the norm's square is within bounds
  AngularFilter<C> angular;
  FilterRescaling<C> rescaling;
};

template <class T>
struct DirectForward {
  using C = Compute<T>;

  ConvGeometry geometry;
  const T* x;
  const void* w;
  bool filtersAreFloat;
  const C* bias;
  T* y;
  // SphereConv only:
  const C* ks;  // per filter, or one where `sharedK`, or null: `k`
  C k;
  bool sharedK;
  AngularOperator op;
  double epsilon;
  DirectFilter<T>* filters;
  C *nx, *nw;
  T* cosines;  // optional
  Rescaling<C> rescaling;

  __device__ __forceinline__ C filter(int64_t index) const {
    return loadFilter<T>(w, filtersAreFloat, index);
  }
};

/// One thread a filter: norms and the constants of g.
template <class T>
__global__ void prepareFilters(DirectForward<T> job) {
  using C = Compute<T>;
  const int o = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), size = job.geometry.filterSize();
  if (o >= job.geometry.o) return;
  DirectFilter<T> filter;
  filter.wide = scaledNorm(job.epsilon, [&](const auto& each) {
    for (int i = 0; i < size; ++i) each(static_cast<double>(job.filter(int64_t{o} * size + i)));
  });
  const C norm = filter.wide.template norm<C>();
  const double square = static_cast<double>(norm) * static_cast<double>(norm);
  filter.inverse = inverseNormOf(norm);
  filter.regular = square <= kLargestSquare<C> && square >= kSmallestSquare<C>;
  filter.angular = angularFilter<C>(job.op, job.ks ? job.ks[job.sharedK ? 0 : o] : job.k);
  filter.rescaling = filterRescaling(job.rescaling, o);
  job.filters[o] = filter;
  job.nw[o] = norm;
}

/// Calls f(offset of the pixel's first channel in x, tap) for the taps of a patch that lie inside the image.
template <class F>
__device__ __forceinline__ void forEachTap(const ConvGeometry& g, const Position& position, const F& f) {
  const int top = position.top(g), left = position.left(g);
  for (int i = 0; i < g.kh; ++i) {
    const int row = top + i * g.dilationH;
    if (static_cast<unsigned>(row) >= static_cast<unsigned>(g.h)) continue;
    for (int j = 0; j < g.kw; ++j) {
      const int column = left + j * g.dilationW;
      if (static_cast<unsigned>(column) >= static_cast<unsigned>(g.w)) continue;
      f(((int64_t{position.image} * g.h + row) * g.w + column) * g.c, i * g.kw + j);
    }
  }
}

/// The cosine where squares or products may leave the range of T: in float64, both vectors scaled. `w`: the
/// filter's first element.
template <class T>
__device__ double wideCosine(const DirectForward<T>& job, const Position& position, const T* x, int64_t w,
                             const ScaledNorm& filter, ScaledNorm& patch) {
  const ConvGeometry& g = job.geometry;
  patch = scaledNorm(job.epsilon, [&](const auto& each) {
    forEachTap(g, position, [&](int64_t pixel, int) {
      for (int c = 0; c < g.groupChannels; ++c) each(static_cast<double>(toCompute(x[pixel + c])));
    });
  });
  double product = 0;
  forEachTap(g, position, [&](int64_t pixel, int tap) {
    for (int c = 0; c < g.groupChannels; ++c)
      product += static_cast<double>(toCompute(x[pixel + c])) * patch.scale *
                 (static_cast<double>(job.filter(w + tap * g.groupChannels + c)) * filter.scale);
  });
  return product * patch.inverse * filter.inverse;
}

/// One thread a result, lanes along filters.
template <class T, bool Sphere>
__global__ void __launch_bounds__(kDirectThreads, 4) directForward(DirectForward<T> job) {
  using C = Compute<T>;
  const ConvGeometry& g = job.geometry;
  const int64_t index = int64_t{blockIdx.x} * kDirectThreads + threadIdx.x;
  if (index >= g.positions() * g.o) return;
  const Quotient place = divide(index, g.o);
  const int o = static_cast<int>(place.rest), group = o / g.groupFilters;
  const Position position = Position::at(g, place.value);
  const T* const x = job.x + int64_t{group} * g.groupChannels;
  const int64_t w = int64_t{o} * g.filterSize();
  C product = 0, squares = 0;
  forEachTap(g, position, [&](int64_t pixel, int tap) {
    for (int c = 0; c < g.groupChannels; ++c) {
      const C value = toCompute(x[pixel + c]);
      product += value * job.filter(w + tap * g.groupChannels + c);
      if constexpr (Sphere) squares += value * value;
    }
  });
  if constexpr (!Sphere) {
    job.y[index] = toStorage<T>(job.bias ? product + job.bias[o] : product);
  } else {
    const DirectFilter<T>& filter = job.filters[o];
    const C sum = squares + static_cast<C>(job.epsilon);
    C norm = sqrt(sum), cosine = product * inverseNormOf(norm) * filter.inverse;
    if (!filter.regular || !(sum <= C(kLargestSquare<C>) && sum >= C(kSmallestSquare<C>))) {
      ScaledNorm patch;
      cosine = static_cast<C>(wideCosine(job, position, x, w, filter.wide, patch));
      norm = patch.template norm<C>();
    }
    cosine = clampToOne(cosine);
    T y = toStorage<T>(angularValue<sizeof(T) == 2>(job.op, filter.angular, cosine));
    if (job.rescaling.follows) {
      if (job.rescaling.y) static_cast<T*>(job.rescaling.y)[index] = y;
      y = toStorage<T>(filter.rescaling.at(job.rescaling.relu, toCompute(y)));
    }
    job.y[index] = y;
    if (job.cosines) job.cosines[index] = toStorage<T>(cosine);
    if (o % g.groupFilters == 0) job.nx[place.value * g.groups + group] = norm;
  }
}

template <class T>
struct DirectGradient {
  using C = Compute<T>;

  ConvGeometry geometry;
  const T* dy;
  const void* w;
  bool filtersAreFloat;
  const T* x;
  const C* r;  // optional
  T* dx;
};

/// The output coordinate that reads input coordinate `at` through a tap; -1 where there is none.
__device__ __forceinline__ int outputOf(int at, int tap, int pad, int dilation, int stride, int outputs) {
  const int distance = at + pad - tap * dilation;
  if (distance < 0 || distance % stride != 0 || distance / stride >= outputs) return -1;
  return distance / stride;
}

/// One thread an element of dx, lanes along channels. Where r is given, filters that are not finite count as
/// zeros: nothing flows back to them.
template <class T>
__global__ void __launch_bounds__(kDirectThreads, 4) directGradient(DirectGradient<T> job) {
  using C = Compute<T>;
  const ConvGeometry& g = job.geometry;
  const int64_t index = int64_t{blockIdx.x} * kDirectThreads + threadIdx.x;
  if (index >= int64_t{g.images} * g.h * g.w * g.c) return;
  const Quotient pixel = divide(index, g.c), row = divide(pixel.value, g.w), image = divide(row.value, g.h);
  const int channel = static_cast<int>(pixel.rest), group = channel / g.groupChannels;
  const int y = static_cast<int>(image.rest), x = static_cast<int>(row.rest), size = g.filterSize();
  const int firstFilter = group * g.groupFilters;
  const int64_t w = int64_t{firstFilter} * size + channel % g.groupChannels;
  C sum = 0, box = 0;
  for (int kh = 0; kh < g.kh; ++kh) {
    const int i = outputOf(y, kh, g.padTop, g.dilationH, g.strideH, g.oh);
    if (i < 0) continue;
    for (int kw = 0; kw < g.kw; ++kw) {
      const int j = outputOf(x, kw, g.padLeft, g.dilationW, g.strideW, g.ow);
      if (j < 0) continue;
      const int64_t position = (image.value * g.oh + i) * g.ow + j;
      const T* const dy = job.dy + position * g.o + firstFilter;
      const int64_t tap = w + (kh * g.kw + kw) * g.groupChannels;
      for (int o = 0; o < g.groupFilters; ++o) {
        const C weight = loadFilter<T>(job.w, job.filtersAreFloat, tap + int64_t{o} * size);
        if (!job.r || weight - weight == 0) sum += toCompute(dy[o]) * weight;
      }
      if (job.r) box += job.r[position * g.groups + group];
    }
  }
  if (job.r) {
    const C value = toCompute(job.x[index]);
    if (value - value == 0) sum -= value * box;
  }
  job.dx[index] = toStorage<T>(sum);
}

dim3 gridOf(int64_t threads) {
  return dim3(static_cast<unsigned>(ceilDivide(threads, kDirectThreads)));
}

}  // namespace

bool isDirect(const ConvShape& shape, DType dtype) {
  // Tensor cores take eight columns at least; with fewer a group, most of their work would be in vain.
  return dtype == DType::Float64 ||
         (shape.groups > 1 && std::min(shape.groupChannels, shape.groupFilters) < 8);
}

void directConv2d(const Context& context, const Conv2dParams& p, const Tensor& x, const Tensor& w,
                  const Tensor& bias, const Tensor& y) {
  withStorage(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    DirectForward<T> job{};
    job.geometry = ConvGeometry(p, ConvShape(p, x.shape, w.shape, y.shape));
    job.x = x.as<T>();
    job.w = w.data;
    job.filtersAreFloat = w.dtype == DType::Float32;
    job.bias = bias.as<Compute<T>>();
    job.y = y.as<T>();
    launch(context, directForward<T, false>, gridOf(y.size()), kDirectThreads, 0, job);
  });
}

void directSphereConv2d(const Context& context, const Conv2dParams& p, const AngularParams& a,
                        const Tensor& x, const Tensor& w, const Tensor& k, const AngleRescaling& rescaling,
                        const Tensor& z, const Tensor& nx, const Tensor& nw, const Tensor& c) {
  withStorage(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    using C = Compute<T>;
    DirectForward<T> job{};
    job.geometry = ConvGeometry(p, ConvShape(p, x.shape, w.shape, z.shape));
    const Workspace filters(context, static_cast<size_t>(job.geometry.o) * sizeof(DirectFilter<T>));
    job.x = x.as<T>();
    job.w = w.data;
    job.filtersAreFloat = w.dtype == DType::Float32;
    job.y = z.as<T>();
    job.ks = k.as<C>();
    job.k = static_cast<C>(a.k);
    job.sharedK = k.size() == 1;
    job.op = a.op;
    job.epsilon = a.epsilon;
    job.filters = filters.as<DirectFilter<T>>();
    job.nx = nx.as<C>();
    job.nw = nw.as<C>();
    job.cosines = c.as<T>();
    job.rescaling = rescalingOf<C>(rescaling);
    launch(context, prepareFilters<T>, dim3(static_cast<unsigned>(ceilDivide(job.geometry.o, 64))), 64, 0,
           job);
    launch(context, directForward<T, true>, gridOf(z.size()), kDirectThreads, 0, job);
  });
}

void directDataGradient(const Context& context, const Conv2dParams& p, const Tensor& dy, const Tensor& w,
                        const Tensor& x, const Tensor& r, const Tensor& dx) {
  withStorage(dx.dtype, [&](auto zero) {
    using T = decltype(zero);
    DirectGradient<T> job{};
    job.geometry = ConvGeometry(p, ConvShape(p, dx.shape, w.shape, dy.shape));
    job.dy = dy.as<T>();
    job.w = w.data;
    job.filtersAreFloat = w.dtype == DType::Float32;
    job.x = x.as<T>();
    job.r = r.as<Compute<T>>();
    job.dx = dx.as<T>();
    launch(context, directGradient<T>, gridOf(dx.size()), kDirectThreads, 0, job);
  });
}

}  // namespace spherenet::cuda
