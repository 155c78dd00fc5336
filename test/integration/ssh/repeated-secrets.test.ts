/** Servers that say aloud, after the login, what they were told during it. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { type Connection, connect, type PromptRequest } from '../../../src/index.js';
import { printable } from '../../../src/shared/printable.js';
import { sshString, startPeer } from '../../support/misbehaving-ssh.js';
import { needsOpenSsh } from '../../support/sshd.js';

const PASSWORD = 'Planted\tpass "word" ü%/4711';
const PIECE = 8;

const SPELLINGS: readonly ((secret: string) => string)[] = [
  (secret) => secret,
  (secret) => printable(secret),
  (secret) => JSON.stringify(secret).slice(1, -1),
  (secret) => encodeURIComponent(secret),
  (secret) => Buffer.from(secret).toString('base64'),
  (secret) => secret.toUpperCase(),
  // So that the text is cut in the middle of it.
  (secret) => `${'x'.repeat(948 - printable('x: ').length)}${secret}`,
];

interface Spoken {
  /** What the next answer says. */
  words: string;
  /** Has the server end the channel, with the words on stderr. */
  ends: boolean;
  /** What the login asks. */
  readonly prompt: string;
}

/** Lets in whoever has the password, and refuses every request, with the words that are asked for. */
async function startTalker(t: TestContext, spoken: Spoken): Promise<number> {
  return await startPeer(t, {
    onAuthentication: (context) => {
      if (context.method === 'keyboard-interactive') {
        context.prompt([{ prompt: spoken.prompt, echo: false }], ([answer]) => {
          if (answer === PASSWORD) context.accept();
          else context.reject(['keyboard-interactive']);
        });
      } else if (context.method === 'password' && context.password === PASSWORD) context.accept();
      else context.reject(['password', 'keyboard-interactive']);
    },
    onChannel: (channel) => {
      let received = Buffer.alloc(0);
      channel.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        while (received.length >= 4 && received.length >= 4 + received.readUInt32BE(0)) {
          const packet = received.subarray(4, 4 + received.readUInt32BE(0));
          received = received.subarray(4 + packet.length);
          if (packet[0] === 1) {
            channel.write(sshString(Buffer.from([2, 0, 0, 0, 3])));
          } else if (spoken.ends) {
            channel.stderr.write(spoken.words);
            channel.exit(1);
            channel.end();
          } else {
            const status = Buffer.concat([
              Buffer.from([101]),
              packet.subarray(1, 5),
              Buffer.from([0, 0, 0, 4]),
              sshString(spoken.words),
              sshString(''),
            ]);
            channel.write(sshString(status));
          }
        }
      });
    },
  });
}

describe('secrets that a server repeats after the login', () => {
  for (const transport of needsOpenSsh ? (['ssh2'] as const) : (['ssh2', 'openssh'] as const)) {
    for (const isPrompted of [false, true]) {
      const source = isPrompted ? 'an answer of onPrompt' : 'the password';
      test(`X14: ${source} is neither in an error nor in the log, with ${transport}`, async (t) => {
        const spoken: Spoken = { words: 'no', ends: false, prompt: isPrompted ? 'Token: ' : 'Password: ' };
        const port = await startTalker(t, spoken);
        const lines: string[] = [];
        const note = (line: string): void => void lines.push(line);
        const logger = { debug: note, info: note, warn: note, error: note };
        const onPrompt = ({ prompts }: PromptRequest) => prompts.map(() => PASSWORD);
        const sftp: Connection = await connect('127.0.0.1', {
          port,
          username: 'me',
          ...(isPrompted ? {} : { password: PASSWORD }),
          cnopts: {
            hostkeys: null,
            agent: false,
            config: false,
            transport,
            logger,
            ...(isPrompted && { onPrompt }),
          },
        });
        t.after(() => sftp.close());
        const seen: string[] = [];
        const call = async (): Promise<void> => void seen.push(await failureOf(sftp));
        for (const spell of SPELLINGS) {
          spoken.words = spell(PASSWORD);
          await call();
        }
        spoken.words = `bye ${PASSWORD}`;
        spoken.ends = true;
        await call();
        await sftp.close();
        assert.match(seen.join('\n'), /\*\*\*/);
        const all = [...seen, ...lines].join('\n').toLowerCase();
        for (const spell of SPELLINGS.slice(0, 5)) assertHidden(all, spell(PASSWORD).toLowerCase());
      });
    }
  }
});

/** All that can be seen of the error of a call. */
async function failureOf(sftp: Connection): Promise<string> {
  const error: unknown = await sftp.stat('x').catch((reason) => reason);
  assert.ok(error instanceof Error);
  return [inspect(error, { depth: 9, showHidden: true }), error.message, JSON.stringify(error)].join('\n');
}

function assertHidden(text: string, secret: string): void {
  for (let at = 0; at + PIECE <= secret.length; at++) {
    const piece = secret.slice(at, at + PIECE);
    assert.ok(!text.includes(piece), `${piece} in ${text.slice(text.indexOf(piece) - 300).slice(0, 600)}`);
  }
}
