import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SftpClient } from '../../../../src/session/sftp-client.js';
import { SPREAD_LENGTH } from '../../../../src/session/spread.js';
import { SpreadChoice } from '../../../../src/transfer/remote/spread-choice.js';

const KIB = 1024;

/** A choice among connections that are known by their number, 0 being the first. */
function makeChoice(count: number) {
  const connections = Array.from({ length: count }, () => ({ isOver: false }));
  const asClient = (connection: { isOver: boolean } | undefined) => connection as unknown as SftpClient;
  const choice = new SpreadChoice(asClient(connections[0]), {
    get clients() {
      return connections.slice(1).map(asClient);
    },
    width: 8,
  });
  const numberOf = (client: SftpClient) => connections.indexOf(client as unknown as { isOver: boolean });
  const choose = async (size: number, signal?: AbortSignal) => {
    const { client, leave } = await choice.choose(size, signal);
    return { number: numberOf(client), leave };
  };
  return {
    connections,
    choose,
    numbersOf: async (...sizes: readonly number[]) => {
      const numbers: number[] = [];
      for (const size of sizes) numbers.push((await choose(size)).number);
      return numbers;
    },
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('The connection of a short file', () => {
  test('is the one with the least to do, where each file counts for 16 KiB more than it has', async () => {
    const { numbersOf } = makeChoice(3);
    assert.deepEqual(await numbersOf(0, 0, 0, 100 * KIB, 0, 0, 40 * KIB, 0), [0, 1, 2, 0, 1, 2, 1, 2]);
  });

  test('is none that has ended', async () => {
    const { connections, numbersOf } = makeChoice(3);
    const [, second] = connections;
    assert.ok(second);
    second.isOver = true;
    assert.deepEqual(await numbersOf(0, 0, 0, 0), [0, 2, 0, 2]);
  });

  test('is waited for where each has 64 files, until one of them is closed', async () => {
    const { choose, numbersOf } = makeChoice(2);
    const first = await choose(0);
    const numbers = await numbersOf(...Array.from({ length: 127 }, () => 0));
    assert.deepEqual(
      [numbers.filter((one) => one === 0).length, numbers.filter((one) => one === 1).length],
      [63, 64],
    );
    const chosen: number[] = [];
    const waiting = [0, 0].map(() => choose(0).then(({ number }) => chosen.push(number)));
    await turn();
    assert.deepEqual(chosen, []);
    first.leave();
    first.leave();
    await turn();
    assert.deepEqual(chosen, [0], 'closing it twice makes room for one');
    assert.equal(waiting.length, 2);
  });

  test('is one that was opened meanwhile, as soon as any file is closed', async () => {
    const { choose, numbersOf, connections } = makeChoice(1);
    const first = await choose(0);
    await numbersOf(...Array.from({ length: 63 }, () => 0));
    const chosen: number[] = [];
    for (let more = 0; more < 66; more += 1) void choose(0).then(({ number }) => chosen.push(number));
    connections.push({ isOver: false });
    first.leave();
    await turn();
    assert.deepEqual(
      [chosen.filter((one) => one === 0).length, chosen.filter((one) => one === 1).length],
      [1, 64],
    );
  });

  test('is not waited for any more once the call is aborted', async () => {
    const { choose, numbersOf } = makeChoice(1);
    await numbersOf(...Array.from({ length: 64 }, () => 0));
    const abort = new AbortController();
    const waiting = choose(0, abort.signal);
    abort.abort(new Error('enough'));
    await assert.rejects(waiting, { message: 'enough' });
  });

  test('is the first one for a file of 1 MiB and more, which goes through all of them', async () => {
    const { numbersOf } = makeChoice(2);
    const large = Array.from({ length: 100 }, () => SPREAD_LENGTH);
    assert.deepEqual(await numbersOf(...large), large.fill(0));
  });
});
