/** `atomic: 'preferred'`: where the server refuses temporary names or renaming, and what must remain an error. */
import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { type Connection, copyBetween, type PutOptions } from '../../../src/index.js';
import { type ServerOptions, startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';
import { startPipeServer, withoutSftpServer } from '../../support/pipe-server.js';
import { openConnection } from '../../support/stream-connection.js';

type Faults = NonNullable<ServerOptions['faults']>;
type FailOn = NonNullable<Faults['failOn']>;

const TEMPORARY = /\.tsftp-.*\.part/;

/** What servers say no to. */
const refusals: Readonly<Record<string, FailOn>> = {
  'renaming (permission denied)': (request) => (isRename(request) ? 'EACCES' : undefined),
  'renaming (failure)': (request) => (isRename(request) ? 4 : undefined),
  'renaming (not supported)': (request) => (isRename(request) ? 8 : undefined),
  'temporary names (permission denied)': ({ kind, path = '' }) =>
    kind === 'open' && TEMPORARY.test(path) ? 'EACCES' : undefined,
  'temporary names (invalid name)': ({ kind, path = '' }) =>
    kind === 'open' && TEMPORARY.test(path) ? 20 : undefined,
};

const isRename: (request: Parameters<FailOn>[0]) => boolean = ({ kind, extension = '' }) =>
  kind === 'rename' || extension.startsWith('posix-rename');

async function start(t: TestContext, options: ServerOptions = {}, files: Record<string, string> = {}) {
  const server = await startServer({ files: { 'old.txt': 'old', ...files } }, options);
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  const folder = makeFolder(t);
  const local = join(folder, 'local');
  mkdirSync(local);
  for (const name of ['old.txt', 'new.txt']) writeFileSync(join(local, name), `whole ${name}`);
  return { server, sftp, folder, local };
}

/** Each way to send the two files, with the targets that it says were written in place. */
const ways: Readonly<Record<string, (sftp: Connection, local: string) => Promise<readonly string[]>>> = {
  put: (sftp, local) =>
    each(async (name, onInPlace) => {
      await sftp.put(join(local, name), name, { atomic: 'preferred', onInPlace });
    }),
  'putfo of a stream': (sftp, local) =>
    each(async (name, onInPlace) => {
      const source = Readable.from([readFileSync(join(local, name))]);
      await sftp.putfo(source, name, { atomic: 'preferred', onInPlace });
    }),
  'putfo of bytes': (sftp, local) =>
    each(async (name, onInPlace) => {
      await sftp.putfo(readFileSync(join(local, name)), name, { atomic: 'preferred', onInPlace });
    }),
  putR: async (sftp, local) => (await sftp.putR(local, '.', { atomic: 'preferred' })).overwrittenInPlace,
  putD: async (sftp, local) => (await sftp.putD(local, '.', { atomic: 'preferred' })).overwrittenInPlace,
  mirror: async (sftp, local) =>
    (await sftp.mirror(local, '.', { direction: 'up', atomic: 'preferred' })).overwrittenInPlace,
};

async function each(
  send: (name: string, onInPlace: (path: string) => void) => Promise<void>,
): Promise<readonly string[]> {
  const told: string[] = [];
  for (const name of ['old.txt', 'new.txt']) await send(name, (path) => told.push(path));
  return told;
}

function namesOf(paths: readonly string[]): string[] {
  return paths.map((path) => path.replace(/^.*\//, '')).sort();
}

describe("atomic: 'preferred'", () => {
  for (const [what, failOn] of Object.entries(refusals)) {
    for (const [way, send] of Object.entries(ways)) {
      test(`${way} writes in place, and tells, where a server refuses ${what}`, async (t) => {
        const { server, sftp, local } = await start(t, { faults: { failOn } });
        assert.deepEqual(namesOf(await send(sftp, local)), ['new.txt', 'old.txt']);
        for (const name of ['old.txt', 'new.txt']) {
          assert.equal(server.readFile(`/${name}`).toString(), `whole ${name}`);
        }
        assert.deepEqual(server.listNames('/'), ['new.txt', 'old.txt']);
        assert.equal(server.counters.openHandles, 0);
      });
    }
  }

  for (const [way, send] of Object.entries(ways)) {
    test(`${way} renames, and tells nothing, where a server allows that`, async (t) => {
      let renames = 0;
      const failOn: FailOn = (request) => {
        if (isRename(request)) renames += 1;
        return undefined;
      };
      const { server, sftp, local } = await start(t, { faults: { failOn } });
      assert.deepEqual(await send(sftp, local), []);
      assert.equal(renames, 2);
      assert.deepEqual(server.listNames('/'), ['new.txt', 'old.txt']);
    });
  }

  test('a tree sends its new files once, after the first ones were refused', async (t) => {
    let renames = 0;
    const failOn: FailOn = (request) => {
      if (!isRename(request)) return undefined;
      renames += 1;
      return 'EACCES';
    };
    const { server, sftp, folder } = await start(t, { faults: { failOn } });
    const tree = join(folder, 'tree');
    mkdirSync(tree);
    const names = Array.from({ length: 200 }, (_, index) => `f${index}`).sort();
    for (const name of names) writeFileSync(join(tree, name), name);
    const options = { atomic: 'preferred', concurrency: 4 } as const;
    const report = await sftp.putR(tree, 'tree', options);
    assert.ok(renames <= 8, `${renames} renames`);
    assert.deepEqual(namesOf(report.overwrittenInPlace), names);
    for (const name of names) assert.equal(server.readFile(`/tree/${name}`).toString(), name);
    // What exists could be replaced nevertheless, for all that is known.
    const again = await sftp.putR(tree, 'tree', options);
    assert.equal(again.overwrittenInPlace.length, names.length);
    assert.deepEqual(server.listNames('/tree'), names);
  });

  test('a transfer between two servers writes in place, which is its default', async (t) => {
    const failOn = refusals['renaming (permission denied)'] as FailOn;
    const from = await start(t, {}, { 'old.txt': 'a longer one' });
    const to = await start(t, { faults: { failOn } });
    for (const atomic of [undefined, 'preferred'] as const) {
      const report = await copyBetween(from.sftp, 'old.txt', to.sftp, 'old.txt', { atomic });
      assert.deepEqual(namesOf(report.overwrittenInPlace), ['old.txt']);
    }
    await assert.rejects(copyBetween(from.sftp, 'old.txt', to.sftp, 'old.txt', { atomic: true }), {
      code: 'EACCES',
      message: /set atomic: false/,
    });
  });

  for (const [what, failOn] of Object.entries(refusals)) {
    for (const extensions of [['posix-rename@openssh.com', 'copy-data'], []]) {
      const how = extensions.length > 0 ? 'with copy-data' : 'without it';
      test(`copy writes in place, ${how}, where a server refuses ${what}`, async (t) => {
        const { server, sftp } = await start(
          t,
          { extensions, faults: { failOn } },
          { 'source.txt': 'whole source' },
        );
        const told: string[] = [];
        const options = { atomic: 'preferred', onInPlace: (path: string) => told.push(path) } as const;
        for (const name of ['old.txt', 'new.txt']) {
          await sftp.copy('source.txt', name, options);
          assert.equal(server.readFile(`/${name}`).toString(), 'whole source');
        }
        assert.deepEqual(namesOf(told), ['new.txt', 'old.txt']);
        assert.deepEqual(server.listNames('/'), ['new.txt', 'old.txt', 'source.txt']);
        assert.equal(server.counters.openHandles, 0);
        await assert.rejects(sftp.copy('source.txt', 'old.txt'));
      });
    }
  }

  test('copy and copyBetween write nothing in place that may be the source under another name', {
    skip: withoutSftpServer,
  }, async (t) => {
    const folder = makeFolder(t);
    const [source, target] = [join(folder, 'source'), join(folder, 'target')];
    const server = startPipeServer('/', ['-P', 'rename,posix-rename']);
    t.after(() => server[Symbol.asyncDispose]());
    const sftp = await openConnection(server.stream);
    t.after(() => sftp.close());
    writeFileSync(source, 'content');
    linkSync(source, target);
    await assert.rejects(sftp.copy(source, target, { atomic: 'preferred' }), { code: 'EINVAL' });
    await assert.rejects(copyBetween(sftp, source, sftp, target), { code: 'EINVAL' });
    assert.equal(readFileSync(source, 'utf8'), 'content');
    assert.deepEqual(readdirSync(folder).sort(), ['source', 'target']);
  });

  test('a stream that is read back leaves nothing if that fails', async (t) => {
    let reads = 0;
    const failOn: FailOn = (request) => {
      if (isRename(request)) return 'EACCES';
      if (request.kind === 'read') reads += 1;
      return request.kind === 'read' ? 'EIO' : undefined;
    };
    const { server, sftp } = await start(t, { faults: { failOn } });
    const told: string[] = [];
    const sending = sftp.putfo(Readable.from(['content']), 'new.txt', {
      atomic: 'preferred',
      onInPlace: (path) => told.push(path),
    });
    await assert.rejects(sending, { name: 'TransferError' });
    assert.ok(reads > 0);
    assert.deepEqual(namesOf(told), ['new.txt']);
    assert.deepEqual(server.listNames('/'), ['new.txt', 'old.txt']);
    assert.equal(server.counters.openHandles, 0);
  });

  test('a stream that is read back over a file that is there is left whole beside it if that fails', async (t) => {
    let isRefused = false;
    const failOn: FailOn = (request) => {
      if (isRename(request)) {
        isRefused = true;
        return 'EACCES';
      }
      return request.kind === 'write' && isRefused ? 'ENOSPC' : undefined;
    };
    const { server, sftp } = await start(t, { faults: { failOn } });
    const sending = sftp.putfo(Readable.from(['content']), 'old.txt', { atomic: 'preferred' });
    const error: Error = await sending.then(
      () => assert.fail('it was sent'),
      (reason) => reason,
    );
    const [, left = ''] = /; all of the new content is in '(.*\.part)'$/.exec(error.message) ?? [];
    assert.deepEqual(server.listNames('/').sort(), [left.slice(left.lastIndexOf('/') + 1), 'old.txt'].sort());
    assert.equal(String(await sftp.readFile(left)), 'content');
    assert.equal(server.counters.openHandles, 0);
  });

  test('what onInPlace throws comes out as it was thrown', async (t) => {
    const { sftp, local } = await start(t, { faults: { failOn: refusals['renaming (failure)'] as FailOn } });
    const thrown = new Error('mine');
    const onInPlace = () => {
      throw thrown;
    };
    const sending = sftp.put(join(local, 'old.txt'), 'old.txt', { atomic: 'preferred', onInPlace });
    await assert.rejects(sending, (error) => error === thrown);
  });

  /** The old file is whole after each of these. */
  const errors: readonly {
    readonly what: string;
    readonly options: ServerOptions;
    readonly code: string;
    readonly length?: number;
    readonly put?: PutOptions;
  }[] = [
    { what: 'a full disk', options: { capacity: 5000 }, code: 'ENOSPC', length: 100_000 },
    {
      what: 'a quota that is used up',
      options: { faults: { reasons: true, failOn: ({ kind }) => (kind === 'write' ? 'EDQUOT' : undefined) } },
      code: 'EDQUOT',
    },
    {
      what: 'a lost connection',
      options: { faults: { disconnectAfter: { bytes: 20_000 } } },
      code: 'CONNECTION_LOST',
      length: 1_000_000,
    },
    {
      what: 'a file that is protected',
      options: {
        faults: { failOn: ({ kind, path = '' }) => (kind === 'open' && path !== '/' ? 'EACCES' : undefined) },
      },
      code: 'EACCES',
    },
    {
      what: 'a renaming that is refused to a transfer with resume',
      options: { faults: { failOn: refusals['renaming (permission denied)'] as FailOn } },
      code: 'EACCES',
      put: { resume: true },
    },
  ];
  for (const { what, options, code, length = 10, put } of errors) {
    test(`${what} remains an error, and the old file stays`, async (t) => {
      const { server, sftp, local } = await start(t, options);
      writeFileSync(join(local, 'old.txt'), Buffer.alloc(length, 'n'));
      const told: string[] = [];
      const onInPlace = (path: string) => told.push(path);
      const sending = sftp.put(join(local, 'old.txt'), 'old.txt', { atomic: 'preferred', onInPlace, ...put });
      await assert.rejects(sending, { code });
      assert.equal(server.readFile('/old.txt').toString(), 'old');
      assert.deepEqual(told, []);
    });
  }

  test('downloads write in place where the local directory takes no other name', {
    skip: process.getuid?.() === 0 ? 'root may write anywhere' : false,
  }, async (t) => {
    const { sftp, folder } = await start(t);
    const target = join(folder, 'closed');
    mkdirSync(target);
    writeFileSync(join(target, 'old.txt'), 'mine');
    chmodSync(target, 0o555);
    t.after(() => chmodSync(target, 0o755));
    const told: string[] = [];
    await assert.rejects(sftp.get('old.txt', join(target, 'old.txt')), { code: 'EACCES' });
    await sftp.get('old.txt', join(target, 'old.txt'), {
      atomic: 'preferred',
      onInPlace: (path) => told.push(path),
    });
    assert.deepEqual(told, [join(target, 'old.txt')]);
    assert.deepEqual(readdirSync(target), ['old.txt']);
    assert.equal(readFileSync(join(target, 'old.txt'), 'utf8'), 'old');
  });
});

describe("atomic: 'preferred' with OpenSSH's server", { skip: withoutSftpServer }, () => {
  for (const refused of ['rename,posix-rename', 'rename', 'posix-rename']) {
    test(`writes whole files with -P ${refused}`, async (t) => {
      const folder = makeFolder(t);
      const [local, remote] = [join(folder, 'local'), join(folder, 'remote')];
      for (const directory of [local, remote]) mkdirSync(directory);
      for (const name of ['old.txt', 'new.txt']) writeFileSync(join(local, name), `whole ${name}`);
      const server = startPipeServer('/', ['-P', refused]);
      t.after(() => server[Symbol.asyncDispose]());
      const sftp = await openConnection(server.stream);
      t.after(() => sftp.close());
      for (const send of Object.values(ways)) {
        writeFileSync(join(remote, 'old.txt'), 'old');
        const names = await sftp.cd(remote, () => send(sftp, local));
        // One of the two is enough.
        assert.equal(names.length > 0, refused.includes(','), `${names}`);
        assert.deepEqual(readdirSync(remote).sort(), ['new.txt', 'old.txt']);
        for (const name of ['old.txt', 'new.txt']) {
          assert.equal(readFileSync(join(remote, name), 'utf8'), `whole ${name}`);
        }
        for (const name of readdirSync(remote)) writeFileSync(join(remote, name), '');
      }
    });
  }
});
