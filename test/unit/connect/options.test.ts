import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { type HostOptions, resolveOptions } from '../../../src/connect/options.js';
import { connect } from '../../../src/index.js';

const cnopts = { hostkeys: null } as const;

/** What of the answer tells where to go and as whom. */
function resolved(target: string | HostOptions, options: Omit<HostOptions, 'host'> = {}) {
  const { host, port, username, password, defaultPath } = resolveOptions(target, { cnopts, ...options });
  return { host, port, username, password, defaultPath };
}

describe('the forms of connect', () => {
  const expected = { host: 'h', port: 2222, username: 'me', password: 'pw', defaultPath: '/start' };
  const options = { port: 2222, username: 'me', password: 'pw', defaultPath: '/start' };

  test('a host with options, options with the host, and a URL say the same', () => {
    assert.deepEqual(resolved('h', options), expected);
    assert.deepEqual(resolved({ host: 'h', ...options }), expected);
    assert.deepEqual(resolved('sftp://me:pw@h:2222/start'), expected);
    assert.deepEqual(resolved('ssh://me:pw@h:2222/start'), expected);
  });

  test('what is not said is 22, the user of the system, and nothing', (t) => {
    const { LOGNAME } = process.env;
    t.after(() => {
      if (LOGNAME === undefined) delete process.env.LOGNAME;
      else process.env.LOGNAME = LOGNAME;
    });
    delete process.env.LOGNAME;
    const username = userInfo().username;
    const nothing = { host: 'h', port: 22, username, password: undefined, defaultPath: undefined };
    assert.deepEqual(resolved('h'), nothing);
    assert.deepEqual(resolved('sftp://h'), nothing);
    assert.deepEqual(resolved('sftp://h/'), nothing);
    process.env.LOGNAME = 'somebody';
    assert.equal(resolved('h').username, 'somebody');
  });

  test('explicit options win over the URL, and those left undefined do not', () => {
    assert.equal(resolved('sftp://me@h', { username: 'you' }).username, 'you');
    assert.deepEqual(
      resolved('sftp://me:pw@h:1/x', { username: undefined, password: undefined, port: undefined }),
      {
        host: 'h',
        port: 1,
        username: 'me',
        password: 'pw',
        defaultPath: '/x',
      },
    );
  });

  test('a URL may be percent-encoded', () => {
    const { username, password, defaultPath } = resolved('sftp://me%40home:p%3A%2F%40@h/with%20space/%C3%BC');
    assert.deepEqual([username, password, defaultPath], ['me@home', 'p:/@', '/with space/ü']);
  });

  test('an IPv6 address stands in brackets in a URL, and without them alone', () => {
    assert.equal(resolved('sftp://[::1]:2222').host, '::1');
    assert.equal(resolved('::1').host, '::1');
    assert.equal(resolved('fe80::1%eth0').host, 'fe80::1%eth0');
  });

  test('the zone of an IPv6 address may be in a URL, encoded as RFC 6874 has it, or bare', () => {
    const { host, port, username, password, defaultPath } = resolved(
      'sftp://me:p%5B@[fe80::1%25eth0]:2222/in/x%20y',
    );
    assert.deepEqual(
      [host, port, username, password, defaultPath],
      ['fe80::1%eth0', 2222, 'me', 'p[', '/in/x y'],
    );
    assert.equal(resolved('sftp://[fe80::1%25eth0.100]/').host, 'fe80::1%eth0.100');
    assert.equal(resolved('sftp://[fe80::1%eth0]').host, 'fe80::1%eth0');
    assert.throws(() => resolved('sftp://[fe80::1%25%00]/'), TypeError);
  });

  test('a port in the host is named as what it is', () => {
    for (const [given, host, port] of [
      ['127.0.0.1:2222', '127.0.0.1', 2222],
      ['example.com:22', 'example.com', 22],
      ['[::1]:2222', '::1', 2222],
    ] as const) {
      const message = `host '${given}' ends with a port: give host '${host}' and port ${port}`;
      assert.throws(() => resolved(given), new TypeError(message));
    }
  });

  test('an empty password is one', () => {
    assert.equal(resolved('h', { password: '' }).password, '');
  });
});

describe('A2: addresses that cannot be meant', () => {
  const hosts = [
    '',
    '-oProxyCommand=x',
    'u@h',
    'h\nx',
    'h x',
    '$(x)',
    '`x`',
    'h;x',
    'h/x',
    '[::1]',
    'h:22',
    'x'.repeat(256),
  ];
  for (const host of hosts) {
    test(`the host ${JSON.stringify(host.slice(0, 20))} is refused`, () => {
      assert.throws(() => resolved(host), { name: 'TypeError', message: /host/ });
      assert.throws(() => resolved({ host }), { name: 'TypeError', message: /host/ });
    });
  }

  test('addresses of other protocols, and what is no URL, are refused without showing a password', () => {
    for (const address of [
      'http://me:hunter2@h',
      'sftp://me:hunter2@h:99999',
      'sftp://me:hunter2@',
      'sftp://me:hunter2@h%zz/',
    ]) {
      assert.throws(
        () => resolved(address),
        (error: Error) => error instanceof TypeError && !inspect(error).includes('hunter2'),
        address,
      );
    }
  });

  test('a wrong percent sign is told with advice', () => {
    assert.throws(() => resolved('sftp://h/100%/x'), {
      name: 'TypeError',
      message: /^The directory .* write %25/,
    });
  });

  test('encoded characters do not bring a host past the check', () => {
    assert.throws(() => resolved('sftp://h%0Ax'), TypeError);
    assert.throws(() => resolved('sftp://-oProxyCommand=x'), TypeError);
  });
});

describe('options of the wrong kind', () => {
  const wrong: readonly (readonly [object, string])[] = [
    [{ port: '22' }, 'TypeError'],
    [{ port: 0 }, 'RangeError'],
    [{ port: 65_536 }, 'RangeError'],
    [{ port: 22.5 }, 'RangeError'],
    [{ port: Number.NaN }, 'RangeError'],
    [{ username: '' }, 'TypeError'],
    [{ username: 'a\0b' }, 'TypeError'],
    [{ username: 7 }, 'TypeError'],
    [{ password: 7 }, 'TypeError'],
    [{ privateKeyPass: {} }, 'TypeError'],
    [{ defaultPath: 7 }, 'TypeError'],
    [{ timeout: 1 }, 'TypeError'],
    [{ connectTimeout: '1' }, 'TypeError'],
    [{ callTimeout: 0 }, 'RangeError'],
    [{ connectTimeout: 0 }, 'RangeError'],
    [{ connectTimeout: -1 }, 'RangeError'],
    [{ noProgressTimeout: Number.NaN }, 'RangeError'],
  ];
  for (const [options, name] of wrong) {
    test(`${inspect(options)} is a ${name}, and a rejection of connect`, async () => {
      assert.throws(() => resolved('h', options as object), { name });
      await assert.rejects(connect('h', { cnopts, ...options } as object), { name });
    });
  }

  test('no host at all is a TypeError', async () => {
    for (const target of [undefined, null, 7, {}]) {
      await assert.rejects(connect(target as unknown as string), TypeError);
    }
  });
});
