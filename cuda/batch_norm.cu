// Batch normalisation over all axes but the last, in two launches each way: sums over the rows, then a pass
// whose blocks first merge the sums of their channels.
#include "cuda_ops.h"
#include "device/channel_grid.cuh"
#include "device/norm_gradient.cuh"
#include "elementwise.cuh"
#include "norm_gradient.h"

namespace spherenet::cuda {
namespace {

constexpr int kNormThreads = ChannelGrid::kThreads;

/// What differences are taken from, so that nothing cancels when the mean is far from 0: per channel the
/// median of the values in three rows, which is near the mean, or else the channel varies much; a single
/// outlier is never taken.
struct TypicalRows {
  int64_t at[3];
  explicit TypicalRows(int64_t rows) : at{rows * 5 / 31, rows * 14 / 31, rows * 24 / 31} {}
};

template <class C>
__device__ __forceinline__ C median(C a, C b, C c) {
  return max(min(a, b), min(max(a, b), c));
}

template <class T>
__device__ __forceinline__ Compute<T> typicalValue(const ChannelGrid& g, const TypicalRows& rows,
                                                   const T* __restrict__ x, int channel) {
  const auto row = [&](int i) { return toCompute(x[rows.at[i] * g.channels + channel]); };
  return median(row(0), row(1), row(2));
}

template <class T, int N>
__device__ __forceinline__ void typicalValues(const ChannelGrid& g, const ChannelTile<N>& tile,
                                              const TypicalRows& rows, const T* __restrict__ x,
                                              Compute<T> (&values)[N]) {
  if (!tile.active) return;
  if (g.repeat == 1 && g.aligned) {  // a pack of a line is one of a row
    Compute<T> row[3][N];
#pragma unroll
    for (int i = 0; i < 3; ++i) loadValues<N>(x + rows.at[i] * g.channels + tile.lane(0), row[i]);
#pragma unroll
    for (int j = 0; j < N; ++j) values[j] = median(row[0][j], row[1][j], row[2][j]);
  } else {
    tile.forEachLane(g, [&](int j, int c, int) { values[j] = typicalValue(g, rows, x, c); });
  }
}

/// Sums of differences from the typical values, and of their squares.
template <class T, int N>
__global__ void __launch_bounds__(kNormThreads, 1)
    sumDeviations(const ChannelGrid g, const TypicalRows rows, const T* __restrict__ x,
                  Compute<T>* __restrict__ partial) {
  using C = Compute<T>;
  const ChannelTile<N> tile(g);
  C shift[N], sums[2][N] = {};
  typicalValues(g, tile, rows, x, shift);
  const T* const operands[] = {x};
  walkLines<N, 4, Order::Backwards>(g, tile, operands, [&](int64_t, const C(&values)[1][N], int count, bool) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      if (j >= count) continue;
      const C d = values[0][j] - shift[j];
      sums[0][j] += d;
      sums[1][j] += d * d;
    }
  });
  storePartialSums(g, tile, sums, dynamicShared<BlockSumsShared<C, N, 2>>(), partial);
}

template <class C>
struct NormParameters {
  double momentum, epsilon;
  const C *gamma, *beta;
  C *runningMean, *runningVariance;  // inputs, where statistics are given
  C *mean, *invStd;
  bool relu;
};

/// y = (x - center) * factor + shift, per channel. The center's rounding error is made good in the shift:
/// subtracting first keeps the digits that x * factor + (shift - center * factor) would lose.
template <class C>
struct NormShared {
  TileTotals<2> totals;
  C center[ChannelGrid::kMaxLanes], factor[ChannelGrid::kMaxLanes], shift[ChannelGrid::kMaxLanes];

  __device__ __forceinline__ void set(int index, double mean, double scale, C beta) {
    center[index] = static_cast<C>(mean);
    factor[index] = static_cast<C>(scale);
    shift[index] =
        static_cast<C>(static_cast<double>(beta) - (mean - static_cast<double>(center[index])) * scale);
  }
};

template <class T, int N>
__device__ __forceinline__ void writeNormalized(const ChannelGrid& g, const ChannelTile<N>& tile,
                                                const NormShared<Compute<T>>& shared, bool relu,
                                                const T* __restrict__ x, T* __restrict__ y) {
  using C = Compute<T>;
  C center[N], factor[N], shift[N];
  tile.forEachLane(g, [&](int j, int, int index) {
    center[j] = shared.center[index];
    factor[j] = shared.factor[index];
    shift[j] = shared.shift[index];
  });
  const T* const operands[] = {x};
  walkLines<N, 4, Order::Forwards>(g, tile, operands,
                                   [&](int64_t offset, const C(&values)[1][N], int count, bool whole) {
                                     C out[N];
#pragma unroll
                                     for (int j = 0; j < N; ++j) {
                                       const C value = (values[0][j] - center[j]) * factor[j] + shift[j];
                                       out[j] = relu && value < 0 ? C(0) : value;
                                     }
                                     storeLanes(y + offset, out, count, whole);
                                   });
}

template <class T, int N>
__global__ void __launch_bounds__(kNormThreads, 1)
    normalize(const ChannelGrid g, const TypicalRows rows, const NormParameters<Compute<T>> p,
              const Compute<T>* __restrict__ partial, const T* __restrict__ x, T* __restrict__ y) {
  using C = Compute<T>;
  auto& shared = dynamicShared<NormShared<C>>();
  const ChannelTile<N> tile(g);
  mergePartialSums(g, tile, partial, shared.totals);
#pragma unroll 1
  for (int index = static_cast<int>(threadIdx.x); index < tile.channels; index += kNormThreads) {
    const int c = tile.channelAt(g, index);
    const double offset = shared.totals.at[0][index] * g.inverseRows;
    const double mean = static_cast<double>(typicalValue(g, rows, x, c)) + offset;
    double variance = shared.totals.at[1][index] * g.inverseRows - offset * offset;
    if (variance < 0) variance = 0;  // not max, which would drop a NaN
    const double invStd = rsqrt(variance + p.epsilon);
    shared.set(index, mean, static_cast<double>(p.gamma[c]) * invStd, p.beta[c]);
    if (!tile.owns(c)) continue;
    const auto move = [&](C& running, double batch) {
      running = static_cast<C>(running + p.momentum * (batch - static_cast<double>(running)));
    };
    p.mean[c] = static_cast<C>(mean);
    p.invStd[c] = static_cast<C>(invStd);
    move(p.runningMean[c], mean);
    move(p.runningVariance[c], variance * g.unbias);
  }
  __syncthreads();
  writeNormalized(g, tile, shared, p.relu, x, y);
}

/// The same with given statistics.
template <class T, int N>
__global__ void __launch_bounds__(kNormThreads, 1)
    normalizeByGiven(const ChannelGrid g, const NormParameters<Compute<T>> p, const T* __restrict__ x,
                     T* __restrict__ y) {
  using C = Compute<T>;
  auto& shared = dynamicShared<NormShared<C>>();
  const ChannelTile<N> tile(g);
#pragma unroll 1
  for (int index = static_cast<int>(threadIdx.x); index < tile.channels; index += kNormThreads) {
    const int c = tile.channelAt(g, index);
    const double invStd = rsqrt(static_cast<double>(p.runningVariance[c]) + p.epsilon);
    shared.set(index, p.runningMean[c], static_cast<double>(p.gamma[c]) * invStd, p.beta[c]);
  }
  __syncthreads();
  writeNormalized(g, tile, shared, p.relu, x, y);
}

template <class C>
struct GradientParameters {
  double epsilon;
  const C *gamma, *beta, *mean;
  const C* invStd;  // the variance, where statistics are given
  C *dgamma, *dbeta;
  bool relu;
};

/// Sums of dy, dy * (x - mean) and, where the mean's own rounding may show, of x - mean. float16 and bfloat16
/// have fewer digits than the mean.
template <class T>
constexpr int kGradientSums = sizeof(T) < 4 ? 2 : 3;

template <class T, int N>
__global__ void __launch_bounds__(kNormThreads, 1)
    sumGradients(const ChannelGrid g, const GradientParameters<Compute<T>> p, const T* __restrict__ x,
                 const T* __restrict__ dy, Compute<T>* __restrict__ partial) {
  using C = Compute<T>;
  constexpr int kSums = kGradientSums<T>;
  const ChannelTile<N> tile(g);
  C center[N], scale[N] = {}, beta[N] = {}, sums[kSums][N] = {};
  tile.forEachLane(g, [&](int j, int c, int) {
    center[j] = p.mean[c];
    if (!p.relu) return;
    scale[j] = p.gamma[c] * p.invStd[c];
    beta[j] = p.beta[c];
  });
  const T* const operands[] = {x, dy};
  walkLines<N, 2, Order::Backwards>(g, tile, operands, [&](int64_t, const C(&values)[2][N], int count, bool) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      if (j >= count) continue;
      const C d = values[0][j] - center[j];
      const C gradient = NormGradient<C>::throughRelu(p.relu, scale[j], d, beta[j], values[1][j]);
      sums[0][j] += gradient;
      sums[1][j] += gradient * d;
      if constexpr (kSums > 2) sums[2][j] += d;
    }
  });
  storePartialSums(g, tile, sums, dynamicShared<BlockSumsShared<C, N, kSums>>(), partial);
}

template <class T>
struct GradientShared {
  TileTotals<kGradientSums<T>> totals;
  NormGradient<Compute<T>> channels[ChannelGrid::kMaxLanes];
};

/// What the sums make of channel c; writes its dgamma and dbeta where this block is to. Given: the statistics
/// are constants, so that dx = scale dy.
template <class T, int N, bool Given>
__device__ __forceinline__ NormGradient<Compute<T>> finishChannel(
    const ChannelGrid& g, const ChannelTile<N>& tile, const GradientParameters<Compute<T>>& p, int c,
    const TileTotals<kGradientSums<T>>& totals, int index) {
  using C = Compute<T>;
  const double invStd = Given ? rsqrt(static_cast<double>(p.invStd[c]) + p.epsilon) : p.invStd[c];
  const double sum = totals.at[0][index];
  double error = 0, centered = totals.at[1][index];
  if constexpr (!Given && kGradientSums < T >> 2) {
    // The saved mean is rounded; the true one, by definition, leaves differences that add up to 0.
    error = totals.at[2][index] * g.inverseRows;
    centered -= error * sum;
  }
  const double scale = static_cast<double>(p.gamma[c]) * invStd;
  const double slope = -scale * invStd * invStd * centered * g.inverseRows;
  if (tile.owns(c)) {
    p.dgamma[c] = static_cast<C>(centered * invStd);
    p.dbeta[c] = static_cast<C>(sum);
  }
  return {p.mean[c], static_cast<C>(scale), p.relu ? p.beta[c] : C(0), static_cast<C>(slope),
          static_cast<C>(-scale * sum * g.inverseRows - slope * error)};
}

template <class T, int N, bool Given>
__global__ void __launch_bounds__(kNormThreads, 1)
    passGradients(const ChannelGrid g, const GradientParameters<Compute<T>> p,
                  const Compute<T>* __restrict__ partial, const T* __restrict__ x, const T* __restrict__ dy,
                  T* __restrict__ dx) {
  using C = Compute<T>;
  auto& shared = dynamicShared<GradientShared<T>>();
  const ChannelTile<N> tile(g);
  mergePartialSums(g, tile, partial, shared.totals);
#pragma unroll 1
  for (int index = static_cast<int>(threadIdx.x); index < tile.channels; index += kNormThreads)
    shared.channels[index] =
        finishChannel<T, N, Given>(g, tile, p, tile.channelAt(g, index), shared.totals, index);
  __syncthreads();

  NormGradient<C> channels[N];
  tile.forEachLane(g, [&](int j, int, int index) { channels[j] = shared.channels[index]; });
  if constexpr (Given) {
    const T* const operands[] = {dy};
    walkLines<N, 4, Order::Forwards>(g, tile, operands,
                                     [&](int64_t offset, const C(&values)[1][N], int count, bool whole) {
                                       C out[N];
#pragma unroll
                                       for (int j = 0; j < N; ++j) out[j] = channels[j].scale * values[0][j];
                                       storeLanes(dx + offset, out, count, whole);
                                     });
  } else {
    const T* const operands[] = {x, dy};
    walkLines<N, 2, Order::Forwards>(g, tile, operands,
                                     [&](int64_t offset, const C(&values)[2][N], int count, bool whole) {
                                       C out[N];
#pragma unroll
                                       for (int j = 0; j < N; ++j)
                                         out[j] = channels[j].at(p.relu, values[0][j], values[1][j]);
                                       storeLanes(dx + offset, out, count, whole);
                                     });
  }
}

/// The fields of every channel's NormGradient. A block per tile.
template <class T, int N>
__global__ void __launch_bounds__(kNormThreads, 1)
    writeCoefficients(const ChannelGrid g, const GradientParameters<Compute<T>> p,
                      const Compute<T>* __restrict__ partial, Compute<T>* __restrict__ coefficients) {
  auto& totals = dynamicShared<TileTotals<kGradientSums<T>>>();
  const ChannelTile<N> tile(g);
  mergePartialSums(g, tile, partial, totals);
#pragma unroll 1
  for (int index = static_cast<int>(threadIdx.x); index < tile.channels; index += kNormThreads) {
    const int c = tile.channelAt(g, index);
    const auto channel = finishChannel<T, N, false>(g, tile, p, c, totals, index);
    if (!tile.owns(c)) continue;
    const Compute<T> fields[] = {channel.center, channel.scale, channel.beta, channel.slope, channel.shift};
#pragma unroll
    for (int i = 0; i < 5; ++i) coefficients[int64_t{i} * g.channels + c] = fields[i];
  }
}

template <class T>
constexpr int kPack = Vector<T>::kSize;

template <class T, class... Tensors>
ChannelGrid channelGrid(const Context& context, const Tensor& x, const Tensors&... others) {
  return {x.shape, kPack<T>, sizeof(T), areAligned(x.data, others.data...), context.multiprocessors};
}

template <class C>
NormParameters<C> normParameters(double momentum, double epsilon, const Tensor& gamma, const Tensor& beta,
                                 const Tensor& runningMean, const Tensor& runningVariance) {
  return {momentum, epsilon, gamma.as<C>(), beta.as<C>(), runningMean.as<C>(), runningVariance.as<C>(),
          nullptr,  nullptr, false};
}

void forward(const Context& context, double momentum, double epsilon, bool relu, const Tensor& x,
             const Tensor& gamma, const Tensor& beta, const Tensor& runningMean,
             const Tensor& runningVariance, const Tensor& y, const Tensor& mean, const Tensor& invStd) {
  if (x.size() == 0) return;
  withStorage(x.dtype, [&](auto type) {
    using T = decltype(type);
    using C = Compute<T>;
    constexpr int N = kPack<T>;
    const ChannelGrid g = channelGrid<T>(context, x, y);
    const TypicalRows rows(g.rows);
    auto p = normParameters<C>(momentum, epsilon, gamma, beta, runningMean, runningVariance);
    p.mean = mean.as<C>();
    p.invStd = invStd.as<C>();
    p.relu = relu;
    const Workspace partial(context, 2 * g.partials() * sizeof(C));
    launch(context, sumDeviations<T, N>, g.gridSize(), kNormThreads, sizeof(BlockSumsShared<C, N, 2>), g,
           rows, x.as<T>(), partial.as<C>());
    launch(context, normalize<T, N>, g.gridSize(), kNormThreads, sizeof(NormShared<C>), g, rows, p,
           partial.as<C>(), x.as<T>(), y.as<T>());
  });
}

/// Sums the gradients, then calls finish(type, grid, parameters, partial sums), which launches the rest.
template <class Finish>
void backward(const Context& context, double epsilon, bool relu, const Tensor& x, const Tensor& gamma,
              const Tensor& beta, const Tensor& mean, const Tensor& invStd, const Tensor& dy,
              const Tensor& dx, const Tensor& dgamma, const Tensor& dbeta, const Finish& finish) {
  if (x.size() == 0) return;
  withStorage(x.dtype, [&](auto type) {
    using T = decltype(type);
    using C = Compute<T>;
    constexpr int N = kPack<T>, kSums = kGradientSums<T>;
    const ChannelGrid g = channelGrid<T>(context, x, dy, dx);
    const GradientParameters<C> p{epsilon,        gamma.as<C>(),  beta.as<C>(),  mean.as<C>(),
                                  invStd.as<C>(), dgamma.as<C>(), dbeta.as<C>(), relu};
    const Workspace partial(context, kSums * g.partials() * sizeof(C));
    launch(context, sumGradients<T, N>, g.gridSize(), kNormThreads, sizeof(BlockSumsShared<C, N, kSums>), g,
           p, x.as<T>(), dy.as<T>(), partial.as<C>());
    finish(type, g, p, partial.as<C>());
  });
}

template <bool Given>
void gradients(const Context& context, double epsilon, bool relu, const Tensor& x, const Tensor& gamma,
               const Tensor& beta, const Tensor& mean, const Tensor& invStd, const Tensor& dy,
               const Tensor& dx, const Tensor& dgamma, const Tensor& dbeta) {
  backward(context, epsilon, relu, x, gamma, beta, mean, invStd, dy, dx, dgamma, dbeta,
           [&](auto type, const ChannelGrid& g, const auto& p, const auto* partial) {
             using T = decltype(type);
             launch(context, passGradients<T, kPack<T>, Given>, g.gridSize(), kNormThreads,
                    sizeof(GradientShared<T>), g, p, partial, x.as<T>(), dy.as<T>(), dx.as<T>());
           });
}

}  // namespace

void sumNormGradients(const Context& context, bool relu, const Tensor& x, const Tensor& gamma,
                      const Tensor& beta, const Tensor& mean, const Tensor& invStd, const Tensor& dy,
                      const Tensor& dgamma, const Tensor& dbeta, const Workspace& coefficients) {
  backward(context, 0, relu, x, gamma, beta, mean, invStd, dy, dy, dgamma, dbeta,
           [&](auto type, const ChannelGrid& g, const auto& p, const auto* partial) {
             using T = decltype(type);
             launch(context, writeCoefficients<T, kPack<T>>, static_cast<unsigned>(g.tiles), kNormThreads,
                    sizeof(TileTotals<kGradientSums<T>>), g, p, partial, coefficients.as<Compute<T>>());
           });
}

void CudaOps::batchNorm(double momentum, double epsilon, const Tensor& x, const Tensor& gamma,
                        const Tensor& beta, const Tensor& runningMean, const Tensor& runningVariance,
                        const Tensor& y, const Tensor& mean, const Tensor& invStd) {
  forward(context_, momentum, epsilon, false, x, gamma, beta, runningMean, runningVariance, y, mean, invStd);
}

void CudaOps::batchNormBackward(const Tensor& x, const Tensor& gamma, const Tensor& mean,
                                const Tensor& invStd, const Tensor& dy, const Tensor& dx,
                                const Tensor& dgamma, const Tensor& dbeta) {
  gradients<false>(context_, 0, false, x, gamma, {}, mean, invStd, dy, dx, dgamma, dbeta);
}

void CudaOps::batchNormInference(double epsilon, const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                 const Tensor& mean, const Tensor& variance, const Tensor& y) {
  if (x.size() == 0) return;
  withStorage(x.dtype, [&](auto type) {
    using T = decltype(type);
    using C = Compute<T>;
    constexpr int N = kPack<T>;
    const ChannelGrid g = channelGrid<T>(context_, x, y);
    launch(context_, normalizeByGiven<T, N>, g.gridSize(), kNormThreads, sizeof(NormShared<C>), g,
           normParameters<C>(0, epsilon, gamma, beta, mean, variance), x.as<T>(), y.as<T>());
  });
}

void CudaOps::batchNormInferenceBackward(double epsilon, const Tensor& x, const Tensor& gamma,
                                         const Tensor& mean, const Tensor& variance, const Tensor& dy,
                                         const Tensor& dx, const Tensor& dgamma, const Tensor& dbeta) {
  gradients<true>(context_, epsilon, false, x, gamma, {}, mean, variance, dy, dx, dgamma, dbeta);
}

void CudaOps::batchNormRelu(double momentum, double epsilon, const Tensor& x, const Tensor& gamma,
                            const Tensor& beta, const Tensor& runningMean, const Tensor& runningVariance,
                            const Tensor& y, const Tensor& mean, const Tensor& invStd) {
  forward(context_, momentum, epsilon, true, x, gamma, beta, runningMean, runningVariance, y, mean, invStd);
}

void CudaOps::batchNormReluBackward(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                    const Tensor& mean, const Tensor& invStd, const Tensor& dy,
                                    const Tensor& dx, const Tensor& dgamma, const Tensor& dbeta) {
  gradients<false>(context_, 0, true, x, gamma, beta, mean, invStd, dy, dx, dgamma, dbeta);
}

}  // namespace spherenet::cuda
