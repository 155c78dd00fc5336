import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkHost, checkPort, isHostName, isPort } from '../../../src/ssh/host-name.js';

describe('The name of a host', () => {
  for (const name of [
    'sftp.example.org',
    'my_alias',
    'host-1',
    '10.0.0.1',
    '::1',
    'fe80::1%eth0',
    'bücher.example',
    'a.',
  ]) {
    test(`may be '${name}'`, () => {
      assert.equal(checkHost(name), name);
      assert.ok(isHostName(name));
    });
  }

  for (const name of [
    '',
    '-oProxyCommand=x',
    'a b',
    'a%h',
    'a;b',
    'me@host',
    'host:22',
    '[::1]',
    'a\0b',
    'x'.repeat(256),
    '1:2:3',
  ]) {
    test(`may not be ${JSON.stringify(name.slice(0, 20))}`, () => {
      assert.throws(() => checkHost(name), TypeError);
      assert.ok(!isHostName(name));
    });
  }

  test('shows no password that stands in it by mistake', () => {
    assert.throws(
      () => checkHost('me:secret@host'),
      (error: Error) => !error.message.includes('secret'),
    );
    assert.throws(
      () => checkHost('host:secret'),
      (error: Error) => !error.message.includes('secret'),
    );
  });
});

test('a port is an integer from 1 to 65535', () => {
  for (const port of [1, 22, 65_535]) assert.equal(checkPort(port), port);
  for (const port of [0, 65_536, 1.5, Number.NaN]) {
    assert.ok(!isPort(port));
    assert.throws(() => checkPort(port), RangeError);
  }
  assert.throws(() => checkPort('22'), TypeError);
});
