import { PassThrough } from 'node:stream';
import type { EpochRecord } from '../../ts/train';
import { createReporter, duration } from '../../ts/train/progress';
import type { Progress } from '../../ts/train/progress';

const progress: Progress = {
  step: 30,
  steps: 90,
  epoch: 1,
  epochs: 3,
  loss: 0.51234,
  accuracy: 0.8125,
  imagesPerSecond: 1234.5,
  secondsLeft: 75,
};
const record: EpochRecord = {
  epoch: 1,
  trainLoss: 0.51234,
  trainAccuracy: 0.8125,
  evalLoss: 0.43,
  evalAccuracy: 0.85,
  imagesPerSecond: 1234.5,
  seconds: 20,
};

/** A stream that is or is not a terminal, and what was written to it. */
function stream(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  const pass = new PassThrough({ encoding: 'utf8' });
  const terminal = {
    isTTY,
    columns: 200,
    rows: 50,
    cursorTo: () => true,
    clearLine: () => true,
    moveCursor: () => true,
  };
  return {
    stream: Object.assign(pass, terminal) as unknown as NodeJS.WriteStream,
    text: () => String(pass.read() ?? ''),
  };
}

it('writes one line per epoch where there is no terminal', () => {
  const { stream: out, text } = stream(false);
  const reporter = createReporter(true, out);
  reporter.step(progress);
  reporter.epoch(record, progress);
  reporter.epoch({ ...record, evalLoss: null, evalAccuracy: null }, { ...progress, epoch: 2 });
  reporter.stop();
  expect(text()).toBe(
    'epoch 1/3 | loss 0.5123 | accuracy 81.3 % | test loss 0.4300 | test accuracy 85.0 % | 1235 images/s | 1 min 15 s left\n' +
      'epoch 2/3 | loss 0.5123 | accuracy 81.3 % | 1235 images/s | 1 min 15 s left\n',
  );
});

it('draws a bar on a terminal, with the last test accuracy', () => {
  const { stream: out, text } = stream(true);
  const reporter = createReporter(true, out);
  reporter.step(progress);
  reporter.epoch(record, { ...progress, step: 60 });
  reporter.stop();
  const drawn = text();
  expect(drawn).toContain('epoch 1/3 [');
  const measures = '1 min 15 s left | loss 0.512 | accuracy 81.3 % | 1235 images/s';
  expect(drawn).toContain(`[----------] ${measures}`);
  expect(drawn).toContain(`[=======---] ${measures} | test 85.0 %`);
});

it('is silent where it is not wanted', () => {
  const { stream: out, text } = stream(false);
  const reporter = createReporter(false, out);
  reporter.step(progress);
  reporter.epoch(record, progress);
  reporter.stop();
  expect(text()).toBe('');
});

it('says durations as people do', () => {
  expect([0, 59.4, 60, 61, 3599, 3600, 8100].map(duration)).toEqual([
    '0 s',
    '59 s',
    '1 min 00 s',
    '1 min 01 s',
    '59 min 59 s',
    '1 h 00 min',
    '2 h 15 min',
  ]);
});
