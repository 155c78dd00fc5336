/** The flags of `open`, as node:fs takes them, and what they are in SFTP. */
import { constants } from 'node:fs';
import { OPEN_FLAGS } from '../../session/sftp-client.js';
import { givenInteger } from '../base/arguments.js';
import { argumentError } from '../base/node-error.js';

const { O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND } = constants;
/** Windows has none of these. */
const O_NOFOLLOW = constants.O_NOFOLLOW ?? 0;
const O_DIRECTORY = constants.O_DIRECTORY ?? 0;

const CREATED = O_TRUNC | O_CREAT;
const APPENDED = O_APPEND | O_CREAT;

/** Letters in order of the alphabet; `s` asks for a file without a cache, which SFTP does not know. */
const BY_LETTERS: ReadonlyMap<string, number> = new Map([
  ['r', O_RDONLY],
  ['+r', O_RDWR],
  ['w', CREATED | O_WRONLY],
  ['wx', CREATED | O_WRONLY | O_EXCL],
  ['+w', CREATED | O_RDWR],
  ['+wx', CREATED | O_RDWR | O_EXCL],
  ['a', APPENDED | O_WRONLY],
  ['ax', APPENDED | O_WRONLY | O_EXCL],
  ['+a', APPENDED | O_RDWR],
  ['+ax', APPENDED | O_RDWR | O_EXCL],
]);

export interface OpenFlags {
  readonly reads: boolean;
  readonly writes: boolean;
  readonly appends: boolean;
  readonly creates: boolean;
  readonly isExclusive: boolean;
  readonly empties: boolean;
  readonly refusesLinks: boolean;
  readonly wantsDirectory: boolean;
}

/** @throws TypeError as node:fs does if they are unknown */
export function parseFlags(given: unknown, otherwise: string, name = 'flags'): OpenFlags {
  const flags = given === undefined || given === null ? otherwise : given;
  const bits = typeof flags === 'string' ? bitsOf(flags) : givenInteger(flags, name, 0, 2 ** 31 - 1);
  const has = (bit: number) => bit !== 0 && (bits & bit) === bit;
  const access = bits & (O_WRONLY | O_RDWR);
  return {
    reads: access !== O_WRONLY,
    writes: access !== O_RDONLY,
    appends: has(O_APPEND),
    creates: has(O_CREAT),
    isExclusive: has(O_CREAT) && has(O_EXCL),
    empties: has(O_TRUNC),
    refusesLinks: has(O_NOFOLLOW),
    wantsDirectory: has(O_DIRECTORY),
  };
}

function bitsOf(flags: string): number {
  const letters = [...flags].sort().join('');
  const bits =
    BY_LETTERS.get(letters) ?? BY_LETTERS.get(/^\+?[ar]s$/.test(letters) ? letters.slice(0, -1) : '');
  if (bits !== undefined) return bits;
  throw argumentError(
    TypeError,
    'ERR_INVALID_ARG_VALUE',
    `The argument 'flags' is invalid. Received '${flags.slice(0, 25)}'`,
  );
}

/** In the combinations that every server knows, see `open-flags.ts` of the session. */
export function sftpFlags({ reads, writes, appends, creates, isExclusive, empties }: OpenFlags): number {
  const { READ, WRITE, APPEND, CREAT, EXCL, TRUNC } = OPEN_FLAGS;
  return (
    (reads ? READ : 0) |
    (writes ? WRITE : 0) |
    (appends ? APPEND : 0) |
    (creates ? CREAT : 0) |
    (isExclusive ? EXCL : 0) |
    ((empties || (isExclusive && !appends)) && writes ? TRUNC : 0)
  );
}
