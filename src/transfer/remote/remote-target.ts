/**
 * A file that is being written on a server. A large one is written through several sessions at once, each with a handle
 * of its own: one channel carries no more than its window in a round trip, and however short that is, a server that has
 * its next bytes on another channel need not wait for us.
 */
import type { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import type { Lanes } from '../../session/lanes.js';
import type { OperationOptions, RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import type { Spread } from '../../session/spread.js';
import { failure, refusalOf } from '../../session/status-error.js';
import { quote } from '../../shared/remote-path.js';
import type { AttributeValues } from '../../wire/attributes.js';
import { byteLength, split } from '../../wire/bytes.js';
import { together } from '../engine/task-group.js';
import type { Window } from '../engine/window.js';
import type { Cancellable, FileChanges, Owner, TargetFile } from '../file-system.js';
import { sftpTime } from '../sftp-time.js';
import { FileLanes } from './file-lanes.js';
import { widthOf } from './lane-choice.js';
import { openExisting } from './opened-file.js';

/**
 * With so much on the way a channel is at its end: OpenSSH's window, and that of many others, is twice as large, and
 * they announce it anew when half of it is used up.
 */
const FULL_LANE_BYTES = 1024 * 1024;

export interface RemoteTargetOptions {
  readonly client: SftpClient;
  readonly handle: RemoteHandle;
  readonly path: Buffer;
  /** How long the file will be, where that is known. */
  readonly size: number | undefined;
  /** The most channels to use, this one among them. Default: 8 over a long line, 3 over a short one. */
  readonly channels?: number | undefined;
  /** Something of the old content may be left behind the end, which is looked at after the closing. */
  readonly mayBeLonger?: boolean | undefined;
  readonly lanes: Lanes | undefined;
  /** The session without which there is no transfer, where `client` is another one. */
  readonly main?: SftpClient | undefined;
  /** Further connections that the file is to go through too. */
  readonly spread?: Spread | undefined;
  /** Whose the file is, where the server tells. */
  readonly owner?: ((expected: Owner) => Promise<Owner | undefined>) | undefined;
  /** Of the channel that it shares with other files. */
  readonly room?: Window | undefined;
  /** Called when the file is being closed. */
  readonly onClose?: (() => void) | undefined;
}

export class RemoteTarget implements TargetFile {
  isChangedLate = false;
  readonly takesAnyOrder = true;
  readonly #options: RemoteTargetOptions;
  readonly #lanes: FileLanes;
  /** Channels beside the first that are open or being opened. */
  #wanted = 0;
  /** Where the last byte that was written ends. */
  #end = 0;
  #changing: Promise<void> | undefined;
  /** What the handle did not take: it is set by the path once the file is closed. */
  readonly #unset: FileChanges[] = [];
  #refusal: SftpError | undefined;

  constructor(options: RemoteTargetOptions) {
    this.#options = options;
    const { path } = options;
    const open = (client: SftpClient) => openExisting(client, path, { onlyIfFree: !options.spread });
    this.#lanes = new FileLanes({ ...options, open });
  }

  get refusal(): SftpError | undefined {
    return this.#refusal;
  }

  get room(): Window | undefined {
    return this.#options.room;
  }

  get isOrdered(): boolean {
    return this.#lanes.isAlone && this.#options.client.worksInOrder;
  }

  async write(offset: number, pieces: readonly Buffer[], options: Cancellable): Promise<void> {
    const most = this.#options.client.limits.maxWriteLength;
    if (byteLength(pieces) <= most) return this.#writeOnce(offset, pieces, options);
    const writes: Promise<void>[] = [];
    for (let at = offset, rest = pieces; rest.length > 0; at += most) {
      const { head, tail } = split(rest, most);
      writes.push(this.#writeOnce(at, head, options));
      rest = tail;
    }
    await together(writes);
  }

  #writeOnce(offset: number, pieces: readonly Buffer[], options: Cancellable): Promise<void> {
    const length = byteLength(pieces);
    this.#end = Math.max(this.#end, offset + length);
    return this.#lanes.run(length, (lane) => {
      // What is on the way already, without this.
      if (lane.bytes - length >= FULL_LANE_BYTES) this.#widen(offset);
      return lane.client.write(lane.handle, offset, pieces, settling(options));
    });
  }

  /** At best effort, as the content is what counts. There are servers that do it by the path only. */
  setAttributes(changes: FileChanges, options: Cancellable): Promise<void> {
    if (changes.mode === undefined && changes.mtime === undefined) return this.#changing ?? Promise.resolve();
    this.#refusal = outOfRange(this.#options.path, changes) ?? this.#refusal;
    this.#changing = this.#change(changes, options);
    return this.#changing;
  }

  async #change(changes: FileChanges, options: Cancellable): Promise<void> {
    const settled = settling(options);
    const byHandle = (part: FileChanges) =>
      this.#lanes.runOnce(({ client, handle }) => client.fsetstat(handle, attributesOf(part), settled));
    if ((await refusalOf(byHandle(changes))) === undefined) return;
    this.isChangedLate = true;
    const { mode, ...times } = changes;
    // One of the two may be possible where both are refused.
    const parts = mode !== undefined && times.mtime !== undefined ? [{ mode }, times] : [changes];
    for (const part of parts) {
      if (parts.length > 1 && (await refusalOf(byHandle(part))) === undefined) continue;
      const byPath = this.#main.setstat(this.#options.path, attributesOf(part), settled);
      if ((await refusalOf(byPath)) !== undefined) this.#unset.push(part);
    }
  }

  async owner(expected: Owner): Promise<Owner | undefined> {
    return this.#options.owner?.(expected);
  }

  giveTo({ uid, gid }: Owner, options: Cancellable): Promise<SftpError | undefined> {
    return refusalOf(
      this.#lanes.runOnce(({ client, handle }) => client.fsetstat(handle, { uid, gid }, settling(options))),
    );
  }

  /** The server syncs the whole file, through whichever handle it was written. */
  sync(options: Cancellable): Promise<void> {
    return this.#lanes.runOnce(({ client, handle }) => client.fsync(handle, settling(options)));
  }

  async close(options: Cancellable): Promise<void> {
    this.#options.onClose?.();
    const proceed = proceeding(options);
    await this.#lanes.close(options, ({ client, handle }) => client.close(handle, proceed));
    // Its failure is that of `setAttributes`.
    await this.#changing?.catch(() => {});
    const { path, mayBeLonger } = this.#options;
    for (const part of this.#unset) {
      this.#refusal =
        (await refusalOf(this.#main.setstat(path, attributesOf(part), proceed))) ?? this.#refusal;
    }
    if (mayBeLonger) await this.#checkEnd(proceed);
  }

  /** The server has kept what it was to cut off: then the file is not what was written. */
  async #checkEnd(options: OperationOptions): Promise<void> {
    const { path } = this.#options;
    const attributes = await this.#main.stat(path, options).catch(() => undefined);
    if (attributes?.size === undefined || attributes.size <= this.#end) return;
    const what = `it has ${attributes.size} bytes, but ${this.#end} were written: the server has kept the end of the old content`;
    throw failure('SIZE_MISMATCH', 'write', path, what);
  }

  get #main(): SftpClient {
    return this.#options.main ?? this.#options.client;
  }

  /** Called when every lane is full: as many more as the rest of the file is worth. */
  #widen(offset: number): void {
    const { lanes, size, client, channels } = this.#options;
    if (lanes === undefined) return;
    const { maxChannels, bytesPerLane, isForOneFile } = widthOf(client);
    // Of a file whose length nobody knows as much may come again as has come.
    const end = size ?? (isForOneFile ? offset : 2 * offset);
    const count = Math.min(Math.floor((end - offset) / bytesPerLane), (channels ?? maxChannels) - 1);
    if (count <= this.#wanted) return;
    const more = lanes.take(count).slice(this.#wanted);
    this.#wanted = count;
    for (const opening of more) this.#lanes.join(opening);
  }
}

/** What is written is answered before the copy is over: nothing of it happens later. */
export function settling({ signal }: Cancellable): OperationOptions {
  return { signal, whenAborted: 'await' };
}

/** It is done in any case; once the signal has aborted a silent server is not waited for. */
export function proceeding({ signal }: Cancellable): OperationOptions {
  return { signal, whenAborted: 'proceed' };
}

/** That a time could only be set to the nearest one that SFTP carries. */
export function outOfRange(path: Buffer, { mtime }: FileChanges): SftpError | undefined {
  if (mtime === undefined || sftpTime(mtime) === Math.floor(mtime)) return undefined;
  const what = `the modification time ${Math.floor(mtime)} lies outside of what SFTP carries (1970 to 2106)`;
  return new SftpError('ERANGE', `${quote(path)}: ${what}; ${sftpTime(mtime)} was set`);
}

export function attributesOf({ mode, atime, mtime }: FileChanges): AttributeValues {
  if (mtime === undefined) return { mode };
  return { mode, atime: sftpTime(atime ?? mtime), mtime: sftpTime(mtime) };
}
