/** The installed ssh2 still has the private parts that we lean on, and they still do what we think. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import ssh2, { type Client } from 'ssh2';
import {
  announceWindow,
  discardChannel,
  INITIAL_WINDOW,
  isExchangingKeys,
  openSession,
  type RawChannel,
  refuseSha1Signatures,
  sendNewPassword,
} from '../../../src/ssh/ssh2-internals.js';
import { acceptRsa, type PeerOptions, startPeer, withholdExtensions } from '../../support/misbehaving-ssh.js';

interface Login {
  readonly client: Client;
  readonly ready: Promise<unknown>;
}

async function login(t: TestContext, options: PeerOptions = {}, config: object = {}): Promise<Login> {
  const port = await startPeer(t, options);
  const sock = connect(port, '127.0.0.1');
  t.after(() => sock.destroy());
  await once(sock, 'connect');
  const client = new ssh2.Client();
  client.on('error', () => {});
  const ready = once(client, 'ready');
  ready.catch(() => {});
  client.connect({ sock, username: 'me', password: 'old', ...config });
  return { client, ready };
}

/** What ssh2 takes the next message of the login for. */
function waitingFor(client: Client): readonly string[] {
  return (client as unknown as { _protocol: { _authsQueue: string[] } })._protocol._authsQueue;
}

function openOn(client: Client, request: Parameters<typeof openSession>[1]): Promise<RawChannel> {
  return new Promise((resolve, reject) => {
    openSession(client, request, (error, channel) => (channel ? resolve(channel) : reject(error)));
  });
}

describe('the inside of ssh2', () => {
  test('a subsystem is opened, and its channel has windows, a packet size and a state', async (t) => {
    const { client, ready } = await login(t);
    await ready;
    const channel = await openOn(client, { type: 'subsystem', name: 'sftp' });
    assert.equal(channel.subtype, 'subsystem');
    assert.equal(channel.incoming.window, INITIAL_WINDOW);
    assert.deepEqual([channel.outgoing.packetSize, channel.outgoing.state], [32 * 1024, 'open']);
    assert.ok(channel.outgoing.window > 0);
  });

  test('what the server sends comes through push, on the channel and on its stderr', async (t) => {
    const { client, ready } = await login(t, {
      onChannel: (channel) => {
        channel.write('out');
        channel.stderr.write('err');
      },
    });
    await ready;
    const channel = await openOn(client, { type: 'subsystem', name: 'sftp' });
    const pushed: string[] = [];
    const both = new Promise<void>((resolve) => {
      const note = (chunk: Buffer | null): boolean => {
        if (pushed.push(String(chunk)) === 2) resolve();
        return true;
      };
      Object.assign(channel, { push: note });
      Object.assign(channel.stderr, { push: note });
    });
    await both;
    assert.deepEqual(pushed, ['out', 'err']);
    assert.equal(channel.incoming.window, INITIAL_WINDOW - 6);
  });

  test('a window that is announced reaches the server', async (t) => {
    const windows: number[] = [];
    const { client, ready } = await login(t, {
      onChannel: (_channel, { protocol }) => {
        protocol._handlers.CHANNEL_WINDOW_ADJUST = (_protocol: unknown, _id: number, bytes: number) =>
          void windows.push(bytes);
      },
    });
    await ready;
    const channel = await openOn(client, { type: 'subsystem', name: 'sftp' });
    announceWindow(client, channel, 12_345);
    // The server's answer to a request that follows proves that it has read what went before.
    await assert.rejects(openOn(client, { type: 'exec', command: 'true' }));
    assert.deepEqual(windows, [12_345]);
  });

  test('the channel of a request that the server refuses is closed', async (t) => {
    const closed: number[] = [];
    let whenClosed = (): void => {};
    const gone = new Promise<void>((resolve) => {
      whenClosed = resolve;
    });
    const { client, ready } = await login(t, {
      onPeer: ({ protocol }) => {
        const { CHANNEL_CLOSE } = protocol._handlers as Record<string, (...args: unknown[]) => void>;
        protocol._handlers.CHANNEL_CLOSE = (inner: unknown, channel: number) => {
          closed.push(channel);
          CHANNEL_CLOSE?.(inner, channel);
          whenClosed();
        };
      },
    });
    await ready;
    await assert.rejects(openOn(client, { type: 'exec', command: 'true' }), /exec/);
    await gone;
    assert.equal(closed.length, 1);
  });

  test('a channel that nobody wants can be discarded', async (t) => {
    const { client, ready } = await login(t);
    await ready;
    const channel = await openOn(client, { type: 'subsystem', name: 'sftp' });
    const ended = once(channel, 'close');
    discardChannel(channel);
    await ended;
    assert.equal(channel.outgoing.state, 'closed');
  });

  test('an exchange of keys is seen, and handshake comes at its end', async (t) => {
    const { client, ready } = await login(t);
    await ready;
    assert.equal(isExchangingKeys(client), false);
    const done = once(client, 'handshake');
    (client as unknown as { _protocol: { rekey(): void } })._protocol.rekey();
    assert.equal(isExchangingKeys(client), true);
    await done;
    assert.equal(isExchangingKeys(client), false);
  });

  test('a new password goes along with the old one', async (t) => {
    const given: unknown[] = [];
    const { client, ready } = await login(t, {
      onAuthentication: (context) => {
        if (context.method === 'none') context.reject(['password']);
        if (context.method !== 'password') return;
        given.push(context.password);
        context.requestChange('too old', (newPassword) => {
          given.push(newPassword);
          context.accept();
        });
      },
    });
    await once(client, 'change password');
    sendNewPassword(client, { username: 'me', password: 'old', newPassword: 'new' });
    await ready;
    assert.deepEqual(given, ['old', 'new']);
    assert.deepEqual(waitingFor(client), []);
  });

  for (const refuse of [false, true]) {
    const algorithm = refuse ? 'rsa-sha2-256' : 'ssh-rsa';
    const when = refuse ? 'once SHA-1 is refused' : 'as long as SHA-1 is not refused';
    test(`an RSA key signs with ${algorithm} for a server that does not say what it knows, ${when}`, async (t) => {
      const signedWith: string[] = [];
      const privateKey = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 }).private;
      const { client, ready } = await login(
        t,
        { onPeer: withholdExtensions, onAuthentication: acceptRsa(signedWith) },
        { privateKey, password: undefined },
      );
      client.once('handshake', () => refuse && refuseSha1Signatures(client));
      await ready;
      assert.deepEqual(signedWith, [algorithm]);
    });
  }
});
