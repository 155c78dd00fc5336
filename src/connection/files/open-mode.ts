/** The modes of `open`, as Python and Node write them. */

import { OPEN_AS } from '../../session/quirks/open-flags.js';
import { OPEN_FLAGS } from '../../session/sftp-client.js';
import { kindOf } from '../../shared/arguments.js';
import { printable } from '../../shared/printable.js';

export interface OpenMode {
  /** As the caller wrote it. */
  readonly text: string;
  /** For OPEN; in `a` and `a+` where nothing is there yet. */
  readonly flags: number;
  readonly reads: boolean;
  readonly writes: boolean;
  /** Every write goes to the end of the file. */
  readonly appends: boolean;
  /** Whatever is there already is an error. */
  readonly isExclusive: boolean;
  /** The file holds nothing but what is written to it from then on. */
  readonly empties: boolean;
}

const { READ, WRITE } = OPEN_FLAGS;

const ROWS = [
  { mode: 'r', flags: OPEN_AS.read },
  { mode: 'r+', flags: OPEN_AS.readWrite },
  { mode: 'w', flags: OPEN_AS.empty },
  { mode: 'w+', flags: READ | OPEN_AS.empty },
  { mode: 'a', flags: OPEN_AS.created },
  { mode: 'a+', flags: READ | OPEN_AS.created },
  { mode: 'x', flags: OPEN_AS.created },
  { mode: 'x+', flags: READ | OPEN_AS.created },
  { mode: 'wx', flags: OPEN_AS.created },
  { mode: 'wx+', flags: READ | OPEN_AS.created },
  { mode: 'ax', flags: OPEN_AS.created },
  { mode: 'ax+', flags: READ | OPEN_AS.created },
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
    isExclusive: row.mode.includes('x'),
    empties: /[wx]/.test(row.mode),
  };
}

function sorted(letters: string): string {
  return [...letters].sort().join('');
}
