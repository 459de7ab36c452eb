import { inScope } from '../support/in_scope';
import { device, full, ones, ops, scope, tensor, zeros } from '../support/library';
import type { DType } from '../support/library';

describe('tensor', () => {
  it(
    'takes numbers, nested arrays and typed arrays',
    inScope(() => {
      const cases = [
        [tensor(3), [], 'float32', [3]],
        [tensor([1, 2]), [2], 'float32', [1, 2]],
        [
          tensor([
            [[1], [2]],
            [[3], [4]],
          ]),
          [2, 2, 1],
          'float32',
          [1, 2, 3, 4],
        ],
        [tensor(Float64Array.of(1, 2)), [2], 'float64', [1, 2]],
        [tensor(Int32Array.of(-7)), [1], 'int32', [-7]],
        [tensor(Uint8Array.of(255)), [1], 'uint8', [255]],
        [tensor([1, 2, 3, 4], { shape: [2, 2], dtype: 'int32' }), [2, 2], 'int32', [1, 2, 3, 4]],
        [tensor(Uint8Array.of(1, 2), { dtype: 'float64' }), [2], 'float64', [1, 2]],
      ] as const;
      for (const [t, shape, dtype, values] of cases) {
        expect(t.shape).toEqual(shape);
        expect([t.dtype, t.device, t.rank, t.size]).toEqual([
          dtype,
          device.current(),
          shape.length,
          values.length,
        ]);
        expect(Array.from(t.dataSync())).toEqual(values);
      }
    }),
  );

  it(
    'copies: the array may change afterwards',
    inScope(async () => {
      const values = Float32Array.of(1, 2, 3);
      const t = tensor(values);
      values.fill(9);
      expect(Array.from(await t.data())).toEqual([1, 2, 3]);
      (await t.data()).fill(7);
      expect(Array.from(t.dataSync())).toEqual([1, 2, 3]);
    }),
  );

  it(
    'comes back typed where its dtype is named, and only as that',
    inScope(async () => {
      const t = tensor([1, 4, 9]);
      expect(Array.from((await t.data('float32')).map(Math.sqrt))).toEqual([1, 2, 3]);
      expect(t.dataSync('float32').reduce((a, b) => a + b)).toBe(14);
      expect(() => t.dataSync('int32')).toThrowSphereNetError(
        'SPHERENET_ARGUMENT',
        "Tensor.dataSync: dtype must be 'float32'",
        "'int32'",
      );
      await expect(t.data('uint8')).rejects.toThrow("Tensor.data: dtype must be 'float32'");
    }),
  );

  it(
    'takes part of a larger buffer',
    inScope(() => {
      const buffer = Float32Array.of(0, 1, 2, 3);
      expect(Array.from(tensor(buffer.subarray(1, 3)).dataSync())).toEqual([1, 2]);
    }),
  );
});

describe('zeros, ones and full', () => {
  it.each(['float32', 'float64', 'int32', 'uint8', 'bfloat16', 'float16'] as const)(
    'fill %s',
    (dtype: DType) => {
      scope(() => {
        expect(Array.from(zeros([2, 2], { dtype }).dataSync())).toEqual([0, 0, 0, 0]);
        expect(Array.from(ones([3], { dtype }).dataSync())).toEqual([1, 1, 1]);
        expect(Array.from(full([2], 7, { dtype }).dataSync())).toEqual([7, 7]);
      });
    },
  );

  it('clear memory that was used before', () => {
    scope(() => {
      full([1000], 5).dispose();
      expect(
        zeros([1000])
          .dataSync()
          .every((v) => v === 0),
      ).toBe(true);
    });
  });
});

describe('reading', () => {
  it(
    'gives items and nested arrays',
    inScope(async () => {
      expect(await tensor(2.5).item()).toBe(2.5);
      expect(tensor([[4]]).itemSync()).toBe(4);
      expect(
        await tensor([
          [1, 2],
          [3, 4],
        ]).toArray(),
      ).toEqual([
        [1, 2],
        [3, 4],
      ]);
      expect(await tensor(1).toArray()).toBe(1);
      await expect(tensor([1, 2]).item()).rejects.toMatchObject({ code: 'SPHERENET_ARGUMENT' });
      expect(() => tensor([1, 2]).itemSync()).toThrowSphereNetError(
        'SPHERENET_ARGUMENT',
        'Tensor.itemSync',
        'a single number',
        '[2]',
      );
    }),
  );

  it(
    'does not block: timers fire while a convolution runs',
    inScope(async () => {
      const x = ones([8, 64, 64, 64]);
      const w = ones([128, 3, 3, 64]);
      let fired = 0;
      const timer = setInterval(() => ++fired, 1);
      const y = ops.conv2d(x, w, null, { padding: 1 });
      const reading = ops.sum(y).data();
      const submitted = fired;
      await reading;
      clearInterval(timer);
      expect(submitted).toBe(0);
      expect(fired).toBeGreaterThan(3);
    }),
  );

  it(
    'keeps the order of writes, ops and reads',
    inScope(async () => {
      const x = tensor([1]);
      const readings: Promise<number>[] = [];
      for (let i = 0; i < 50; ++i) {
        readings.push(ops.add(x, 0).item());
        x.assign([i + 2]);
      }
      expect(await Promise.all(readings)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    }),
  );
});

describe('assign', () => {
  it(
    'overwrites in place what views and detached tensors see',
    inScope(() => {
      const x = tensor([1, 2, 3, 4]);
      const [view, twin] = [ops.reshape(x, [2, 2]), x.detach()];
      x.assign([5, 6, 7, 8]);
      twin.assign(Float32Array.of(9, 6, 7, 8));
      expect(Array.from(view.dataSync())).toEqual([9, 6, 7, 8]);
      x.assign(tensor([0, 0, 0, 1]));
      expect(Array.from(view.dataSync())).toEqual([0, 0, 0, 1]);
    }),
  );

  it(
    'to labels is seen by the check of their range, through every view',
    inScope(() => {
      const logits = zeros([2, 3]);
      const labels = tensor(Int32Array.of(0, 2));
      const check = (): unknown => ops.softmaxCrossEntropy(logits, labels);
      check();
      for (const write of [labels, labels.detach(), ops.reshape(labels, [2])]) {
        write.assign([0, 3]);
        expect(check).toThrowSphereNetError('SPHERENET_ARGUMENT', 'labels', 'from 0 to 2', '3 at index 1');
        write.assign(tensor(Int32Array.of(-1, 0)));
        expect(check).toThrowSphereNetError('SPHERENET_ARGUMENT', 'labels', '-1 at index 0');
        write.assign([1, 1]);
        check();
      }
      // Writing a part says nothing about the rest.
      labels.assign([0, 9]);
      ops.slice(labels, [0], [1]).assign([1]);
      expect(check).toThrowSphereNetError('SPHERENET_ARGUMENT', '9 at index 1');
    }),
  );
});
