import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ChannelAnswer, OpensshLog } from '../../../../../src/ssh/openssh/failures/openssh-log.js';

const LINES = [
  'OpenSSH_9.2p1, OpenSSL 3.0',
  'debug1: Connecting to 127.0.0.1 port 2222.',
  'debug1: kex: algorithm: sntrup761x25519-sha512@openssh.com',
  'debug1: kex: host key algorithm: ssh-ed25519',
  'debug1: kex: server->client cipher: aes256-ctr MAC: hmac-sha2-256 compression: none',
  'debug1: kex: client->server cipher: chacha20-poly1305@openssh.com MAC: <implicit> compression: zlib@openssh.com',
  `debug1: Server host key: ssh-ed25519 SHA256:${'a'.repeat(43)}`,
  `debug1: Offering public key: /home/me/my key ED25519 SHA256:${'b'.repeat(43)} explicit`,
  'debug1: Next authentication method: publickey',
  'debug1: Next authentication method: password',
  'debug2: channel_input_status_confirm: type 99 id 0',
];

function read(
  text: string,
  size = text.length,
  isAlone = false,
): { log: OpensshLog; answers: ChannelAnswer[]; lines: string[]; contradictions: string[] } {
  const answers: ChannelAnswer[] = [];
  const lines: string[] = [];
  const contradictions: string[] = [];
  const log = new OpensshLog({
    onAnswer: (answer) => answers.push(answer),
    onDebug: (line) => lines.push(line),
    isAlone,
    onContradiction: () => contradictions.push(text),
  });
  for (let at = 0; at < text.length; at += size) log.push(Buffer.from(text.slice(at, at + size), 'latin1'));
  log.end();
  return { log, answers, lines, contradictions };
}

describe('what ssh -vv writes', () => {
  test('is read the same in one piece, byte by byte, and with other line ends', () => {
    for (const [end, size] of [
      ['\n', 1e6],
      ['\n', 1],
      ['\r\n', 7],
    ] as const) {
      const { log, answers, lines } = read(LINES.join(end), size);
      assert.deepEqual(log.negotiated, {
        kex: 'sntrup761x25519-sha512@openssh.com',
        hostKeyAlgorithm: 'ssh-ed25519',
        ciphers: ['chacha20-poly1305@openssh.com', 'aes256-ctr'],
        macs: ['implicit', 'hmac-sha2-256'],
        compression: ['zlib@openssh.com', 'none'],
      });
      assert.deepEqual(log.serverKey, { type: 'ssh-ed25519', fingerprint: `SHA256:${'a'.repeat(43)}` });
      assert.deepEqual(log.tried, ['publickey (/home/me/my key)', 'password']);
      assert.deepEqual(log.station, { host: '127.0.0.1', port: 2222 });
      assert.deepEqual(log.complaints, []);
      assert.deepEqual(answers, ['accepted']);
      assert.equal(lines.length, LINES.length);
    }
  });

  test('a later server on the way takes the place of the one before', () => {
    const again = [...LINES, `debug1: Server host key: ssh-rsa SHA256:${'c'.repeat(43)}`].join('\n');
    assert.equal(read(again).log.serverKey?.type, 'ssh-rsa');
    const { log } = read([...LINES, "debug1: Authenticating to web:22 as 'me'"].join('\n'));
    assert.deepEqual(log.station, { host: 'web', port: 22, username: 'me' });
    assert.deepEqual([log.tried, log.serverKey], [[], undefined]);
  });

  test('X13: a line that contradicts another one is noticed, and a rekey is none', () => {
    const forged = [
      `debug1: Server host key: ssh-rsa SHA256:${'c'.repeat(43)}`,
      'debug1: kex: algorithm: mine',
      'debug1: kex: host key algorithm: mine',
      'debug1: kex: server->client cipher: mine MAC: mine compression: none',
      'debug1: kex: client->server cipher: mine MAC: mine compression: none',
    ];
    for (const line of forged) {
      for (const text of [[...LINES, line].join('\n'), [line, ...LINES].join('\r\n')]) {
        assert.equal(read(text, text.length, true).contradictions.length, 1, line);
      }
    }
    const again = [...LINES, ...LINES].join('\n');
    assert.deepEqual(read(again, again.length, true).contradictions, []);
    const short = 'debug1: Server host key: ssh-ed25519 SHA256:short\n';
    assert.equal(read(short, short.length, true).log.serverKey, undefined);
  });

  test('the version, how much is asked at once, and whether ssh was let in, are told', () => {
    const { log } = read('OpenSSH_8.4p1 Debian, OpenSSL\ndebug2: input_userauth_info_req: num_prompts 2\n');
    assert.deepEqual([log.version, log.promptCount, log.isThrough, log.isEmpty], [[8, 4], 2, false, false]);
    const late = read('Authenticated to host ([::1]:22) using "publickey".\nOpenSSH_9.9p1, OpenSSL\n').log;
    assert.deepEqual([late.version, late.isThrough], [[], true]);
  });

  test('a key of the agent, and a host by its number, are told', () => {
    const { log } = read(
      [
        "debug1: Authenticating to 2001:db8::1:22 as 'o'neill'",
        `debug1: Offering public key: mine ED25519 SHA256:${'b'.repeat(43)} agent`,
      ].join('\n'),
    );
    assert.deepEqual(log.station, { host: '2001:db8::1', port: 22, username: "o'neill" });
    assert.deepEqual(log.tried, ['publickey (mine of the agent)']);
  });

  test('lines in front of an identification are kept only where none comes', () => {
    const banner = 'debug1: kex_exchange_identification: banner line 0: HTTP/1.1 400\n';
    assert.equal(read(banner).log.greeting, 'HTTP/1.1 400');
    const { log } = read(`${banner}debug1: Remote protocol version 2.0, remote software version x\n`);
    assert.equal(log.greeting, undefined);
  });

  test('a refused channel is told, and what only looks like an answer is none', () => {
    assert.deepEqual(read('debug2: channel_input_status_confirm: type 100 id 3\n').answers, ['refused']);
    const banner = 'channel_input_status_confirm: type 99 id 0\nkex: algorithm: mine\n';
    const { log, answers } = read(banner);
    assert.deepEqual(answers, []);
    assert.equal(log.negotiated.kex, 'unknown');
    assert.equal(log.complaints.length, 2);
  });

  test('endless lines and many of them are not kept', () => {
    assert.ok(read(`${'x'.repeat(1e6)}\n`).log.complaints.join('').length <= 8192);
    const { complaints } = read('one more\n'.repeat(1000)).log;
    assert.equal(complaints.length, 100);
  });

  test('what could move the cursor is escaped for the log', () => {
    assert.deepEqual(read('debug1: \u001b[2J\n').lines, ['debug1: \\x1b[2J']);
  });
});
