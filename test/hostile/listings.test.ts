/** The row P22 of the fault catalogue: listings without end. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import type { Connection } from '../../src/index.js';
import { makeFolder, snapshot } from '../support/folder.js';
import { converse, type ScriptedPeer } from '../support/scripted-peer.js';
import { openConnection } from '../support/stream-connection.js';

/** Names of 8 bytes, the first half of which tells the reply; without a longname and attributes. */
function namesBody(count: number): Buffer {
  const record = Buffer.from('00000008 3030303030303030 00000000 00000000'.replaceAll(' ', ''), 'hex');
  const records = Array.from({ length: count }, (_, index) => {
    const one = Buffer.from(record);
    one.write(index.toString(16).padStart(4, '0'), 8, 'latin1');
    return one;
  });
  const header = Buffer.alloc(4);
  header.writeUInt32BE(count);
  return Buffer.concat([header, ...records]);
}

function mark(body: Buffer, reply: number): void {
  const text = reply.toString(16).padStart(4, '0');
  for (let at = 8; at < body.length; at += 20) body.write(text, at, 'latin1');
}

interface EndlessListing {
  /** In each reply. */
  readonly names: number;
  readonly mostReplies: number;
  /** The names of every reply are the same. */
  readonly repeats?: boolean;
}

/** Answers every request on a directory, until the client has closed its listing; READDIR never with its end. */
async function listWithoutEnd(
  peer: ScriptedPeer,
  { names, mostReplies, repeats = false }: EndlessListing,
): Promise<void> {
  let replies = 0;
  let listings = repeats ? 2 : 1;
  const body = namesBody(names);
  const answer = (id: number) => {
    replies += 1;
    // Were it not for this, a client without a limit would go on until the memory is full.
    assert.ok(replies <= mostReplies, `the client reads more than ${mostReplies} replies`);
    if (!repeats) mark(body, replies);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(id);
    peer.sendPacket(104, Buffer.concat([header, body]));
  };
  await peer.handshake();
  while (listings > 0) {
    const request = await peer.expectAny();
    if (request.kind === 'opendir') request.handle('h');
    else if (request.kind === 'stat') request.attributes({ mode: 0o040755 });
    else if (request.kind === 'realpath') request.names('/');
    else if (request.kind === 'readdir') answer(request.id);
    else {
      assert.equal(request.kind, 'close');
      request.ok();
      // A download first opens the directory only to see whether it may be listed.
      if (replies > 0) listings -= 1;
    }
  }
}

const calls: Readonly<Record<string, (connection: Connection, folder: string) => Promise<unknown>>> = {
  listdir: (connection) => connection.listdir('/d'),
  getR: (connection, folder) => connection.getR('/d', folder),
  walktree: (connection) =>
    connection.walktree(
      '/d',
      () => {},
      () => {},
      () => {},
    ),
};

describe('a listing without end', () => {
  for (const [name, call] of Object.entries(calls)) {
    test(`P22: of replies without a name is an empty one for ${name}`, async (t) => {
      const folder = makeFolder(t);
      await converse(
        (peer) => listWithoutEnd(peer, { names: 0, mostReplies: 100 }),
        async (stream) => void (await call(await openConnection(stream), folder)),
      );
      const files = [...snapshot(folder).values()].filter((what) => what !== 'directory');
      assert.deepEqual(files, []);
    });
  }

  for (const repeats of [false, true]) {
    const which = repeats ? 'that are always the same' : 'that are always others';
    test(`P22: of names ${which} ends with an error at a million`, async () => {
      await converse(
        (peer) => listWithoutEnd(peer, { names: 8000, mostReplies: 160, repeats }),
        async (stream) => {
          const connection = await openConnection(stream);
          await assert.rejects(connection.listdir('/d'), { code: 'LIMIT' });
        },
        { deadlineMs: 60_000 },
      );
    });
  }
});
