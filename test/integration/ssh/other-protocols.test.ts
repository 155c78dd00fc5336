/** What listens on the port speaks something else, and most of it waits for us to begin. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CnOptsFields, connect, SshError } from '../../../src/index.js';
import { startRaw } from '../../support/misbehaving-ssh.js';
import { needsOpenSsh } from '../../support/sshd.js';

const GREETINGS: readonly (readonly [string, string | Buffer])[] = [
  ['220 ProFTPD Server', '220 ProFTPD Server ready.\r\n'],
  ['220-Welcome', '220-Welcome to us\r\n220 and so on\r\n'],
  ['220 mail.example ESMTP', '220 mail.example ESMTP Postfix\r\n'],
  ['+OK POP3', '+OK POP3 ready\r\n'],
  ['* OK IMAP4', '* OK IMAP4rev1 ready\r\n'],
  ['RFB 003.008', 'RFB 003.008\n'],
];

/** What answers our own first line, and what is no text: here ssh itself looks no further. */
const ANSWERS: readonly (readonly [string, string | Buffer])[] = [
  ['HTTP/1.1 400', 'HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\n\r\n'],
  ['\\x15\\x03', Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46])],
  ['8.0.36', Buffer.from('J\0\0\0\n8.0.36\0', 'latin1')],
];

async function assertTold(port: number, greeting: string, cnopts: CnOptsFields): Promise<void> {
  const options = { port, username: 'me', password: 'x', connectTimeout: 60_000 };
  const fixed = { hostkeys: null, agent: false, config: false } as const;
  await assert.rejects(connect('127.0.0.1', { ...options, cnopts: { ...fixed, ...cnopts } }), (error) => {
    assert.ok(error instanceof SshError, String(error));
    assert.equal(error.code, 'NOT_SSH');
    assert.ok(error.message.includes(greeting), error.message);
    return true;
  });
}

describe('servers of other protocols', () => {
  for (const transport of needsOpenSsh ? (['ssh2'] as const) : (['ssh2', 'openssh'] as const)) {
    test(`are told at once, with their greeting, with ${transport}`, async (t) => {
      for (const [greeting, words] of GREETINGS) {
        const port = await startRaw(t, (socket) => socket.write(words));
        await assertTold(port, greeting, { transport });
      }
    });
  }

  test('are told at once where they answer us, or say what is no text, also with the preset legacy', async (t) => {
    for (const [greeting, words] of ANSWERS) {
      for (const algorithms of ['modern', 'legacy'] as const) {
        const port = await startRaw(t, (socket) => socket.once('data', () => socket.write(words)));
        await assertTold(port, greeting, { algorithms });
      }
    }
  });

  test('what a server has said is in the error of a timeout', async (t) => {
    const port = await startRaw(t, (socket) => socket.write('Good morning\r\nwait'));
    const cnopts = { hostkeys: null, agent: false } as const;
    await assert.rejects(connect('127.0.0.1', { port, password: 'x', connectTimeout: 1_000, cnopts }), {
      code: 'ETIMEDOUT',
      message: /identify itself; it has sent so far: "Good morning\\r\\nwait"\)/,
    });
  });
});
