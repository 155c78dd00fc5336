/**
 * Where an atomic copy gathers its bytes until it takes the place of the target, and what such names tell. While a
 * copy runs, the name says who writes it:
 *
 *     .tsftp-<target>-<source>-<owner>-<place><number><start><run><random>.part
 *
 * A copy that stopped and may be resumed leaves its content under a name without a writer. All of it is good then,
 * from the first byte to the last:
 *
 *     .tsftp-<target>-<source>.part
 *
 * `target` is a hash of the target's name, `source` one of the path, the size and the time of the source: content
 * is only ever gone on with where all of them are what they were. `owner` is a hash of what the caller calls himself, in
 * which case he goes on with it wherever he is, and the rest tells who writes (`writer.ts`). The names have the same short length for every
 * target, and lie in its directory, as a rename within one directory is atomic.
 */
import { Buffer } from 'node:buffer';
import * as crypto from 'node:crypto';
import { TransferError } from '../../errors.js';
import { type PathKey, pathKey, quote } from '../../shared/remote-path.js';
import { failedAt } from '../copy-failure.js';
import { type FileInfo, isMissing, type Place, type SourcePlace } from '../file-system.js';
import { specialTarget } from '../special-file.js';
import { fieldsOf, isRunning, ownWriter, type Writer } from './writer.js';

/** A source whose size or time nobody tells: it cannot be known again. */
export const UNKNOWN_SOURCE = '0'.repeat(12);

const PATTERN =
  /^\.tsftp-([0-9a-f]{12})-([0-9a-f]{12})(?:-([0-9a-f]{12})-([0-9a-f]{12})([0-9a-f]{8})([0-9a-f]{8})([0-9a-f]{8})[0-9a-f]{8})?\.part$/;

/** Of a caller who does not call himself anything. */
const NOBODY = '0'.repeat(12);

const DOT = 0x2e;

/** What this thread has given up and could not remove, the latest of it. Whatever else is in its name it still writes. */
const leftNames = new Set<PathKey>();
const MAX_LEFT = 10_000;

/** What a name in a directory tells, where it is one of ours. */
export interface TemporaryName {
  readonly target: string;
  readonly source: string;
  readonly owner: string | undefined;
  readonly writer: Writer | undefined;
}

export function readTemporaryName(name: Buffer): TemporaryName | undefined {
  if (name[0] !== DOT) return undefined;
  const [, target, source, owner, place, number = '', start, run] =
    PATTERN.exec(name.toString('latin1')) ?? [];
  if (target === undefined || source === undefined) return undefined;
  if (place === undefined || start === undefined || run === undefined) {
    return { target, source, owner: undefined, writer: undefined };
  }
  const writer = { place, number: Number.parseInt(number, 16), start, run };
  return { target, source, owner: owner === NOBODY ? undefined : owner, writer };
}

/** How a caller's name for himself stands in the names of files. */
export function ownerMark(owner: string | undefined): string | undefined {
  return owner === undefined ? undefined : hash(owner);
}

/** Tells a source by where it is, how long it is and when it was changed. */
export function sourceMark(path: Buffer, { size, mtime }: FileInfo): string {
  if (size === undefined || mtime === undefined) return UNKNOWN_SOURCE;
  return hash(`${pathKey(path)}\0${size}\0${mtime}`);
}

export function targetMark({ fileSystem, path }: Place): string {
  return hash(pathKey(fileSystem.split(path).name));
}

/** A new name to write under; it is ours until {@link leaveTemporary}. */
export function temporaryPath(target: Place, source: string = UNKNOWN_SOURCE, owner?: string): Buffer {
  const who = `${ownerMark(owner) ?? NOBODY}-${fieldsOf(ownWriter())}`;
  const name = `.tsftp-${targetMark(target)}-${source}-${who}${uniqueMark()}.part`;
  return beside(target, name);
}

/** Where content lies that may be gone on with. */
export function restingPath(target: Place, source: string): Buffer {
  return beside(target, `.tsftp-${targetMark(target)}-${source}.part`);
}

/** It may still exist, and nobody writes to it any more: another transfer that finds it may take it. */
export function leaveTemporary({ fileSystem }: Place, path: Buffer): void {
  note(leftNames, fileSystem.split(path).name);
}

/** What is oldest is forgotten where there is too much. */
function note(left: Set<PathKey>, path: Buffer): void {
  const [oldest] = left;
  if (left.size >= MAX_LEFT && oldest !== undefined) left.delete(oldest);
  left.add(pathKey(path));
}

/** Directories in which something was left while they could not be reached: a server may make it even later. */
const leftBlindly = new Set<PathKey>();

/** As {@link leaveTemporary}, over a connection that is lost. */
export function leaveBlindly(target: Place, path: Buffer): void {
  leaveTemporary(target, path);
  note(leftBlindly, target.fileSystem.split(path).directory);
}

/** Whether something may have come late into a directory; asked once. */
export function takeBlindness(directory: Buffer): boolean {
  return leftBlindly.delete(pathKey(directory));
}

/** Whether somebody writes there; `undefined` where nobody can tell. */
export function isBeingWritten(name: Buffer, writer: Writer): boolean | undefined {
  return leftNames.has(pathKey(name)) ? false : isRunning(writer);
}

function beside({ fileSystem, path }: Place, name: string): Buffer {
  return fileSystem.join(fileSystem.split(path).directory, Buffer.from(name));
}

function hash(text: string, length = 12): string {
  return crypto.hash('sha256', text).slice(0, length);
}

/** Random bytes are cheaper by the thousand. */
const noise = { bytes: Buffer.alloc(4096), used: 4096 };

function uniqueMark(): string {
  if (noise.used === noise.bytes.length) {
    crypto.randomFillSync(noise.bytes);
    noise.used = 0;
  }
  noise.used += 4;
  return noise.bytes.toString('hex', noise.used - 4, noise.used);
}

/**
 * The regular file or link that will be replaced, or `undefined` if there is none.
 *
 * @throws TransferError where something else is in the way: a directory (`EISDIR`), a device, a FIFO (`EEXIST`).
 */
export async function existingFile(
  source: SourcePlace,
  { fileSystem, path }: Place,
  signal: AbortSignal | undefined,
): Promise<FileInfo | undefined> {
  let info: FileInfo;
  try {
    info = await fileSystem.lstat(path, { signal });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw (await fileSystem.likelyCause?.(error, path, { signal })) ?? error;
  }
  if (['file', 'symlink', 'unknown'].includes(info.type)) return info;
  throw notReplaceable(info, source, { fileSystem, path });
}

/** What is there is nothing that a file could take the place of. */
export function notReplaceable(
  { type }: FileInfo,
  source: SourcePlace,
  { fileSystem, path }: Place,
): TransferError {
  const { isLocal } = fileSystem;
  const reasons: Partial<Record<FileInfo['type'], string>> = {
    directory: 'it is a directory; give the name of the file in it too',
    file: 'it is a file that has no name any more; write to it with getfo and a stream',
  };
  const reason = reasons[type] ?? specialTarget({ type, isLocal }, false);
  return new TransferError(`Cannot write to ${quote(fileSystem.textOf(path))}: ${reason}`, {
    code: type === 'directory' ? 'EISDIR' : 'EEXIST',
    source: source.fileSystem.textOf(source.path),
    destination: fileSystem.textOf(path),
    bytesDone: 0,
    ...failedAt({ fileSystem, path }),
  });
}
