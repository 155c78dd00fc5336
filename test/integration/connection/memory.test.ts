/** Sockets read into the same memory again and again: nobody may find other bytes in what they have kept. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { type Connection, OPEN_FLAGS } from '../../../src/index.js';
import { connectToSshd } from '../../support/login.js';
import { needsOpenSsh, startSshd } from '../../support/sshd.js';

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
});
