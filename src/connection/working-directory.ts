/**
 * The remote current directory. It lives on our side: SFTP has none. What a callback of `cd` sees belongs to
 * that callback alone, so that calls that run side by side do not pull the ground from under each other.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Buffer } from 'node:buffer';
import { SftpStatusError } from '../errors.js';
import { statWithType } from '../session/quirks/file-type.js';
import { explain } from '../session/quirks/likely-cause.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { failure, unlessRefused } from '../session/status-error.js';
import { encodePath, isAbsolute, joinPath, type RemotePath } from '../shared/remote-path.js';
import { hasCode } from '../transfer/file-system.js';

interface Place {
  /** `undefined`: wherever the server puts us. */
  directory: Buffer | undefined;
}

export class WorkingDirectory {
  readonly #client: SftpClient;
  readonly #outside: Place = { directory: undefined };
  readonly #inside = new AsyncLocalStorage<Place>();

  constructor(client: SftpClient) {
    this.#client = client;
  }

  get current(): Buffer | undefined {
    return this.#place.directory;
  }

  /** Goes back to a directory that has been current before. */
  restore(directory: Buffer | undefined): void {
    this.#place.directory = directory;
  }

  /** The path as it is sent: a relative one counts from the current directory. */
  resolve(path: RemotePath, name?: string): Buffer {
    const bytes = encodePath(path, name);
    return this.current === undefined ? bytes : joinPath(this.current, bytes);
  }

  /** {@link resolve} for later, by the directory that is current now. */
  resolver(): (path: RemotePath) => Buffer {
    const { current } = this;
    return (path) => (current === undefined ? encodePath(path) : joinPath(current, encodePath(path)));
  }

  /** The directory itself, without making it current. */
  async find(path: RemotePath, options: OperationOptions): Promise<Buffer> {
    const client = this.#client;
    const resolved = this.resolve(path);
    const [attributes, real] = await Promise.all([
      explain(statWithType(client, resolved, options), 'stat', { client, path: resolved, options }),
      // A server without a working REALPATH still has directories.
      unlessRefused(client.realpath(resolved, options), resolved),
    ]);
    if (!attributes.isDirectory() && attributes.type !== 'unknown')
      throw failure('ENOTDIR', 'chdir', resolved, 'it is not a directory');
    return real;
  }

  /** As the server writes it, or as it is known here if it is there and the server has no working REALPATH. */
  async realPath(options: OperationOptions): Promise<Buffer> {
    const { current } = this;
    try {
      return await this.#client.realpath(this.resolve('.'), options);
    } catch (error) {
      const isKnown =
        current !== undefined && isAbsolute(current, current) && error instanceof SftpStatusError;
      if (!isKnown) throw error;
      if (!hasCode(error, 'ENOTSUP')) await this.#client.stat(current, options);
      return current;
    }
  }

  async change(path: RemotePath, options: OperationOptions): Promise<void> {
    this.#place.directory = await this.find(path, options);
  }

  /** Runs `body` with a current directory of its own. */
  run<T>(directory: Buffer | undefined, body: () => T): T {
    return this.#inside.run({ directory }, body);
  }

  get #place(): Place {
    return this.#inside.getStore() ?? this.#outside;
  }
}
