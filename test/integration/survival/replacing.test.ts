import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { copyBetween } from '../../../src/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { startPipeServer, withoutSftpServer } from '../../support/pipe-server.js';
import { openConnection } from '../../support/stream-connection.js';

const NOBODY = 65534;
const withoutRoot = process.getuid?.() === 0 ? false : 'needs root, for a server that runs as another user';

async function setUp(t: TestContext, options: readonly string[] = [], uid?: number) {
  const folder = makeFolder(t);
  const [source, target] = [join(folder, 'source'), join(folder, 'target')];
  for (const directory of [source, target]) mkdirSync(directory);
  for (const name of ['a', 'b', 'c']) {
    writeFileSync(join(source, name), `new ${name}`);
    writeFileSync(join(target, name), `old ${name}`);
  }
  writeFileSync(join(source, 'd'), 'new d');
  if (uid !== undefined) {
    for (const path of [folder, target, ...['a', 'b', 'c'].map((name) => join(target, name))]) {
      chownSync(path, uid, uid);
    }
    chmodSync(folder, 0o755);
  }
  const server = startPipeServer('/', options, uid);
  t.after(() => server[Symbol.asyncDispose]());
  const sftp = await openConnection(server.stream);
  t.after(() => sftp.close());
  return { sftp, source, target };
}

function contents(folder: string): string[] {
  return [...snapshot(folder).keys()].map((name) => readFileSync(join(folder, name), 'utf8'));
}

describe('files that exist, in trees', { skip: withoutSftpServer }, () => {
  test('are overwritten in place where the server lets nothing be renamed, and the report says so', async (t) => {
    for (const kind of ['putR', 'mirror', 'copyBetween'] as const) {
      const { sftp, source, target } = await setUp(t, ['-P', 'rename,posix-rename']);
      const { overwrittenInPlace } =
        kind === 'putR'
          ? await sftp.putR(source, target)
          : kind === 'mirror'
            ? await sftp.mirror(source, target, { direction: 'up', compare: 'checksum' })
            : await copyBetween(sftp, source, sftp, target);
      // What must not be renamed can only be a new file where that is written under its own name at once.
      const all = kind === 'putR' ? ['a', 'b', 'c'] : ['a', 'b', 'c', 'd'];
      assert.deepEqual(
        [...overwrittenInPlace].sort(),
        all.map((name) => join(target, name)),
        kind,
      );
      assert.deepEqual(contents(target).sort(), ['new a', 'new b', 'new c', 'new d'], kind);
    }
  });

  test('are not overwritten in place where atomic was asked for', async (t) => {
    const { sftp, source, target } = await setUp(t, ['-P', 'rename,posix-rename']);
    await assert.rejects(sftp.putR(source, target, { atomic: true }), {
      name: 'TransferError',
      message: /cannot be written under a temporary name in its directory and renamed .* set atomic: false/,
    });
    assert.deepEqual(contents(target).sort(), ['old a', 'old b', 'old c']);
  });

  test('are overwritten in place where nothing new may be made beside them', {
    skip: withoutRoot,
  }, async (t) => {
    const { sftp, source, target } = await setUp(t, [], NOBODY);
    chmodSync(target, 0o555);
    await assert.rejects(sftp.putR(source, target), { code: 'EACCES' });
    writeFileSync(join(target, 'd'), 'old d');
    chownSync(join(target, 'd'), NOBODY, NOBODY);
    const { overwrittenInPlace } = await sftp.putR(source, target);
    assert.equal(overwrittenInPlace.length, 4);
    assert.deepEqual(contents(target).sort(), ['new a', 'new b', 'new c', 'new d']);
  });
});

describe('one file onto a link of the server', { skip: withoutSftpServer }, () => {
  test('goes where the link leads', async (t) => {
    const { sftp, source, target } = await setUp(t);
    symlinkSync('a', join(target, 'link'));
    for (const atomic of [undefined, true, false]) {
      writeFileSync(join(target, 'a'), 'old');
      await sftp.put(join(source, 'd'), join(target, 'link'), { atomic });
      assert.equal(readFileSync(join(target, 'a'), 'utf8'), 'new d');
      assert.equal(snapshot(target).get('link'), '-> a');
    }
  });

  test('makes the file where the link leads nowhere yet, and refuses a link to a directory', async (t) => {
    const { sftp, source, target } = await setUp(t);
    symlinkSync('later', join(target, 'link'));
    await sftp.put(join(source, 'd'), join(target, 'link'));
    assert.equal(readFileSync(join(target, 'later'), 'utf8'), 'new d');
    symlinkSync('.', join(target, 'directory'));
    await assert.rejects(sftp.put(join(source, 'd'), join(target, 'directory')), { code: 'EISDIR' });
    assert.equal(snapshot(target).get('directory'), '-> .');
  });
});

describe('times that SFTP cannot carry', { skip: withoutSftpServer }, () => {
  for (const [seconds, sent] of [
    [-86_400, 0],
    [2 ** 32 + 5, 2 ** 32 - 1],
  ] as const) {
    test(`files and directories of ${seconds} s get the time ${sent}, the report tells, and mirrors keep it then`, async (t) => {
      const { sftp, source, target } = await setUp(t);
      mkdirSync(join(source, 'dir', 'below'), { recursive: true });
      // Node takes a time before 1970 for the present one.
      for (const name of ['a', 'dir/below', 'dir', '.'])
        execFileSync('touch', ['-d', `@${seconds}`, join(source, name)]);
      await sftp.put(join(source, 'a'), join(target, 'put'), { preserveMtime: true });
      assert.equal(statSync(join(target, 'put')).mtimeMs, sent * 1000);
      const { notPreserved } = await sftp.putR(source, join(target, 'tree'), { preserveMtime: true });
      assert.deepEqual(
        notPreserved.map(({ path, error }) => [path, (error as { code?: string }).code]),
        ['a', 'dir/below', 'dir'].map((name) => [join(source, name), 'ERANGE']),
      );
      assert.match(String(notPreserved[0]?.error), /target\/tree\/a': the modification time/);
      assert.equal(statSync(join(target, 'tree', 'dir')).mtimeMs, sent * 1000);
      const { plan } = await sftp.mirror(source, join(target, 'tree'), { direction: 'up' });
      assert.deepEqual([...new Set(plan.map(({ action }) => action))], ['keep']);
      await sftp.put(join(source, 'a'), join(target, 'put'), { resume: true });
    });
  }
});

describe('one file onto a link of the local disk', { skip: withoutSftpServer }, () => {
  test('goes where the link leads, also where nothing is there yet', async (t) => {
    const { sftp, source, target } = await setUp(t);
    symlinkSync('a', join(target, 'link'));
    symlinkSync('later', join(target, 'dangling'));
    for (const atomic of [undefined, true, false]) {
      writeFileSync(join(target, 'a'), 'old');
      await sftp.get(join(source, 'd'), join(target, 'link'), { atomic });
      assert.equal(readFileSync(join(target, 'a'), 'utf8'), 'new d');
      await sftp.get(join(source, 'd'), join(target, 'dangling'), { atomic });
      assert.equal(readFileSync(join(target, 'later'), 'utf8'), 'new d');
    }
    assert.equal(snapshot(target).get('link'), '-> a');
    assert.equal(snapshot(target).get('dangling'), '-> later');
  });

  test('is refused where it leads to a pipe, which has no path of its own', async (t) => {
    const { sftp, source } = await setUp(t);
    const pipe = spawn('sleep', ['60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    t.after(() => pipe.kill());
    const target = join(makeFolder(t), 'link');
    symlinkSync(`/proc/${pipe.pid}/fd/1`, target);
    await assert.rejects(sftp.get(join(source, 'd'), target), {
      code: 'EEXIST',
      message: /write to it with getfo and a stream/,
    });
  });

  test('is refused where it leads to a directory', async (t) => {
    const { sftp, source, target } = await setUp(t);
    symlinkSync('.', join(target, 'link'));
    await assert.rejects(sftp.get(join(source, 'd'), join(target, 'link')), { code: 'EISDIR' });
    assert.equal(snapshot(target).get('link'), '-> .');
  });
});

describe('what is in the way in a tree on the server', { skip: withoutSftpServer }, () => {
  test('no file is written through a link to a directory', async (t) => {
    const { sftp, source, target } = await setUp(t);
    mkdirSync(join(source, 'd1'));
    writeFileSync(join(source, 'd1', 'f'), 'new');
    mkdirSync(join(target, 'elsewhere'));
    symlinkSync('elsewhere', join(target, 'd1'));
    await assert.rejects(sftp.putR(source, target), { code: 'ENOTDIR', message: /symlink is in the way/ });
    assert.equal(snapshot(target).has('elsewhere/f'), false);
  });

  test('the time of a directory does not say that a file is older', async (t) => {
    const { sftp, source, target } = await setUp(t);
    mkdirSync(join(target, 'd'));
    await assert.rejects(sftp.putR(source, target, { overwrite: 'newer' }), { code: 'EISDIR' });
  });

  test('a read-only directory takes files again with preserveMode', { skip: withoutRoot }, async (t) => {
    const { sftp, source, target } = await setUp(t, [], NOBODY);
    mkdirSync(join(source, 'ro'));
    writeFileSync(join(source, 'ro', 'f'), 'one');
    chmodSync(join(source, 'ro'), 0o555);
    for (const content of ['one', 'two']) {
      writeFileSync(join(source, 'ro', 'f'), content);
      await sftp.putR(source, target, { preserveMode: true, atomic: true });
      assert.equal(readFileSync(join(target, 'ro', 'f'), 'utf8'), content);
      assert.equal(statSync(join(target, 'ro')).mode & 0o777, 0o555);
    }
  });
});

test('mirror and copyBetween carry permissions where told to', { skip: withoutSftpServer }, async (t) => {
  const { sftp, source, target } = await setUp(t);
  chmodSync(join(source, 'd'), 0o750);
  await sftp.mirror(source, join(target, 'up'), { direction: 'up', preserveMode: true });
  await sftp.mirror(source, join(target, 'down'), { direction: 'down', preserveMode: true });
  await copyBetween(sftp, source, sftp, join(target, 'over'), { preserveMode: true });
  for (const name of ['up', 'down', 'over']) {
    assert.equal(statSync(join(target, name, 'd')).mode & 0o777, 0o750, name);
  }
});
