/** Finding paths that fit a pattern, going only where the pattern leads. */
import { Buffer } from 'node:buffer';
import { byCodePoint } from '../code-point-order.js';
import type { SftpStatusError } from '../errors.js';
import type { RemotePath } from '../remote-path.js';
import { readDirectory } from '../session/directory-reader.js';
import { statWithType } from '../session/file-type.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { hasCode } from '../transfer/file-system.js';
import { TaskGroup } from '../transfer/task-group.js';
import { Window } from '../transfer/window.js';
import type { FileAttributes } from '../wire/attributes.js';
import { expandBraces, type NameMatcher, parseSegment, type Segment } from './glob-pattern.js';
import { checkName, walkTree } from './walk.js';

/** Directories that are looked at at once. */
const MAX_LISTINGS = 16;

/** @param resolve the path as it is sent */
export async function findMatches(
  client: SftpClient,
  pattern: string,
  resolve: (path: RemotePath) => Buffer,
  options: OperationOptions,
): Promise<string[]> {
  const search = new Search(client, resolve, options);
  for (const alternative of expandBraces(pattern)) {
    const isDirectory = alternative.endsWith('/');
    const segments = alternative.split('/').filter((text) => text !== '');
    search.start(alternative.startsWith('/') ? '/' : '', segments.map(parseSegment), isDirectory);
  }
  return (await search.results()).sort(byCodePoint);
}

class Search {
  readonly #client: SftpClient;
  readonly #resolve: (path: RemotePath) => Buffer;
  readonly #tasks: TaskGroup;
  readonly #listings = new Window({ max: MAX_LISTINGS });
  readonly #found = new Set<string>();

  constructor(client: SftpClient, resolve: (path: RemotePath) => Buffer, { signal }: OperationOptions) {
    this.#client = client;
    this.#resolve = resolve;
    this.#tasks = new TaskGroup(signal);
  }

  start(directory: string, segments: readonly Segment[], isDirectory: boolean): void {
    this.#tasks.add(this.#search(directory, segments, isDirectory));
  }

  async results(): Promise<string[]> {
    await this.#tasks.settle();
    return [...this.#found];
  }

  /** @param directory what has matched so far, `''` or with a `/` at the end */
  async #search(directory: string, segments: readonly Segment[], isDirectory: boolean): Promise<void> {
    const [segment, ...rest] = segments;
    if (segment === undefined) {
      if (directory !== '') await this.#addIfThere(directory, isDirectory);
    } else if (segment.kind === 'literal')
      await this.#search(`${directory}${segment.name}/`, rest, isDirectory);
    else if (segment.kind === 'directories') await this.#descend(directory, rest, isDirectory);
    else await this.#matchIn(directory, segment.matches, rest, isDirectory);
  }

  async #matchIn(
    directory: string,
    matches: NameMatcher,
    rest: readonly Segment[],
    isDirectory: boolean,
  ): Promise<void> {
    for (const entry of await this.#list(directory)) {
      if (!matches(entry.filename)) continue;
      checkName(Buffer.from(entry.filenameBytes), Buffer.from(directory));
      const path = `${directory}${entry.filename}`;
      if (rest.length === 0 && !isDirectory) this.#found.add(path);
      else if (mayBeDirectory(entry)) this.start(`${path}/`, rest, isDirectory);
    }
  }

  /** Links are not entered by `**`: they may lead round in circles. */
  async #descend(directory: string, rest: readonly Segment[], isDirectory: boolean): Promise<void> {
    const root = directory === '' ? '.' : directory;
    const { signal } = this.#tasks;
    const options = {
      signal,
      filter: (entry: { readonly path: string }) => !/(^|\/)\.[^/]*$/.test(entry.path.slice(root.length)),
      onError: (error: SftpStatusError) => {
        if (!isNoDirectory(error)) throw error;
      },
    };
    if (rest.length > 0) this.start(directory, rest, isDirectory);
    for await (const { path, attributes } of walkTree(
      this.#client,
      this.#resolve(root),
      Buffer.from(root),
      options,
    )) {
      const shown = directory === '' ? path.slice('./'.length) : path;
      if (rest.length > 0) {
        if (attributes.isDirectory()) this.start(`${shown}/`, rest, isDirectory);
      } else if (!isDirectory) this.#found.add(shown);
      else if (attributes.isDirectory()) this.#found.add(`${shown}/`);
    }
  }

  /** The path ends with a `/`. */
  async #addIfThere(path: string, isDirectory: boolean): Promise<void> {
    const name = path === '/' || isDirectory ? path : path.slice(0, -1);
    const { signal } = this.#tasks;
    const asked = this.#resolve(name);
    try {
      if (!isDirectory) await this.#client.lstat(asked, { signal });
      else if (!(await statWithType(this.#client, asked, { signal })).isDirectory()) return;
      this.#found.add(name);
    } catch (error) {
      if (!isNoDirectory(error)) throw error;
    }
  }

  async #list(directory: string): Promise<readonly FileAttributes[]> {
    const { signal } = this.#tasks;
    await this.#listings.acquire(1, signal);
    try {
      return await readDirectory(this.#client, this.#resolve(directory === '' ? '.' : directory), { signal });
    } catch (error) {
      if (isNoDirectory(error)) return [];
      throw error;
    } finally {
      this.#listings.release(1);
    }
  }
}

function mayBeDirectory({ type }: FileAttributes): boolean {
  return type === 'directory' || type === 'symlink' || type === 'unknown';
}

/** As in a shell, what is not there or may not be looked at matches nothing. */
function isNoDirectory(error: unknown): boolean {
  return hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES');
}
