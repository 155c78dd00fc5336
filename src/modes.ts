/** Modes as people write them: `644`, as on the command line of chmod. */

/** The octal literals of usual modes that look like a mode themselves once they are numbers. */
const LOOKALIKES: ReadonlyMap<number, string> = new Map(
  ['644', '777', '640', '664', '400'].map((digits) => [Number.parseInt(digits, 8), digits]),
);

/**
 * The permission bits of a mode that is written in decimal digits as one reads it: `644` and `'644'` are
 * 0o644. Numbers such as `0o755`, which is 493, are refused with advice where they can be told: a digit 8 or 9,
 * or the value of an octal literal that is in common use.
 *
 * @throws TypeError where it is neither a number nor a string.
 * @throws RangeError where it is no mode.
 */
export function parseMode(mode: number | string): number {
  if (typeof mode !== 'number' && typeof mode !== 'string') {
    throw new TypeError(`mode must be a number such as 644 or a string such as '644', not ${typeof mode}`);
  }
  const literal = typeof mode === 'number' ? LOOKALIKES.get(mode) : undefined;
  if (literal !== undefined) throw new RangeError(`mode ${mode} is 0o${literal}: write ${literal}`);
  const digits = String(mode);
  if (!/^[0-7]{1,5}$/.test(digits) || Number.parseInt(digits, 8) > 0o7777) {
    throw new RangeError(`mode ${digits} is not written in octal digits${advice(mode)}`);
  }
  return Number.parseInt(digits, 8);
}

function advice(mode: number | string): string {
  if (typeof mode === 'number' && Number.isInteger(mode) && mode >= 0 && mode <= 0o7777) {
    const octal = mode.toString(8);
    return `: 0o${octal} is ${mode}; write ${octal}`;
  }
  return ': write for instance 644 or 755';
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
    throw new RangeError(`mode ${mode} is no mode: pass the attribute as the server told it`);
  }
  return Number((mode & 0o7777).toString(8));
}
