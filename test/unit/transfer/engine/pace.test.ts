import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FIRST_BYTES, Pace } from '../../../../src/transfer/engine/pace.js';
import { bytesPerMs, type Network, SimulatedTransfer } from '../../../support/simulated-network.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const MAX = 32 * MIB;
const DSL: Network = { mbitPerSecond: 100, roundTripMs: 50, queue: 512 * KIB, loss: 0 };

/** What the network carries at best: as much in flight as may ever be. */
function carried(network: Network, fromMs: number, endMs: number, change = (_nowMs: number) => {}): number {
  const held = bytesPerMs(network) * (network.roundTripMs + (network.latencyMs ?? 0));
  const greedy = {
    limit: Math.min(MAX, 4 * (held + MIB + network.queue)),
    rate: bytesPerMs(network),
    isRateKnown: true,
    mark: () => undefined,
    count: () => {},
  };
  const transfer = new SimulatedTransfer(network);
  const noteFull = () => change(transfer.nowMs);
  return transfer.run({ ...greedy, noteFull }, { fromMs, endMs, maxReplies: Number.POSITIVE_INFINITY }).rate;
}

function paced(network: Network, { max = MAX, change = (_nowMs: number) => {} } = {}) {
  const transfer = new SimulatedTransfer(network);
  const now = () => {
    change(transfer.nowMs);
    return transfer.nowMs;
  };
  const pace = new Pace({ initial: FIRST_BYTES, max, now, roundTripMs: () => network.roundTripMs });
  return { transfer, pace };
}

/** Beside what the network carries after ten round trips, and how long all but one of twenty requests took at most. */
function measure(network: Network): {
  readonly share: number;
  readonly waitMs: number;
  readonly count: number;
} {
  const { roundTripMs, latencyMs = 0, serverMs = 0, jitterMs = 0 } = network;
  const requestMs = (64 * KIB) / bytesPerMs(network);
  const fromMs = 10 * (roundTripMs + latencyMs + serverMs + jitterMs + requestMs);
  const longMs = fromMs + Math.max(40 * (roundTripMs + latencyMs), 2000);
  const { transfer, pace } = paced(network);
  const { rate, waitsMs, endMs } = transfer.run(pace, { fromMs, endMs: longMs, maxReplies: 1000 });
  const best = carried(network, fromMs, endMs);
  return {
    share: best === 0 ? 1 : rate / best,
    waitMs: waitsMs[Math.floor(0.95 * waitsMs.length)] ?? 0,
    count: waitsMs.length,
  };
}

function* grid(): Generator<Network> {
  for (const mbitPerSecond of [1, 5, 10, 50, 100, 400, 1000, 10_000])
    for (const roundTripMs of [0.1, 1, 5, 20, 50, 200, 600])
      for (const queue of [16 * KIB, 256 * KIB, MIB, 8 * MIB])
        for (const loss of [0, 0.0001, 0.001, 0.02])
          for (const more of [
            {},
            { jitterMs: 0.3 * roundTripMs },
            { hasCompetitor: true },
            { pauseMs: 20 },
            { serverMs: 5 },
            { latencyMs: 100 },
          ])
            yield { mbitPerSecond, roundTripMs, queue, loss, ...more };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function shareOf<T>(values: readonly T[], holds: (value: T) => boolean): number {
  return values.filter(holds).length / values.length;
}

describe('Pace on simulated networks', () => {
  const results = [...grid()].map((network) => ({ network, ...measure(network) }));
  const lossFree = results.filter(({ network, count }) => network.loss === 0 && count > 20);
  /** TCP needs more than ten round trips to fill those that hold nearly as much as the window may be. */
  const holdsLittle = ({ network: { roundTripMs, latencyMs = 0, ...rest } }: { network: Network }) =>
    bytesPerMs({ ...rest, roundTripMs }) * (roundTripMs + latencyMs) < MAX / 4;

  test('5,000 networks are tried', () => assert.ok(results.length >= 5000));

  test('after ten round trips a window carries what the network does', () => {
    const shares = lossFree.filter(holdsLittle).map(({ share }) => share);
    assert.ok(shareOf(shares, (share) => share >= 0.95) >= 0.9, 'nine of ten are within 5 %');
    assert.ok(Math.min(...shares) >= 0.85, `the worst: ${Math.min(...shares)}`);
    assert.ok(mean(shares) >= 0.99, `on average: ${mean(shares)}`);
  });

  test('a network that holds about as much as the largest window is filled in the course of time', () => {
    const shares = lossFree.filter((result) => !holdsLittle(result)).map(({ share }) => share);
    assert.ok(Math.min(...shares) >= 0.65, `the worst: ${Math.min(...shares)}`);
    assert.ok(mean(shares) >= 0.85, `on average: ${mean(shares)}`);
  });

  test('where packets are lost, a window carries as much on average as without a limit', () => {
    for (const loss of [0.0001, 0.001, 0.02]) {
      const lossy = results.filter(({ network, count }) => network.loss === loss && count > 20);
      assert.ok(mean(lossy.map(({ share }) => share)) >= 0.97, `${loss}: ${mean(lossy.map((r) => r.share))}`);
    }
  });

  test('nothing waits longer than the queue, two round trips, a lost packet and a quarter of a second', () => {
    for (const { network, waitMs } of lossFree) {
      const { mbitPerSecond, roundTripMs, queue, hasCompetitor = false } = network;
      // Over a short and slow one the first request, of 255 KiB, is what takes the time.
      if (mbitPerSecond < (roundTripMs < 30 ? 50 : 5) || roundTripMs > 200 || hasCompetitor) continue;
      const { latencyMs = 0, serverMs = 0, jitterMs = 0, pauseMs = 0 } = network;
      const bound = 3 * roundTripMs + 2 * latencyMs + (queue + 32 * KIB) / bytesPerMs(network) + 250;
      assert.ok(
        waitMs <= bound + serverMs + 2 * (pauseMs + jitterMs),
        `${JSON.stringify(network)}: ${waitMs} ms`,
      );
    }
  });
});

describe('Pace', () => {
  test('has in flight what the network holds, and a little more', () => {
    const { transfer, pace } = paced(DSL);
    transfer.run(pace, { fromMs: 0, endMs: 5000, maxReplies: 10_000 });
    const held = 12_500 * 50;
    assert.ok(pace.limit >= held + 150 * 12_500 * 0.95, `too little: ${pace.limit}`);
    assert.ok(pace.limit <= 1.6 * held + 150 * 12_500, `too much: ${pace.limit}`);
  });

  test('is never above the maximum, and the maximum bounds what is first in flight', () => {
    const { transfer, pace } = paced({ ...DSL, mbitPerSecond: 10_000 }, { max: 2 * MIB });
    transfer.run(pace, { fromMs: 0, endMs: 2000, maxReplies: 1000 });
    assert.equal(pace.limit, 2 * MIB);
    assert.equal(new Pace({ initial: 10, max: 3 }).limit, 3);
  });

  test('begins with two thirds over 100 ms and more, as TCP takes several round trips for what it is given', () => {
    const firstOver = (roundTripMs: number) =>
      new Pace({ initial: FIRST_BYTES, max: MAX, roundTripMs: () => roundTripMs }).limit;
    assert.deepEqual([firstOver(99), firstOver(100)], [255 * KIB, 170 * KIB]);
  });

  test('over 200 ms the window opens by half as much beyond what the network holds while it grows', () => {
    const openedOver = (roundTripMs: number) => {
      let now = 0;
      const pace = new Pace({ initial: MIB, max: MAX, now: () => now, roundTripMs: () => roundTripMs });
      for (let round = 0; round < 3; round += 1) {
        const mark = pace.mark();
        pace.noteFull();
        now += roundTripMs;
        pace.count(MIB, mark);
      }
      return pace.limit / MIB;
    };
    assert.deepEqual([openedOver(50), openedOver(200)], [3, 2.5]);
  });

  test('stays as it is where nobody has to wait', () => {
    let now = 0;
    const pace = new Pace({ initial: FIRST_BYTES, max: MAX, now: () => now });
    for (let round = 0; round < 50; round += 1) {
      const mark = pace.mark();
      now += 10;
      pace.count(4096, mark);
    }
    assert.deepEqual([pace.limit, pace.rate], [FIRST_BYTES, 409.6]);
  });

  test('a time of rest does not count as slowness', () => {
    let now = 0;
    const pace = new Pace({ initial: FIRST_BYTES, max: MAX, now: () => now });
    pace.count(1000, pace.mark());
    now = 60_000;
    pace.start();
    const mark = pace.mark();
    now = 60_010;
    pace.count(10_000, mark);
    assert.ok(pace.rate >= 1000, `the rate is ${pace.rate}`);
  });

  test('what comes in one burst after a pause of the network does not look like a faster one', () => {
    let now = 0;
    const pace = new Pace({ initial: FIRST_BYTES, max: MAX, now: () => now });
    const early = Array.from({ length: 10 }, () => pace.mark());
    now = 1000;
    pace.count(1000, early[0] ?? pace.mark());
    const late = pace.mark();
    for (const mark of early.slice(1)) pace.count(1000, mark);
    now = 1100;
    pace.count(1000, late);
    assert.equal(pace.rate, 10);
  });

  const changes = [
    { what: 'a tenth of its rate', change: { mbitPerSecond: 10 }, maxWaitMs: 450 },
    { what: 'ten times its rate', change: { mbitPerSecond: 1000 }, maxWaitMs: 450 },
    { what: 'a round trip ten times as long', change: { roundTripMs: 500 }, maxWaitMs: 1500 },
    { what: 'a round trip of a tenth', change: { roundTripMs: 5 }, maxWaitMs: 450 },
  ];
  for (const { what, change, maxWaitMs } of changes) {
    test(`a network that comes to have ${what} is carried in full again, and nothing waits for long`, () => {
      const changing = (network: Network) => (nowMs: number) => {
        if (nowMs > 5000) Object.assign(network, change);
      };
      const [network, other] = [{ ...DSL }, { ...DSL }];
      const { transfer, pace } = paced(network, { change: changing(network) });
      const span = { fromMs: 25_000, endMs: 45_000 };
      const { rate, waitsMs } = transfer.run(pace, { ...span, maxReplies: 100_000 });
      const share = rate / carried(other, span.fromMs, span.endMs, changing(other));
      const waitMs = waitsMs[Math.floor(0.95 * waitsMs.length)] ?? 0;
      assert.ok(share >= 0.93, `a share of ${share}`);
      assert.ok(waitMs <= maxWaitMs, `a wait of ${waitMs} ms`);
    });
  }
});
