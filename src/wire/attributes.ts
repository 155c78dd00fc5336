/**
 * File attributes and their form on the wire (draft-ietf-secsh-filexfer-02, section 5): flags, then the
 * fields that the flags announce.
 */

import { Buffer } from 'node:buffer';
import { ProtocolError } from '../errors.js';
import { printable } from '../shared/printable.js';
import type { ByteReader, ByteWriter } from './bytes.js';

const SSH_FILEXFER_ATTR = {
  SIZE: 0x00000001,
  UIDGID: 0x00000002,
  PERMISSIONS: 0x00000004,
  ACMODTIME: 0x00000008,
  EXTENDED: 0x80000000,
} as const;

/** Attributes as a server tells them or is told them; what is absent is unknown, or left as it is. */
export interface AttributeValues {
  readonly size?: number | undefined;
  /** `uid` and `gid` go together: the wire has one flag for both. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** POSIX mode: permissions, and the type of the file where the server tells it. */
  readonly mode?: number | undefined;
  /** Seconds since 1970, unsigned 32 bits; `atime` and `mtime` go together. */
  readonly atime?: number | undefined;
  readonly mtime?: number | undefined;
  /** Vendors' name and data pairs. */
  readonly extended?: readonly (readonly [name: Uint8Array, data: Uint8Array])[] | undefined;
}

export function readAttributes(reader: ByteReader): AttributeValues {
  const flags = reader.uint32();
  const has = (flag: number) => (flags & flag) !== 0;
  const size = has(SSH_FILEXFER_ATTR.SIZE) ? reader.uint64() : undefined;
  const hasOwner = has(SSH_FILEXFER_ATTR.UIDGID);
  const uid = hasOwner ? reader.uint32() : undefined;
  const gid = hasOwner ? reader.uint32() : undefined;
  const mode = has(SSH_FILEXFER_ATTR.PERMISSIONS) ? reader.uint32() : undefined;
  const hasTimes = has(SSH_FILEXFER_ATTR.ACMODTIME);
  const atime = hasTimes ? reader.uint32() : undefined;
  const mtime = hasTimes ? reader.uint32() : undefined;
  if (!has(SSH_FILEXFER_ATTR.EXTENDED)) return { size, uid, gid, mode, atime, mtime };
  return { size, uid, gid, mode, atime, mtime, extended: readExtended(reader) };
}

function readExtended(reader: ByteReader): (readonly [Uint8Array, Uint8Array])[] {
  const count = readCount(reader, 8);
  return Array.from({ length: count }, () => [Buffer.from(reader.string()), Buffer.from(reader.string())]);
}

/** A count that a peer sent is believed only if that many items can be in what is left of the packet. */
export function readCount(reader: ByteReader, minimumItemLength: number): number {
  const count = reader.uint32();
  if (count * minimumItemLength > reader.remaining) {
    throw new ProtocolError(`A count of ${count} items does not fit into ${reader.remaining} bytes`);
  }
  return count;
}

export function writeAttributes(writer: ByteWriter, attributes: AttributeValues): void {
  const { size, uid, gid, mode, atime, mtime, extended = [] } = attributes;
  const owner = uid !== undefined && gid !== undefined;
  const times = atime !== undefined && mtime !== undefined;
  let flags = 0;
  if (size !== undefined) flags |= SSH_FILEXFER_ATTR.SIZE;
  if (owner) flags |= SSH_FILEXFER_ATTR.UIDGID;
  if (mode !== undefined) flags |= SSH_FILEXFER_ATTR.PERMISSIONS;
  if (times) flags |= SSH_FILEXFER_ATTR.ACMODTIME;
  if (extended.length > 0) flags |= SSH_FILEXFER_ATTR.EXTENDED;
  writer.uint32(flags >>> 0);
  if (size !== undefined) writer.uint64(size);
  if (owner) {
    writer.uint32(uid);
    writer.uint32(gid);
  }
  if (mode !== undefined) writer.uint32(mode);
  if (times) {
    writer.uint32(atime);
    writer.uint32(mtime);
  }
  if (extended.length > 0) {
    writer.uint32(extended.length);
    for (const [name, data] of extended) {
      writer.string(name);
      writer.string(data);
    }
  }
}

/** The type bits of a POSIX mode. */
const S_IFMT = 0o170000;

/** As rows, not as keys: a formatter may rewrite a number that is a key, and an octal one wrongly. */
const TYPES = [
  { bits: 0o010000, name: 'fifo', letter: 'p' },
  { bits: 0o020000, name: 'character-device', letter: 'c' },
  { bits: 0o040000, name: 'directory', letter: 'd' },
  { bits: 0o060000, name: 'block-device', letter: 'b' },
  { bits: 0o100000, name: 'file', letter: '-' },
  { bits: 0o120000, name: 'symlink', letter: 'l' },
  { bits: 0o140000, name: 'socket', letter: 's' },
] as const;

const TYPES_BY_BITS: ReadonlyMap<number, FileType> = new Map(TYPES.map(({ bits, name }) => [bits, name]));

/** What kind of thing a path names; `unknown` where the server does not tell. */
export type FileType = (typeof TYPES)[number]['name'] | 'unknown';

/** The S_IFMT bits of a file type. */
export function typeBits(type: FileType): number {
  return TYPES.find(({ name }) => name === type)?.bits ?? 0;
}

/**
 * What a server tells about a file: the answer to `stat`, and one entry of `listdirAttr`. A field that the
 * server leaves out is `undefined`. Times are seconds since 1970; `mode` holds the type of the file too,
 * see {@link stModeToInt}.
 *
 * @example
 * const attributes = await sftp.stat('readme.txt');
 * attributes.size;        // 8192
 * attributes.isFile();    // true
 * String(attributes);     // '-r--r--r--   1 501      502          8192 26 May 23:32 readme.txt'
 */
export class FileAttributes {
  readonly size: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** POSIX mode: permissions and type. */
  readonly mode: number | undefined;
  /** Last access, seconds since 1970. */
  readonly atime: number | undefined;
  /** Last modification, seconds since 1970. */
  readonly mtime: number | undefined;
  /** The name within its directory, for people and for strings; empty for `stat`. */
  readonly filename: string;
  /** What few have: listings of a million entries are held in memory. */
  readonly #rest: Rest | undefined;

  constructor(
    values: AttributeValues,
    entry: { readonly filename?: Uint8Array; readonly longname?: Uint8Array; readonly type?: FileType } = {},
  ) {
    this.size = values.size;
    this.uid = values.uid;
    this.gid = values.gid;
    this.mode = values.mode;
    this.atime = values.atime;
    this.mtime = values.mtime;
    const { filename, longname, type } = entry;
    this.filename = filename === undefined ? '' : textOf(filename);
    const { extended = NO_PAIRS } = values;
    const line = longname === undefined ? '' : textOf(longname);
    // Kept only where the text has lost something.
    const isLossy = filename !== undefined && this.filename.includes('\ufffd');
    const rawName = isLossy ? Buffer.from(filename).toString('latin1') : undefined;
    const told = type === typeFrom(values.mode, line) ? undefined : type;
    const hasMore = line !== '' || extended.length > 0 || isLossy || told !== undefined;
    this.#rest = hasMore ? { longname: line, extended, rawName, type: told } : undefined;
  }

  /**
   * The server's own line about the file, in its own form; empty for `stat`. A listing keeps 4 MiB of these lines,
   * that is some 25,000 of the usual length; the entries after that have none.
   */
  get longname(): string {
    return this.#rest?.longname ?? '';
  }

  /** Vendors' name and data pairs; left out of long listings, as `longname` is. */
  get extended(): readonly (readonly [name: Uint8Array, data: Uint8Array])[] {
    return this.#rest?.extended ?? NO_PAIRS;
  }

  /**
   * The name as the server sent it. Names are bytes; where they are not UTF-8, `filename` shows U+FFFD and
   * only these bytes name the file. Every method that takes a remote path takes bytes as well.
   */
  get filenameBytes(): Uint8Array {
    const rawName = this.#rest?.rawName;
    return rawName === undefined ? Buffer.from(this.filename) : Buffer.from(rawName, 'latin1');
  }

  /**
   * The kind of file. Servers that leave the type out of `mode` usually show it as the first letter of
   * `longname`.
   */
  get type(): FileType {
    return this.#rest?.type ?? typeFrom(this.mode, this.longname);
  }

  isDirectory(): boolean {
    return this.type === 'directory';
  }

  isFile(): boolean {
    return this.type === 'file';
  }

  isSymbolicLink(): boolean {
    return this.type === 'symlink';
  }

  /** A line like that of `ls -l`, with nothing in the name that a terminal would act on. */
  toString(): string {
    const letter = TYPES.find(({ name }) => name === this.type)?.letter ?? '?';
    const permissions = this.mode === undefined ? '?????????' : permissionLetters(this.mode);
    const owner = `${String(this.uid ?? 0).padEnd(8)} ${String(this.gid ?? 0).padEnd(8)}`;
    const size = String(this.size ?? 0).padStart(8);
    const name = this.filename === '' ? '' : ` ${printable(this.filename)}`;
    return `${letter}${permissions}   1 ${owner} ${size} ${formatTime(this.mtime)}${name}`;
  }
}

interface Rest {
  readonly longname: string;
  readonly extended: FileAttributes['extended'];
  /** The bytes of a name that is not UTF-8, in latin1: a string takes much less memory than an array. */
  readonly rawName: string | undefined;
  /** What was found out where the server does not tell. */
  readonly type: FileType | undefined;
}

const NO_PAIRS: FileAttributes['extended'] = [];

/** By the mode, or else by the line that `ls -l` would give. */
export function typeFrom(mode: number | undefined, longname: string): FileType {
  const bits = (mode ?? 0) & S_IFMT;
  if (bits !== 0) return TYPES_BY_BITS.get(bits) ?? 'unknown';
  if (!/^[-dlpcbs][-rwxsStT]{9}/.test(longname)) return 'unknown';
  return TYPES.find(({ letter }) => letter === longname[0])?.name ?? 'unknown';
}

function textOf(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.toString('utf8');
}

function permissionLetters(mode: number): string {
  const triple = (shift: number, special: number, letter: string) => {
    const bits = (mode >> shift) & 7;
    const isSpecial = (mode & special) !== 0;
    const execute = bits & 1 ? (isSpecial ? letter : 'x') : isSpecial ? letter.toUpperCase() : '-';
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${execute}`;
  };
  return triple(6, 0o4000, 's') + triple(3, 0o2000, 's') + triple(0, 0o1000, 't');
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const HALF_A_YEAR_MS = 183 * 24 * 60 * 60 * 1000;

/** `26 May 23:32`, or with the year where that is more than half a year away, as `ls` does. */
function formatTime(seconds: number | undefined): string {
  if (seconds === undefined) return '(unknown time)'.padEnd(12);
  const date = new Date(seconds * 1000);
  const day = `${String(date.getDate()).padStart(2)} ${MONTHS[date.getMonth()]}`;
  if (Math.abs(Date.now() - date.getTime()) > HALF_A_YEAR_MS) return `${day}  ${date.getFullYear()}`;
  const clock = [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':');
  return `${day} ${clock}`;
}
