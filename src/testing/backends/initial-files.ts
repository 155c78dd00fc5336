/** The content with which a tree in memory begins. */
import { MemoryBackend } from './memory.js';

/** One entry that needs more than its content. */
export interface InitialEntry {
  readonly content?: string | Uint8Array;
  /** Makes it a symbolic link to that path. */
  readonly target?: string | Uint8Array;
  /** Permissions, for instance `0o600`. */
  readonly mode?: number;
  readonly mtime?: Date;
}

export type InitialFile = string | Uint8Array | InitialEntry;

/**
 * Paths below the root and what is there. Missing parents are made; a path that ends in `/` is a directory.
 * A `Map` may have bytes as paths, for names that are not UTF-8.
 *
 * @example
 * const files = {
 *   'docs/readme.txt': 'Hello',
 *   'empty/': '',
 *   'secret.key': { content: new Uint8Array([1, 2, 3]), mode: 0o600 },
 *   latest: { target: 'docs/readme.txt' },
 * };
 */
export type InitialFiles =
  | Readonly<Record<string, InitialFile>>
  | ReadonlyMap<string | Uint8Array, InitialFile>;

export function createMemoryBackend(files: InitialFiles, capacity: number): MemoryBackend {
  const backend = new MemoryBackend(capacity);
  const entries = files instanceof Map ? [...files] : Object.entries(files);
  const later: (() => void)[] = [];
  for (const [path, file] of entries) {
    const absolute = Buffer.concat([Buffer.from('/'), Buffer.from(path)]);
    const entry = typeof file === 'string' || file instanceof Uint8Array ? { content: file } : file;
    const isDirectory = absolute.at(-1) === 0x2f;
    makeDirectories(backend, isDirectory ? absolute : absolute.subarray(0, absolute.lastIndexOf('/') + 1));
    if (entry.target !== undefined) backend.symlink(Buffer.from(entry.target), absolute);
    else if (!isDirectory) writeFile(backend, absolute, entry.content ?? '');
    // Last of all: a directory without write permission may have entries too.
    later.push(() => setAttributes(backend, absolute, entry));
  }
  for (const step of later.reverse()) step();
  return backend;
}

function setAttributes(backend: MemoryBackend, path: Buffer, { mode, mtime }: InitialEntry): void {
  const seconds = mtime === undefined ? undefined : Math.floor(mtime.getTime() / 1000);
  if (mode !== undefined || seconds !== undefined) {
    backend.lsetstat(path, { mode, atime: seconds, mtime: seconds });
  }
}

function makeDirectories(backend: MemoryBackend, path: Buffer): void {
  for (let slash = path.indexOf('/', 1); slash !== -1; slash = path.indexOf('/', slash + 1)) {
    const directory = path.subarray(0, slash);
    if (directory.length > 0 && !exists(backend, directory)) backend.makeDirectory(directory, 0o755);
  }
}

function exists(backend: MemoryBackend, path: Buffer): boolean {
  try {
    backend.stat(path);
    return true;
  } catch {
    return false;
  }
}

function writeFile(backend: MemoryBackend, path: Buffer, content: string | Uint8Array): void {
  const file = backend.open(path, {
    read: false,
    write: true,
    append: false,
    create: true,
    truncate: true,
    exclusive: false,
    mode: 0o644,
  });
  file.write(0, [Buffer.from(content)]);
  file.close();
}
