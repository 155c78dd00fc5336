import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  DEFAULT_OFFER,
  LEGACY_ADDITIONS,
  legacyWouldHelp,
  makeOffer,
  needsStrictKex,
} from '../../../src/ssh/algorithms.js';
import { optionArguments } from '../../../src/ssh/openssh/openssh-arguments.js';

describe('algorithms', () => {
  test('H9 nothing with SHA-1, CBC, MD5, RC4 or DSA, and no compression, is offered', () => {
    const all = Object.values(DEFAULT_OFFER).flat();
    assert.deepEqual(
      all.filter((name) => /sha1|cbc|md5|arcfour|dss|^ssh-rsa$|zlib|group1-/.test(name)),
      [],
    );
  });

  test('AES-GCM comes first', () => {
    assert.match(DEFAULT_OFFER.ciphers[0] ?? '', /gcm/);
  });

  test('the types of known host keys are asked for first, in our order', () => {
    const { hostKeyAlgorithms } = makeOffer({}, ['ssh-rsa', 'ecdsa-sha2-nistp256']);
    assert.deepEqual(hostKeyAlgorithms.slice(0, 4), [
      'ecdsa-sha2-nistp256',
      'rsa-sha2-512',
      'rsa-sha2-256',
      'ssh-ed25519',
    ]);
    assert.equal(hostKeyAlgorithms.length, DEFAULT_OFFER.hostKeyAlgorithms.length);
  });

  test("the user's lists replace ours, and compression is by request", () => {
    const offer = makeOffer({ ciphers: ['aes256-ctr'], compression: true });
    assert.deepEqual(offer.ciphers, ['aes256-ctr']);
    assert.deepEqual(offer.compression, ['zlib@openssh.com', 'none']);
    assert.deepEqual(offer.macs, DEFAULT_OFFER.macs);
  });

  test('T11 chacha20, and CBC with encrypt-then-mac, need strict key exchange', () => {
    assert.equal(needsStrictKex('chacha20-poly1305@openssh.com', ''), true);
    assert.equal(needsStrictKex('aes128-cbc', 'hmac-sha2-256-etm@openssh.com'), true);
    assert.equal(needsStrictKex('aes128-ctr', 'hmac-sha2-256-etm@openssh.com'), false);
    assert.equal(needsStrictKex('aes128-gcm@openssh.com', ''), false);
  });

  test('the legacy preset adds what is old after what is modern, and is never the default', () => {
    const legacy = makeOffer({ preset: 'legacy' });
    for (const list of ['kex', 'hostKeyAlgorithms', 'ciphers'] as const) {
      assert.deepEqual(legacy[list].slice(0, DEFAULT_OFFER[list].length), DEFAULT_OFFER[list]);
    }
    assert.equal(legacy.kex.at(-1), 'diffie-hellman-group1-sha1');
    assert.ok(legacy.hostKeyAlgorithms.includes('ssh-rsa') && legacy.ciphers.includes('aes128-cbc'));
    assert.deepEqual(
      Object.values(legacy)
        .flat()
        .filter((name) => /md5|arcfour|dss|^des|zlib/.test(name)),
      [],
    );
    assert.deepEqual(makeOffer({ preset: 'modern' }), makeOffer());
  });

  test('with CBC the MACs come first that are safe without strict key exchange, unless the user has a list', () => {
    const safe = ['hmac-sha2-256', 'hmac-sha2-512'];
    const isEtm = (mac: string): boolean => mac.includes('-etm@');
    const etm = DEFAULT_OFFER.macs.filter(isEtm);
    assert.deepEqual(makeOffer({ ciphers: ['aes128-ctr', 'aes128-cbc'] }).macs, [...safe, ...etm]);
    assert.deepEqual(makeOffer({ preset: 'legacy' }).macs.map(isEtm), [
      false,
      false,
      false,
      true,
      true,
      true,
    ]);
    assert.deepEqual(makeOffer({ preset: 'legacy', macs: etm }).macs, etm);
    assert.deepEqual(makeOffer({ preset: 'legacy', ciphers: ['aes128-ctr'] }).macs.at(0), etm[0]);
  });

  test('X18: a list with an operator of ssh, or with a pattern, is refused', () => {
    for (const list of ['kex', 'hostKeyAlgorithms', 'ciphers', 'macs'] as const) {
      for (const name of ['+x', '-x', '^x', '*', 'aes?', '', 'a,b', 'a b']) {
        assert.throws(() => makeOffer({ [list]: ['aes128-ctr', name] }), TypeError, name);
        const options = { host: 'h', config: true, connectTimeoutMs: 1, interactive: false } as const;
        assert.throws(() => optionArguments({ ...options, algorithms: { [list]: [name] } }), TypeError, name);
      }
    }
    const message =
      "'+aes128-cbc' is not the name of an algorithm: a list takes the place of the preset; to change " +
      'that, give { append, prepend, remove }';
    assert.throws(() => makeOffer({ ciphers: ['+aes128-cbc'] }), new TypeError(message));
  });

  test('the preset is named where it would help, and not where it would not', () => {
    const ours = makeOffer();
    assert.equal(legacyWouldHelp(ours, { ...ours, kex: ['diffie-hellman-group1-sha1'] }), true);
    assert.equal(legacyWouldHelp(ours, { ...ours, kex: ['future@example.com'] }), false);
    assert.equal(legacyWouldHelp(ours, { ...ours, compression: ['zlib'] }), false);
    assert.equal(legacyWouldHelp(makeOffer({ preset: 'legacy' }), { ...ours, ciphers: ['arcfour'] }), false);
  });

  test('docs/security.md names every algorithm that is offered, in its order', () => {
    const text = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8');
    for (const [list, names] of Object.entries(DEFAULT_OFFER)) {
      assert.ok(text.includes(`| \`${list}\` | ${names.join(', ')} |`), list);
    }
    for (const list of ['kex', 'hostKeyAlgorithms', 'ciphers', 'macs'] as const) {
      const added = LEGACY_ADDITIONS[list].join(', ');
      assert.ok(text.replaceAll('\n', ' ').includes(added), added);
    }
  });
});
