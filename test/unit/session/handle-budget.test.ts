import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OPEN_FLAGS } from '../../../src/session/sftp-client.js';
import { SSH_FX } from '../../../src/wire/status.js';
import type { ScriptedPeer } from '../../support/scripted-peer.js';
import { converseInSession } from './conversation.js';

const { READ, WRITE } = OPEN_FLAGS;

describe('the handles of a session', () => {
  test('what is opened beyond the limit is asked for when something is closed, in the order of asking', async () => {
    await converseInSession(
      async (peer) => {
        for (const path of ['a', 'b']) (await peer.expect('open', { path })).handle(path);
        (await peer.expect('close', { handle: 'b' })).status(SSH_FX.OK);
        (await peer.expect('open', { path: 'c' })).handle('c');
        (await peer.expect('close', { handle: 'c' })).status(SSH_FX.OK);
        (await peer.expect('opendir', { path: 'd' })).handle('d');
      },
      async ({ session, client }) => {
        // One of them is kept for writing.
        session.handles.limitTo(3);
        const opening = ['a', 'b', 'c'].map((path) => client.open(path, READ));
        const directory = client.opendir('d');
        const [, b] = [await opening[0], await opening[1]];
        if (b === undefined) return;
        await client.close(b);
        const c = await opening[2];
        if (c !== undefined) await client.close(c);
        await directory;
      },
    );
  });

  test('the last handle is for writing, which waits for no reader', async () => {
    await converseInSession(
      async (peer) => {
        (await peer.expect('open', { path: 'a' })).handle('a');
        (await peer.expect('open', { path: 'target' })).handle('target');
        (await peer.expect('close', { handle: 'a' })).status(SSH_FX.OK);
        (await peer.expect('open', { path: 'b' })).status(SSH_FX.NO_SUCH_FILE);
      },
      async ({ session, client }) => {
        session.handles.limitTo(2);
        const a = await client.open('a', READ);
        const b = client.open('b', READ);
        await client.open('target', WRITE);
        // The writer has the last one: the reader waits for both.
        session.handles.limitTo(3);
        await client.close(a);
        await assert.rejects(b, { code: 'ENOENT' });
      },
    );
  });

  test('a refusal beside open files is learned from where the server opens nothing else either', async () => {
    await converseInSession(
      async (peer) => {
        await refuseSecond(peer);
        (await peer.expect('close', { handle: 'a' })).status(SSH_FX.OK);
        (await peer.expect('open', { path: 'b' })).handle('b');
      },
      async ({ client }) => {
        const a = await client.open('a', READ);
        const b = client.open('b', READ);
        await client.stat('/');
        await client.close(a);
        assert.equal((await b).path, 'b');
      },
    );
  });

  test('a refusal beside open files is told where the server opens something else', async () => {
    await converseInSession(
      async (peer) => {
        (await peer.expect('open', { path: 'a' })).handle('a');
        (await peer.expect('open', { path: 'b' })).status(SSH_FX.FAILURE);
        (await peer.expect('opendir', { path: '.' })).handle('spare');
        (await peer.expect('close', { handle: 'spare' })).status(SSH_FX.OK);
        (await peer.expect('open', { path: 'b' })).status(SSH_FX.FAILURE, 'bad disk');
      },
      async ({ client }) => {
        await client.open('a', READ);
        await assert.rejects(client.open('b', READ), { code: 'FAILURE', serverMessage: 'bad disk' });
      },
    );
  });

  test('nobody waits for ever: EMFILE when no handle was used for as long as a session may be silent', async () => {
    await converseInSession(
      async (peer) => {
        (await peer.expect('open', { path: 'a' })).handle('a');
      },
      async ({ session, client }) => {
        session.handles.limitTo(1);
        await client.open('a', READ);
        await assert.rejects(client.open('b', READ), {
          code: 'EMFILE',
          message:
            "open 'b': all 1 files and directories that the server keeps open for this connection are open, and none is being used; close what you no longer need",
        });
      },
      { noProgressTimeoutMs: 50 },
    );
  });

  test('whoever waits is told when the session ends, and leaves when his signal aborts', async () => {
    await converseInSession(
      async (peer) => {
        (await peer.expect('open', { path: 'a' })).handle('a');
        await peer.closed;
      },
      async ({ session, client }) => {
        session.handles.limitTo(1);
        await client.open('a', READ);
        const abort = new AbortController();
        const aborted = client.open('b', READ, { signal: abort.signal });
        const waiting = client.opendir('c');
        abort.abort(new Error('enough'));
        await assert.rejects(aborted, /enough/);
        session.destroy(new Error('over'));
        await assert.rejects(waiting, /over/);
      },
    );
  });
});

/** One file is open, and there is no handle for the next, nor for a directory. */
async function refuseSecond(peer: ScriptedPeer): Promise<void> {
  (await peer.expect('open', { path: 'a' })).handle('a');
  const second = await peer.expect('open', { path: 'b' });
  const stat = await peer.expect('stat', { path: '/' });
  second.status(SSH_FX.FAILURE);
  (await peer.expect('opendir', { path: '.' })).status(SSH_FX.FAILURE);
  stat.attributes({});
}
