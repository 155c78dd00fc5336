import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { checkHop, parseProxyJump, writeHop } from '../../../../src/ssh/config/proxy-jump.js';
import { makeTokens } from '../../../../src/ssh/config/ssh-config-tokens.js';

describe('parseProxyJump', () => {
  test('reads user, host and port of one hop or several, also as an address', () => {
    const bare = { port: undefined, username: undefined };
    assert.deepEqual(parseProxyJump('hop'), [{ ...bare, host: 'hop' }]);
    assert.deepEqual(parseProxyJump('me@hop:2222, ssh://[::1]:22/'), [
      { host: 'hop', port: 2222, username: 'me' },
      { host: '::1', port: 22, username: undefined },
    ]);
    assert.deepEqual(parseProxyJump('ssh://a.b@c-d.example,10.0.0.1'), [
      { host: 'c-d.example', port: undefined, username: 'a.b' },
      { ...bare, host: '10.0.0.1' },
    ]);
  });

  test("the tokens of a user tell of the server, as in ssh's ProxyJump", () => {
    const tokens = makeTokens({ host: 'alias', hostName: 'server.example', port: 2222, user: 'me' });
    const hops = parseProxyJump('%r@jump,%n-%h-%p-%%@other,%r@[fe80::1%eth0]', tokens);
    assert.deepEqual(
      hops.map(({ username, host }) => [username, host]),
      [
        ['me', 'jump'],
        ['alias-server.example-2222-%', 'other'],
        ['me', 'fe80::1%eth0'],
      ],
    );
    assert.throws(() => parseProxyJump('%x@jump', tokens), { code: 'CONFIG_INVALID' });
  });

  test('A2 refuses what is not of that form', () => {
    const wrong = [
      '',
      ',',
      'a,,b',
      '-oProxyCommand=x',
      '-l@h',
      'u@h@i',
      'a b',
      'h\n-oA',
      '$(x)',
      'a;b',
      '`x`@h',
      'h:',
      'h:x',
      'h:0',
      'h:65536',
      'u@-h',
      '[::1',
      'http://h',
    ];
    for (const text of wrong) assert.throws(() => parseProxyJump(text), TypeError, text);
  });

  test('what is written is read again as it was', () => {
    const hop = fc.record(
      {
        host: fc.constantFrom('hop', 'a.b-c', '10.0.0.1', '::1', 'fe80::2', 'bücher.example'),
        port: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
        username: fc.option(fc.constantFrom('me', 'a.b', 'x_y-z'), { nil: undefined }),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.array(hop, { minLength: 1, maxLength: 4 }), (hops) => {
        assert.deepEqual(parseProxyJump(hops.map(writeHop).join(',')), hops);
        for (const one of hops) assert.equal(checkHop(one), one);
      }),
    );
  });

  test('whatever is accepted holds nothing that a shell or an option parser would take for its own', () => {
    const piece = fc.constantFrom(
      'a',
      '@',
      ':',
      '-',
      '$',
      '(',
      ')',
      '`',
      ' ',
      '\n',
      ';',
      '22',
      '[',
      ']',
      '/',
      ',',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        try {
          for (const { host, username = 'x' } of parseProxyJump(pieces.join(''))) {
            assert.doesNotMatch(`${host}\0${username}`, /[\s$()`;@/]/);
            assert.doesNotMatch(host, /^-/);
            assert.doesNotMatch(username, /^-/);
          }
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
        }
      }),
    );
  });
});
