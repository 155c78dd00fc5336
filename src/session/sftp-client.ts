/**
 * Every SFTP request as a typed operation, one to one; only that opening waits while the server has no handle left. The
 * public API stands on these, and a program that needs the protocol as it is may use them directly.
 */

import type { Buffer } from 'node:buffer';
import { ProtocolError } from '../errors.js';
import { encodePath, quote, type RemotePath, textOf } from '../shared/remote-path.js';
import { type AttributeValues, FileAttributes } from '../wire/attributes.js';
import { byteLength } from '../wire/bytes.js';
import {
  type ExtensionData,
  type ExtensionFields,
  type ExtensionName,
  type ExtensionWithData,
  extensions,
} from '../wire/extensions.js';
import type { NameEntry } from '../wire/fields.js';
import { type ReplyName, type RequestFields, SSH_FXF } from '../wire/packets.js';
import { attributesOf, extensionData, nothing, onlyName, present } from './answers.js';
import type { Answer, PendingCall, WhenAborted } from './call.js';
import { Gate } from './gate.js';
import type { HandleRequest } from './handle-budget.js';
import type { Limits } from './limits.js';
import { checkFree } from './quirks/exclusive-open.js';
import type { ExtensionAnsweredBy, RequestAnsweredBy, RequestOptions, Session } from './session.js';

/** An open file or directory on the server. */
export interface RemoteHandle {
  readonly bytes: Uint8Array;
  /** The path under which it was opened, for messages. */
  readonly path: string;
}

/** Options of one operation. */
export interface OperationOptions {
  /** Rejects the call with the signal's reason; the session stays usable. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the server may take to answer. Default: that of the connection. */
  readonly timeout?: number | undefined;
  /**
   * What an abort does to a request that has been sent. `reject`: the call rejects at once, and the late reply is
   * ignored. `await`: the call rejects when the reply has arrived, so that nothing of it happens later. `proceed`: the
   * request is sent even if the signal has aborted, and the call ends as if there were no signal. With `await` and
   * `proceed` the session is closed if the server sends nothing for 3 s after the abort. Default: `reject`.
   */
  readonly whenAborted?: WhenAborted | undefined;
}

/** Where a client finds the session to send its requests to. */
export interface SessionSource {
  /** The present one. */
  readonly session: Session;
  /**
   * Called before a request that would find the session over: puts another one in its place, or rejects. Left out: the
   * request rejects with the reason for which the session has ended.
   */
  readonly restore?: ((signal?: AbortSignal) => Promise<void>) | undefined;
}

/** How the requests of a client are made. */
interface Manner {
  /** How long each may take, unless it says so itself. */
  readonly timeoutMs?: number | undefined;
  readonly gate?: Gate<PendingCall> | undefined;
}

/** What a call is about: a path for messages, or a handle. */
type Subject = RemotePath | RemoteHandle | undefined;

/** Options of one operation, with the second path of those that have two. */
interface CallOptions extends OperationOptions {
  readonly newPath?: RemotePath | undefined;
}

/** Options of an operation that takes one of the session's handles. */
interface OpeningOptions extends OperationOptions, Pick<HandleRequest, 'onlyIfFree' | 'mayFail'> {
  /** The name is one of ours, which nobody else uses: with EXCL it need not be looked at before. */
  readonly isUnused?: boolean | undefined;
}

type OpenRequest = OpeningOptions & Pick<HandleRequest, 'isForWriting' | 'mayRepeat'>;

/** The flags of `open` (section 6.3 of the draft), to be combined with `|`. */
export const OPEN_FLAGS = SSH_FXF;

/**
 * The operations of SFTP version 3 and of OpenSSH's extensions over one session. All of them may reject with
 * `SftpStatusError` (the server answered a failure), `ConnectionLostError`, `ProtocolError`, `TimeoutError`
 * or the signal's reason. Arguments that cannot be sent are a `TypeError` or `RangeError`, a rejection too:
 * nothing is thrown at the call itself.
 *
 * @example
 * const client = sftp.sftpClient;
 * const handle = await client.open('notes.txt', OPEN_FLAGS.READ);
 * const content = await client.read(handle, 0, 32_768);   // pieces, or null at the end of the file
 * await client.close(handle);
 */
export class SftpClient {
  readonly #source: SessionSource;
  readonly #manner: Manner;
  /** Where a READ has been answered with nothing. */
  readonly #emptyReplies = new WeakMap<RemoteHandle, Set<number>>();

  constructor(source: SessionSource, manner: Manner = {}) {
    this.#source = source;
    this.#manner = manner;
  }

  get #session(): Session {
    return this.#source.session;
  }

  /**
   * The same client for one call, that waits only so long for each reply, or has only one request in flight at a time.
   * @internal
   */
  forCall({
    timeoutMs = this.#manner.timeoutMs,
    isOneByOne = false,
  }: {
    readonly timeoutMs?: number | undefined;
    readonly isOneByOne?: boolean | undefined;
  }): SftpClient {
    if (timeoutMs === this.#manner.timeoutMs && !isOneByOne) return this;
    const gate = isOneByOne ? new Gate<PendingCall>(1) : this.#manner.gate;
    return new SftpClient(this.#source, { timeoutMs, gate });
  }

  /**
   * How many handles the server has given while they were open.
   * @internal
   */
  get repeatedHandles(): number {
    return this.#session.handles.repeatCount;
  }

  /** What the server takes in one request; the assumed figures until it has told its own. */
  get limits(): Limits {
    return this.#session.limits;
  }

  /** The shortest time in which the server has answered so far, in milliseconds: about the round trip of the line. */
  get roundTripMs(): number {
    return this.#session.roundTripMs;
  }

  /**
   * Aborts with the reason when the present session ends.
   * @internal
   */
  get ended(): AbortSignal {
    return this.#session.ended;
  }

  /** Whether the session has ended, for good or until the client reconnects. */
  get isOver(): boolean {
    return this.#session.endReason !== undefined;
  }

  /** The names of the extensions that the server announced. */
  get extensions(): readonly string[] {
    return [...this.#session.extensions.keys()];
  }

  /** Whether the server announced an extension of the table. */
  supports(extension: ExtensionName): boolean {
    return this.#session.extensions.has(extensions[extension].name);
  }

  /** See {@link Session.worksInOrder}. */
  get worksInOrder(): boolean {
    return this.#session.worksInOrder;
  }

  /** Opens a file; `flags` are those of {@link OPEN_FLAGS}. Attributes count only for a file that is created. */
  open(
    path: RemotePath,
    flags: number,
    options: OpeningOptions & { readonly attributes?: AttributeValues } = {},
  ): Promise<RemoteHandle> {
    const { attributes = {}, isUnused, ...rest } = options;
    const { WRITE, TRUNC, EXCL } = SSH_FXF;
    const isForWriting = (flags & WRITE) !== 0;
    const isNew = (flags & EXCL) !== 0;
    const mayRepeat = !isNew && (!isForWriting || (flags & TRUNC) !== 0);
    const fields = () => ({ path: encodePath(path), flags, attributes });
    const open = () => this.#open('open', fields, path, { ...rest, isForWriting, mayRepeat });
    const mayOpenExisting = isNew && !isUnused && !this.worksInOrder;
    return mayOpenExisting ? checkFree(this, path, options).then(open) : open();
  }

  /** Closes a file or directory. For a file that was written, only its success means that all is well. */
  close(handle: RemoteHandle, options: OperationOptions = {}): Promise<void> {
    return this.#command('close', () => ({ handle: handle.bytes }), handle, options);
  }

  /**
   * Reads up to `length` bytes at `offset`: the pieces in which they came, fewer bytes than asked for where
   * the server likes, or `null` at the end of the file.
   */
  read(
    handle: RemoteHandle,
    offset: number,
    length: number,
    options: OperationOptions = {},
  ): Promise<readonly Buffer[] | null> {
    const accept = (answer: Answer<'data'>) =>
      answer === null ? null : this.#checkedContent(answer.data, { handle, offset, length });
    return this.#request('read', () => ({ handle: handle.bytes, offset, length }), accept, handle, options);
  }

  /** Writes at `offset`. The pieces must stay as they are until the promise settles. */
  write(
    handle: RemoteHandle,
    offset: number,
    data: readonly Buffer[],
    options: OperationOptions = {},
  ): Promise<void> {
    return this.#command('write', () => ({ handle: handle.bytes, offset, data }), handle, options);
  }

  /** Attributes of what a path names, links followed. */
  stat(path: RemotePath, options: OperationOptions = {}): Promise<FileAttributes> {
    return this.#attributes('stat', () => ({ path: encodePath(path) }), path, options);
  }

  /** Attributes of what a path names, a link itself included. */
  lstat(path: RemotePath, options: OperationOptions = {}): Promise<FileAttributes> {
    return this.#attributes('lstat', () => ({ path: encodePath(path) }), path, options);
  }

  fstat(handle: RemoteHandle, options: OperationOptions = {}): Promise<FileAttributes> {
    return this.#attributes('fstat', () => ({ handle: handle.bytes }), handle, options);
  }

  /** Changes the attributes that are given: `size` truncates, `mode` is chmod, and so on. */
  setstat(path: RemotePath, attributes: AttributeValues, options: OperationOptions = {}): Promise<void> {
    return this.#command('setstat', () => ({ path: encodePath(path), attributes }), path, options);
  }

  fsetstat(handle: RemoteHandle, attributes: AttributeValues, options: OperationOptions = {}): Promise<void> {
    return this.#command('fsetstat', () => ({ handle: handle.bytes, attributes }), handle, options);
  }

  opendir(path: RemotePath, options: OperationOptions = {}): Promise<RemoteHandle> {
    return this.#open('opendir', () => ({ path: encodePath(path) }), path, options);
  }

  /** The next entries of a directory, `.` and `..` among them, or `null` after the last. */
  readdir(handle: RemoteHandle, options: OperationOptions = {}): Promise<readonly FileAttributes[] | null> {
    const accept = (answer: Answer<'name'>) =>
      answer === null ? null : answer.names.map((entry) => new FileAttributes(entry.attributes, entry));
    return this.#request('readdir', () => ({ handle: handle.bytes }), accept, handle, options);
  }

  /**
   * As {@link readdir}, with the entries as they are on the wire: they share memory with the packet.
   * @internal
   */
  readNames(handle: RemoteHandle, options: OperationOptions = {}): Promise<readonly NameEntry[] | null> {
    const accept = (answer: Answer<'name'>) => answer?.names ?? null;
    return this.#request('readdir', () => ({ handle: handle.bytes }), accept, handle, options);
  }

  /** Removes a file or link. */
  remove(path: RemotePath, options: OperationOptions = {}): Promise<void> {
    return this.#command('remove', () => ({ path: encodePath(path) }), path, options);
  }

  mkdir(path: RemotePath, attributes: AttributeValues = {}, options: OperationOptions = {}): Promise<void> {
    return this.#command('mkdir', () => ({ path: encodePath(path), attributes }), path, options);
  }

  rmdir(path: RemotePath, options: OperationOptions = {}): Promise<void> {
    return this.#command('rmdir', () => ({ path: encodePath(path) }), path, options);
  }

  /** The server's absolute form of a path. */
  realpath(path: RemotePath, options: OperationOptions = {}): Promise<Buffer> {
    return this.#name('realpath', () => ({ path: encodePath(path) }), path, options);
  }

  /** Renames; by the draft this fails where `newPath` exists. */
  rename(oldPath: RemotePath, newPath: RemotePath, options: OperationOptions = {}): Promise<void> {
    const fields = () => ({ oldPath: encodePath(oldPath), newPath: encodePath(newPath, 'newPath') });
    return this.#command('rename', fields, oldPath, { ...options, newPath });
  }

  /** The text of a symbolic link. */
  readlink(path: RemotePath, options: OperationOptions = {}): Promise<Buffer> {
    return this.#name('readlink', () => ({ path: encodePath(path) }), path, options);
  }

  /** Makes `linkPath` a link to `targetPath`, in the order of arguments that OpenSSH and most others expect. */
  symlink(targetPath: RemotePath, linkPath: RemotePath, options: OperationOptions = {}): Promise<void> {
    const fields = () => ({
      targetPath: encodePath(targetPath, 'targetPath'),
      linkPath: encodePath(linkPath, 'linkPath'),
    });
    return this.#command('symlink', fields, targetPath, { ...options, newPath: linkPath });
  }

  /** `limits@openssh.com`, as the server tells them. */
  fetchLimits(options: OperationOptions = {}): Promise<ExtensionData<'limits'>> {
    return this.#data('limits', () => ({}), undefined, options);
  }

  /** `posix-rename@openssh.com`: replaces what `newPath` names. */
  posixRename(oldPath: RemotePath, newPath: RemotePath, options: OperationOptions = {}): Promise<void> {
    const fields = () => ({ oldPath: encodePath(oldPath), newPath: encodePath(newPath, 'newPath') });
    return this.#extended('posixRename', fields, oldPath, { ...options, newPath });
  }

  /** `hardlink@openssh.com`. */
  hardlink(oldPath: RemotePath, newPath: RemotePath, options: OperationOptions = {}): Promise<void> {
    const fields = () => ({ oldPath: encodePath(oldPath), newPath: encodePath(newPath, 'newPath') });
    return this.#extended('hardlink', fields, oldPath, { ...options, newPath });
  }

  /** `fsync@openssh.com`: the content is on the server's disk. */
  fsync(handle: RemoteHandle, options: OperationOptions = {}): Promise<void> {
    return this.#extended('fsync', () => ({ handle: handle.bytes }), handle, options);
  }

  /** `statvfs@openssh.com`: the file system that holds a path. */
  statvfs(path: RemotePath, options: OperationOptions = {}): Promise<ExtensionData<'statvfs'>> {
    return this.#data('statvfs', () => ({ path: encodePath(path) }), path, options);
  }

  /** `fstatvfs@openssh.com`. */
  fstatvfs(handle: RemoteHandle, options: OperationOptions = {}): Promise<ExtensionData<'fstatvfs'>> {
    return this.#data('fstatvfs', () => ({ handle: handle.bytes }), handle, options);
  }

  /** `lsetstat@openssh.com`: as {@link setstat}, of a link itself. */
  lsetstat(path: RemotePath, attributes: AttributeValues, options: OperationOptions = {}): Promise<void> {
    return this.#extended('lsetstat', () => ({ path: encodePath(path), attributes }), path, options);
  }

  /** `expand-path@openssh.com`: the absolute form of a path that may start with `~`. */
  expandPath(path: RemotePath, options: OperationOptions = {}): Promise<Buffer> {
    const fields = () => ({ path: encodePath(path) });
    return this.#call(fields, path, options, (session, values, all) =>
      session.extendedRequest('expandPath', values, onlyName, all),
    );
  }

  /** `copy-data`: copies on the server, without the bytes travelling; `length` 0 means up to the end. */
  async copyData(
    source: { readonly handle: RemoteHandle; readonly offset: number; readonly length: number },
    destination: { readonly handle: RemoteHandle; readonly offset: number },
    options: OperationOptions = {},
  ): Promise<void> {
    const fields = () => ({
      readHandle: source.handle.bytes,
      readOffset: source.offset,
      length: source.length,
      writeHandle: destination.handle.bytes,
      writeOffset: destination.offset,
    });
    const newPath = destination.handle.path;
    // Where one of the two has outlived the other, the call goes where it fails.
    const isOver = OwnHandle.sessionOf(destination.handle)?.endReason !== undefined;
    const { handle } = isOver ? destination : source;
    return this.#extended('copyData', fields, handle, { ...options, newPath });
  }

  /**
   * `check-file-handle` (draft-ietf-secsh-filexfer-extensions-00, section 3): hashes of a part of a file, one after
   * the other for each block of `blockLength` bytes (256 at the least), or one for all (0). `length` 0 means up to
   * the end. The server takes the first of the algorithms that it knows.
   */
  checkFile(
    handle: RemoteHandle,
    algorithms: readonly string[],
    range: { readonly offset: number; readonly length: number; readonly blockLength: number },
    options: OperationOptions = {},
  ): Promise<ExtensionData<'checkFileHandle'>> {
    const fields = () => ({ handle: handle.bytes, algorithms: algorithms.join(','), ...range });
    return this.#data('checkFileHandle', fields, handle, options);
  }

  /**
   * `home-directory` (draft-ietf-secsh-filexfer-extensions-00, section 5): where a user is at home. The draft
   * takes `''` for the one who is logged in, OpenSSH does not: `expandPath('~')` helps there.
   */
  async homeDirectory(username: string, options: OperationOptions = {}): Promise<Buffer> {
    // The rules for what may be sent are those of a path, but that it may be empty.
    if (username !== '') encodePath(username, 'username');
    const fields = () => ({ username });
    return this.#call(fields, username, options, (session, values, all) =>
      session.extendedRequest('homeDirectory', values, onlyName, all),
    );
  }

  /** `users-groups-by-id@openssh.com`: names for numbers, `''` where the server knows none. */
  usersGroupsById(
    uids: readonly number[],
    gids: readonly number[],
    options: OperationOptions = {},
  ): Promise<ExtensionData<'usersGroupsById'>> {
    return this.#data('usersGroupsById', () => ({ uids, gids }), undefined, options);
  }

  /** Fewer bytes than asked for are legal, and none may be a whim; but the same twice would be an endless loop. */
  #checkedContent(
    data: readonly Buffer[],
    { handle, offset, length: asked }: AskedContent,
  ): readonly Buffer[] {
    const length = byteLength(data);
    if (length > asked) throw new ProtocolError(`The server sent ${length} bytes for a read of ${asked}`);
    if (length > 0 || asked === 0) return data;
    const emptyAt = this.#emptyReplies.get(handle) ?? new Set();
    if (emptyAt.has(offset)) {
      throw new ProtocolError(`The server sent neither content nor the end of the file at offset ${offset}`);
    }
    this.#emptyReplies.set(handle, emptyAt.add(offset));
    return data;
  }

  #command<N extends RequestAnsweredBy<'status'>>(
    name: N,
    fields: () => RequestFields<N>,
    subject: Subject,
    options: CallOptions,
  ): Promise<void> {
    return this.#request(name, fields, nothing, subject, options);
  }

  #open<N extends RequestAnsweredBy<'handle'>>(
    name: N,
    fields: () => RequestFields<N>,
    path: RemotePath,
    { onlyIfFree, mayFail, isForWriting, mayRepeat = true, ...options }: OpenRequest,
  ): Promise<RemoteHandle> {
    return this.#call(fields, path, options, (session, values, all) => {
      const accept = (answer: Answer<'handle'>) => new OwnHandle(present(answer).handle, path, session);
      const send = () => session.request(name, values, accept, all);
      const subject = () => `${name} ${quote(path)}`;
      const request = { subject, isForWriting, onlyIfFree, mayFail, mayRepeat };
      return session.handles.open(send, { ...request, signal: options.signal });
    });
  }

  #attributes<N extends RequestAnsweredBy<'attrs'>>(
    name: N,
    fields: () => RequestFields<N>,
    subject: Subject,
    options: CallOptions,
  ): Promise<FileAttributes> {
    return this.#request(name, fields, attributesOf, subject, options);
  }

  #name<N extends 'realpath' | 'readlink'>(
    name: N,
    fields: () => RequestFields<N>,
    path: RemotePath,
    options: CallOptions,
  ): Promise<Buffer> {
    return this.#request(name, fields, onlyName, path, options);
  }

  #request<R extends ReplyName, N extends RequestAnsweredBy<R>, T>(
    name: N,
    fields: () => RequestFields<N>,
    accept: (answer: Answer<R>) => T,
    subject: Subject,
    options: CallOptions,
  ): Promise<T> {
    return this.#call(fields, subject, options, (session, values, all) =>
      session.request(name, values, accept, all),
    );
  }

  #extended<N extends ExtensionAnsweredBy<'status'>>(
    name: N,
    fields: () => ExtensionFields<N>,
    subject: Subject,
    options: CallOptions,
  ): Promise<void> {
    return this.#call(fields, subject, options, (session, values, all) =>
      session.extendedRequest(name, values, nothing, all),
    );
  }

  #data<N extends ExtensionWithData>(
    name: N,
    fields: () => ExtensionFields<N>,
    subject: Subject,
    options: CallOptions,
  ): Promise<ExtensionData<N>> {
    const accept = (answer: Answer<'extendedReply'>) => extensionData(name, answer);
    return this.#call(fields, subject, options, (session, values, all) =>
      session.extendedRequest(name, values, accept, all),
    );
  }

  /** By path a call goes to the present session, after a reconnect if need be; by handle only to the one that gave it. */
  #call<Fields, T>(
    fields: () => Fields,
    subject: Subject,
    { signal, whenAborted, newPath, timeout: timeoutMs = this.#manner.timeoutMs }: CallOptions,
    send: (session: Session, fields: Fields, options: RequestOptions) => Promise<T>,
  ): Promise<T> {
    try {
      const { gate } = this.#manner;
      const about = (path: RemotePath | undefined) => ({
        signal,
        whenAborted,
        timeoutMs,
        path,
        newPath,
        gate,
      });
      const values = fields();
      if (isHandle(subject)) {
        const session = OwnHandle.sessionOf(subject) ?? this.#session;
        return send(session, values, about(subject.path));
      }
      const present = () => send(this.#session, values, about(subject));
      const { restore } = this.#source;
      if (this.#session.endReason === undefined || restore === undefined) return present();
      return restore(signal).then(present);
    } catch (error) {
      return Promise.reject(error);
    }
  }
}

/** Handles mean nothing to any other session, or worse, another file. */
class OwnHandle implements RemoteHandle {
  readonly bytes: Uint8Array;
  readonly #path: RemotePath;
  readonly #session: Session;

  constructor(bytes: Uint8Array, path: RemotePath, session: Session) {
    this.bytes = bytes;
    this.#path = path;
    this.#session = session;
  }

  get path(): string {
    return textOf(this.#path);
  }

  /** The one that gave it, where that is known. */
  static sessionOf(handle: RemoteHandle): Session | undefined {
    return handle instanceof OwnHandle ? handle.#session : undefined;
  }
}

function isHandle(subject: Subject): subject is RemoteHandle {
  return typeof subject === 'object' && !(subject instanceof Uint8Array);
}

interface AskedContent {
  readonly handle: RemoteHandle;
  readonly offset: number;
  readonly length: number;
}
