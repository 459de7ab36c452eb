// Plain convolution against the machine's FMA peak, and SphereConv against plain convolution, forward and
// forward+backward, on the CNN-9 layers.
import { writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { device, noGrad, ops, random, scope } from 'spherenet';
import type { Tensor } from 'spherenet';
import { CNN9, flops, label, outputSize, padding } from './layers';
import type { Layer } from './layers';
import { geometricMean, timeInTurn } from './timing';
import type { Timing } from './timing';

/** Inputs are rotated through this many bytes, more than the last cache holds. */
const ROTATION_BYTES = 64 * 2 ** 20;

interface Row {
  layer: string;
  flops: number;
  plainForward: Timing;
  sphereForward: Timing;
  plainBoth: Timing;
  sphereBoth: Timing;
}

function measure(layer: Layer, seconds: number): Row {
  const { batch, channels, size, filters, kernel, stride } = layer;
  const options = { stride, padding: padding(layer) };
  return scope(() => {
    const sets = Math.min(Math.ceil(ROTATION_BYTES / (4 * batch * channels * size * size)), 16);
    const inputs = Array.from({ length: sets }, () =>
      random.normal([batch, size, size, channels], { requiresGrad: true }),
    );
    const weight = random.normal([filters, kernel, kernel, channels], { requiresGrad: true, deviation: 0.1 });
    const output = outputSize(layer);
    const dy = random.normal([batch, output, output, filters]);
    const plain = (x: Tensor): Tensor => ops.conv2d(x, weight, null, options);
    const sphere = (x: Tensor): Tensor =>
      ops.sphereConv2d(x, weight, { ...options, operator: 'sigmoid', k: 0.3 });

    const forward = (op: (x: Tensor) => Tensor) => (run: number) => {
      scope(() => {
        noGrad(() => void op(inputs[run % sets] as Tensor));
      });
    };
    const both = (op: (x: Tensor) => Tensor) => (run: number) => {
      const input = inputs[run % sets] as Tensor;
      scope(() => {
        op(input).backward(dy);
      });
      input.zeroGrad();
      weight.zeroGrad();
    };
    const [plainForward, sphereForward, plainBoth, sphereBoth] = timeInTurn(
      [forward(plain), forward(sphere), both(plain), both(sphere)],
      seconds,
    ) as [Timing, Timing, Timing, Timing];
    return { layer: label(layer), flops: flops(layer), plainForward, sphereForward, plainBoth, sphereBoth };
  });
}

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`.padStart(6);
const ms = (timing: Timing): string => (timing.median * 1e3).toFixed(2).padStart(8);
const ratio = (value: number): string => value.toFixed(2).padStart(6);

function main(): void {
  const seconds = process.argv.includes('--quick') ? 0.5 : 3;
  const jsonAt = process.argv.indexOf('--json');
  const threads = device.cpu.threads;
  console.log(`${cpus()[0]?.model ?? 'CPU'}, ${threads} threads, SIMD path ${device.cpu.simd()}`);

  const peaks: number[] = [];
  const rows = CNN9.map((layer) => {
    peaks.push(device.cpu.fmaPeak(0.3));
    return measure(layer, seconds);
  });
  peaks.sort((a, b) => a - b);
  const peak = peaks[Math.floor(peaks.length / 2)] as number;

  console.log(`FMA peak, measured between the layers: ${(peak / 1e9).toFixed(0)} GFLOP/s\n`);
  console.log(
    '                              plain conv2d, ms (of peak)        SphereConv(sigmoid), ms (x plain)',
  );
  console.log('layer                        forward        fwd+bwd            forward        fwd+bwd');
  for (const row of rows) {
    const share = (timing: Timing, passes: number): string =>
      percent((passes * row.flops) / timing.median / peak);
    console.log(
      row.layer.padEnd(25) +
        `${ms(row.plainForward)}${share(row.plainForward, 1)} ${ms(row.plainBoth)}${share(row.plainBoth, 3)}    ` +
        `${ms(row.sphereForward)}${ratio(row.sphereForward.median / row.plainForward.median)} ` +
        `${ms(row.sphereBoth)}${ratio(row.sphereBoth.median / row.plainBoth.median)}`,
    );
  }
  const total = (pick: (row: Row) => Timing): number => rows.reduce((sum, row) => sum + pick(row).median, 0);
  const allFlops = rows.reduce((sum, row) => sum + row.flops, 0);
  const summary = {
    plainForwardOfPeak: allFlops / total((r) => r.plainForward) / peak,
    plainBothOfPeak: (3 * allFlops) / total((r) => r.plainBoth) / peak,
    sphereForwardOverPlain: geometricMean(rows.map((r) => r.sphereForward.median / r.plainForward.median)),
    sphereBothOverPlain: geometricMean(rows.map((r) => r.sphereBoth.median / r.plainBoth.median)),
  };
  console.log(
    `\nplain conv2d at ${percent(summary.plainForwardOfPeak).trim()} of the FMA peak forward, ` +
      `${percent(summary.plainBothOfPeak).trim()} forward+backward (all layers together; target 50 %)`,
  );
  console.log(
    `SphereConv costs ${summary.sphereBothOverPlain.toFixed(2)}x plain conv2d forward+backward, ` +
      `${summary.sphereForwardOverPlain.toFixed(2)}x forward (geometric mean; target 1.50x)`,
  );
  if (jsonAt >= 0) {
    const machine = { cpu: cpus()[0]?.model, threads, simd: device.cpu.simd(), memoryBytes: totalmem(), node: process.version }; // prettier-ignore
    const path = process.argv[jsonAt + 1] ?? 'bench-conv.json';
    const result = {
      what: 'bench/conv',
      date: new Date().toISOString(),
      machine,
      fmaPeak: peak,
      summary,
      rows,
    };
    writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  }
}

main();
