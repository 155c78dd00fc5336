/** Files in the place of what an earlier transfer has left, and what others are writing. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Connection } from '../../src/index.js';
import { startServer } from '../../src/testing/index.js';
import { localFileSystem } from '../../src/transfer/local/local.js';
import { sourceMark, temporaryPath } from '../../src/transfer/resume/temporary-file.js';
import { type Attacker, makeAttacker, makeSharedFolder, needsRoot } from '../support/attacker.js';
import { programOf } from '../support/child.js';
import { makeFolder } from '../support/folder.js';
import { inputFor, startTransfer, TRANSFER_PROGRAM } from '../support/kill-run.js';
import { connectToServer, connectToSshd } from '../support/login.js';
import { needsOpenSsh, type Sshd, startSshd } from '../support/sshd.js';

const SIZE = 3_000_000;
const CONTENT = randomBytes(SIZE);
const SECRET = 'secret';

interface Planting {
  readonly attacker: Attacker;
  /** What was left, under its name. */
  readonly path: string;
  /** A file of ours that only we may read. */
  readonly secret: string;
  readonly good: Buffer;
}

/** What is laid in the place of what was left. */
const PLANTS: Readonly<Record<string, (planting: Planting) => void>> = {
  'a file of one byte that everybody may write to': ({ attacker, path, good }) =>
    plant(attacker, path, good.subarray(0, 1)),
  'a file of his with what was left': ({ attacker, path, good }) => plant(attacker, path, good),
  'a file of his with 14 other bytes in the middle': ({ attacker, path, good }) =>
    plant(attacker, path, withOtherBytes(good)),
  'a symbolic link to a file of ours': ({ path, secret }) => symlinkSync(secret, path),
  'a symbolic link that leads nowhere': ({ path }) => symlinkSync('nowhere', path),
  'a second name of a file of ours': ({ path, secret }) => linkSync(secret, path),
  'a FIFO': ({ path }) => void execFileSync('mkfifo', [path]),
  'a directory': ({ path }) => mkdirSync(path),
  'a file of ours with 14 other bytes in the middle, under a name that he has given it': ({ path, good }) =>
    writeFileSync(path, withOtherBytes(good)),
  'a file of ours that everybody may write to': ({ path, good }) => {
    writeFileSync(path, good);
    chmodSync(path, 0o666);
  },
};

function plant({ uid, gid }: Attacker, path: string, content: Buffer): void {
  writeFileSync(path, content);
  chownSync(path, uid, gid);
  chmodSync(path, 0o666);
}

function withOtherBytes(content: Buffer): Buffer {
  const changed = Buffer.from(content);
  for (let index = 0; index < 14; index += 1) {
    const at = Math.floor(content.length / 2) + index;
    changed.writeUInt8(changed.readUInt8(at) ^ 0xff, at);
  }
  return changed;
}

type Transfer = (options: {
  readonly resume: true;
  readonly signal?: AbortSignal;
  readonly callback?: (done: number) => void;
}) => Promise<unknown>;

async function interrupt(transfer: Transfer): Promise<void> {
  const abort = new AbortController();
  const callback = (done: number) => void (done > SIZE / 2 && abort.abort('enough'));
  await assert.rejects(
    transfer({ resume: true, signal: abort.signal, callback }),
    (reason) => reason === 'enough',
  );
}

/** The path of what was left in a folder, once it has come to rest. */
async function restingIn(folder: string): Promise<string> {
  for (;;) {
    const name = readdirSync(folder).find((file) => /^\.tsftp-[0-9a-f]{12}-[0-9a-f]{12}\.part$/.test(file));
    if (name !== undefined) return join(folder, name);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('what lies in the place of what was left', { skip: needsRoot || needsOpenSsh }, () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd?.stop());

  for (const direction of ['get', 'put'] as const) {
    for (const [name, lay] of Object.entries(PLANTS)) {
      test(`X3: ${direction} does not go on with ${name}`, async (t) => {
        const attacker = makeAttacker(t);
        // Whoever may write to it may exchange what is in it, but for what is like /tmp.
        const folder = makeSharedFolder(t, { mode: 0o777 });
        const own = makeFolder(t);
        const [source, target, secret] = [join(own, 'source'), join(folder, 'target'), join(own, 'secret')];
        writeFileSync(source, CONTENT);
        writeFileSync(secret, SECRET, { mode: 0o600 });
        const sftp = await connectToSshd(sshd);
        t.after(() => sftp.close());
        const transfer: Transfer = (options) => sftp[direction](source, target, options);
        await interrupt(transfer);
        const path = await restingIn(folder);
        const good = readFileSync(path);
        unlinkSync(path);
        lay({ attacker, path, secret, good });
        const planted = lstatSync(path);
        await transfer({ resume: true });
        assert.ok(readFileSync(target).equals(CONTENT));
        const { uid, mode, nlink } = lstatSync(target);
        assert.deepEqual([uid, mode & 0o022, nlink], [0, 0, 1]);
        assert.equal(readFileSync(secret, 'utf8'), SECRET);
        const isStill = readdirSync(folder).length === 2;
        // What is not ours is not removed; what is ours and of no use may be.
        if (planted.uid !== 0) assert.ok(isStill);
        if (isStill) assert.equal(lstatSync(path).ino, planted.ino);
      });
    }

    test(`X3: ${direction} goes on with what is its own, in a directory that others may write to as well`, async (t) => {
      const folder = makeSharedFolder(t, { mode: 0o777 });
      const source = join(makeFolder(t), 'source');
      writeFileSync(source, CONTENT);
      const sftp = await connectToSshd(sshd);
      t.after(() => sftp.close());
      const transfer: Transfer = (options) => sftp[direction](source, join(folder, 'target'), options);
      await interrupt(transfer);
      const { ino } = statSync(await restingIn(folder));
      await transfer({ resume: true });
      assert.equal(statSync(join(folder, 'target')).ino, ino);
      assert.ok(readFileSync(join(folder, 'target')).equals(CONTENT));
      assert.deepEqual(readdirSync(folder), ['target']);
    });
  }

  test('X3: a user without rights is not kept from resuming by what another one has laid', async (t) => {
    const [attacker, victim] = [makeAttacker(t), makeAttacker(t)];
    const folder = makeSharedFolder(t, { mode: 0o1777 });
    const source = join(makeFolder(t), 'source');
    writeFileSync(source, CONTENT);
    const sftp = await connectToSshd(sshd);
    t.after(() => sftp.close());
    const transfer: Transfer = (options) =>
      asUser(victim, () => sftp.get(source, join(folder, 'target'), options));
    await interrupt(transfer);
    const path = await restingIn(folder);
    const good = readFileSync(path);
    unlinkSync(path);
    plant(attacker, path, good);
    for (let turn = 0; turn < 2; turn += 1) await interrupt(transfer);
    await transfer({ resume: true });
    assert.ok(readFileSync(join(folder, 'target')).equals(CONTENT));
    assert.equal(statSync(join(folder, 'target')).uid, victim.uid);
    assert.ok(readFileSync(path).equals(good));
  });
});

async function asUser<T>({ uid }: Attacker, work: () => Promise<T>): Promise<T> {
  process.seteuid?.(uid);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

describe('what somebody else is writing', () => {
  const needsNamespaces =
    needsRoot || (process.platform === 'linux' ? false : 'needs Linux, for PID namespaces');

  test('X10: what is written in another container is left alone', { skip: needsNamespaces }, async (t) => {
    const content = randomBytes(2_000_000);
    const server = await startServer({ files: { large: content, small: 'small' } });
    t.after(() => server.close());
    const folder = makeFolder(t);
    const { child } = await startTransfer(
      server,
      { kind: 'get', local: join(folder, 'large'), remote: '/large', bytesPerSecond: 1_000_000 },
      ['unshare', '--pid', '--fork', '--mount-proc'],
    );
    const exited = once(child, 'exit');
    const [name = ''] = readdirSync(folder);
    const sftp = await connectToServer(server);
    t.after(() => sftp.close());
    await sftp.get('/small', join(folder, 'small'));
    assert.deepEqual(readdirSync(folder).sort(), [name, 'small']);
    assert.deepEqual(await exited, [0, null]);
    assert.ok(readFileSync(join(folder, 'large')).equals(content));
  });

  test('X10: what a terminated worker has left is removed by the next transfer of the process', async (t) => {
    const server = await startServer({ files: { large: randomBytes(8_000_000), small: 'small' } });
    t.after(() => server.close());
    const folder = makeFolder(t);
    const task = {
      kind: 'get',
      local: join(folder, 'large'),
      remote: '/large',
      bytesPerSecond: 1_000_000,
    } as const;
    const [program = ''] = programOf(TRANSFER_PROGRAM);
    const worker = new Worker(program, { argv: [inputFor(server, task)], stdout: true });
    const [line] = await once(createInterface({ input: worker.stdout }), 'line');
    assert.equal(line, 'moving');
    const sftp = await connectToServer(server);
    t.after(() => sftp.close());
    await sftp.get('/small', join(folder, 'small'));
    assert.equal(readdirSync(folder).length, 2, 'it is still being written');
    await worker.terminate();
    // Another connection looks for itself.
    const other = await connectToServer(server);
    t.after(() => other.close());
    await other.get('/small', join(folder, 'small'));
    assert.deepEqual(readdirSync(folder), ['small']);
  });

  test('X10: whoever comes with the same owner goes on at once, and nobody else does', async (t) => {
    const content = randomBytes(40 * 1024 * 1024);
    const server = await startServer({ files: { large: content } });
    t.after(() => server.close());
    const folder = makeFolder(t);
    const sftp = await connectToServer(server);
    t.after(() => sftp.close());
    const target = join(folder, 'large');
    const part = await leaveElsewhere(sftp, target, content.subarray(0, 36 * 1024 * 1024));
    const firstFigure = async (owner?: string) => {
      const figures: number[] = [];
      const abort = new AbortController();
      const callback = (done: number) => {
        figures.push(done);
        abort.abort('enough');
      };
      const options = { resume: true, signal: abort.signal, callback, ...(owner !== undefined && { owner }) };
      await assert.rejects(sftp.get('/large', target, options), (reason) => reason === 'enough');
      return figures[0] ?? 0;
    };
    assert.ok((await firstFigure('job 2')) < 4 * 1024 * 1024);
    for (const name of readdirSync(folder)) if (name !== part) unlinkSync(join(folder, name));
    assert.ok((await firstFigure('job 1')) >= 4 * 1024 * 1024);
  });

  test('an owner is a string, and means something with resume only', async (t) => {
    const server = await startServer({ files: { file: 'x' } });
    t.after(() => server.close());
    const sftp = await connectToServer(server);
    t.after(() => sftp.close());
    const local = join(makeFolder(t), 'file');
    await assert.rejects(sftp.get('/file', local, { owner: 'job' }), {
      name: 'TypeError',
      message: 'owner needs resume: it tells who may resume at once',
    });
    for (const owner of ['', 7 as never]) {
      await assert.rejects(sftp.get('/file', local, { resume: true, owner }), { name: 'TypeError' });
    }
  });
});

/** Content of `/large`, as job 1 leaves it when it is killed on another machine. */
async function leaveElsewhere(sftp: Connection, target: string, content: Buffer): Promise<string> {
  const { size, mtime } = await sftp.stat('/large');
  const info = { type: 'file', size, mtime, atime: undefined, mode: undefined } as const;
  const place = { fileSystem: localFileSystem, path: Buffer.from(target) };
  const path = temporaryPath(place, sourceMark(Buffer.from('/large'), info), 'job 1').toString();
  writeFileSync(path, content);
  const elsewhere = path.replace(/[0-9a-f]{12}([0-9a-f]{32}\.part)$/, 'ffffffffffff$1');
  renameSync(path, elsewhere);
  return elsewhere.slice(dirname(elsewhere).length + 1);
}
