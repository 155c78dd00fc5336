import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { connect, type Socket } from 'node:net';
import { type Duplex, PassThrough } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import ssh2 from 'ssh2';
import {
  AuthenticationError,
  ConnectionError,
  ConnectionLostError,
  HostKeysError,
  SshError,
} from '../../../../src/errors.js';
import { RECEIVE_WINDOW } from '../../../../src/ssh/builtin/channel/receive-window.js';
import { connectSsh2 } from '../../../../src/ssh/builtin/ssh2.js';
import type { Ssh2Options } from '../../../../src/ssh/builtin/ssh2-options.js';
import { parsePrivateKey } from '../../../../src/ssh/credentials/private-key.js';
import { readIdentification } from '../../../../src/ssh/socket.js';
import type { SshConnection } from '../../../../src/ssh/ssh-connection.js';
import {
  acceptRsa,
  makeHostKey,
  type Peer,
  send,
  sshString,
  startPeer,
  startRaw,
  withholdExtensions,
} from '../../../support/misbehaving-ssh.js';

const { KexInit } = createRequire(import.meta.url)('ssh2/lib/protocol/kex.js') as {
  KexInit: new (offer: object) => unknown;
};

function open(port: number, changes: Partial<Ssh2Options> = {}): Promise<SshConnection> {
  const credentials = { keys: [], password: 'the password' };
  return connectSsh2({ host: '127.0.0.1', port, username: 'me', credentials, hostKeys: null, ...changes });
}

function isError(
  type: new (...args: never[]) => Error,
  code: string,
  text = /./,
): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof type, String(error));
    assert.equal((error as Error & { code?: string }).code, code);
    assert.match(error.message, text);
    return true;
  };
}

/** Nothing would ever come of what these wait for, were the guard not there. */
const HANGS_OTHERWISE = { timeout: 30_000 };

const USERAUTH_SUCCESS = Buffer.from([52]);
const USERAUTH_FAILURE = Buffer.from([51, 0, 0, 0, 8, ...Buffer.from('password'), 0]);

describe('the identification of a server', () => {
  test('T1 may come byte by byte, after a banner of many lines', async (t) => {
    const target = await startPeer(t);
    const port = await startRaw(t, (socket) => {
      const upstream = connect(target, '127.0.0.1');
      upstream.on('error', () => {});
      t.after(() => upstream.destroy());
      socket.setNoDelay(true).write('one\r\ntwo\rthree\n'.repeat(300));
      let first = true;
      upstream.on('data', (data: Buffer) => {
        for (const byte of first ? data.subarray(0, 20) : []) socket.write(Buffer.from([byte]));
        socket.write(first ? data.subarray(20) : data);
        first = false;
      });
      socket.pipe(upstream);
    });
    await (await open(port)).close();
  });

  test('may come after ours, which is sent at once and not again', async (t) => {
    const target = await startPeer(t);
    let sent = '';
    const port = await startRaw(t, (socket) => {
      socket.on('data', (chunk) => {
        sent += chunk.toString('latin1');
      });
      socket.once('data', (first) => {
        const upstream = connect(target, '127.0.0.1');
        t.after(() => upstream.destroy());
        upstream.on('error', () => {});
        upstream.write(first);
        socket.pipe(upstream).pipe(socket);
      });
    });
    await (await open(port)).close();
    assert.match(sent, /^SSH-2\.0-tsftp\r\n/);
    assert.equal(sent.split('SSH-2.0-').length, 2);
  });

  for (const code of ['ECONNRESET', 'EPIPE']) {
    test(`the last words of a server that has ended it are heard also after ${code}`, async () => {
      const socket = new PassThrough();
      const done = new Promise((resolve) => readIdentification(socket, { host: 'there', port: 22 }, resolve));
      socket.write('Exceeded MaxStartups\r\n', () =>
        socket.destroy(Object.assign(new Error('it is gone'), { code })),
      );
      isError(ConnectionError, 'SERVER_BUSY', /too many other clients are logging in/)(await done);
    });
  }

  test('T1 is an error if it never comes', async (t) => {
    const lines = await startRaw(t, (socket) => socket.write('hello\n'.repeat(1024)));
    await assert.rejects(open(lines), isError(SshError, 'NOT_SSH', /hello\\nhello/));
    const noNewline = await startRaw(t, (socket) => socket.write('x'.repeat(70_000)));
    await assert.rejects(open(noNewline), isError(SshError, 'NOT_SSH'));
    const web = await startRaw(t, (socket) => socket.end('HTTP/1.1 400 Bad\x1b Request\r\n\r\n'));
    await assert.rejects(open(web), isError(SshError, 'NOT_SSH', /HTTP\/1\.1 400 Bad\\x1b Request/));
    const old = await startRaw(t, (socket) => socket.write('SSH-1.5-old\n'));
    await assert.rejects(open(old), isError(SshError, 'UNSUPPORTED_VERSION', /SSH-1\.5-old/));
  });

  test('T7 silence ends at the connect timeout, and an abort does not wait for it', async (t) => {
    const silent = await startRaw(t, () => {});
    await assert.rejects(
      open(silent, { connectTimeout: 100 }),
      isError(ConnectionError, 'ETIMEDOUT', /within 0\.1 seconds/),
    );
    const reason = new Error('enough');
    await assert.rejects(open(silent, { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' });
    const controller = new AbortController();
    const connecting = open(silent, { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(connecting, reason);
  });

  test('a server that ends at once, after its name, or with garbage, is a typed error', async (t) => {
    const atOnce = await startRaw(t, (socket) => socket.end());
    await assert.rejects(open(atOnce), isError(ConnectionError, 'ECONNRESET'));
    const afterName = await startRaw(t, (socket) => socket.end('SSH-2.0-x\r\n'));
    await assert.rejects(open(afterName), isError(ConnectionError, 'ECONNRESET', /exchanging keys/));
    const garbage = await startRaw(t, (socket) => socket.write(`SSH-2.0-x\r\n\0\0\0\x0c${'z'.repeat(100)}`));
    await assert.rejects(open(garbage), SshError);
  });

  test('T2 a packet of 4 GiB is refused, and the socket gone', async (t) => {
    let gone: Promise<unknown> = Promise.reject(new Error('nobody came'));
    gone.catch(() => {});
    const port = await startRaw(t, (socket) => {
      gone = once(socket, 'close');
      socket.write('SSH-2.0-x\r\n\xff\xff\xff\xff', 'latin1');
      socket.resume();
    });
    await assert.rejects(open(port), isError(SshError, 'SSH_PROTOCOL', /Bad packet length/));
    await gone;
  });
});

describe('negotiation', () => {
  test('T17 a server that offers only zlib gets an error with both offers', async (t) => {
    const port = await startPeer(t, { algorithms: { compress: ['zlib'] } });
    await assert.rejects(
      open(port),
      isError(
        SshError,
        'NEGOTIATION_FAILED',
        /127\.0\.0\.1:\d+: .*We offer: .*compression none.*server offers: .*compression zlib\./,
      ),
    );
  });

  test('T11 chacha20 is taken with strict key exchange only', async (t) => {
    const algorithms = { cipher: ['chacha20-poly1305@openssh.com'] };
    await (await open(await startPeer(t, { algorithms }))).close();
    const offer = { cipher: algorithms.cipher, mac: ['hmac-sha2-256'], compress: ['none'], lang: [] };
    const port = await startPeer(t, {
      algorithms,
      onPeer: ({ protocol }) => {
        protocol._offer = new KexInit({
          kex: ['curve25519-sha256'],
          serverHostKey: ['ssh-ed25519'],
          cs: offer,
          sc: offer,
        });
      },
    });
    await assert.rejects(open(port), isError(SshError, 'STRICT_KEX_MISSING', /Terrapin/));
  });

  test('T11 with CBC and no strict key exchange a MAC is chosen that is safe, where there is one', async (t) => {
    const startCbc = (macs: string[]) => {
      const offer = { cipher: ['aes128-cbc'], mac: macs, compress: ['none'], lang: [] };
      return startPeer(t, {
        algorithms: { cipher: offer.cipher, hmac: macs },
        onPeer: ({ protocol }) => {
          const serverHostKey = ['ssh-ed25519'];
          protocol._strictMode = false;
          protocol._offer = new KexInit({ kex: ['curve25519-sha256'], serverHostKey, cs: offer, sc: offer });
        },
      });
    };
    const etm = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'];
    for (const mac of ['hmac-sha2-512', 'hmac-sha1']) {
      for (const algorithms of [{ preset: 'legacy' }, { ciphers: ['aes128-cbc'] }] as const) {
        if (mac === 'hmac-sha1' && !('preset' in algorithms)) continue;
        const connection = await open(await startCbc([...etm, mac]), { algorithms });
        assert.deepEqual(connection.negotiated.macs, [mac, mac]);
        await connection.close();
      }
    }
    const unsafe = open(await startCbc(etm), { algorithms: { preset: 'legacy' } });
    await assert.rejects(unsafe, isError(SshError, 'STRICT_KEX_MISSING', /Terrapin/));
  });

  test('H9 an RSA key of 1024 bits and a signature with SHA-1 are refused', async (t) => {
    const hostKey = ssh2.utils.generateKeyPairSync('rsa', { bits: 1024 }).private;
    const short = await startPeer(t, { hostKey });
    await assert.rejects(open(short), isError(HostKeysError, 'HOST_KEY_REFUSED', /1024 bits/));
    const old = await startPeer(t, { hostKey, algorithms: { serverHostKey: ['ssh-rsa'] } });
    await assert.rejects(open(old), isError(SshError, 'NEGOTIATION_FAILED'));
  });

  test('H9 an RSA key signs with SHA-2 for a server that does not say what it can verify', async (t) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const credentials = { keys: [parsePrivateKey(pem, 'key')], password: undefined };
    const signedWith: string[] = [];
    const port = await startPeer(t, {
      onPeer: withholdExtensions,
      onAuthentication: acceptRsa(signedWith),
    });
    await (await open(port, { credentials })).close();
    assert.deepEqual(signedWith, ['rsa-sha2-256']);
    // Only who asks for it signs as such a server would expect.
    await (await open(port, { credentials, algorithms: { preset: 'legacy' } })).close();
    assert.deepEqual(signedWith, ['rsa-sha2-256', 'ssh-rsa']);
  });

  test('H8 another host key at a later key exchange ends the connection', HANGS_OTHERWISE, async (t) => {
    const peers: Peer[] = [];
    const port = await startPeer(t, { onPeer: (peer) => peers.push(peer) });
    const connection = await open(port);
    const other = ssh2.utils.parseKey(makeHostKey());
    for (const { protocol } of peers) {
      protocol._hostKeys = { 'ssh-ed25519': other };
      protocol.rekey();
    }
    isError(SshError, 'HOST_KEY_SWITCHED')(await connection.closed);
  });
});

describe('logging in', () => {
  test(
    'T13 a success before anything was asked is refused while the key is still decided on',
    HANGS_OTHERWISE,
    async (t) => {
      const port = await startPeer(t, {
        onPeer: (peer) => {
          peer.protocol.serviceAccept = () => send(peer, USERAUTH_SUCCESS);
        },
      });
      const verify = async () => {
        await new Promise((resolve) => setTimeout(resolve, 2_000));
        return false;
      };
      const text = /accepted a login that was not requested/;
      await assert.rejects(
        open(port, { hostKeys: { keys: null, verify } }),
        isError(SshError, 'SSH_PROTOCOL', text),
      );
    },
  );

  test('H1 no method is tried, not even none, before the key is verified', async (t) => {
    const methods: string[] = [];
    const port = await startPeer(t, { onAuthentication: (context) => void methods.push(context.method) });
    await assert.rejects(open(port, { hostKeys: [] }), isError(HostKeysError, 'HOST_KEY_CHANGED'));
    assert.deepEqual(methods, []);
  });

  test('H12 the password never goes to a server that offers public keys only', async (t) => {
    const methods: string[] = [];
    const port = await startPeer(t, {
      onAuthentication: (context) => {
        methods.push(context.method);
        context.reject(['publickey']);
      },
    });
    await assert.rejects(open(port), (error) => {
      assert.ok(error instanceof AuthenticationError);
      assert.deepEqual([error.tried, error.offered], [[], ['publickey']]);
      return true;
    });
    assert.deepEqual(methods, ['none']);
  });

  /** What a server sees of a login with one key, which knows it or not. */
  async function seen(
    t: TestContext,
    onAuthentication: (context: ssh2.AuthContext, peer: Peer) => void,
    changes: Partial<Ssh2Options> = {},
  ): Promise<{ readonly methods: string[]; readonly error: unknown }> {
    const methods: string[] = [];
    const port = await startPeer(t, {
      onAuthentication: (context, peer) => {
        const isQuestion = context.method === 'publickey' && context.signature === undefined;
        methods.push(isQuestion ? 'publickey?' : context.method);
        onAuthentication(context, peer);
      },
    });
    const credentials = { keys: [parsePrivateKey(String(makeHostKey()), 'key')], password: undefined };
    const error = await open(port, { credentials, ...changes }).then(
      (connection) => connection.close(),
      (reason: unknown) => reason,
    );
    return { methods, error };
  }

  test('one key is signed with at once, and not with legacy, where everything is asked first', async (t) => {
    const onlyKeys = (context: ssh2.AuthContext): void =>
      context.method === 'publickey' ? context.accept() : context.reject(['publickey']);
    assert.deepEqual(await seen(t, onlyKeys), { methods: ['publickey'], error: undefined });
    const legacy = await seen(t, onlyKeys, { algorithms: { preset: 'legacy' } });
    assert.deepEqual(legacy, { methods: ['none', 'publickey?', 'publickey'], error: undefined });
  });

  for (const compression of [false, true]) {
    const when = compression ? 'comes after the answer to what was said before' : 'does not wait for one';
    test(`with${compression ? '' : 'out'} compression after the login the attempt ${when}`, async (t) => {
      const seen: string[] = [];
      const port = await startPeer(t, {
        algorithms: { compress: ['zlib@openssh.com', 'none'] },
        onPeer: ({ protocol }) => {
          protocol._debug = (line) => {
            const [, what] = /(SERVICE_ACCEPT|USERAUTH_REQUEST|IGNORE|USERAUTH_SUCCESS)/.exec(line) ?? [];
            if (what !== undefined) seen.push(what);
          };
        },
        onAuthentication: (context) => void setImmediate(() => context.accept()),
      });
      const connection = await open(port, { algorithms: { compression } });
      (await connection.openSubsystem('sftp')).destroy();
      await connection.close();
      // What crosses the server's yes would be taken for compressed.
      if (compression) assert.deepEqual(seen, ['SERVICE_ACCEPT', 'USERAUTH_REQUEST', 'USERAUTH_SUCCESS']);
      else assert.ok(seen.includes('IGNORE'));
    });
  }

  test('of several keys each is asked about before it signs', async (t) => {
    const keys = ['a', 'b'].map((label) => parsePrivateKey(String(makeHostKey()), label));
    const second = keys[1]?.parsed.getPublicSSH();
    const { methods, error } = await seen(
      t,
      (context) => {
        const isRight = context.method === 'publickey' && second?.equals(context.key.data);
        if (isRight) context.accept();
        else context.reject(['publickey']);
      },
      { credentials: { keys, password: undefined } },
    );
    assert.deepEqual([methods, error], [['none', 'publickey?', 'publickey?', 'publickey'], undefined]);
  });

  test('who has a key still gets in where nobody has to log in, and a later loss is a loss', async (t) => {
    const peers: Peer[] = [];
    const port = await startPeer(t, {
      onPeer: (peer) => peers.push(peer),
      onAuthentication: (context) => (context.method === 'none' ? context.accept() : context.reject([])),
    });
    const credentials = { keys: [parsePrivateKey(String(makeHostKey()), 'key')], password: undefined };
    const connection = await open(port, { credentials });
    for (const { socket } of peers) socket.destroy();
    assert.ok((await connection.closed) instanceof ConnectionLostError);
  });

  test('a key, then a password: the list is asked for once, and each takes one round trip', async (t) => {
    const credentials = { keys: [parsePrivateKey(String(makeHostKey()), 'key')], password: 'the password' };
    const { methods, error } = await seen(
      t,
      (context) => {
        if (context.method === 'password') context.accept();
        else if (context.method === 'publickey') context.reject(['password'], true);
        else context.reject(['publickey']);
      },
      { credentials },
    );
    assert.deepEqual([methods, error], [['none', 'publickey', 'password'], undefined]);
  });

  for (const ending of ['a reason', 'nothing']) {
    test(`a server that has enough of attempts and says ${ending} does not hide what was refused`, async (t) => {
      const { methods, error } = await seen(t, (context, peer) => {
        if (context.method === 'publickey') context.reject(['publickey', 'password']);
        else if (ending === 'nothing') peer.socket.destroy();
        else {
          const words = sshString('Too many authentication failures');
          send(peer, Buffer.concat([Buffer.from([1, 0, 0, 0, 2]), words, sshString('')]));
        }
      });
      const text =
        /^Authentication failed for me@.* \(tried: publickey \(key\); the server accepts: publickey, password\)\. /;
      isError(AuthenticationError, 'AUTHENTICATION_FAILED', text)(error);
      assert.deepEqual(methods, ['publickey', 'none']);
    });
  }

  test('a server that knows only keyboard-interactive gets the password for its one prompt', async (t) => {
    const given: string[][] = [];
    const port = await startPeer(t, {
      onAuthentication: (context) => {
        if (context.method !== 'keyboard-interactive') {
          context.reject(['keyboard-interactive']);
          return;
        }
        context.prompt([{ prompt: 'Password: ', echo: false }], (answers) => {
          given.push(answers);
          context.accept();
        });
      },
    });
    await (await open(port)).close();
    assert.deepEqual(given, [['the password']]);
  });

  test(
    'T13 a success that repeats is one success; a refusal after it ends all, and no credential is sent',
    HANGS_OTHERWISE,
    async (t) => {
      const methods: string[] = [];
      const peers: Peer[] = [];
      const port = await startPeer(t, {
        onAuthentication: (context, peer) => {
          methods.push(context.method);
          peers.push(peer);
          context.accept();
        },
      });
      const connection = await open(port);
      for (const peer of peers) send(peer, USERAUTH_SUCCESS);
      await connection.openSubsystem('sftp');
      for (const peer of peers) send(peer, USERAUTH_FAILURE);
      isError(SshError, 'SSH_PROTOCOL', /refused the login after/)(await connection.closed);
      assert.deepEqual(methods, ['none']);
    },
  );
});

describe('channels', () => {
  for (const size of [0, 1]) {
    test(`T3 a maximum packet of ${size} is refused before anything is written`, async (t) => {
      const port = await startPeer(t, {
        onPeer: ({ protocol }) => {
          const confirm = protocol.channelOpenConfirm.bind(protocol);
          protocol.channelOpenConfirm = (remote, local, window) => confirm(remote, local, window, size);
        },
      });
      const connection = await open(port);
      await assert.rejects(
        connection.openSubsystem('sftp'),
        isError(SshError, 'CHANNEL_REFUSED', /too little/),
      );
      await connection.close();
    });
  }

  test(
    'T4 a server that ignores the window is cut off, and what it sent is bounded',
    HANGS_OTHERWISE,
    async (t) => {
      const piece = Buffer.alloc(32 * 1024);
      const port = await startPeer(t, {
        onChannel: (channel, { protocol, socket }) => {
          const { id } = (channel as unknown as { outgoing: { id: number } }).outgoing;
          let left = 300 * 1024 * 1024;
          const pour = (): void => {
            for (; left > 0 && !socket.destroyed && socket.writableLength < 1e6; left -= piece.length)
              protocol.channelData(id, piece);
            if (left > 0 && !socket.destroyed) setImmediate(pour);
          };
          pour();
        },
      });
      const connection = await open(port);
      const channel = await connection.openSubsystem('sftp');
      const [error] = await once(channel, 'error');
      isError(SshError, 'WINDOW_EXCEEDED')(error);
      assert.ok(channel.readableLength <= 2 * RECEIVE_WINDOW, `${channel.readableLength} bytes`);
      await connection.close();
    },
  );

  const FIRST = Buffer.from('first');

  /** A server that tells what it reads and what it grants, and answers by repeating it. */
  async function startEcho(
    t: TestContext,
    { window, grantsLate = false }: { readonly window?: number; readonly grantsLate?: boolean },
  ): Promise<{ readonly port: number; readonly seen: string[] }> {
    const seen: string[] = [];
    let grant = (): void => {};
    const port = await startPeer(t, {
      onPeer: ({ protocol }) => {
        const confirm = protocol.channelOpenConfirm.bind(protocol);
        protocol.channelOpenConfirm = (remote, local, given, size) =>
          confirm(remote, local, window ?? given, size);
        const success = protocol.channelSuccess.bind(protocol);
        protocol.channelSuccess = (channel) => {
          grant = () => {
            seen.push('granted');
            if (window !== undefined) protocol.channelWindowAdjust(channel, 1000);
            success(channel);
          };
          if (!grantsLate) grant();
        };
      },
      onChannel: (channel) => {
        channel.on('data', (chunk: Buffer) => {
          seen.push(String(chunk));
          channel.write(chunk);
          if (grantsLate) grant();
        });
      },
    });
    return { port, seen };
  }

  test('what is written first goes out with the request, and an answer before its grant is kept', async (t) => {
    const { port, seen } = await startEcho(t, { grantsLate: true });
    const connection = await open(port);
    const channel = await connection.openSubsystem('sftp', { first: FIRST });
    assert.deepEqual(seen, ['first', 'granted']);
    channel.write('more');
    await readUntil(channel, 'firstmore');
    await connection.close();
  });

  test('what is written first waits for the window', async (t) => {
    const { port, seen } = await startEcho(t, { window: 4 });
    const connection = await open(port);
    const channel = await connection.openSubsystem('sftp', { first: FIRST });
    channel.write('more');
    await readUntil(channel, 'firstmore');
    assert.equal(seen[0], 'granted');
    await connection.close();
  });

  test('a refusal stays a refusal where something was written first', async (t) => {
    const connection = await open(await startPeer(t));
    const opening = connection.openCommand('true', { first: FIRST });
    await assert.rejects(opening, isError(SshError, 'CHANNEL_REFUSED', /refused the command true/));
    (await connection.openSubsystem('sftp')).destroy();
    await connection.close();
  });

  test('what comes before the grant is bounded', HANGS_OTHERWISE, async (t) => {
    const port = await startPeer(t, {
      onPeer: ({ protocol }) => {
        const success = protocol.channelSuccess.bind(protocol);
        protocol.channelSuccess = (channel) => {
          for (let sent = 0; sent <= 2 * 1024 * 1024; sent += 32 * 1024)
            protocol.channelData(channel, Buffer.alloc(32 * 1024));
          success(channel);
        };
      },
    });
    const connection = await open(port);
    const opening = connection.openSubsystem('sftp', { first: FIRST });
    await assert.rejects(opening, isError(SshError, 'CHANNEL_REFUSED', /more than it may/));
    await connection.close();
  });

  test('the reason of an end that comes with the grant is not lost', async (t) => {
    const port = await startPeer(t, {
      onChannel: (channel) => {
        channel.stderr.write('not here');
        channel.exit(9);
        channel.close();
      },
    });
    const connection = await open(port);
    const heard = connection.openSubsystem('sftp').then((channel) => once(channel, 'error'));
    const error = await heard.then(
      ([reason]) => reason as unknown,
      (reason: unknown) => reason,
    );
    isError(SshError, 'CHANNEL_CLOSED', /status 9.*not here/)(error);
    await connection.close();
  });

  test(
    'T12 a server that keeps sending requests without reading the replies is cut off',
    HANGS_OTHERWISE,
    async (t) => {
      const sockets: Socket[] = [];
      const note = (message: unknown): void => void sockets.push((message as { socket: Socket }).socket);
      diagnostics.subscribe('net.client.socket', note);
      t.after(() => diagnostics.unsubscribe('net.client.socket', note));
      const peers: Peer[] = [];
      const port = await startPeer(t, { onPeer: (peer) => peers.push(peer) });
      const connection = await open(port);
      // As if so many answers were waiting: to have them wait takes minutes.
      for (const socket of sockets)
        Object.defineProperty(socket, 'writableLength', { get: () => 16 * 1024 * 1024 + 1 });
      const ignored = Buffer.from([2, 0, 0, 0, 0]);
      for (const peer of peers) send(peer, ignored);
      isError(
        SshError,
        'SSH_PROTOCOL',
        /keeps sending requests without reading the replies/,
      )(await connection.closed);
    },
  );

  for (const duringKeyExchange of [false, true]) {
    const when = duringKeyExchange ? ', while keys are exchanged' : '';
    test(`T5 a window of 4 GiB and a server that reads nothing${when}: at most 8 MiB wait here`, async (t) => {
      const sockets: Socket[] = [];
      const note = (message: unknown): void => void sockets.push((message as { socket: Socket }).socket);
      diagnostics.subscribe('net.client.socket', note);
      t.after(() => diagnostics.unsubscribe('net.client.socket', note));
      const port = await startPeer(t, {
        onPeer: ({ protocol }) => {
          const confirm = protocol.channelOpenConfirm.bind(protocol);
          protocol.channelOpenConfirm = (remote, local, _window, size) =>
            confirm(remote, local, 0xffff_ffff, size);
        },
        onChannel: (_channel, { socket, protocol }) => {
          if (duringKeyExchange) protocol.rekey();
          socket.pause();
        },
      });
      const connection = await open(port);
      const [socket] = sockets;
      assert.ok(socket);
      const channel = await connection.openSubsystem('sftp');
      const piece = Buffer.alloc(256 * 1024);
      let written = 0;
      let most = 0;
      const given = (): number => socket.bytesWritten - socket.writableLength;
      const before = given();
      // A writer that keeps to the rules stands still when nothing moves any more: two rounds without a byte.
      for (let still = 0, last = -1; still < 10; ) {
        while (channel.writableLength < channel.writableHighWaterMark) {
          channel.write(piece);
          written += piece.length;
        }
        most = Math.max(most, written - (given() - before));
        await new Promise((resolve) => setTimeout(resolve, 10));
        still = written + given() === last ? still + 1 : 0;
        last = written + given();
      }
      assert.ok(most <= 8 * 1024 * 1024, `${most} bytes waited`);
      await connection.close();
    });
  }

  test('a password that has expired is changed by asking, or is an error that says so', async (t) => {
    const passwords: (string | undefined)[] = [];
    const port = await startPeer(t, {
      onAuthentication: (context) => {
        if (context.method !== 'password') return context.reject(['password']);
        passwords.push(context.password);
        context.requestChange('choose another', (newPassword) => {
          passwords.push(newPassword);
          context.accept();
        });
      },
    });
    await assert.rejects(
      open(port),
      isError(AuthenticationError, 'AUTHENTICATION_FAILED', /expired.*give onPrompt/),
    );
    await (await open(port, { onPrompt: () => ['brand new', 'brand new'] })).close();
    assert.deepEqual(passwords, ['the password', 'the password', 'brand new']);
  });

  test('a server that repeats a secret in its last words does not get it into the error', async (t) => {
    const port = await startPeer(t, {
      onAuthentication: (context, peer) => {
        if (context.method !== 'password') return context.reject(['password']);
        const words = sshString(`wrong: ${context.password}`);
        send(peer, Buffer.concat([Buffer.from([1, 0, 0, 0, 2]), words, sshString('')]));
      },
    });
    const error = await open(port).catch((reason: unknown) => reason);
    isError(AuthenticationError, 'AUTHENTICATION_FAILED', /wrong: \*\*\*/)(error);
    assert.doesNotMatch(inspect(error, { depth: 9 }), /the password\b/);
  });

  test('T14 channels that the server opens are refused', async (t) => {
    const refused: number[] = [];
    const types = [
      'auth-agent@openssh.com',
      'x11',
      'forwarded-tcpip',
      'forwarded-streamlocal@openssh.com',
      'session',
    ];
    let allRefused = (): void => {};
    const all = new Promise<void>((resolve) => {
      allRefused = resolve;
    });
    const port = await startPeer(t, {
      onChannel: (_channel, peer) => {
        peer.protocol._handlers.CHANNEL_OPEN_FAILURE = (_protocol: unknown, recipient: number) => {
          if (refused.push(recipient) === types.length) allRefused();
        };
        for (const [index, type] of types.entries()) send(peer, channelOpen(type, 100 + index));
      },
    });
    const connection = await open(port);
    await connection.openSubsystem('sftp');
    await all;
    assert.deepEqual(refused, [100, 101, 102, 103, 104]);
    await connection.close();
  });

  test('T7 a server that falls silent is noticed by the keepalive', async (t) => {
    const peers: Peer[] = [];
    const port = await startPeer(t, { onPeer: (peer) => peers.push(peer) });
    const connection = await open(port, { keepaliveInterval: 50, keepaliveCountMax: 2 });
    const channel = await connection.openSubsystem('sftp');
    const failed = once(channel, 'error');
    for (const { socket } of peers) socket.pause();
    isError(ConnectionLostError, 'ETIMEDOUT')(await connection.closed);
    assert.ok((await failed)[0] instanceof ConnectionLostError);
  });
});

/** Reads until that has come. */
async function readUntil(stream: Duplex, text: string): Promise<void> {
  let read = '';
  for await (const chunk of stream) {
    read += chunk;
    if (read.length >= text.length) break;
  }
  assert.equal(read, text);
}

function channelOpen(type: string, sender: number): Buffer {
  const head = [Buffer.from([90]), sshString(type), number(sender), number(1 << 20), number(32768)];
  const address = [sshString('127.0.0.1'), number(80), sshString('127.0.0.1'), number(81)];
  return Buffer.concat([...head, ...(type === 'x11' ? address.slice(0, 2) : address)]);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
