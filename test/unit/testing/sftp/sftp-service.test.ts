import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { createMemoryBackend, type InitialFiles } from '../../../../src/testing/backends/initial-files.js';
import { createCounters } from '../../../../src/testing/counters.js';
import type { Faults } from '../../../../src/testing/faults.js';
import { usualExtensions } from '../../../../src/testing/sftp/extension-handlers.js';
import { serveSftp } from '../../../../src/testing/sftp/sftp-service.js';
import { ByteWriter } from '../../../../src/wire/bytes.js';
import { decodeHandshake, decodeReply, encodeHandshake, encodeRequest } from '../../../../src/wire/codec.js';
import {
  decodeExtensionData,
  type ExtensionFields,
  type ExtensionName,
  encodeExtensionFields,
  extensions,
} from '../../../../src/wire/extensions.js';
import { FrameDecoder } from '../../../../src/wire/framing.js';
import { type Reply, type RequestFields, type RequestName, SSH_FXF } from '../../../../src/wire/packets.js';

const READ_WRITE = SSH_FXF.READ | SSH_FXF.WRITE | SSH_FXF.CREAT;

/** Speaks packets to a service over a stream in memory. */
class Client {
  readonly counters = createCounters();
  readonly #near: Duplex;
  readonly #decoder = new FrameDecoder();
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  readonly order: number[] = [];
  readonly version: Promise<ReadonlyMap<string, Uint8Array>>;
  readonly closed: Promise<unknown>;
  #greet: (extensions: ReadonlyMap<string, Uint8Array>) => void = () => {};
  #greeted = false;
  #nextId = 1;
  disconnects = 0;

  constructor(
    t: TestContext,
    files: InitialFiles = {},
    faults: Faults = {},
    offered: readonly string[] = usualExtensions,
  ) {
    const [near, far] = createPair();
    this.#near = near;
    this.closed = once(far, 'close');
    this.version = new Promise((resolve) => {
      this.#greet = resolve;
    });
    near.on('data', (chunk: Buffer) => this.#receive(chunk));
    const ended = new AbortController();
    t.after(() => near.destroy());
    serveSftp(far, {
      backend: createMemoryBackend(files, 2 ** 26),
      home: '/',
      username: 'test',
      extensions: offered,
      faults,
      counters: this.counters,
      disconnect: () => {
        this.disconnects += 1;
        far.destroy();
      },
      signal: ended.signal,
    });
    const writer = new ByteWriter();
    encodeHandshake(writer, 'init', { version: 3, extensions: new Map() });
    this.send(Buffer.concat(writer.take()));
  }

  send(bytes: Buffer): void {
    this.#near.write(bytes);
  }

  request<N extends RequestName>(name: N, fields: RequestFields<N>): Promise<Reply> {
    return this.#promise((writer, id) => encodeRequest(writer, id, name, fields));
  }

  extended<N extends ExtensionName>(name: N, fields: ExtensionFields<N>): Promise<Reply> {
    return this.request('extended', {
      name: extensions[name].name,
      data: encodeExtensionFields(name, fields),
    });
  }

  async open(path: string, flags: number = READ_WRITE): Promise<Uint8Array> {
    const reply = await this.request('open', { path: bytes(path), flags, attributes: {} });
    assert.ok(reply.kind === 'handle', JSON.stringify(reply));
    return reply.handle;
  }

  #promise(write: (writer: ByteWriter, id: number) => void): Promise<Reply> {
    const id = this.#nextId++;
    const writer = new ByteWriter();
    write(writer, id);
    const promise = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
    this.send(Buffer.concat(writer.take()));
    return promise;
  }

  #receive(chunk: Buffer): void {
    for (const frame of this.#decoder.decode(chunk)) {
      if (!this.#greeted) {
        this.#greeted = true;
        this.#greet(decodeHandshake(frame, 'version').extensions);
        continue;
      }
      const reply = decodeReply(frame);
      this.order.push(reply.id);
      this.#waiting.get(reply.id)?.(reply);
    }
  }
}

/** Two ends of one stream. */
function createPair(): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  const createEnd = (other: () => Duplex | undefined) =>
    new Duplex({
      read() {},
      write(chunk, _, done) {
        other()?.push(chunk);
        done();
      },
      final(done) {
        other()?.push(null);
        done();
      },
    });
  const near = createEnd(() => ends[1]);
  const far = createEnd(() => ends[0]);
  ends.push(near, far);
  return [near, far];
}

function bytes(text: string): Buffer {
  return Buffer.from(text);
}

function assertStatus(reply: Reply, status: number, message?: RegExp): void {
  assert.ok(reply.kind === 'status', `${reply.kind} instead of a status`);
  assert.equal(reply.status, status, reply.message);
  if (message !== undefined) assert.match(reply.message, message);
}

async function readAll(client: Client, handle: Uint8Array): Promise<Reply[]> {
  const replies: Reply[] = [];
  for (;;) {
    const reply = await client.request('readdir', { handle });
    if (reply.kind !== 'name') return replies;
    replies.push(reply);
  }
}

describe('the server side of a session', () => {
  test('offers its extensions and tells its limits', async (t) => {
    const client = new Client(t);
    assert.deepEqual([...(await client.version).keys()], usualExtensions);
    const reply = await client.extended('limits', {});
    assert.ok(reply.kind === 'extendedReply');
    const limits = decodeExtensionData('limits', Buffer.from(reply.data));
    assert.equal(limits.maxReadLength, 261_120n);
    assert.equal(limits.maxOpenHandles, 1000n);
  });

  test('writes, reads, and tells the end of the file', async (t) => {
    const client = new Client(t);
    const handle = await client.open('file');
    assertStatus(await client.request('write', { handle, offset: 0, data: [bytes('content')] }), 0);
    const reply = await client.request('read', { handle, offset: 3, length: 100 });
    assert.ok(reply.kind === 'data');
    assert.equal(Buffer.concat(reply.data).toString(), 'tent');
    assertStatus(await client.request('read', { handle, offset: 7, length: 100 }), 1);
    assertStatus(await client.request('close', { handle }), 0);
    assertStatus(await client.request('close', { handle }), 2, /^No such file$/);
    assert.deepEqual(
      [client.counters.openHandles, client.counters.bytesRead, client.counters.bytesWritten],
      [0, 4, 7],
    );
  });

  test('never gives more than 255 KiB at once', async (t) => {
    const client = new Client(t, { file: Buffer.alloc(300_000) });
    const handle = await client.open('file');
    const reply = await client.request('read', { handle, offset: 0, length: 0xffffffff });
    assert.ok(reply.kind === 'data');
    assert.equal(Buffer.concat(reply.data).length, 261_120);
  });

  test('maps errors as OpenSSH does', async (t) => {
    const client = new Client(t, { file: 'x', 'd/e': '', secret: { content: '', mode: 0 } });
    const stat = (path: string) => client.request('stat', { path: bytes(path) });
    assertStatus(await stat('missing'), 2, /No such file/);
    assertStatus(await stat('file/x'), 2, /^No such file$/);
    assertStatus(await stat('a\0b'), 5);
    assertStatus(
      await client.request('open', { path: bytes('secret'), flags: SSH_FXF.READ, attributes: {} }),
      3,
      /Permission denied/,
    );
    assertStatus(await client.request('rmdir', { path: bytes('d') }), 4, /^Failure$/);
    assertStatus(await client.request('mkdir', { path: bytes('d'), attributes: {} }), 4, /^Failure$/);
    assertStatus(await client.request('extended', { name: 'nobody@knows', data: bytes('x') }), 8);
  });

  test('answers many requests in their order', async (t) => {
    const client = new Client(t, { file: 'x' });
    const handle = await client.open('file');
    client.order.length = 0;
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        index % 10 === 0
          ? client.extended('fsync', { handle })
          : client.request('read', { handle, offset: 0, length: 1 }),
      ),
    );
    assert.deepEqual(
      client.order,
      [...client.order].sort((a, b) => a - b),
    );
  });

  test('gives at most 1000 handles', async (t) => {
    const client = new Client(t, { file: 'x' });
    const replies = await Promise.all(
      Array.from({ length: 1001 }, () =>
        client.request('open', { path: bytes('file'), flags: SSH_FXF.READ, attributes: {} }),
      ),
    );
    assert.equal(replies.filter((reply) => reply.kind === 'handle').length, 1000);
    assertStatus(replies[1000] as Reply, 4, /^Failure$/);
  });

  test('copies data between handles', async (t) => {
    const content = Buffer.alloc(600_000, 'abc');
    const client = new Client(t, { from: content });
    const from = await client.open('from');
    const to = await client.open('to');
    assertStatus(
      await client.extended('copyData', {
        readHandle: from,
        readOffset: 1,
        length: 0,
        writeHandle: to,
        writeOffset: 0,
      }),
      0,
    );
    const attributes = await client.request('fstat', { handle: to });
    assert.ok(attributes.kind === 'attrs');
    assert.equal(attributes.attributes.size, 599_999);
    const same = { readHandle: from, readOffset: 0, length: 0, writeHandle: from, writeOffset: 0 };
    assertStatus(await client.extended('copyData', same), 5);
  });

  test('knows its user, home and tilde', async (t) => {
    const client = new Client(t, { 'docs/': '' });
    const name = (reply: Reply) =>
      reply.kind === 'name' && Buffer.from(reply.names[0]?.filename ?? []).toString();
    assert.equal(name(await client.extended('homeDirectory', { username: 'test' })), '/');
    assert.equal(name(await client.extended('expandPath', { path: bytes('~/docs') })), '/docs');
    assert.equal(name(await client.extended('expandPath', { path: bytes('~test') })), '/');
    assertStatus(await client.extended('expandPath', { path: bytes('~other') }), 2);
    const reply = await client.extended('usersGroupsById', { uids: [1000, 0, 7], gids: [1000] });
    assert.ok(reply.kind === 'extendedReply');
    assert.deepEqual(decodeExtensionData('usersGroupsById', Buffer.from(reply.data)), {
      users: ['test', 'root', ''],
      groups: ['test'],
    });
  });

  const violations: Readonly<Record<string, Buffer>> = {
    'a length of 0': Buffer.alloc(4),
    'a length of 4 GiB': Buffer.from([0xff, 0xff, 0xff, 0xff, 3]),
    'an unknown type': Buffer.from([0, 0, 0, 5, 99, 0, 0, 0, 1]),
    'a reply': Buffer.from([0, 0, 0, 5, 101, 0, 0, 0, 1]),
    'a second INIT': Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]),
    'a request cut short': Buffer.from([0, 0, 0, 6, 4, 0, 0, 0, 1, 0]),
    'a string beyond the packet': Buffer.from([0, 0, 0, 9, 4, 0, 0, 0, 1, 0, 0, 0, 99]),
  };
  for (const [name, packet] of Object.entries(violations)) {
    test(`${name} ends the session and closes its files`, async (t) => {
      const client = new Client(t);
      await client.open('file');
      client.send(packet);
      await client.closed;
      assert.equal(client.counters.openHandles, 0);
    });
  }
});

describe('faults', () => {
  test('failOn chooses which request fails', async (t) => {
    const client = new Client(
      t,
      {},
      {
        failOn: ({ kind, path, offset }) =>
          kind === 'write' && path === '/file' && offset === 10 ? 'ENOSPC' : undefined,
      },
    );
    const handle = await client.open('file');
    const write = (offset: number) => client.request('write', { handle, offset, data: [bytes('x')] });
    assertStatus(await write(0), 0);
    assertStatus(await write(10), 4, /^Failure$/);
  });

  test('failOn that throws or rejects makes the request fail', async (t) => {
    const client = new Client(
      t,
      {},
      {
        failOn: ({ kind }) => {
          if (kind === 'stat') throw new Error('thrown');
          return kind === 'lstat' ? Promise.reject(new Error('rejected')) : 31;
        },
      },
    );
    assertStatus(await client.request('stat', { path: bytes('/') }), 4, /thrown/);
    assertStatus(await client.request('lstat', { path: bytes('/') }), 4, /rejected/);
    assertStatus(await client.request('rmdir', { path: bytes('/') }), 31);
  });

  test('disconnectAfter cuts the connection', async (t) => {
    const client = new Client(t, { file: Buffer.alloc(1000) }, { disconnectAfter: { bytes: 500 } });
    const handle = await client.open('file');
    await client.request('read', { handle, offset: 0, length: 400 });
    assert.equal(client.disconnects, 0);
    void client.request('read', { handle, offset: 400, length: 400 });
    await client.closed;
    assert.equal(client.disconnects, 1);
  });

  test('maxHandles, and limits tells it', async (t) => {
    const client = new Client(t, { file: '' }, { maxHandles: 1 });
    const handle = await client.open('file');
    const open = { path: bytes('file'), flags: SSH_FXF.READ, attributes: {} };
    assertStatus(await client.request('open', open), 4, /^Failure$/);
    await client.request('close', { handle });
    await client.open('file');
    const reply = await client.extended('limits', {});
    assert.ok(reply.kind === 'extendedReply');
    assert.equal(decodeExtensionData('limits', Buffer.from(reply.data)).maxOpenHandles, 1n);
  });

  test('reasons tells more than OpenSSH does', async (t) => {
    const client = new Client(t, { file: '', 'd/e': '' }, { reasons: true });
    assertStatus(await client.request('rmdir', { path: bytes('d') }), 4, /^Directory not empty$/);
    assertStatus(await client.request('stat', { path: bytes('file/x') }), 2, /^Not a directory$/);
  });

  test('maxReadLength gives short reads', async (t) => {
    const client = new Client(t, { file: 'content' }, { maxReadLength: 3 });
    const handle = await client.open('file');
    const reply = await client.request('read', { handle, offset: 0, length: 7 });
    assert.ok(reply.kind === 'data');
    assert.equal(Buffer.concat(reply.data).toString(), 'con');
  });

  test('sequentialWrites refuses any other offset than the end', async (t) => {
    const client = new Client(t, {}, { sequentialWrites: true });
    const handle = await client.open('file');
    const write = (offset: number) => client.request('write', { handle, offset, data: [bytes('abc')] });
    assertStatus(await write(3), 4, /sequential/);
    assertStatus(await write(0), 0);
    assertStatus(await write(0), 4);
    assertStatus(await write(3), 0);
  });

  test('refuseSetstat, removeAfterClose, noRealpath', async (t) => {
    const faults = { refuseSetstat: true, removeAfterClose: true, noRealpath: true };
    const client = new Client(t, { kept: 'x' }, faults);
    assertStatus(await client.request('setstat', { path: bytes('kept'), attributes: { mode: 0 } }), 3);
    const handle = await client.open('file');
    assertStatus(await client.request('fsetstat', { handle, attributes: { size: 0 } }), 3);
    await client.request('write', { handle, offset: 0, data: [bytes('x')] });
    assertStatus(await client.request('close', { handle }), 0);
    assertStatus(await client.request('stat', { path: bytes('file') }), 2);
    await client.request('close', { handle: await client.open('kept') });
    assert.equal((await client.request('stat', { path: bytes('kept') })).kind, 'attrs');
    assertStatus(await client.request('realpath', { path: bytes('.') }), 8);
  });

  test('noLongname, size, noFileType and maxNames change what listings tell', async (t) => {
    const faults: Faults = { noLongname: true, size: 'zero', noFileType: true, maxNames: 1 };
    const client = new Client(t, { a: 'content', b: 'content' }, faults);
    const opened = await client.request('opendir', { path: bytes('/') });
    assert.ok(opened.kind === 'handle');
    const replies = await readAll(client, opened.handle);
    assert.equal(replies.length, 4);
    for (const reply of replies) {
      assert.ok(reply.kind === 'name');
      assert.equal(reply.names.length, 1);
      assert.deepEqual(Buffer.from(reply.names[0]?.longname ?? []), Buffer.alloc(0));
      assert.equal(reply.names[0]?.attributes.size, 0);
      assert.equal((reply.names[0]?.attributes.mode ?? 0) & 0o170000, 0);
    }
    const stat = await client.request('stat', { path: bytes('a') });
    assert.ok(stat.kind === 'attrs');
    assert.deepEqual([stat.attributes.size, stat.attributes.mode], [0, 0o644]);
  });

  test('size can be absent', async (t) => {
    const client = new Client(t, { a: 'content' }, { size: 'absent' });
    const stat = await client.request('stat', { path: bytes('a') });
    assert.ok(stat.kind === 'attrs');
    assert.equal(stat.attributes.size, undefined);
  });

  test('laterStatusCodes says it more exactly', async (t) => {
    const client = new Client(t, { 'd/e': '', file: '' }, { laterStatusCodes: true });
    assertStatus(await client.request('rmdir', { path: bytes('d') }), 18);
    assertStatus(await client.request('opendir', { path: bytes('file') }), 19);
    assertStatus(await client.request('mkdir', { path: bytes('d'), attributes: {} }), 11);
    assertStatus(await client.request('stat', { path: bytes('missing') }), 2);
  });

  test('windowsPaths answers with a drive and understands it', async (t) => {
    const client = new Client(t, { 'd/file': 'content' }, { windowsPaths: true });
    const reply = await client.request('realpath', { path: bytes('d') });
    assert.ok(reply.kind === 'name');
    assert.equal(Buffer.from(reply.names[0]?.filename ?? []).toString(), '/C:/d');
    for (const path of ['/C:/d/file', 'C:/d/file', 'C:\\d\\file', 'd/file', '/c:/d/file']) {
      assert.equal((await client.request('stat', { path: bytes(path) })).kind, 'attrs', path);
    }
    assert.equal((await client.request('stat', { path: bytes('/C:') })).kind, 'attrs');
  });

  test('outOfOrder answers what came together in reverse', async (t) => {
    const client = new Client(t, { file: 'content' }, { outOfOrder: true });
    const handle = await client.open('file');
    client.order.length = 0;
    const read = (offset: number) => client.request('read', { handle, offset, length: 1 });
    const replies = await Promise.all([read(0), read(1), read(2)]);
    assert.deepEqual(
      replies.map((reply) => reply.kind === 'data' && Buffer.concat(reply.data).toString()),
      ['c', 'o', 'n'],
    );
    assert.deepEqual(
      client.order,
      [...client.order].sort((a, b) => b - a),
    );
  });

  test('answersWhenQuiet makes one turn of what is asked together, and counts it', async (t) => {
    const client = new Client(t, { file: 'content' }, { answersWhenQuiet: 5 });
    const handle = await client.open('file');
    const read = (offset: number) => client.request('read', { handle, offset, length: 1 });
    assert.equal(client.counters.turns, 1);
    await Promise.all([read(0), read(1), read(2), client.request('fstat', { handle })]);
    await read(3);
    const { turns, outstanding, mostOutstanding, mostOpenHandles } = client.counters;
    assert.equal(turns, 3);
    assert.deepEqual([outstanding.all, outstanding.read, mostOpenHandles], [0, 0, 1]);
    assert.deepEqual([mostOutstanding.all, mostOutstanding.read, mostOutstanding.fstat], [4, 3, 1]);
  });

  test('oneAtATime answers everything', async (t) => {
    const client = new Client(t, { file: 'content' }, { oneAtATime: true });
    const handle = await client.open('file');
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => client.request('read', { handle, offset: 0, length: 1 })),
    );
    assert.ok(replies.every((reply) => reply.kind === 'data'));
  });

  test('extensions that are not offered are not known either', async (t) => {
    const client = new Client(t, {}, {}, ['limits@openssh.com']);
    assert.deepEqual([...(await client.version).keys()], ['limits@openssh.com']);
    assertStatus(await client.extended('posixRename', { oldPath: bytes('a'), newPath: bytes('b') }), 8);
  });
});
