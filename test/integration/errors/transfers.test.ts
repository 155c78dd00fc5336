/** What the failure of a transfer tells: the server's words, the side, the path that the caller gave. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { copyBetween, SftpStatusError, TransferError } from '../../../src/index.js';
import { type ServerOptions, startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';
import { startPipeServer, withoutSftpServer } from '../../support/pipe-server.js';
import { mountSmallDisk } from '../../support/small-disk.js';
import { openConnection } from '../../support/stream-connection.js';

const FILES = { 'in.txt': 'content', 'box/': '', 'tree/one': '1', 'other/file': 'x' };

async function begin(t: TestContext, faults: ServerOptions['faults'] = {}) {
  const server = await startServer({ files: FILES }, { faults });
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  const local = makeFolder(t);
  const file = join(local, 'new.exe');
  writeFileSync(file, 'content');
  return { server, sftp, local, file };
}

async function failureOf(call: Promise<unknown>): Promise<Error> {
  const error = await call.then(
    () => assert.fail('it resolved'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Error);
  return error;
}

describe('a refused upload', () => {
  const POLICY = { status: 4, message: 'uploads of .exe are not allowed' };
  const calls = {
    put: ({ sftp, file }) => sftp.put(file, 'new.exe'),
    putfo: ({ sftp }) => sftp.putfo('content', 'new.exe'),
    'putfo of a stream': ({ sftp }) => sftp.putfo(Readable.from(['content']), 'new.exe'),
    putR: ({ sftp, local }) => sftp.putR(local, '.'),
    putD: ({ sftp, local }) => sftp.putD(local, '.'),
    'atomic put': ({ sftp, file }) => sftp.put(file, 'new.exe', { atomic: true }),
    'mirror up': ({ sftp, local }) => sftp.mirror(local, '.', { direction: 'up' }),
    open: ({ sftp }) => sftp.open('new.exe', 'w'),
    writeFile: ({ sftp }) => sftp.writeFile('new.exe', 'content'),
    copy: ({ sftp }) => sftp.copy('in.txt', 'new.exe'),
  } as const satisfies Record<string, (world: Awaited<ReturnType<typeof begin>>) => Promise<unknown>>;

  for (const [name, call] of Object.entries(calls)) {
    test(`tells the failure of the OPEN with the server's words (${name})`, async (t) => {
      const world = await begin(t, {
        failOn: ({ kind, path = '' }) =>
          kind === 'open' && (path.endsWith('.exe') || path.includes('.tsftp-')) ? POLICY : undefined,
      });
      const error = await failureOf(call(world));
      assert.ok(error instanceof SftpStatusError, inspect(error));
      const { code, operation, serverMessage, side, path, message } = error;
      assert.deepEqual(
        { code, operation, serverMessage, side, path: path?.split('/').at(-1) },
        {
          code: 'FAILURE',
          operation: 'open',
          serverMessage: POLICY.message,
          side: 'remote',
          path: 'new.exe',
        },
      );
      assert.match(
        message,
        /^open '.*new\.exe': the server failed \(SSH_FX_FAILURE, the server says: uploads of \.exe are not allowed\)$/,
      );
    });
  }
});

describe('makedirs', () => {
  for (const call of ['makedirs', 'putR', 'mirror'] as const) {
    test(`tells the refusal of the server where the directory above is there (${call})`, async (t) => {
      const { sftp, local } = await begin(t, {
        failOn: ({ kind, path }) =>
          kind === 'mkdir' && path === 'box/a' ? { status: 4, message: 'not here' } : undefined,
      });
      const calls = {
        makedirs: () => sftp.makedirs('box/a'),
        putR: () => sftp.putR(local, 'box/a'),
        mirror: () => sftp.mirror(local, 'box/a', { direction: 'up' }),
      };
      await assert.rejects(calls[call], {
        name: 'SftpStatusError',
        code: 'FAILURE',
        path: 'box/a',
        message: "mkdir 'box/a': the server failed (SSH_FX_FAILURE, the server says: not here)",
      });
    });
  }

  test('makes no directory where a name is too long', async (t) => {
    const { sftp, server } = await begin(t);
    await assert.rejects(sftp.makedirs(`box/a/b/${'n'.repeat(256)}`), {
      code: 'ENAMETOOLONG',
      message: /^mkdir .* a name in it has 256 bytes; most systems allow 255 \(/,
    });
    assert.deepEqual(server.listNames('/box'), []);
  });
});

describe('an upload whose size cannot be confirmed', () => {
  const faults = {
    failOn: ({ kind, path = '' }: { kind: string; path: string | undefined }) =>
      kind === 'stat' && path.startsWith('box/') ? 'EACCES' : undefined,
  };

  test('is told to be complete, and how to do without', async (t) => {
    const { sftp, file, server } = await begin(t, faults);
    for (const call of [() => sftp.put(file, 'box/new'), () => sftp.putfo('content', 'box/new')]) {
      const error = await failureOf(call());
      assert.ok(error instanceof TransferError);
      const { code, side, path, bytesDone, message, cause } = error;
      assert.deepEqual(
        { code, side, path, bytesDone },
        { code: 'UNCONFIRMED', side: 'remote', path: 'box/new', bytesDone: 7 },
      );
      assert.match(message, /^The upload of 'box\/new' is complete \(7 bytes\)/);
      assert.match(message, /permission denied.*`confirm: false`/);
      assert.ok(cause instanceof SftpStatusError && cause.code === 'EACCES');
      assert.equal(server.readFile('/box/new').toString(), 'content');
    }
    await sftp.put(file, 'box/other', { confirm: false });
    assert.equal(server.readFile('/box/other').toString(), 'content');
  });

  test('leaves the target as it was where the copy is atomic, and says so', async (t) => {
    const { sftp, file, server } = await begin(t, faults);
    const error = await failureOf(sftp.put(file, 'box/new', { atomic: true }));
    assert.ok(error instanceof TransferError && error.code === 'UNCONFIRMED', inspect(error));
    assert.match(error.message, /accepted all 7 bytes for 'box\/new'.*did not take its place/);
    assert.doesNotMatch(inspect(error), /\.tsftp-/);
    assert.deepEqual(server.listNames('/box'), []);
  });
});

describe('a missing folder', () => {
  test('is told with the name that the caller gave, and not with a temporary one', async (t) => {
    const { sftp, file, local } = await begin(t);
    const { sftp: second } = await begin(t);
    const target = join(local, 'nodir', 'file');
    const calls: readonly (readonly [string, () => Promise<unknown>, string])[] = [
      ['get', () => sftp.get('in.txt', target), target],
      ['put', () => sftp.put(file, 'nodir/file', { atomic: true }), 'nodir/file'],
      ['put, resumed', () => sftp.put(file, 'nodir/file', { resume: true }), 'nodir/file'],
      ['putfo', () => sftp.putfo('content', 'nodir/file', { atomic: true }), 'nodir/file'],
      ['copy', () => sftp.copy('in.txt', 'nodir/file'), 'nodir/file'],
      ['copyBetween', () => copyBetween(sftp, 'in.txt', second, 'nodir/file'), 'nodir/file'],
    ];
    for (const [name, call, path] of calls) {
      const error = await failureOf(call());
      assert.doesNotMatch(inspect(error, { depth: 9 }), /\.tsftp-/, name);
      assert.match(error.message, /nodir\/file'/, name);
      assert.deepEqual([Reflect.get(error, 'code'), Reflect.get(error, 'path')], ['ENOENT', path], name);
    }
  });

  test('is told so too where only the last step of an atomic copy fails', async (t) => {
    const { sftp, file } = await begin(t, {
      failOn: ({ kind, extension }) =>
        kind === 'extended' && extension === 'posix-rename@openssh.com' ? 'EACCES' : undefined,
    });
    const error = await failureOf(sftp.put(file, 'box/new', { atomic: true }));
    assert.doesNotMatch(inspect(error, { depth: 9 }), /\.tsftp-/);
    assert.match(error.message, /^'box\/new' cannot be written .* and renamed \(EACCES\)/);
    assert.deepEqual([Reflect.get(error, 'side'), Reflect.get(error, 'path')], ['remote', 'box/new']);
  });
});

describe('the side that failed', () => {
  const readFails = { failOn: ({ kind }: { kind: string }) => (kind === 'read' ? 'EIO' : undefined) };
  const writeFails = { failOn: ({ kind }: { kind: string }) => (kind === 'write' ? 'EIO' : undefined) };

  async function failsAt(call: Promise<unknown>, side: 'local' | 'remote', path: string): Promise<void> {
    const error = await failureOf(call);
    assert.ok(error instanceof TransferError, inspect(error));
    assert.deepEqual([error.side, error.path], [side, path]);
  }

  test('is told of reading and writing on the server', async (t) => {
    const reading = await begin(t, readFails);
    const target = join(reading.local, 'got');
    await failsAt(reading.sftp.get('in.txt', target), 'remote', 'in.txt');
    await failsAt(reading.sftp.getfo('in.txt', { write: () => {} }), 'remote', 'in.txt');
    await failsAt(reading.sftp.getR('tree', reading.local), 'remote', 'tree/one');
    const writing = await begin(t, writeFails);
    await failsAt(writing.sftp.put(writing.file, 'box/new'), 'remote', 'box/new');
    await failsAt(writing.sftp.put(writing.file, 'box/new', { atomic: true }), 'remote', 'box/new');
    await failsAt(writing.sftp.putR(writing.local, 'box'), 'remote', 'box/new.exe');
    await failsAt(copyBetween(reading.sftp, 'in.txt', writing.sftp, 'new'), 'remote', 'in.txt');
    const good = await begin(t);
    await failsAt(copyBetween(good.sftp, 'in.txt', writing.sftp, 'new'), 'remote', 'new');
  });

  test('is told of streams and sinks on our side', async (t) => {
    const { sftp } = await begin(t);
    const sink = { write: () => Promise.reject(new Error('no more')) };
    await failsAt(sftp.getfo('in.txt', sink), 'local', 'the sink');
    const source = new Readable({ read: () => source.destroy(new Error('no more')) });
    await failsAt(sftp.putfo(source, 'new'), 'local', 'the source');
  });

  test('is told of what exists already, and of what is in the way', async (t) => {
    const { sftp, file, local } = await begin(t);
    await failsAt(sftp.get('in.txt', file, { overwrite: 'never' }), 'local', file);
    await failsAt(sftp.put(file, 'in.txt', { overwrite: 'never' }), 'remote', 'in.txt');
    mkdirSync(join(local, 'directory'));
    await failsAt(sftp.get('in.txt', join(local, 'directory')), 'local', join(local, 'directory'));
  });
});

describe('what a report tells', () => {
  test('survives JSON: errors of either side with their messages, and paths as text', async (t) => {
    const { sftp, local, file } = await begin(t, {
      failOn: ({ kind, path = '' }) =>
        kind === 'open' && /new\.exe$|\.tsftp-/.test(path) ? 'EACCES' : undefined,
    });
    const up = await sftp.putR(local, 'box', { continueOnError: true });
    const [failed] = JSON.parse(JSON.stringify(up)).failed;
    assert.deepEqual([failed.path, failed.error.code], [file, 'EACCES']);
    assert.match(failed.error.message, /^open 'box\/new\.exe': permission denied/);
    mkdirSync(join(local, 'tree', 'one'), { recursive: true });
    const down = await sftp.getR('tree', local, { continueOnError: true });
    assert.match(JSON.parse(JSON.stringify(down)).failed[0].error.message, /it is a directory/);
    const { plan } = await sftp.mirror('tree', join(local, 'copy'), { direction: 'down' });
    assert.deepEqual(JSON.parse(JSON.stringify(plan)), [
      { action: 'create', path: 'one', pathBytes: 'one', type: 'file', reason: 'missing', bytes: 1 },
    ]);
    assert.deepEqual(plan[0]?.pathBytes, Buffer.from('one'));
  });
});

describe('a full disk', { skip: withoutSftpServer }, () => {
  test('is ENOSPC on either side, and the side is told', async (t) => {
    const disk = mountSmallDisk(t);
    if (disk === undefined) return t.skip('needs the right to mount a tmpfs');
    const server = startPipeServer('/');
    t.after(() => server[Symbol.asyncDispose]());
    const sftp = await openConnection(server.stream);
    t.after(() => sftp.close());
    const large = join(makeFolder(t), 'large');
    writeFileSync(large, Buffer.alloc(3 * 1024 * 1024));
    const target = join(disk, 'target');
    const uploads = {
      put: () => sftp.put(large, target),
      'put, atomic': () => sftp.put(large, target, { atomic: true }),
      putfo: () => sftp.putfo(Buffer.alloc(3 * 1024 * 1024), target),
      copy: () => sftp.copy(large, target),
      copyBetween: () => copyBetween(sftp, large, sftp, target),
    };
    for (const [name, upload] of Object.entries(uploads)) {
      const error = await failureOf(upload());
      assert.equal(Reflect.get(error, 'code'), 'ENOSPC', `${name}: ${inspect(error)}`);
      assert.deepEqual([Reflect.get(error, 'side'), Reflect.get(error, 'path')], ['remote', target], name);
      assert.match(error.message, /no space left on the device/, name);
      assert.doesNotMatch(error.message, /without saying why/, name);
      rmSync(target, { force: true });
    }
    const error = await failureOf(sftp.get(large, target));
    assert.ok(error instanceof TransferError);
    assert.deepEqual([error.code, error.side, error.path], ['ENOSPC', 'local', target]);
    assert.deepEqual(readdirSync(disk), []);
  });
});
