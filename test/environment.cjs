// Jest runs tests in a context of its own, with its own built-in classes. What the addon and Node itself make comes
// from the main context; these are shared, so that `instanceof` and `toEqual` say in a test what they say in a program.
const { TestEnvironment } = require('jest-environment-node');

const shared = { Float32Array, Float64Array, Int32Array, Uint8Array, Error };

module.exports = class extends TestEnvironment {
  async setup() {
    await super.setup();
    // Errors that the engine throws in the test's context must be instances of the shared Error as well.
    Object.setPrototypeOf(this.global.Error.prototype, Error.prototype);
    Object.assign(this.global, shared);
  }
};
