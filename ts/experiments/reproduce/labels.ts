import type { HeadConfig, ModelConfig } from './config';

/** How tables name an operator. */
export function operatorLabel({ operator, k }: Pick<ModelConfig, 'operator' | 'k'>): string {
  switch (operator) {
    case 'none':
      return 'Original convolution';
    case 'sigmoid':
      return k === 'learnable' ? 'Sigmoid, k learnt' : `Sigmoid(${k})`;
    case 'linear':
      return 'Linear';
    case 'cosine':
      return 'Cosine';
  }
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
