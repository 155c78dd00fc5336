/**
 * Every SFTP request as a typed operation, one to one: nothing is added, nothing is asked twice. The friendly
 * face stands on these, and whoever dislikes its conveniences may use them as they are.
 */
import { Buffer } from 'node:buffer';
import { ProtocolError } from '../errors.js';
import { decodePath, encodePath, type RemotePath } from '../remote-path.js';
import { type AttributeValues, FileAttributes } from '../wire/attributes.js';
import {
  decodeExtensionData,
  type ExtensionData,
  type ExtensionFields,
  type ExtensionName,
  type ExtensionWithData,
  extensions,
} from '../wire/extensions.js';
import { type RequestFields, SSH_FXF } from '../wire/packets.js';
import { DEFAULT_LIMITS, type Limits, limitsFrom } from './limits.js';
import type { Answer, ExtensionAnsweredBy, RequestAnsweredBy, RequestOptions, Session } from './session.js';

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
}

/** Makes the session again where it was lost; rejects where that cannot be done. */
type Restore = (signal?: AbortSignal) => Promise<void>;

/** What a call is about: a path for messages, or a handle. */
type Subject = string | RemoteHandle | undefined;

/** The flags of `open` (section 6.3 of the draft), to be combined with `|`. */
export const OPEN_FLAGS = SSH_FXF;

/**
 * The operations of SFTP version 3 and of OpenSSH's extensions over one session. All of them may reject with
 * `SftpStatusError` (the server answered a failure), `ConnectionLostError`, `ProtocolError`, `TimeoutError`
 * or the signal's reason. Arguments that cannot be sent are a `TypeError` or `RangeError`, a rejection too:
 * every operation is `async`, so that nothing is thrown at the call itself.
 *
 * @example
 * const client = sftp.sftpClient;
 * const handle = await client.open('notes.txt', OPEN_FLAGS.READ);
 * const content = await client.read(handle, 0, 32_768);   // pieces, or null at the end of the file
 * await client.close(handle);
 */
export class SftpClient {
  #session: Session;
  readonly #restore: Restore | undefined;
  /** Handles mean nothing to any other session, or worse, another file. */
  readonly #sessions = new WeakMap<RemoteHandle, Session>();
  #limits: Limits = DEFAULT_LIMITS;
  /** Where a READ has been answered with nothing. */
  readonly #emptyReplies = new WeakMap<RemoteHandle, Set<number>>();

  /** @param restore is asked before a call that would find its session over; without it the call rejects. */
  constructor(session: Session, restore?: Restore) {
    this.#session = session;
    this.#restore = restore;
    this.#learnLimits();
  }

  /**
   * Goes on with another session to the same server. Handles of the one before stay with it.
   * @internal
   */
  adopt(session: Session): void {
    this.#session = session;
    this.#learnLimits();
  }

  /** A server that announces limits and will not tell them keeps the assumed ones. */
  #learnLimits(): void {
    this.#limits = DEFAULT_LIMITS;
    if (!this.supports('limits')) return;
    this.fetchLimits().then(
      (told) => {
        this.#limits = limitsFrom(told);
      },
      () => {},
    );
  }

  /** What the server takes in one request; the assumed figures until it has told its own. */
  get limits(): Limits {
    return this.#limits;
  }

  /** The shortest time in which the server has answered so far, in milliseconds: about the round trip of the line. */
  get roundTripMs(): number {
    return this.#session.roundTripMs;
  }

  /** Whether the session has ended, for good or until it is made again. */
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

  /** Opens a file; `flags` are those of {@link OPEN_FLAGS}. Attributes count only for a file that is created. */
  async open(
    path: RemotePath,
    flags: number,
    options: OperationOptions & { readonly attributes?: AttributeValues } = {},
  ): Promise<RemoteHandle> {
    const { attributes = {}, signal } = options;
    return this.#open('open', { path: encodePath(path), flags, attributes }, textOf(path), { signal });
  }

  /** Closes a file or directory. For a file that was written, only its success means that all is well. */
  async close(handle: RemoteHandle, options: OperationOptions = {}): Promise<void> {
    return this.#command('close', { handle: handle.bytes }, handle, options);
  }

  /**
   * Reads up to `length` bytes at `offset`: the pieces in which they came, fewer bytes than asked for where
   * the server likes, or `null` at the end of the file.
   */
  async read(
    handle: RemoteHandle,
    offset: number,
    length: number,
    options: OperationOptions = {},
  ): Promise<readonly Buffer[] | null> {
    const accept = (answer: Answer<'data'>) =>
      answer.eof ? null : this.#checkedContent(answer.data, { handle, offset, length });
    return this.#call(handle, options, (session, all) =>
      session.request('read', { handle: handle.bytes, offset, length }, accept, all),
    );
  }

  /** Writes at `offset`. The pieces must stay as they are until the promise settles. */
  async write(
    handle: RemoteHandle,
    offset: number,
    data: readonly Buffer[],
    options: OperationOptions = {},
  ): Promise<void> {
    return this.#command('write', { handle: handle.bytes, offset, data }, handle, options);
  }

  /** Attributes of what a path names, links followed. */
  async stat(path: RemotePath, options: OperationOptions = {}): Promise<FileAttributes> {
    return this.#attributes('stat', { path: encodePath(path) }, textOf(path), options);
  }

  /** Attributes of what a path names, a link itself included. */
  async lstat(path: RemotePath, options: OperationOptions = {}): Promise<FileAttributes> {
    return this.#attributes('lstat', { path: encodePath(path) }, textOf(path), options);
  }

  async fstat(handle: RemoteHandle, options: OperationOptions = {}): Promise<FileAttributes> {
    return this.#attributes('fstat', { handle: handle.bytes }, handle, options);
  }

  /** Changes the attributes that are given: `size` truncates, `mode` is chmod, and so on. */
  async setstat(
    path: RemotePath,
    attributes: AttributeValues,
    options: OperationOptions = {},
  ): Promise<void> {
    return this.#command('setstat', { path: encodePath(path), attributes }, textOf(path), options);
  }

  async fsetstat(
    handle: RemoteHandle,
    attributes: AttributeValues,
    options: OperationOptions = {},
  ): Promise<void> {
    return this.#command('fsetstat', { handle: handle.bytes, attributes }, handle, options);
  }

  async opendir(path: RemotePath, options: OperationOptions = {}): Promise<RemoteHandle> {
    return this.#open('opendir', { path: encodePath(path) }, textOf(path), options);
  }

  /** The next entries of a directory, `.` and `..` among them, or `null` after the last. */
  async readdir(
    handle: RemoteHandle,
    options: OperationOptions = {},
  ): Promise<readonly FileAttributes[] | null> {
    const accept = (answer: Answer<'name'>) =>
      answer.eof ? null : answer.names.map((entry) => new FileAttributes(entry.attributes, entry));
    return this.#call(handle, options, (session, all) =>
      session.request('readdir', { handle: handle.bytes }, accept, all),
    );
  }

  /** Removes a file or link. */
  async remove(path: RemotePath, options: OperationOptions = {}): Promise<void> {
    return this.#command('remove', { path: encodePath(path) }, textOf(path), options);
  }

  async mkdir(
    path: RemotePath,
    attributes: AttributeValues = {},
    options: OperationOptions = {},
  ): Promise<void> {
    return this.#command('mkdir', { path: encodePath(path), attributes }, textOf(path), options);
  }

  async rmdir(path: RemotePath, options: OperationOptions = {}): Promise<void> {
    return this.#command('rmdir', { path: encodePath(path) }, textOf(path), options);
  }

  /** The server's absolute form of a path. */
  async realpath(path: RemotePath, options: OperationOptions = {}): Promise<Buffer> {
    return this.#name('realpath', { path: encodePath(path) }, textOf(path), options);
  }

  /** Renames; by the draft this fails where `newPath` exists. */
  async rename(oldPath: RemotePath, newPath: RemotePath, options: OperationOptions = {}): Promise<void> {
    const fields = { oldPath: encodePath(oldPath), newPath: encodePath(newPath, 'newPath') };
    return this.#command('rename', fields, textOf(oldPath), { ...options, newPath: textOf(newPath) });
  }

  /** The text of a symbolic link. */
  async readlink(path: RemotePath, options: OperationOptions = {}): Promise<Buffer> {
    return this.#name('readlink', { path: encodePath(path) }, textOf(path), options);
  }

  /** Makes `linkPath` a link to `targetPath`, in the order of arguments that OpenSSH and most others expect. */
  async symlink(targetPath: RemotePath, linkPath: RemotePath, options: OperationOptions = {}): Promise<void> {
    const fields = {
      targetPath: encodePath(targetPath, 'targetPath'),
      linkPath: encodePath(linkPath, 'linkPath'),
    };
    return this.#command('symlink', fields, textOf(targetPath), { ...options, newPath: textOf(linkPath) });
  }

  /** `limits@openssh.com`, as the server tells them. */
  async fetchLimits(options: OperationOptions = {}): Promise<ExtensionData<'limits'>> {
    return this.#data('limits', {}, undefined, options);
  }

  /** `posix-rename@openssh.com`: replaces what `newPath` names. */
  async posixRename(oldPath: RemotePath, newPath: RemotePath, options: OperationOptions = {}): Promise<void> {
    const fields = { oldPath: encodePath(oldPath), newPath: encodePath(newPath, 'newPath') };
    return this.#extended('posixRename', fields, textOf(oldPath), { ...options, newPath: textOf(newPath) });
  }

  /** `hardlink@openssh.com`. */
  async hardlink(oldPath: RemotePath, newPath: RemotePath, options: OperationOptions = {}): Promise<void> {
    const fields = { oldPath: encodePath(oldPath), newPath: encodePath(newPath, 'newPath') };
    return this.#extended('hardlink', fields, textOf(oldPath), { ...options, newPath: textOf(newPath) });
  }

  /** `fsync@openssh.com`: the content is on the server's disk. */
  async fsync(handle: RemoteHandle, options: OperationOptions = {}): Promise<void> {
    return this.#extended('fsync', { handle: handle.bytes }, handle, options);
  }

  /** `statvfs@openssh.com`: the file system that holds a path. */
  async statvfs(path: RemotePath, options: OperationOptions = {}): Promise<ExtensionData<'statvfs'>> {
    return this.#data('statvfs', { path: encodePath(path) }, textOf(path), options);
  }

  /** `fstatvfs@openssh.com`. */
  async fstatvfs(handle: RemoteHandle, options: OperationOptions = {}): Promise<ExtensionData<'fstatvfs'>> {
    return this.#data('fstatvfs', { handle: handle.bytes }, handle, options);
  }

  /** `lsetstat@openssh.com`: as {@link setstat}, of a link itself. */
  async lsetstat(
    path: RemotePath,
    attributes: AttributeValues,
    options: OperationOptions = {},
  ): Promise<void> {
    return this.#extended('lsetstat', { path: encodePath(path), attributes }, textOf(path), options);
  }

  /** `expand-path@openssh.com`: the absolute form of a path that may start with `~`. */
  async expandPath(path: RemotePath, options: OperationOptions = {}): Promise<Buffer> {
    const fields = { path: encodePath(path) };
    return this.#call(textOf(path), options, (session, all) =>
      session.extendedRequest('expandPath', fields, onlyName, all),
    );
  }

  /** `copy-data`: copies on the server, without the bytes travelling; `length` 0 means up to the end. */
  async copyData(
    source: { readonly handle: RemoteHandle; readonly offset: number; readonly length: number },
    destination: { readonly handle: RemoteHandle; readonly offset: number },
    options: OperationOptions = {},
  ): Promise<void> {
    const fields = {
      readHandle: source.handle.bytes,
      readOffset: source.offset,
      length: source.length,
      writeHandle: destination.handle.bytes,
      writeOffset: destination.offset,
    };
    const newPath = destination.handle.path;
    // Where one of the two has outlived the other, the call goes where it fails.
    const isOver = this.#sessions.get(destination.handle)?.endReason !== undefined;
    const { handle } = isOver ? destination : source;
    return this.#extended('copyData', fields, handle, { ...options, newPath });
  }

  /**
   * `check-file-handle` (draft-ietf-secsh-filexfer-extensions-00, section 3): hashes of a part of a file, one after
   * the other for each block of `blockLength` bytes (256 at the least), or one for all (0). `length` 0 means up to
   * the end. The server takes the first of the algorithms that it knows.
   */
  async checkFile(
    handle: RemoteHandle,
    algorithms: readonly string[],
    range: { readonly offset: number; readonly length: number; readonly blockLength: number },
    options: OperationOptions = {},
  ): Promise<ExtensionData<'checkFileHandle'>> {
    const fields = { handle: handle.bytes, algorithms: algorithms.join(','), ...range };
    return this.#data('checkFileHandle', fields, handle, options);
  }

  /**
   * `home-directory` (draft-ietf-secsh-filexfer-extensions-00, section 5): where a user is at home. The draft
   * takes `''` for the one who is logged in, OpenSSH does not: `expandPath('~')` helps there.
   */
  async homeDirectory(username: string, options: OperationOptions = {}): Promise<Buffer> {
    // The rules for what may be sent are those of a path, but that it may be empty.
    if (username !== '') encodePath(username, 'username');
    return this.#call(username, options, (session, all) =>
      session.extendedRequest('homeDirectory', { username }, onlyName, all),
    );
  }

  /** `users-groups-by-id@openssh.com`: names for numbers, `''` where the server knows none. */
  async usersGroupsById(
    uids: readonly number[],
    gids: readonly number[],
    options: OperationOptions = {},
  ): Promise<ExtensionData<'usersGroupsById'>> {
    return this.#data('usersGroupsById', { uids, gids }, undefined, options);
  }

  /** Fewer bytes than asked for are legal, and none may be a whim; but twice the same is a loop without end. */
  #checkedContent(
    data: readonly Buffer[],
    { handle, offset, length: asked }: AskedContent,
  ): readonly Buffer[] {
    const length = data.reduce((sum, piece) => sum + piece.length, 0);
    if (length > asked)
      throw new ProtocolError(`The server sent ${length} bytes where ${asked} were asked for`);
    if (length > 0 || asked === 0) return data;
    const emptyAt = this.#emptyReplies.get(handle) ?? new Set();
    if (emptyAt.has(offset)) {
      throw new ProtocolError(`The server sent no content at offset ${offset}, twice, and no end of file`);
    }
    this.#emptyReplies.set(handle, emptyAt.add(offset));
    return data;
  }

  /** By path a call goes to the present session, made again where need be; by handle only to the one that gave it. */
  #call<T>(
    subject: Subject,
    options: RequestOptions,
    send: (session: Session, options: RequestOptions) => Promise<T>,
  ): Promise<T> {
    if (typeof subject === 'object') {
      return send(this.#sessions.get(subject) ?? this.#session, { ...options, path: subject.path });
    }
    const present = () => send(this.#session, { ...options, path: subject });
    if (this.#session.endReason === undefined || this.#restore === undefined) return present();
    return this.#restore(options.signal).then(present);
  }

  #command<N extends RequestAnsweredBy<'status'>>(
    name: N,
    fields: RequestFields<N>,
    subject: Subject,
    options: RequestOptions,
  ): Promise<void> {
    return this.#call(subject, options, (session, all) =>
      session.request(name, fields, () => undefined, all),
    );
  }

  #open<N extends RequestAnsweredBy<'handle'>>(
    name: N,
    fields: RequestFields<N>,
    path: string,
    options: OperationOptions,
  ): Promise<RemoteHandle> {
    return this.#call(path, options, (session, all) => {
      const accept = (answer: Answer<'handle'>) => {
        // The handle is copied: it would keep the whole chunk in memory in which it came.
        const handle = { bytes: Buffer.from(present(answer).handle), path };
        this.#sessions.set(handle, session);
        return handle;
      };
      return session.request(name, fields, accept, all);
    });
  }

  #attributes<N extends RequestAnsweredBy<'attrs'>>(
    name: N,
    fields: RequestFields<N>,
    subject: Subject,
    options: OperationOptions,
  ): Promise<FileAttributes> {
    const accept = (answer: Answer<'attrs'>) => new FileAttributes(present(answer).attributes);
    return this.#call(subject, options, (session, all) => session.request(name, fields, accept, all));
  }

  #name<N extends 'realpath' | 'readlink'>(
    name: N,
    fields: RequestFields<N>,
    path: string,
    options: OperationOptions,
  ): Promise<Buffer> {
    return this.#call(path, options, (session, all) => session.request(name, fields, onlyName, all));
  }

  #extended<N extends ExtensionAnsweredBy<'status'>>(
    name: N,
    fields: ExtensionFields<N>,
    subject: Subject,
    options: RequestOptions,
  ): Promise<void> {
    return this.#call(subject, options, (session, all) =>
      session.extendedRequest(name, fields, () => undefined, all),
    );
  }

  #data<N extends ExtensionWithData>(
    name: N,
    fields: ExtensionFields<N>,
    subject: Subject,
    options: OperationOptions,
  ): Promise<ExtensionData<N>> {
    const accept = (answer: Answer<'extendedReply'>) =>
      decodeExtensionData(name, Buffer.from(present(answer).data));
    return this.#call(subject, options, (session, all) => session.extendedRequest(name, fields, accept, all));
  }
}

interface AskedContent {
  readonly handle: RemoteHandle;
  readonly offset: number;
  readonly length: number;
}

/** An end of file is no answer to those who do not read; the session has made it a failure already. */
function present<A extends { readonly eof: boolean }>(answer: A): Extract<A, { readonly eof: false }> {
  if (answer.eof) throw new ProtocolError('The server answered with an end of file');
  return answer as Extract<A, { readonly eof: false }>;
}

/** REALPATH and READLINK are answered with exactly one name, which is a path. */
function onlyName(answer: Answer<'name'>): Buffer {
  const { names } = present(answer);
  const [first] = names;
  if (first === undefined || names.length !== 1) {
    throw new ProtocolError(`The server sent ${names.length} names where one was asked for`);
  }
  if (first.filename.length === 0 || first.filename.includes(0)) {
    throw new ProtocolError('The server sent a path that is empty or contains a NUL');
  }
  return Buffer.from(first.filename);
}

function textOf(path: RemotePath): string {
  return typeof path === 'string' ? path : decodePath(path);
}
