/** Secrets in the wrong place or form: no error, and no line of a log, shows a piece of them. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { CredentialError, connect, type HostOptions } from '../../../src/index.js';
import { makeKey, needsOpenSsh } from '../../support/sshd.js';

const PASSWORD = 'Planted/secret:4711,with%a"tail';

/** What a test looks for: as little of a secret as that is too much. */
const PIECE = 8;

interface Attempt {
  readonly options: object;
  readonly secret: string;
}

/** A key given in a form that is none, or that is one without being of use. */
const MISTAKES: readonly ((text: string, body: string) => unknown)[] = [
  (_text, body) => body,
  (_text, body) => body.replaceAll('\n', ''),
  (_text, body) => body.replaceAll('\n', '\\n'),
  (_text, body) => body.split('\n').at(1),
  (_text, body) => `/${body.replaceAll('\n', '')}`,
  (_text, body) => `/tmp/${body.split('\n').at(1)}`,
  (_text, body) => `./${body.split('\n').at(0)}`,
  (_text, body) => `~/.ssh/${body.replaceAll('\n', '/')}`,
  (_text, body) => `file:///tmp/${body.replaceAll('\n', '')}`,
  (text) => text.replace(/^.*\n/, ''),
  (text) => text.replaceAll('-----', '----'),
  (text) => text.replaceAll('-', '').replaceAll('\n', ' '),
  (text) => text.replaceAll('\n', ''),
  (text) => text.replace(/^/gm, '  '),
  (text) => text.slice(0, text.length / 2),
  (text) => `${text.slice(0, 90)}!${text.slice(91)}`,
  (text) => `\0${text}`,
  (text) => encodeURIComponent(text).replaceAll('BEGIN', 'Begin'),
  (text) => Buffer.from(text).toString('base64').slice(12),
  (text) => Buffer.from(text).toString('base64').replaceAll('A', '*'),
  (text) => Buffer.from(text).toString('hex'),
  (text) => JSON.stringify({ kty: 'OKP', d: text.slice(40) }),
  (text) => Buffer.from(text, 'utf16le'),
  (text) => Buffer.from(text).reverse(),
  (text) => [text],
  (text) => ({ key: text }),
  (text) => ({ toString: () => text }),
];

const PASSWORD_MISTAKES: readonly object[] = [
  { password: [PASSWORD] },
  { password: { password: PASSWORD } },
  { password: Buffer.from(PASSWORD) },
  { privateKey: PASSWORD },
  { privateKey: `/${PASSWORD}` },
  { privateKey: [PASSWORD] },
  { privateKeyPass: [PASSWORD], privateKey: 'x' },
  { host: `me:${PASSWORD}@127.0.0.1` },
  { host: `me:${PASSWORD}` },
  { host: `sftp:/me:${PASSWORD}@127.0.0.1` },
  { host: `sftp//me:${PASSWORD}@127.0.0.1:22` },
  { password: 'x', cnopts: { proxyJump: `me:${PASSWORD}@127.0.0.1` } },
  { password: 'x', cnopts: { proxyJump: [{ host: `me:${PASSWORD}@127.0.0.1` }] } },
  { password: 'x', cnopts: { proxyJump: [{ host: '127.0.0.1', privateKey: PASSWORD }] } },
];

const URLS: readonly string[] = [
  `sftp://me:${PASSWORD}@127.0.0.1`,
  `sftp://me:%zz${PASSWORD}@127.0.0.1/`,
  `ftp://me:${encodeURIComponent(PASSWORD)}@127.0.0.1/`,
  `sftp://me:${encodeURIComponent(PASSWORD)}@[127.0.0.1]/`,
];

describe('secrets in the wrong place or form', () => {
  let folder = '';
  let keys: readonly string[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-wrong-'));
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    keys = [privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()];
    if (needsOpenSsh) return;
    for (const passphrase of ['', 'open sesame']) {
      const path = join(folder, `key${passphrase.length}`);
      await makeKey(path, 'ed25519', passphrase);
      keys = [...keys, await readFile(path, 'utf8')];
    }
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** What anybody could read of an attempt that nobody answers. */
  async function observe({ options, secret }: Attempt, transport: 'ssh2' | 'openssh'): Promise<void> {
    const lines: string[] = [];
    const note = (line: string): void => void lines.push(line);
    const log = join(folder, 'log');
    await writeFile(log, '');
    const logger = { debug: note, info: note, warn: note, error: note };
    const { cnopts, host = '127.0.0.1', ...rest } = options as Partial<HostOptions>;
    const fixed = { hostkeys: null, agent: false, config: false, transport, logger, log } as const;
    const all = { host, port: 1, username: 'me', ...rest, cnopts: { ...fixed, ...cnopts } };
    const error: unknown = await connect(all).then(
      async (sftp) => sftp.close(),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof Error, inspect(options));
    const seen = [
      inspect(error, { depth: 9, showHidden: true }),
      error.stack,
      JSON.stringify(error),
      ...lines,
    ];
    assertHidden([...seen, await readFile(log, 'utf8')].join('\n'), secret);
  }

  for (const transport of needsOpenSsh ? (['ssh2'] as const) : (['ssh2', 'openssh'] as const)) {
    test(`X2: a private key in a wrong form is shown nowhere, with ${transport}`, async () => {
      for (const text of keys) {
        const body = text.replace(/-----.*-----\n/g, '').trim();
        for (const [index, mistake] of MISTAKES.entries()) {
          const privateKey = mistake(text, body);
          const secret = Buffer.isBuffer(privateKey) ? privateKey.toString('latin1') : body;
          const hop = { proxyJump: [{ host: '127.0.0.1', privateKey }] };
          await observe({ options: { privateKey }, secret }, transport);
          if (index < 9) await observe({ options: { password: 'x', cnopts: hop }, secret }, transport);
        }
      }
    });

    test(`X2: a password in a wrong place or of a wrong type is shown nowhere, with ${transport}`, async () => {
      for (const options of PASSWORD_MISTAKES) await observe({ options, secret: PASSWORD }, transport);
    });
  }

  test('X2: a password in an address that is none is shown nowhere', async () => {
    for (const url of URLS) {
      const error: unknown = await connect(url, { cnopts: { hostkeys: null } }).catch((reason) => reason);
      assert.ok(error instanceof TypeError, url);
      assertHidden(inspect(error, { depth: 9, showHidden: true }), PASSWORD);
    }
  });

  test('X2: base64 of a key file is a key, also in lines and in the alphabet of URLs', async () => {
    for (const text of keys) {
      const passphrase = text === keys.at(2) ? { privateKeyPass: 'open sesame' } : {};
      const base64 = Buffer.from(text).toString('base64');
      for (const privateKey of [
        base64,
        base64.replace(/.{76}/g, '$&\n'),
        Buffer.from(text).toString('base64url'),
        Buffer.from(base64),
      ]) {
        const options = { port: 1, privateKey, ...passphrase, cnopts: { hostkeys: null } };
        await assert.rejects(connect('127.0.0.1', options), { code: 'ECONNREFUSED' });
      }
    }
  });

  test('X2: a path is named where it plainly is one, and else it is said what to give', async () => {
    const missing = join(folder, 'missing');
    const codeAndText = async (privateKey: string) => {
      const error: unknown = await connect('127.0.0.1', { privateKey, cnopts: { hostkeys: null } }).catch(
        (reason) => reason,
      );
      assert.ok(error instanceof CredentialError);
      return `${error.code}: ${error.message}`;
    };
    assert.equal(
      await codeAndText(missing),
      `KEY_UNREADABLE: Cannot read the private key ${missing}: ENOENT`,
    );
    for (const unsure of ['missing', '/missing', join(folder, 'no-folder', 'missing')]) {
      assert.equal(
        await codeAndText(unsure),
        'KEY_UNREADABLE: The value of privateKey is neither the text of a private key nor the path of a file that can be ' +
          'read (ENOENT): give the path with its folder, the whole text of the file, or base64 of it',
      );
    }
  });
});

function assertHidden(text: string, secret: string): void {
  for (let at = 0; at + PIECE <= secret.length; at++) {
    const piece = secret.slice(at, at + PIECE);
    assert.ok(!text.includes(piece), `${piece} in ${text.slice(0, 2000)}`);
  }
}
