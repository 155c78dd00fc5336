import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, type TestContext, test } from 'node:test';
import type { RemoteHandle, SftpClient } from '../../../../src/session/sftp-client.js';
import { type Deferred, deferred } from '../../../../src/shared/promises.js';
import type { ReadOptions } from '../../../../src/transfer/file-system.js';
import { SpreadReads } from '../../../../src/transfer/remote/spread-reads.js';

const HANDLE: RemoteHandle = { bytes: Buffer.alloc(4), path: 'file' };
const LENGTH = 64 * 1024;

/** A session that answers when the test says so. */
class FakeSession {
  readonly roundTripMs = 50;
  isOver = false;
  readonly pending: Deferred<readonly Buffer[]>[] = [];

  get asClient(): SftpClient {
    return this as unknown as SftpClient;
  }

  ask(): Promise<readonly Buffer[]> {
    const answer = deferred<readonly Buffer[]>();
    this.pending.push(answer);
    return answer.promise;
  }

  answer(text: string): void {
    this.pending.shift()?.resolve([Buffer.from(text)]);
  }

  fail(message: string): void {
    this.pending.shift()?.reject(new Error(message));
  }

  lose(): void {
    this.isOver = true;
    for (const { reject } of this.pending.splice(0)) reject(new Error('lost'));
  }
}

async function setUp(t: TestContext, count: number) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let nowMs = 0;
  t.mock.method(performance, 'now', () => nowMs);
  const sessions = Array.from({ length: count }, () => new FakeSession());
  const [first, second, third] = sessions;
  assert.ok(first && second && third);
  const discarded: string[] = [];
  const spread = { clients: sessions.slice(1).map(({ asClient }) => asClient), width: count };
  const reads = new SpreadReads({
    client: first.asClient,
    handle: HANDLE,
    spread,
    open: async () => HANDLE,
    discard: (content) => discarded.push(String(content)),
  });
  const settled: string[] = [];
  const read = (options: ReadOptions = {}) => {
    const reading = reads.read(LENGTH, ({ client }) => (client as unknown as FakeSession).ask(), options);
    reading.then(
      (content) => settled.push(String(content)),
      (error) => settled.push(`${error}`),
    );
  };
  const pass = async (ms: number) => {
    nowMs += ms;
    t.mock.timers.tick(ms);
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  /** How many requests are under way in each session. */
  const counts = () => sessions.map(({ pending }) => pending.length);
  /** Of two reads the second session answers its own, and is asked for that of the first when it is late. */
  const askAgain = async () => {
    read();
    read();
    await pass(0);
    second.answer('of the second');
    await pass(0);
    await pass(200);
  };
  // The others open the file when something is read for the first time.
  read();
  await pass(0);
  first.answer('opened');
  await pass(0);
  settled.splice(0);
  return { first, second, third, sessions, reads, read, askAgain, pass, counts, settled, discarded };
}

describe('Reads through several connections', () => {
  test('go through the one with the least on its way, and wait where each has its 128 KiB', async (t) => {
    const { read, pass, counts, second, settled } = await setUp(t, 3);
    for (let count = 0; count < 4; count += 1) read();
    await pass(0);
    assert.deepEqual(counts(), [2, 1, 1]);
    for (let count = 0; count < 4; count += 1) read();
    await pass(0);
    assert.deepEqual(counts(), [2, 2, 2], 'each has its 128 KiB');
    second.answer('of the second');
    await pass(0);
    assert.deepEqual([counts(), settled], [[2, 3, 2], ['of the second']]);
  });

  test('that are late are asked of one that has nothing to do, and whoever answers first is heard', async (t) => {
    const { read, pass, counts, first, second, settled, discarded } = await setUp(t, 3);
    read();
    await pass(150);
    read();
    await pass(0);
    second.answer('of the second');
    await pass(40);
    assert.deepEqual(counts(), [1, 0, 0], 'two round trips and 100 ms are not over');
    await pass(10);
    assert.deepEqual(counts(), [1, 1, 0]);
    second.answer('asked again');
    await pass(0);
    assert.deepEqual([settled, discarded], [['of the second', 'asked again'], []]);
    first.answer('too late');
    await pass(0);
    assert.deepEqual([settled.length, discarded], [2, ['too late']]);
  });

  test('that may be asked for once only are waited for, however late they are', async (t) => {
    const { read, pass, counts, first, settled } = await setUp(t, 3);
    read({ once: true });
    await pass(0);
    read();
    await pass(1000);
    assert.deepEqual(counts(), [1, 1, 1], 'the other one is asked for again');
    first.answer('at last');
    await pass(0);
    assert.deepEqual(settled, ['at last']);
  });

  test('that are late in two of them are asked of a third', async (t) => {
    const { read, pass, counts, third, settled } = await setUp(t, 3);
    for (let count = 0; count < 2; count += 1) read();
    await pass(0);
    read();
    await pass(0);
    third.answer('of the third');
    await pass(200);
    assert.deepEqual(counts(), [1, 1, 1], 'the oldest one');
    third.answer('asked again');
    await pass(0);
    assert.deepEqual(counts(), [1, 1, 1], 'and the next one');
    third.answer('asked again, too');
    await pass(0);
    assert.deepEqual(settled, ['of the third', 'asked again', 'asked again, too']);
  });

  test('fail as the request does, and where it was asked twice only if both fail', async (t) => {
    const { read, askAgain, pass, first, second, settled } = await setUp(t, 3);
    read();
    await pass(0);
    first.fail('refused');
    await pass(0);
    assert.deepEqual(settled, ['Error: refused']);
    await askAgain();
    first.fail('refused');
    await pass(0);
    assert.deepEqual(settled.slice(1), ['of the second']);
    second.fail('refused again');
    await pass(0);
    assert.deepEqual(settled.slice(2), ['Error: refused again']);
  });

  test('go on in the others where one of them is lost, those that wait, too', async (t) => {
    const { read, pass, counts, second, third } = await setUp(t, 3);
    for (let count = 0; count < 9; count += 1) read();
    await pass(0);
    assert.deepEqual(counts(), [2, 2, 2]);
    second.lose();
    await pass(0);
    assert.deepEqual(counts(), [2, 0, 2]);
    third.answer('one');
    third.answer('two');
    await pass(0);
    assert.deepEqual(counts(), [2, 0, 4], 'three that waited, and one that was lost');
  });

  test('end without waiting for an answer that nobody needs any more', async (t) => {
    const { askAgain, pass, first, second, reads, settled } = await setUp(t, 3);
    await askAgain();
    second.answer('asked again');
    await pass(0);
    assert.equal(settled.length, 2);
    const closed: SftpClient[] = [];
    const slow = deferred();
    await reads.close({}, ({ client }) => {
      closed.push(client);
      return client === first.asClient ? slow.promise : Promise.resolve();
    });
    assert.equal(closed.length, 3, 'it is closed all the same');
    slow.resolve();
  });
});
