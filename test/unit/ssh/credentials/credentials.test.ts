import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CredentialError, PasswordRequiredError } from '../../../../src/errors.js';
import { listAgentKeys } from '../../../../src/ssh/credentials/agent.js';
import { loadCredentials } from '../../../../src/ssh/credentials/credentials.js';
import { parsePrivateKey } from '../../../../src/ssh/credentials/private-key.js';
import { makePuttyKey } from '../../../support/putty-key.js';
import { needsOpenSsh } from '../../../support/sshd.js';

const SECRET = 'open sesame';
type Pair = ReturnType<typeof makePair>;

function makePair(type: 'rsa' | 'ec' | 'ed25519') {
  if (type === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return type === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
}

const pairs: Record<'rsa' | 'ec' | 'ed25519', Pair> = {
  rsa: makePair('rsa'),
  ec: makePair('ec'),
  ed25519: makePair('ed25519'),
};
const TYPES = { rsa: 'ssh-rsa', ec: 'ecdsa-sha2-nistp256', ed25519: 'ssh-ed25519' } as const;

function pem(
  kind: keyof typeof pairs,
  passphrase?: string,
  type: 'pkcs8' | 'pkcs1' | 'sec1' = 'pkcs8',
): string {
  const cipher = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return pairs[kind].privateKey.export({ type, format: 'pem', ...cipher } as never).toString();
}

/** As ssh-keygen makes it. */
function openSsh(passphrase: string, extra: readonly string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-key-'));
  try {
    const path = join(folder, 'key');
    execFileSync('ssh-keygen', ['-q', '-a', '1', '-t', 'ed25519', '-N', passphrase, '-f', path, ...extra]);
    return readFileSync(path, 'utf8');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const puttyKey = (passphrase?: string): string => makePuttyKey(pairs.rsa.privateKey, passphrase);

function rejects(code: string, text: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof CredentialError);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    assert.doesNotMatch(`${error.message}${error.stack}`, /open sesame|wrong guess/);
    return true;
  };
}

describe('private keys', () => {
  for (const kind of ['rsa', 'ec', 'ed25519'] as const) {
    test(`a ${kind} key in PKCS#8 signs, plain and encrypted`, () => {
      for (const parsed of [
        parsePrivateKey(pem(kind), 'key').parsed,
        parsePrivateKey(pem(kind, SECRET), 'key', SECRET).parsed,
      ]) {
        assert.equal(parsed.type, TYPES[kind]);
        const data = Buffer.from('to be signed');
        const algorithm = kind === 'rsa' ? 'sha512' : undefined;
        const signature = algorithm === undefined ? parsed.sign(data) : parsed.sign(data, algorithm);
        assert.ok(Buffer.isBuffer(signature));
        assert.equal(parsed.verify(data, signature, algorithm), true);
      }
    });
  }

  test('the older PEM formats are read, plain and encrypted', () => {
    assert.equal(parsePrivateKey(pem('rsa', undefined, 'pkcs1'), 'key').parsed.type, 'ssh-rsa');
    assert.equal(parsePrivateKey(pem('rsa', SECRET, 'pkcs1'), 'key', SECRET).parsed.type, 'ssh-rsa');
    assert.equal(
      parsePrivateKey(pem('ec', SECRET, 'sec1'), 'key', SECRET).parsed.type,
      'ecdsa-sha2-nistp256',
    );
  });

  test("PuTTY's RSA keys in version 2 are read, plain and encrypted, and its others are named", () => {
    assert.equal(parsePrivateKey(puttyKey(), 'key').parsed.type, 'ssh-rsa');
    const { parsed } = parsePrivateKey(puttyKey(SECRET), 'key', SECRET);
    const signature = parsed.sign(Buffer.from('data'), 'sha256');
    assert.ok(Buffer.isBuffer(signature) && parsed.verify(Buffer.from('data'), signature, 'sha256') === true);
    assert.throws(() => parsePrivateKey(puttyKey(SECRET), 'key'), PasswordRequiredError);
    assert.throws(
      () => parsePrivateKey(puttyKey(SECRET), 'key', 'wrong guess'),
      rejects('WRONG_PASSPHRASE', /wrong/),
    );
    const newer = puttyKey().replace('File-2: ssh-rsa', 'File-3: ssh-ed25519');
    assert.throws(() => parsePrivateKey(newer, 'key'), rejects('UNSUPPORTED_KEY', /Export OpenSSH key/));
  });

  test('H10 an encrypted key without a passphrase asks for one', () => {
    for (const text of [pem('rsa', SECRET), pem('rsa', SECRET, 'pkcs1')]) {
      assert.throws(
        () => parsePrivateKey(text, 'my key'),
        (error) => {
          return error instanceof PasswordRequiredError && /my key is encrypted/.test(error.message);
        },
      );
    }
  });

  test('H10 a wrong passphrase is called wrong and shown nowhere', () => {
    for (const text of [pem('ed25519', SECRET), pem('rsa', SECRET, 'pkcs1'), pem('ec', SECRET, 'sec1')]) {
      const parse = (): unknown => parsePrivateKey(text, 'my key', 'wrong guess');
      assert.throws(parse, rejects('WRONG_PASSPHRASE', /passphrase for the private key my key is wrong/));
    }
  });

  for (const [name, text, passphrase] of [
    ...(needsOpenSsh
      ? []
      : [
          ['of OpenSSH', openSsh(''), undefined] as const,
          ['of OpenSSH, encrypted', openSsh(SECRET), SECRET] as const,
        ]),
    ['in PKCS#8, encrypted', pem('ec', SECRET), SECRET],
    ['in PKCS#1, encrypted', pem('rsa', SECRET, 'pkcs1'), SECRET],
  ] as const) {
    test(`a key ${name} may have its line breaks written out, and other forms are named as what they are`, () => {
      const parse = (form: string) => parsePrivateKey(form, 'k', passphrase).parsed.getPublicSSH();
      const expected = parse(text);
      const written = text.trim().replaceAll('\n', '\\n');
      const forms = [written, `"${written}\\n"`, written.replaceAll('\\n', '\\r\\n'), `\uFEFF${text}`];
      for (const form of [...forms, text.replaceAll('\n', '\r\n')]) assert.deepEqual(parse(form), expected);
      for (const lost of [text.replaceAll('\n', ''), text.replaceAll('\n', ' ')])
        assert.throws(
          () => parse(lost),
          rejects('INVALID_KEY', /k has lost its line breaks: .* base64 of the whole/),
        );
      const indented = rejects('INVALID_KEY', /k is indented: every line of it must begin at the margin/);
      assert.throws(() => parse(text.replace(/^/gm, '    ')), indented);
      assert.throws(() => parse(text.replace(/\n(?=[^-])/g, '\n\t')), indented);
      const cut = rejects('INVALID_KEY', /k has no END line, so a part of it is missing/);
      assert.throws(() => parse(text.slice(0, -60)), cut);
    });
  }

  test('every cipher of ssh-keygen is opened with the right passphrase, or named', {
    skip: needsOpenSsh,
  }, () => {
    const ciphers = execFileSync('ssh', ['-Q', 'cipher']).toString().trim().split('\n');
    for (const cipher of ciphers) {
      const text = openSsh(SECRET, ['-Z', cipher]);
      const parse = (passphrase?: string) => parsePrivateKey(text, 'k', passphrase).parsed.type;
      if (cipher.startsWith('chacha20')) {
        const named =
          /k is encrypted with chacha20-poly1305@openssh.com, which cannot be read here: .*ssh-keygen -p/;
        for (const passphrase of [undefined, SECRET, 'wrong guess'])
          assert.throws(() => parse(passphrase), rejects('UNSUPPORTED_KEY', named));
      } else {
        assert.equal(parse(SECRET), 'ssh-ed25519', cipher);
        assert.throws(() => parse('wrong guess'), rejects('WRONG_PASSPHRASE', /is wrong/));
      }
    }
  });

  test('a PEM key with a cipher that OpenSSL has given up is not said to have a wrong passphrase', () => {
    const text = pem('rsa', SECRET, 'pkcs1').replace(/DEK-Info: .*/, 'DEK-Info: DES-CBC,0123456789ABCDEF');
    const named = /k is encrypted in an old way, which cannot be read here: .*ssh-keygen -p/;
    assert.throws(() => parsePrivateKey(text, 'k', SECRET), rejects('UNSUPPORTED_KEY', named));
  });

  test('H10 what is no usable private key says what it is', () => {
    const publicText = pairs.rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    assert.throws(
      () => parsePrivateKey(publicText, 'k'),
      rejects('INVALID_KEY', /public key; give the private key/),
    );
    assert.throws(() => parsePrivateKey('ssh-rsa AAAAB3Nza me', 'k'), rejects('INVALID_KEY', /public key/));
    assert.throws(() => parsePrivateKey('', 'k'), rejects('INVALID_KEY', /not a private key/));
    assert.throws(
      () => parsePrivateKey(pem('rsa').replace(/[a-z]/g, 'x'), 'k'),
      rejects('INVALID_KEY', /Cannot parse/),
    );
    const broken = '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n';
    assert.throws(() => parsePrivateKey(broken, 'k'), rejects('INVALID_KEY', /Cannot parse/));
    const dsa = generateKeyPairSync('dsa', { modulusLength: 1024, divisorLength: 160 }).privateKey;
    const dsaText = dsa.export({ type: 'pkcs8', format: 'pem' }).toString();
    assert.throws(
      () => parsePrivateKey(dsaText, 'k'),
      rejects('UNSUPPORTED_KEY', /use Ed25519, ECDSA or RSA/),
    );
    const x25519 = generateKeyPairSync('x25519')
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString();
    assert.throws(() => parsePrivateKey(x25519, 'k'), rejects('UNSUPPORTED_KEY', /x25519/));
  });
});

describe('credentials', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-keys-'));
  });
  after(() => rm(folder, { recursive: true }));

  test('a key may be a path, text or bytes', async () => {
    const path = join(folder, 'key');
    await writeFile(path, pem('ed25519'));
    for (const privateKey of [path, pem('ed25519'), await readFile(path)]) {
      const { keys } = await loadCredentials({ privateKey });
      assert.deepEqual(
        keys.map(({ parsed }) => parsed.type),
        ['ssh-ed25519'],
      );
    }
  });

  test('a key that cannot be read is named', async () => {
    const privateKey = join(folder, 'missing');
    await assert.rejects(loadCredentials({ privateKey }), rejects('KEY_UNREADABLE', /missing: ENOENT/));
    await assert.rejects(loadCredentials({ privateKey: folder }), rejects('KEY_UNREADABLE', /EISDIR/));
  });

  test('an empty password is a password', async () => {
    assert.deepEqual(await loadCredentials({ password: '' }), { keys: [], password: '' });
  });

  test('without anything the default files are tried, in their order', async () => {
    const identityFiles = [join(folder, 'none'), join(folder, 'one'), join(folder, 'two')];
    await writeFile(join(folder, 'one'), pem('ec'));
    await writeFile(join(folder, 'two'), pem('rsa'));
    await chmod(join(folder, 'two'), 0o600);
    const { keys } = await loadCredentials({ agent: false, identityFiles });
    assert.deepEqual(
      keys.map(({ label }) => label),
      identityFiles.slice(1),
    );
    const other = await loadCredentials({ agent: false, identityFiles, password: 'x' });
    assert.deepEqual(other.keys, []);
  });

  test('nothing at all, and an encrypted default file alone, are errors before any network', async () => {
    const identityFiles = [join(folder, 'encrypted')];
    await assert.rejects(
      loadCredentials({ agent: false, identityFiles }),
      rejects('NO_CREDENTIALS', /password or privateKey/),
    );
    await writeFile(join(folder, 'encrypted'), pem('rsa', SECRET));
    await assert.rejects(loadCredentials({ agent: false, identityFiles }), PasswordRequiredError);
    const { keys } = await loadCredentials({ agent: false, identityFiles, privateKeyPass: SECRET });
    assert.equal(keys.length, 1);
    assert.deepEqual(
      (await loadCredentials({ agent: false, identityFiles: [], onPrompt: () => [] })).keys,
      [],
    );
  });

  test('H11 an agent that is missing, hangs, hangs up or answers garbage has no keys', async (t) => {
    assert.deepEqual(await listAgentKeys(join(folder, 'no-agent')), []);
    const behaviours = [undefined, '', '\xff\xff\xff\xff garbage', '\0\0\0\x05\x0c\xff\xff\xff\xff'];
    for (const [index, answer] of behaviours.entries()) {
      const path = join(folder, `agent${index}`);
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.on('data', () => {
          if (answer !== undefined) socket.end(answer, 'latin1');
        });
      }).listen(path);
      t.after(() => server.close());
      await once(server, 'listening');
      assert.deepEqual(await listAgentKeys(path, { list: 200 }), []);
    }
  });
});
