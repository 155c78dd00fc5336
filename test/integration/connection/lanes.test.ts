import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type Connection, connect } from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { startDelayProxy } from '../../support/delay-proxy.js';
import { needsOpenSsh, type Sshd, startSshd } from '../../support/sshd.js';

const MIB = 1024 * 1024;
/** Long enough for several channels to be worth their opening. */
const ROUND_TRIP_MS = 40;

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-lanes-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function makeFile(t: TestContext, bytes: number): Promise<{ path: string; content: Buffer }> {
  const path = join(await makeFolder(t), 'file');
  const content = randomBytes(bytes);
  await writeFile(path, content);
  return { path, content };
}

function logIn(sshd: Sshd, port: number): Promise<Connection> {
  const { host, user, privateKeyPath } = sshd;
  return connect(host, { port, username: user, privateKey: privateKeyPath, cnopts: { hostkeys: null } });
}

function logInTo({ host, username, password, hostKey }: TestServer, port: number): Promise<Connection> {
  return connect(host, { port, username, password, cnopts: { fingerprint: hostKey.fingerprint } });
}

describe('a large file', () => {
  for (const atomic of [false, true]) {
    test(`goes through several channels of one connection over a long line (atomic: ${atomic})`, async (t) => {
      const { path, content } = await makeFile(t, 48 * MIB);
      await using server = await startServer({ files: {} });
      await using proxy = await startDelayProxy(server.port, ROUND_TRIP_MS);
      await using sftp = await logInTo(server, proxy.port);
      const seen: number[] = [];
      await sftp.put(path, 'target', { atomic, callback: (transferred) => seen.push(transferred) });
      assert.ok(content.equals(server.readFile('target')));
      assert.deepEqual(
        seen,
        [...seen].sort((left, right) => left - right),
      );
      assert.equal(seen.at(-1), content.length);
      assert.equal(server.counters.connections, 1);
      assert.ok(server.counters.sessions > 1, `${server.counters.sessions} sessions`);
      assert.equal(server.counters.openHandles, 0);
    });
  }

  // A short line has three at most by itself, and nobody can say how long a busy machine takes for an answer.
  test('goes through three where so many are allowed, over a short line too', {
    skip: needsOpenSsh,
  }, async (t) => {
    const { path, content } = await makeFile(t, 160 * MIB);
    const target = join(await makeFolder(t), 'target');
    await using sshd = await startSshd({ config: ['LogLevel VERBOSE'] });
    await using sftp = await logIn(sshd, sshd.port);
    await sftp.put(path, target, { channels: 3 });
    assert.ok(content.equals(await readFile(target)));
    const lines = sshd.log().split('\n');
    assert.equal(lines.filter((line) => line.includes('Starting session: subsystem')).length, 3);
  });

  test('goes through several channels though nobody knows its length', { skip: needsOpenSsh }, async (t) => {
    const { path, content } = await makeFile(t, 48 * MIB);
    const target = join(await makeFolder(t), 'target');
    await using sshd = await startSshd({ config: ['LogLevel VERBOSE'] });
    await using proxy = await startDelayProxy(sshd.port, ROUND_TRIP_MS);
    await using sftp = await logIn(sshd, proxy.port);
    const seen: number[] = [];
    const attributes = await sftp.putfo(createReadStream(path), target, {
      callback: (transferred) => seen.push(transferred),
    });
    assert.equal(attributes.size, content.length);
    assert.ok(content.equals(await readFile(target)));
    assert.deepEqual(
      seen,
      [...seen].sort((left, right) => left - right),
    );
    const sessions = sshd.log().match(/Starting session: subsystem/g) ?? [];
    assert.ok(sessions.length > 2, `${sessions.length} sessions`);
  });

  test('arrives where the server allows no second session', { skip: needsOpenSsh }, async (t) => {
    const { path, content } = await makeFile(t, 24 * MIB);
    const target = join(await makeFolder(t), 'target');
    await using sshd = await startSshd({ config: ['MaxSessions 1'] });
    await using proxy = await startDelayProxy(sshd.port, ROUND_TRIP_MS);
    await using sftp = await logIn(sshd, proxy.port);
    await sftp.put(path, target);
    assert.ok(content.equals(await readFile(target)));
  });
});

describe('files that are not worth several channels each', () => {
  for (const [channels, isSpread] of [
    [undefined, true],
    [1, false],
  ] as const) {
    test(`are spread over them on a long line (channels: ${channels})`, async (t) => {
      const folder = await makeFolder(t);
      const contents = new Map(
        Array.from({ length: 24 }, (_, index) => [`file-${index}`, randomBytes(2 * MIB + index)] as const),
      );
      for (const [name, content] of contents) await writeFile(join(folder, name), content);
      await using server = await startServer({ files: {} });
      await using proxy = await startDelayProxy(server.port, ROUND_TRIP_MS);
      await using sftp = await logInTo(server, proxy.port);
      const report = await sftp.putR(folder, 'tree', { channels, preserveMtime: true });
      assert.equal(report.files, contents.size);
      for (const [name, content] of contents) assert.ok(content.equals(server.readFile(`tree/${name}`)));
      assert.equal(server.counters.connections, 1);
      assert.equal(server.counters.openHandles, 0);
      assert.equal(server.counters.sessions > 1, isSpread, `${server.counters.sessions} sessions`);
    });
  }

  test('arrive where the server allows no second session', { skip: needsOpenSsh }, async (t) => {
    const folder = await makeFolder(t);
    const contents = Array.from({ length: 8 }, () => randomBytes(2 * MIB));
    for (const [index, content] of contents.entries()) await writeFile(join(folder, `${index}`), content);
    const target = join(await makeFolder(t), 'target');
    await using sshd = await startSshd({ config: ['MaxSessions 1'] });
    await using proxy = await startDelayProxy(sshd.port, ROUND_TRIP_MS);
    await using sftp = await logIn(sshd, proxy.port);
    await sftp.putR(folder, target);
    for (const [index, content] of contents.entries()) {
      assert.ok(content.equals(await readFile(join(target, `${index}`))));
    }
  });
});
