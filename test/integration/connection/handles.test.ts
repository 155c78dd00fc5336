/** Many calls at once on servers that keep few files open: each waits for its turn, and none fails. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { type Faults, startServer } from '../../../src/testing/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { connectToServer, connectToSshd } from '../../support/login.js';
import { openBelow } from '../../support/processes.js';
import { needsOpenSsh, startSshd } from '../../support/sshd.js';

const names = (count: number) => Array.from({ length: count }, (_, index) => `file-${index}`);

function makeFiles(folder: string, count: number): string {
  mkdirSync(folder, { recursive: true });
  for (const name of names(count)) writeFileSync(join(folder, name), `content of ${name}`);
  return folder;
}

/** OpenSSH's server where a process may have no more descriptors, of which it keeps five for itself. */
async function startLimited(t: TestContext, descriptors: number) {
  const command = `ulimit -n ${descriptors} && exec /usr/lib/openssh/sftp-server`;
  const sshd = await startSshd({ hostKeyTypes: ['ed25519'], sftpCommand: command });
  t.after(() => sshd.stop());
  const sftp = await connectToSshd(sshd);
  t.after(() => sftp.close());
  const folder = makeFolder(t);
  const openOnServer = () => sshd.children().reduce((count, pid) => count + openBelow(folder, pid), 0);
  return { sftp, folder, openOnServer };
}

describe('on a server with 1,024 descriptors', { skip: needsOpenSsh }, () => {
  test('1,500 readFile, listdir, get and copy at once all succeed and leave no handle open', async (t) => {
    const { sftp, folder, openOnServer } = await startLimited(t, 1024);
    const source = makeFiles(join(folder, 'source'), 1500);
    for (const name of ['got', 'copied']) mkdirSync(join(folder, name));
    const all = names(1500);
    const read = await Promise.all(all.map((name) => sftp.readFile(join(source, name), 'utf8')));
    assert.deepEqual(
      read,
      all.map((name) => `content of ${name}`),
    );
    const lists = await Promise.all(all.map(() => sftp.listdir(join(folder, 'got'))));
    assert.equal(lists.flat().length, 0);
    await Promise.all(all.map((name) => sftp.get(join(source, name), join(folder, 'got', name))));
    await Promise.all(all.map((name) => sftp.copy(join(source, name), join(folder, 'copied', name))));
    for (const name of ['got', 'copied']) assert.deepEqual(snapshot(join(folder, name)), snapshot(source));
    assert.equal(sftp.sftpClient.limits.maxOpenHandles, 1019);
    assert.equal(openOnServer(), 0);
  });

  test('two getR and two putR of 600 files each succeed at once', async (t) => {
    const { sftp, folder, openOnServer } = await startLimited(t, 1024);
    const source = makeFiles(join(folder, 'source'), 600);
    const reports = await Promise.all([
      sftp.getR(source, join(folder, 'got-1')),
      sftp.getR(source, join(folder, 'got-2')),
      sftp.putR(source, join(folder, 'put-1')),
      sftp.putR(source, join(folder, 'put-2')),
    ]);
    assert.deepEqual(
      reports.map((report) => report.files),
      [600, 600, 600, 600],
    );
    assert.equal(openOnServer(), 0);
  });
});

/** Everything that opens files, at once. */
async function openMuch(sftp: Connection, folder: string, source: string, count: number): Promise<void> {
  const path = (name: string) => `${source}/${name}`;
  await Promise.all(
    names(count).flatMap((name) => [
      sftp.readFile(path(name)),
      sftp.listdir(source),
      sftp.get(path(name), join(folder, `got-${name}`)),
      sftp.copy(path(name), `${source}-copied-${name}`),
      sftp.writeFile(`${source}-written-${name}`, name),
      sftp.open(path(name)).then(async (file) => {
        await file.read();
        await file.close();
      }),
    ]),
  );
  await Promise.all(
    ['one', 'two', 'three'].flatMap((name) => [
      sftp.getR(source, join(folder, `tree-${name}`)),
      sftp.putR(join(folder, 'tree'), `${source}-tree-${name}`),
      sftp.glob(`${source}*/*`),
    ]),
  );
}

test('on a server with 10 descriptors 15 calls of each kind succeed at once', {
  skip: needsOpenSsh,
}, async (t) => {
  const { sftp, folder, openOnServer } = await startLimited(t, 10);
  makeFiles(join(folder, 'tree'), 15);
  await openMuch(sftp, folder, makeFiles(join(folder, 'source'), 15), 15);
  assert.equal(readFileSync(join(folder, 'source-copied-file-7'), 'utf8'), 'content of file-7');
  assert.equal(openOnServer(), 0);
});

async function startModest(t: TestContext, faults: Faults) {
  const files = Object.fromEntries(names(30).map((name) => [`source/${name}`, `content of ${name}`]));
  const server = await startServer({ files }, { faults, extensions: ['copy-data'] });
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  return { server, sftp, folder: makeFolder(t) };
}

for (const maxHandles of [2, 3, 8]) {
  test(`on a server that keeps ${maxHandles} handles and does not tell, 15 calls of each kind succeed at once`, async (t) => {
    const { server, sftp, folder } = await startModest(t, { maxHandles });
    makeFiles(join(folder, 'tree'), 15);
    await openMuch(sftp, folder, '/source', 15);
    assert.equal(String(server.readFile('source-copied-file-7')), 'content of file-7');
    assert.equal(server.counters.openHandles, 0);
  });
}

test('on a server that keeps 8 handles and does not tell, 30 copies wait for each other', async (t) => {
  const { server, sftp } = await startModest(t, { maxHandles: 8 });
  await Promise.all(names(30).map((name) => sftp.copy(`/source/${name}`, `/copied-${name}`)));
  assert.equal(String(server.readFile('copied-file-29')), 'content of file-29');
});

test('a failure that is no lack of handles is told beside open files, and nothing is waited for', async (t) => {
  const opened: string[] = [];
  const failOn: Faults['failOn'] = ({ kind, path }) => {
    if (kind !== 'open' && kind !== 'opendir') return undefined;
    opened.push(String(path));
    return path === '/source/file-1' ? 'EIO' : undefined;
  };
  const { sftp } = await startModest(t, { failOn });
  await using _held = await sftp.open('/source/file-0');
  await assert.rejects(sftp.open('/source/file-1'), { code: 'FAILURE', path: '/source/file-1' });
  assert.equal(opened.filter((path) => path === '/source/file-1').length, 2);
});
