import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { Lanes } from '../../../src/session/lanes.js';
import type { RemoteHandle, SftpClient } from '../../../src/session/sftp-client.js';
import { RemoteTarget } from '../../../src/transfer/remote-target.js';

const MIB = 1024 * 1024;

interface Given {
  readonly size?: number;
  readonly channels?: number;
  readonly roundTripMs?: number;
  /** How many sessions the server allows. */
  readonly allowed?: number;
}

/** Writes 16 MiB at a time to a server that answers none of it yet; gives the sessions that have got some. */
async function sessionsThatWrite({
  size = 512 * MIB,
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
  const target = new RemoteTarget({ client, handle, path: Buffer.from('file'), size, channels, lanes });
  for (let offset = 0; offset < 16; offset += 1) {
    target.write(offset * MIB, [Buffer.alloc(MIB)], {}).catch(() => {});
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

  test('is written through one channel over a short line', async () => {
    assert.equal(await sessionsThatWrite({ roundTripMs: 5 }), 1);
  });
});
