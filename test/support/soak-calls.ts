/** What a soak does over its connection: every kind of call, each checked by what it must come to. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Connection, copyBetween } from '../../src/index.js';

export interface SoakCall {
  readonly sftp: Connection;
  /** Folders of its own, here and on the server; the server's is a path of this machine. */
  readonly local: string;
  readonly remote: string;
  readonly signal: AbortSignal;
}

const TREE_FILES = 25;
const AT_ONCE = 1100;

function content(length: number): Buffer {
  return Buffer.alloc(length, `${length} bytes of content, `);
}

function makeTree(folder: string): void {
  mkdirSync(join(folder, 'below'), { recursive: true });
  for (let index = 0; index < TREE_FILES; index += 1) {
    writeFileSync(join(folder, index % 2 ? 'below' : '.', `${index}`), content(index * 500));
  }
}

function assertTree(folder: string): void {
  for (let index = 0; index < TREE_FILES; index += 1) {
    assert.ok(readFileSync(join(folder, index % 2 ? 'below' : '.', `${index}`)).equals(content(index * 500)));
  }
}

async function bytesOf(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}

const LARGE = 1_500_000;

export const soakCalls: Readonly<Record<string, (call: SoakCall) => Promise<void>>> = {
  put: async ({ sftp, local, remote, signal }) => {
    writeFileSync(join(local, 'a'), content(LARGE));
    await sftp.put(join(local, 'a'), join(remote, 'a'), { signal });
    assert.ok(readFileSync(join(remote, 'a')).equals(content(LARGE)));
  },
  'atomic put': async ({ sftp, local, remote, signal }) => {
    writeFileSync(join(local, 'a'), content(300_000));
    writeFileSync(join(remote, 'a'), 'old');
    await sftp.put(join(local, 'a'), join(remote, 'a'), { signal, atomic: true });
    assert.ok(readFileSync(join(remote, 'a')).equals(content(300_000)));
  },
  get: async ({ sftp, local, remote, signal }) => {
    writeFileSync(join(remote, 'a'), content(LARGE));
    await sftp.get(join(remote, 'a'), join(local, 'a'), { signal });
    assert.ok(readFileSync(join(local, 'a')).equals(content(LARGE)));
  },
  putR: async ({ sftp, local, remote, signal }) => {
    makeTree(local);
    await sftp.putR(local, join(remote, 'tree'), { signal });
    assertTree(join(remote, 'tree'));
  },
  getD: async ({ sftp, local, remote, signal }) => {
    makeTree(remote);
    const { files } = await sftp.getD(remote, local, { signal });
    assert.equal(files, Math.ceil(TREE_FILES / 2));
  },
  mirror: async ({ sftp, local, remote, signal }) => {
    makeTree(local);
    await sftp.mirror(local, join(remote, 'tree'), { direction: 'up', signal });
    assertTree(join(remote, 'tree'));
  },
  copyBetween: async ({ sftp, remote, signal }) => {
    writeFileSync(join(remote, 'a'), content(200_000));
    await copyBetween(sftp, join(remote, 'a'), sftp, join(remote, 'b'), { signal });
    assert.ok(readFileSync(join(remote, 'b')).equals(content(200_000)));
  },
  copy: async ({ sftp, remote, signal }) => {
    writeFileSync(join(remote, 'a'), content(200_000));
    await sftp.copy(join(remote, 'a'), join(remote, 'b'), { signal });
    assert.ok(readFileSync(join(remote, 'b')).equals(content(200_000)));
  },
  'whole files': async ({ sftp, remote, signal }) => {
    await sftp.writeFile(join(remote, 'a'), content(40_000), { signal });
    await sftp.appendFile(join(remote, 'a'), 'more', { signal });
    assert.equal((await sftp.readFile(join(remote, 'a'), { signal })).length, 40_004);
  },
  streams: async ({ sftp, remote, signal }) => {
    const writing = sftp.createWriteStream(join(remote, 'a'), { signal });
    await pipeline(Readable.from([content(LARGE)]), writing);
    assert.ok((await bytesOf(sftp.createReadStream(join(remote, 'a'), { signal }))).equals(content(LARGE)));
  },
  'streams of the caller': async ({ sftp, remote, signal }) => {
    await sftp.putfo(Readable.from([content(90_000)]), join(remote, 'a'), { signal });
    const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
    assert.equal(await sftp.getfo(join(remote, 'a'), sink, { signal }), 90_000);
  },
  'an open file': async ({ sftp, remote, signal }) => {
    const file = await sftp.open(join(remote, 'a'), 'w+', { signal });
    try {
      await file.write('one\ntwo\n', { signal });
      await file.seek(0);
      const lines: string[] = [];
      for await (const line of file.lines({ signal })) lines.push(line);
      assert.deepEqual(lines, ['one', 'two']);
    } finally {
      await file.close().catch(() => {});
    }
  },
  directories: async ({ sftp, remote, signal }) => {
    await sftp.makedirs(join(remote, 'x/y/z'), 755, { signal });
    await sftp.touch(join(remote, 'x/y/file'), { signal });
    assert.deepEqual(await sftp.glob(join(remote, '*/*/f*'), { signal }), [join(remote, 'x/y/file')]);
    for await (const _ of sftp.walk(remote, { signal }));
    await sftp.rmtree(join(remote, 'x'), { signal });
  },
  'many calls at once': async ({ sftp, remote, signal }) => {
    writeFileSync(join(remote, 'a'), 'content');
    const reading = Array.from({ length: AT_ONCE }, () => sftp.readFile(join(remote, 'a'), { signal }));
    const results = await Promise.allSettled(reading);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  },
};

/** Empties the folders of a call for the next one. */
export function renew(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  mkdirSync(folder, { recursive: true });
}
