/** The pysftp-shaped face: names, defaults and the current directory; everything else is delegated. */
import type { Buffer } from 'node:buffer';
import { basename } from 'node:path';
import type { Content } from './arguments.js';
import { checkChoice } from './arguments.js';
import {
  changeOwner,
  changeTimes,
  type Timestamp,
  touchFile,
  truncateFile,
} from './connection/attributes.js';
import { type CopyBetweenOptions, copyBetweenServers, type ServerEnd } from './connection/between.js';
import { linesOf, type RunOptions, type RunResult, runCommand } from './connection/commands.js';
import type { ReadFileOptions, WriteFileOptions } from './connection/content-options.js';
import { listDirectory, listNames, makeDirectories } from './connection/directories.js';
import { describeFileSystem, type FileSystemStatistics } from './connection/file-system-statistics.js';
import {
  Files,
  type FileWriteStreamOptions,
  type GetfoOptions,
  type OpenOptions,
  type PutfoOptions,
} from './connection/files.js';
import { findMatches } from './connection/glob.js';
import { startHash } from './connection/hash.js';
import { expandHome, findHome } from './connection/home.js';
import { explain } from './connection/likely-cause.js';
import type { Link } from './connection/link.js';
import { makeLink, readLink, type SymlinkOptions } from './connection/links.js';
import { type MirrorOptions, mirror } from './connection/mirror.js';
import type { RemoteFile } from './connection/remote-file.js';
import { removeTree } from './connection/removal.js';
import type { CopyOptions } from './connection/server-copy.js';
import type { GetOptions, PutOptions, PutTreeOptions, TreeOptions } from './connection/transfer-options.js';
import { namesToKeep, Transfers } from './connection/transfers.js';
import { type WalkEntry, type WalkOptions, walkTree } from './connection/walk.js';
import {
  type FoundFile,
  type WaitForFileOptions,
  type WatchEvent,
  type Watcher,
  type WatchOptions,
  waitForFile,
  watchDirectory,
} from './connection/watch.js';
import { WorkingDirectory } from './connection/working-directory.js';
import { ConnectionLostError } from './errors.js';
import { checkLocalPath } from './local-path.js';
import { parseMode } from './modes.js';
import { decodePath, encodePath, quote, type RemotePath } from './remote-path.js';
import { lstatWithType, statWithType } from './session/file-type.js';
import type { OperationOptions, SftpClient } from './session/sftp-client.js';
import { checkBytesPerSecond } from './speed.js';
import type { ServerKey, SshConnection } from './ssh/ssh-connection.js';
import { hasCode } from './transfer/file-system.js';
import type { MirrorReport } from './transfer/mirror.js';
import type { ReadStreamOptions, RemoteReadStream } from './transfer/read-stream.js';
import type { ContentSource } from './transfer/sequential-source.js';
import type { ContentSink } from './transfer/sink.js';
import type { TreeReport } from './transfer/tree-report.js';
import type { RemoteWriteStream } from './transfer/write-stream.js';
import {
  checkCallbacks,
  type WalkCallback,
  type WalktreeOptions,
  walktreeOptions,
} from './walk-callbacks.js';
import type { FileAttributes } from './wire/attributes.js';

/** Options of a call that asks the server something. */
export type CallOptions = OperationOptions;

/** What is settled when a connection begins. */
interface ConnectionFacts {
  readonly logfile: string | false;
  readonly securityOptions: SshConnection['securityOptions'];
}

/** What {@link copyBetween} knows of a connection, and nobody else. */
let endOf: (connection: Connection, path: RemotePath, name: string) => ServerEnd;

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
  readonly #link: Link;
  readonly #directory: WorkingDirectory;
  readonly #transfers: Transfers;
  readonly #files: Files;

  /**
   * Every SFTP request, one to one, for whoever dislikes our conveniences; paths count from the login directory.
   *
   * @example
   * await sftp.sftpClient.lstat('readme.sym');
   */
  readonly sftpClient: SftpClient;

  /**
   * The path of the log file (`cnopts.log`), or `false` without one.
   *
   * @example
   * sftp.logfile;   // '/tmp/tsftp-log-x/tsftp.log'
   */
  readonly logfile: string | false;

  /**
   * The algorithms that we accept for this connection, each list in order of preference.
   *
   * @example
   * sftp.securityOptions.ciphers[0];   // 'aes128-gcm@openssh.com'
   */
  readonly securityOptions: SshConnection['securityOptions'];

  static {
    endOf = (connection, path, name) => ({
      link: connection.#link,
      transfers: connection.#transfers,
      path: connection.#directory.resolve(path, name),
    });
  }

  /** @internal */
  constructor(link: Link, { logfile, securityOptions }: ConnectionFacts) {
    this.logfile = logfile;
    this.securityOptions = securityOptions;
    this.#link = link;
    this.#directory = new WorkingDirectory(link.client);
    this.#transfers = new Transfers(link);
    this.#files = new Files(link.client, this.#transfers);
    this.sftpClient = link.client;
  }

  /**
   * Ends the connection. Everything pending rejects with one `ConnectionLostError` (`CLOSED`), and so does every
   * later call. Never rejects, settles within two seconds, and may be called again.
   *
   * @example
   * await sftp.close();
   */
  close(): Promise<void> {
    return this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // The current directory

  /**
   * The current directory as the server writes it.
   *
   * @example
   * await sftp.pwd();   // '/home/test'
   */
  async pwd(options: CallOptions = {}): Promise<string> {
    return decodePath(await this.#directory.realPath(options));
  }

  /**
   * The current directory, or `null` before the first `chdir`, `cd` or `defaultPath`.
   *
   * @example
   * sftp.getcwd();   // null
   * await sftp.chdir('pub');
   * sftp.getcwd();   // '/home/test/pub'
   */
  getcwd(): string | null {
    const { current } = this.#directory;
    return current === undefined ? null : decodePath(current);
  }

  /**
   * Makes an existing directory the current one; `ENOENT` or `ENOTDIR` leave it as it was.
   *
   * @example
   * await sftp.chdir('pub');
   */
  async chdir(path: RemotePath, options: CallOptions = {}): Promise<void> {
    await this.#directory.change(path, options);
  }

  /**
   * The same as {@link chdir}.
   *
   * @example
   * await sftp.cwd('pub');
   */
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

  /**
   * The server's absolute form of a path, links resolved.
   *
   * @example
   * await sftp.normalize('.');   // '/home/test'
   */
  async normalize(path: RemotePath, options: CallOptions = {}): Promise<string> {
    return decodePath(await this.sftpClient.realpath(this.#directory.resolve(path), options));
  }

  // Looking

  /**
   * The names in a directory, sorted by code point, without `.` and `..`. A name that is not UTF-8 is shown with
   * U+FFFD; {@link listdirAttr} has its bytes.
   *
   * @example
   * await sftp.listdir();   // ['pub', 'readme.sym', 'readme.txt']
   */
  async listdir(path: RemotePath = '.', options: CallOptions = {}): Promise<string[]> {
    return listNames(this.sftpClient, this.#directory.resolve(path), options);
  }

  /**
   * The entries of a directory with their attributes, sorted by name, without `.` and `..`.
   *
   * @example
   * for (const attributes of await sftp.listdirAttr('pub')) console.log(attributes.filename, attributes.size);
   */
  async listdirAttr(path: RemotePath = '.', options: CallOptions = {}): Promise<FileAttributes[]> {
    return listDirectory(this.sftpClient, this.#directory.resolve(path), options);
  }

  /**
   * Attributes of what a path names, links followed. Where the server leaves out the type, it is found out.
   *
   * @example
   * (await sftp.stat('readme.txt')).size;   // 8192
   */
  async stat(path: RemotePath, options: CallOptions = {}): Promise<FileAttributes> {
    return statWithType(this.sftpClient, this.#directory.resolve(path), options);
  }

  /**
   * Attributes of what a path names, of a link the link's own.
   *
   * @example
   * (await sftp.lstat('readme.sym')).isSymbolicLink();   // true
   */
  async lstat(path: RemotePath, options: CallOptions = {}): Promise<FileAttributes> {
    return lstatWithType(this.sftpClient, this.#directory.resolve(path), options);
  }

  /**
   * Whether a path names something, links followed. False only where the server says that there is no such file,
   * or that a file is in the way; anything else, as a denied permission, rejects.
   *
   * @example
   * await sftp.exists('readme.txt');   // true
   */
  async exists(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    const resolved = this.#directory.resolve(path);
    return (await unlessMissing(this.sftpClient.stat(resolved, options))) !== undefined;
  }

  /**
   * As {@link exists}, and true for a link that leads nowhere.
   *
   * @example
   * await sftp.lexists('broken.sym');   // true
   */
  async lexists(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    const resolved = this.#directory.resolve(path);
    return (await unlessMissing(this.sftpClient.lstat(resolved, options))) !== undefined;
  }

  /**
   * Whether a path names a directory, links followed; errors as {@link exists}.
   *
   * @example
   * await sftp.isdir('pub');   // true
   */
  async isdir(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    return (await unlessMissing(this.stat(path, options)))?.isDirectory() ?? false;
  }

  /**
   * Whether a path names a regular file, links followed; errors as {@link exists}.
   *
   * @example
   * await sftp.isfile('pub');   // false
   */
  async isfile(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    return (await unlessMissing(this.stat(path, options)))?.isFile() ?? false;
  }

  /**
   * Where a link leads, as an absolute path; what is there may be a link again, or nothing. A relative target counts
   * from the directory of the link. With `encoding: 'buffer'` the path comes as bytes, for names that are not UTF-8.
   *
   * @example
   * await sftp.readlink('readme.sym');   // '/home/test/readme.txt'
   */
  readlink(
    path: RemotePath,
    options?: CallOptions & { readonly encoding?: 'utf8' | undefined },
  ): Promise<string>;
  readlink(path: RemotePath, options: CallOptions & { readonly encoding: 'buffer' }): Promise<Buffer>;
  async readlink(
    path: RemotePath,
    { encoding = 'utf8', signal }: CallOptions & { readonly encoding?: 'utf8' | 'buffer' | undefined } = {},
  ): Promise<string | Buffer> {
    checkChoice(encoding, ['utf8', 'buffer'], 'encoding');
    const target = await readLink(this.sftpClient, this.#directory.resolve(path), { signal });
    return encoding === 'buffer' ? target : decodePath(target);
  }

  /**
   * Walks a directory, depth first and sorted by name: `fcallback` gets each regular file, `dcallback` each directory
   * before its content, `ucallback` whatever is neither, as a link that leads nowhere. Paths begin as `path` was
   * written. Links are followed. The directory itself is not reported. Callbacks may be async and are awaited one by
   * one; the first that fails ends the walk. See {@link walk} for more than names.
   *
   * @throws SftpError (`ELOOP`) a link leads to a directory above it; (`LIMIT`) more than 64 levels
   *
   * @example
   * await sftp.walktree('pub', (file) => console.log(file), () => {}, () => {});
   */
  async walktree(
    path: RemotePath,
    fcallback: WalkCallback,
    dcallback: WalkCallback,
    ucallback: WalkCallback,
    options: boolean | WalktreeOptions = {},
  ): Promise<void> {
    checkCallbacks({ fcallback, dcallback, ucallback });
    const { recurse = true, signal } = walktreeOptions(options);
    const depth = recurse ? {} : { maxDepth: 1 };
    for await (const entry of this.walk(path, { ...depth, symlinks: 'follow', signal })) {
      const { attributes } = entry;
      if (attributes.isDirectory()) await dcallback(entry.path);
      else await (attributes.isFile() ? fcallback : ucallback)(entry.path);
    }
  }

  /**
   * Everything below a directory, depth first and sorted by name, a directory before its content. While you look at
   * one entry, the listings of the next are on their way. Links are reported and not entered unless `symlinks` says
   * otherwise. Leaving the loop ends the walk.
   *
   * @throws SftpStatusError a directory cannot be listed, unless `onError` takes it
   * @throws SftpError (`ELOOP`, `LIMIT`) as {@link walktree}; (`UNSAFE_NAME`) the server gives a name with a `/`
   *
   * @example
   * for await (const { path, attributes } of sftp.walk('pub')) {
   *   if (attributes.isFile()) console.log(path, attributes.size);
   * }
   */
  walk(path: RemotePath = '.', options: WalkOptions = {}): AsyncGenerator<WalkEntry, void, undefined> {
    return walkTree(this.sftpClient, this.#directory.resolve(path), encodePath(path), options);
  }

  /**
   * The paths that fit a pattern, sorted by code point: `*` and `?` within a name, `[a-z]` and `[!a-z]`, `{one,two}`,
   * `**` for any number of directories, `\` before a character that means itself. What begins with a dot is only
   * found by a pattern that does; a `/` at the end finds directories only. Links are not entered by `**`. As in a
   * shell, directories that may not be read have nothing that fits.
   *
   * @throws RangeError braces that stand for more than 1,000 patterns
   *
   * @example
   * await sftp.glob('reports/2026-*.{csv,tsv}');   // ['reports/2026-05.csv', 'reports/2026-06.tsv']
   */
  async glob(pattern: string, options: CallOptions = {}): Promise<string[]> {
    checkPattern(pattern);
    return findMatches(this.sftpClient, pattern, this.#directory.resolver(), options);
  }

  /**
   * The file system that holds a path, in the figures of `df`.
   *
   * @throws UnsupportedError the server lacks `statvfs@openssh.com`
   *
   * @example
   * const { available, usedPercent } = await sftp.statvfs('.');
   */
  async statvfs(path: RemotePath = '.', options: CallOptions = {}): Promise<FileSystemStatistics> {
    return describeFileSystem(await this.sftpClient.statvfs(this.#directory.resolve(path), options));
  }

  /**
   * The absolute form of a path that may begin with `~` or `~user`; any other counts from the current directory.
   *
   * @throws UnsupportedError `~user`, and the server knows neither `expand-path@openssh.com` nor `home-directory`
   *
   * @example
   * await sftp.expandPath('~/reports');   // '/home/me/reports'
   */
  async expandPath(path: RemotePath, options: CallOptions = {}): Promise<string> {
    const bytes = encodePath(path);
    if (bytes[0] !== 0x7e) return this.normalize(bytes, options);
    return decodePath(await expandHome(this.sftpClient, bytes, options));
  }

  /**
   * Where a user is at home; without a name, where you are.
   *
   * @throws UnsupportedError as {@link expandPath}, for others than yourself
   *
   * @example
   * await sftp.homeDirectory();   // '/home/me'
   */
  async homeDirectory(username = '', options: CallOptions = {}): Promise<string> {
    if (typeof username !== 'string')
      throw new TypeError(`username must be a string, not ${typeof username}`);
    if (username !== '') encodePath(username, 'username');
    if (username.includes('/')) throw new TypeError(`username ${quote(username)} contains a /`);
    return decodePath(await findHome(this.sftpClient, username, options));
  }

  // Changing

  /**
   * Makes one directory; what exists already is an error (`EEXIST`). `mode` is in the digits of chmod (`755`), and the
   * server's umask applies.
   *
   * @example
   * await sftp.mkdir('show', 744);
   */
  async mkdir(path: RemotePath, mode: number | string = 777, options: CallOptions = {}): Promise<void> {
    const resolved = this.#directory.resolve(path);
    const making = this.sftpClient.mkdir(resolved, { mode: parseMode(mode) }, options);
    await explain(making, 'mkdir', { client: this.sftpClient, path: resolved, options });
  }

  /**
   * Makes a directory and those above it that are missing; `mode` is for these only. What exists already is no
   * error, a file in the way is one (`ENOTDIR`) that names it. May run several times at once.
   *
   * @example
   * await sftp.makedirs('pub/show/off');
   */
  async makedirs(path: RemotePath, mode: number | string = 777, options: CallOptions = {}): Promise<void> {
    await makeDirectories(this.sftpClient, this.#directory.resolve(path), parseMode(mode), options);
  }

  /**
   * Removes an empty directory. One with content is an error (`ENOTEMPTY`), and so is a file (`ENOTDIR`).
   *
   * @example
   * await sftp.rmdir('empty');
   */
  async rmdir(path: RemotePath, options: CallOptions = {}): Promise<void> {
    const resolved = this.#directory.resolve(path);
    const removing = this.sftpClient.rmdir(resolved, options);
    await explain(removing, 'rmdir', { client: this.sftpClient, path: resolved, options });
  }

  /**
   * Removes a file or a link; a directory is an error (`EISDIR`).
   *
   * @example
   * await sftp.remove('pub/readme.txt');
   */
  async remove(path: RemotePath, options: CallOptions = {}): Promise<void> {
    const resolved = this.#directory.resolve(path);
    const removing = this.sftpClient.remove(resolved, options);
    await explain(removing, 'remove', { client: this.sftpClient, path: resolved, options });
  }

  /**
   * The same as {@link remove}.
   *
   * @example
   * await sftp.unlink('pub/readme.txt');
   */
  unlink(path: RemotePath, options: CallOptions = {}): Promise<void> {
    return this.remove(path, options);
  }

  /**
   * Renames or moves; what exists under the new name is an error (`EEXIST`) and stays. {@link posixRename} replaces
   * it.
   *
   * @example
   * await sftp.rename('draft.txt', 'final.txt');
   */
  async rename(source: RemotePath, destination: RemotePath, options: CallOptions = {}): Promise<void> {
    const from = this.#directory.resolve(source, 'source');
    const to = this.#directory.resolve(destination, 'destination');
    // One server deletes a file that is renamed onto itself; it must only exist.
    const client = this.sftpClient;
    if (from.equals(to)) await client.lstat(from, options);
    else
      await explain(client.rename(from, to, options), 'rename', { client, path: from, newPath: to, options });
  }

  /**
   * Renames or moves, and replaces what exists under the new name in one step, so that there is no moment without it.
   *
   * @throws UnsupportedError the server lacks `posix-rename@openssh.com`
   *
   * @example
   * await sftp.posixRename('index.html.new', 'index.html');
   */
  async posixRename(source: RemotePath, destination: RemotePath, options: CallOptions = {}): Promise<void> {
    const from = this.#directory.resolve(source, 'source');
    const to = this.#directory.resolve(destination, 'destination');
    if (from.equals(to)) await this.sftpClient.lstat(from, options);
    else await this.sftpClient.posixRename(from, to, options);
  }

  /**
   * Removes a directory with everything below it. Links are removed, never entered. Stops at the first failure; what
   * is gone by then stays gone.
   *
   * @throws SftpStatusError (`ENOTDIR`) it is a file or a link; the server's answer where something cannot be removed
   * @throws RangeError it is `/`, or written as `.` or `..`
   *
   * @example
   * await sftp.rmtree('old-releases');
   */
  async rmtree(path: RemotePath, options: CallOptions = {}): Promise<void> {
    await removeTree(this.sftpClient, this.#directory.resolve(path), options);
  }

  /**
   * Gives a file or directory the permissions of `mode`, in the digits of chmod; links are followed.
   *
   * @throws TypeError | RangeError the mode is none; `0o644` is 420 and refused with the advice to write 644
   *
   * @example
   * await sftp.chmod('readme.txt', 644);
   */
  async chmod(path: RemotePath, mode: number | string = 777, options: CallOptions = {}): Promise<void> {
    await this.sftpClient.setstat(this.#directory.resolve(path), { mode: parseMode(mode) }, options);
  }

  /**
   * Changes owner and group, by the numbers that they have on the server. The one that is left out (`undefined` or
   * `null`) stays as it is; without both nothing is done. Links are followed.
   *
   * @throws SftpStatusError (`EACCES`) the server does not let you, as it is usual for others than root
   *
   * @example
   * await sftp.chown('readme.txt', undefined, 100);   // the group only
   */
  async chown(
    path: RemotePath,
    uid?: number | null,
    gid?: number | null,
    options: CallOptions = {},
  ): Promise<void> {
    await changeOwner(this.sftpClient, this.#directory.resolve(path), { uid, gid }, options);
  }

  /**
   * Cuts a file to a size, or extends it with zeros. Resolves with the size that the server then tells.
   *
   * @throws TypeError | RangeError the size is no whole number from 0 on
   *
   * @example
   * await sftp.truncate('readme.txt', 4096);   // 4096
   */
  async truncate(path: RemotePath, size: number, options: CallOptions = {}): Promise<number> {
    return truncateFile(this.sftpClient, this.#directory.resolve(path), size, options);
  }

  /**
   * Sets the times of access and modification, to the second; without `times` to now, by the clock of this machine.
   *
   * @throws TypeError | RangeError a time is no `Date` or number of seconds, or not between 1970 and 2106
   *
   * @example
   * await sftp.utime('readme.txt', [new Date(), new Date('2026-05-26')]);
   */
  async utime(
    path: RemotePath,
    times?: readonly [atime: Timestamp, mtime: Timestamp] | null,
    options: CallOptions = {},
  ): Promise<void> {
    await changeTimes(this.sftpClient, this.#directory.resolve(path), times, options);
  }

  /**
   * Sets the times of a file or directory to now, and makes an empty file where there is nothing.
   *
   * @example
   * await sftp.touch('done');
   */
  async touch(path: RemotePath, options: CallOptions = {}): Promise<void> {
    await touchFile(this.sftpClient, this.#directory.resolve(path), options);
  }

  /**
   * Makes `destination` a symbolic link to `source`. The link holds `source` as it is written, so that a relative one
   * counts from the directory of the link; it need not exist.
   *
   * @throws SftpStatusError (`EEXIST`) something exists under the name `destination`
   *
   * @example
   * await sftp.symlink('releases/42', 'current');
   */
  async symlink(source: RemotePath, destination: RemotePath, options: SymlinkOptions = {}): Promise<void> {
    const target = encodePath(source, 'source');
    const newPath = this.#directory.resolve(destination, 'destination');
    const making = makeLink(this.sftpClient, target, newPath, options);
    const { signal } = options;
    await explain(making, 'symlink', { client: this.sftpClient, path: target, newPath, options: { signal } });
  }

  /**
   * Gives a file a second name.
   *
   * @throws UnsupportedError the server lacks `hardlink@openssh.com`
   *
   * @example
   * await sftp.hardlink('data.db', 'data.snapshot');
   */
  async hardlink(source: RemotePath, destination: RemotePath, options: CallOptions = {}): Promise<void> {
    const from = this.#directory.resolve(source, 'source');
    const newPath = this.#directory.resolve(destination, 'destination');
    const making = this.sftpClient.hardlink(from, newPath, options);
    await explain(making, 'hardlink', { client: this.sftpClient, path: from, newPath, options });
  }

  /**
   * Copies a file on the server, and replaces what exists under the new name. Where the server knows `copy-data` the
   * bytes stay there; else they travel through this program. The copy has the permissions of a new file.
   *
   * @throws SftpError (`EINVAL`) both paths name one file
   * @throws TransferError the copy failed part-way; what exists under the new name is what it was, where `atomic`
   *
   * @example
   * await sftp.copy('config.json', 'config.json.bak');
   */
  async copy(source: RemotePath, destination: RemotePath, options: CopyOptions = {}): Promise<void> {
    const from = this.#directory.resolve(source, 'source');
    await this.#transfers.copy(from, this.#directory.resolve(destination, 'destination'), options);
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
   *
   * @example
   * const { size } = await sftp.put('report.csv', 'incoming/report.csv', { preserveMtime: true });
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
   *
   * @example
   * await sftp.getR('pub', 'backup', { preserveMtime: true });   // backup/pub/…
   */
  async getR(remotedir: RemotePath, localdir: string, options: TreeOptions = {}): Promise<TreeReport> {
    checkLocalPath(localdir, 'localdir');
    const keptNames = namesToKeep(encodePath(remotedir, 'remotedir'), localdir);
    const source = this.#directory.resolve(remotedir);
    return this.#transfers.getTree(source, localdir, { ...options, recurse: true, keptNames });
  }

  /**
   * Uploads the content of a local directory, with everything below it, into `remotepath`, which is made where
   * it is missing. Symbolic links are skipped unless `symlinks: 'follow'`.
   *
   * @example
   * await sftp.putR('static', 'static', { preserveMtime: true });
   */
  async putR(localpath: string, remotepath: RemotePath, options: PutTreeOptions = {}): Promise<TreeReport> {
    checkLocalPath(localpath);
    const target = this.#directory.resolve(remotepath, 'remotepath');
    return this.#transfers.putTree(localpath, target, { ...options, recurse: true });
  }

  /**
   * Downloads the files of one directory, without its sub-directories, into `localdir`, which is made where it is
   * missing. Links to files are followed unless `symlinks: 'skip'`.
   *
   * @example
   * await sftp.getD('public', 'local-backup', { preserveMtime: true });
   */
  async getD(remotedir: RemotePath, localdir: string, options: TreeOptions = {}): Promise<TreeReport> {
    const source = this.#directory.resolve(remotedir, 'remotedir');
    return this.#transfers.getTree(source, checkLocalPath(localdir, 'localdir'), {
      ...options,
      recurse: false,
      keptNames: [],
    });
  }

  /**
   * Uploads the files of one local directory, without its sub-directories, into `remotepath`, which exists. Links are
   * skipped unless `symlinks: 'follow'`.
   *
   * @throws SftpStatusError (`ENOENT`, `ENOTDIR`) the remote directory does not exist
   *
   * @example
   * await sftp.putD('images', 'static/images', { preserveMtime: true });
   */
  async putD(localpath: string, remotepath: RemotePath, options: PutTreeOptions = {}): Promise<TreeReport> {
    checkLocalPath(localpath);
    const target = this.#directory.resolve(remotepath, 'remotepath');
    return this.#transfers.putTree(localpath, target, { ...options, recurse: false });
  }

  /**
   * Makes one directory like another, either way: contents to contents, only what is missing or has changed. First
   * both sides are listed and a plan is made, which `dryRun` resolves with and nothing else; the plan is then carried
   * out, and the report tells all of it. The target is made where it is missing.
   *
   * The source always wins, also over a file that is newer. Without `delete` nothing is ever removed: what only the
   * target has stays, and so does what is a file on one side and a directory or a link on the other. With it, both
   * go; what is extra only when everything has been copied. Nothing outside the target is touched, and nothing
   * through a link that lies in it. Devices, FIFOs, sockets, links that lead nowhere or in a circle, and names that no
   * file can have are skipped and reported; what the target has in their place stays.
   *
   * A connection that is lost meanwhile is made again where `retry` says so, and the mirror goes on with what is left.
   *
   * Modification times are kept, so that the next mirror finds nothing to do. Servers that set none need
   * `compare: 'size'` or `'checksum'`.
   *
   * @throws TransferError a file could not be copied, unless `continueOnError`; SftpStatusError or Node's own error
   *   where a directory cannot be listed: then nothing has been done
   * @throws SftpError (`LIMIT`) more than 64 levels of directories
   *
   * @example
   * const { plan } = await sftp.mirror('site', '/var/www', { direction: 'up', delete: true, dryRun: true });
   * for (const { action, path, reason } of plan) console.log(action, path, reason);
   *
   * @example
   * await sftp.mirror('/var/backups', 'backups', { direction: 'down' });
   */
  async mirror(source: RemotePath, target: RemotePath, options: MirrorOptions): Promise<MirrorReport> {
    const [local, remote] = options.direction === 'down' ? [target, source] : [source, target];
    const localPath = checkLocalPath(local, options.direction === 'down' ? 'target' : 'source');
    const between = { link: this.#link, transfers: this.#transfers };
    return mirror(between, localPath, this.#directory.resolve(remote), options);
  }

  // Waiting for others

  /**
   * Waits until there is a regular file that fits a pattern (as {@link glob}), and until its size and modification
   * time have not changed for `stableFor` milliseconds: whoever uploads it has come to an end, as far as that can be
   * seen. Of several the first by name. A program that uploads to another name and renames needs no `stableFor`.
   *
   * @throws TimeoutError there was none within `timeout`
   *
   * @example
   * const { path } = await sftp.waitForFile('inbox/*.csv', { stableFor: 5000, timeout: 600_000 });
   * await sftp.get(path);
   */
  async waitForFile(pattern: string, options: WaitForFileOptions = {}): Promise<FoundFile> {
    checkPattern(pattern);
    return waitForFile(this.#watcher(), pattern, options);
  }

  /**
   * Tells what is created, changed and removed in a directory, from the beginning of the loop on. The directory is
   * listed again and again, so that what comes and goes between two looks is not seen, and what is renamed is removed
   * and created; while the loop is busy with an event nothing is asked. What a link leads to is not looked at.
   *
   * The loop ends with `break`, with the reason of its `signal`, or with the error of a listing that fails.
   *
   * @example
   * for await (const { type, path } of sftp.watch('inbox', { pollInterval: 5000, initial: true })) {
   *   if (type === 'created') await sftp.get(path);
   * }
   */
  watch(path: RemotePath, options: WatchOptions = {}): AsyncGenerator<WatchEvent, void, undefined> {
    encodePath(path);
    return watchDirectory(this.#watcher(), path, options);
  }

  // Files and streams

  /**
   * Opens a file. The modes are those of Python and Node: `r`, `r+`, `w`, `w+`, `a`, `a+`, `x`, `wx` … with a `b`
   * or without: content is always bytes. The third argument may be pysftp's `bufsize`, which changes nothing
   * here, as nothing is held back.
   *
   * @throws SftpStatusError `ENOENT`, `EACCES`, `EEXIST` (`x`) …
   * @throws RangeError the mode is unknown
   *
   * @example
   * await using file = await sftp.open('pub/log.txt', 'a');
   * await file.write('one more line\n');
   */
  async open(file: RemotePath, mode: string = 'r', options: number | OpenOptions = {}): Promise<RemoteFile> {
    return this.#files.open(this.#directory.resolve(file, 'file'), mode, options);
  }

  /**
   * The whole content of a regular file, as bytes, or as text where an encoding is given; 2 GiB at most.
   *
   * @throws SftpError `LIMIT`: the file is larger
   *
   * @example
   * const settings = JSON.parse(await sftp.readFile('settings.json', 'utf8'));
   */
  async readFile(
    path: RemotePath,
    options?: ReadFileOptions & { readonly encoding?: undefined },
  ): Promise<Buffer>;
  async readFile(
    path: RemotePath,
    options: BufferEncoding | (ReadFileOptions & { readonly encoding: BufferEncoding }),
  ): Promise<string>;
  async readFile(path: RemotePath, options?: BufferEncoding | ReadFileOptions): Promise<Buffer | string> {
    return this.#files.readFile(this.#directory.resolve(path), options);
  }

  /**
   * Makes a file of text or bytes, or replaces its content. Others may see it half-written meanwhile; {@link putfo}
   * with `atomic` avoids that.
   *
   * @example
   * await sftp.writeFile('secret.txt', 'one egg', { mode: 600, flag: 'wx' });
   */
  async writeFile(
    path: RemotePath,
    data: Content,
    options?: BufferEncoding | WriteFileOptions,
  ): Promise<void> {
    await this.#files.writeFile(this.#directory.resolve(path), data, 'w', options);
  }

  /**
   * Adds text or bytes to the end of a file, which is made where it is missing. Of several that append at the
   * same time, one may overwrite the other.
   *
   * @example
   * await sftp.appendFile('log.txt', `${new Date().toISOString()} done\n`);
   */
  async appendFile(
    path: RemotePath,
    data: Content,
    options?: BufferEncoding | WriteFileOptions,
  ): Promise<void> {
    await this.#files.writeFile(this.#directory.resolve(path), data, 'a', options);
  }

  /**
   * A Node Readable of a regular file, or of the bytes from `start` to `end` in it, both included. It reads ahead
   * of its consumer, up to `highWaterMark`. Errors are emitted, those of opening too. A file stream of Node's at the
   * other end is as fast with a `highWaterMark` of 256 KiB; its own is 16 or 64 KiB.
   *
   * @throws TypeError | RangeError at the call, as Node does, where an argument cannot be meant
   *
   * @example
   * await pipeline(sftp.createReadStream('big.csv.gz'), createGunzip(), createWriteStream('big.csv'));
   */
  createReadStream(path: RemotePath, options: ReadStreamOptions = {}): RemoteReadStream {
    return this.#files.createReadStream(this.#directory.resolve(path), options);
  }

  /**
   * A Node Writable into a file. It does not wait for each answer of the server, but accepts no more than
   * `highWaterMark` unconfirmed bytes. `finish` is emitted when the server has confirmed all and closed the file. It
   * writes in order and through one channel: over a long line {@link putfo}, which takes a stream, is several times as
   * fast.
   *
   * @throws TypeError | RangeError at the call, as Node does, where an argument cannot be meant
   *
   * @example
   * await pipeline(createReadStream('dump.sql'), createGzip(), sftp.createWriteStream('dump.sql.gz'));
   */
  createWriteStream(path: RemotePath, options: FileWriteStreamOptions = {}): RemoteWriteStream {
    return this.#files.createWriteStream(this.#directory.resolve(path), options);
  }

  /**
   * Downloads a file into a Node Writable, a web WritableStream or any object with `write`, at the pace at which
   * it takes the bytes, and resolves with their number when it has taken all. The sink is not closed.
   *
   * @throws TransferError reading or writing failed, or the file changed; `bytesDone` tells how much was taken
   * @throws TypeError the sink cannot be written to; nothing is sent
   *
   * @example
   * const chunks: Buffer[] = [];
   * await sftp.getfo('pub/readme.txt', { write: (chunk) => chunks.push(chunk) });
   */
  async getfo(remotepath: RemotePath, sink: ContentSink, options: GetfoOptions = {}): Promise<number> {
    return this.#files.getfo(this.#directory.resolve(remotepath, 'remotepath'), sink, options);
  }

  /**
   * Uploads what a Node Readable, a web ReadableStream, an iterable or async iterable of text or bytes, a Blob, a
   * string or bytes give, and resolves as {@link put}. A stream that cannot be uploaded to its end is destroyed.
   *
   * @throws TransferError reading or writing failed; `SIZE_MISMATCH` and `VANISHED` where the confirmation fails
   * @throws TypeError the source gives no content, or there is no remotepath; nothing is sent
   *
   * @example
   * await sftp.putfo(response.body, 'incoming/picture.jpg', { atomic: true });
   */
  async putfo(
    source: ContentSource,
    remotepath: RemotePath,
    options: PutfoOptions = {},
  ): Promise<FileAttributes> {
    return this.#files.putfo(source, this.#directory.resolve(remotepath, 'remotepath'), options);
  }

  /**
   * The checksum of a file in hexadecimal digits, as `sha256sum` prints it. The file is read for it, at full speed and
   * without keeping it: to run a command on the server would trust that there is one, and that a shell sees the paths
   * that SFTP sees, which is not so where users are confined to a directory.
   *
   * @param algorithm a name of Node's `getHashes()`, for instance `sha256`, `sha512` or `md5`
   * @throws RangeError the algorithm is unknown; nothing is sent
   * @throws TransferError reading failed part-way
   *
   * @example
   * await sftp.checksum('backup.tar');   // 'e3b0c44298fc1c149afbf4c8996fb924…'
   */
  async checksum(path: RemotePath, algorithm = 'sha256', options: GetfoOptions = {}): Promise<string> {
    const hash = startHash(algorithm);
    await this.getfo(path, { write: (chunk: Uint8Array) => void hash.update(chunk) }, options);
    return hash.digest('hex');
  }

  // Commands and the connection

  /**
   * Runs a command on the server and gives the lines of its stdout, or of its stderr where that is empty.
   *
   * @example
   * await sftp.execute('uname');   // ['Linux']
   */
  async execute(command: string, options: RunOptions = {}): Promise<string[]> {
    return linesOf(await this.run(command, options));
  }

  /**
   * Runs a command on the server, without regard to the current directory; its failing is no rejection.
   *
   * @example
   * const { exitCode, stdout, stderr } = await sftp.run('tar -tf -', { input: archive });
   */
  async run(command: string, options: RunOptions = {}): Promise<RunResult> {
    try {
      await this.#link.restore(this.#link.retry, options.signal);
      return await runCommand(this.#link.ssh, command, options);
    } catch (error) {
      // One reason for everybody whom close() has met.
      throw error instanceof ConnectionLostError ? (this.#link.closeReason ?? error) : error;
    }
  }

  /**
   * The key that the server has proved to hold.
   *
   * @example
   * sftp.remoteServerKey.fingerprint;   // 'SHA256:…'
   */
  get remoteServerKey(): ServerKey {
    return this.#link.ssh.remoteServerKey;
  }

  /**
   * `[ours, the server's]`.
   *
   * @example
   * sftp.activeCiphers;   // ['aes128-gcm@openssh.com', 'aes128-gcm@openssh.com']
   */
  get activeCiphers(): readonly [string, string] {
    return this.#link.ssh.negotiated.ciphers;
  }

  /**
   * `[ours, the server's]`; `none` without compression.
   *
   * @example
   * sftp.activeCompression;   // ['none', 'none']
   */
  get activeCompression(): readonly [string, string] {
    return this.#link.ssh.negotiated.compression;
  }

  /**
   * How long a call waits for the server's answer, in milliseconds; `null`: as long as the connection lives.
   *
   * @example
   * sftp.timeout = 30_000;
   */
  get timeout(): number | null {
    return this.#link.session.timeoutMs;
  }

  set timeout(milliseconds: number | null) {
    if (milliseconds !== null && !(milliseconds > 0)) {
      throw new RangeError(`timeout ${milliseconds} is neither null nor a number of milliseconds`);
    }
    this.#link.session.timeoutMs = milliseconds;
  }

  /**
   * The most bytes of content per second, all transfers of this connection together; `null`: no limit. May be
   * changed at any time, also while transfers are under way.
   *
   * @throws TypeError | RangeError where it is neither null nor a number above 0
   *
   * @example
   * sftp.bytesPerSecond = 500_000;
   */
  get bytesPerSecond(): number | null {
    const { bytesPerSecond } = this.#transfers.throttle;
    return bytesPerSecond === Number.POSITIVE_INFINITY ? null : bytesPerSecond;
  }

  set bytesPerSecond(bytesPerSecond: number | null) {
    checkBytesPerSecond(bytesPerSecond ?? undefined);
    this.#transfers.throttle.bytesPerSecond = bytesPerSecond ?? Number.POSITIVE_INFINITY;
  }

  #watcher(): Watcher {
    return {
      client: this.sftpClient,
      resolve: this.#directory.resolver(),
      closed: this.#link.closed,
    };
  }
}

/**
 * Copies a file, or a directory with everything below it, from one server to another, content to content. The bytes
 * stream through this program, as many at once as for one transfer, and are not kept. The directory `pathB` is made
 * where it is missing; a file gets the very name that `pathB` says. Both may be the same connection, or the same server.
 * Resolves with what was done; stops at the first failure.
 *
 * @throws TransferError the copy failed part-way; what exists under the name `pathB` is what it was, where `atomic`
 * @throws SftpError (`EINVAL`) both paths of one connection are the same, or a directory would be copied into itself
 *
 * @example
 * await using from = await connect('old.example.org', { username: 'me' });
 * await using to = await connect('new.example.org', { username: 'me' });
 * await copyBetween(from, '/var/www', to, '/srv/www', { preserveMtime: true });
 */
export async function copyBetween(
  a: Connection,
  pathA: RemotePath,
  b: Connection,
  pathB: RemotePath,
  options: CopyBetweenOptions = {},
): Promise<TreeReport> {
  for (const [name, value] of Object.entries({ a, b })) {
    if (!(value instanceof Connection))
      throw new TypeError(`${name} must be a Connection, as connect() gives it`);
  }
  return copyBetweenServers(endOf(a, pathA, 'pathA'), endOf(b, pathB, 'pathB'), options);
}

function checkPattern(pattern: unknown): void {
  if (typeof pattern !== 'string') throw new TypeError(`pattern must be a string, not ${typeof pattern}`);
  encodePath(pattern, 'pattern');
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
