/** Two workers in containers of their own, both with the same host name and the process id 1, that share a directory. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { type PlanMirrorOptions, planMirror, type Step } from '../../../src/jobs/index.js';
import { startServer } from '../../../src/testing/index.js';
import { programOf } from '../../support/child.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

const needsNamespaces =
  process.platform === 'linux' && process.getuid?.() === 0
    ? false
    : 'needs Linux and root, for PID namespaces';

const CONTENT = randomBytes(3_000_000);

const BYTES_PER_SECOND = 2_000_000;

/** One worker, and the lines that it has printed. */
class Container {
  readonly child: ChildProcess;
  readonly lines: string[] = [];

  constructor(t: TestContext, task: unknown) {
    const program = [...programOf('test/support/step-child.ts'), JSON.stringify(task)];
    const flags = ['--pid', '--fork', '--kill-child', '--mount-proc'];
    this.child = spawn('unshare', [...flags, process.execPath, ...program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.after(() => this.child.kill('SIGKILL'));
    const lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => {
      this.lines.push(line);
      this.child.emit('told');
    });
  }

  async tells(word: string): Promise<void> {
    const signal = AbortSignal.timeout(30_000);
    while (!this.lines.includes(word)) await once(this.child, 'told', { signal });
  }

  async outcome(): Promise<string | undefined> {
    if (this.child.exitCode === null) await once(this.child, 'close');
    return this.lines.at(-1);
  }
}

async function open(t: TestContext, direction: 'up' | 'down') {
  const folder = makeFolder(t);
  const [remote, local] = [join(folder, 'remote'), join(folder, 'local')];
  for (const path of [remote, local]) mkdirSync(path);
  mkdirSync(join(remote, 'out'));
  const [from, to] = direction === 'down' ? [join(remote, 'out'), local] : [local, join(remote, 'out')];
  writeFileSync(join(from, 'f'), CONTENT);
  const server = await startServer({ root: remote });
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  const options: PlanMirrorOptions = { direction };
  const [source, target] = direction === 'down' ? ['/out', local] : [local, '/out'];
  const steps: Step[] = [];
  for await (const step of planMirror(sftp, source, target, options)) steps.push(step);
  assert.deepEqual(
    steps.map(({ path }) => path),
    ['f'],
  );
  const { port, username, password, hostKey } = server;
  const start = (owner: string | undefined) =>
    new Container(t, {
      ...{ port, username, password, fingerprint: hostKey.fingerprint, bytesPerSecond: BYTES_PER_SECOND },
      step: steps[0],
      options: { direction, source, target, ...(owner === undefined ? {} : { owner }) },
    });
  return { to, start };
}

describe('Two workers in containers of their own', { skip: needsNamespaces, timeout: 120_000 }, () => {
  for (const direction of ['down', 'up'] as const) {
    for (const [whose, owners] of [
      ['the same step', [undefined, undefined]],
      ['one step as two owners', ['first', 'second']],
    ] as const) {
      test(`that carry out ${whose} (${direction}) do no harm, and leave one file`, async (t) => {
        const { to, start } = await open(t, direction);
        const workers = owners.map(start);
        for (const worker of workers) await worker.tells('ready');
        for (const worker of workers) worker.child.stdin?.write('go\n');
        await Promise.all(workers.map((worker) => worker.tells('moving')));
        const outcomes = await Promise.all(workers.map((worker) => worker.outcome()));
        const others = whose === 'the same step' ? ['already', 'OVERTAKEN'] : ['already'];
        assert.deepEqual(
          outcomes.filter((outcome) => !others.includes(outcome ?? '')),
          ['done'],
          outcomes.join(),
        );
        assert.ok(readFileSync(join(to, 'f')).equals(CONTENT));
        assert.deepEqual(readdirSync(to), ['f']);
      });
    }

    test(`of which one is killed in the middle of a step (${direction}): the other completes it`, async (t) => {
      const { to, start } = await open(t, direction);
      const [first, second] = [start(undefined), start(undefined)];
      for (const worker of [first, second]) {
        await worker.tells('ready');
        worker.child.stdin?.write('go\n');
        await worker.tells('moving');
      }
      first.child.kill('SIGKILL');
      assert.equal(await second.outcome(), 'done');
      assert.ok(readFileSync(join(to, 'f')).equals(CONTENT));
      assert.deepEqual(readdirSync(to), ['f']);
    });
  }
});
