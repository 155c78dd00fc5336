/** Appending, beside others who append to the same file: nothing that anybody has written is lost. */
import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { type Faults, startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { independentServers, startProftpd } from '../../support/independent-servers.js';
import { connectToServer, connectToSshd } from '../../support/login.js';
import { needsOpenSsh, startSshd } from '../../support/sshd.js';

const lines = (who: string, count = 10) =>
  Array.from({ length: count }, (_, index) => `${who} ${index} ${'x'.repeat(100 * index)}\n`);

/** Every line once and whole, in whatever order. */
function assertLines(content: string, ...expected: readonly (readonly string[])[]): void {
  assert.deepEqual(content.match(/[^\n]*\n/g)?.sort(), expected.flat().sort());
}

async function appendAtOnce(sftp: Connection, path: string, content: readonly string[]): Promise<void> {
  await Promise.all(content.map((line) => sftp.appendFile(path, line)));
}

describe('appending on OpenSSH', { skip: needsOpenSsh }, () => {
  async function start(t: TestContext) {
    const sshd = await startSshd({ hostKeyTypes: ['ed25519'] });
    t.after(() => sshd.stop());
    const sftp = await connectToSshd(sshd);
    t.after(() => sftp.close());
    const other = await connectToSshd(sshd);
    t.after(() => other.close());
    return { sftp, other, path: join(makeFolder(t), 'log') };
  }

  test('loses nothing of appendFile at once over two connections, also where nothing is there yet', async (t) => {
    const { sftp, other, path } = await start(t);
    await Promise.all([
      appendAtOnce(sftp, path, lines('one', 20)),
      appendAtOnce(other, path, lines('two', 20)),
    ]);
    assertLines(readFileSync(path, 'utf8'), lines('one', 20), lines('two', 20));
  });

  test('loses nothing of appendFile at once over two connections through a dangling symlink', async (t) => {
    const { sftp, other, path } = await start(t);
    const link = `${path}-link`;
    symlinkSync(path, link);
    await Promise.all([
      appendAtOnce(sftp, link, lines('one', 20)),
      appendAtOnce(other, link, lines('two', 20)),
    ]);
    assertLines(readFileSync(path, 'utf8'), lines('one', 20), lines('two', 20));
  });

  test('of open files and streams goes behind what others have appended meanwhile', async (t) => {
    const { sftp, other, path } = await start(t);
    writeFileSync(path, 'old\n');
    await using file = await sftp.open(path, 'a+');
    await using second = await other.open(path, 'ab');
    const stream = sftp.createWriteStream(path, { flags: 'a' });
    const written: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      for (const who of ['here', 'file', 'second', 'stream']) written.push(`${who} ${index}\n`);
      appendFileSync(path, `here ${index}\n`);
      await file.write(`file ${index}\n`);
      await second.write(`second ${index}\n`);
      await new Promise((resolve) => stream.write(`stream ${index}\n`, resolve));
      await sftp.stat(path);
    }
    await new Promise<void>((resolve) => stream.end(resolve));
    assertLines(readFileSync(path, 'utf8'), ['old\n'], written);
    assert.equal((await file.readFile('utf8')).length, readFileSync(path).length);
  });

  test('keeps the order of what is more than one request', async (t) => {
    const { sftp, path } = await start(t);
    const content = Buffer.alloc(3_000_000, 'abcdefghijklmnopqrstuvwxyz');
    writeFileSync(path, 'old');
    await sftp.appendFile(path, content);
    assert.ok(readFileSync(path).equals(Buffer.concat([Buffer.from('old'), content])));
  });

  test('refuses writeAt, which servers would do at the end, and empties by writeFile', async (t) => {
    const { sftp, path } = await start(t);
    writeFileSync(path, 'old');
    await using file = await sftp.open(path, 'a');
    await assert.rejects(file.writeAt(0, 'new'), {
      name: 'TypeError',
      message: `'${path}' was opened with mode 'a', not for writing at an offset: open it with 'r+' or 'w+'`,
    });
    await file.writeFile('new');
    await file.write('er');
    assert.equal(await file.truncate(4), 4);
    await file.write('!');
    assert.equal(readFileSync(path, 'utf8'), 'newe!');
  });
});

for (const faults of [
  {},
  { append: 'refused' },
  { append: 'ignored' },
  { workers: true },
] satisfies Faults[]) {
  const what = JSON.stringify(faults);
  test(`appending at once over one connection loses nothing on the embedded server with ${what}`, async (t) => {
    const server = await startServer({ files: { old: 'old\n' } }, { faults });
    t.after(() => server.close());
    await using sftp = await connectToServer(server);
    await using held = await sftp.open('/old', 'a');
    await appendAtOnce(sftp, '/old', lines('one'));
    await held.write('held\n');
    await appendAtOnce(sftp, '/old', lines('two'));
    assertLines(String(server.readFile('old')), ['old\n', 'held\n'], lines('one'), lines('two'));
    await appendAtOnce(sftp, '/new', lines('three'));
    assertLines(String(server.readFile('new')), lines('three'));
    assert.equal(server.counters.openHandles, 1);
  });
}

for (const { name, skip, start } of independentServers) {
  // Without a cache of its own it empties whatever is opened for writing.
  if (name.startsWith('rclone')) continue;
  test(`appending at once over one connection loses nothing on ${name}`, { skip }, async (t) => {
    const server = await start();
    t.after(() => server.stop());
    await using sftp = await server.connect();
    const [local, remote] = [server.folder, server.root].map((folder) => join(folder, 'log'));
    if (local === undefined || remote === undefined) return;
    await appendAtOnce(sftp, remote, lines('one'));
    await appendAtOnce(sftp, remote, lines('two'));
    assertLines(readFileSync(local, 'utf8'), lines('one'), lines('two'));
  });
}

const proftpd = independentServers.find(({ name }) => name.startsWith('ProFTPD'));
test('appending keeps what is there on ProFTPD with HiddenStores', {
  skip: proftpd?.skip ?? 'needs it',
}, async (t) => {
  const server = await startProftpd(['HiddenStores on']);
  t.after(() => server.stop());
  await using sftp = await server.connect();
  const path = join(server.folder, 'log');
  writeFileSync(path, 'old\n');
  chmodSync(path, 0o666);
  await appendAtOnce(sftp, path, lines('one'));
  assertLines(readFileSync(path, 'utf8'), ['old\n'], lines('one'));
});
