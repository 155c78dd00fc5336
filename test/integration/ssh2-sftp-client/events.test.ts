/** What ssh2-sftp-client tells of its connection: events, the functions of the constructor, and rejections. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import Client from '../../../src/ssh2-sftp-client/index.js';
import { needsOpenSsh } from '../../support/sshd.js';
import { startWorld, type World } from './world.js';

/** Whether the loss comes with an error depends on how the kernel closes the connection. */
function closeOf(client: Client): Promise<void> {
  return new Promise((resolve) => client.client.once('close', resolve));
}

describe('ssh2-sftp-client, events', { skip: needsOpenSsh }, () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world[Symbol.asyncDispose]());

  /** A client that notes what it hears, and how to kill the server's side of it. */
  async function listening() {
    const heard: string[] = [];
    const client = new Client('events', {
      error: () => heard.push('callback error'),
      end: () => heard.push('callback end'),
      close: () => heard.push('callback close'),
    });
    for (const event of ['ready', 'error', 'end', 'close']) client.on(event, () => heard.push(event));
    const before = new Set(world.sshd.children());
    await client.connect(world.options);
    const kill = (signal: NodeJS.Signals) => {
      for (const pid of world.sshd.children().filter((each) => !before.has(each))) process.kill(pid, signal);
    };
    return { client, heard, kill };
  }

  test('end is told by end and close, and listeners outlive it', async () => {
    const { client, heard } = await listening();
    await client.end();
    assert.deepEqual(heard, ['ready', 'end', 'close']);
    await client.connect(world.options);
    await client.end();
    assert.deepEqual(heard, ['ready', 'end', 'close', 'ready', 'end', 'close']);
  });

  test('a connection that is lost between calls is told to listeners and to the functions of the constructor', async () => {
    const { client, heard, kill } = await listening();
    const closed = closeOf(client);
    kill('SIGKILL');
    await closed;
    const rest = heard.filter((event) => !/error|ready/.test(event));
    assert.deepEqual(rest, ['end', 'callback end', 'close', 'callback close']);
    assert.equal(client.sftp, undefined);
    await assert.rejects(client.list('.'), { code: 'ERR_NOT_CONNECTED' });
    assert.equal(await client.end(), true);
  });

  test('a connection that is lost during a call rejects it, and leaves the functions of the constructor alone', async () => {
    const { client, heard, kill } = await listening();
    kill('SIGSTOP');
    const listing = client.list(world.there);
    kill('SIGKILL');
    await assert.rejects(listing, {
      code: 'ECONNRESET',
      message: /^list: Unexpected end event \(ECONNRESET\): /,
    });
    assert.deepEqual(
      heard.filter((event) => /callback/.test(event)),
      [],
    );
    assert.equal(await client.end(), true);
  });

  test('end rejects the calls that are under way', async () => {
    const { client } = await listening();
    const source = new PassThrough();
    source.write('x');
    const putting = assert.rejects(client.put(source, join(world.there, 'ended')), { code: 'ECONNRESET' });
    await client.list(world.there);
    assert.equal(await client.end(), true);
    await putting;
  });

  test('without functions a loss is printed, and nothing is thrown', async (t) => {
    const lines: string[] = [];
    t.mock.method(console, 'log', (line: string) => lines.push(line));
    const before = new Set(world.sshd.children());
    const client = new Client();
    await client.connect(world.options);
    const closed = closeOf(client);
    for (const pid of world.sshd.children().filter((each) => !before.has(each))) process.kill(pid, 'SIGKILL');
    await closed;
    assert.deepEqual(
      lines.filter((line) => !line.includes('error')),
      ['Global end listener: end event raised', 'Global close listener: close event raised'],
    );
  });

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
