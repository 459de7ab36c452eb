// Faults of device cuda, one per run; the environment plants them. Prints what was seen as JSON.
const { tensor, zeros, ops, device, memory, scope } = require('./library.js');

const errorOf = (call) => {
  try {
    call();
    return null;
  } catch ({ code, message }) {
    return { code, message };
  }
};
const rejectionOf = (promise) =>
  promise.then(
    () => null,
    ({ code, message }) => ({ code, message }),
  );
const cpuWorks = () =>
  scope(
    () =>
      ops
        .add(tensor([1, 2], { device: 'cpu' }), 1)
        .dataSync()
        .join() === '2,3',
  );

const faults = {
  /** Whether the device can be used at all. */
  status() {
    const { available, reason } = device.cuda.status();
    return { available, reason, used: errorOf(() => device.use('cuda')), cpuWorks: cpuWorks() };
  },

  /** Asks for memory until there is none, and then frees it. */
  memory() {
    device.use('cuda');
    const held = [];
    const fill = () => {
      for (let i = 0; i < 1000; ++i) held.push(zeros([1 << 20]));
    };
    const first = errorOf(fill);
    const op = errorOf(() => ops.add(held[0], held[1]));
    const usable = held[0].dataSync()[7];
    held.splice(0, 3).forEach((t) => t.dispose());
    // Blocks lie where they lay: what is freed side by side serves as one.
    const again = errorOf(() => zeros([3 << 20]).dispose());
    held.forEach((t) => t.dispose());
    const afterAll = errorOf(() => zeros([12 << 20]).dispose());
    const absurd = errorOf(() => zeros([2 ** 31 - 1], { dtype: 'float64' }));
    device.emptyCache();
    const { cachedBytes } = memory();
    return {
      first,
      op,
      usable,
      again,
      afterAll,
      absurd,
      cachedBytes,
      count: held.length,
      cpuWorks: cpuWorks(),
    };
  },

  /** The third kernel fails. */
  async lost() {
    device.use('cuda');
    const x = zeros([4, 5]); // 1
    const y = ops.add(x, 1); // 2
    const z = errorOf(() => scope(() => void ops.relu(y))); // 3
    const reading = await rejectionOf(y.data());
    const later = {
      op: errorOf(() => ops.add(y, y)),
      tensor: errorOf(() => zeros([3])),
      write: errorOf(() => x.assign(new Float32Array(20))),
      read: await rejectionOf(x.data()),
      readSync: errorOf(() => x.dataSync()),
      synchronize: errorOf(() => device.synchronize()),
      emptyCache: errorOf(() => device.emptyCache()),
      to: errorOf(() => ops.to(tensor([1], { device: 'cpu' }), 'cuda')),
    };
    x.dispose();
    y.dispose();
    const { bytes } = memory().devices.cuda;
    return { z, reading, later, bytes, cpuWorks: cpuWorks() };
  },

  /** The context is lost while a copy to the CPU is awaited there. */
  async lostAcross() {
    device.use('cuda');
    const y = ops.add(ops.add(zeros([4]), 1), 1);
    const onCpu = ops.to(y, 'cpu');
    return { error: await rejectionOf(onCpu.data()), cpuWorks: cpuWorks() };
  },

  /** The second launch is refused, which loses nothing. */
  refused() {
    device.use('cuda');
    const x = zeros([4, 5]);
    const refused = errorOf(() => ops.scale(x, 2, 1));
    const next = ops.scale(x, 2, 1).dataSync()[0];
    return { refused, next, synchronize: errorOf(() => device.synchronize()) };
  },
};

Promise.resolve(faults[process.argv[2]]()).then((seen) => console.log(JSON.stringify(seen)));
