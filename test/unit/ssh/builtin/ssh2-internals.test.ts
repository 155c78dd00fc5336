/** The installed ssh2 still has the private parts that we lean on, and they still do what we think. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import ssh2, { type Client } from 'ssh2';
import {
  announceWindow,
  discardChannel,
  INITIAL_WINDOW,
  isExchangingKeys,
  openSession,
  type RawChannel,
} from '../../../../src/ssh/builtin/ssh2-internals.js';
import {
  forgoHostKeyProofs,
  identify,
  prepareLogin,
  refuseSha1Signatures,
  sendNewPassword,
  signAtOnce,
} from '../../../../src/ssh/builtin/ssh2-login.js';
import {
  acceptRsa,
  makeHostKey,
  type Peer,
  type PeerOptions,
  send,
  sshString,
  startPeer,
  withholdExtensions,
} from '../../../support/misbehaving-ssh.js';

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

/** Calls as if a later ssh2 did not have that part. */
function without<T>(client: Client, part: string, call: () => T): T {
  const { _protocol } = client as unknown as { _protocol: object };
  const own = Object.getOwnPropertyDescriptor(_protocol, part);
  Object.defineProperty(_protocol, part, { value: undefined, configurable: true });
  try {
    return call();
  } finally {
    Reflect.deleteProperty(_protocol, part);
    if (own !== undefined) Object.defineProperty(_protocol, part, own);
  }
}

function openOn(client: Client, request: Parameters<typeof openSession>[1]): Promise<RawChannel> {
  return new Promise((resolve, reject) => {
    openSession(client, request, (error, channel) => (channel ? resolve(channel) : reject(error)));
  });
}

/** Calls for every SSH_MSG_IGNORE that comes. */
function onIgnored(protocol: Peer['protocol'], call: () => void): void {
  protocol._debug = (line) => /Received IGNORE/.test(line) && call();
}

/** A server that lets one key in and notes each time whether it was only asked about it. */
function onlyKey(): { key: ssh2.ParsedKey; asked: boolean[]; options: PeerOptions } {
  const key = ssh2.utils.parseKey(String(makeHostKey()));
  assert.ok(!(key instanceof Error));
  const asked: boolean[] = [];
  const onAuthentication = (context: ssh2.AuthContext): void => {
    if (context.method !== 'publickey') {
      context.reject(['publickey']);
      return;
    }
    const { blob, signature } = context;
    asked.push(signature === undefined);
    const holds = blob === undefined || signature === undefined || key.verify(blob, signature) === true;
    if (holds) context.accept();
    else context.reject();
  };
  return { key, asked, options: { onAuthentication } };
}

function afterNone(key: ssh2.ParsedKey): () => object | false {
  const attempts = [
    { type: 'none', username: 'me' },
    { type: 'publickey', username: 'me', key },
  ];
  return () => attempts.shift() ?? false;
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
        // Only when it is asked to: what came with the answer to the request would be pushed before the test looks.
        channel.once('data', () => {
          channel.write('out');
          channel.stderr.write('err');
        });
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
    channel.write('go');
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

  test('an identification in pieces is left out, and another one than was given is an error', async () => {
    const [ours, theirs] = duplexPair();
    identify(ours);
    ours.write(Buffer.from('SSH-2.0-ts'));
    ours.write(Buffer.from('ftp\r\nand'));
    ours.end(Buffer.from(' more'));
    assert.equal(await text(theirs), 'SSH-2.0-tsftp\r\nand more');
    const [other] = duplexPair();
    identify(other);
    const failed = once(other, 'error');
    assert.equal(other.write(Buffer.from('SSH-2.0-other\r\n')), false);
    assert.match(String((await failed)[0]), /another identification/);
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

  for (const [order, when] of [
    ['before', 'at once'],
    ['after', 'where ssh2 does not let us hurry'],
    ['after', 'where the answer has come first'],
  ] as const) {
    test(`the first attempt to log in is sent ${order} the server has accepted the service, ${when}`, async (t) => {
      const isAtOnce = order === 'before';
      const seen: string[] = [];
      let accept = (): void => {};
      let lastly = (): void => {};
      let logIn = (): void => {};
      const { client, ready } = await login(t, {
        onPeer: ({ protocol }) => {
          // Our word on the server's first answer is what the second may have to wait for.
          onIgnored(protocol, () => {
            seen.push('ignored');
            lastly();
          });
          const serviceAccept = protocol.serviceAccept.bind(protocol);
          protocol.serviceAccept = (name) => {
            accept = () => {
              seen.push('accepted');
              serviceAccept(name);
            };
            if (!isAtOnce) accept();
          };
        },
        onAuthentication: (context) => {
          seen.push(context.method);
          if (isAtOnce) accept();
          else {
            logIn();
            context.accept();
          }
          lastly = () => context.accept();
        },
      });
      const prepare = () => prepareLogin(client);
      client.once('handshake', () => {
        logIn = when.includes('not let us') ? without(client, '_handlers', prepare) : prepare();
        if (isAtOnce) process.nextTick(logIn);
      });
      await ready;
      assert.deepEqual(seen, isAtOnce ? ['none', 'accepted', 'ignored'] : ['accepted', 'none']);
    });
  }

  for (const isHidden of [false, true]) {
    const proofs = isHidden ? 'asked for, where ssh2 does not let us leave it' : 'not asked for';
    test(`proofs of the host keys that a server tells are ${proofs}`, async (t) => {
      const seen: string[] = [];
      const peers: Peer[] = [];
      const options: PeerOptions = {
        onPeer: (peer) => {
          peers.push(peer);
          onIgnored(peer.protocol, () => seen.push('ignored'));
          peer.protocol._handlers.GLOBAL_REQUEST = (_protocol: unknown, name: string) => void seen.push(name);
        },
      };
      const { client, ready } = await login(t, options, { strictVendor: false });
      await ready;
      const hurry = () => forgoHostKeyProofs(client);
      if (isHidden) without(client, '_packetRW', hurry);
      else hurry();
      const { key } = onlyKey();
      for (const [name, content] of [
        ['hostkeys-00@openssh.com', sshString(key.getPublicSSH())],
        ['other@example.com', Buffer.alloc(0)],
      ] as const) {
        const request = Buffer.concat([Buffer.from([80]), sshString(name), Buffer.from([0]), content]);
        for (const peer of peers) send(peer, request);
      }
      // The first answer comes behind its requests, and the second is given behind our answers to them.
      await openOn(client, { type: 'subsystem', name: 'sftp' });
      await openOn(client, { type: 'subsystem', name: 'sftp' });
      assert.deepEqual(seen, isHidden ? ['hostkeys-prove-00@openssh.com'] : ['ignored']);
    });

    const does = isHidden
      ? 'is asked about, where ssh2 does not let us sign'
      : 'signs without being asked about';
    test(`a key ${does}`, async (t) => {
      const { key, asked, options } = onlyKey();
      const { client, ready } = await login(t, options, { authHandler: afterNone(key) });
      const hurry = () => signAtOnce(client, key);
      client.once('handshake', () => (isHidden ? without(client, 'authPK', hurry) : hurry()));
      await ready;
      assert.deepEqual(asked, isHidden ? [true, false] : [false]);
    });
  }

  test('a key that cannot sign at once is asked about', async (t) => {
    const { key, asked, options } = onlyKey();
    const sign = key.sign.bind(key);
    let failures = 1;
    key.sign = (...args) => (failures-- > 0 ? (new Error('not now') as never) : sign(...args));
    const { client, ready } = await login(t, options, { authHandler: afterNone(key) });
    client.once('handshake', () => signAtOnce(client, key));
    await ready;
    assert.deepEqual(asked, [true, false]);
  });

  test('an RSA key that signs at once signs with SHA-2', async (t) => {
    const signedWith: string[] = [];
    const key = ssh2.utils.parseKey(ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 }).private);
    assert.ok(!(key instanceof Error));
    const options = { onAuthentication: acceptRsa(signedWith) };
    const { client, ready } = await login(t, options, { authHandler: afterNone(key) });
    client.once('handshake', () => {
      refuseSha1Signatures(client);
      signAtOnce(client, key);
    });
    await ready;
    assert.deepEqual(signedWith, ['rsa-sha2-256']);
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
