/** The way down from the root of a tree: how far it may lead, and which links lead back into it. */
import type { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import { pathKey, quote } from '../../shared/remote-path.js';
import type { Cancellable, Place } from '../file-system.js';

/** Deeper trees are taken for a loop, or for an attack. */
const MAX_DEPTH = 64;
const MAX_ENTRIES_PER_DIRECTORY = 1_000_000;

/**
 * @param rest what the message says behind it
 * @throws SftpError (`LIMIT`)
 */
export function checkDepth(depth: number, directory: Buffer | string, rest = ''): void {
  if (depth > MAX_DEPTH) throw tooMuch(directory, `more than ${MAX_DEPTH} levels of directories${rest}`);
}

/** As {@link checkDepth}. */
export function checkEntryCount(entries: number, directory: Buffer | string, rest = ''): void {
  if (entries <= MAX_ENTRIES_PER_DIRECTORY) return;
  throw tooMuch(directory, `more than ${MAX_ENTRIES_PER_DIRECTORY} entries${rest}`);
}

export function tooMuch(directory: Buffer | string, what: string): SftpError {
  return new SftpError('LIMIT', `${quote(directory)} has ${what}`);
}

/**
 * A directory and those above it up to the root, as paths without links, where links are followed. The paths of a file
 * system are keys; others are texts.
 */
export class Ancestors {
  readonly #path: string;
  readonly #above: Ancestors | undefined;

  /** @param path of the root */
  constructor(path: string, above?: Ancestors) {
    this.#path = path;
    this.#above = above;
  }

  /** Of a directory in this one. */
  below(name: string): Ancestors {
    return new Ancestors(`${this.#path.replace(/\/$/, '')}/${name}`, this);
  }

  /**
   * Of the directory to which a link in this one leads.
   *
   * @throws SftpError (`ELOOP`) it is one of these
   */
  through(link: Buffer | string, path: string): Ancestors {
    if (this.includes(path)) throw loop(link);
    return new Ancestors(path, this);
  }

  includes(path: string): boolean {
    return path === this.#path || (this.#above?.includes(path) ?? false);
  }
}

/** Where a directory really lies, for {@link Ancestors}. */
export async function realPathOf({ fileSystem, path }: Place, options: Cancellable): Promise<string> {
  return pathKey(await fileSystem.realPath(path, options));
}

export function loop(link: Buffer | string, cause?: unknown): SftpError {
  const text = `${quote(link)} is a symbolic link to one of its parent directories (a loop)`;
  return new SftpError('ELOOP', text, { cause });
}
