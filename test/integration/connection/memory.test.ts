/** Sockets read into the same memory again and again: nobody may find other bytes in what they have kept. */
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { describe, type TestContext, test } from 'node:test';
import { type Connection, OPEN_FLAGS } from '../../../src/index.js';
import { connectToSshd } from '../../support/login.js';
import { needsOpenSsh, type Sshd, startSshd } from '../../support/sshd.js';

const LENGTH = 1_500_003;
const COPIES = 3;

/** Every way to get a file, keeping all the pieces that came until the end. */
const WAYS: Readonly<
  Record<string, (sftp: Connection, path: string, local: string) => Promise<readonly Uint8Array[]>>
> = {
  get: async (sftp, path, local) => {
    await sftp.get(path, local);
    return [readFileSync(local)];
  },
  readFile: async (sftp, path) => [await sftp.readFile(path)],
  createReadStream: async (sftp, path) => {
    const chunks: Buffer[] = [];
    for await (const chunk of sftp.createReadStream(path)) chunks.push(chunk);
    return chunks;
  },
  getfo: async (sftp, path) => {
    const chunks: Buffer[] = [];
    await sftp.getfo(path, { write: (chunk) => void chunks.push(chunk) });
    return chunks;
  },
  'the client’s read': async ({ sftpClient: client }, path) => {
    const handle = await client.open(path, OPEN_FLAGS.READ);
    const chunks: Buffer[] = [];
    for (let offset = 0; ; ) {
      const pieces = await client.read(handle, offset, 100_000);
      if (pieces === null) break;
      chunks.push(...pieces);
      for (const piece of pieces) offset += piece.length;
    }
    await client.close(handle);
    return chunks;
  },
  'a command': async (sftp, path) => {
    const { stdout } = await sftp.run(`base64 '${path}'; cat '${path}' >&2`);
    return [Buffer.from(stdout, 'base64')];
  },
};

describe('what has been received', { skip: needsOpenSsh }, () => {
  for (const config of [[], ['RekeyLimit 1M']]) {
    const name = config.length === 0 ? 'in peace' : 'while keys are exchanged all the time';
    test(`stays as it came, whoever reads and keeps it at the same time, ${name}`, async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'tsftp-memory-'));
      t.after(() => rmSync(folder, { recursive: true, force: true }));
      await using sshd = await startSshd({ config });
      await using sftp = await connectToSshd(sshd);
      const content = randomBytes(LENGTH);
      const path = join(folder, 'file');
      writeFileSync(path, content);
      const expected = createHash('sha256').update(content).digest('hex');
      const all = Object.entries(WAYS).flatMap(([way, receive]) =>
        Array.from({ length: COPIES }, async (_, index) => {
          const local = join(folder, `${way} ${index}`);
          return { way, pieces: await receive(sftp, path, local) };
        }),
      );
      for (const { way, pieces } of await Promise.all(all)) {
        const hash = createHash('sha256');
        for (const piece of pieces) hash.update(piece);
        assert.equal(hash.digest('hex'), expected, way);
      }
    });
  }

  for (const cipher of ['aes128-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes128-ctr']) {
    test(`is whole wherever the pieces end in which it comes, with ${cipher}`, async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'tsftp-memory-'));
      t.after(() => rmSync(folder, { recursive: true, force: true }));
      await using sshd = await startSshd({ config: [`Ciphers ${cipher}`] });
      const port = await startCutter(t, sshd.port);
      const { fingerprint } = await keyOf(sshd);
      await using sftp = await connectToSshd(sshd, {
        port,
        cnopts: { fingerprint, hostkeys: null, agent: false, ciphers: [cipher] },
      });
      const content = randomBytes(100_001);
      writeFileSync(join(folder, 'file'), content);
      // Small packets come whole and without their tags, large ones are cut within.
      for (let turn = 0; turn < 40; turn += 1) {
        const path = join(folder, 'file');
        const asked = Array.from({ length: 100 }, () => sftp.stat(path));
        for (const { size } of await Promise.all(asked)) assert.equal(size, content.length);
        await sftp.get(path, join(folder, 'copy'));
        assert.ok(content.equals(readFileSync(join(folder, 'copy'))));
      }
    });
  }
});

async function keyOf(sshd: Sshd): Promise<{ readonly fingerprint: string }> {
  await using sftp = await connectToSshd(sshd);
  return sftp.remoteServerKey;
}

/** Passes on what the server sends in pieces of any length, each in a turn of its own. */
async function startCutter(t: TestContext, port: number): Promise<number> {
  const cutter = createServer((client) => {
    const server = connectTcp({ host: '127.0.0.1', port, noDelay: true });
    client.setNoDelay(true);
    client.pipe(server);
    const end = () => {
      client.destroy();
      server.destroy();
    };
    client.on('error', end).on('close', end);
    server.on('error', end).on('close', end);
    pipeline(server, cut, client).catch(() => {});
  });
  t.after(() => cutter.close());
  cutter.listen(0, '127.0.0.1');
  await once(cutter, 'listening');
  return (cutter.address() as AddressInfo).port;
}

async function* cut(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; ) {
      const piece = chunk.subarray(start, start + randomInt(1, chunk.length < 16_000 ? 300 : 70_000));
      start += piece.length;
      yield piece;
      await new Promise(setImmediate);
    }
  }
}
