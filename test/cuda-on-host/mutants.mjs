// Bugs for `npm run test:mutants`. `find` occurs once in `file` and becomes `replace`; `program` is the test that is made
// for this part and runs first, with `args` if there are any; `units`: only these sources are compiled with the bug,
// where it lies in a header of many (all show it alike, and they take long to compile); `survives`: why nothing here can
// notice it.
const GEMM = ['implicit_gemm_bfloat16.cu', 'implicit_gemm_float32.cu'];
const WEIGHTS = ['weight_gradient.cu'];

const convolution = (file, mutants) =>
  mutants.map((mutant) => ({ file: `cuda/${file}`, program: 'conv_test', units: GEMM, ...mutant }));
const gradients = (file, mutants) =>
  mutants.map((mutant) => ({ file: `cuda/${file}`, program: 'gradient_test', ...mutant }));
const traffic = (file, mutants) =>
  mutants.map((mutant) => ({ file: `cuda/${file}`, program: 'traffic_test', ...mutant }));
const filters = (file, mutants) =>
  mutants.map((mutant) => ({
    file: `cuda/${file}`,
    program: 'filter_backward_test',
    units: ['filter_backward.cu'],
    ...mutant,
  }));
const ops = (file, args, mutants) =>
  mutants.map((mutant) => ({ file: `cuda/${file}`, program: 'ops_test', args, ...mutant }));

export const mutants = [
  // ---- the tensor-core convolution
  ...convolution('device/implicit_gemm.cuh', [
    {
      name: 'the barrier in the main loop is gone',
      find: '    loader.finish(stages, read);\n    __syncthreads();\n',
      replace: '    loader.finish(stages, read);\n',
    },
    {
      name: 'the barrier before the first slice is gone',
      find: '  loader.finish(stages, 0);\n  __syncthreads();',
      replace: '  loader.finish(stages, 0);',
    },
    {
      name: 'one slice too few is multiplied',
      find: 'if (--left == 0) break;',
      replace: 'if (--left <= 1) break;',
    },
    {
      name: 'a stage is refilled while it is read',
      find: 'int read = 0, write = kStages - 1;',
      replace: 'int read = 0, write = 0;',
    },
    {
      name: 'a phase forgets its filters',
      find: 'static_cast<const T*>(g.filters) + phase * g.phaseStride',
      replace: 'static_cast<const T*>(g.filters)',
    },
    {
      name: 'the last split is not shortened',
      find: 'const int slices = min(g.sliceCount, allSlices - firstSlice);',
      replace: 'const int slices = g.sliceCount;',
      survives: 'the slices behind the last one are zeros, which costs time but changes no sum',
    },
  ]),
  ...convolution('device/gather.cuh', [
    {
      name: 'one copy too many may be under way',
      find: 'waitForCopies<kStages - 2>();',
      replace: 'waitForCopies<kStages - 1>();',
    },
    {
      name: 'padding is read instead of filled with zeros',
      find: '                    (taps_[i] & bit_) == bit_);',
      replace: '                    (taps_[i] & bit_) != 0);',
    },
    {
      name: 'columns behind the last one are read',
      find: 'const int columns = k_ < depth_ ? columns_ : 0;',
      replace: 'const int columns = columns_ + 1;',
    },
    {
      name: 'the first tap of a row is skipped',
      find: 'across_ = 0;\n      position_ +=',
      replace: 'across_ = 1;\n      position_ +=',
    },
    {
      name: 'padding is not taken off',
      find: 'return {a.output, a.input, a.stride, -a.pad, a.dilation, a.taps, 0, 1};',
      replace: 'return {a.output, a.input, a.stride, 0, a.dilation, a.taps, 0, 1};',
    },
    {
      name: 'the gradient writes every phase to the first pixels',
      find: 'a.sourceStep, 0, phase, a.stride};',
      replace: 'a.sourceStep, 0, 0, a.stride};',
    },
    {
      name: 'the row behind the last one is computed',
      find: '  if (row >= rows) return {0, 0, kNowhere, kNowhere};',
      replace: '  if (row > rows) return {0, 0, kNowhere, kNowhere};',
    },
  ]),
  ...convolution('device/tile.cuh', [
    {
      name: 'the halves of a are swapped for one operand only',
      find: 'lane / 8 % 2 ^ swap);',
      replace: 'lane / 8 % 2);',
    },
    {
      name: 'rows of a matrix in the wrong lanes',
      find: 'a = chunkOffset(warp.firstRow + lane % 16, lane / 16 ^ swap);',
      replace: 'a = chunkOffset(warp.firstRow + lane / 2, lane % 2 ^ swap);',
    },
    {
      name: 'the high half of a pair is left out of the norm',
      find: 'const float low = __uint_as_float(bits << 16), high = __uint_as_float(bits & 0xffff0000u);\n    return fmaf(high, high, fmaf(low, low, sum));',
      replace: 'const float low = __uint_as_float(bits << 16);\n    return fmaf(low, low, sum);',
    },
    {
      name: 'the small part of a is forgotten',
      find: 'multiplyAdd(T{}, sums.at[i][j], smallA, big[j]);',
      replace: 'multiplyAdd(T{}, sums.at[i][j], bigA, small[j]);',
    },
  ]),
  ...convolution('device/epilogue.cuh', [
    {
      name: 'norms of rows are written without epsilon',
      find: '    squares += g.epsilon;\n    const float inverse = inverseNorm(squares);\n    shared.rowFactors[row] = inverse;',
      replace: '    const float inverse = inverseNorm(squares);\n    shared.rowFactors[row] = inverse;',
    },
    {
      name: "the second warp's squares are left out",
      find: 'if constexpr (Tile::kWarpsAcross > 1) squares += shared.rowSquares[1][row];',
      replace: '',
    },
    {
      name: 'only two of four lanes add up their squares',
      find: '      v += __shfl_xor_sync(0xffffffffu, v, 1);\n      return v + __shfl_xor_sync(0xffffffffu, v, 2);',
      replace: '      return v + __shfl_xor_sync(0xffffffffu, v, 2);',
    },
    {
      name: 'the bias of the neighbouring filter',
      find: 'g.bias[shared.tile.firstFilter + column + e] : 0.0f;',
      replace: 'g.bias[shared.tile.firstFilter + column] : 0.0f;',
    },
    {
      name: 'columns behind the last one are stored',
      find: '      if (e < columns) to[e] = toStorage<T>(values[e]);',
      replace: '      if (e <= columns) to[e] = toStorage<T>(values[e]);',
    },
    {
      name: 'the box sum leaves the image',
      find: 'if (static_cast<unsigned>(row.w + across * g.w.step) < static_cast<unsigned>(g.w.source))\n        sum +=',
      replace:
        'if (static_cast<unsigned>(row.w + across * g.w.step) <= static_cast<unsigned>(g.w.source))\n        sum +=',
    },
    {
      name: "the rescaling of a quad's first column for all four",
      find: 'rescaling[e] = shared.columns[column + e].rescaling;',
      replace: 'rescaling[e] = shared.columns[column].rescaling;',
    },
    {
      name: 'the rescaling takes angles before they are rounded',
      find: 'values[e] = rescaling[e].at(r.relu, toCompute(toStorage<T>(values[e])));',
      replace: 'values[e] = rescaling[e].at(r.relu, values[e]);',
    },
    {
      name: 'the rescaling of an angle that is computed again is left out',
      find: 'r.follows ? toStorage<T>(column.rescaling.at(r.relu, toCompute(y))) : y;',
      replace: 'y;',
    },
  ]),
  ...convolution('device/rescaling.cuh', [
    {
      name: 'ReLU comes before the rescaling',
      find: '    const C z = (y - center) * factor + shift;\n    return relu && z < 0 ? C(0) : z;',
      replace: '    return ((relu && y < 0 ? C(0) : y) - center) * factor + shift;',
    },
    {
      name: 'a ReLU takes NaN for 0',
      find: 'return relu && z < 0 ? C(0) : z;',
      replace: 'return relu && !(z > 0) ? C(0) : z;',
    },
    {
      name: 'given variances without epsilon',
      find: 'rsqrt(static_cast<double>(variance) + epsilon)',
      replace: 'rsqrt(static_cast<double>(variance))',
    },
  ]),
  ...convolution('device/split_sums.cuh', [
    {
      name: 'the last split is not added',
      find: 'for (int split = 0; split < splits; ++split) sum += partial[split * stride];',
      replace: 'for (int split = 0; split < splits - 1; ++split) sum += partial[split * stride];',
      units: ['implicit_gemm.cu'],
    },
    {
      name: 'the rescaling of split sums is left out',
      find: '    if (follows) {  // read here',
      replace: '    if (false) {  // read here',
      units: ['implicit_gemm.cu'],
    },
    {
      name: "an angle of split sums that is computed again has the first column's rescaling",
      find: 'storeAngle<T>(g, shared.columns[filter % kCombineColumns],',
      replace: 'storeAngle<T>(g, shared.columns[0],',
      units: ['implicit_gemm.cu'],
    },
  ]),
  ...convolution('device/filter_layout.cuh', [
    {
      name: 'the barrier of the transposition is gone',
      find: '  __syncthreads();\n  const int64_t phase',
      replace: '  const int64_t phase',
      units: ['implicit_gemm.cu'],
    },
    {
      name: 'taps of a phase in the wrong order',
      find: 'place = (a.taps - 1 - tap) / a.tapStep;',
      replace: 'place = tap / a.tapStep;',
      units: ['implicit_gemm.cu'],
    },
  ]),

  ...convolution('direct_convolution.cu', [
    {
      name: 'the rescaling takes angles before they are kept',
      find: '      if (job.rescaling.y) static_cast<T*>(job.rescaling.y)[index] = y;\n      y = toStorage<T>(filter.rescaling.at(job.rescaling.relu, toCompute(y)));',
      replace:
        '      y = toStorage<T>(filter.rescaling.at(job.rescaling.relu, toCompute(y)));\n      if (job.rescaling.y) static_cast<T*>(job.rescaling.y)[index] = y;',
      units: ['direct_convolution.cu'],
    },
  ]),

  // ---- the weight gradient and the angular pass
  ...gradients('device/weight_gemm.cuh', [
    {
      name: 'the barrier of the main loop is gone',
      find: '    waitForCopies<Tile::kStages - 2>();\n    // All have this stage, and none still reads the one before, which is filled next.\n    __syncthreads();',
      replace: '    waitForCopies<Tile::kStages - 2>();',
      units: WEIGHTS,
    },
    {
      name: 'one copy too many may be under way',
      find: 'waitForCopies<Tile::kStages - 2>();',
      replace: 'waitForCopies<Tile::kStages - 1>();',
      units: WEIGHTS,
    },
    {
      name: 'positions behind the end are added',
      find: 'return left_ > 0;',
      replace: 'return left_ >= 0;',
      units: WEIGHTS,
    },
    {
      name: 'taps are not spread by the dilation',
      find: 'const int down = tap / g.kw * g.dilationH, across = tap % g.kw * g.dilationW;\n  return',
      replace: 'const int down = tap / g.kw, across = tap % g.kw * g.dilationW;\n  return',
      units: WEIGHTS,
    },
    {
      name: 'the second half of the rows lands in the first',
      find: 'const int filterInGroup = row + 16 * m + 8 * half;\n      if',
      replace: 'const int filterInGroup = row + 16 * m;\n      if',
      units: WEIGHTS,
    },
  ]),
  ...gradients('device/weight_sums.cuh', [
    {
      name: "the sums of the last warp's splits are left out",
      find: 'for (int i = 0; i < kWeightSumWarps; ++i) sum += shared.at[i][threadIdx.x];',
      replace: 'for (int i = 0; i < kWeightSumWarps - 1; ++i) sum += shared.at[i][threadIdx.x];',
    },
    {
      name: "the filter's own direction is taken off with one norm only",
      find: 'return out.q[filter] * inverse * inverse;',
      replace: 'return out.q[filter] * inverse;',
    },
    {
      name: 'the barrier before the last sum is gone',
      find: '  for (int i = 0; i < 4; ++i) shared.at[warp][4 * lane + i] = sums[i];\n  __syncthreads();',
      replace: '  for (int i = 0; i < 4; ++i) shared.at[warp][4 * lane + i] = sums[i];',
    },
  ]),
  ...gradients('device/row_column_sums.cuh', [
    {
      name: 'warps add up their columns at the same time',
      find: '    __syncthreads();\n  }\n  const int chunkColumns',
      replace: '  }\n  __syncthreads();\n  const int chunkColumns',
      units: ['angular_backward.cu'],
    },
    {
      name: 'the row behind the last one is read',
      find: 'const int64_t left = grid.rows > row ? (grid.rows - row + step - 1) / step : 0;',
      replace: 'const int64_t left = grid.rows > row ? (grid.rows - row + step) / step : 0;',
      units: ['angular_backward.cu'],
    },
    {
      name: 'every other lane of a row is left out of its sum',
      find: 'for (int offset = grid.lanes / 2; offset > 0; offset /= 2) {',
      replace: 'for (int offset = grid.lanes / 2; offset > 1; offset /= 2) {',
      units: ['angular_backward.cu'],
    },
  ]),
  ...gradients('row_column_totals.cuh', [
    {
      name: 'the barrier between writing and reading totals is gone',
      find: '  shared.at[warp][lane] = sum;\n  __syncthreads();',
      replace: '  shared.at[warp][lane] = sum;',
      units: ['angular_backward.cu'],
    },
    {
      name: 'of a row in several chunks the first is left out',
      find: 'for (int chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * count + i];',
      replace: 'for (int chunk = 1; chunk < chunks; ++chunk) sum += partial[chunk * count + i];',
      units: ['angular_backward.cu'],
    },
  ]),
  ...gradients('angular_pass.cuh', [
    {
      name: 'r with one norm instead of two',
      find: '    pass.r[at] = sum * inverse * inverse;',
      replace: '    pass.r[at] = sum * inverse;',
      units: ['angular_backward.cu'],
    },
    {
      name: 'constants are read before all are there',
      find: 'shared.constants, i);\n  __syncthreads();',
      replace: 'shared.constants, i);',
      units: ['angular_backward.cu'],
    },
    {
      name: "a shared k takes its neighbour's place",
      find: 'pass.ks[pass.sharedK ? 0 : filter]',
      replace: 'pass.ks[filter]',
      units: ['angular_backward.cu'],
    },
  ]),
  ...filters('filter_backward.cuh', [
    {
      name: 'the barrier of the main loop is gone',
      find: '    columns.finish(stage);\n    __syncthreads();',
      replace: '    columns.finish(stage);',
    },
    {
      name: 'one copy too many may be under way',
      find: 'waitForCopies<Tile::kStages - 1>();',
      replace: 'waitForCopies<Tile::kStages>();',
    },
    {
      name: 'a position behind the end is added',
      find: 'const bool valid = left_ > ahead + i * rowStep_;',
      replace: 'const bool valid = left_ >= ahead + i * rowStep_;',
    },
    {
      name: "a thread's second position has the norm of the first",
      find: 'pass_.nx + (normAt_ + i * rowStep_ * pass_.groups),',
      replace: 'pass_.nx + normAt_,',
    },
    {
      name: 'the barrier before the sums of warps are added is gone',
      find: '        if (lane < chunks) shared_.sums[warp][s][chunk_ * Tile::kChunk + j] = sum;\n      }\n    __syncthreads();',
      replace: '        if (lane < chunks) shared_.sums[warp][s][chunk_ * Tile::kChunk + j] = sum;\n      }',
    },
    {
      name: 'copies land on the sums',
      find: '    waitForCopies<0>();\n    __syncthreads();',
      replace: '    waitForCopies<0>();',
    },
    {
      name: 'half of the lanes of a filter are left out of its sums',
      find: 'for (int distance = chunks; distance < 32; distance *= 2)',
      replace: 'for (int distance = 2 * chunks; distance < 32; distance *= 2)',
    },
    {
      name: 'totals are read before all are there',
      find: 'if (lane == 0) shared.totals[first + warp] = sum;\n    __syncthreads();',
      replace: 'if (lane == 0) shared.totals[first + warp] = sum;',
    },
    {
      name: 'the filters of the second tile are those of the first',
      find: 'return pass.partial + (int64_t{firstFilter + row} * pass.splits + split) * pass.width;',
      replace: 'return pass.partial + (int64_t{row} * pass.splits + split) * pass.width;',
    },
  ]),
  ...filters('device/weight_gemm.cuh', [
    {
      name: 'NaN and infinities of x are multiplied by zeros',
      find: 'FiniteOnly ? finiteOperand(values_[i]) : values_[i];',
      replace: 'values_[i];',
    },
    {
      name: 'the largest numbers are rounded to infinity',
      find: 'if (fabsf(value) <= kLargest) return value;',
      replace: 'if (value - value == 0) return value;',
    },
  ]),
  ...gradients('device/angular.cuh', [
    {
      name: 'the derivative of asin is not cut off',
      find: '  return 1 / fmax(cosine, T(1e-3));',
      replace: '  return 1 / cosine;',
      units: ['angular_backward.cu'],
    },
    {
      name: 'the sign of the angle is lost',
      find: 'return {copysign(theta.sin, y), T(2 / kPi) * inverseRoot(theta.cos), T(0)};',
      replace: 'return {theta.sin, T(2 / kPi) * inverseRoot(theta.cos), T(0)};',
      units: ['angular_backward.cu'],
    },
    {
      name: 'NaN passes something back',
      find: '  const T upstream = defined ? dy : T(0);',
      replace: '  const T upstream = dy;',
      units: ['angular_backward.cu'],
    },
  ]),
  ...gradients('device/direct_weight_gradient.cuh', [
    {
      name: 'the barrier between warps is gone',
      find: '  shared.at[warp][lane] = sum;\n  __syncthreads();',
      replace: '  shared.at[warp][lane] = sum;',
    },
  ]),
  ...gradients('direct_convolution.cu', [
    {
      name: 'an output beyond the last one is used',
      find: 'distance / stride >= outputs) return -1;',
      replace: 'distance / stride > outputs) return -1;',
    },
    {
      name: 'patches are not scaled before they are squared',
      find: 's.scale = 1 / fmax(largest, 1e-300);',
      replace: 's.scale = 1;',
    },
  ]),

  // ---- everything else
  ...ops(
    'magnitude.cu',
    ['magnitude'],
    [
      {
        name: 'filters of one pack share the radius of the first',
        find: 'return !perFilter && groupFilters',
        replace: 'return groupFilters',
      },
      {
        name: 'the gradient of the radius forgets the derivative',
        find: 'columnSums[j][0] += angle.product * h.radiusSlope;',
        replace: 'columnSums[j][0] += angle.product;',
      },
      {
        name: 'an output that is NaN passes its gradient on',
        find: 'if (y != y) return {y, 0, 0};',
        replace: '',
      },
    ],
  ),
  ...ops(
    'angular_pass.cuh',
    ['sphereNorm'],
    [
      {
        name: "the rescaling's shift gets what the ReLU stops",
        find: 'columnSums[j][3] += g;',
        replace: 'columnSums[j][3] += incoming;',
        units: ['sphere_norm.cu'],
      },
      {
        name: "the rescaling's gradient is passed on without its factor",
        find: 'incoming = norm.scale * g;',
        replace: 'incoming = g;',
        units: ['sphere_norm.cu'],
      },
      {
        name: 'a ReLU without rescaling has a factor of 0',
        find: 'return pass.gamma ? pass.gamma[filter] : Compute<T>(1);',
        replace: 'return pass.gamma ? pass.gamma[filter] : Compute<T>(0);',
        units: ['sphere_norm.cu'],
      },
    ],
  ),
  ...ops(
    'device/reduce.cuh',
    [],
    [
      {
        name: 'the barrier before the scratch is read is gone',
        find: '  if (lane == 0) scratch[warp] = value;\n  __syncthreads();',
        replace: '  if (lane == 0) scratch[warp] = value;',
        units: ['softmax_loss.cu', 'angular_softmax.cu'],
      },
      {
        name: 'the barrier after the scratch was read is gone',
        find: 'neutral, combine);\n  __syncthreads();',
        replace: 'neutral, combine);',
        units: ['softmax_loss.cu', 'angular_softmax.cu'],
      },
    ],
  ),
  ...ops(
    'device/margins.cuh',
    ['angularSoftmax'],
    [
      {
        name: 'the margin adds to the angle without being stopped at pi',
        find: '    if (phi >= kPi) return {-1, 0, 2};\n',
        replace: '',
      },
      {
        name: 'the slope of a divided angle is that of a whole one',
        find: 'ratio = 2 * half.sin * half.cos / divisor;',
        replace: 'ratio = 2 * half.sin * half.cos;',
      },
      {
        name: 'a detached margin keeps its own slope',
        find: 'if (m.detached) target.slope = plain.slope;',
        replace: '',
      },
      {
        name: 'annealing moves the value but not its distance from 1',
        find: 'share * plain.below + rest * target.below};',
        replace: 'target.below};',
      },
    ],
  ),
  ...ops(
    'angular_softmax.cu',
    ['angularSoftmax'],
    [
      {
        name: 'the sum that smoothing needs stays in its threads',
        find: 'if (m.smoothing > 0) gaps = team.sum(gaps);',
        replace: '',
      },
      {
        name: 'a fixed scale moves with the features',
        find: 'defined && m.scale == 0 && length > 0;',
        replace: 'defined && length > 0;',
      },
    ],
  ),
  ...ops(
    'device/channel_grid.cuh',
    ['batchNorm'],
    [
      {
        name: 'the same channel for all lanes of a pack',
        find: '      channel = channel + 1 == g.channels ? 0 : channel + 1;',
        replace: '      channel = channel;',
        units: ['batch_norm.cu'],
      },
      {
        name: 'every block writes what only one should',
        find: 'return block == 0 && channel >= firstLane && channel < firstLane + lanes;',
        replace: 'return channel >= firstLane && channel < firstLane + lanes;',
        units: ['batch_norm.cu'],
      },
    ],
  ),
  ...ops(
    'batch_norm.cu',
    ['batchNorm'],
    [
      {
        name: 'the running variance is biased',
        find: 'move(p.runningVariance[c], variance * g.unbias);',
        replace: 'move(p.runningVariance[c], variance);',
      },
      {
        name: 'coefficients are read before all are there',
        find: '    move(p.runningVariance[c], variance * g.unbias);\n  }\n  __syncthreads();',
        replace: '    move(p.runningVariance[c], variance * g.unbias);\n  }',
      },
      {
        name: 'a median of large values becomes the smallest one',
        find: 'return max(min(a, b), min(max(a, b), c));',
        replace: 'return min(min(a, b), c) - 1e6f * (max(max(a, b), c) - min(min(a, b), c));',
      },
    ],
  ),
  ...ops(
    'pooling.cu',
    ['pooling'],
    [
      {
        name: 'the last of equal maxima gets the gradient',
        find: 'values[j] > best[j] ||',
        replace: 'values[j] >= best[j] ||',
      },
      {
        name: 'a window too few around an element',
        find: '(reach - kernel) / stride + 1;',
        replace: '(reach - kernel) / stride + 2;',
      },
      {
        name: 'padding counts in a mean that leaves it out',
        find: 'countPadding ? int64_t{s.p.kernelH} * s.p.kernelW : int64_t{rows.count} * columns.count;',
        replace: 'int64_t{s.p.kernelH} * s.p.kernelW;',
      },
      {
        name: 'the barrier between slices of a window is gone',
        find: '  for (int j = 0; j < N; ++j) shared.at[slice][j][lane] = total[j];\n  __syncthreads();',
        replace: '  for (int j = 0; j < N; ++j) shared.at[slice][j][lane] = total[j];',
      },
    ],
  ),
  ...ops(
    'movement.cu',
    ['movement', 'random'],
    [
      {
        name: 'windows begin before all know where',
        find: '    shared.mirrored = windows.flip && random.word[2] >> 31 != 0;\n  }\n  __syncthreads();',
        replace: '    shared.mirrored = windows.flip && random.word[2] >> 31 != 0;\n  }',
      },
      {
        name: 'a mirrored image is one pixel off',
        find: 'windows.outWidth - 1 - pixel : pixel',
        replace: 'windows.outWidth - pixel : pixel',
      },
    ],
  ),
  ...ops(
    'random.cu',
    ['random'],
    [
      {
        name: 'the second pair of a block takes the words of the first',
        find: 'const uint32_t pair[2] = {words[second ? 2 : 0], words[second ? 3 : 1]};',
        replace: 'const uint32_t pair[2] = {words[0], words[1]};',
      },
      {
        name: 'dropout keeps what is just below its limit',
        find: 'static_cast<int32_t>(words[j] >> 8) >= threshold;',
        replace: 'static_cast<int32_t>(words[j] >> 8) > threshold - 1000000;',
      },
    ],
  ),
  ...ops(
    'elementwise.cu',
    ['binary', 'unary', 'oneHot', 'halfElementwise'],
    [
      {
        name: 'softplus of negative numbers is left to the logarithm',
        find: 'return (x > 0 ? x : C(0)) + log1p(exp(-fabs(x)));',
        replace: 'return x + log1p(exp(-fabs(x)));',
      },
      {
        name: 'the slope of acos is not cut off',
        find: 'sinSquared < least ? least : sinSquared',
        replace: 'sinSquared',
      },
      {
        name: 'the gradient of a power at 0 is infinite',
        find: 'if (v == 0 && exponent < 1)',
        replace: 'if (v == 0 && exponent < 0)',
      },
      {
        name: 'one-hot rows mark the column behind the label',
        find: '== at - row * classes;',
        replace: '== at - row * classes - 1;',
      },
    ],
  ),
  ...ops(
    'elementwise.cuh',
    [],
    [
      {
        name: 'the element behind the last one is written',
        find: '      if (at < end) op.template store<1>(at, inputs[u]);',
        replace: '      if (at <= end) op.template store<1>(at, inputs[u]);',
        units: ['elementwise.cu'],
      },
      {
        name: 'packs are taken where addresses are not aligned',
        find: '  if (op.packed && tile + kTile <= size) {',
        replace: '  if (tile + kTile <= size) {',
        units: ['elementwise.cu'],
      },
    ],
  ),

  // ---- what only costs time
  ...traffic('device/tile.cuh', [
    {
      name: 'four rows apart, matrix rows lie in the same banks',
      find: '((chunk ^ (row >> 1 & 3)) * kChunkBytes)',
      replace: '((chunk ^ (row & 3)) * kChunkBytes)',
      units: GEMM,
    },
  ]),
  ...traffic('device/position_tiles.cuh', [
    {
      name: 'rows of positions lie in the same banks',
      find: 'int swizzled = chunk ^ (row >> 1 & 3);',
      replace: 'int swizzled = chunk;',
      units: WEIGHTS,
    },
  ]),
];
