/** What every call of a view stands on: the connection, its root, retries, and what has gone wrong. */
import { Buffer } from 'node:buffer';
import type { Link } from '../../connection/reconnect/link.js';
import { type Connection, partsOf } from '../../connection.js';
import { SftpStatusError } from '../../errors.js';
import { lstatWithType, statWithType } from '../../session/quirks/file-type.js';
import type { ExplainedOperation } from '../../session/quirks/likely-cause.js';
import type { SftpClient } from '../../session/sftp-client.js';
import { PendingPromises } from '../../shared/promises.js';
import { absolutePathOf, namesOf, type PathKey } from '../../shared/remote-path.js';
import { isLost, type RetryPolicy } from '../../shared/retry.js';
import type { LineUse } from '../../transfer/engine/copy-content.js';
import type { FileAttributes } from '../../wire/attributes.js';
import type { GivenPath } from './arguments.js';
import { AttributeCache } from './attribute-cache.js';
import { abortError, isTrouble, nodeError, originOf, type Subject, systemError } from './node-error.js';
import { PathFault, walkPath } from './path-walk.js';
import { explained } from './server-answers.js';

export interface ViewSettings {
  /** Nothing outside of it can be reached; `undefined`: the whole server. */
  readonly root: Buffer | undefined;
  /** With 0 attempts a lost connection is an error at once. */
  readonly retry: RetryPolicy;
  readonly onFailure: ((error: Error) => void) | undefined;
  readonly attributeCacheMs: number;
}

export interface CallRules {
  /** Doing it twice comes to the same as doing it once. */
  readonly repeatable?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What is known of files is out of date afterwards. */
  readonly changes?: boolean | undefined;
}

/** What only asks. */
export const REPEATABLE: CallRules = { repeatable: true };

export interface Resolving {
  /** Whether a link at the end is followed; where it is not, the call is about the link itself. */
  readonly follows: boolean;
  readonly mustExist?: boolean | undefined;
}

export class View {
  readonly client: SftpClient;
  readonly cache: AttributeCache;
  readonly #link: Link;
  readonly #parts: ReturnType<typeof partsOf>;
  readonly #settings: ViewSettings;
  readonly #running = new PendingPromises();
  #rootNames: Promise<PathKey[]> | undefined;
  #failure: Error | undefined;

  constructor(connection: Connection, settings: ViewSettings) {
    this.#parts = partsOf(connection);
    this.#link = this.#parts.link;
    this.client = this.#link.client;
    this.#settings = settings;
    this.cache = new AttributeCache(settings.attributeCacheMs);
  }

  /** Whether a path may lead out of what this view shows, so that it is looked at first. */
  get isConfined(): boolean {
    return this.#settings.root !== undefined;
  }

  get line(): LineUse {
    return this.#parts.transfers.lineUse({});
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** @throws the first failure of this view, once everything that is under way has settled */
  async check(): Promise<void> {
    while (this.#running.size > 0) await this.#running.settled();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Runs one call: reconnects before it, and again after a loss where it is repeatable; tells errors as Node does. */
  call<T>(subject: Subject, work: () => Promise<T>, rules: CallRules = {}): Promise<T> {
    if (rules.changes) this.cache.clear();
    return this.#running.add(this.#run(subject, work, rules));
  }

  async #run<T>(subject: Subject, work: () => Promise<T>, rules: CallRules): Promise<T> {
    const { signal } = rules;
    try {
      return await this.#attempt(work, rules);
    } catch (error) {
      if (signal?.aborted) throw abortError(signal);
      const telling = error instanceof PathFault ? systemError(error.code, subject, error) : error;
      throw this.#note(nodeError(telling, subject));
    } finally {
      if (rules.changes) this.cache.clear();
    }
  }

  async #attempt<T>(work: () => Promise<T>, { repeatable = false, signal }: CallRules): Promise<T> {
    const policy = this.#settings.retry;
    for (let failures = 0; ; ) {
      signal?.throwIfAborted();
      if (this.client.isOver && policy.attempts > 0) await this.#link.reconnect(policy, signal);
      try {
        return await work();
      } catch (error) {
        failures += 1;
        if (!repeatable || failures > policy.attempts) throw error;
        if (!isLost(originOf(error))) throw error;
      }
    }
  }

  #note(error: unknown): unknown {
    if (!(error instanceof Error) || !isTrouble(error)) return error;
    const isFirst = this.#failure === undefined;
    this.#failure ??= error;
    const { onFailure } = this.#settings;
    // The program's own mistake must not take the place of the error.
    if (isFirst && onFailure !== undefined) queueMicrotask(() => onFailure(error));
    return error;
  }

  /** The server's own path for a given one. */
  async resolve({ bytes }: GivenPath, { follows, mustExist = false }: Resolving): Promise<Buffer> {
    if (bytes.length === 0) throw new PathFault('ENOENT', 'the path is empty');
    if (!this.isConfined) return this.#parts.directory.resolve(bytes);
    const root = await this.root();
    const isDirectory = bytes[bytes.length - 1] === 0x2f;
    const rules = { root, follows: follows || isDirectory, mustExist };
    const path = absolutePathOf(await walkPath(this.client, namesOf(bytes), rules));
    return isDirectory ? Buffer.concat([path, Buffer.from('/')]) : path;
  }

  /**
   * Looks once more whether a path leads where it led when it was resolved. Somebody may have put a link into it between
   * that and its use, and what was opened is then not what was meant.
   */
  async confirm(given: GivenPath, resolved: Buffer, resolving: Resolving): Promise<void> {
    if (!this.isConfined) return;
    const again = await this.resolve(given, resolving);
    if (!again.equals(resolved)) throw new PathFault('EACCES', 'the path was changed while it was in use');
  }

  /** The names of the root from `/` down, without links. Where there is none: nothing. */
  root(): Promise<PathKey[]> {
    const { root } = this.#settings;
    if (root === undefined) return Promise.resolve([]);
    this.#rootNames ??= this.#findRoot(root);
    const finding = this.#rootNames;
    finding.catch(() => {
      if (this.#rootNames === finding) this.#rootNames = undefined;
    });
    return finding;
  }

  /** The program has chosen it, so that links in it are followed wherever they lead. */
  async #findRoot(root: Buffer): Promise<PathKey[]> {
    const absolute = await this.absolute(this.#parts.directory.resolve(root));
    return walkPath(this.client, namesOf(absolute), { root: [], follows: true, mustExist: true });
  }

  /** A relative path counts from where the server lets us begin. */
  async absolute(path: Buffer): Promise<Buffer> {
    if (path[0] === 0x2f) return path;
    const home = await this.client.realpath('.');
    return Buffer.concat([home, Buffer.from('/'), path]);
  }

  /** One text for every way to write a path, for inode numbers and the cache. */
  keyOf({ bytes }: GivenPath): string {
    if (bytes.length === 0) return '';
    const path = this.isConfined ? bytes : this.#parts.directory.resolve(bytes);
    const names: PathKey[] = [];
    for (const name of namesOf(path)) {
      if (name !== '..') names.push(name);
      else if (names.length > 0) names.pop();
    }
    return `${this.isConfined || path[0] === 0x2f ? '/' : ''}${names.join('/')}`;
  }

  /** Waits for a request, and finds out what is behind a mere refusal. */
  explained<T>(
    request: Promise<T>,
    operation: ExplainedOperation,
    path: Buffer,
    newPath?: Buffer,
  ): Promise<T> {
    return explained(request, operation, { client: this.client, path, newPath, options: {} });
  }

  /** Makes or removes what has a name: a link of that name itself, and not what it leads to. */
  changeName(
    syscall: string,
    given: GivenPath,
    operation: ExplainedOperation,
    request: (path: Buffer) => Promise<void>,
  ): Promise<void> {
    const changing = async () => {
      const path = await this.resolve(given, { follows: false });
      await this.explained(request(path), operation, path);
    };
    return this.call({ syscall, path: given.text }, changing, { changes: true });
  }

  /** Attributes by a path, from the cache where it has them. */
  async attributes(given: GivenPath, how: 'stat' | 'lstat'): Promise<FileAttributes> {
    return this.cache.get(`${how} ${this.keyOf(given)}`, async () => {
      const path = await this.resolve(given, { follows: how === 'stat' });
      return this.ask(path, how);
    });
  }

  /** {@link attributes} as a call of its own. */
  look(given: GivenPath, how: 'stat' | 'lstat', syscall: string = how): Promise<FileAttributes> {
    return this.call({ syscall, path: given.text }, () => this.attributes(given, how), REPEATABLE);
  }

  async ask(path: Buffer, how: 'stat' | 'lstat'): Promise<FileAttributes> {
    const asking = how === 'stat' ? statWithType(this.client, path) : lstatWithType(this.client, path);
    return this.explained(asking, 'stat', path);
  }
}

export function isMissing(error: unknown): boolean {
  const origin = originOf(error);
  const isOurs = origin instanceof SftpStatusError || origin instanceof PathFault;
  return isOurs && origin.code === 'ENOENT';
}
