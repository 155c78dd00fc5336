import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { Lanes } from '../../../../src/session/lanes.js';
import type { SftpClient } from '../../../../src/session/sftp-client.js';
import { type ChosenLane, LaneChoice } from '../../../../src/transfer/remote/lane-choice.js';

const MIB = 1024 * 1024;

interface Given {
  readonly roundTripMs?: number;
  /** Opens a further session; those of `isOver` are over by then. */
  readonly open?: (session: number) => Promise<{ readonly isOver: boolean }>;
}

/** A choice among sessions that are known by their number, 0 being the first. */
function makeChoice({ roundTripMs = 50, open = async () => ({ isOver: false }) }: Given = {}) {
  const numbers = new Map<SftpClient, number>();
  const connect = (more: object) => {
    const client = { roundTripMs, limits: { maxWriteLength: 255 * 1024 }, ...more } as unknown as SftpClient;
    numbers.set(client, numbers.size);
    return client;
  };
  const first = connect({ isOver: false });
  let asked = 0;
  const lanes = new Lanes(async () => {
    asked += 1;
    return connect(await open(asked));
  });
  const choice = new LaneChoice(first, lanes);
  const numberOf = ({ client }: ChosenLane) => numbers.get(client);
  return {
    choice,
    numberOf,
    /** The sessions of files of that many MiB, one after the other and none of them closed. */
    numbersOf: async (mebibytes: readonly number[], channels?: number) => {
      const chosen: (number | undefined)[] = [];
      for (const size of mebibytes) chosen.push(numberOf(await choice.choose(size * MIB, { channels })));
      return chosen;
    },
    get asked() {
      return asked;
    },
  };
}

function repeated(count: number, mebibytes: number): number[] {
  return Array.from({ length: count }, () => mebibytes);
}

describe('The session of a file', () => {
  test('is the first one that has less than 8 MiB to do, and then the one with the least', async () => {
    const sessions = makeChoice();
    assert.deepEqual(await sessions.numbersOf(repeated(18, 4)), [
      ...[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7],
      ...[0, 1],
    ]);
    assert.deepEqual(await sessions.numbersOf([3, 1, 2]), [2, 3, 4]);
  });

  test('is the first one for what fits into one request, and for what is worth several', async () => {
    const sessions = makeChoice();
    assert.deepEqual(await sessions.numbersOf([100, ...repeated(100, 0.2), 9, 1]), [
      0,
      ...repeated(100, 0),
      0,
      1,
    ]);
    assert.equal(sessions.asked, 1);
  });

  test('is the first one over a short line', async () => {
    const sessions = makeChoice({ roundTripMs: 5 });
    assert.deepEqual(await sessions.numbersOf(repeated(20, 8)), repeated(20, 0));
    assert.equal(sessions.asked, 0);
  });

  for (const [channels, expected] of [
    [1, [0, 0, 0, 0, 0]],
    [2, [0, 1, 0, 1, 0]],
    [12, [0, 1, 2, 3, 4]],
    [Number.MAX_SAFE_INTEGER, [0, 1, 2, 3, 4]],
  ] as const) {
    test(`is one of ${channels} where so many are allowed`, async () => {
      assert.deepEqual(await makeChoice().numbersOf(repeated(5, 8), channels), expected);
    });
  }

  test('is free for others when the file is closed', async () => {
    const { choice, numberOf } = makeChoice();
    const first = await choice.choose(8 * MIB);
    const second = await choice.choose(8 * MIB);
    second.leave();
    second.leave();
    assert.equal(numberOf(await choice.choose(8 * MIB)), 1);
    first.leave();
    assert.equal(numberOf(await choice.choose(8 * MIB)), 0);
  });

  test('is the first one where the server allows no second, or that is over by then', async () => {
    const refused = makeChoice({ open: () => Promise.reject(new Error('open failed')) });
    assert.deepEqual(await refused.numbersOf(repeated(4, 8)), [0, 0, 0, 0]);
    const over = makeChoice({ open: async () => ({ isOver: true }) });
    assert.deepEqual(await over.numbersOf(repeated(4, 8)), [0, 0, 0, 0]);
  });

  test('is the first one where the server does not answer for two seconds', async (t: TestContext) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { choice, numberOf } = makeChoice({ open: () => new Promise(() => {}) });
    choice.choose(8 * MIB);
    const choosing = choice.choose(8 * MIB);
    t.mock.timers.tick(2000);
    assert.equal(numberOf(await choosing), 0);
  });

  test('has room for a part of what is on its way as soon as there is another', async () => {
    const { choice } = makeChoice();
    const chosen: ChosenLane[] = [];
    for (const size of repeated(4, 4)) chosen.push(await choice.choose(size * MIB));
    const [first, , third, fourth] = chosen.map(({ room }) => room);
    assert.deepEqual([first, third?.max, third === fourth], [undefined, 3 * MIB, true]);
  });

  test('is not waited for by whoever aborts, and counts nothing then', async () => {
    let opened = (_: { isOver: boolean }) => {};
    const open = () =>
      new Promise<{ isOver: boolean }>((resolve) => {
        opened = resolve;
      });
    const { choice, numberOf } = makeChoice({ open });
    choice.choose(8 * MIB);
    const abort = new AbortController();
    const choosing = choice.choose(8 * MIB, { signal: abort.signal });
    abort.abort(new Error('enough'));
    await assert.rejects(async () => choosing, new Error('enough'));
    const next = choice.choose(8 * MIB);
    opened({ isOver: false });
    assert.equal(numberOf(await next), 1);
  });
});
