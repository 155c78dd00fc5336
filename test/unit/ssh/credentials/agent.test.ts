import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { connectSsh2 } from '../../../../src/ssh/builtin/ssh2.js';
import { type AgentKey, defaultAgent, listAgentKeys } from '../../../../src/ssh/credentials/agent.js';
import { loadCredentials } from '../../../../src/ssh/credentials/credentials.js';
import { startPeer } from '../../../support/misbehaving-ssh.js';

const skip = process.platform === 'win32' ? 'sockets with a path' : false;

function string(bytes: Buffer | string): Buffer {
  const data = Buffer.from(bytes);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, data]);
}

/** An agent that answers each request with what `answer` gives, or not at all. */
async function startAgent(
  t: TestContext,
  answer: (type: number, socket: Socket) => Buffer | undefined,
  name?: string,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-agent-'));
  const path = name ?? join(folder, 'agent');
  const server = createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.on('data', (data: Buffer) => {
      const reply = answer(data[4] ?? 0, socket);
      if (reply !== undefined) socket.write(reply);
    });
  }).listen(path);
  t.after(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await once(server, 'listening');
  return path;
}

function ed25519(): Buffer {
  const der = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' });
  return Buffer.concat([string('ssh-ed25519'), string(der.subarray(-32))]);
}

function identities(...keys: readonly (readonly [Buffer, string])[]): Buffer {
  const count = Buffer.alloc(5);
  count[0] = 12;
  count.writeUInt32BE(keys.length, 1);
  return string(Buffer.concat([count, ...keys.flatMap(([key, comment]) => [string(key), string(comment)])]));
}

function sign(key: AgentKey | undefined): Promise<Error | undefined> {
  return new Promise((resolve) => {
    key?.agent.sign(key.parsed, Buffer.from('data'), {}, (error) => resolve(error ?? undefined));
  });
}

describe('an agent', { skip }, () => {
  test('lists its keys, escaped, without those of types that we do not know', async (t) => {
    const blob = ed25519();
    const unknown = Buffer.concat([string('sk-ssh-ed25519@openssh.com'), string(randomBytes(32))]);
    const path = await startAgent(t, () => identities([unknown, 'token'], [blob, 'my\x1b key']));
    const keys = await listAgentKeys(path);
    assert.deepEqual(
      keys.map(({ type, comment, bytes }) => [type, comment, Buffer.from(bytes).equals(blob)]),
      [['ssh-ed25519', 'my\\x1b key', true]],
    );
    assert.match(keys[0]?.fingerprint ?? '', /^SHA256:/);
  });

  test('H11 a reply that is too long, cut, refused or of another kind is none', async (t) => {
    const replies = [
      Buffer.from([0xff, 0xff, 0xff, 0xff, 12]),
      string(Buffer.from([5])),
      string(Buffer.from([14, 0, 0, 0, 0])),
      string(Buffer.from([12, 0xff, 0xff, 0xff, 0xff])),
      string(Buffer.from([12, 0, 0, 0, 1, 0, 0, 0, 9, 1])),
      string(''),
    ];
    for (const reply of replies) assert.deepEqual(await listAgentKeys(await startAgent(t, () => reply)), []);
  });

  test('H11 an agent that never signs, refuses, or signs with nonsense is one attempt that failed', async (t) => {
    const blob = ed25519();
    const answers = [
      [undefined, /did not answer within 0\.1 seconds/],
      [string(Buffer.from([5])), /refused/],
      [string(Buffer.from([14, 0, 0, 0, 9, 1])), /invalid reply/],
    ] as const;
    for (const [answer, text] of answers) {
      const path = await startAgent(t, (type) => (type === 11 ? identities([blob, 'k']) : answer));
      const [key] = await listAgentKeys(path, { sign: 100 });
      assert.match((await sign(key))?.message ?? '', text);
    }
  });

  test('H11 after a key that does not get signed, the next method logs in', async (t) => {
    const blob = ed25519();
    const path = await startAgent(t, (type) => (type === 11 ? identities([blob, 'stuck']) : undefined));
    const methods: string[] = [];
    const port = await startPeer(t, {
      onAuthentication: (context) => {
        methods.push(context.method);
        if (context.method === 'password' && context.password === 'x') context.accept();
        else if (context.method === 'publickey' && context.signature === undefined) context.accept();
        else context.reject(['publickey', 'password']);
      },
    });
    const keys = await listAgentKeys(path, { sign: 100 });
    const hostKeys = null;
    const credentials = { keys, password: 'x' };
    const connection = await connectSsh2({ host: '127.0.0.1', port, username: 'me', credentials, hostKeys });
    await connection.close();
    assert.deepEqual(methods, ['none', 'publickey', 'password']);
  });

  test('one of its keys can be given as the private key', async (t) => {
    const path = await startAgent(t, () => identities([ed25519(), 'a'], [ed25519(), 'b']));
    const [, second] = await listAgentKeys(path);
    assert.ok(second);
    assert.deepEqual((await loadCredentials({ privateKey: second })).keys, [second]);
  });
});

describe('an agent on Windows', { skip }, () => {
  /** Here the name of a pipe is that of a socket in the current folder, which is as good. */
  function pretend(t: TestContext, environment: string | undefined): void {
    const folder = mkdtempSync(join(tmpdir(), 'tsftp-pipes-'));
    const { platform, cwd, env } = {
      platform: process.platform,
      cwd: process.cwd(),
      env: process.env.SSH_AUTH_SOCK,
    };
    const setAgent = (value: string | undefined): void => {
      if (value === undefined) delete process.env.SSH_AUTH_SOCK;
      else process.env.SSH_AUTH_SOCK = value;
    };
    t.after(() => {
      Object.defineProperty(process, 'platform', { value: platform });
      process.chdir(cwd);
      setAgent(env);
      rmSync(folder, { recursive: true, force: true });
    });
    process.chdir(folder);
    setAgent(environment);
    Object.defineProperty(process, 'platform', { value: 'win32' });
  }

  const comments = (keys: readonly AgentKey[]) => keys.map(({ comment }) => comment);

  test('is OpenSSH’s, behind its pipe, unless another is named', async (t) => {
    pretend(t, undefined);
    assert.equal(defaultAgent(), '\\\\.\\pipe\\openssh-ssh-agent');
    assert.deepEqual(await listAgentKeys(), []);
    await startAgent(t, () => identities([ed25519(), 'of OpenSSH']), '\\\\.\\pipe\\openssh-ssh-agent');
    assert.deepEqual(comments(await listAgentKeys()), ['of OpenSSH']);
  });

  test('may be Pageant’s pipe, by its name or by the environment', async (t) => {
    const pipe = '\\\\.\\pipe\\pageant.me.0123456789abcdef';
    pretend(t, pipe);
    await startAgent(t, () => identities([ed25519(), 'of Pageant']), pipe);
    assert.equal(defaultAgent(), pipe);
    assert.deepEqual(comments(await listAgentKeys()), ['of Pageant']);
    assert.deepEqual(comments(await listAgentKeys(pipe)), ['of Pageant']);
  });

  test('H11 that does not run, or is none, has no keys', async (t) => {
    pretend(t, undefined);
    for (const path of ['pageant', 'no-socket-of-cygwin', '\\\\.\\pipe\\nowhere']) {
      assert.deepEqual(await listAgentKeys(path), [], path);
    }
  });
});
