/** Plans as steps, and steps that are carried out, again, by several, and after something has changed. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type Connection, outlookOf } from '../../../src/index.js';
import {
  CHANNELS,
  claim,
  type ExecuteStepOptions,
  executeStep,
  type PlanMirrorOptions,
  parseStep,
  planMirror,
  STEP_SCHEMA,
  type Step,
  type StepEvent,
  writeEvents,
} from '../../../src/jobs/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

interface World {
  readonly sftp: Connection;
  readonly server: TestServer;
  /** The server's root on this disk, and the local directory. */
  readonly remote: string;
  readonly local: string;
}

async function open(t: TestContext): Promise<World> {
  const folder = makeFolder(t);
  const [remote, local] = [join(folder, 'remote'), join(folder, 'local')];
  for (const path of [remote, local]) mkdirSync(path);
  mkdirSync(join(remote, 'out'));
  const server = await startServer({ root: remote });
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  return { sftp, server, remote, local };
}

function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
    utimesSync(join(root, path), 1_700_000_000, 1_700_000_000);
  }
}

async function planOf(sftp: Connection, source: string, target: string, direction: 'up' | 'down') {
  const steps: Step[] = [];
  for await (const step of planMirror(sftp, source, target, { direction })) steps.push(step);
  return steps;
}

async function stepsOf({ sftp, local }: World, options: Partial<PlanMirrorOptions> = {}): Promise<Step[]> {
  const steps: Step[] = [];
  const plan = planMirror(sftp, '/out', local, { direction: 'down', ...options });
  for await (const step of plan) steps.push(parseStep(JSON.stringify(step)));
  return steps;
}

function run({ sftp, local }: World, step: Step, options: Partial<ExecuteStepOptions> = {}) {
  return executeStep(sftp, step, { direction: 'down', source: '/out', target: local, ...options });
}

const show = ({ action, path, reason }: Step) => `${action} ${path} ${reason}`;

describe('planMirror', () => {
  test('gives creations first, and deletions at the end, from the bottom', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { 'a/b/f': 'x', g: 'new', same: 's', z: 'file' });
    write(world.local, { g: 'older', same: 's', 'extra/deep/1': '', 'extra/2': '', 'z/in/the/way': '' });
    assert.deepEqual((await stepsOf(world, { delete: true })).map(show), [
      'create a missing',
      'create a/b missing',
      'create a/b/f missing',
      'update g size',
      'delete z/in/the/way type',
      'delete z/in/the type',
      'delete z/in type',
      'delete z type',
      'create z type',
      'delete extra/2 extra',
      'delete extra/deep/1 extra',
      'delete extra/deep extra',
      'delete extra extra',
    ]);
    const all = await stepsOf(world, { keep: true });
    assert.ok(all.map(show).includes('keep same same'));
    assert.ok(all.map(show).includes('keep extra extra'));
  });

  test('gives the same ids each time, and others for other content', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { f: 'x', g: 'y' });
    const [first, second] = [await stepsOf(world), await stepsOf(world)];
    assert.deepEqual(first, second);
    assert.equal(new Set(first.map(({ id }) => id)).size, 2);
    write(join(world.remote, 'out'), { f: 'longer' });
    const third = await stepsOf(world);
    assert.notEqual(third[0]?.id, first[0]?.id);
    assert.equal(third[1]?.id, first[1]?.id);
  });

  test('carries names that are not UTF-8, and the steps make the directories equal', async (t) => {
    const world = await open(t);
    const name = Buffer.from('caf\xe9', 'latin1');
    const at = (root: string) => Buffer.concat([Buffer.from(`${root}/`), name]);
    writeFileSync(at(join(world.remote, 'out')), 'odd');
    const [step] = await stepsOf(world);
    assert.ok(step);
    assert.deepEqual([step.path, step.pathBase64], [undefined, name.toString('base64')]);
    assert.equal((await run(world, step)).outcome, 'done');
    assert.equal(readFileSync(at(world.local), 'utf8'), 'odd');
  });

  test('is refused with a wrong option, and the filter has its own errors', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { f: 'x' });
    await assert.rejects(stepsOf(world, { direction: 'sideways' as 'up' }), TypeError);
    await assert.rejects(stepsOf(world, { deletes: true } as object), /did you mean 'delete'/);
    const filter = () => {
      throw new Error('mine');
    };
    await assert.rejects(stepsOf(world, { filter }), /^Error: mine$/);
  });
});

describe('a step', () => {
  const step: Step = {
    ...({
      v: 1,
      id: '0'.repeat(32),
      action: 'create',
      path: 'a/b',
      type: 'file',
      size: 1,
      mtime: 2,
    } as const),
    ...({ was: null, reason: 'missing' } as const),
  };

  test('comes out of JSON as it went in', () => {
    assert.deepEqual(parseStep(JSON.stringify(step)), step);
    assert.deepEqual(parseStep(JSON.parse(JSON.stringify(step))), step);
    assert.deepEqual(
      Object.keys(step).sort(),
      Object.keys(STEP_SCHEMA.properties)
        .filter((key) => key !== 'pathBase64')
        .sort(),
    );
  });

  const wrong: Readonly<Record<string, object>> = {
    'of another version': { v: 2 },
    'without an id': { id: undefined },
    'with an unknown action': { action: 'format' },
    'that leads up': { path: 'a/../../b' },
    'with an absolute path': { path: '/etc/passwd' },
    'that leads up in base64': { path: undefined, pathBase64: Buffer.from('../x').toString('base64') },
    'with two paths': { pathBase64: 'YQ==' },
    'with a size that is text': { size: '1' },
    'without was': { was: undefined },
  };
  for (const [what, fields] of Object.entries(wrong)) {
    test(`${what} is refused`, () => {
      assert.throws(() => parseStep({ ...step, ...fields }), TypeError);
    });
  }
});

describe('executeStep', () => {
  test('makes a directory the other one, and the second time everything is there already', async (t) => {
    for (const direction of ['down', 'up'] as const) {
      const world = await open(t);
      const [from, to] = [join(world.remote, 'out'), world.local];
      const [source, target] = direction === 'down' ? [from, to] : [to, from];
      write(source, { 'a/b/f': 'x', g: 'new' });
      write(target, { g: 'older', 'extra/1': '' });
      const places: readonly [string, string] = direction === 'down' ? ['/out', to] : [to, '/out'];
      const steps: Step[] = [];
      for await (const step of planMirror(world.sftp, ...places, { direction, delete: true }))
        steps.push(step);
      for (const expected of ['done', 'already'] as const) {
        const outcomes: string[] = [];
        for (const step of steps) {
          const options = { direction, source: places[0], target: places[1] };
          outcomes.push((await executeStep(world.sftp, step, options)).outcome);
        }
        assert.deepEqual(new Set(outcomes), new Set([expected]));
      }
      assert.deepEqual(readdirSync(target, { recursive: true }).sort(), ['a', 'a/b', 'a/b/f', 'g']);
      assert.equal(readFileSync(join(target, 'g'), 'utf8'), 'new');
      assert.equal(statSync(join(target, 'g')).mtimeMs, 1_700_000_000_000);
    }
  });

  test('makes the directories above a file, in whatever order steps come', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { 'a/b/f': 'x' });
    rmSync(world.local, { recursive: true });
    const steps = await stepsOf(world);
    assert.equal((await run(world, steps.at(-1) as Step)).outcome, 'done');
    assert.equal((await run(world, steps[0] as Step)).outcome, 'already');
  });

  test('refuses a source or a target that has changed, and touches neither', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { f: 'one', g: 'two' });
    write(world.local, { g: 'old' });
    utimesSync(join(world.local, 'g'), 1, 1);
    const [f, g] = (await stepsOf(world)) as [Step, Step];
    writeFileSync(join(world.local, 'f'), 'in the way');
    await assert.rejects(run(world, f), { name: 'TransferError', code: 'TARGET_CHANGED', side: 'local' });
    assert.equal(readFileSync(join(world.local, 'f'), 'utf8'), 'in the way');
    writeFileSync(join(world.local, 'g'), 'changed meanwhile');
    await assert.rejects(run(world, g), { code: 'TARGET_CHANGED' });
    rmSync(join(world.local, 'f'));
    writeFileSync(join(world.remote, 'out/f'), 'three!');
    await assert.rejects(run(world, f), { code: 'SOURCE_CHANGED', side: 'remote' });
    rmSync(join(world.remote, 'out/f'));
    await assert.rejects(run(world, f), { code: 'SOURCE_CHANGED' });
    assert.deepEqual(readdirSync(world.local), ['g']);
  });

  test('refuses a target that changes while the file is on its way', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { f: 'new content' });
    write(world.local, { f: 'old' });
    const [step] = (await stepsOf(world)) as [Step];
    const callback = () => writeFileSync(join(world.local, 'f'), 'somebody else');
    await assert.rejects(run(world, step, { callback }), { code: 'TARGET_CHANGED' });
    assert.equal(readFileSync(join(world.local, 'f'), 'utf8'), 'somebody else');
  });

  test('deletes or moves the source only when the target has it, and knows both again', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { 'd/f': 'one', g: 'two' });
    const steps = (await stepsOf(world)).filter(({ type }) => type === 'file') as [Step, Step];
    const arrived: boolean[] = [];
    const onArrived = () => {
      arrived.push(existsSync(join(world.local, 'd/f')) && existsSync(join(world.remote, 'out/d/f')));
    };
    const first = await run(world, steps[0], { complete: { move: '/done' }, onArrived });
    assert.deepEqual([first.outcome, first.completed, arrived], ['done', true, [true]]);
    assert.equal(readFileSync(join(world.remote, 'done/d/f'), 'utf8'), 'one');
    assert.equal(existsSync(join(world.remote, 'out/d/f')), false);
    const again = await run(world, steps[0], { complete: { move: '/done' } });
    assert.deepEqual([again.outcome, again.completed], ['already', true]);
    assert.equal((await run(world, steps[1], { complete: 'delete' })).completed, true);
    assert.equal(existsSync(join(world.remote, 'out/g')), false);
    assert.deepEqual((await run(world, steps[1], { complete: 'delete' })).outcome, 'already');
  });

  test('keeps what was moved before under the same name', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { f: 'two' });
    write(join(world.remote, 'done'), { f: 'one' });
    const [step] = (await stepsOf(world)) as [Step];
    await run(world, step, { complete: { move: '/done' } });
    assert.deepEqual(readdirSync(join(world.remote, 'done')).sort(), ['f', `f.${step.id.slice(0, 12)}`]);
  });

  test('leaves the source where the caller does not confirm it', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { f: 'x' });
    const [step] = (await stepsOf(world)) as [Step];
    const onArrived = async () => {
      throw new Error('the database is down');
    };
    await assert.rejects(run(world, step, { complete: 'delete', onArrived }), /the database is down/);
    assert.equal(existsSync(join(world.remote, 'out/f')), true);
    assert.deepEqual(
      await run(world, step, { complete: 'delete' }).then(({ outcome }) => outcome),
      'already',
    );
    assert.equal(existsSync(join(world.remote, 'out/f')), false);
  });

  test('by many at once ends with one file and no leftover', async (t) => {
    const world = await open(t);
    const content = 'x'.repeat(3_000_000);
    write(join(world.remote, 'out'), { f: content });
    const [step] = (await stepsOf(world)) as [Step];
    const results = await Promise.all(
      Array.from({ length: 4 }, () => run(world, step).catch((error) => error)),
    );
    const outcomes = results.map((result) => result.outcome ?? result.code);
    assert.ok(outcomes.includes('done') || outcomes.includes('already'), String(outcomes));
    assert.equal(readFileSync(join(world.local, 'f'), 'utf8'), content);
    assert.equal((await run(world, step)).outcome, 'already');
    assert.deepEqual(readdirSync(world.local), ['f']);
  });

  test('resumes what the same owner has left', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { f: 'x'.repeat(8_000_000) });
    const [step] = (await stepsOf(world)) as [Step];
    const controller = new AbortController();
    const callback = (transferred: number) => {
      if (transferred > 4_000_000) controller.abort(new Error('stop'));
    };
    await assert.rejects(run(world, step, { callback, signal: controller.signal }), /stop/);
    const progress: number[] = [];
    await run(world, step, { callback: (transferred) => void progress.push(transferred) });
    assert.ok((progress[0] ?? 0) > 1_000_000, `${progress[0]}`);
    assert.deepEqual(readdirSync(world.local), ['f']);
  });

  for (const direction of ['down', 'up'] as const)
    test(`may be tried again where a worker with the same step has taken what was written (${direction})`, async (t) => {
      const { sftp, remote, local } = await open(t);
      const content = 'x'.repeat(8_000_000);
      const [from, to] = direction === 'down' ? [join(remote, 'out'), local] : [local, join(remote, 'out')];
      const [source, target] = direction === 'down' ? ['/out', local] : [local, '/out'];
      write(from, { f: content });
      const [step] = (await planOf(sftp, source, target, direction)) as [Step];
      const callback = () => {
        for (const name of readdirSync(to)) rmSync(join(to, name));
      };
      await assert.rejects(executeStep(sftp, step, { direction, source, target, callback }), (error) => {
        assert.deepEqual(
          [(error as NodeJS.ErrnoException).code, outlookOf(error)],
          ['OVERTAKEN', 'retry'],
          String(error),
        );
        return true;
      });
      assert.equal((await executeStep(sftp, step, { direction, source, target })).outcome, 'done');
      assert.deepEqual(readdirSync(to), ['f']);
    });

  test('finds what was left a moment ago by an attempt of another process', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { f: 'x'.repeat(8_000_000), g: 'g' });
    const [f, g] = (await stepsOf(world)) as [Step, Step];
    await run(world, g);
    const other = await connectToServer(world.server);
    const stop = new AbortController();
    const callback = (transferred: number) => transferred > 4_000_000 && stop.abort(new Error('stop'));
    await assert.rejects(run({ ...world, sftp: other }, f, { callback, signal: stop.signal }), /stop/);
    await other.close();
    assert.equal(readdirSync(world.local).length, 2);
    await run(world, f, { attempt: 2 });
    assert.deepEqual(readdirSync(world.local).sort(), ['f', 'g']);
  });

  for (const how of ['a closed connection', 'an abort'])
    test(`leaves nothing after ${how} when another worker has completed the file meanwhile`, async (t) => {
      const world = await open(t);
      const content = 'x'.repeat(8_000_000);
      write(join(world.remote, 'out'), { f: content });
      const [step] = (await stepsOf(world)) as [Step];
      const other = await connectToServer(world.server);
      const stop = new AbortController();
      const callback = (transferred: number) => {
        if (transferred < 4_000_000 || existsSync(join(world.local, 'f'))) return;
        write(world.local, { f: content });
        if (how === 'an abort') stop.abort(new Error('stop'));
        else void other.close();
      };
      const running = run({ ...world, sftp: other }, step, { callback, signal: stop.signal });
      await assert.rejects(running, how === 'an abort' ? /stop/ : { code: 'CLOSED' });
      await other.close();
      assert.deepEqual(readdirSync(world.local), ['f']);
      assert.equal((await run(world, step)).outcome, 'already');
    });

  test('follows no link that was laid below the target', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { 'd/f': 'x' });
    const steps = await stepsOf(world);
    const outside = makeFolder(t);
    symlinkSync(outside, join(world.local, 'd'));
    await assert.rejects(run(world, steps.at(-1) as Step));
    assert.deepEqual(readdirSync(outside), []);
  });

  test('copies links that stay inside', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { f: 'x' });
    symlinkSync('f', join(world.remote, 'out/link'));
    const steps = await stepsOf(world, { symlinks: 'copy' });
    for (const expected of ['done', 'already']) {
      for (const step of steps) assert.equal((await run(world, step)).outcome, expected);
    }
    assert.equal(readFileSync(join(world.local, 'link'), 'utf8'), 'x');
    rmSync(join(world.remote, 'out/link'));
    symlinkSync('/etc/passwd', join(world.remote, 'out/link'));
    await assert.rejects(run(world, steps[1] as Step), { code: 'OUTSIDE' });
  });

  test('tells its beginning and its end as JSON lines', async (t) => {
    const world = await open(t);
    write(join(world.remote, 'out'), { f: 'abc' });
    const [step] = (await stepsOf(world)) as [Step];
    const lines: string[] = [];
    const stop = writeEvents({ write: (text: string) => lines.push(text) > 0 }, [CHANNELS.step]);
    await run(world, step, { attempt: 2, server: 'partner' });
    renameSync(join(world.local, 'f'), join(world.local, 'g'));
    rmSync(join(world.remote, 'out/f'));
    await assert.rejects(run(world, step));
    stop();
    const events = lines.map((line) => JSON.parse(line) as StepEvent);
    assert.deepEqual(
      events.map(({ event, outcome, bytes, code, attempt, server }) => [
        event,
        outcome,
        bytes,
        code,
        attempt,
        server,
      ]),
      [
        ['start', undefined, undefined, undefined, 2, 'partner'],
        ['end', 'done', 3, undefined, 2, 'partner'],
        ['start', undefined, undefined, undefined, undefined, undefined],
        ['end', 'failed', 0, 'SOURCE_CHANGED', undefined, undefined],
      ],
    );
  });
});

describe('claim', () => {
  test('gives a file to exactly one of many', async (t) => {
    const { sftp, remote } = await open(t);
    write(remote, { 'out/f': 'x' });
    mkdirSync(join(remote, 'claimed'));
    const won = await Promise.all(
      Array.from({ length: 10 }, (_, index) => claim(sftp, '/out/f', `/claimed/${index}`, { isOwn: true })),
    );
    assert.equal(won.filter(Boolean).length, 1);
    const [name] = readdirSync(join(remote, 'claimed'));
    assert.equal(won[Number(name)], true);
    assert.equal(await claim(sftp, '/out/f', `/claimed/${name}`, { isOwn: true }), true);
    assert.equal(await claim(sftp, '/out/f', `/claimed/${name}`), false);
  });

  test('replaces nothing', async (t) => {
    const { sftp, remote } = await open(t);
    write(remote, { 'out/f': 'new', 'claimed/f': 'old' });
    await assert.rejects(claim(sftp, '/out/f', '/claimed/f'), { code: 'EEXIST' });
    assert.equal(readFileSync(join(remote, 'claimed/f'), 'utf8'), 'old');
  });
});
