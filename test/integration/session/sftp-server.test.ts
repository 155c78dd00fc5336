/** The session against OpenSSH's sftp-server, the program itself on pipes. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { existsSync, type Stats } from 'node:fs';
import { lstat, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ConnectionLostError, SftpStatusError } from '../../../src/errors.js';
import { Session, type SessionOptions } from '../../../src/session/session.js';
import { OPEN_FLAGS, type RemoteHandle, SftpClient } from '../../../src/session/sftp-client.js';
import { startPipeServer, withoutSftpServer } from '../../support/pipe-server.js';

async function start(t: TestContext, { options = {}, flags = [] as string[] } = {}) {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'tsftp-session-')));
  const server = startPipeServer(directory, flags);
  t.after(async () => {
    await server[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });
  const session = await Session.open(server.stream, options as SessionOptions);
  return { directory, server, session, client: new SftpClient({ session }) };
}

const { READ, WRITE, CREAT, TRUNC, EXCL, APPEND } = OPEN_FLAGS;

async function readAll(client: SftpClient, handle: RemoteHandle): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let offset = 0; ; ) {
    const content = await client.read(handle, offset, 32_768);
    if (content === null) return Buffer.concat(pieces);
    for (const piece of content) {
      pieces.push(piece);
      offset += piece.length;
    }
  }
}

async function namesOf(client: SftpClient, path: string | Uint8Array): Promise<Buffer[]> {
  const handle = await client.opendir(path);
  const names: Buffer[] = [];
  for (let entries = await client.readdir(handle); entries !== null; entries = await client.readdir(handle)) {
    names.push(...entries.map(({ filenameBytes }) => Buffer.from(filenameBytes)));
  }
  await client.close(handle);
  return names.filter((name) => !['.', '..'].includes(name.toString('latin1'))).sort(Buffer.compare);
}

/** Content in which every place differs, so that a wrong offset shows. */
function content(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32BE(Math.imul(at, 2654435761) >>> 0, at);
  return bytes;
}

describe('a session with sftp-server', { skip: withoutSftpServer }, () => {
  test('writes and reads a file, its size and its attributes', async (t) => {
    const { directory, client, session } = await start(t);
    const bytes = content(200_001);
    const handle = await client.open('new', READ | WRITE | CREAT | EXCL, { attributes: { mode: 0o640 } });
    const writes: Promise<void>[] = [];
    for (let offset = 0; offset < bytes.length; offset += 32_768) {
      writes.push(client.write(handle, offset, [bytes.subarray(offset, offset + 32_768)]));
    }
    await Promise.all(writes);
    assert.deepEqual(await readAll(client, handle), bytes);
    assert.equal((await client.fstat(handle)).size, bytes.length);
    await client.fsetstat(handle, { atime: 1_000_000_000, mtime: 2 ** 31 + 5 });
    await client.close(handle);

    const attributes = await client.stat('new');
    assert.deepEqual(await readFile(join(directory, 'new')), bytes);
    const local = await stat(join(directory, 'new'));
    assert.equal(attributes.mode, local.mode);
    assert.equal(attributes.mode & 0o777, 0o640 & ~process.umask());
    assert.equal(attributes.uid, local.uid);
    assert.equal(attributes.gid, local.gid);
    assert.equal(attributes.mtime, 2 ** 31 + 5);
    assert.equal(attributes.atime, 1_000_000_000);
    assert.ok(attributes.isFile());
    assert.equal(session.pendingCount, 0);
  });

  test('honours the flags of OPEN', async (t) => {
    const { directory, client } = await start(t);
    await writeFile(join(directory, 'f'), 'old content');
    await assert.rejects(client.open('f', WRITE | CREAT | EXCL), SftpStatusError);
    const appending = await client.open('f', WRITE | APPEND);
    await client.write(appending, 0, [Buffer.from('!')]);
    await client.close(appending);
    assert.equal(await readFile(join(directory, 'f'), 'utf8'), 'old content!');
    await client.close(await client.open('f', WRITE | TRUNC));
    assert.equal(await readFile(join(directory, 'f'), 'utf8'), '');
  });

  test('makes, lists, renames and removes', async (t) => {
    const { directory, client } = await start(t);
    await client.mkdir('d', { mode: 0o755 });
    await writeFile(join(directory, 'd', 'a'), 'x');
    await client.rename('d/a', 'd/b');
    assert.deepEqual((await namesOf(client, 'd')).map(String), ['b']);
    await assert.rejects(client.rmdir('d'), { name: 'SftpStatusError', code: 'FAILURE' });
    await client.remove('d/b');
    await client.rmdir('d');
    assert.deepEqual(await readdir(directory), []);
  });

  test('follows links and tells of them', async (t) => {
    const { directory, client } = await start(t);
    await writeFile(join(directory, 'target'), 'abc');
    await client.symlink('target', 'link');
    assert.equal(String(await client.readlink('link')), 'target');
    assert.equal((await client.stat('link')).size, 3);
    assert.ok((await client.lstat('link')).isSymbolicLink());
    assert.equal(String(await client.realpath('link')), join(directory, 'target'));
    assert.equal(String(await client.realpath('.')), directory);
    assert.ok((await lstat(join(directory, 'link'))).isSymbolicLink());
  });

  test('tells failures by their codes and paths', async (t) => {
    const { client, session } = await start(t);
    await assert.rejects(client.stat('missing'), {
      name: 'SftpStatusError',
      code: 'ENOENT',
      status: 2,
      operation: 'stat',
      path: 'missing',
      message:
        /^stat 'missing': no such file or directory \(SSH_FX_NO_SUCH_FILE, the server says: No such file\)$/,
    });
    await assert.rejects(client.readlink('.'), { name: 'SftpStatusError', code: 'EINVAL' });
    await assert.rejects(client.close({ bytes: Buffer.from('none'), path: 'f' }), SftpStatusError);
    assert.equal(session.endReason, undefined);
  });

  test('lists 3,000 entries, each once', async (t) => {
    const { directory, client } = await start(t);
    const names = Array.from({ length: 3000 }, (_, index) => `entry-${String(index).padStart(4, '0')}`);
    await Promise.all(names.map((name) => writeFile(join(directory, name), '')));
    assert.deepEqual((await namesOf(client, '.')).map(String), names);
  });

  test('keeps names that are not UTF-8, and those that look alike, apart', async (t) => {
    const { directory, client } = await start(t);
    const names = [
      Buffer.of(0xff),
      Buffer.of(0xfe),
      Buffer.from('\ufffd'),
      Buffer.from('gr\xfc\xdfe', 'latin1'),
      Buffer.from('größe'),
      Buffer.from('größe'.normalize('NFD')),
      Buffer.from('a\nb'),
      Buffer.from('\x1b[2J'),
      Buffer.from(' '),
      Buffer.from('x'.repeat(255)),
    ].sort(Buffer.compare);
    for (const [index, name] of names.entries()) {
      const handle = await client.open(name, WRITE | CREAT | EXCL);
      await client.write(handle, 0, [Buffer.from(String(index))]);
      await client.close(handle);
    }
    assert.deepEqual(await namesOf(client, '.'), names);
    assert.deepEqual((await readdir(directory, { encoding: 'buffer' })).sort(Buffer.compare), names);
    for (const [index, name] of names.entries()) {
      const handle = await client.open(name, READ);
      assert.equal(String(await readAll(client, handle)), String(index));
      await client.close(handle);
      await client.remove(name);
    }
    assert.deepEqual(await readdir(directory), []);
  });

  test('has many handles open and none left', async (t) => {
    const { directory, client, server } = await start(t);
    await writeFile(join(directory, 'f'), 'x');
    const before = existsSync('/proc') ? await openFiles(server.process.pid) : 0;
    for (let round = 0; round < 20; round += 1) {
      const handles = await Promise.all(Array.from({ length: 50 }, () => client.open('f', READ)));
      await Promise.all(handles.map((handle) => client.close(handle)));
    }
    if (existsSync('/proc')) assert.equal(await openFiles(server.process.pid), before);
  });

  test('closes the handles of OPENs that were aborted', async (t) => {
    const { directory, client, server, session } = await start(t);
    await writeFile(join(directory, 'f'), 'x');
    await client.stat('f');
    const before = existsSync('/proc') ? await openFiles(server.process.pid) : 0;
    const controller = new AbortController();
    const calls = Array.from({ length: 20 }, () => client.open('f', READ, { signal: controller.signal }));
    const settled = Promise.allSettled(calls);
    await Promise.resolve();
    controller.abort();
    for (const { status } of await settled) assert.equal(status, 'rejected');
    while (session.pendingCount > 0) await client.stat('f');
    if (existsSync('/proc')) assert.equal(await openFiles(server.process.pid), before);
  });

  test('refuses what a read-only server refuses', async (t) => {
    const { client } = await start(t, { flags: ['-R'] });
    await assert.rejects(client.open('f', WRITE | CREAT), { name: 'SftpStatusError', code: 'EACCES' });
    await assert.rejects(client.mkdir('d'), { name: 'SftpStatusError', code: 'EACCES' });
  });
});

async function openFiles(pid: number | undefined): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

describe('the extensions of sftp-server', { skip: withoutSftpServer }, () => {
  test('limits@openssh.com', async (t) => {
    const { client } = await start(t);
    const told = await client.fetchLimits();
    assert.equal(told.maxPacketLength, 262_144n);
    assert.equal(told.maxReadLength, 261_120n);
    assert.equal(client.limits.maxReadLength, 261_120);
    assert.equal(client.limits.maxWriteLength, 261_120);
    assert.ok((client.limits.maxOpenHandles ?? 0) > 0);
  });

  test('a request of the greatest length that the limits allow, in both directions', async (t) => {
    const { client } = await start(t);
    await client.fetchLimits();
    const bytes = content(client.limits.maxWriteLength);
    const handle = await client.open('f', READ | WRITE | CREAT);
    await client.write(handle, 0, [bytes]);
    const read = await client.read(handle, 0, client.limits.maxReadLength);
    assert.deepEqual(Buffer.concat(read ?? []), bytes);
    assert.equal(await client.read(handle, bytes.length, 1), null);
    await client.close(handle);
  });

  test('posix-rename@openssh.com replaces, where rename refuses', async (t) => {
    const { directory, client } = await start(t);
    await writeFile(join(directory, 'new'), 'new');
    await writeFile(join(directory, 'old'), 'old');
    await assert.rejects(client.rename('new', 'old'), SftpStatusError);
    await client.posixRename('new', 'old');
    assert.equal(await readFile(join(directory, 'old'), 'utf8'), 'new');
    assert.deepEqual(await readdir(directory), ['old']);
  });

  test('hardlink@openssh.com', async (t) => {
    const { directory, client } = await start(t);
    await writeFile(join(directory, 'a'), 'x');
    await client.hardlink('a', 'b');
    const [a, b]: Stats[] = [await stat(join(directory, 'a')), await stat(join(directory, 'b'))];
    assert.equal(a?.ino, b?.ino);
    await assert.rejects(client.hardlink('missing', 'c'), {
      message: /^hardlink@openssh\.com 'missing' to 'c': no such file or directory/,
    });
  });

  test('fsync@openssh.com', async (t) => {
    const { client } = await start(t);
    const handle = await client.open('f', WRITE | CREAT);
    await client.write(handle, 0, [Buffer.from('x')]);
    await client.fsync(handle);
    await client.close(handle);
    await assert.rejects(client.fsync(handle), SftpStatusError);
  });

  test('statvfs@openssh.com and fstatvfs@openssh.com agree', async (t) => {
    const { client } = await start(t);
    const byPath = await client.statvfs('.');
    const handle = await client.open('f', WRITE | CREAT);
    const byHandle = await client.fstatvfs(handle);
    await client.close(handle);
    assert.equal(byPath.fileSystemId, byHandle.fileSystemId);
    assert.equal(byPath.blocks, byHandle.blocks);
    assert.equal(byPath.maxNameLength, 255n);
    assert.ok(byPath.blockSize > 0n && byPath.freeBlocks <= byPath.blocks);
  });

  test('lsetstat@openssh.com changes a link and not its target', async (t) => {
    const { directory, client } = await start(t);
    await writeFile(join(directory, 'target'), 'x');
    await symlink('target', join(directory, 'link'));
    const before = (await client.stat('target')).mtime;
    await client.lsetstat('link', { atime: 1000, mtime: 2000 });
    assert.equal((await client.lstat('link')).mtime, 2000);
    assert.equal((await client.stat('link')).mtime, before);
  });

  test('expand-path@openssh.com', async (t) => {
    const { directory, client } = await start(t);
    assert.equal(String(await client.expandPath('./b')), join(directory, 'b'));
    // For the server, the home of the user is where it was started.
    assert.equal(String(await client.expandPath('~/x')), join(directory, 'x'));
    assert.equal(String(await client.expandPath('~root/x')), '/root/x');
  });

  test('copy-data copies a part and the whole', async (t) => {
    const { directory, client } = await start(t);
    const bytes = content(100_000);
    await writeFile(join(directory, 'a'), bytes);
    const source = await client.open('a', READ);
    const whole = await client.open('whole', WRITE | CREAT);
    const part = await client.open('part', WRITE | CREAT);
    await client.copyData({ handle: source, offset: 0, length: 0 }, { handle: whole, offset: 0 });
    await client.copyData({ handle: source, offset: 10, length: 5000 }, { handle: part, offset: 3 });
    await Promise.all([source, whole, part].map((handle) => client.close(handle)));
    assert.deepEqual(await readFile(join(directory, 'whole')), bytes);
    const expected = Buffer.concat([Buffer.alloc(3), bytes.subarray(10, 5010)]);
    assert.deepEqual(await readFile(join(directory, 'part')), expected);
  });

  test('home-directory', async (t) => {
    const { client } = await start(t);
    assert.equal(String(await client.homeDirectory('root')), '/root');
    await assert.rejects(client.homeDirectory('nobody-of-this-name'), SftpStatusError);
  });

  test('users-groups-by-id@openssh.com', async (t) => {
    const { client } = await start(t);
    const { users, groups } = await client.usersGroupsById([0, 4_000_000_000], [0]);
    assert.deepEqual(users, ['root', '']);
    assert.equal(groups.length, 1);
  });

  test('that the server was told not to serve are not announced, and refused here', async (t) => {
    const { client, session } = await start(t, { flags: ['-P', 'posix-rename'] });
    const refused = { name: 'UnsupportedError', extension: 'posix-rename@openssh.com' };
    await assert.rejects(client.posixRename('a', 'b'), refused);
    assert.equal(session.endReason, undefined);
  });
});

describe('the death of sftp-server', { skip: withoutSftpServer }, () => {
  test('T16: by SIGKILL rejects 100 pending calls within a second, with one error', async (t) => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    t.after(() => process.off('unhandledRejection', onUnhandled));
    const { directory, client, session, server } = await start(t);
    await writeFile(join(directory, 'f'), content(1 << 20));
    const handle = await client.open('f', READ);

    // Stopped, so that none of them is answered before the end.
    server.process.kill('SIGSTOP');
    const calls = Array.from({ length: 100 }, (_, index) =>
      index % 2 === 0 ? client.read(handle, index * 1000, 32_768) : client.stat(`missing-${index}`),
    );
    const results = Promise.allSettled(calls);
    await new Promise((resolve) => setImmediate(resolve));
    const killedAt = performance.now();
    server.process.kill('SIGKILL');
    const reasons = new Set(
      (await results).map((result) => (result.status === 'rejected' ? result.reason : undefined)),
    );
    assert.ok(performance.now() - killedAt < 1000);
    const [reason] = reasons;
    assert.equal(reasons.size, 1);
    assert.ok(reason instanceof ConnectionLostError);
    assert.equal(await session.closed, reason);
    await assert.rejects(client.stat('f'), reason);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(unhandled, []);
  });

  test('T16: in the middle of replies lets go of those that came and rejects the others', async (t) => {
    const { directory, client, session, server } = await start(t);
    await writeFile(join(directory, 'f'), content(1 << 20));
    const handle = await client.open('f', READ);
    const calls = Array.from({ length: 100 }, () => client.read(handle, 0, 200_000));
    const results = Promise.allSettled(calls);
    await calls[0];
    server.process.kill('SIGKILL');
    const expected = content(1 << 20).subarray(0, 200_000);
    for (const result of await results) {
      if (result.status === 'fulfilled') assert.deepEqual(Buffer.concat(result.value ?? []), expected);
      else assert.ok(result.reason instanceof ConnectionLostError);
    }
    assert.equal(session.pendingCount, 0);
  });

  test('a session that is destroyed ends the server', async (t) => {
    const { session, server } = await start(t);
    const exited = new Promise((resolve) => server.process.once('exit', resolve));
    const reason = new Error('enough');
    session.destroy(reason);
    await exited;
    assert.equal(await session.closed, reason);
  });

  test('before the handshake is a lost connection', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'tsftp-session-'));
    t.after(() => rm(directory, { recursive: true, force: true }));
    await using server = startPipeServer(directory);
    server.process.kill('SIGKILL');
    await assert.rejects(Session.open(server.stream), ConnectionLostError);
  });
});
