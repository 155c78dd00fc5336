/**
 * The directories below one directory, reached by descriptors: a directory is opened within its parent, never through
 * a symbolic link, and what is asked of its entries is asked within that descriptor. A process that exchanges a directory for
 * a link meanwhile leads nobody elsewhere. Node has no `openat`; on Linux `/proc/self/fd/<descriptor>/<name>` does the
 * same (proc(5)).
 */
import { Buffer } from 'node:buffer';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { hasCode } from '../file-system.js';

/** Node does not name it. A directory that may be entered but not read can be opened so (open(2)). */
export const O_PATH = 0x200000;
const { O_DIRECTORY = 0, O_NOFOLLOW = 0 } = fs.constants;
/** Directories that stay open when nobody uses them. */
const MAX_IDLE = 64;
const DOT = '.';

const open = promisify(fs.open);
const close = promisify(fs.close);

export interface HeldPath {
  readonly path: Buffer;
  readonly release: () => void;
}

interface Handle {
  /** The names below the root, in latin1, with a slash between them. */
  readonly key: string;
  readonly opening: Promise<number>;
  /** Once it is open. */
  descriptor: number | undefined;
  users: number;
}

export class DirectoryHandles {
  readonly #root: Buffer;
  readonly #openPatiently: (path: Buffer, flags: number) => Promise<number>;
  /** What was used last comes last. */
  readonly #handles = new Map<string, Handle>();
  #isClosed = false;

  /** @param openPatiently opens once a descriptor is free */
  constructor(root: Buffer, openPatiently: (path: Buffer, flags: number) => Promise<number>) {
    this.#root = root;
    this.#openPatiently = openPatiently;
  }

  /**
   * A path to the entry that is good until it is released; a promise only where its directory has yet to be opened.
   *
   * @param key the names below the root, as in {@link Handle.key}
   */
  hold(key: string): HeldPath | Promise<HeldPath> {
    const slash = key.lastIndexOf('/');
    const name = key === '' ? DOT : key.slice(slash + 1);
    const parent = this.#enter(slash < 0 ? '' : key.slice(0, slash));
    const held = (descriptor: number) => ({
      path: entryOf(descriptor, name),
      release: () => this.#leave(parent),
    });
    if (parent.descriptor !== undefined) return held(parent.descriptor);
    return parent.opening.then(held, (error) => {
      this.#leave(parent);
      throw error;
    });
  }

  /** A directory has been removed, or has got another name. */
  forget(key: string): void {
    for (const handle of [...this.#handles.values()]) {
      if (handle.key === key || handle.key.startsWith(`${key}/`)) this.#drop(handle);
    }
  }

  /** Those that are in use are closed when they are not any more. */
  close(): void {
    this.#isClosed = true;
    const root = this.#handles.get('');
    if (root !== undefined) this.#leave(root);
    this.#closeIdle(0);
  }

  #enter(key: string): Handle {
    const handle = this.#handles.get(key) ?? this.#begin(key);
    handle.users += 1;
    this.#handles.delete(key);
    this.#handles.set(key, handle);
    return handle;
  }

  #begin(key: string): Handle {
    const handle: Handle = {
      key,
      opening: this.#openDirectory(key),
      descriptor: undefined,
      // The root is in use until all is closed: its path may lead elsewhere by then.
      users: key === '' && !this.#isClosed ? 1 : 0,
    };
    handle.opening.then(
      (descriptor) => {
        handle.descriptor = descriptor;
      },
      // One that could not be opened may be there the next time.
      () => this.#handles.get(key) === handle && this.#handles.delete(key),
    );
    return handle;
  }

  /** Links are followed to the root alone: it was named so. */
  async #openDirectory(key: string): Promise<number> {
    if (key === '') return this.#open(this.#root, O_PATH | O_DIRECTORY);
    const { path, release } = await this.hold(key);
    try {
      return await this.#open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      throw toldOf(error, path, Buffer.concat([this.#root, Buffer.from(`/${key}`, 'latin1')]));
    } finally {
      release();
    }
  }

  async #open(path: Buffer, flags: number): Promise<number> {
    try {
      return await open(path, flags);
    } catch (error) {
      if (!hasCode(error, 'EMFILE', 'ENFILE')) throw error;
      this.#closeIdle(0);
      return this.#openPatiently(path, flags);
    }
  }

  #leave(handle: Handle): void {
    handle.users -= 1;
    if (handle.users > 0) return;
    if (this.#handles.get(handle.key) !== handle) closeQuietly(handle);
    else this.#closeIdle(this.#isClosed ? 0 : MAX_IDLE);
  }

  #closeIdle(most: number): void {
    for (const handle of this.#handles.values()) {
      if (this.#handles.size <= most) return;
      if (handle.users === 0) this.#drop(handle);
    }
  }

  #drop(handle: Handle): void {
    this.#handles.delete(handle.key);
    if (handle.users === 0) closeQuietly(handle);
  }
}

function closeQuietly({ opening }: Handle): void {
  opening.then(close).catch(() => {});
}

/** @param name in latin1 */
function entryOf(descriptor: number, name: string): Buffer {
  return Buffer.from(`/proc/self/fd/${descriptor}/${name}`, 'latin1');
}

let isPossible: boolean | undefined;

/** Whether this system has what it takes. */
export function hasDirectoryHandles(): boolean {
  isPossible ??= process.platform === 'linux' && opensItself();
  return isPossible;
}

function opensItself(): boolean {
  const descriptor = fs.openSync('/', O_PATH | O_DIRECTORY);
  try {
    return fs.existsSync(entryOf(descriptor, DOT));
  } finally {
    fs.closeSync(descriptor);
  }
}

/** An error of Node's about a path to a descriptor, in terms of the path that it stands for. */
export function toldOf<E>(error: E, held: Buffer, path: Buffer): E {
  if (!(error instanceof Error)) return error;
  const inOurTerms = (text: string) => text.replaceAll(held.toString(), path.toString());
  const fields = error as { path?: unknown; dest?: unknown };
  if (typeof fields.path === 'string') fields.path = inOurTerms(fields.path);
  if (typeof fields.dest === 'string') fields.dest = inOurTerms(fields.dest);
  if (error.stack !== undefined) error.stack = inOurTerms(error.stack);
  error.message = inOurTerms(error.message);
  return error;
}
