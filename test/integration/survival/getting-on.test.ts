/** Connections that are cut again and again: whatever has arrived counts, and is not read or sent again. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { describe, test } from 'node:test';
import { type ConnectOptions, connect } from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { startFaultProxy } from '../../support/fault-proxy.js';
import { makeFolder } from '../../support/folder.js';

/** Fewer attempts than there are cuts: each must get further. */
const RETRY = { attempts: 2, delay: 1, factor: 1, jitter: 0 };

function logIn(
  { host, username, password, hostKey }: TestServer,
  port: number,
  options: ConnectOptions = {},
) {
  return connect(host, {
    port,
    username,
    password,
    fingerprint: hostKey.fingerprint,
    retry: RETRY,
    ...options,
  });
}

describe('a connection that is cut again and again', () => {
  for (const { what, atByte, size } of [
    { what: 'every 1.5 MB', atByte: 1_500_000, size: 5_000_000 },
    { what: 'every 40 KB', atByte: 40_000, size: 160_000 },
  ])
    for (const direction of ['toClient', 'toServer'] as const) {
      const call = direction === 'toClient' ? 'get' : 'put';
      test(`${call} gets on though it is cut ${what}, and moves hardly anything twice`, async (t) => {
        const folder = makeFolder(t);
        const content = randomBytes(size);
        writeFileSync(join(folder, 'source'), content);
        await using server = await startServer({ files: { file: content } });
        const proxy = await startFaultProxy(t, server.port);
        proxy.fault = { kind: 'reset', direction, atByte };
        await using sftp = await logIn(server, proxy.port);
        if (call === 'get') await sftp.get('file', join(folder, 'target'));
        else await sftp.put(join(folder, 'source'), 'target');
        const copy = call === 'get' ? readFileSync(join(folder, 'target')) : server.readFile('target');
        assert.ok(content.equals(copy));
        assert.ok(proxy.connections > size / atByte, `${proxy.connections} connections`);
        const [other] = [call === 'get' ? 'toServer' : 'toClient'] as const;
        // Nothing of what is there is read to be compared.
        assert.ok(proxy.passed[other] < 0.1 * size + 30_000 * proxy.connections);
        assert.deepEqual(readdirSync(folder).sort(), call === 'get' ? ['source', 'target'] : ['source']);
      });
    }

  test('streams go on, and give and take each byte once', async (t) => {
    const folder = makeFolder(t);
    const content = randomBytes(6_000_000);
    await using server = await startServer({ files: { file: content } });
    const proxy = await startFaultProxy(t, server.port);
    for (const direction of ['toClient', 'toServer'] as const)
      proxy.queue.push(
        ...Array.from({ length: 3 }, () => ({ kind: 'reset', direction, atByte: 1_500_000 }) as const),
      );
    await using sftp = await logIn(server, proxy.port);
    assert.ok(content.equals(await buffer(sftp.createReadStream('file'))));
    await pipeline(
      [content.subarray(0, 2_000_000), content.subarray(2_000_000)],
      sftp.createWriteStream('new'),
    );
    assert.ok(content.equals(server.readFile('new')));
    const chunks: Buffer[] = [];
    const sink = new Writable({
      write(chunk, _, callback) {
        chunks.push(chunk);
        callback();
      },
    });
    proxy.queue.push({ kind: 'reset', direction: 'toClient', atByte: 1_000_000 });
    await sftp.getfo('file', sink);
    assert.ok(content.equals(Buffer.concat(chunks)));
    assert.equal(proxy.connections, 7);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('a stream ends with an error where the file is another one by then', async (t) => {
    const content = randomBytes(6_000_000);
    const root = makeFolder(t);
    writeFileSync(join(root, 'file'), content);
    await using server = await startServer({ root });
    const proxy = await startFaultProxy(t, server.port);
    proxy.queue.push({ kind: 'reset', direction: 'toClient', atByte: 1_500_000 });
    await using sftp = await logIn(server, proxy.port, {
      onReconnecting: () => writeFileSync(join(root, 'file'), 'another one'),
    });
    await assert.rejects(buffer(sftp.createReadStream('file')), { code: 'SOURCE_CHANGED' });
  });
});

describe('an answer that is lost', () => {
  test('of the rename at the end of an upload: it is looked up, and nothing is sent again', async (t) => {
    const root = makeFolder(t);
    const folder = makeFolder(t);
    const content = randomBytes(2_000_000);
    writeFileSync(join(folder, 'source'), content);
    writeFileSync(join(root, 'target'), 'old');
    mkdirSync(join(root, 'other'));
    let renames = 0;
    await using server = await startServer(
      { root },
      {
        faults: {
          failOn: ({ kind }) => {
            if (kind !== 'extended' || !readdirSync(root).some((name) => name.startsWith('.tsftp-')))
              return undefined;
            if (server.counters.extended['posix-rename@openssh.com'] !== 1) return undefined;
            renames += 1;
            const [temporary = ''] = readdirSync(root).filter((name) => name.startsWith('.tsftp-'));
            renameSync(join(root, temporary), join(root, 'target'));
            server.disconnectAll();
            return undefined;
          },
        },
      },
    );
    await using sftp = await logIn(server, server.port);
    const { size } = await sftp.put(join(folder, 'source'), 'target');
    assert.equal(size, content.length);
    assert.ok(content.equals(readFileSync(join(root, 'target'))));
    assert.deepEqual([renames, server.counters.connections], [1, 2]);
    assert.equal(server.counters.bytesWritten, content.length);
    assert.deepEqual(readdirSync(root).sort(), ['other', 'target']);
  });
});
