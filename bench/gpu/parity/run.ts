// The stage `parity`: every op on the GPU against the CPU, over the fixtures and over random shapes.
import { scope } from 'spherenet';
import { Draw, seedOf } from '../draw';
import { EXIT_RESTART, StageFile, secondsLeft } from '../session';
import type { Session } from '../session';
import { isAlive, TARGET, usePrecision, VARIANTS } from '../target';
import type { Variant, VariantName } from '../target';
import type { Case, Operation } from './cases';
import { distance, isWithin, TOLERANCES } from './compare';
import type { Distance, Tolerance } from './compare';
import { CONVOLUTIONS } from './conv_cases';
import { FIXTURE_TOLERANCES, loadFixtures, runFixture, serves } from './fixtures';
import { Inputs } from './inputs';
import type { Place } from './inputs';
import { LAYERS } from './layer_cases';
import { POINTWISE } from './pointwise_cases';

/** Random cases of every op in every format; more time does not make more of them. */
const ROUNDS = 30;
/** What takes longer has hung. */
const CASE_SECONDS = 60;
/** The device's gradient may be this many times as wrong as the CPU's in the same format, whatever the tolerance. */
const CPU_FACTOR = 8;
const MOST_FAILURES = 200;

/** One output of one op in one format, over all its cases. */
export interface WorstError {
  cases: number;
  /** Largest ‖a − b‖ / ‖b‖ and largest |a − b| / max(|b|, rms b), and the cases that had them. */
  norm: number;
  worst: number;
  normAt: string;
  worstAt: string;
}

export interface Failure {
  op: string;
  variant: VariantName;
  output: string;
  /** With this seed and text the case can be drawn again. */
  seed: number;
  text: string;
  reason: string;
}

export interface ParityData {
  /** How many jobs of the fixed sequence are done. */
  done: number;
  total: number;
  fixtures: number;
  randomCases: number;
  /** By op, variant and output. */
  worst: Record<string, WorstError>;
  failures: Failure[];
  failureCount: number;
  /** Jobs that the process did not survive; they are not tried again. */
  fatal: number[];
  tolerances: typeof TOLERANCES;
  fixtureTolerances: typeof FIXTURE_TOLERANCES;
}

/** One element of the sequence, the same in every run. */
interface Job {
  name: string;
  variant: Variant;
  seed: number;
  /** Shapes and options; known without running it. */
  text(): string;
  run(report: Report): Promise<void>;
}

type Report = (
  output: string,
  error: Distance,
  tolerance: Tolerance,
  accepted?: () => Promise<boolean>,
) => Promise<void>;

class Hung extends Error {}

function place(variant: Variant, reference?: 'same'): Place {
  if (reference === undefined) return { device: 'cpu', activations: 'float64', parameters: 'float64' };
  return { device: 'cpu', activations: variant.dtype, parameters: variant.parameters };
}

/** Fails where the device does not answer any more. */
function inTime<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Hung(`did not end within ${CASE_SECONDS} s`));
    }, CASE_SECONDS * 1000);
  });
  return Promise.race([promise, late]).finally(() => {
    clearTimeout(timer);
  });
}

async function outputsOf(
  test: Case,
  seed: number,
  variant: Variant,
  where: Place,
): Promise<Record<string, ArrayLike<number>>> {
  return scope(async () => {
    const made = test.run(new Inputs(seed, variant, where));
    const values: Record<string, ArrayLike<number>> = {};
    for (const [name, tensor] of Object.entries(made)) values[name] = await inTime(tensor.data());
    return values;
  });
}

function randomJob(operation: Operation, variant: Variant, round: number): Job {
  const seed = seedOf(operation.name, variant.name, round);
  return {
    ...{ name: operation.name, variant, seed },
    text: () => operation.draw(new Draw(seed), variant).text,
    async run(report) {
      const test = operation.draw(new Draw(seed), variant);
      usePrecision(variant.precision);
      const under = { device: TARGET, activations: variant.dtype, parameters: variant.parameters };
      const got = await outputsOf(test, seed, variant, under);
      const again = await outputsOf(test, seed, variant, under);
      const reference = await outputsOf(test, seed, variant, place(variant, test.reference));
      for (const [name, expected] of Object.entries(reference)) {
        const values = got[name] ?? [];
        const tolerance = TOLERANCES[variant.name][test.kinds?.[name] ?? test.kind];
        await report(name, distance(values, expected), tolerance, async () => {
          if (test.reference === 'same' || tolerance.worst === 0) return false;
          const cpu = await outputsOf(test, seed, variant, place(variant, 'same'));
          const { norm, worst } = distance(cpu[name] ?? [], expected);
          return isWithin(distance(values, expected), { norm: CPU_FACTOR * norm, worst: CPU_FACTOR * worst });
        });
        if (distance(again[name] ?? [], values).worst !== 0) {
          await report(`${name} a second time`, { norm: NaN, worst: NaN, at: -1 }, { norm: 0, worst: 0 });
        }
      }
    },
  };
}

function fixtureJobs(): Job[] {
  const jobs: Job[] = [];
  for (const fixture of loadFixtures()) {
    for (const variant of Object.values(VARIANTS)) {
      const tolerance = FIXTURE_TOLERANCES[variant.name];
      if (!tolerance || !serves(fixture, variant)) continue;
      jobs.push({
        ...{ name: `fixture ${fixture.op}`, variant, seed: 0 },
        text: () => fixture.name,
        async run(report) {
          usePrecision(variant.precision);
          await scope(async () => {
            for (const [name, { got, expected }] of Object.entries(runFixture(fixture, variant))) {
              await report(name, distance(await inTime(got.data()), expected), tolerance);
            }
          });
        },
      });
    }
  }
  return jobs;
}

/** Fixtures first, then rounds of one random case of everything. */
export function sequence(rounds: number): { jobs: Job[]; fixtures: number } {
  const fixtures = process.env['SPHERENET_GPU_BENCH_FIXTURES'] === '0' ? [] : fixtureJobs();
  const jobs = [...fixtures];
  for (let round = 0; round < rounds; ++round) {
    for (const operation of [...CONVOLUTIONS, ...POINTWISE, ...LAYERS]) {
      for (const name of operation.variants) jobs.push(randomJob(operation, VARIANTS[name], round));
    }
  }
  return { jobs, fixtures: fixtures.length };
}

function note(data: ParityData, job: Job, output: string, error: Distance, text: string): void {
  const worst = (data.worst[`${job.name} | ${job.variant.name} | ${output}`] ??= {
    ...{ cases: 0, norm: 0, worst: 0, normAt: '', worstAt: '' },
  });
  worst.cases += 1;
  const where = `seed ${job.seed}: ${text}`;
  if (error.norm > worst.norm) Object.assign(worst, { norm: error.norm, normAt: where });
  if (error.worst > worst.worst) Object.assign(worst, { worst: error.worst, worstAt: where });
}

function fail(data: ParityData, job: Job, output: string, text: string, reason: string): void {
  data.failureCount += 1;
  if (data.failures.length >= MOST_FAILURES) return;
  const { name: op, variant, seed } = job;
  data.failures.push({ op, variant: variant.name, output, seed, text, reason });
}

async function runJob(data: ParityData, job: Job): Promise<void> {
  const findings: { output: string; error: Distance; reason: string }[] = [];
  const text = job.text();
  await job.run(async (output, error, tolerance, accepted) => {
    const good = isWithin(error, tolerance) || ((await accepted?.()) ?? false);
    const measured = `norm ${error.norm.toExponential(1)}, worst ${error.worst.toExponential(1)} at ${error.at}`;
    const bounds = `allowed ${tolerance.norm.toExponential(0)}, ${tolerance.worst.toExponential(0)}`;
    const reason = Number.isNaN(error.norm) ? 'differs from the first time' : `${measured}; ${bounds}`;
    findings.push({ output, error, reason: good ? '' : reason });
  });
  for (const { output, error } of findings) {
    if (!Number.isNaN(error.norm)) note(data, job, output, error, text);
  }
  // One failure per case, however many of its outputs are wrong.
  const [first, ...others] = findings.filter(({ reason }) => reason !== '');
  if (!first) return;
  const more =
    others.length > 0 ? `; and ${others.map(({ output }) => output).join(', ')}`.slice(0, 100) : '';
  fail(data, job, first.output, text, first.reason + more);
}

/** Which jobs this process runs: those whose name has one of the words, all where there are none. */
function isWanted(job: Job, words: readonly string[]): boolean {
  return words.length === 0 || words.some((word) => `${job.name} ${job.variant.name}`.includes(word));
}

export async function parity(session: Session): Promise<number> {
  const rounds = Number(process.env['SPHERENET_GPU_BENCH_ROUNDS'] ?? ROUNDS);
  const { jobs, fixtures } = sequence(rounds);
  const file = new StageFile<ParityData>(session, {
    ...{ done: 0, total: jobs.length, fixtures: 0, randomCases: 0, worst: {} },
    ...{ failures: [], failureCount: 0, fatal: [], tolerances: TOLERANCES },
    fixtureTolerances: FIXTURE_TOLERANCES,
  });
  const { data } = file;
  data.total = jobs.length;
  const died = file.takeMark();
  if (died !== null && jobs[Number(died)]) giveUp(file, jobs, Number(died), 'the process died in it');

  while (data.done < jobs.length && secondsLeft(session) > 0) {
    const index = data.done;
    const job = jobs[index] as Job;
    if (!data.fatal.includes(index) && isWanted(job, session.words)) {
      file.mark(String(index));
      try {
        await runJob(data, job);
      } catch (error) {
        const hung = error instanceof Hung;
        if (hung || !isAlive()) {
          giveUp(file, jobs, index, (error as Error).message);
          file.clearMark();
          // Leaving in good order would wait for the device, for ever.
          if (hung) process.kill(process.pid, 'SIGKILL');
          return EXIT_RESTART;
        }
        fail(data, job, 'all', job.text(), (error as Error).message);
      }
      if (index < fixtures) data.fixtures += 1;
      else data.randomCases += 1;
    }
    data.done = index + 1;
    file.saveNowAndThen();
  }
  file.finish(data.done >= jobs.length);
  const { randomCases, failureCount } = data;
  console.log(`  ${data.fixtures} fixtures, ${randomCases} random cases, ${failureCount} failures`);
  return 0;
}

function giveUp(file: StageFile<ParityData>, jobs: readonly Job[], index: number, reason: string): void {
  const { data } = file;
  if (data.fatal.includes(index)) return;
  data.fatal.push(index);
  const job = jobs[index] as Job;
  fail(data, job, 'all', job.text(), reason);
  file.save();
}
