/**
 * Reads the files that ssh keeps on this machine: known_hosts, configurations, keys. A path may lead anywhere, so no
 * read waits for somebody to write, and none goes on without end.
 */
import { Buffer } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';

const MIB = 1024 * 1024;

/** The longest that are read. Each is far more than anybody has, and far less than would fill the memory. */
export const MAXIMUM_BYTES = { knownHosts: 64 * MIB, configuration: 4 * MIB, key: MIB / 4 } as const;

const CHUNK_LENGTH = 64 * 1024;

/** Without O_NONBLOCK the opening of a FIFO would wait for its writer, and the whole program with it. */
const READ_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

export interface TextFile {
  readonly text: string;
  readonly facts: Stats;
}

export interface TextFileOptions {
  readonly maximumBytes: number;
  readonly encoding: 'utf8' | 'latin1';
}

/**
 * Reads a regular file, or one that is empty whatever it is, as the null device. Throws an error whose message goes
 * behind the name of the file: the system's code (`ENOENT`), or in words what it is and what to do. Its `code` is the
 * system's, `EINVAL` for a pipe or a device, and `EFBIG` for a file that is too long.
 */
export function readTextFile(path: string, { maximumBytes, encoding }: TextFileOptions): TextFile {
  try {
    const descriptor = openSync(path, READ_FLAGS);
    try {
      const facts = fstatSync(descriptor);
      return { text: readAll(descriptor, facts, maximumBytes).toString(encoding), facts };
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (isUnfit(cause)) throw cause;
    throw Object.assign(new Error(code ?? message, { cause }), { code });
  }
}

/** Did {@link readTextFile} refuse what is there, although the system would have read it? */
export function isUnfit(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'EINVAL' || code === 'EFBIG';
}

/** Sizes are not to be relied on: that of a file of /proc is 0. */
function readAll(descriptor: number, facts: Stats, maximumBytes: number): Buffer {
  if (facts.isFIFO()) throw unfit('EINVAL', 'it is a pipe, which may never end: give a file in its place');
  const chunks: Buffer[] = [];
  for (let length = 0; ; ) {
    const chunk = Buffer.allocUnsafe(CHUNK_LENGTH);
    const count = readSync(descriptor, chunk);
    if (count === 0) return Buffer.concat(chunks, length);
    if (!facts.isFile()) throw unfit('EINVAL', 'it is a device: give a file in its place');
    length += count;
    if (length > maximumBytes) throw tooLong(maximumBytes);
    chunks.push(chunk.subarray(0, count));
  }
}

function tooLong(maximumBytes: number): Error {
  const most = maximumBytes < MIB ? `${maximumBytes / 1024} KiB` : `${maximumBytes / MIB} MiB`;
  return unfit('EFBIG', `it holds more than ${most}, the most that is read: check the path`);
}

function unfit(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
