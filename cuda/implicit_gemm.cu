// Convolutions and their data gradients as implicit GEMMs: arguments, filter layouts, launches.
#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "device/filter_layout.cuh"
#include "device/split_sums.cuh"
#include "implicit_gemm.h"

namespace spherenet::cuda {
namespace {

constexpr int64_t kMostElements = std::numeric_limits<int32_t>::max();

ConvAxis convAxis(int64_t input, int64_t output, int64_t stride, int64_t pad, int64_t dilation,
                  int64_t taps) {
  const int64_t common = std::gcd(stride, dilation), tapStep = stride / common;
  const auto narrow = [](int64_t v) { return static_cast<int32_t>(v); };
  return {narrow(input),
          narrow(output),
          narrow(stride),
          narrow(pad),
          narrow(dilation),
          narrow(taps),
          narrow(std::min(stride, input)),
          narrow(tapStep),
          narrow(dilation / common),
          narrow(ceilDivide(taps, tapStep))};
}

bool isAligned(const void* data, size_t bytes) {
  return reinterpret_cast<uintptr_t>(data) % bytes == 0;
}

/// Calls f with the storage type of activations that tensor cores multiply.
template <class F>
void withActivation(DType dtype, F&& f) {
  switch (dtype) {
    case DType::Float32:
      return f(float{});
    case DType::Bfloat16:
      return f(__nv_bfloat16{});
    case DType::Float16:
      return f(__half{});
    default:
      throw std::logic_error("tensor cores multiply float32, bfloat16 and float16 only");
  }
}

void launchOperand(const Context& context, DType dtype, const GemmPlan& plan,
                   const GemmArguments& arguments) {
  if (dtype == DType::Bfloat16) return launchImplicitGemm<Bfloat16Operand>(context, plan, arguments);
  if (dtype == DType::Float16) return launchImplicitGemm<Float16Operand>(context, plan, arguments);
  if (context.precision == Precision::Tf32) return launchImplicitGemm<Tf32Operand>(context, plan, arguments);
  return launchImplicitGemm<Float32Operand>(context, plan, arguments);
}

/// What forward pass and data gradient have in common.
GemmArguments commonArguments(const Conv2dParams& p, const ConvShape& s, bool gradient, const Tensor& source,
                              const Tensor& output) {
  GemmArguments g{};
  g.h = convAxis(s.h, s.oh, p.strideH, p.padTop, p.dilationH, s.kh);
  g.w = convAxis(s.w, s.ow, p.strideW, p.padLeft, p.dilationW, s.kw);
  g.gradient = gradient;
  g.images = static_cast<int32_t>(s.images);
  g.groups = static_cast<int32_t>(s.groups);
  g.sourceChannels = static_cast<int32_t>(gradient ? s.o : s.c);
  g.groupChannels = static_cast<int32_t>(gradient ? s.groupFilters : s.groupChannels);
  g.columns = static_cast<int32_t>(gradient ? s.groupChannels : s.groupFilters);
  g.source = source.data;
  g.output = output.data;
  g.outputSize = output.size();
  g.pixels = gradient ? s.images * s.h * s.w : s.positions();
  return g;
}

/// Rows are counted in 32 bits, and so are elements between the first and the last patch of a tile.
void checkExtents(const GemmArguments& g, int64_t rows, int64_t tile) {
  const auto extent = [&](const ConvAxis& a) {
    return static_cast<int64_t>(g.gradient ? a.output : a.input) +
           2 * (a.pad + static_cast<int64_t>(a.dilation) * a.taps);
  };
  const int64_t perImage = std::max<int64_t>(1, rows / std::max(1, g.images));
  const int64_t elements = (tile / perImage + 2) * extent(g.h) * extent(g.w) * g.sourceChannels;
  if (g.pixels > kMostElements - tile || elements > kMostElements)
    throw std::runtime_error(
        "a convolution of images this large is beyond the CUDA backend's 32-bit indices: " +
        std::to_string(g.pixels) + " pixels, " + std::to_string(elements) + " elements in a tile");
}

/// Plans and launches what the arguments say; filters, result and its operands are set.
void run(const Context& context, DType dtype, GemmArguments& g) {
  const int64_t size = static_cast<int64_t>(sizeOf(dtype)), elements = 64 / size;
  const auto grid = [&](const ConvAxis& a) {
    return static_cast<int64_t>(g.gradient ? ceilDivide(a.input, a.stride) : a.output);
  };
  const int64_t taps = static_cast<int64_t>(g.gradient ? g.h.phaseTaps : g.h.taps) *
                       static_cast<int64_t>(g.gradient ? g.w.phaseTaps : g.w.taps);
  GemmSize plan;
  plan.rows = std::max<int64_t>(1, g.images * grid(g.h) * grid(g.w));
  plan.phases = g.gradient ? static_cast<int64_t>(g.h.phases) * g.w.phases : 1;
  plan.groups = g.groups;
  plan.columns = g.columns;
  plan.slices = ceilDivide(taps * g.groupChannels, elements);
  const auto mean = [](const ConvAxis& a) { return static_cast<double>(a.taps) / (a.phases * a.phaseTaps); };
  plan.filled = g.gradient ? std::min(1.0, mean(g.h) * mean(g.w)) : 1;
  plan.angular = g.result == GemmResult::Angular;
  plan.exact = dtype == DType::Float32 && context.precision == Precision::Float32;
  plan.chunks = g.sourceChannels * size % 16 == 0 && g.groupChannels * size % 16 == 0 &&
                isAligned(g.source, 16) && isAligned(g.filters, 16) && g.h.taps <= kMaskedTaps &&
                g.w.taps <= kMaskedTaps;
  g.quads = g.columns % 4 == 0 && isAligned(g.output, static_cast<size_t>(4 * size)) &&
            isAligned(g.x, static_cast<size_t>(4 * size)) &&
            isAligned(g.rescaling.y, static_cast<size_t>(4 * size));
  const GemmPlan chosen = planGemm(context, plan, g);
  checkExtents(g, plan.rows, tileRows(chosen.tile));
  if (g.splits == 1) return launchOperand(context, dtype, chosen, g);

  const int64_t rowSums = g.splits * g.pixels * g.groups,
                columnSums = int64_t{g.splits} * g.groups * g.columns;
  const Workspace partial(
      context, static_cast<size_t>(g.splits * g.outputSize + rowSums + columnSums) * sizeof(float));
  g.partialSums = partial.as<float>();
  g.partialRows = g.partialSums + g.splits * g.outputSize;
  g.partialColumns = g.partialRows + rowSums;
  launchOperand(context, dtype, chosen, g);
  withActivation(dtype, [&](auto zero) {
    const dim3 blocks(static_cast<unsigned>(std::max<int64_t>(1, ceilDivide(g.pixels, kCombineRows))),
                      static_cast<unsigned>(ceilDivide(int64_t{g.groups} * g.columns, kCombineColumns)));
    launch(context, combineSplits<decltype(zero)>, blocks, kCombineThreads, sizeof(CombineShared), g);
  });
}

/// Calls f with the filters in the activations' type.
template <class F>
void withFilters(const Context& context, DType dtype, const Tensor& w, F&& f) {
  if (w.dtype == dtype) return f(w.data);
  const Workspace converted(context, static_cast<size_t>(w.size()) * sizeOf(dtype));
  withActivation(dtype, [&](auto zero) {
    using T = decltype(zero);
    const int64_t blocks =
        std::min<int64_t>(ceilDivide(w.size(), kLayoutThreads), 4 * context.multiprocessors);
    launch(context, convertFilters<T>, static_cast<unsigned>(blocks), kLayoutThreads, 0, w.size(),
           w.as<float>(), converted.as<T>());
  });
  f(converted.as<void>());
}

/// Launches the transposition of the filters for a data gradient.
template <class T>
void layOutGradientFilters(const Context& context, const GemmArguments& g, bool finiteOnly, const Tensor& w,
                           T* to) {
  const int64_t tiles = ceilDivide(g.columns, kTransposeTile) * ceilDivide(g.groupChannels, kTransposeTile);
  const dim3 blocks(static_cast<unsigned>(tiles * g.h.taps * g.w.taps), static_cast<unsigned>(g.groups));
  if (w.dtype == DTypeOf<T>::value) {
    launch(context, gradientFilters<T, T>, blocks, kLayoutThreads, sizeof(TransposeShared<T>), g.h, g.w,
           g.groupChannels, g.columns, g.phaseStride, finiteOnly, w.as<T>(), to);
  } else {
    launch(context, gradientFilters<float, T>, blocks, kLayoutThreads, sizeof(TransposeShared<T>), g.h, g.w,
           g.groupChannels, g.columns, g.phaseStride, finiteOnly, w.as<float>(), to);
  }
}

}  // namespace

void gemmConv2d(const Context& context, const Conv2dParams& p, const Tensor& x, const Tensor& w,
                const Tensor& bias, const Tensor& y) {
  if (y.size() == 0) return;
  withFilters(context, x.dtype, w, [&](const void* filters) {
    GemmArguments g = commonArguments(p, ConvShape(p, x.shape, w.shape, y.shape), false, x, y);
    g.filters = filters;
    g.result = GemmResult::Plain;
    g.bias = bias.as<float>();
    run(context, x.dtype, g);
  });
}

void gemmSphereConv2d(const Context& context, const Conv2dParams& p, const AngularParams& a, const Tensor& x,
                      const Tensor& w, const Tensor& k, const AngleRescaling& rescaling, const Tensor& z,
                      const Tensor& nx, const Tensor& nw) {
  if (w.size() == 0) return;  // of an empty batch there still is nw
  withFilters(context, x.dtype, w, [&](const void* filters) {
    GemmArguments g = commonArguments(p, ConvShape(p, x.shape, w.shape, z.shape), false, x, z);
    g.filters = filters;
    g.result = GemmResult::Angular;
    g.op = a.op;
    g.k = static_cast<float>(a.k);
    g.epsilon = static_cast<float>(a.epsilon);
    g.kTensor = k.as<float>();
    g.kStride = k && k.size() > 1 ? 1 : 0;
    g.nx = nx.as<float>();
    g.nw = nw.as<float>();
    g.rescaling = rescalingOf<float>(rescaling);
    run(context, x.dtype, g);
  });
}

void gemmDataGradient(const Context& context, const Conv2dParams& p, const Tensor& dy, const Tensor& w,
                      const Tensor& x, const Tensor& r, const Tensor& dx) {
  if (dx.size() == 0) return;
  GemmArguments g = commonArguments(p, ConvShape(p, dx.shape, w.shape, dy.shape), true, dy, dx);
  g.result = r ? GemmResult::MinusRow : GemmResult::Plain;
  g.x = x.data;
  g.r = r.as<float>();
  g.phaseStride = int64_t{g.h.phaseTaps} * g.w.phaseTaps * g.groupChannels * g.groups * g.columns;
  const int64_t phases = int64_t{g.h.phases} * g.w.phases;
  const Workspace filters(context, static_cast<size_t>(phases * g.phaseStride) * sizeOf(dx.dtype));
  withActivation(dx.dtype, [&](auto zero) {
    using T = decltype(zero);
    layOutGradientFilters(context, g, static_cast<bool>(r), w, filters.as<T>());
  });
  g.filters = filters.as<void>();
  run(context, dx.dtype, g);
}

}  // namespace spherenet::cuda
