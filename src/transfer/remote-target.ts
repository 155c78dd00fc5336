/**
 * A file that is being written on a server. A large one is written through several sessions at once, each with a handle
 * of its own: one channel carries no more than its window in a round trip, and however short that is, a server that has
 * its next bytes on another channel need not wait for us.
 */
import type { Buffer } from 'node:buffer';
import { untilAborted } from '../abort.js';
import { SftpStatusError } from '../errors.js';
import type { Lanes } from '../session/lanes.js';
import { OPEN_FLAGS, type RemoteHandle, type SftpClient } from '../session/sftp-client.js';
import type { AttributeValues } from '../wire/attributes.js';
import { byteLength, split } from '../wire/bytes.js';
import type { Cancellable, FileChanges, TargetFile } from './file-system.js';
import { widthOf } from './lane-choice.js';
import { together } from './task-group.js';

/**
 * With so much on the way a channel is at its end: OpenSSH's window, and that of many others, is twice as large, and
 * they announce it anew when half of it is used up.
 */
const FULL_LANE_BYTES = 1024 * 1024;

/** A session that has the file open, and the bytes that are on the way through it. */
interface Lane {
  readonly client: SftpClient;
  readonly handle: RemoteHandle;
  bytes: number;
}

export interface RemoteTargetOptions {
  readonly client: SftpClient;
  readonly handle: RemoteHandle;
  readonly path: Buffer;
  /** How long the file will be, where that is known. */
  readonly size: number | undefined;
  /** The most channels to use, this one among them. Default: 8 over a long line, 3 over a short one. */
  readonly channels?: number | undefined;
  readonly lanes: Lanes | undefined;
  /** Called when the file is being closed. */
  readonly onClose?: (() => void) | undefined;
}

export class RemoteTarget implements TargetFile {
  readonly #options: RemoteTargetOptions;
  readonly #first: Lane;
  readonly #lanes: Lane[];
  /** Lanes beside the first that are open or being opened. */
  #wanted = 0;
  #widening: Promise<unknown> | undefined;
  #isClosed = false;

  constructor(options: RemoteTargetOptions) {
    this.#options = options;
    this.#first = { client: options.client, handle: options.handle, bytes: 0 };
    this.#lanes = [this.#first];
  }

  get isOrdered(): boolean {
    return this.#widening === undefined;
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

  async #writeOnce(offset: number, pieces: readonly Buffer[], options: Cancellable): Promise<void> {
    const lane = this.#leastBusy();
    if (lane.bytes >= FULL_LANE_BYTES) this.#widen(offset);
    const length = byteLength(pieces);
    lane.bytes += length;
    try {
      await lane.client.write(lane.handle, offset, pieces, options);
    } finally {
      lane.bytes -= length;
    }
  }

  /** At best effort: there are servers that refuse this, and the content is what counts. */
  async setAttributes(changes: FileChanges, options: Cancellable): Promise<void> {
    if (changes.mode === undefined && changes.mtime === undefined) return;
    const { client, handle } = this.#first;
    await client.fsetstat(handle, attributesOf(changes), options).catch((error) => {
      if (!(error instanceof SftpStatusError)) throw error;
    });
  }

  /** The server syncs the whole file, through whichever handle it was written. */
  sync(options: Cancellable): Promise<void> {
    const { client, handle } = this.#first;
    return client.fsync(handle, options);
  }

  async close({ signal }: Cancellable): Promise<void> {
    this.#isClosed = true;
    this.#options.onClose?.();
    await untilAborted(
      Promise.all([this.#widening, ...this.#lanes.map(({ client, handle }) => client.close(handle))]),
      signal,
    );
  }

  #leastBusy(): Lane {
    return this.#lanes.reduce((least, lane) => (lane.bytes < least.bytes ? lane : least));
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
    this.#widening = Promise.all([this.#widening, ...more.map((opening) => this.#join(opening))]);
  }

  /** Opens the file once more; where that fails, the other lanes carry its share. */
  async #join(opening: Promise<SftpClient | undefined>): Promise<void> {
    const client = await opening;
    if (client === undefined || this.#isClosed) return;
    const handle = await client.open(this.#options.path, OPEN_FLAGS.WRITE).catch(() => undefined);
    if (handle === undefined) return;
    if (this.#isClosed) await client.close(handle).catch(() => {});
    else this.#lanes.push({ client, handle, bytes: 0 });
  }
}

/** Times on the wire are whole seconds. */
export function attributesOf({ mode, atime, mtime }: FileChanges): AttributeValues {
  if (mtime === undefined) return { mode };
  return { mode, atime: Math.floor(atime ?? mtime), mtime: Math.floor(mtime) };
}
