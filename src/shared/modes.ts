/** Modes as people write them: in the digits of chmod, or as Node has them. */
import { kindOf } from './arguments.js';
import { printable } from './printable.js';

/**
 * The permission bits of a mode. A string is the digits of chmod: `'644'`. A number is taken by its digits, as in pysftp
 * (`644`), or by its value, as in Node (`0o644`, or `stats.mode & 0o7777`), whichever of the two is a sensible mode: the
 * owner may read, and the group may do no more than the owner, and others no more than the group.
 *
 * @throws TypeError it is neither a number nor a string
 * @throws RangeError it is not a mode, or a number that is a sensible mode in both ways or in neither
 */
export function parseMode(mode: number | string): number {
  if (typeof mode === 'string') return parseDigits(mode);
  if (typeof mode !== 'number') {
    throw new TypeError(`mode must be a number such as 644 or a string such as '644', not ${kindOf(mode)}`);
  }
  const byDigits = /^[0-7]{1,4}$/.test(String(mode)) ? Number.parseInt(String(mode), 8) : undefined;
  const byValue = Number.isInteger(mode) && mode >= 0 && mode <= 0o7777 ? mode : undefined;
  const sensible = [...new Set([byDigits, byValue])].filter((bits) => bits !== undefined && isSensible(bits));
  const [bits] = sensible;
  if (bits !== undefined && sensible.length === 1) return bits;
  throw new RangeError(`mode ${mode} ${objection(byDigits, byValue)}`);
}

function parseDigits(digits: string): number {
  const mode = /^[0-7]{1,5}$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
  if (mode !== undefined && mode <= 0o7777) return mode;
  throw new RangeError(
    `mode '${printable(digits, 20)}' is not written in octal digits: write for instance '644' or '755'`,
  );
}

/** Nobody means a group that may do more than the owner. */
function isSensible(bits: number): boolean {
  const [owner, group, others] = [(bits >> 6) & 7, (bits >> 3) & 7, bits & 7];
  return (owner & 4) !== 0 && (group & ~owner) === 0 && (others & ~group) === 0;
}

function objection(byDigits: number | undefined, byValue: number | undefined): string {
  if (byValue === undefined) return "is not a mode: write for instance 644, 0o644 or '644'";
  const value = `0o${byValue.toString(8)}`;
  if (byDigits === undefined || byDigits === byValue) {
    return `(${value}) is an unusual mode: if you mean it, write it as a string: '${byValue.toString(8)}'`;
  }
  const digits = byDigits.toString(8);
  return `could mean ${digits} or ${value}: write it as a string, '${digits}' or '${byValue.toString(8)}'`;
}

/**
 * The permissions of `st_mode` in the digits that one reads: the type is cut off, and 0o644 becomes 644.
 *
 * @throws TypeError | RangeError where it is no mode.
 *
 * @example
 * stModeToInt(33188);                                        // 644
 * stModeToInt((await sftp.stat('readme.txt')).mode ?? 0);    // 644
 */
export function stModeToInt(mode: number): number {
  if (typeof mode !== 'number') throw new TypeError(`mode must be a number, not ${typeof mode}`);
  if (!Number.isInteger(mode) || mode < 0 || mode > 0xffff_ffff) {
    throw new RangeError(`mode ${mode} is not a mode: pass the mode of the attributes as the server sent it`);
  }
  return Number((mode & 0o7777).toString(8));
}
