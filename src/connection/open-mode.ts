/** The modes of `open`, as Python and Node write them. */
import { kindOf } from '../arguments.js';
import { printable } from '../printable.js';
import { OPEN_FLAGS } from '../session/sftp-client.js';

export interface OpenMode {
  /** As the caller wrote it. */
  readonly text: string;
  /** For OPEN. */
  readonly flags: number;
  readonly reads: boolean;
  readonly writes: boolean;
  /** Every write goes to the end of the file. APPEND itself is not sent, as servers refuse it. */
  readonly appends: boolean;
}

const { READ, WRITE, CREAT, TRUNC, EXCL } = OPEN_FLAGS;

const ROWS = [
  { mode: 'r', flags: READ },
  { mode: 'r+', flags: READ | WRITE },
  { mode: 'w', flags: WRITE | CREAT | TRUNC },
  { mode: 'w+', flags: READ | WRITE | CREAT | TRUNC },
  { mode: 'a', flags: WRITE | CREAT },
  { mode: 'a+', flags: READ | WRITE | CREAT },
  { mode: 'x', flags: WRITE | CREAT | EXCL },
  { mode: 'x+', flags: READ | WRITE | CREAT | EXCL },
  { mode: 'wx', flags: WRITE | CREAT | EXCL },
  { mode: 'wx+', flags: READ | WRITE | CREAT | EXCL },
  { mode: 'ax', flags: WRITE | CREAT | EXCL },
  { mode: 'ax+', flags: READ | WRITE | CREAT | EXCL },
] as const;

const BY_LETTERS: ReadonlyMap<string, (typeof ROWS)[number]> = new Map(
  ROWS.map((row) => [sorted(row.mode), row]),
);

/**
 * What a mode asks for. The order of its letters does not matter, and one `b` may be among them: files are
 * always binary.
 *
 * @throws TypeError where it is no string; RangeError where it is no mode.
 */
export function parseOpenMode(mode: string): OpenMode {
  if (typeof mode !== 'string') throw new TypeError(`mode must be a string such as 'r', not ${kindOf(mode)}`);
  const row = BY_LETTERS.get(sorted(mode.replace('b', '')));
  if (row === undefined) {
    const known = ROWS.map((each) => each.mode).join(', ');
    throw new RangeError(
      `mode '${printable(mode, 20)}' is unknown: files are binary, and the modes are ${known}`,
    );
  }
  const has = (flag: number) => (row.flags & flag) !== 0;
  return {
    text: mode,
    flags: row.flags,
    reads: has(READ),
    writes: has(WRITE),
    appends: row.mode.includes('a'),
  };
}

function sorted(letters: string): string {
  return [...letters].sort().join('');
}
