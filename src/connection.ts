/** The pysftp-shaped face: names, defaults and the current directory; everything else is delegated. */
import { basename } from 'node:path';
import { linesOf, type RunOptions, type RunResult, runCommand } from './connection/commands.js';
import { listDirectory, makeDirectories } from './connection/directories.js';
import {
  checkLocalPath,
  type GetOptions,
  namesToKeep,
  type PutOptions,
  type PutTreeOptions,
  Transfers,
  type TreeOptions,
} from './connection/transfers.js';
import { WorkingDirectory } from './connection/working-directory.js';
import { ConnectionLostError } from './errors.js';
import { parseMode } from './modes.js';
import { decodePath, encodePath, type RemotePath } from './remote-path.js';
import type { Session } from './session/session.js';
import type { OperationOptions, SftpClient } from './session/sftp-client.js';
import type { ServerKey, SshConnection } from './ssh/ssh-connection.js';
import type { TreeReport } from './transfer/copy-tree.js';
import { hasCode } from './transfer/file-system.js';
import type { FileAttributes } from './wire/attributes.js';

/** Options of a call that asks the server something. */
export type CallOptions = OperationOptions;

/**
 * A connection to an SFTP server; {@link connect} makes one.
 *
 * Remote paths are strings with `/`, or bytes for names that are not UTF-8; a relative path counts from the
 * current directory, see {@link chdir} and {@link cd}. Every method that asks the server may reject with
 * `SftpStatusError` (the server's answer, `code` as Node's), `ConnectionLostError`, `ProtocolError`,
 * `TimeoutError` or the reason of its signal; a path or an option that cannot be meant is a `TypeError` or
 * `RangeError`, and nothing is sent then.
 *
 * @example
 * await using sftp = await connect('hostname', { username: 'me', password: 'secret' });
 * for (const attributes of await sftp.listdirAttr('pub')) console.log(String(attributes));
 */
export class Connection implements AsyncDisposable {
  readonly #ssh: SshConnection;
  readonly #session: Session;
  readonly #directory: WorkingDirectory;
  readonly #transfers: Transfers;
  #closing: Promise<void> | undefined;
  #closeReason: ConnectionLostError | undefined;

  /** Every SFTP request, one to one, for whoever dislikes our conveniences; paths count from the login directory. */
  readonly sftpClient: SftpClient;

  /** @internal */
  constructor(ssh: SshConnection, session: Session, client: SftpClient) {
    this.#ssh = ssh;
    this.#session = session;
    this.#directory = new WorkingDirectory(client);
    this.#transfers = new Transfers(client);
    this.sftpClient = client;
  }

  /**
   * Ends the connection. Everything pending rejects with one `ConnectionLostError` (`CLOSED`), and so does every
   * later call. Never rejects, settles within two seconds, and may be called again.
   */
  close(): Promise<void> {
    this.#closeReason ??= new ConnectionLostError('The connection was closed by close()', { code: 'CLOSED' });
    this.#session.destroy(this.#closeReason);
    this.#closing ??= this.#ssh.close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // The current directory

  /** The current directory as the server writes it. */
  async pwd(options: CallOptions = {}): Promise<string> {
    return this.normalize('.', options);
  }

  /** The current directory, or `null` before the first `chdir`, `cd` or `defaultPath`. */
  getcwd(): string | null {
    const { current } = this.#directory;
    return current === undefined ? null : decodePath(current);
  }

  /** Makes an existing directory the current one; `ENOENT` or `ENOTDIR` leave it as it was. */
  async chdir(path: RemotePath, options: CallOptions = {}): Promise<void> {
    await this.#directory.change(path, options);
  }

  /** The same as {@link chdir}. */
  cwd(path: RemotePath, options: CallOptions = {}): Promise<void> {
    return this.chdir(path, options);
  }

  /**
   * Changes the current directory for a while. With a function, for as long as that runs, whether it returns or
   * throws; what it changes is seen by nobody outside it. Without one, until the result is disposed of. Without
   * a path it only marks the place to come back to.
   *
   * @example
   * await sftp.cd('static', async () => {
   *   await sftp.put('style.css');
   * });
   *
   * @example
   * {
   *   await using _ = await sftp.cd('static');
   *   await sftp.put('style.css');
   * }
   */
  cd(path?: RemotePath): Promise<AsyncDisposable>;
  cd<T>(body: () => T | Promise<T>): Promise<T>;
  cd<T>(path: RemotePath, body: () => T | Promise<T>): Promise<T>;
  async cd<T>(
    path?: RemotePath | (() => T | Promise<T>),
    body?: () => T | Promise<T>,
  ): Promise<T | AsyncDisposable> {
    if (typeof path === 'function') return this.#directory.run(this.#directory.current, path);
    const before = this.#directory.current;
    const directory = path === undefined ? before : await this.#directory.find(path, {});
    if (body !== undefined) return this.#directory.run(directory, body);
    this.#directory.restore(directory);
    return { [Symbol.asyncDispose]: async () => this.#directory.restore(before) };
  }

  /** The server's absolute form of a path, links resolved. */
  async normalize(path: RemotePath, options: CallOptions = {}): Promise<string> {
    return decodePath(await this.sftpClient.realpath(this.#directory.resolve(path), options));
  }

  // Looking

  /**
   * The names in a directory, sorted by code point, without `.` and `..`. A name that is not UTF-8 is shown with
   * U+FFFD; {@link listdirAttr} has its bytes.
   */
  async listdir(path: RemotePath = '.', options: CallOptions = {}): Promise<string[]> {
    return (await this.listdirAttr(path, options)).map(({ filename }) => filename);
  }

  /** The entries of a directory with their attributes, sorted by name, without `.` and `..`. */
  async listdirAttr(path: RemotePath = '.', options: CallOptions = {}): Promise<FileAttributes[]> {
    return listDirectory(this.sftpClient, this.#directory.resolve(path), options);
  }

  /** Attributes of what a path names, links followed. */
  async stat(path: RemotePath, options: CallOptions = {}): Promise<FileAttributes> {
    return this.sftpClient.stat(this.#directory.resolve(path), options);
  }

  /** Attributes of what a path names, of a link the link's own. */
  async lstat(path: RemotePath, options: CallOptions = {}): Promise<FileAttributes> {
    return this.sftpClient.lstat(this.#directory.resolve(path), options);
  }

  /**
   * Whether a path names something, links followed. False only where the server says that there is no such file,
   * or that a file is in the way; anything else, as a denied permission, rejects.
   */
  async exists(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    return (await unlessMissing(this.stat(path, options))) !== undefined;
  }

  /** As {@link exists}, and true for a link that leads nowhere. */
  async lexists(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    return (await unlessMissing(this.lstat(path, options))) !== undefined;
  }

  /** Whether a path names a directory, links followed; errors as {@link exists}. */
  async isdir(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    return (await unlessMissing(this.stat(path, options)))?.isDirectory() ?? false;
  }

  /** Whether a path names a regular file, links followed; errors as {@link exists}. */
  async isfile(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    return (await unlessMissing(this.stat(path, options)))?.isFile() ?? false;
  }

  // Changing

  /**
   * Makes one directory; what exists already is an error. `mode` is in the digits of chmod (`755`), and the
   * server's umask applies.
   */
  async mkdir(path: RemotePath, mode: number | string = 777, options: CallOptions = {}): Promise<void> {
    await this.sftpClient.mkdir(this.#directory.resolve(path), { mode: parseMode(mode) }, options);
  }

  /**
   * Makes a directory and those above it that are missing; `mode` is for these only. What exists already is no
   * error, a file in the way is one (`ENOTDIR`) that names it. May run several times at once.
   */
  async makedirs(path: RemotePath, mode: number | string = 777, options: CallOptions = {}): Promise<void> {
    await makeDirectories(this.sftpClient, this.#directory.resolve(path), parseMode(mode), options);
  }

  /** Removes an empty directory. */
  async rmdir(path: RemotePath, options: CallOptions = {}): Promise<void> {
    await this.sftpClient.rmdir(this.#directory.resolve(path), options);
  }

  /** Removes a file or a link; a directory is an error. */
  async remove(path: RemotePath, options: CallOptions = {}): Promise<void> {
    await this.sftpClient.remove(this.#directory.resolve(path), options);
  }

  /** The same as {@link remove}. */
  unlink(path: RemotePath, options: CallOptions = {}): Promise<void> {
    return this.remove(path, options);
  }

  /** Renames or moves; what exists under the new name is an error and stays. */
  async rename(source: RemotePath, destination: RemotePath, options: CallOptions = {}): Promise<void> {
    const from = this.#directory.resolve(source, 'source');
    const to = this.#directory.resolve(destination, 'destination');
    // One server deletes a file that is renamed onto itself; it must only exist.
    if (from.equals(to)) await this.sftpClient.lstat(from, options);
    else await this.sftpClient.rename(from, to, options);
  }

  // Transfers

  /**
   * Downloads a file; without `localpath` under its own name into the local current directory. The local file is
   * replaced once everything has arrived: after a failure it is what it was.
   *
   * @throws TransferError the copy failed part-way (`bytesDone` tells how far), or the source changed
   * @throws SftpStatusError the remote file cannot be opened; Node's own error where the local one cannot
   *
   * @example
   * await sftp.get('reports/2026.csv', 'report.csv', {
   *   callback: (transferred, total) => console.log(`${transferred} of ${total}`),
   * });
   */
  async get(remotepath: RemotePath, localpath?: string, options: GetOptions = {}): Promise<void> {
    if (localpath !== undefined) checkLocalPath(localpath);
    await this.#transfers.get(this.#directory.resolve(remotepath, 'remotepath'), localpath, options);
  }

  /**
   * Uploads a file; without `remotepath` under its own name into the current directory. Resolves with what the
   * server then shows, once it has confirmed every write and the size (`confirm`).
   *
   * @throws TransferError as {@link get}; `SIZE_MISMATCH` and `VANISHED` where the confirmation fails
   */
  async put(localpath: string, remotepath?: RemotePath, options: PutOptions = {}): Promise<FileAttributes> {
    const target = this.#directory.resolve(remotepath ?? basename(checkLocalPath(localpath)), 'remotepath');
    return this.#transfers.put(localpath, target, options);
  }

  /**
   * Downloads a directory with everything below it. The remote path is kept under `localdir`:
   * `getR('pub', 'backup')` writes `backup/pub/…`; an absolute one loses its leading `/`; `'.'` writes the
   * content right into `localdir`. Existing directories are fine. Resolves with what was done; stops at the
   * first failure.
   */
  async getR(remotedir: RemotePath, localdir: string, options: TreeOptions = {}): Promise<TreeReport> {
    checkLocalPath(localdir);
    const keptNames = namesToKeep(encodePath(remotedir, 'remotedir'), localdir);
    const source = this.#directory.resolve(remotedir);
    return this.#transfers.getTree(source, localdir, { ...options, recurse: true, keptNames });
  }

  /**
   * Uploads the content of a local directory, with everything below it, into `remotepath`, which is made where
   * it is missing. Symbolic links are skipped unless `symlinks: 'follow'`.
   */
  async putR(localpath: string, remotepath: RemotePath, options: PutTreeOptions = {}): Promise<TreeReport> {
    checkLocalPath(localpath);
    const target = this.#directory.resolve(remotepath, 'remotepath');
    return this.#transfers.putTree(localpath, target, { ...options, recurse: true });
  }

  // Commands and the connection

  /** Runs a command on the server and gives the lines of its stdout, or of its stderr where that is empty. */
  async execute(command: string, options: RunOptions = {}): Promise<string[]> {
    return linesOf(await this.run(command, options));
  }

  /** Runs a command on the server, without regard to the current directory; its failing is no rejection. */
  async run(command: string, options: RunOptions = {}): Promise<RunResult> {
    try {
      return await runCommand(this.#ssh, command, options);
    } catch (error) {
      // One reason for everybody whom close() has met.
      throw error instanceof ConnectionLostError ? (this.#closeReason ?? error) : error;
    }
  }

  /** The key that the server has proved to hold. */
  get remoteServerKey(): ServerKey {
    return this.#ssh.remoteServerKey;
  }

  /** `[ours, the server's]`. */
  get activeCiphers(): readonly [string, string] {
    return this.#ssh.negotiated.ciphers;
  }

  /** `[ours, the server's]`; `none` without compression. */
  get activeCompression(): readonly [string, string] {
    return this.#ssh.negotiated.compression;
  }

  /** How long a call waits for the server's answer, in milliseconds; `null`: as long as the connection lives. */
  get timeout(): number | null {
    return this.#session.timeoutMs;
  }

  set timeout(milliseconds: number | null) {
    if (milliseconds !== null && !(milliseconds > 0)) {
      throw new RangeError(`timeout ${milliseconds} is neither null nor a number of milliseconds`);
    }
    this.#session.timeoutMs = milliseconds;
  }
}

/** `undefined` where the server says that there is nothing, or that a file is in the way. */
async function unlessMissing(asking: Promise<FileAttributes>): Promise<FileAttributes | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}
