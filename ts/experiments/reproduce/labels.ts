import type { HeadConfig, ModelConfig } from './config';

const LEARNT = { perFilter: 'filter', perLayer: 'layer', perNetwork: 'network' } as const;

/** How tables name an operator. */
export function operatorLabel({ operator, k = 0.3 }: Pick<ModelConfig, 'operator' | 'k'>): string {
  if (typeof operator === 'object') {
    return `${capital(operator.magnitude)} · ${operatorLabel({ operator: operator.angular ?? 'cosine', k })}`;
  }
  switch (operator) {
    case 'none':
      return 'Original convolution';
    case 'sigmoid':
      return typeof k === 'number' ? `Sigmoid(${k})` : `Sigmoid, k learnt per ${LEARNT[k]}`;
    case 'squaredCosine':
      return 'Squared cosine';
    default:
      return capital(operator);
  }
}

/** The word with a capital in front. */
export function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** How tables name a loss. */
export function lossLabel(head: HeadConfig): string {
  if (head.loss === 'softmax') return 'Softmax';
  const { operator = 'cosine', k, margin = 1 } = head;
  if (margin > 1) {
    if (operator === 'cosine') return `A-Softmax, m = ${margin}`;
    if (operator === 'linear') return `GA-Softmax, m = ${margin}`;
    return `Sigmoid(${k}) GA-Softmax, m = ${margin}`;
  }
  if (operator === 'sigmoid') return `Sigmoid(${k}) W-Softmax`;
  return `${operator === 'linear' ? 'Linear' : 'Cosine'} W-Softmax`;
}
