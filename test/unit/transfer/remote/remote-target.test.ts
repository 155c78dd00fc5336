import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Lanes } from '../../../../src/session/lanes.js';
import type { RemoteHandle, SftpClient } from '../../../../src/session/sftp-client.js';
import { RemoteTarget } from '../../../../src/transfer/remote/remote-target.js';

const MIB = 1024 * 1024;

interface Given {
  readonly size?: number | 'unknown';
  /** How much is written. */
  readonly length?: number;
  readonly channels?: number;
  readonly roundTripMs?: number;
  /** How many sessions the server allows. */
  readonly allowed?: number;
}

/** Writes to a server that answers nothing yet; gives the sessions that have got some. */
async function sessionsThatWrite({
  size = 512 * MIB,
  length = 16 * MIB,
  channels,
  roundTripMs = 50,
  allowed = 100,
}: Given): Promise<number> {
  const written = new Map<number, number>();
  let sessions = 0;
  const connect = () => {
    sessions += 1;
    const own = sessions;
    return {
      roundTripMs,
      limits: { maxWriteLength: MIB },
      open: async (): Promise<RemoteHandle> => ({ bytes: Buffer.alloc(4), path: 'file' }),
      write: () => {
        written.set(own, (written.get(own) ?? 0) + 1);
        return new Promise<void>(() => {});
      },
    } as unknown as SftpClient;
  };
  const lanes = new Lanes(async () => {
    if (sessions >= allowed) throw new Error('open failed');
    return connect();
  });
  const client = connect();
  const handle = await client.open('file', 0);
  const target = new RemoteTarget({
    client,
    handle,
    path: Buffer.from('file'),
    size: size === 'unknown' ? undefined : size,
    channels,
    lanes,
  });
  for (let offset = 0; offset < length; offset += MIB) {
    target.write(offset, [Buffer.alloc(MIB)], {}).catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
  }
  return written.size;
}

describe('A large file on a server', () => {
  test('is written through eight channels where the line is long', async () => {
    assert.equal(await sessionsThatWrite({}), 8);
  });

  for (const channels of [1, 2, 5, 12]) {
    test(`is written through ${channels} where so many are allowed`, async () => {
      assert.equal(await sessionsThatWrite({ channels }), channels);
    });
  }

  test('is written through as many as the server lets be opened', async () => {
    assert.equal(await sessionsThatWrite({ allowed: 3 }), 3);
    assert.equal(await sessionsThatWrite({ allowed: 1 }), 1);
  });

  test('is written through no more than what is left of it is worth', async () => {
    assert.equal(await sessionsThatWrite({ size: 18 * MIB }), 3);
    assert.equal(await sessionsThatWrite({ size: 8 * MIB }), 1);
  });

  test('is written through three over a short line, where so much is left that this is worth it', async () => {
    assert.equal(await sessionsThatWrite({ roundTripMs: 5 }), 3);
    assert.equal(await sessionsThatWrite({ roundTripMs: 5, size: 100 * MIB }), 2);
    assert.equal(await sessionsThatWrite({ roundTripMs: 5, size: 60 * MIB }), 1);
  });
});

describe('A file of unknown length over a long line', () => {
  for (const [mebibytes, channels] of [
    [8, 1],
    [10, 2],
    [18, 3],
    [60, 8],
    [100, 8],
  ] as const) {
    test(`is written through ${channels} when ${mebibytes} MiB of it have come`, async () => {
      assert.equal(await sessionsThatWrite({ size: 'unknown', length: mebibytes * MIB }), channels);
    });
  }
});

describe('A file of unknown length over a short line', () => {
  test('is written through one', async () => {
    assert.equal(await sessionsThatWrite({ size: 'unknown', length: 150 * MIB, roundTripMs: 5 }), 1);
  });
});

describe('A block on its way to a server', () => {
  test('is cut into requests of at most the length that the server takes, without a gap', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 30 }),
        fc.nat({ max: 1000 }),
        async (contents, maxWriteLength, offset) => {
          const pieces = contents.map((content) => Buffer.from(content));
          const lengths: number[] = [];
          const written = Buffer.alloc(offset + 160);
          const client = {
            limits: { maxWriteLength },
            write: async (_: RemoteHandle, at: number, parts: readonly Buffer[]) => {
              const bytes = Buffer.concat(parts);
              lengths.push(bytes.length);
              bytes.copy(written, at);
            },
          } as unknown as SftpClient;
          const handle = { bytes: Buffer.alloc(4), path: 'file' };
          const options = { client, handle, path: Buffer.from('file'), size: undefined, lanes: undefined };
          await new RemoteTarget(options).write(offset, pieces, {});
          const whole = Buffer.concat(pieces);
          assert.deepEqual(written.subarray(offset, offset + whole.length), whole);
          const full = Math.floor(whole.length / maxWriteLength);
          const rest = whole.length % maxWriteLength;
          assert.deepEqual(lengths, [...Array(full).fill(maxWriteLength), ...(rest > 0 ? [rest] : [])]);
        },
      ),
    );
  });

  test('fails with the first of its requests that fails, when none is under way any more', async () => {
    const answers = new Map<number, (error?: Error) => void>();
    const client = {
      limits: { maxWriteLength: 4 },
      write: (_: RemoteHandle, at: number) =>
        new Promise<void>((resolve, reject) => {
          answers.set(at, (error) => (error ? reject(error) : resolve()));
        }),
    } as unknown as SftpClient;
    const handle = { bytes: Buffer.alloc(4), path: 'file' };
    const options = { client, handle, path: Buffer.from('file'), size: undefined, lanes: undefined };
    let isOver = false;
    const writing = new RemoteTarget(options).write(0, [Buffer.alloc(12)], {});
    writing.then(
      () => {},
      () => {
        isOver = true;
      },
    );
    answers.get(4)?.(new Error('the disk is full'));
    answers.get(0)?.();
    await new Promise(setImmediate);
    assert.equal(isOver, false);
    answers.get(8)?.();
    await assert.rejects(writing, { message: 'the disk is full' });
  });
});
