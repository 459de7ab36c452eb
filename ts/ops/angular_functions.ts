// The angular functions, by name.

/** g: how a SphereConv turns the angle θ between kernel and patch into its output; see {@link sphereConv2d}. */
export type AngularFunction = 'cosine' | 'linear' | 'sigmoid' | 'squaredCosine';

/** In the order of AngularOperator in native/ops.h. */
export const ANGULAR_FUNCTIONS: readonly AngularFunction[] = ['cosine', 'linear', 'sigmoid', 'squaredCosine'];

/** Those of the paper, which have a margin: what the losses take. */
export type MarginFunction = Exclude<AngularFunction, 'squaredCosine'>;

export const MARGIN_FUNCTIONS: readonly MarginFunction[] = ['cosine', 'linear', 'sigmoid'];
