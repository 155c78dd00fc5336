/** What ssh2-sftp-client tells of its connection: events, the functions of the constructor, and rejections. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import Client, { type ClientError } from '../../../src/ssh2-sftp-client/index.js';
import { needsOpenSsh } from '../../support/sshd.js';
import { failureOf, type Relay, startRelay, startWorld, type World } from './world.js';

const NAMES = ['ready', 'error', 'end', 'close'] as const;

/** How a line breaks, and what is told of it while no call is under way. */
const BREAKS = [
  ['reset', ['error', 'callback error', 'close', 'callback close']],
  ['finish', ['end', 'callback end', 'close', 'callback close']],
] as const;

function closeOf(client: Client): Promise<void> {
  return new Promise((resolve) => client.client.once('close', resolve));
}

/** Until what is told after a rejection has been told. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

describe('ssh2-sftp-client, events', { skip: needsOpenSsh }, () => {
  let world: World;
  let relay: Relay;
  before(async () => {
    world = await startWorld();
    relay = await startRelay(world.sshd.port);
  });
  after(async () => {
    relay.close();
    await world[Symbol.asyncDispose]();
  });

  /** A client that notes what it hears. */
  function listening() {
    const heard: string[] = [];
    const client = new Client('events', {
      error: () => heard.push('callback error'),
      end: () => heard.push('callback end'),
      close: () => heard.push('callback close'),
    });
    for (const event of NAMES) client.on(event, () => heard.push(event));
    return { client, heard };
  }

  async function connected() {
    const { client, heard } = listening();
    await client.connect({ ...world.options, port: relay.port });
    assert.deepEqual(heard.splice(0), ['ready']);
    return { client, heard };
  }

  test('end is told by end and close, and listeners outlive it', async () => {
    const { client, heard } = listening();
    for (const _round of [1, 2]) {
      await client.connect(world.options);
      await client.end();
      assert.deepEqual(heard.splice(0), ['ready', 'end', 'close']);
    }
  });

  for (const [how, expected] of BREAKS) {
    test(`a connection that is lost between calls is told to listeners and to the functions of the constructor (${how})`, async () => {
      const { client, heard } = await connected();
      const closed = closeOf(client);
      relay[how]();
      await closed;
      await nextTurn();
      assert.deepEqual(heard, expected);
      assert.equal(client.sftp, undefined);
      await assert.rejects(client.list('.'), { code: 'ERR_NOT_CONNECTED' });
      assert.equal(await client.end(), true);
      assert.deepEqual(heard, expected);
    });

    test(`a connection that is lost during a call rejects it, and then closes (${how})`, async () => {
      const { client, heard } = await connected();
      relay.stall();
      const listing = client.list(world.there).catch((error: ClientError) => {
        heard.push(`rejected ${error.code}`);
        return error.message;
      });
      const closed = closeOf(client);
      relay[how]();
      assert.match(String(await listing), /^list: Unexpected end event \(ECONNRESET\): /);
      await closed;
      await nextTurn();
      assert.deepEqual(heard, [expected[0], 'rejected ECONNRESET', 'close', 'callback close']);
      assert.equal(await client.end(), true);
    });
  }

  test('an error of the connection has the code of Node and the level of ssh2', async () => {
    const client = new Client('events', {});
    const failed = once(client.client, 'error');
    await client.connect({ ...world.options, port: relay.port });
    relay.reset();
    const [error] = await failed;
    assert.match(error.message, /^(?:read|write) ECONNRESET$/);
    assert.deepEqual([error.code, error.level, error.custom], ['ECONNRESET', 'client-socket', true]);
  });

  test('a listener of close may connect anew', async () => {
    const { client } = await connected();
    const reconnected = closeOf(client).then(() => client.connect(world.options));
    relay.finish();
    await reconnected;
    assert.equal(await client.exists(world.there), 'd');
    await client.end();
  });

  const refused = [/^All configured authentication methods failed$/, 'client-authentication', true] as const;
  for (const [what, options, words, level, ends] of [
    ['a login is refused', { privateKey: undefined, password: 'wrong' }, ...refused],
    ['there is nothing to log in with', { privateKey: undefined }, ...refused],
    [
      'the key is refused',
      { hostVerifier: () => false },
      /^Host denied \(verification failed\)/,
      'handshake',
      true,
    ],
    ['nothing listens', { port: 1 }, /^connect ECONNREFUSED 127\.0\.0\.1:1$/, 'client-socket', false],
  ] as const) {
    test(`where ${what}, error comes before the rejection, and what closes after it`, async () => {
      const { client, heard } = listening();
      const errors: ClientError[] = [];
      client.on('error', (error: ClientError) => errors.push(error));
      await client.connect({ ...world.options, ...options }).catch(() => heard.push('rejected'));
      await nextTurn();
      const end = ends ? ['end', 'callback end'] : [];
      assert.deepEqual(heard, ['error', 'rejected', ...end, 'close', 'callback close']);
      assert.equal(errors.length, 1);
      assert.match(errors[0]?.message ?? '', words);
      assert.equal(errors[0]?.level, level);
    });
  }

  test('a program that ends its client after a failure hears nothing by the functions of the constructor', async () => {
    const failing = listening();
    await failing.client.connect({ ...world.options, port: 1 }).catch(() => failing.client.end());
    const losing = await connected();
    relay.stall();
    const ended = losing.client.list('.').catch(() => losing.client.end());
    relay.finish();
    await ended;
    await nextTurn();
    assert.deepEqual(failing.heard, ['error', 'close']);
    assert.deepEqual(losing.heard, ['end', 'close']);
  });

  test('an option that is invalid is told by the rejection alone', async () => {
    const { client, heard } = listening();
    for (const options of [{ port: 99_999 }, { username: undefined }, { privateKey: 'no key' }]) {
      await assert.rejects(client.connect({ ...world.options, ...options }));
    }
    await nextTurn();
    assert.deepEqual(heard, []);
  });

  test('end rejects the calls that are under way', async () => {
    const { client, heard } = await connected();
    const source = new PassThrough();
    source.write('x');
    const putting = failureOf(client.put(source, join(world.there, 'ended')));
    await client.list(world.there);
    assert.equal(await client.end(), true);
    assert.equal((await putting)[1], 'ECONNRESET');
    assert.deepEqual(heard, ['end', 'close']);
  });

  for (const [given, callbacks, expected] of [
    ['nothing', undefined, ['error', 'log Global close listener: close event raised']],
    ['null', null, []],
    ['an empty object', {}, []],
    ['some of them', { end: () => assert.fail('it did not end') }, []],
  ] as const) {
    test(`lines are printed only where no functions are given (${given})`, async (t) => {
      const lines: string[] = [];
      t.mock.method(console, 'error', (line: string) => {
        assert.match(line, /^Global error listener: (?:read|write) ECONNRESET$/);
        lines.push('error');
      });
      t.mock.method(console, 'log', (line: string) => lines.push(`log ${line}`));
      const client = new Client('events', callbacks);
      await client.connect({ ...world.options, port: relay.port });
      const closed = closeOf(client);
      relay.reset();
      await closed;
      await nextTurn();
      assert.deepEqual(lines, expected);
    });
  }

  test('a listener is called before those that were there, and not after it is removed', async () => {
    const client = new Client();
    const heard: string[] = [];
    const [first, second] = [() => heard.push('first'), () => heard.push('second')];
    client.on('end', first);
    client.on('end', second);
    await client.connect(world.options);
    await client.end();
    client.removeListener('end', second);
    await client.connect(world.options);
    await client.end();
    assert.deepEqual(heard, ['second', 'first', 'first']);
  });
});
