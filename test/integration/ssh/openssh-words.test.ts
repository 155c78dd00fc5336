/** Who speaks: ssh, the server or a host on the way; and who is answered, over both transports. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import type ssh2 from 'ssh2';
import { type CnOptsFields, connect, type PromptRequest, SftpError } from '../../../src/index.js';
import { WindowsAskpass } from '../../../src/ssh/openssh/askpass/openssh-askpass-windows.js';
import { loadHostKey } from '../../../src/testing/host-key.js';
import { type Peer, type PeerOptions, startPeer } from '../../support/misbehaving-ssh.js';
import { needsOpenSsh } from '../../support/sshd.js';

const TRANSPORTS = ['ssh2', 'openssh'] as const;
const PASSWORD = 'the password of the server';
const FORGED = `SHA256:${'A'.repeat(43)}`;

/** Lines as ssh writes them, for a server to say. */
const FORGED_LOG = [
  '',
  `debug1: Server host key: ssh-ed25519 ${FORGED}`,
  'debug1: kex: algorithm: forged',
  'debug1: kex: host key algorithm: forged',
  'debug1: kex: server->client cipher: forged MAC: forged compression: none',
  'debug1: kex: client->server cipher: forged MAC: forged compression: none',
  "debug1: Authenticating to elsewhere:1 as 'nobody'",
  '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @',
  'Host key verification failed.',
  '',
].join('\r\n');

interface Asked {
  readonly title?: string;
  readonly prompts: readonly ssh2.Prompt[];
}

/** A server that asks, and notes what it is told. */
interface AskingServer {
  readonly port: number;
  readonly told: string[];
}

describe('who speaks and who is answered', { skip: needsOpenSsh }, () => {
  let folder = '';
  const key = loadHostKey(undefined);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-words-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function startAsking(
    t: TestContext,
    questions: readonly Asked[],
    more: PeerOptions = {},
  ): Promise<AskingServer> {
    const told: string[] = [];
    const ask = (context: ssh2.KeyboardAuthContext, left: readonly Asked[]): void => {
      const [next, ...others] = left;
      if (next === undefined) {
        context.accept();
        return;
      }
      context.prompt([...next.prompts], next.title ?? '', '', (answers) => {
        told.push(...answers);
        ask(context, others);
      });
    };
    const onAuthentication = (context: ssh2.AuthContext): void => {
      if (context.method === 'keyboard-interactive') ask(context, questions);
      else context.reject(['keyboard-interactive']);
    };
    // Nobody waits for SFTP here.
    const onChannel = (channel: ssh2.ServerChannel): void => void channel.close();
    const own = { hostKey: key.privateKey, onAuthentication, onChannel, onPeer: forward };
    const port = await startPeer(t, { ...own, ...more });
    return { port, told };
  }

  /** As a host on the way. */
  function forward({ client }: Peer): void {
    client.on('tcpip', (accept, _reject, { destIP, destPort }) => {
      const channel = accept();
      const socket = connectTcp(destPort, destIP);
      channel.on('error', () => {});
      socket.on('error', () => {});
      channel.pipe(socket).pipe(channel);
    });
  }

  async function cnoptsFor(...ports: readonly number[]): Promise<CnOptsFields> {
    const config = join(folder, `config ${ports.join(' ')}`);
    const known = join(folder, `known_hosts ${ports.join(' ')}`);
    await writeFile(known, ports.map((port) => `[127.0.0.1]:${port} ${key.publicKey}\n`).join(''));
    await writeFile(config, `UserKnownHostsFile "${known}"\nGlobalKnownHostsFile none\nIdentityFile none\n`);
    return { config, agent: false };
  }

  /** Connects as far as the server lets it; none of these speaks SFTP. */
  async function login(port: number, cnopts: CnOptsFields, more: object = {}): Promise<Error> {
    const options = { port, username: 'me', cnopts, connectTimeout: 20_000, ...more };
    return await connect('127.0.0.1', options).then(
      async (sftp) => {
        await sftp.close();
        throw new Error('it speaks SFTP');
      },
      (error: Error) => error,
    );
  }

  for (const transport of TRANSPORTS) {
    test(`X11: whoever answers is told who asks, whatever a host on the way calls itself, over ${transport}`, async (t) => {
      const prompt = { prompt: '(me@127.0.0.1) One-time code: ', echo: false };
      const server = await startAsking(t, [{ title: 'me@server', prompts: [prompt] }]);
      const hop = await startAsking(t, [{ title: 'me@server', prompts: [prompt] }]);
      const asked: PromptRequest[] = [];
      const onPrompt = (request: PromptRequest) => {
        asked.push(request);
        return request.prompts.map(() => (request.isJumpHost ? 'for the hop' : 'for the server'));
      };
      const base = await cnoptsFor(server.port, hop.port);
      const proxyJump = `you@127.0.0.1:${hop.port}`;
      await login(server.port, { ...base, transport, proxyJump, onPrompt });
      assert.deepEqual([hop.told, server.told], [['for the hop'], ['for the server']]);
      assert.deepEqual(
        asked.map(({ kind, host, port, username, isJumpHost }) => [kind, host, port, username, isJumpHost]),
        [
          ['keyboard-interactive', '127.0.0.1', hop.port, 'you', true],
          ['keyboard-interactive', '127.0.0.1', server.port, 'me', false],
        ],
      );
    });

    test(`X12, X17: the password answers one prompt of the server that asks for it, and nothing else, over ${transport}`, async (t) => {
      const hidden = (prompt: string) => ({ prompt, echo: false });
      const once = { prompts: [hidden('Password: ')] };
      const cases: readonly (readonly [readonly Asked[], readonly string[]])[] = [
        [[once], [PASSWORD]],
        [
          [once, once],
          [PASSWORD, ''],
        ],
        [[{ prompts: [hidden('Password: '), hidden('Code: ')] }], ['', '']],
        [[{ prompts: [{ prompt: 'Your name: ', echo: true }] }], ['']],
        [
          [{ prompts: [hidden('New password: ')] }, { prompts: [hidden('Retype new password: ')] }],
          ['', ''],
        ],
      ];
      for (const [questions, told] of cases) {
        // With the built-in transport only where the user can be asked too, for there is no other way to be sure.
        const onPrompt = ({ prompts }: PromptRequest) => prompts.map(() => '');
        const server = await startAsking(t, questions);
        const cnopts = { ...(await cnoptsFor(server.port)), transport, onPrompt };
        await login(server.port, cnopts, { password: PASSWORD });
        assert.deepEqual(server.told, told, JSON.stringify(questions));
      }
    });

    test(`X12: a host on the way that asks for the password of the server does not get it, over ${transport}`, async (t) => {
      const question = { prompts: [{ prompt: "me@127.0.0.1's password: ", echo: false }] };
      const server = await startAsking(t, [{ prompts: [{ prompt: 'Password: ', echo: false }] }]);
      const hop = await startAsking(t, [question]);
      const base = await cnoptsFor(server.port, hop.port);
      const onPrompt = ({ prompts }: PromptRequest) => prompts.map(() => 'an answer');
      const cnopts = { ...base, transport, proxyJump: `me@127.0.0.1:${hop.port}`, onPrompt };
      await login(server.port, cnopts, { password: PASSWORD });
      assert.deepEqual([hop.told, server.told], [['an answer'], [PASSWORD]]);
    });
  }

  test('X13: a banner that looks like the log of ssh changes nothing, of a server or of a host on the way', async (t) => {
    const question = { prompts: [{ prompt: 'Password: ', echo: false }] };
    const server = await startAsking(t, [question], { banner: FORGED_LOG });
    const hop = await startAsking(t, [question], { banner: FORGED_LOG });
    const lines: string[] = [];
    const logger = {
      debug: (line: string) => lines.push(line),
      info: (line: string) => lines.push(line),
      warn() {},
      error() {},
    };
    const base = { ...(await cnoptsFor(server.port, hop.port)), transport: 'openssh', logger } as const;
    const onPrompt = () => [PASSWORD];
    for (const proxyJump of [undefined, `me@127.0.0.1:${hop.port}`]) {
      lines.length = 0;
      const said = await login(server.port, { ...base, proxyJump, onPrompt });
      assert.ok(
        lines.some((line) => line.includes(`the host key is ssh-ed25519 ${key.fingerprint}`)),
        `${said}\n${lines.join('\n')}`,
      );
      assert.ok(lines.some((line) => /negotiated .*"ciphers":\["(?:aes|chacha)/.test(line)));
    }
    // What is refused is refused for its own reason, and so is a hop.
    for (const [port, proxyJump] of [
      [server.port, undefined],
      [server.port, `me@127.0.0.1:${hop.port}`],
    ] as const) {
      const error = await login(port, { ...base, proxyJump });
      assert.equal((error as SftpError).code, 'AUTHENTICATION_FAILED', String(error));
      assert.doesNotMatch(error.message, /ssh-keygen|CHANGED/);
    }
  });

  test('X13: a line feed in what ssh quotes does not make a line of the log true', async (t) => {
    const onPeer = ({ protocol }: Peer): void => {
      const { serviceAccept } = protocol;
      protocol.serviceAccept = (name) => {
        const text = Buffer.from(`x${FORGED_LOG}`);
        // RFC 4253, section 11.3: SSH_MSG_DEBUG, always displayed, the text and an empty language.
        const packet = protocol._packetRW.write.alloc(2 + 4 + text.length + 4);
        const at = protocol._packetRW.write.allocStart;
        packet.set([4, 1], at);
        packet.writeUInt32BE(text.length, at + 2);
        text.copy(packet, at + 6);
        packet.writeUInt32BE(0, at + 6 + text.length);
        protocol._cipher.encrypt(protocol._packetRW.write.finalize(packet));
        serviceAccept.call(protocol, name);
      };
    };
    const server = await startAsking(t, [], { onPeer });
    const cnopts = { ...(await cnoptsFor(server.port)), transport: 'openssh', onPrompt: () => [''] } as const;
    const error = await login(server.port, cnopts);
    assert.ok(error instanceof SftpError);
    assert.deepEqual([error.code, /look like the log of ssh/.test(error.message)], ['SSH_PROTOCOL', true]);
  });

  test('X22: the helper that asks for ssh is never this program, whatever it is', async (t) => {
    const trap = join(folder, 'trap');
    const mark = join(folder, 'was started');
    await writeFile(trap, `#!/bin/sh\ntouch '${mark}'\n`, { mode: 0o755 });
    const { execPath } = process;
    t.after(() => {
      process.execPath = execPath;
    });
    process.execPath = trap;
    const server = await startAsking(t, [{ prompts: [{ prompt: 'Password: ', echo: false }] }]);
    const cnopts = { ...(await cnoptsFor(server.port)), transport: 'openssh' } as const;
    await login(server.port, cnopts, { password: PASSWORD });
    assert.deepEqual([server.told, existsSync(mark)], [[PASSWORD], false]);
    // On Windows there is no other helper, so there is none.
    const own = await mkdtemp(join(folder, 'windows-'));
    const answer = () => Promise.resolve('secret');
    await assert.rejects(WindowsAskpass.open(own, answer), { code: 'UNSUPPORTED_OPTION' });
    assert.deepEqual(readdirSync(own), []);
    process.execPath = execPath;
    process.env.TSFTP_ASKPASS_SOCKET = 'as the helper has it';
    t.after(() => delete process.env.TSFTP_ASKPASS_SOCKET);
    await assert.rejects(WindowsAskpass.open(own, answer), { code: 'UNSUPPORTED_OPTION' });
  });

  test('when this program is killed while somebody is asked, ssh and its helper end too', async (t) => {
    const server = await startAsking(t, [{ prompts: [{ prompt: 'Code: ', echo: false }] }]);
    const { config } = await cnoptsFor(server.port);
    const temporary = await mkdtemp(join(folder, 'killed-'));
    const program = `
      import { connect } from './src/index.js';
      const onPrompt = () => { console.log('asked'); return new Promise(() => {}); };
      const cnopts = { transport: 'openssh', agent: false, config: ${JSON.stringify(config)}, onPrompt };
      await connect('127.0.0.1', { port: ${server.port}, username: 'me', cnopts });
    `;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    await until(child, /asked/);
    assert.ok(processesOf(temporary).length >= 2);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    const deadline = performance.now() + 20_000;
    while (processesOf(temporary).length > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(processesOf(temporary), []);
  });
});

async function until(child: ChildProcess, pattern: RegExp): Promise<void> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (pattern.test(text)) return;
  }
  assert.fail(`the program ended: ${text}`);
}

/** Command lines in which a folder is named. */
function processesOf(folder: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
        return line.includes(folder) ? [line] : [];
      } catch {
        return [];
      }
    });
}
