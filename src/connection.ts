/** The pysftp-shaped face: names, defaults and the current directory; everything else is delegated. */
import type { Buffer } from 'node:buffer';
import { basename } from 'node:path';
import {
  CHOWN_OPTIONS,
  type ChownOptions,
  changeOwner,
  changeTimes,
  type Timestamp,
  touchFile,
  truncateFile,
} from './connection/attributes.js';
import {
  COPY_BETWEEN_OPTIONS,
  type CopyBetweenOptions,
  copyBetweenServers,
  type ServerEnd,
} from './connection/between.js';
import { logFailures } from './connection/call-log.js';
import {
  asText,
  linesOf,
  type OutputEncoding,
  RUN_OPTIONS,
  type RunOptions,
  type RunResult,
  runCommand,
} from './connection/commands.js';
import {
  listDirectory,
  listNames,
  MKDIR_OPTIONS,
  type MkdirOptions,
  makeDirectories,
} from './connection/directories.js';
import { describeFileSystem, type FileSystemStatistics } from './connection/file-system-statistics.js';
import type { ReadFileOptions, WriteFileOptions } from './connection/files/content-options.js';
import {
  FILE_WRITE_STREAM_OPTIONS,
  Files,
  type FileWriteStreamOptions,
  GETFO_OPTIONS,
  type GetfoOptions,
  OPEN_OPTIONS,
  type OpenOptions,
  PUTFO_OPTIONS,
  type PutfoOptions,
} from './connection/files/files.js';
import { startHash } from './connection/files/hash.js';
import type { RemoteFile } from './connection/files/remote-file.js';
import { COPY_OPTIONS, type CopyOptions } from './connection/files/server-copy.js';
import { expandHome, findHome } from './connection/home.js';
import { makeLink, readLink, SYMLINK_OPTIONS, type SymlinkOptions } from './connection/links.js';
import { checkMirrorOptions, type MirrorOptions, mirror } from './connection/mirror.js';
import type { Link } from './connection/reconnect/link.js';
import { removeTree } from './connection/removal.js';
import { RENAME_OPTIONS, type RenameOptions, renameAs, renamePath } from './connection/renaming.js';
import { findMatches } from './connection/search/glob.js';
import { WALK_OPTIONS, type WalkEntry, type WalkOptions, walkTree } from './connection/search/walk.js';
import {
  type FoundFile,
  WAIT_OPTIONS,
  WATCH_OPTIONS,
  type WaitForFileOptions,
  type Watcher,
  type WatchOptions,
  waitForFile,
  watchDirectory,
} from './connection/search/watch.js';
import type { WatchEvent } from './connection/search/watched-tree.js';
import { Sides } from './connection/sides.js';
import {
  GET_OPTIONS,
  GET_TREE_OPTIONS,
  type GetOptions,
  type GetTreeOptions,
  PUT_OPTIONS,
  PUT_TREE_OPTIONS,
  type PutOptions,
  type PutTreeOptions,
  TREE_OPTIONS,
  type TreeOptions,
} from './connection/transfer-options.js';
import { namesToKeep, Transfers } from './connection/transfers.js';
import { WorkingDirectory } from './connection/working-directory.js';
import { ConnectionLostError } from './errors.js';
import {
  checkCallbacks,
  type WalkCallback,
  type WalktreeOptions,
  walktreeOptions,
} from './pysftp/walk-callbacks.js';
import { lstatWithType, statWithType } from './session/quirks/file-type.js';
import { explain } from './session/quirks/likely-cause.js';
import { orMissing } from './session/quirks/missing-file.js';
import type { SftpClient } from './session/sftp-client.js';
import { untilAborted } from './shared/abort.js';
import type { Content } from './shared/arguments.js';
import { checkChoice } from './shared/arguments.js';
import { checkLocalPath } from './shared/local-path.js';
import { parseMode } from './shared/modes.js';
import {
  CALL_OPTIONS,
  type CallOptions,
  checkOptions,
  type OptionTable,
  splitOptions,
} from './shared/option-checks.js';
import { decodePath, encodePath, quote, type RemotePath } from './shared/remote-path.js';
import { isLost } from './shared/retry.js';
import type { ServerKey, SshConnection } from './ssh/ssh-connection.js';
import { unmarked } from './transfer/caller-error.js';
import { checkBytesPerSecond } from './transfer/engine/speed.js';
import { unlessCode } from './transfer/file-system.js';
import type { MirrorReport } from './transfer/mirror/mirror.js';
import {
  READ_STREAM_OPTIONS,
  type ReadStreamOptions,
  type RemoteReadStream,
} from './transfer/streams/read-stream.js';
import type { ContentSource } from './transfer/streams/sequential-source.js';
import type { ContentSink } from './transfer/streams/sink.js';
import type { RemoteWriteStream } from './transfer/streams/write-stream.js';
import type { TreeReport } from './transfer/tree/tree-report.js';
import type { FileAttributes } from './wire/attributes.js';

/** Options of a call that gives a path, or several. */
interface PathOptions extends CallOptions {
  /** `buffer`: as bytes, for names that are not UTF-8. Default: `utf8`. */
  readonly encoding?: 'utf8' | 'buffer' | undefined;
}

const PATH_OPTIONS: OptionTable<PathOptions> = { ...CALL_OPTIONS, encoding: 'checked' };

/** What is settled when a connection begins. */
interface ConnectionFacts {
  readonly logfile: string | false;
  readonly securityOptions: SshConnection['securityOptions'];
}

/** The calls whose failures are logged: each of those that are not another one's second name. */
const LOGGED_CALLS = [
  ...([
    'normalize',
    'chdir',
    'listdir',
    'listdirAttr',
    'stat',
    'lstat',
    'exists',
    'lexists',
    'isdir',
  ] as const),
  ...(['isfile', 'readlink', 'walktree', 'glob', 'statvfs', 'expandPath', 'homeDirectory'] as const),
  ...(['mkdir', 'makedirs', 'rmdir', 'remove', 'rename', 'posixRename', 'rmtree', 'chmod', 'chown'] as const),
  ...(['truncate', 'utime', 'touch', 'symlink', 'hardlink', 'copy', 'get', 'put', 'getR', 'putR'] as const),
  ...(['getD', 'putD', 'mirror', 'waitForFile', 'open', 'readFile', 'writeFile', 'appendFile'] as const),
  ...(['getfo', 'putfo', 'checksum', 'execute', 'run'] as const),
] as const;

/** What {@link copyBetween} and {@link sidesOf} know of a connection, and nobody else. */
let endOf: (connection: Connection, path: RemotePath, name: string) => ServerEnd;

/** What a view of a connection in another shape stands on. */
export interface ConnectionParts {
  readonly link: Link;
  readonly transfers: Transfers;
  readonly directory: WorkingDirectory;
}

/** For the other entry points of the package; no part of the public API. */
export let partsOf: (connection: Connection) => ConnectionParts;

/**
 * A connection to an SFTP server; {@link connect} makes one.
 *
 * Remote paths are strings with `/`, or bytes for names that are not UTF-8; a relative path counts from the
 * current directory, see {@link chdir} and {@link cd}. Every method that asks the server may reject with
 * `SftpStatusError` (the server's answer, `code` as Node's), `ConnectionLostError`, `ProtocolError`,
 * `TimeoutError` or the reason of its signal; an invalid path or option is a `TypeError` or
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
   * Every SFTP request, one to one, without our conveniences; paths count from the login directory.
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
    // Without `#link in connection`, of which terser, the minifier of webpack, makes code that cannot be parsed.
    logFailures(Connection.prototype, LOGGED_CALLS, (connection) => {
      try {
        return (connection as Connection).#link.log;
      } catch {
        return () => {};
      }
    });
    endOf = (connection, path, name) => ({
      link: connection.#link,
      transfers: connection.#transfers,
      path: connection.#directory.resolve(path, name),
    });
    partsOf = (connection) => ({
      link: connection.#link,
      transfers: connection.#transfers,
      directory: connection.#directory,
    });
  }

  /** @internal */
  constructor(link: Link, { logfile, securityOptions }: ConnectionFacts) {
    this.logfile = logfile;
    this.securityOptions = securityOptions;
    this.#link = link;
    this.#directory = new WorkingDirectory(link.client);
    this.#transfers = new Transfers(link);
    this.#files = new Files(this.#transfers);
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

  /**
   * Aborts, with the reason, when the connection is over: it was lost or closed. With `retry` a connection that is lost
   * is not over, only one that is closed.
   *
   * @example
   * sftp.ended.addEventListener('abort', () => console.error(sftp.ended.reason));
   */
  get ended(): AbortSignal {
    return this.#link.over;
  }

  /**
   * Resolves when the connection is over, with the reason: a `ConnectionLostError`, whose code is `CLOSED` after
   * {@link close}. Never rejects. With `retry` a connection that is lost is not over, only one that is closed.
   *
   * @example
   * sftp.closed.then((reason) => console.error(`the connection is over: ${reason.message}`));
   */
  get closed(): Promise<Error> {
    const { over } = this.#link;
    return new Promise((resolve) => {
      if (over.aborted) resolve(over.reason);
      else over.addEventListener('abort', () => resolve(over.reason), { once: true });
    });
  }

  /**
   * Whether the connection is open. With `retry`, false from the loss of a connection until the client has reconnected,
   * which it does when something is asked of it.
   *
   * @example
   * if (!sftp.isConnected) console.warn('reconnecting takes a moment');
   */
  get isConnected(): boolean {
    return this.#link.isConnected;
  }

  // The current directory

  /**
   * The current directory as the server writes it.
   *
   * @example
   * await sftp.pwd();   // '/home/test'
   */
  async pwd(options: CallOptions = {}): Promise<string> {
    checkOptions(options, CALL_OPTIONS, { of: 'pwd' });
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
    checkOptions(options, CALL_OPTIONS, { of: 'chdir' });
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
    checkOptions(options, CALL_OPTIONS, { of: 'normalize' });
    const client = this.#client(options);
    const resolved = this.#directory.resolve(path);
    const asking = client.realpath(resolved, options);
    return decodePath(await explain(asking, 'stat', { client, path: resolved, options }));
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
    checkOptions(options, CALL_OPTIONS, { of: 'listdir' });
    return listNames(this.#client(options), this.#directory.resolve(path), options);
  }

  /**
   * The entries of a directory with their attributes, sorted by name, without `.` and `..`.
   *
   * @example
   * for (const attributes of await sftp.listdirAttr('pub')) console.log(attributes.filename, attributes.size);
   */
  async listdirAttr(path: RemotePath = '.', options: CallOptions = {}): Promise<FileAttributes[]> {
    checkOptions(options, CALL_OPTIONS, { of: 'listdirAttr' });
    return listDirectory(this.#client(options), this.#directory.resolve(path), options);
  }

  /**
   * Attributes of what a path names, links followed. Where the server leaves out the type, it is found out.
   *
   * @example
   * (await sftp.stat('readme.txt')).size;   // 8192
   */
  async stat(path: RemotePath, options: CallOptions = {}): Promise<FileAttributes> {
    checkOptions(options, CALL_OPTIONS, { of: 'stat' });
    const client = this.#client(options);
    const resolved = this.#directory.resolve(path);
    const asking = statWithType(client, resolved, options);
    return explain(asking, 'stat', { client, path: resolved, options });
  }

  /**
   * Attributes of what a path names, of a link the link's own.
   *
   * @example
   * (await sftp.lstat('readme.sym')).isSymbolicLink();   // true
   */
  async lstat(path: RemotePath, options: CallOptions = {}): Promise<FileAttributes> {
    checkOptions(options, CALL_OPTIONS, { of: 'lstat' });
    const client = this.#client(options);
    const resolved = this.#directory.resolve(path);
    const asking = lstatWithType(client, resolved, options);
    return explain(asking, 'stat', { client, path: resolved, options });
  }

  /**
   * Whether a path names something, links followed. False only where the server says that there is no such file,
   * or that a file is in the way; anything else, as a denied permission, rejects.
   *
   * @example
   * await sftp.exists('readme.txt');   // true
   */
  async exists(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    checkOptions(options, CALL_OPTIONS, { of: 'exists' });
    const client = this.#client(options);
    const resolved = this.#directory.resolve(path);
    const asking = client.stat(resolved, options);
    const looking = orMissing(client, resolved, asking, { ...options, followsLinks: true });
    return (await unlessCode(looking, ...MISSING)) !== undefined;
  }

  /**
   * As {@link exists}, and true for a dangling symlink.
   *
   * @example
   * await sftp.lexists('broken.sym');   // true
   */
  async lexists(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    checkOptions(options, CALL_OPTIONS, { of: 'lexists' });
    const client = this.#client(options);
    const resolved = this.#directory.resolve(path);
    const asking = client.lstat(resolved, options);
    return (await unlessCode(orMissing(client, resolved, asking, options), ...MISSING)) !== undefined;
  }

  /**
   * Whether a path names a directory, links followed; errors as {@link exists}.
   *
   * @example
   * await sftp.isdir('pub');   // true
   */
  async isdir(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    checkOptions(options, CALL_OPTIONS, { of: 'isdir' });
    const resolved = this.#directory.resolve(path);
    const attributes = await unlessCode(statWithType(this.#client(options), resolved, options), ...MISSING);
    return attributes?.isDirectory() ?? false;
  }

  /**
   * Whether a path names a regular file, links followed; errors as {@link exists}.
   *
   * @example
   * await sftp.isfile('pub');   // false
   */
  async isfile(path: RemotePath, options: CallOptions = {}): Promise<boolean> {
    checkOptions(options, CALL_OPTIONS, { of: 'isfile' });
    const resolved = this.#directory.resolve(path);
    const attributes = await unlessCode(statWithType(this.#client(options), resolved, options), ...MISSING);
    return attributes?.isFile() ?? false;
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
  async readlink(path: RemotePath, options: PathOptions = {}): Promise<string | Buffer> {
    checkOptions(options, PATH_OPTIONS, { of: 'readlink' });
    const { encoding = 'utf8', signal } = options;
    checkChoice(encoding, ['utf8', 'buffer'], 'encoding');
    const target = await readLink(this.#client(options), this.#directory.resolve(path), { signal });
    return encoding === 'buffer' ? target : decodePath(target);
  }

  /**
   * Walks a directory, depth first and sorted by name: `fcallback` gets each regular file, `dcallback` each directory
   * before its content, `ucallback` whatever is neither, as a dangling symlink. Paths begin as `path` was
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
    options: boolean | 0 | 1 | WalktreeOptions = {},
  ): Promise<void> {
    checkCallbacks({ fcallback, dcallback, ucallback });
    const { recurse = true, signal } = walktreeOptions(options);
    const depth = recurse ? {} : { maxDepth: 1 };
    await this.#link.during(signal, async (during) => {
      for await (const { path: found, attributes } of this.walk(path, {
        ...depth,
        symlinks: 'follow',
        signal: during,
      })) {
        const ofLeaf = attributes.isFile() ? fcallback : ucallback;
        const callback = attributes.isDirectory() ? dcallback : ofLeaf;
        await untilAborted(Promise.resolve(callback(found)), during);
      }
    });
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
    checkOptions(options, WALK_OPTIONS, { of: 'walk' });
    return walkTree(this.#client(options), this.#directory.resolve(path), encodePath(path), options);
  }

  /**
   * The paths that fit a pattern, sorted by code point: `*` and `?` within a name, `[a-z]` and `[!a-z]`, `{one,two}`,
   * `**` for any number of directories, `\` before a character that means itself. What begins with a dot is only
   * found by a pattern that does; a `/` at the end finds directories only. Links are not entered by `**`. As in a
   * shell, directories that may not be read have nothing that fits. Inside brackets also `[[:alpha:]]` and the other
   * classes of POSIX, and `\\` before a character that means itself.
   *
   * Names are bytes: a byte that is not part of UTF-8 is one character to `?` and `*`. With `encoding: 'buffer'` the paths
   * come as bytes, for names that are not UTF-8. Each directory is listed once, whatever the pattern.
   *
   * @throws RangeError braces that stand for more than 1,000 patterns
   *
   * @example
   * await sftp.glob('reports/2026-*.{csv,tsv}');   // ['reports/2026-05.csv', 'reports/2026-06.tsv']
   */
  glob(
    pattern: string,
    options?: CallOptions & { readonly encoding?: 'utf8' | undefined },
  ): Promise<string[]>;
  glob(pattern: string, options: CallOptions & { readonly encoding: 'buffer' }): Promise<Buffer[]>;
  async glob(pattern: string, options: PathOptions = {}): Promise<string[] | Buffer[]> {
    checkOptions(options, PATH_OPTIONS, { of: 'glob' });
    const { encoding = 'utf8', signal } = options;
    checkChoice(encoding, ['utf8', 'buffer'], 'encoding');
    checkPattern(pattern);
    const matches = await findMatches(this.#client(options), pattern, this.#directory.resolver(), { signal });
    return encoding === 'buffer'
      ? Array.from(matches, ({ path }) => path)
      : Array.from(matches, ({ path }) => decodePath(path));
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
    checkOptions(options, CALL_OPTIONS, { of: 'statvfs' });
    const client = this.#client(options);
    const resolved = this.#directory.resolve(path);
    const asking = client.statvfs(resolved, options);
    return describeFileSystem(await explain(asking, 'stat', { client, path: resolved, options }));
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
    checkOptions(options, CALL_OPTIONS, { of: 'expandPath' });
    const bytes = encodePath(path);
    if (bytes[0] !== 0x7e) return this.normalize(bytes, options);
    return decodePath(await expandHome(this.#client(options), bytes, options));
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
    checkOptions(options, CALL_OPTIONS, { of: 'homeDirectory' });
    if (typeof username !== 'string')
      throw new TypeError(`username must be a string, not ${typeof username}`);
    if (username !== '') encodePath(username, 'username');
    if (username.includes('/')) throw new TypeError(`username ${quote(username)} contains a /`);
    return decodePath(await findHome(this.#client(options), username, options));
  }

  // Changing

  /**
   * Makes one directory; what exists already is an error (`EEXIST`). `mode` is in the digits of chmod (`755`), and the
   * server's umask applies. Default: 777.
   *
   * @example
   * await sftp.mkdir('show', 744);
   * await sftp.mkdir('private', { mode: 700 });
   */
  async mkdir(path: RemotePath, mode?: number | string | MkdirOptions, given?: CallOptions): Promise<void> {
    const [own, options] = splitOptions<number | string, MkdirOptions>(mode, given, 'mkdir');
    checkOptions(options, MKDIR_OPTIONS, { of: 'mkdir' });
    const digits = mode === null ? mode : (own ?? options.mode ?? 777);
    const client = this.#client(options);
    const resolved = this.#directory.resolve(path);
    const making = client.mkdir(resolved, { mode: parseMode(digits) }, options);
    await explain(making, 'mkdir', { client, path: resolved, options });
  }

  /**
   * Makes a directory and those above it that are missing; `mode` is for these only. What exists already is no
   * error, a file in the way is one (`ENOTDIR`) that names it. May run several times at once.
   *
   * @example
   * await sftp.makedirs('pub/show/off');
   * await sftp.makedirs('private/keys', { mode: 700 });
   */
  async makedirs(
    path: RemotePath,
    mode?: number | string | MkdirOptions,
    given?: CallOptions,
  ): Promise<void> {
    const [own, options] = splitOptions<number | string, MkdirOptions>(mode, given, 'makedirs');
    checkOptions(options, MKDIR_OPTIONS, { of: 'makedirs' });
    const digits = mode === null ? mode : (own ?? options.mode ?? 777);
    await makeDirectories(this.#client(options), this.#directory.resolve(path), parseMode(digits), options);
  }

  /**
   * Removes an empty directory. One with content is an error (`ENOTEMPTY`), and so is a file (`ENOTDIR`).
   *
   * @example
   * await sftp.rmdir('empty');
   */
  async rmdir(path: RemotePath, options: CallOptions = {}): Promise<void> {
    checkOptions(options, CALL_OPTIONS, { of: 'rmdir' });
    const client = this.#client(options);
    const resolved = this.#directory.resolve(path);
    const removing = client.rmdir(resolved, options);
    await explain(removing, 'rmdir', { client, path: resolved, options });
  }

  /**
   * Removes a file or a link; a directory is an error (`EISDIR`).
   *
   * @example
   * await sftp.remove('pub/readme.txt');
   */
  async remove(path: RemotePath, options: CallOptions = {}): Promise<void> {
    checkOptions(options, CALL_OPTIONS, { of: 'remove' });
    const client = this.#client(options);
    const resolved = this.#directory.resolve(path);
    const removing = client.remove(resolved, options);
    await explain(removing, 'remove', { client, path: resolved, options });
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
   * Renames or moves; what exists under the new name is an error (`EEXIST`) and stays. With `overwrite: true` it is
   * replaced: in one step if the server has `posix-rename@openssh.com`; on other servers a file steps aside for a moment, and
   * a directory stays. {@link posixRename} does it in one step or not at all.
   *
   * @example
   * await sftp.rename('draft.txt', 'final.txt');
   * await sftp.rename('index.html.new', 'index.html', { overwrite: true });
   */
  async rename(source: RemotePath, destination: RemotePath, options: RenameOptions = {}): Promise<void> {
    checkOptions(options, RENAME_OPTIONS, { of: 'rename' });
    const from = this.#directory.resolve(source, 'source');
    const to = this.#directory.resolve(destination, 'destination');
    await renamePath(this.#client(options), from, to, options);
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
    checkOptions(options, CALL_OPTIONS, { of: 'posixRename' });
    const from = this.#directory.resolve(source, 'source');
    const to = this.#directory.resolve(destination, 'destination');
    if (from.equals(to)) await this.lstat(source, options);
    else await renameAs('posixRename', this.#client(options), from, to, options);
  }

  /**
   * Removes a directory with everything below it. Links are removed, never entered, and a link is no directory, also with
   * a slash behind its name. Stops at the first failure; what is gone by then stays gone.
   *
   * @throws SftpStatusError (`ENOTDIR`) it is a file or a link; the server's answer where something cannot be removed
   * @throws RangeError it is `/`, or written as `.` or `..`
   *
   * @example
   * await sftp.rmtree('old-releases');
   */
  async rmtree(path: RemotePath, options: CallOptions = {}): Promise<void> {
    checkOptions(options, CALL_OPTIONS, { of: 'rmtree' });
    await removeTree(this.#client(options), this.#directory.resolve(path), options);
  }

  /**
   * Gives a file or directory the permissions of `mode`, in the digits of chmod; links are followed.
   *
   * @throws TypeError | RangeError the mode is none, or could mean two: `644`, `'644'` and `0o644` are the same, and `511`,
   *   which is also `0o777`, must be written as a string
   *
   * @example
   * await sftp.chmod('readme.txt', 644);
   */
  async chmod(path: RemotePath, mode: number | string = 777, options: CallOptions = {}): Promise<void> {
    checkOptions(options, CALL_OPTIONS, { of: 'chmod' });
    const client = this.#client(options);
    const resolved = this.#directory.resolve(path);
    const setting = client.setstat(resolved, { mode: parseMode(mode) }, options);
    await explain(setting, 'setstat', { client, path: resolved, options });
  }

  /**
   * Changes owner and group, by the numbers that they have on the server. The one that is left out stays as it is; without
   * both nothing is done. Links are followed.
   *
   * @throws SftpStatusError (`EACCES`) the server does not let you, as it is usual for others than root
   *
   * @example
   * await sftp.chown('readme.txt', { gid: 100 });
   *
   * @example
   * await sftp.chown('readme.txt', 1000, 100);   // uid and gid, as in pysftp
   */
  async chown(
    path: RemotePath,
    uid?: number | ChownOptions,
    gid?: number,
    given?: CallOptions,
  ): Promise<void> {
    const [owner, options] = splitOptions<number, ChownOptions>(uid, given, 'chown');
    checkOptions(options, CHOWN_OPTIONS, { of: 'chown' });
    const ownership = { uid: owner ?? options.uid, gid: gid ?? options.gid };
    await changeOwner(this.#client(options), this.#directory.resolve(path), ownership, options);
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
    checkOptions(options, CALL_OPTIONS, { of: 'truncate' });
    return truncateFile(this.#client(options), this.#directory.resolve(path), size, options);
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
    times?: readonly [atime: Timestamp, mtime: Timestamp],
    options: CallOptions = {},
  ): Promise<void> {
    checkOptions(options, CALL_OPTIONS, { of: 'utime' });
    await changeTimes(this.#client(options), this.#directory.resolve(path), times, options);
  }

  /**
   * Sets the times of a file or directory to now, and creates an empty file if it does not exist.
   *
   * @example
   * await sftp.touch('done');
   */
  async touch(path: RemotePath, options: CallOptions = {}): Promise<void> {
    checkOptions(options, CALL_OPTIONS, { of: 'touch' });
    await touchFile(this.#client(options), this.#directory.resolve(path), options);
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
    checkOptions(options, SYMLINK_OPTIONS, { of: 'symlink' });
    const client = this.#client(options);
    const target = encodePath(source, 'source');
    const newPath = this.#directory.resolve(destination, 'destination');
    const making = makeLink(client, target, newPath, options);
    const { signal } = options;
    await explain(making, 'symlink', { client, path: target, newPath, options: { signal } });
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
    checkOptions(options, CALL_OPTIONS, { of: 'hardlink' });
    const client = this.#client(options);
    const from = this.#directory.resolve(source, 'source');
    const newPath = this.#directory.resolve(destination, 'destination');
    const making = client.hardlink(from, newPath, options);
    await explain(making, 'hardlink', { client, path: from, newPath, options });
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
    checkOptions(options, COPY_OPTIONS, { of: 'copy' });
    const from = this.#directory.resolve(source, 'source');
    await this.#transfers
      .forCall(options)
      .copy(from, this.#directory.resolve(destination, 'destination'), options);
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
   * await sftp.get('reports/2026.csv', { preserveMtime: true });   // into 2026.csv
   * await sftp.get('reports/2026.csv', 'report.csv', {
   *   callback: (transferred, total) => console.log(`${transferred} of ${total}`),
   * });
   */
  async get(remotepath: RemotePath, localpath?: string | GetOptions, given?: GetOptions): Promise<void> {
    const [local, options] = splitOptions<string, GetOptions>(localpath, given, 'get');
    checkOptions(options, GET_OPTIONS, { of: 'get' });
    if (local !== undefined) checkLocalPath(local);
    const source = this.#directory.resolve(remotepath, 'remotepath');
    await this.#transfers.forCall(options).get(source, local, options);
  }

  /**
   * Uploads a file; without `remotepath` under its own name into the current directory. Resolves with what the
   * server then shows, once it has confirmed every write and the size (`confirm`).
   *
   * @throws TransferError as {@link get}; `SIZE_MISMATCH` and `VANISHED` where the confirmation fails
   *
   * @example
   * const { size } = await sftp.put('report.csv', 'incoming/report.csv', { preserveMtime: true });
   * await sftp.put('report.csv', { mode: 640 });   // into the current directory
   */
  async put(
    localpath: string,
    remotepath?: RemotePath | PutOptions,
    given?: PutOptions,
  ): Promise<FileAttributes> {
    const [remote, options] = splitOptions<RemotePath, PutOptions>(remotepath, given, 'put');
    checkOptions(options, PUT_OPTIONS, { of: 'put' });
    const target = this.#directory.resolve(remote ?? basename(checkLocalPath(localpath)), 'remotepath');
    return this.#transfers.forCall(options).put(localpath, target, options);
  }

  /**
   * Downloads a directory with everything below it. The remote path is kept under `localdir`:
   * `getR('pub', 'backup')` writes `backup/pub/…`; an absolute one loses its leading `/`; `'.'` writes the
   * content right into `localdir`, and so does `into: true` of any other. Existing directories are fine. Resolves with
   * what was done; stops at the first failure.
   *
   * @example
   * await sftp.getR('pub', 'backup', { preserveMtime: true });   // backup/pub/…
   */
  async getR(remotedir: RemotePath, localdir: string, options: GetTreeOptions = {}): Promise<TreeReport> {
    checkOptions(options, GET_TREE_OPTIONS, { of: 'getR' });
    checkLocalPath(localdir, 'localdir');
    const path = encodePath(remotedir, 'remotedir');
    const keptNames = options.into === true ? [] : namesToKeep(path, localdir);
    const source = this.#directory.resolve(remotedir);
    return this.#transfers
      .forCall(options)
      .getTree(source, localdir, { ...options, recurse: true, keptNames });
  }

  /**
   * Uploads the content of a local directory, with everything below it, into `remotepath`, which is made where
   * it is missing. Symbolic links are skipped unless `symlinks: 'follow'`.
   *
   * @example
   * await sftp.putR('static', 'static', { preserveMtime: true });
   */
  async putR(localpath: string, remotepath: RemotePath, options: PutTreeOptions = {}): Promise<TreeReport> {
    checkOptions(options, PUT_TREE_OPTIONS, { of: 'putR' });
    checkLocalPath(localpath);
    const target = this.#directory.resolve(remotepath, 'remotepath');
    return this.#transfers.forCall(options).putTree(localpath, target, { ...options, recurse: true });
  }

  /**
   * Downloads the files of one directory, without its sub-directories, into `localdir`, which is made where it is
   * missing. Links to files are followed unless `symlinks: 'skip'`.
   *
   * @example
   * await sftp.getD('public', 'local-backup', { preserveMtime: true });
   */
  async getD(remotedir: RemotePath, localdir: string, options: TreeOptions = {}): Promise<TreeReport> {
    checkOptions(options, TREE_OPTIONS, { of: 'getD' });
    const source = this.#directory.resolve(remotedir, 'remotedir');
    return this.#transfers.forCall(options).getTree(source, checkLocalPath(localdir, 'localdir'), {
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
    checkOptions(options, PUT_TREE_OPTIONS, { of: 'putD' });
    checkLocalPath(localpath);
    const target = this.#directory.resolve(remotepath, 'remotepath');
    return this.#transfers.forCall(options).putTree(localpath, target, { ...options, recurse: false });
  }

  /**
   * Makes one directory like another, either way: contents to contents, only what is missing or has changed. First
   * both sides are listed and a plan is made, which `dryRun` resolves with and nothing else; the plan is then carried
   * out, and the report tells all of it. The target is made where it is missing.
   *
   * The source always wins, also over a file that is newer. Without `delete` nothing is ever removed: what only the
   * target has stays, and so does what is a file on one side and a directory or a link on the other. With it, both
   * go; what is extra only when everything has been copied. Nothing outside the target is touched, and nothing
   * through a link that lies in it. Devices, FIFOs, sockets, dangling symlinks, loops of links, and names that no
   * file can have are skipped and reported; what the target has in their place stays.
   *
   * A lost connection reconnects if `retry` says so, and the mirror goes on with what is left.
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
    checkMirrorOptions(options);
    const isDown = options.direction === 'down';
    const [local, remote] = isDown ? [target, source] : [source, target];
    const localPath = checkLocalPath(local, isDown ? 'target' : 'source');
    const between = { link: this.#link, transfers: this.#transfers };
    return unmarked(mirror(between, localPath, this.#directory.resolve(remote), options));
  }

  // Waiting for others

  /**
   * Waits until there is a regular file that fits a pattern (as {@link glob}), and until nothing has been written to it
   * for `stableFor` milliseconds. An upload that pauses for longer looks complete. Of several files the first by name
   * is taken. A file that is uploaded under another name and then renamed needs no `stableFor`: 0 takes it at once.
   *
   * With `retry`, the waiting continues after a reconnect.
   *
   * @throws TimeoutError there was none within `timeout`
   *
   * @example
   * const { path } = await sftp.waitForFile('inbox/*.csv', { stableFor: 5000, timeout: 600_000 });
   * await sftp.get(path);
   */
  async waitForFile(pattern: string, options: WaitForFileOptions = {}): Promise<FoundFile> {
    checkOptions(options, WAIT_OPTIONS, { of: 'waitForFile' });
    checkPattern(pattern);
    return waitForFile(this.#watcher(), pattern, options);
  }

  /**
   * Tells what is created, changed and removed in a directory, from the beginning of the loop on. The directory is
   * listed again and again, so that what comes and goes between two looks is not seen, and what is renamed is removed
   * and created; while the loop is busy with an event nothing is asked. What a link leads to is not looked at. With
   * `stableFor` a file is reported when it is no longer being written.
   *
   * The loop ends with `break`, with the reason of its `signal`, or if the directory itself cannot be listed. What lies
   * in a directory below that cannot be listed counts as unchanged. With `retry`, the watch continues after a reconnect
   * and reports then what has changed meanwhile.
   *
   * @example
   * for await (const { type, path } of sftp.watch('inbox', { pollInterval: 5000, initial: true })) {
   *   if (type === 'created') await sftp.get(path);
   * }
   */
  watch(path: RemotePath, options: WatchOptions = {}): AsyncGenerator<WatchEvent, void, undefined> {
    checkOptions(options, WATCH_OPTIONS, { of: 'watch' });
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
    if (typeof options !== 'number') checkOptions(options, OPEN_OPTIONS, { of: 'open' });
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
   * Adds text or bytes to the end of a file, which is made where it is missing. Several may append at the same time,
   * over one connection or several: nothing is lost, see {@link RemoteFile} for the servers that cannot do that.
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
   * other end is as fast with a `highWaterMark` of 256 KiB; its own is 16 or 64 KiB. With the `retry` of the connection the
   * stream goes on after a loss, behind what it has given, and fails with `SOURCE_CHANGED` if there is another file by then.
   *
   * @throws TypeError | RangeError at the call, as Node does, if an argument is invalid
   *
   * @example
   * await pipeline(sftp.createReadStream('big.csv.gz'), createGunzip(), createWriteStream('big.csv'));
   */
  createReadStream(path: RemotePath, options: ReadStreamOptions = {}): RemoteReadStream {
    checkOptions(options, READ_STREAM_OPTIONS, { of: 'createReadStream' });
    return this.#files.forCall(options).createReadStream(this.#directory.resolve(path), options);
  }

  /**
   * A Node Writable into a file. It does not wait for each answer of the server, but accepts no more than
   * `highWaterMark` unconfirmed bytes. `finish` is emitted when the server has confirmed all and closed the file. It
   * writes in order and through one channel: over a long line {@link putfo}, which takes a stream, is several times as
   * fast. With the `retry` of the connection the stream goes on after a loss, unless `flags` append: what the server has
   * not confirmed is sent once more, to the same place.
   *
   * @throws TypeError | RangeError at the call, as Node does, if an argument is invalid
   *
   * @example
   * await pipeline(createReadStream('dump.sql'), createGzip(), sftp.createWriteStream('dump.sql.gz'));
   */
  createWriteStream(path: RemotePath, options: FileWriteStreamOptions = {}): RemoteWriteStream {
    checkOptions(options, FILE_WRITE_STREAM_OPTIONS, { of: 'createWriteStream' });
    return this.#files.forCall(options).createWriteStream(this.#directory.resolve(path), options);
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
    checkOptions(options, GETFO_OPTIONS, { of: 'getfo' });
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
   * if (response.body !== null) await sftp.putfo(response.body, 'incoming/picture.jpg', { atomic: true });
   */
  async putfo(
    source: ContentSource,
    remotepath: RemotePath,
    options: PutfoOptions = {},
  ): Promise<FileAttributes> {
    checkOptions(options, PUTFO_OPTIONS, { of: 'putfo' });
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
    checkOptions(options, GETFO_OPTIONS, { of: 'checksum' });
    const hash = startHash(algorithm);
    await this.getfo(path, { write: (chunk: Uint8Array) => void hash.update(chunk) }, options);
    return hash.digest('hex');
  }

  // Commands and the connection

  /**
   * Runs a command on the server and gives the lines of its stdout, or of its stderr where that is empty, without their
   * ends. With `encoding: 'buffer'` they come as bytes, for output that is not UTF-8.
   *
   * @example
   * await sftp.execute('uname');   // ['Linux']
   */
  execute(command: string, options: RunOptions & { readonly encoding: 'buffer' }): Promise<Buffer[]>;
  execute(
    command: string,
    options?: RunOptions & { readonly encoding?: 'utf8' | undefined },
  ): Promise<string[]>;
  async execute(
    command: string,
    options: RunOptions & { readonly encoding?: OutputEncoding | undefined } = {},
  ): Promise<string[] | Buffer[]> {
    checkOptions(options, RUN_OPTIONS, { of: 'execute' });
    const { encoding = 'utf8' } = options;
    checkChoice(encoding, ['utf8', 'buffer'], 'encoding');
    const lines = linesOf(await this.run(command, { ...options, encoding: 'buffer' }));
    return encoding === 'buffer' ? lines : lines.map((line) => line.toString('utf8'));
  }

  /**
   * Runs a command on the server, without regard to the current directory; its failing is no rejection. With
   * `encoding: 'buffer'` stdout and stderr come as bytes.
   *
   * @example
   * const { exitCode, stdout, stderr } = await sftp.run('tar -tf -', { input: archive });
   */
  run(command: string, options: RunOptions & { readonly encoding: 'buffer' }): Promise<RunResult<Buffer>>;
  run(command: string, options?: RunOptions & { readonly encoding?: 'utf8' | undefined }): Promise<RunResult>;
  async run(
    command: string,
    options: RunOptions & { readonly encoding?: OutputEncoding | undefined } = {},
  ): Promise<RunResult | RunResult<Buffer>> {
    checkOptions(options, RUN_OPTIONS, { of: 'run' });
    const { encoding = 'utf8' } = options;
    checkChoice(encoding, ['utf8', 'buffer'], 'encoding');
    try {
      await this.#link.reconnect(this.#link.retry, options.signal);
      const result = await runCommand(this.#link.ssh, command, options);
      return encoding === 'buffer' ? result : asText(result);
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

  /** For a call with these options. */
  #client({ timeout: timeoutMs }: CallOptions): SftpClient {
    return this.sftpClient.forCall({ timeoutMs });
  }

  #watcher(): Watcher {
    return {
      client: this.sftpClient,
      resolve: this.#directory.resolver(),
      closed: this.#link.over,
      restore: async (error, signal) => {
        const { retry } = this.#link;
        if (retry === undefined || !isLost(error)) return false;
        await this.#link.reconnect(retry, signal);
        return true;
      },
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
  checkOptions(options, COPY_BETWEEN_OPTIONS, { of: 'copyBetween' });
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

/** The server's answer if nothing exists there, if a file is in the way, or if links form a loop. */
const MISSING = ['ENOENT', 'ENOTDIR', 'ELOOP'] as const;

/** @internal Both sides of a mirror, for `tsftp/jobs`. */
export function sidesOf(
  connection: Connection,
  { source, target, direction, followsLinks }: MirrorSides,
): Sides {
  if (!(connection instanceof Connection)) {
    throw new TypeError('connection must be a Connection, as connect() gives it');
  }
  const isDown = direction === 'down';
  const [local, remote] = isDown ? [target, source] : [source, target];
  const localPath = checkLocalPath(local, isDown ? 'target' : 'source');
  const { path: remotePath, ...rest } = endOf(connection, remote, isDown ? 'source' : 'target');
  return new Sides(rest, { direction, localPath, remotePath, followsLinks });
}

interface MirrorSides {
  readonly source: RemotePath;
  readonly target: RemotePath;
  readonly direction: 'up' | 'down';
  readonly followsLinks: boolean;
}
