/** What is between a client and a server: written as `100mbit 50ms 0.1% 512k`, or one of those that have a name. */

export interface LineSpec {
  readonly name: string;
  readonly mbitPerSecond: number;
  /** There and back. */
  readonly roundTripMs: number;
  /** The share of packets that are lost, in percent, each way. */
  readonly lossPercent: number;
  /** What may wait before the bottleneck, in KiB. */
  readonly queueKib: number;
  /** What it is, one after the other, every two seconds, over and over again. */
  readonly changes?: readonly Partial<Omit<LineSpec, 'name' | 'changes'>>[];
  /** How much a file has to hold so that a run takes some seconds. */
  readonly mebibytes: number;
}

function line(name: string, text: string, mebibytes: number, changes?: LineSpec['changes']): LineSpec {
  const spec = { ...parseLine(text), name, mebibytes };
  return changes === undefined ? spec : { ...spec, changes };
}

const PARTS: readonly (readonly [RegExp, (value: number) => Partial<LineSpec>])[] = [
  [/^([\d.]+)gbit$/, (value) => ({ mbitPerSecond: 1000 * value })],
  [/^([\d.]+)mbit$/, (value) => ({ mbitPerSecond: value })],
  [/^([\d.]+)ms$/, (value) => ({ roundTripMs: value })],
  [/^([\d.]+)%$/, (value) => ({ lossPercent: value })],
  [/^([\d.]+)k$/, (value) => ({ queueKib: value })],
  [/^([\d.]+)m$/, (value) => ({ queueKib: 1024 * value })],
];

/** So long may a run take at best. */
const SECONDS_AT_BEST = 2.5;

/** @throws RangeError where a part of the text is none of a line */
export function parseLine(text: string): LineSpec {
  let spec = { name: text, mbitPerSecond: 100, roundTripMs: 20, lossPercent: 0, queueKib: 512 };
  for (const part of text.toLowerCase().split(/\s+/).filter(Boolean)) {
    const found = PARTS.flatMap(([pattern, read]) => {
      const value = pattern.exec(part)?.[1];
      return value === undefined ? [] : [read(Number(value))];
    });
    if (found[0] === undefined) {
      throw new RangeError(`'${part}' is no part of a line: write '100mbit 50ms 0.1% 512k', or a name`);
    }
    spec = { ...spec, ...found[0] };
  }
  const mebibytes = Math.max(1, Math.round((spec.mbitPerSecond / 8.39) * SECONDS_AT_BEST));
  return { ...spec, mebibytes };
}

export const NAMED_LINES: readonly LineSpec[] = [
  line('office', '400mbit 20ms 2m', 64),
  line('dsl', '100mbit 50ms 512k', 32),
  line('ocean', '100mbit 200ms 2400k', 32),
  line('slow', '10mbit 30ms 256k', 4),
  line('bloat', '10mbit 30ms 2m', 4),
  line('lossy', '100mbit 50ms 0.1% 512k', 16),
  line('bad', '100mbit 50ms 1% 512k', 8),
  line('wild', '100mbit 50ms 512k', 16, [
    { mbitPerSecond: 20, roundTripMs: 120 },
    { lossPercent: 0.5, roundTripMs: 60 },
    { mbitPerSecond: 200, lossPercent: 0, roundTripMs: 30 },
    {},
  ]),
];

/** @throws RangeError as {@link parseLine} */
export function linesOf(text: string): readonly LineSpec[] {
  if (text === 'all') return NAMED_LINES;
  const named = NAMED_LINES.find(({ name }) => name === text);
  return [named ?? parseLine(text)];
}
