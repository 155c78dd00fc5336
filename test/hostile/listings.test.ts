/** The row P22 of the fault catalogue: listings without end. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import type { Connection } from '../../src/index.js';
import { ByteWriter } from '../../src/wire/bytes.js';
import { encodeReply } from '../../src/wire/codec.js';
import { makeFolder } from '../support/folder.js';
import { converse, type ScriptedName, type ScriptedPeer } from '../support/scripted-peer.js';
import { openConnection } from '../support/stream-connection.js';

/** Answers every request on a directory, until the client has closed its listing; READDIR always with the same names. */
async function listWithoutEnd(
  peer: ScriptedPeer,
  names: readonly ScriptedName[],
  mostReplies: number,
): Promise<void> {
  let replies = 0;
  // Written once: it is sent often.
  const writer = new ByteWriter();
  const entries = names.map(({ filename }) => ({
    filename: Buffer.from(filename),
    longname: Buffer.alloc(0),
    attributes: {},
  }));
  encodeReply(writer, 0, 'name', { names: entries });
  const body = Buffer.concat(writer.take()).subarray(9);
  await peer.handshake();
  for (;;) {
    const request = await peer.expectAny();
    if (request.kind === 'opendir') request.handle('h');
    else if (request.kind === 'stat') request.attributes({ mode: 0o040755 });
    else if (request.kind === 'realpath') request.names('/');
    else if (request.kind === 'readdir') {
      replies += 1;
      // Were it not for this, a client without a limit would go on until the memory is full.
      assert.ok(replies <= mostReplies, `the client reads more than ${mostReplies} replies`);
      const id = Buffer.alloc(4);
      id.writeUInt32BE(request.id);
      peer.sendPacket(104, Buffer.concat([id, body]));
    } else if (request.kind === 'close') {
      request.ok();
      // A download first opens the directory only to see whether it may be listed.
      if (replies > 0) return;
    } else assert.fail(`${request.kind} was not expected`);
  }
}

async function refuses(
  t: TestContext,
  names: readonly ScriptedName[],
  mostReplies: number,
  act: (connection: Connection, folder: string) => Promise<unknown>,
): Promise<void> {
  const folder = makeFolder(t);
  await converse(
    (peer) => listWithoutEnd(peer, names, mostReplies),
    async (stream: Duplex) => {
      const connection = await openConnection(stream);
      await assert.rejects(act(connection, folder), { code: 'LIMIT' });
    },
    { deadlineMs: 60_000 },
  );
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
    test(`P22: of replies without a name ends ${name} with an error`, (t) => refuses(t, [], 100, call));
  }

  test('P22: of names ends with an error at a million', async (t) => {
    const names = Array.from({ length: 8000 }, () => ({ filename: 'x' }));
    await refuses(t, names, 160, (connection) => connection.listdir('/d'));
  });
});
