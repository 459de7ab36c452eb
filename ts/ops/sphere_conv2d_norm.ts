import { run } from '../core/run';
import { isRecorded, record } from '../core/tape';
import { allocateLike } from '../core/tensor';
import type { Tensor } from '../core/tensor';
import { angularForward, keptBy, needsFloat64, restored } from './angular_forward';
import { angularGradients } from './angular_gradient';
import type { AngularOptions } from './angular_options';
import { batchNorm, checkNorm, moveRunningStatistics } from './batch_norm';
import type { BatchNormOptions, NormTensors } from './batch_norm';
import { checkTensor } from './check';
import type { ConvOptions } from './geometry';
import { isDecoupled } from './magnitude';
import { reshape } from './reshape';
import { sphereConv2d } from './sphere_conv2d';

/** Options of the SphereConv and of the normalisation behind it; `norm.relu` adds a ReLU. */
export interface SphereConvNormOptions extends AngularOptions {
  norm?: BatchNormOptions | undefined;
}

/**
 * SphereConv, batch normalisation and, where asked for, ReLU, as one op: what a hyperspherical network consists of. The
 * same as `batchNorm(sphereConv2d(input, weight), ...)`, but in training the gradient of the SphereConv's output is never
 * written to memory: the backward pass of the normalisation goes on to the angles at once. With `norm.training: false`,
 * where no gradient is recorded, that output itself is not written either. A decoupled operator is computed as the ops one
 * after the other.
 *
 * @param input [N,H,W,C]
 * @param weight [O,KH,KW,C/groups], see {@link sphereConv2d}
 * @param tensors of the normalisation, each [O], see {@link batchNorm}; the running statistics move
 * @returns [N,OH,OW,O]
 */
export function sphereConv2dNorm(
  input: Tensor,
  weight: Tensor,
  tensors: NormTensors,
  options: SphereConvNormOptions & ConvOptions = {},
): Tensor {
  checkTensor('sphereConv2dNorm', 'input', input, { axes: 'NHWC' });
  checkTensor('sphereConv2dNorm', 'weight', weight, { axes: 'OHWI', like: input, as: 'filter' });
  return normedAngularConvolution('sphereConv2dNorm', input, weight, tensors, options);
}

/**
 * The same for a fully connected SphereConv, see {@link sphereLinear}.
 *
 * @param input [N,D]
 * @param weight [O,D]
 * @returns [N,O]
 */
export function sphereLinearNorm(
  input: Tensor,
  weight: Tensor,
  tensors: NormTensors,
  options: SphereConvNormOptions = {},
): Tensor {
  checkTensor('sphereLinearNorm', 'input', input, { axes: 'ND' });
  const [n, d] = input.shape as [number, number];
  checkTensor('sphereLinearNorm', 'weight', weight, { axes: 'OD', like: input, as: 'filter' });
  const o = weight.shape[0] as number;
  checkTensor('sphereLinearNorm', 'weight', weight, { shape: [o, d] });
  const { operator, k, epsilon, meanNorm, norm } = options;
  const [rows, filters] = [reshape(input, [n, 1, 1, d]), reshape(weight, [o, 1, 1, d])];
  const angular = { operator, k, epsilon, meanNorm, norm };
  return reshape(normedAngularConvolution('sphereLinearNorm', rows, filters, tensors, angular), [n, o]);
}

function normedAngularConvolution(
  op: string,
  input: Tensor,
  weight: Tensor,
  tensors: NormTensors,
  { norm = {}, ...options }: SphereConvNormOptions & ConvOptions,
): Tensor {
  const { momentum, epsilon, relu } = checkNorm(op, input, weight.shape[0] as number, tensors, norm);
  const { gamma, beta, runningMean, runningVariance } = tensors;
  const { training = true } = norm;
  const isGiven = !training && !isRecorded([input, weight, gamma, beta, options.k]);
  if (needsFloat64(input, weight) || isDecoupled(options.operator) || (!training && !isGiven)) {
    const angles = sphereConv2d(input, weight, options);
    return batchNorm(angles, gamma, beta, runningMean, runningVariance, {
      training,
      momentum,
      epsilon,
      relu,
    });
  }
  if (isGiven) {
    const statistics = { mean: runningMean, variance: runningVariance, epsilon };
    const { forward, z } = angularForward(op, input, weight, options, { relu, gamma, beta, statistics, keepsAngles: false }); // prettier-ignore
    for (const inner of [forward.nx, forward.nw, forward.c]) inner?.dispose();
    return z;
  }
  const { recipe, forward } = angularForward(op, input, weight, options);
  const { y, nx, nw, k } = forward;
  const [z, mean, invStd] = [allocateLike(y), allocateLike(gamma), allocateLike(gamma)];
  const forwardOp = relu ? 'batchNormRelu' : 'batchNorm';
  run(forwardOp, momentum, epsilon, y, gamma, beta, runningMean, runningVariance, z, mean, invStd);
  moveRunningStatistics(tensors);

  const inputs = [input, weight, gamma, beta, ...(k ? [k] : [])];
  const kept = [...keptBy(forward), gamma, beta, mean, invStd];
  const output = record(op, z, inputs, kept, (dz, saved, needs) => {
    const { forward: f, rest } = restored(recipe, saved);
    const [g, b, m, s] = rest as [Tensor, Tensor, Tensor, Tensor];
    const following = { relu, gamma: g, beta: b, mean: m, invStd: s };
    const asked = { x: needs[0] === true, w: needs[1] === true, k: needs[4] === true, radius: false };
    const { dx, dw, dk, dgamma, dbeta } = angularGradients(recipe, f, following, dz, asked);
    return [dx, dw, dgamma, dbeta, dk];
  });
  // Nobody else sees these. The tape lets go of its own as backward() goes on, the scope only at its end.
  for (const inner of [y, nx, nw, mean, invStd]) inner.dispose();
  return output;
}
