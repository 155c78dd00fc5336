/** What signals do to the program: while it transfers, connects, asks, and waits to try again. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { builtProgram, type ProgramWorld, startWorld } from '../../support/program.js';
import { needsOpenSsh } from '../../support/sshd.js';

const PATIENCE_MS = 30_000;

/** A transfer that ends long after the test. */
const SLOWLY = ['--bwlimit', '200K', '--progress', 'json'];

const LARGE = Buffer.alloc(4_000_000);

/** The program while it runs. */
class Running {
  readonly child: ChildProcess;
  output = '';

  constructor(t: TestContext, world: ProgramWorld, words: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [builtProgram(), '-F', world.config, ...words], {
      cwd: world.folder,
      env: { ...world.env, ...env },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    t.after(() => this.child.kill('SIGKILL'));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      this.child.emit('told');
    });
  }

  async says(pattern: RegExp): Promise<void> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    while (!pattern.test(this.output)) {
      await once(this.child, 'told', { signal }).catch(() => {
        assert.fail(`${pattern} was not said:\n${this.output}`);
      });
    }
  }

  /** Resolves when it waits for more of its standard input. */
  async reads(): Promise<void> {
    const folder = `/proc/${this.child.pid}/fdinfo`;
    const watches = (fd: string) => {
      try {
        return /^tfd:\s+0 /m.test(readFileSync(join(folder, fd), 'utf8'));
      } catch {
        // It was closed after it was listed.
        return false;
      }
    };
    const deadline = performance.now() + PATIENCE_MS;
    while (!readdirSync(folder).some(watches)) {
      assert.ok(performance.now() < deadline, 'It does not read its standard input');
      await delay(20);
    }
  }

  async ended(): Promise<number | null> {
    const [status, signal] = await once(this.child, 'close', { signal: AbortSignal.timeout(PATIENCE_MS) });
    assert.equal(signal, null, this.output);
    return status;
  }
}

/** Each moves `LARGE` to the name `new`, from one folder into the other. */
const TRANSFERS: Readonly<Record<string, (from: string, to: string) => readonly string[]>> = {
  get: (from, to) => ['get', `box:${from}/large.bin`, `${to}/new`],
  put: (from, to) => ['put', `${from}/large.bin`, `box:${to}/new`],
  'mirror down': (from, to) => ['mirror', `box:${from}`, `${to}/new`],
  'mirror up': (from, to) => ['mirror', from, `box:${to}/new`],
};

/** The files of a folder, also those that are not complete. */
function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => name);
}

describe('A signal', { skip: needsOpenSsh, timeout: 180_000 }, () => {
  let world: ProgramWorld;
  let from: string;

  before(async () => {
    world = await startWorld();
    from = join(world.folder, 'from');
    mkdirSync(from);
    writeFileSync(join(from, 'large.bin'), LARGE);
  });
  after(() => world[Symbol.asyncDispose]());

  for (const [name, words] of Object.entries(TRANSFERS)) {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      test(`${signal} ends ${name} in order, with ${code}`, async (t) => {
        const to = join(world.folder, `to-${name}-${signal}`);
        mkdirSync(to);
        const run = new Running(t, world, [...SLOWLY, ...words(from, to)]);
        await run.says(/"bytes":[1-9]/);
        run.child.kill(signal);
        assert.equal(await run.ended(), code, run.output);
        assert.match(run.output, /^tsftp: Interrupted$/m);
        assert.deepEqual(filesBelow(to), []);
      });
    }
  }

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`${signal} ends a batch in the middle of a line, with ${code}`, async (t) => {
      const to = join(world.folder, `to-batch-${signal}`);
      mkdirSync(to);
      const run = new Running(t, world, [...SLOWLY, '-b', '-', `box:${to}`]);
      run.child.stdin?.end(`-put ${from}/large.bin new\nmkdir after\n`);
      await run.says(/"bytes":[1-9]/);
      run.child.kill(signal);
      assert.equal(await run.ended(), code, run.output);
      assert.deepEqual(readdirSync(to), []);
    });
  }

  test('that comes a second time ends the program at once', async (t) => {
    const { run } = await frozenTransfer(t);
    // The server does not answer, and the first is busy with what it has begun. The second may be the same keystroke.
    const ending = run.ended();
    const keys = setInterval(() => run.child.kill('SIGINT'), 50);
    t.after(() => clearInterval(keys));
    assert.equal(await ending, 130, run.output);
    assert.doesNotMatch(run.output, /Interrupted/);
  });

  test('of another kind ends it at once too, with the code of the last', async (t) => {
    const { run } = await frozenTransfer(t);
    run.child.kill('SIGINT');
    run.child.kill('SIGTERM');
    // Signals that are sent together may come in any order.
    const status = await run.ended();
    assert.ok(status === 130 || status === 143, `${status}: ${run.output}`);
    assert.doesNotMatch(run.output, /Interrupted/);
  });

  test('ends the program while it connects', async (t) => {
    const silent = createServer();
    silent.listen(0, '127.0.0.1');
    t.after(() => silent.close());
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const run = new Running(t, world, ['-P', `${port}`, 'ls', 'root@127.0.0.1:']);
    const [socket] = await once(silent, 'connection', { signal: AbortSignal.timeout(PATIENCE_MS) });
    t.after(() => socket.destroy());
    run.child.kill('SIGINT');
    assert.equal(await run.ended(), 130, run.output);
    assert.equal(run.output, 'tsftp: Interrupted\n');
  });

  for (const [what, words, given] of [
    ['the password', ['--password-stdin', 'ls', 'box:'], 'half of a passw'],
    ['the next line of a batch', ['-b', '-', 'box:'], 'pwd\n'],
    ['the input of a command', ['exec', '--stdin', 'box:', 'cat'], 'half'],
    ['names', ['rm', '--files-from', '-', 'box:'], 'half'],
  ] as const) {
    test(`ends the program while it waits for ${what}`, async (t) => {
      const run = new Running(t, world, words);
      run.child.stdin?.write(given);
      await run.reads();
      if (words[0] === '-b') await run.says(/tsftp> pwd/);
      run.child.kill('SIGINT');
      assert.equal(await run.ended(), 130, run.output);
      assert.match(run.output, /tsftp: Interrupted\n/);
    });
  }

  test('ends the program while it waits to connect again', async (t) => {
    const gone = await startWorld();
    t.after(() => gone[Symbol.asyncDispose]());
    writeFileSync(join(gone.folder, 'large.bin'), LARGE);
    const words = ['-vv', '--retry', '1000', ...SLOWLY, 'get', `box:${gone.folder}/large.bin`, 'new'];
    const run = new Running(t, gone, words);
    await run.says(/"bytes":[1-9]/);
    const { pid } = gone.sshd;
    const children = gone.sshd.children();
    for (const each of [pid, ...children]) process.kill(each, 'SIGKILL');
    await run.says(/reconnecting in \d+ ms, attempt 2 /);
    run.child.kill('SIGTERM');
    assert.equal(await run.ended(), 143, run.output);
    assert.ok(!existsSync(join(gone.folder, 'new')));
  });

  /** An upload whose server has stopped to answer. */
  async function frozenTransfer(t: TestContext) {
    const frozen = await startWorld();
    t.after(() => frozen[Symbol.asyncDispose]());
    writeFileSync(join(frozen.folder, 'large.bin'), LARGE);
    const run = new Running(t, frozen, [...SLOWLY, 'put', 'large.bin', `box:${frozen.folder}/new`]);
    await run.says(/"bytes":[1-9]/);
    frozen.sshd.pause();
    return { run };
  }
});
