// The vectorised inner loops of the convolutions. Each instruction set has its own translation unit that
// compiles the same templates; kernels() picks one table at run time.
#pragma once

#include <cstdint>

#include "../../ops.h"
#include "winograd_kernels.h"

namespace spherenet::cpu::simd {

/// The taps of a patch along one image axis: tap t of the patch at grid position i reads source coordinate
/// i * stride + first + t * step. step > 0.
struct TapAxis {
  int64_t grid = 1, stride = 1, first = 0, step = 1, taps = 1, source = 1;
};

/// Patches of an NHWC image batch as rows of a matrix: row (image, i, j), column (tap h, tap w, channel).
/// Taps outside the image read zeros. One group of channels is taken.
struct PatchMap {
  int64_t images = 1;
  TapAxis h, w;
  int64_t channels = 1, firstChannel = 0, groupChannels = 1;

  int64_t rows() const { return images * h.grid * w.grid; }
  int64_t columns() const { return h.taps * w.taps * groupChannels; }
};

/// Copies rows [rowBegin, rowEnd) x columns [columnBegin, columnEnd) of a patch matrix.
template <class T>
struct PackJob {
  const PatchMap* map = nullptr;
  const T* source = nullptr;
  int64_t rowBegin = 0, rowEnd = 0, columnBegin = 0, columnEnd = 0;
  T* packed = nullptr;       // rows of packedStride elements, zero after the last column
  int64_t packedStride = 0;  // a multiple of 16
  bool finiteOnly = false;   // NaN and infinities become 0
  // Optional, counted from rowBegin: norms[row * normStride] = sqrt(sum of squares + epsilon), capped to the
  // largest finite number, and inverseNorms[row] = 1 / that (0 for 0). Where squares or products would leave
  // the range of T, the packed row is scaled down by a power of two and inverseNorms refers to the scaled
  // row.
  T* norms = nullptr;
  int64_t normStride = 1;
  T* inverseNorms = nullptr;
  double epsilon = 0;
  // Optional, from rowBegin: pixelSums[row] = sum over the taps inside the image of pixels[pixel *
  // pixelStride].
  const T* pixels = nullptr;
  int64_t pixelStride = 1;
  T* pixelSums = nullptr;
};

/// Sums of squares up to this are far enough from the end of the range that the products with a filter that
/// is kept within the same bound are, too.
template <class T>
constexpr T kLargestSquare = sizeof(T) == 4 ? T(1e30) : T(1e300);

/// The part of the images that some rows of a patch matrix read, each pixel once and zeros around the images:
/// patch rows overlap, so this takes far less copying than the rows, and the product reads them out of it.
template <class T>
struct WindowJob {
  const PatchMap* map = nullptr;
  const T* source = nullptr;
  int64_t rowBegin = 0, rowEnd = 0;
  T* pixels = nullptr;           // of the window: windowLines() x windowWidth(), pixelStride elements apart
  int64_t pixelStride = 0;       // at least the group's channels
  int64_t* rowStarts = nullptr;  // where in `pixels` the patch of each row begins
  bool finiteOnly = false;       // NaN and infinities become 0
  // Optional: sums[row] over the patch of a value of each pixel: values[pixel * valueStride] of the image, or
  // the sum of squares over the group's channels without `values`. `pixelValues` is room for the window's.
  T* sums = nullptr;
  T* pixelValues = nullptr;
  const T* values = nullptr;
  int64_t valueStride = 1;
};

/// Rows copied out of a window: row i is columns [columnBegin, columnEnd) of the runs that begin at
/// from[rowStarts[i] + runStarts[r]], one after the other, and goes to out + i * outStride.
template <class T>
struct RunsJob {
  const T* from = nullptr;
  const int64_t *rowStarts = nullptr, *runStarts = nullptr;
  int64_t rows = 0, runs = 0, runSteps = 0, columnBegin = 0, columnEnd = 0;
  T* out = nullptr;
  int64_t outStride = 0;
};

/// col2im for fewer channels than a vector has lanes: each pixel of lines [lineBegin, lineEnd) of an image
/// sums up what the patches that hold it have for it, minus `other` times the sum of `rowFactors` over these
/// patches.
template <class T>
struct Col2imJob {
  const PatchMap* map = nullptr;
  int64_t image = 0, lineBegin = 0, lineEnd = 0;
  const T* patches =
      nullptr;  // those of grid lines from gridBegin on, patchStride apart; whole vectors readable
  int64_t gridBegin = 0, patchStride = 0;
  T* out = nullptr;               // the images
  const T* other = nullptr;       // laid out like out
  const T* rowFactors = nullptr;  // rowFactors[row * rowFactorStride]; null: nothing is subtracted
  int64_t rowFactorStride = 1;
  T* line = nullptr;  // room for (lanes + 1) * map->w.source elements
};

/// How far the patches at grid positions [begin, end) reach along an image axis. Static: each instruction set
/// has its own.
static inline int64_t windowExtent(const TapAxis& axis, int64_t begin, int64_t end) {
  return (end - begin - 1) * axis.stride + (axis.taps - 1) * axis.step + 1;
}

/// What g and its derivatives need of a filter. Arrays of one value per filter, each group padded to whole
/// vectors; for the sigmoid with D = tanh(pi / 4k).
template <class T>
struct FilterConstants {
  T* inverseNorm = nullptr;  // 1 / nw
  T* slope = nullptr;        // 1 / 2k
  T* gain = nullptr;         // 1 / D
  T* twoK = nullptr;
  T* saturation = nullptr;    // D
  T* gradientGain = nullptr;  // 1 / (2k D)
  T* kSlope = nullptr;        // 1 / (2k^2 D)
  T* kGain = nullptr;         // -(dD/dk) / D

  static constexpr int kArrays = 8;

  /// The same from another filter on.
  FilterConstants from(int64_t i) const {
    if (!inverseNorm) return {};
    return {inverseNorm + i, slope + i,        gain + i,   twoK + i,
            saturation + i,  gradientGain + i, kSlope + i, kGain + i};
  }
};

/// What follows an angle y in the pass that computes it: z = (y - center) * factor + shift where there are
/// these, arrays like those of FilterConstants; then where `relu` not less than 0.
template <class T>
struct Following {
  const T *center = nullptr, *factor = nullptr, *shift = nullptr;
  bool relu = false;

  static constexpr int kArrays = 3;

  explicit operator bool() const { return factor || relu; }
  /// The same from another filter on.
  Following from(int64_t i) const {
    if (!factor) return *this;
    return {center + i, factor + i, shift + i, relu};
  }
};

enum class Epilogue {
  Store,   // out = product (+ bias)
  Add,     // out += product
  Cosine,  // out = g(product * inverseRowNorm * inverseNorm), and so on
  Linear,
  Sigmoid,
  SquaredCosine,
  MinusRow,  // out = product - other * rowFactor
};

static constexpr bool isAngle(Epilogue e) {
  return e == Epilogue::Cosine || e == Epilogue::Linear || e == Epilogue::Sigmoid ||
         e == Epilogue::SquaredCosine;
}

/// out = epilogue(A B) for one panel of B: up to KernelSet::panel columns.
template <class T>
struct GemmJob {
  const T* a = nullptr;  // A(i, k) = a[i * aRow + k * aStep]; aRow or aStep is 1
  int64_t aRow = 0, aStep = 1;
  // Or, with rowStarts: A(i, k) = a[rowStarts[i] + runStarts[k / runSteps] + k % runSteps].
  const int64_t *rowStarts = nullptr, *runStarts = nullptr;
  int64_t runs = 1, runSteps = 0;
  bool fromMemory = false;  // A is in no cache: the rows of the next tile are fetched ahead
  const T* b = nullptr;     // B(k, j) = b[k * bStep + j], readable up to a whole number of vectors
  int64_t bStep = 0;
  const int64_t* stepStarts = nullptr;  // instead of k * bStep; only for aRow = 1
  int64_t rows = 0, columns = 0, steps = 0;
  T* out = nullptr;  // row i at out + (rowOffsets ? rowOffsets[i] : i * outRow)
  int64_t outRow = 0;
  const int64_t* rowOffsets = nullptr;
  Epilogue epilogue = Epilogue::Store;
  const T* bias = nullptr;             // padded to the panel, or null
  const T* inverseRowNorms = nullptr;  // one per row
  FilterConstants<T> filters;          // of the panel's first column
  Following<T> following;              // the same; only behind angles
  const T* other = nullptr;            // laid out like out
  const T* rowFactors = nullptr;       // rowFactors[i * rowFactorStride]
  int64_t rowFactorStride = 1;
};

/// g of cosines and what follows it, in place: y [rows, columns]; constants of all columns without padding.
template <class T>
struct AnglesJob {
  AngularOperator op = AngularOperator::Cosine;
  FilterConstants<T> filters;
  Following<T> following;
  T* y = nullptr;
  int64_t rows = 0, columns = 0;
};

/// The elementwise pass of the SphereConv gradient (see Ops::sphereConv2dAngularBackward) over some rows.
template <class T>
struct AngularBackwardJob {
  AngularOperator op = AngularOperator::Cosine;
  int64_t rows = 0, groups = 1, groupFilters = 0, paddedFilters = 0;  // padded: per group
  const T *y = nullptr, *dy = nullptr, *nx = nullptr;
  T *h = nullptr, *r = nullptr;  // h may be dy's memory; r optional
  // Groups of one filter each: nx and r have a value per filter, and all filters are given as one group here.
  bool depthwise = false;
  FilterConstants<T> filters;
  T* qSums = nullptr;  // += sum over the rows, [groups * paddedFilters]
  T* kSums = nullptr;  // the same for dk, or null
};

template <class T>
struct KernelSet {
  int64_t lanes;     // elements per vector
  int64_t panel;     // columns per panel of B
  int64_t tileRows;  // rows per register tile
  /// Whether a row had to be scaled (see PackJob::inverseNorms).
  bool (*pack)(const PackJob<T>&);
  void (*window)(const WindowJob<T>&);
  void (*packRuns)(const RunsJob<T>&);
  void (*col2im)(const Col2imJob<T>&);
  /// Turns sums of squares, which stand in inverseNorms, into norms. Whether a row has to be packed, as its
  /// squares or products may leave the range of T.
  bool (*norms)(const PackJob<T>&);
  void (*gemm)(const GemmJob<T>&);
  void (*angles)(const AnglesJob<T>&);
  void (*angularBackward)(const AngularBackwardJob<T>&);
  /// sums[j] += sum over rows of y[i * columns + j]
  void (*columnSums)(const T* y, int64_t rows, int64_t columns, double* sums);
  /// The elementary functions, for their tests: y[i] = f(x[i]).
  void (*asin)(const T* x, T* y, int64_t count);
  void (*tanh)(const T* x, T* y, int64_t count);
  void (*atanh)(const T* x, T* y, int64_t count);
  /// x in [0, pi/2]; y = sin(x) in [0, count), cos(x) in [count, 2 count).
  void (*sinCos)(const T* x, T* y, int64_t count);
};

struct Kernels {
  const char* name;  // "portable", "avx2" or "avx512"
  const KernelSet<float>* single;
  const KernelSet<double>* accurate;  // float64, the portable one on every path
  const winograd::Kernels* winograd;
  /// Runs a chain of float32 fused (portable: separate) multiply-adds that saturates one core; returns a
  /// checksum.
  double (*fmaChain)(int64_t iterations);
  double flopsPerIteration;

  template <class T>
  const KernelSet<T>& set() const {
    if constexpr (sizeof(T) == 4) {
      return *single;
    } else {
      return *accurate;
    }
  }
};

/// The fastest table this CPU runs, or the one that SPHERENET_SIMD (portable, avx2, avx512) names; the
/// variable is read once. Throws std::runtime_error where it names no path, or one that this CPU lacks.
const Kernels& kernels();

/// Name of kernels().
const char* simdPath();

}  // namespace spherenet::cpu::simd
