/** The class of ssh2-sftp-client over tsftp: the same methods, arguments, results, events and errors. */
import type { Buffer } from 'node:buffer';
import type { EventEmitter } from 'node:events';
import {
  type Connection,
  ConnectionLostError,
  type RemoteReadStream,
  type RemoteWriteStream,
} from '../index.js';
import {
  asClientError,
  type ClientError,
  CODES,
  clientError,
  type ErrorForm,
  formatted,
  isMissing,
  lossError,
  notConnected,
} from './client-error.js';
import { endedEarly, openConnection } from './connecting/connecting.js';
import * as directories from './directories.js';
import { download, fastDownload } from './downloads.js';
import { ClientEvents } from './events.js';
import { fileInfo, fileStats, typeLetter } from './file-info.js';
import { modeDigits, openReadStream, openWriteStream, withClientErrors } from './streams.js';
import { downloadTree, uploadTree } from './trees.js';
import type * as types from './types.js';
import { append, fastUpload, type UploadSource, upload } from './uploads.js';

/** What `exists` gives for what there is. */
const SHOWN_TYPES: ReadonlySet<string> = new Set(['d', '-', 'l']);

/**
 * The class of the package ssh2-sftp-client, over tsftp. Changing the import is enough:
 * [docs/from-ssh2-sftp-client.md](https://github.com/tsftp/tsftp/blob/main/docs/from-ssh2-sftp-client.md) tells the few differences.
 *
 * Every method rejects with a {@link ClientError}, whose `cause` is the error of tsftp.
 *
 * @example
 * import Client from 'tsftp/ssh2-sftp-client';
 *
 * const sftp = new Client();
 * await sftp.connect({ host: 'hostname', username: 'me', password: 'secret' });
 * const files = await sftp.list('pub');
 * await sftp.end();
 */
export class SftpClient {
  /** The name that was given to the constructor. */
  readonly clientName: string;
  readonly #events: ClientEvents;
  #promiseLimit: number | undefined;
  #connection: Connection | undefined;
  #connecting: AbortController | undefined;
  #debug: ((line: string) => void) | undefined;
  /** How many calls are under way. */
  #running = 0;

  /**
   * @param name for the lines of `debug`
   * @param callbacks functions for a connection that is lost; without any, lines are printed
   */
  constructor(name = 'sftp', callbacks?: types.Callbacks | null) {
    this.clientName = name;
    this.#events = new ClientEvents(callbacks);
  }

  /** The connection of tsftp, for what this class does not have; `undefined` where there is none. */
  get sftp(): Connection | undefined {
    return this.#connection;
  }

  /**
   * How many files `uploadDir` and `downloadDir` copy at once. Where neither the option of `connect` nor the program has set
   * it, 10 is only what ssh2-sftp-client would say: tsftp finds out how many.
   */
  get promiseLimit(): number {
    return this.#promiseLimit ?? 10;
  }

  set promiseLimit(limit: number) {
    this.#promiseLimit = limit;
  }

  /** The emitter behind `on`. */
  get client(): EventEmitter {
    return this.#events.emitter;
  }

  /**
   * Connects and logs in. The server's key must be known (`~/.ssh/known_hosts`), pinned (`fingerprint`) or accepted by
   * `hostVerifier`; else the error tells the fingerprint, and the line that is missing. Resolves with the connection of
   * tsftp, for what this class does not have.
   *
   * @throws ClientError the message begins with `getConnection: `; `code` is that of Node (`ECONNREFUSED` …) or of
   *   tsftp's HostKeysError (`HOST_KEY_UNKNOWN` …)
   *
   * @example
   * await sftp.connect({ host: 'hostname', username: 'me', privateKey: readFileSync('key') });
   */
  async connect(config: types.ConnectOptions): Promise<Connection> {
    if (this.#connection !== undefined || this.#connecting !== undefined) {
      throw clientError('connect: An existing SFTP connection is already defined', CODES.notConnected);
    }
    if (typeof config !== 'object' || config === null) {
      throw clientError('connect: the options must be an object', CODES.generic);
    }
    const connecting = new AbortController();
    this.#connecting = connecting;
    this.#events.isEndWanted = false;
    this.#debug = config.debug;
    this.#promiseLimit = config.promiseLimit ?? undefined;
    try {
      const { askKeyboard } = this.#events;
      const connection = await openConnection(config, { askKeyboard, signal: connecting.signal });
      if (connecting.signal.aborted) {
        await connection.close();
        throw endedEarly();
      }
      this.#connection = connection;
      connection.ended.addEventListener('abort', () => this.#onLost(connection), { once: true });
      this.#events.tellReady();
      return connection;
    } catch (error) {
      if (connecting.signal.aborted) throw endedEarly();
      this.#connecting = undefined;
      this.#events.tellFailure(error as ClientError);
      throw error;
    } finally {
      if (this.#connecting === connecting) this.#connecting = undefined;
    }
  }

  /**
   * The entries of a directory, without `.` and `..`.
   *
   * @example
   * const files = await sftp.list('pub', ({ type }) => type === '-');
   */
  list(path: string, filter?: types.ListFilterFunction): Promise<types.FileInfo[]> {
    return this.#call('list', { before: 'list', after: path }, async (sftp) => {
      if (filter && typeof filter !== 'function') {
        throw clientError('list: filter is not a function', CODES.generic);
      }
      // Nothing must not be taken for the current directory.
      const entries = (await sftp.listdirAttr(path ?? '')).map(fileInfo);
      return filter ? entries.filter((entry) => filter(entry)) : entries;
    });
  }

  /**
   * What a path names: `d` a directory, `-` a file, `l` a symbolic link (which is not followed), `false` nothing.
   *
   * @example
   * if ((await sftp.exists('pub/readme.txt')) === '-') console.log('a file');
   */
  exists(path: string): Promise<false | types.FileInfoType> {
    return this.#call('exists', { before: '_xstat', after: path }, async (sftp) => {
      const found = path === '' ? undefined : await directories.find(sftp, path, 'lstat');
      const letter = found && typeLetter(found);
      return letter !== undefined && SHOWN_TYPES.has(letter) ? (letter as types.FileInfoType) : false;
    });
  }

  /**
   * What a path names, links followed. Times are milliseconds.
   *
   * @throws ClientError `ENOENT` there is no such file; its message begins with `_xstat: `
   *
   * @example
   * const { size, modifyTime, isDirectory } = await sftp.stat('pub/readme.txt');
   */
  stat(path: string): Promise<types.FileStats> {
    return this.#stat('stat', path);
  }

  /**
   * As {@link stat}, of a link the link itself.
   *
   * @example
   * const { isSymbolicLink } = await sftp.lstat('current');
   */
  lstat(path: string): Promise<types.FileStats> {
    return this.#stat('lstat', path);
  }

  #stat(method: 'stat' | 'lstat', path: string): Promise<types.FileStats> {
    return this.#call(method, { before: '_xstat', after: path }, async (sftp) => {
      // Servers have nothing under the empty name, which our own calls refuse.
      if (path === '') throw clientError('_xstat: No such file: ', 'ENOENT');
      try {
        return fileStats(await sftp[method](path));
      } catch (error) {
        if (isMissing(error)) throw clientError(`_xstat: No such file: ${path}`, 'ENOENT', error);
        throw error;
      }
    });
  }

  /**
   * The absolute path of a file or directory, links resolved; `''` where there is none, unless the server gives it all
   * the same.
   *
   * @example
   * await sftp.realPath('./pub/..');   // '/home/me'
   */
  realPath(path: string): Promise<string> {
    return this.#call('realPath', { before: 'realPath', after: path }, async (sftp) => {
      try {
        return await sftp.normalize(path === '' ? '.' : path);
      } catch (error) {
        if (isMissing(error)) return '';
        throw error;
      }
    });
  }

  /**
   * The directory from which relative paths count.
   *
   * @example
   * await sftp.cwd();   // '/home/me'
   */
  cwd(): Promise<string> {
    return this.#call('cwd', { before: 'cwd' }, (sftp) => sftp.normalize('.'));
  }

  /**
   * Downloads a file: without a target into memory, else into the local file of a path or into a stream, and resolves
   * with that. A local file is replaced once everything has arrived, unless `writeStreamOptions` say otherwise. A stream
   * is ended; after a failure it is left as it is.
   *
   * @example
   * const content = await sftp.get('pub/readme.txt');
   * await sftp.get('pub/readme.txt', 'readme.txt');
   * await sftp.get('pub/data.gz', createGunzip());
   */
  get(path: string): Promise<Buffer>;
  get(path: string, target: string, options?: types.TransferOptions): Promise<string>;
  get<T extends NodeJS.WritableStream>(path: string, target: T, options?: types.TransferOptions): Promise<T>;
  get(
    path: string,
    target?: string | NodeJS.WritableStream,
    options?: types.TransferOptions,
  ): Promise<string | NodeJS.WritableStream | Buffer>;
  get(
    path: string,
    target?: string | NodeJS.WritableStream,
    options?: types.TransferOptions,
  ): Promise<string | NodeJS.WritableStream | Buffer> {
    const form = { before: 'get', after: path };
    return this.#call('get', form, (sftp) => download(sftp, path, target, options));
  }

  /**
   * Downloads a file into a local one.
   *
   * @example
   * await sftp.fastGet('pub/big.iso', 'big.iso', { step: (done, _chunk, total) => console.log(done / total) });
   */
  fastGet(remotePath: string, localPath: string, options?: types.FastGetTransferOptions): Promise<string> {
    return this.#call('fastGet', { before: 'fastGet', after: remotePath }, async (sftp) => {
      await fastDownload(sftp, remotePath, localPath, options);
      return `${remotePath} was successfully download to ${localPath}!`;
    });
  }

  /**
   * Uploads a local file, bytes, or what a stream gives. `writeStreamOptions.mode` sets exactly these permissions;
   * without it a new file gets those that the server gives new files, and one that exists keeps its own.
   *
   * @example
   * await sftp.put('report.csv', 'incoming/report.csv');
   * await sftp.put(Buffer.from('one egg'), 'order.txt', { writeStreamOptions: { mode: 0o600 } });
   */
  put(source: UploadSource, remotePath: string, options?: types.TransferOptions): Promise<string> {
    return this.#call('put', { before: 'put', after: remotePath }, async (sftp) => {
      await upload(sftp, source, remotePath, options);
      return `Uploaded data stream to ${remotePath}`;
    });
  }

  /**
   * Uploads a local file.
   *
   * @example
   * await sftp.fastPut('big.iso', 'pub/big.iso', { mode: 0o644 });
   */
  fastPut(localPath: string, remotePath: string, options?: types.FastPutTransferOptions): Promise<string> {
    return this.#call('fastPut', { before: 'fastPut', after: remotePath }, async (sftp) => {
      await fastUpload(sftp, localPath, remotePath, options);
      return `${localPath} was successfully uploaded to ${remotePath}!`;
    });
  }

  /**
   * Adds bytes, or what a stream gives, to the end of a file, which is made where it is missing.
   *
   * @example
   * await sftp.append(Buffer.from('one more line\n'), 'log.txt');
   */
  append(
    input: Uint8Array | NodeJS.ReadableStream,
    remotePath: string,
    options?: types.WriteStreamOptions,
  ): Promise<string> {
    return this.#call('append', { before: 'append', after: remotePath }, async (sftp) => {
      await append(sftp, input, remotePath, options);
      return `Appended data to ${remotePath}`;
    });
  }

  /**
   * Makes a directory, with `recursive` those above it too. One that exists already is no error.
   *
   * @example
   * await sftp.mkdir('reports/2026', true);
   */
  mkdir(path: string, recursive = false): Promise<string> {
    return this.#call('mkdir', { before: 'mkdir', after: path }, (sftp) =>
      directories.makeDirectory(sftp, path, recursive),
    );
  }

  /**
   * Removes an empty directory, with `recursive` everything in it too.
   *
   * @example
   * await sftp.rmdir('old', true);
   */
  rmdir(path: string, recursive = false): Promise<string> {
    return this.#call('rmdir', { before: 'rmdir', after: path }, (sftp) =>
      directories.removeDirectory(sftp, path, recursive),
    );
  }

  /**
   * Removes a file; with `noErrorOK` it is no error that there is none.
   *
   * @example
   * await sftp.delete('done.txt', true);
   */
  delete(path: string, noErrorOK = false): Promise<string> {
    return this.#call('delete', { before: 'delete', after: path }, async (sftp) => {
      try {
        await sftp.remove(path);
      } catch (error) {
        if (!noErrorOK || !isMissing(error)) throw error;
      }
      return `Successfully deleted ${path}`;
    });
  }

  /**
   * Renames or moves; what exists under the new name is an error.
   *
   * @example
   * await sftp.rename('draft.txt', 'final.txt');
   */
  rename(fromPath: string, toPath: string): Promise<string> {
    const form = { before: '_rename', after: `From: ${fromPath} To: ${toPath}` };
    return this.#call('rename', form, async (sftp) => {
      await sftp.rename(fromPath, toPath);
      return `Successfully renamed ${fromPath} to ${toPath}`;
    });
  }

  /**
   * Renames or moves, and replaces what exists under the new name; the server must have `posix-rename@openssh.com`.
   *
   * @example
   * await sftp.posixRename('index.html.new', 'index.html');
   */
  posixRename(fromPath: string, toPath: string): Promise<string> {
    const form = { before: '_posixRename', after: `From: ${fromPath} To: ${toPath}` };
    return this.#call('posixRename', form, async (sftp) => {
      await sftp.posixRename(fromPath, toPath);
      return `Successful POSIX rename ${fromPath} to ${toPath}`;
    });
  }

  /**
   * Sets permissions: a number by its value (`0o644`), a string as octal digits.
   *
   * @example
   * await sftp.chmod('script.sh', 0o755);
   */
  chmod(path: string, mode: number | string): Promise<string> {
    return this.#call('chmod', { before: '_chmod', after: path }, async (sftp) => {
      await sftp.chmod(path, modeDigits(mode));
      return 'Successfully change file mode';
    });
  }

  /**
   * Copies a file on the server; what exists under the new name is an error.
   *
   * @example
   * await sftp.rcopy('config.json', 'config.json.bak');
   */
  rcopy(srcPath: string, dstPath: string): Promise<string> {
    const form = { before: '_rcopy', after: dstPath, code: CODES.generic };
    return this.#call('rcopy', form, (sftp) => directories.copyFile(sftp, srcPath, dstPath));
  }

  /**
   * Uploads a local directory with everything below it. The event `upload` tells of each file.
   *
   * @example
   * sftp.on('upload', ({ source }) => console.log(source));
   * await sftp.uploadDir('site', '/var/www', { filter: (path) => !path.endsWith('.map') });
   */
  uploadDir(srcDir: string, dstDir: string, options?: types.UploadDirOptions): Promise<string> {
    const form = { before: 'uploadDir', after: srcDir };
    return this.#call('uploadDir', form, async (sftp) => {
      const target = await directories.absolutePath(sftp, dstDir);
      await uploadTree(sftp, srcDir, target, this.#treeOptions('upload', options));
      return `${srcDir} uploaded to ${dstDir}`;
    });
  }

  /**
   * Downloads a directory with everything below it into a local one. The event `download` tells of each file.
   *
   * @example
   * sftp.on('download', ({ destination }) => console.log(destination));
   * await sftp.downloadDir('/var/www', 'backup');
   */
  downloadDir(srcDir: string, dstDir: string, options?: types.DownloadDirOptions): Promise<string> {
    const form = { before: 'downloadDir', after: srcDir };
    return this.#call('downloadDir', form, async (sftp) => {
      await downloadTree(sftp, srcDir, dstDir, this.#treeOptions('download', options));
      return `${srcDir} downloaded to ${dstDir}`;
    });
  }

  #treeOptions(event: 'upload' | 'download', options: types.DirOptions | null | undefined) {
    const filter = options?.filter || undefined;
    if (filter !== undefined && typeof filter !== 'function') {
      throw clientError(`${event}Dir: options.filter is not a function`, CODES.generic);
    }
    const onFile = (file: types.TransferEvent): void => this.#events.tell(event, file);
    return { filter, concurrency: this.#promiseLimit, onFile };
  }

  /**
   * A stream of a file's content. Errors are emitted.
   *
   * @throws ClientError there is no connection
   *
   * @example
   * await pipeline(sftp.createReadStream('big.csv', { start: 1024 }), process.stdout);
   */
  createReadStream(remotePath: string, options?: types.ReadStreamOptions): RemoteReadStream {
    return this.#open('createReadStream', (sftp) =>
      withClientErrors(openReadStream(sftp, remotePath, options)),
    );
  }

  /**
   * A stream into a file. Errors are emitted.
   *
   * @throws ClientError there is no connection
   *
   * @example
   * await pipeline(createReadStream('dump.sql'), sftp.createWriteStream('dump.sql', { mode: 0o600 }));
   */
  createWriteStream(remotePath: string, options?: types.WriteStreamOptions): RemoteWriteStream {
    return this.#open('createWriteStream', (sftp) =>
      withClientErrors(openWriteStream(sftp, remotePath, options)),
    );
  }

  /**
   * Ends the connection. Calls that are under way reject; never rejects itself, and may be called again.
   *
   * @example
   * await sftp.end();   // true
   */
  async end(): Promise<boolean> {
    this.#events.isEndWanted = true;
    this.#connecting?.abort(endedEarly());
    this.#connecting = undefined;
    const connection = this.#connection;
    this.#connection = undefined;
    this.#note(connection === undefined ? 'end: there is no connection' : 'end');
    if (connection === undefined) return true;
    await connection.close();
    this.#events.tellEnd(undefined, { isTold: false });
    return true;
  }

  /**
   * Adds a listener, before those that are there already. `upload` and `download` tell of a file of a tree; `error`,
   * `end` and `close` of the connection, `ready` that it is made; `keyboard-interactive` asks the server's questions,
   * with `tryKeyboard` of `connect`.
   *
   * @example
   * sftp.on('close', () => console.log('the connection is over'));
   */
  on(event: 'upload' | 'download', listener: (file: types.TransferEvent) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  on(event: 'end' | 'close' | 'ready', listener: () => void): void;
  on(
    event: 'keyboard-interactive',
    listener: (
      name: string,
      instructions: string,
      language: string,
      prompts: readonly types.KeyboardPrompt[],
      finish: (answers: readonly string[]) => void,
    ) => void,
  ): void;
  on(event: string, listener: (...parameters: never[]) => void): void;
  on(event: string, listener: (...parameters: never[]) => void): void {
    this.#events.emitter.prependListener(event, listener as (...parameters: unknown[]) => void);
  }

  /**
   * Removes a listener that {@link on} has added.
   *
   * @example
   * sftp.removeListener('upload', listener);
   */
  removeListener(event: string, listener: (...parameters: never[]) => void): void {
    this.#events.emitter.removeListener(event, listener as (...parameters: unknown[]) => void);
  }

  /**
   * An error in the form of this package, for programs that make their own: `name: message`, or `name->…` of one that has that
   * form already.
   *
   * @example
   * const error = sftp.fmtError('no order', 'fetchOrders', 'ERR_NO_ORDER');   // fetchOrders: no order
   */
  fmtError(reason?: unknown, name = 'sftp', code?: string): ClientError {
    return formatted(reason, name, code);
  }

  /**
   * Gives a line to `debug` of `connect`, with an object as JSON behind it.
   *
   * @example
   * sftp.debugMsg('order fetched', { id: 1 });
   */
  debugMsg(message: string, more?: unknown): void {
    this.#note(more === undefined ? message : `${message} ${JSON.stringify(more)}`);
  }

  /** Nothing but the call itself may end it, and whatever fails is told in the form of this package. */
  async #call<T>(method: string, form: ErrorForm, work: (sftp: Connection) => Promise<T>): Promise<T> {
    const connection = this.#connection;
    if (connection === undefined) throw notConnected(method);
    this.#note(`${method} ${form.after ?? ''}`);
    this.#running += 1;
    try {
      return await work(connection);
    } catch (error) {
      const failure = asClientError(error, form);
      this.#note(`${failure.message} (${failure.code})`);
      throw failure;
    } finally {
      this.#running -= 1;
    }
  }

  #note(line: string): void {
    this.#debug?.(`CLIENT[${this.clientName}]: ${line}`);
  }

  #open<T>(method: string, work: (sftp: Connection) => T): T {
    const connection = this.#connection;
    if (connection === undefined) throw notConnected(method);
    try {
      return work(connection);
    } catch (error) {
      throw asClientError(error, { before: method });
    }
  }

  #onLost(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    const reason: unknown = connection.ended.reason;
    // A server that ends the connection in order is no error, only the end.
    const isEnd = reason instanceof ConnectionLostError && reason.cause === undefined;
    const error = isEnd ? undefined : lossError(reason);
    this.#events.tellEnd(error, { isTold: this.#running > 0 });
  }
}

/** The types under the name of the class too, as `Client.FileInfo`. */
export declare namespace SftpClient {
  export type { ClientError, UploadSource };
  export type AlgorithmList = types.AlgorithmList;
  export type AlgorithmNames = types.AlgorithmNames;
  export type Algorithms = types.Algorithms;
  export type AuthMethod = types.AuthMethod;
  export type Callbacks = types.Callbacks;
  export type ConnectOptions = types.ConnectOptions;
  export type DirFilterFunction = types.DirFilterFunction;
  export type DirOptions = types.DirOptions;
  export type DownloadDirOptions = types.DownloadDirOptions;
  export type FastGetTransferOptions = types.FastGetTransferOptions;
  export type FastPutTransferOptions = types.FastPutTransferOptions;
  export type FileInfo = types.FileInfo;
  export type FileInfoType = types.FileInfoType;
  export type FileStats = types.FileStats;
  export type HostVerifier = types.HostVerifier;
  export type KeyboardPrompt = types.KeyboardPrompt;
  export type ListFilterFunction = types.ListFilterFunction;
  export type ModeOption = types.ModeOption;
  export type PipeOptions = types.PipeOptions;
  export type ReadStreamOptions = types.ReadStreamOptions;
  export type TransferEvent = types.TransferEvent;
  export type TransferOptions = types.TransferOptions;
  export type UploadDirOptions = types.UploadDirOptions;
  export type WriteStreamOptions = types.WriteStreamOptions;
}
