/** Planted secrets, looked for wherever they must not be: in errors, logs, processes, files, and what is sent. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { type CnOptsFields, type ConnectOptions, connect, type PromptRequest } from '../../../src/index.js';
import { send, sshString, startPeer } from '../../support/misbehaving-ssh.js';
import { ownProcesses } from '../../support/processes.js';
import {
  addUser,
  makeKey,
  needsOpenSsh,
  type Sshd,
  startSshd,
  type TemporaryUser,
} from '../../support/sshd.js';

const PASSWORD = 'planted-password-4711';
const PASSPHRASE = 'planted-passphrase-4712';
const CODE = 'planted-code-4713';

describe('secrets', { skip: needsOpenSsh }, () => {
  let sshd: Sshd;
  let user: TemporaryUser;
  let folder = '';
  /** Where the client's own temporary files go. */
  let temporary = '';
  let locked = '';
  let plain = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-secrets-'));
    temporary = await mkdtemp(join(tmpdir(), 'tsftp-secrets-'));
    locked = join(folder, 'locked');
    plain = join(folder, 'plain');
    const authorizedKeys = [await makeKey(locked, 'ed25519', PASSPHRASE), await makeKey(plain, 'ecdsa')];
    sshd = await startSshd({ authorizedKeys, config: ['LogLevel DEBUG3'] });
    user = addUser(PASSWORD);
    process.env.TMPDIR = temporary;
  });
  after(async () => {
    delete process.env.TMPDIR;
    user?.[Symbol.dispose]();
    await sshd?.stop();
    for (const path of [folder, temporary]) await rm(path, { recursive: true, force: true });
  });

  const files = async (): Promise<readonly string[]> => {
    const names = await readdir(temporary, { recursive: true });
    const texts = names.map(async (name) => {
      const path = join(temporary, name);
      return (await stat(path)).isFile() ? `${path}: ${await readFile(path, 'latin1')}` : path;
    });
    return await Promise.all(texts.map((text) => text.catch(() => '')));
  };

  /** Connects, and gives all that anybody could have read meanwhile and afterwards. */
  async function observe(port: number, options: ConnectOptions, cnopts: CnOptsFields) {
    const seen: string[] = [];
    const lines: string[] = [];
    const note = (line: string): void => void lines.push(line);
    const logger = { debug: note, info: note, warn: note, error: note };
    const log = join(folder, `log ${Math.random()}`);
    const look = async (): Promise<void> => {
      seen.push(JSON.stringify(ownProcesses()), ...(await files()));
    };
    const onPrompt =
      cnopts.onPrompt &&
      (async (request: PromptRequest) => {
        await look();
        return (await cnopts.onPrompt?.(request)) ?? [];
      });
    const all = { agent: false, config: false, logger, log, ...cnopts, onPrompt } as const;
    const result = await connect('127.0.0.1', {
      port,
      connectTimeout: 8_000,
      ...options,
      cnopts: all,
    } as ConnectOptions).catch((error: unknown) => error);
    await look();
    seen.push(inspect(result, { depth: 9, showHidden: true }));
    if (result instanceof Error) seen.push(String(result.stack), JSON.stringify(result));
    else await (result as AsyncDisposable)[Symbol.asyncDispose]();
    const left = await files();
    assert.deepEqual(left, [], 'files are left behind');
    seen.push(...lines, await readFile(log, 'utf8'));
    assert.ok(lines.length > 0);
    return { result, text: seen.join('\n') };
  }

  for (const transport of ['ssh2', 'openssh'] as const) {
    test(`H10, H15 a key or a password is nowhere but on its way, with ${transport}`, async () => {
      const lockedText = await readFile(locked, 'utf8');
      const plainText = await readFile(plain, 'utf8');
      const pieces = [lockedText, plainText].map((text) => text.split('\n')[2] ?? '');
      const secrets = [PASSWORD, PASSPHRASE, CODE, ...pieces];
      assert.ok(secrets.every((secret) => secret.length > 10));
      const attempts: readonly (readonly [ConnectOptions, boolean])[] = [
        [{ username: user.name, password: PASSWORD }, true],
        [{ username: 'nobody-there', password: PASSWORD, privateKeyPass: PASSPHRASE }, false],
        [{ privateKey: locked, privateKeyPass: PASSPHRASE }, true],
        [{ privateKey: locked, privateKeyPass: PASSWORD }, false],
        [{ privateKey: lockedText, privateKeyPass: PASSPHRASE }, true],
        [{ privateKey: Buffer.from(lockedText), privateKeyPass: PASSWORD }, false],
        [{ privateKey: plainText }, true],
        [{ privateKey: plainText.replaceAll('A', 'B') }, false],
        [{ privateKey: `${plainText}\0`, password: PASSWORD, defaultPath: '/nowhere' }, false],
        [{ privateKey: plainText, username: 'nobody-there' }, false],
      ];
      for (const [attempt, works] of attempts) {
        const options = { username: sshd.user, ...attempt };
        const { result, text } = await observe(sshd.port, options, {
          knownhosts: sshd.knownHosts,
          transport,
        });
        assert.equal(!(result instanceof Error), works, String(result));
        for (const secret of secrets) assert.ok(!text.includes(secret), `${secret}: ${String(result)}`);
      }
      const onPrompt = ({ kind }: PromptRequest) => [kind === 'passphrase' ? PASSPHRASE : CODE];
      for (const privateKey of [locked, lockedText]) {
        const options = { username: sshd.user, privateKey };
        const cnopts = { knownhosts: sshd.knownHosts, transport, onPrompt };
        const { result, text } = await observe(sshd.port, options, cnopts);
        assert.ok(!(result instanceof Error), String(result));
        for (const secret of secrets) assert.ok(!text.includes(secret), secret);
      }
      for (const secret of secrets) assert.ok(!sshd.log().includes(secret), secret);
    });

    test(`H15 what a server repeats does not come back in an error, with ${transport}`, async (t) => {
      const asked: string[] = [];
      const port = await startRepeater(t, asked);
      const cnopts = {
        hostkeys: null,
        transport,
        onPrompt: ({ prompts }: PromptRequest) =>
          prompts.map(({ prompt }) => (/code/i.test(prompt) ? CODE : PASSWORD)),
      };
      const { result, text } = await observe(port, { username: 'me', password: PASSWORD }, cnopts);
      assert.ok(result instanceof Error);
      assert.ok(asked.includes(PASSWORD) && asked.includes(CODE), asked.join());
      for (const secret of [PASSWORD, CODE])
        assert.ok(!text.includes(secret), `${secret}: ${String(result)}`);
    });
  }
});

/** Asks for a password and for a code, and then says aloud what it has heard. */
async function startRepeater(t: TestContext, heard: string[]): Promise<number> {
  return await startPeer(t, {
    onAuthentication: (context, peer) => {
      if (context.method !== 'keyboard-interactive') {
        context.reject(['keyboard-interactive']);
        return;
      }
      const ask = (prompt: string, next: () => void): void =>
        context.prompt([{ prompt, echo: false }], (answers) => {
          heard.push(...answers);
          next();
        });
      const repeat = (): void => {
        const text = `you said ${heard.join(' and ')}`;
        peer.protocol.authBanner(text);
        send(peer, Buffer.concat([Buffer.from([1, 0, 0, 0, 14]), sshString(text), sshString('')]));
        peer.socket.end();
      };
      ask('Password: ', () => ask('Code: ', repeat));
    },
  });
}
