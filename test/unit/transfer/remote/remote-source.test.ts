import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { RemoteHandle, SftpClient } from '../../../../src/session/sftp-client.js';
import type { FileInfo } from '../../../../src/transfer/file-system.js';
import { RemoteSource } from '../../../../src/transfer/remote/remote-source.js';

const HANDLE: RemoteHandle = { bytes: Buffer.alloc(4), path: 'file' };

function infoOf(size: number | undefined): FileInfo {
  return { type: 'file', size, mode: 0o644, atime: 1, mtime: 1 };
}

interface Given {
  readonly content: Buffer;
  readonly maxReadLength: number;
  /** How many of the bytes that are there an answer has. */
  readonly lengthOf?: (available: number) => number;
  readonly answered?: () => Promise<void>;
}

/** A server with one file, and what it was asked for. */
function server({ content, maxReadLength, lengthOf = (available) => available, answered }: Given) {
  const asked: (readonly [offset: number, length: number])[] = [];
  const client = {
    limits: { maxReadLength },
    supports: () => false,
    read: async (_: RemoteHandle, offset: number, length: number) => {
      asked.push([offset, length]);
      await answered?.();
      const available = Math.min(length, content.length - offset);
      return available > 0 ? [content.subarray(offset, offset + lengthOf(available))] : null;
    },
  } as unknown as SftpClient;
  return { client, asked };
}

describe('A block of a file on a server', () => {
  test('is what stands there, however short the answers are and in whatever order they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 100 }),
        fc.integer({ min: 1, max: 20 }),
        fc.nat({ max: 110 }),
        fc.integer({ min: 1, max: 80 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
        fc.boolean(),
        fc.scheduler(),
        async (bytes, maxReadLength, offset, length, lengths, isTold, scheduler) => {
          const content = Buffer.from(bytes);
          const lengthOf = (available: number) => Math.min(available, lengths.next().value ?? 1);
          const answered = () => scheduler.schedule(Promise.resolve());
          const { client, asked } = server({ content, maxReadLength, lengthOf, answered });
          const source = new RemoteSource(client, HANDLE, infoOf(isTold ? content.length : undefined));
          const reading = source.read(offset, length, {});
          const pieces = await scheduler.waitFor(reading);
          const expected = content.subarray(offset, offset + length);
          // A single request gives what its answer has; of several, each is asked for again until it is full.
          const given = Buffer.concat(pieces ?? []);
          if (length > maxReadLength) assert.deepEqual(given, expected);
          else assert.deepEqual(given, expected.subarray(0, given.length));
          assert.equal(pieces === null, expected.length === 0);
          assert.ok(asked.every(([, count]) => count <= maxReadLength));
        },
      ),
      { numRuns: 300 },
    );
  });

  test('is asked for at once, and its end where the file is told to end with one request', async () => {
    const { client, asked } = server({ content: Buffer.alloc(10), maxReadLength: 4 });
    const source = new RemoteSource(client, HANDLE, infoOf(10));
    assert.equal(Buffer.concat((await source.read(0, 11, {})) ?? []).length, 10);
    assert.deepEqual(asked, [
      [0, 4],
      [4, 4],
      [8, 3],
    ]);
  });

  test('ends where the file has shrunk to, whatever later requests have brought', async () => {
    const content = Buffer.from('abcdefghijkl');
    const client = {
      limits: { maxReadLength: 4 },
      supports: () => false,
      read: async (_: RemoteHandle, offset: number, length: number) =>
        // The second part is read when the file is short, the third when it has grown again.
        offset === 4 ? null : [content.subarray(offset, offset + length)],
    } as unknown as SftpClient;
    const source = new RemoteSource(client, HANDLE, infoOf(12));
    assert.equal(Buffer.concat((await source.read(0, 12, {})) ?? []).toString(), 'abcd');
  });
});
