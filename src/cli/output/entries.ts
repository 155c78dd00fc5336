/** Files of a server as lines and as JSON. */
import { isUtf8 } from 'node:buffer';
import type { FileAttributes } from '../../index.js';
import { shortBytes } from './human.js';
import type { JsonLine, Output } from './output.js';

/** What `ls -l` shows. */
export interface LongStyle {
  readonly human: boolean;
  readonly numeric: boolean;
}

/** Permissions, owner, group, size and time. */
export function longColumns(attributes: FileAttributes, { human, numeric }: LongStyle): readonly string[] {
  const { uid, gid, size, mtime } = attributes;
  const mode = String(attributes).slice(0, 10);
  const told = /^\S{10,11}\s+(\S+)\s+(\S+)\s+(\S+)\s+\d/.exec(attributes.longname);
  const [, links = '1', owner, group] = told ?? [];
  const named = (name: string | undefined, id: number | undefined): string =>
    numeric || name === undefined ? String(id ?? '?') : name;
  const length = size === undefined ? '?' : human ? shortBytes(size) : String(size);
  return [mode, links, named(owner, uid), named(group, gid), length, shortTime(mtime)];
}

/** The columns of several lines, each as wide as its longest. */
export function alignColumns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)));
  // Owner and group begin on the left, numbers end on the right.
  return rows.map((row) =>
    row
      .map((cell, index) =>
        index === 0 || index === 2 || index === 3
          ? cell.padEnd(widths[index] ?? 0)
          : cell.padStart(widths[index] ?? 0),
      )
      .join(' '),
  );
}

const HALF_A_YEAR_MS = 182 * 86_400_000;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** As `ls` writes it: with the time of day for half a year, with the year else. */
function shortTime(mtime: number | undefined): string {
  if (mtime === undefined) return '?';
  const time = new Date(mtime * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${MONTHS[time.getMonth()]} ${String(time.getDate()).padStart(2)}`;
  const isRecent = Math.abs(Date.now() - time.getTime()) < HALF_A_YEAR_MS;
  return `${day} ${isRecent ? `${two(time.getHours())}:${two(time.getMinutes())}` : String(time.getFullYear()).padStart(5)}`;
}

/** Letters behind names, in colour on a terminal. */
export function coloured(output: Output, text: string, attributes: FileAttributes): string {
  if (!output.isTerminal) return text;
  const isExecutable = attributes.isFile() && ((attributes.mode ?? 0) & 0o111) !== 0;
  const style = attributes.isDirectory()
    ? 'blue'
    : attributes.isSymbolicLink()
      ? 'cyan'
      : isExecutable
        ? 'green'
        : undefined;
  return style === undefined ? text : output.style(style, text, process.stdout);
}

/** An entry for `--json`; a name that is not UTF-8 has its bytes beside it. */
export function entryJson(
  command: string,
  path: { readonly text: string; readonly bytes: Uint8Array },
  attributes: FileAttributes,
): JsonLine {
  const { type, size, mode, uid, gid, mtime, atime } = attributes;
  return { type: 'entry', command, ...pathJson(path), kind: type, size, mode, uid, gid, mtime, atime };
}

/** `path`, and `pathBase64` where the text has lost something. */
export function pathJson({
  text,
  bytes,
}: {
  readonly text: string;
  readonly bytes: Uint8Array;
}): Readonly<Record<string, string>> {
  return isUtf8(bytes) ? { path: text } : { path: text, pathBase64: Buffer.from(bytes).toString('base64') };
}
