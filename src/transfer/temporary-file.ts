/**
 * Where an atomic copy gathers its bytes until it takes the place of the target, and what such names tell. While a
 * copy runs, the name says who writes it:
 *
 *     .tsftp-<target>-<source><machine><process><run><random>.part
 *
 * A copy that stopped and may be resumed leaves its content under a name without a writer. All of it is good then,
 * from the first byte to the last:
 *
 *     .tsftp-<target>-<source>.part
 *
 * `target` is a hash of the target's name, `source` one of the path, the size and the time of the source: content
 * is only ever gone on with where all of them are what they were. The names have the same short length for every
 * target, and lie in its directory, as a rename within one directory is atomic.
 */
import { Buffer } from 'node:buffer';
import * as crypto from 'node:crypto';
import { hostname } from 'node:os';
import { TransferError } from '../errors.js';
import { quote } from '../remote-path.js';
import { type FileInfo, isMissing, type Place, type SourcePlace } from './file-system.js';

/** A source whose size or time nobody tells: it cannot be known again. */
export const UNKNOWN_SOURCE = '0'.repeat(12);

const PATTERN =
  /^\.tsftp-([0-9a-f]{12})-([0-9a-f]{12})(?:([0-9a-f]{8})([0-9a-f]{8})([0-9a-f]{8})[0-9a-f]{8})?\.part$/;

const DOT = 0x2e;

const MACHINE = hash(hostname(), 8);
/** Tells threads of one process apart, and processes that have had the same number one after the other. */
const RUN = crypto.randomBytes(4).toString('hex');

/** What this run is writing at present. */
const ownNames = new Set<string>();

/** What a name in a directory tells, where it is one of ours. */
export interface TemporaryName {
  readonly target: string;
  readonly source: string;
  readonly writer: Writer | undefined;
}

interface Writer {
  readonly machine: string;
  readonly process: number;
  readonly run: string;
}

export function readTemporaryName(name: Buffer): TemporaryName | undefined {
  if (name[0] !== DOT) return undefined;
  const [, target, source, machine, pid = '', run] = PATTERN.exec(name.toString('latin1')) ?? [];
  if (target === undefined || source === undefined) return undefined;
  const writer =
    machine === undefined || run === undefined
      ? undefined
      : { machine, process: Number.parseInt(pid, 16), run };
  return { target, source, writer };
}

/** Tells a source by where it is, how long it is and when it was changed. */
export function sourceMark(path: Buffer, { size, mtime }: FileInfo): string {
  if (size === undefined || mtime === undefined) return UNKNOWN_SOURCE;
  return hash(`${path.toString('latin1')}\0${size}\0${mtime}`);
}

export function targetMark({ fileSystem, path }: Place): string {
  return hash(fileSystem.split(path).name.toString('latin1'));
}

/** A new name to write under; it is ours until {@link releaseTemporary}. */
export function temporaryPath(target: Place, source: string = UNKNOWN_SOURCE): Buffer {
  const writer = `${MACHINE}${process.pid.toString(16).padStart(8, '0')}${RUN}`;
  const name = `.tsftp-${targetMark(target)}-${source}${writer}${uniqueMark()}.part`;
  ownNames.add(name);
  return beside(target, name);
}

/** Where content lies that may be gone on with. */
export function restingPath(target: Place, source: string): Buffer {
  return beside(target, `.tsftp-${targetMark(target)}-${source}.part`);
}

export function releaseTemporary({ fileSystem }: Place, path: Buffer): void {
  ownNames.delete(fileSystem.split(path).name.toString('latin1'));
}

/** Whether nobody writes there any more for certain: its process was on this machine, and is gone. */
export function isAbandoned(name: Buffer, { machine, process: pid, run }: Writer): boolean {
  if (machine !== MACHINE) return false;
  if (pid === process.pid) return run === RUN && !ownNames.has(name.toString('latin1'));
  return !isRunning(pid);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
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
 * The regular file that is to be replaced, or `undefined` where there is none. A link is replaced itself:
 * nothing is written through it.
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
    throw error;
  }
  if (info.type === 'symlink') return undefined;
  if (info.type === 'file' || info.type === 'unknown') return info;
  const isDirectory = info.type === 'directory';
  const advice = isDirectory
    ? 'it is a directory; give the name of the file in it too'
    : `it is not a regular file but a ${info.type}; write to it with a stream`;
  throw new TransferError(`Cannot write to ${quote(fileSystem.textOf(path))}: ${advice}`, {
    code: isDirectory ? 'EISDIR' : 'EEXIST',
    source: source.fileSystem.textOf(source.path),
    destination: fileSystem.textOf(path),
    bytesDone: 0,
  });
}
