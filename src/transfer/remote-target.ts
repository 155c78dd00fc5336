/**
 * A file that is being written on a server. A large one over a long line is written through several sessions at
 * once, each with a handle of its own, as one channel carries no more than its window in a round trip.
 */
import type { Buffer } from 'node:buffer';
import { untilAborted } from '../abort.js';
import { SftpStatusError } from '../errors.js';
import type { Lanes } from '../session/lanes.js';
import { OPEN_FLAGS, type RemoteHandle, type SftpClient } from '../session/sftp-client.js';
import type { AttributeValues } from '../wire/attributes.js';
import { byteLength } from '../wire/bytes.js';
import type { Cancellable, FileChanges, TargetFile } from './file-system.js';

/**
 * With so much on the way a channel is at its end: OpenSSH's window, and that of many others, is twice as large, and
 * they announce it anew when half of it is used up.
 */
const FULL_LANE_BYTES = 1024 * 1024;
/** Below this a channel is fast enough, and opening more takes longer than it saves. */
const LONG_ROUND_TRIP_MS = 10;
/** What is left of a file must be worth another lane. */
const BYTES_PER_LANE = 8 * 1024 * 1024;
/** OpenSSH allows ten sessions on a connection; some are left for commands. */
const MAX_CHANNELS = 8;

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
  /** The most channels to use, this one among them. Default: 8. */
  readonly channels?: number | undefined;
  readonly lanes: Lanes | undefined;
}

export class RemoteTarget implements TargetFile {
  readonly #options: RemoteTargetOptions;
  readonly #first: Lane;
  readonly #lanes: Lane[];
  /** Lanes that are being opened, once there was a need. */
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
    const { lanes, size = 0, client, channels = MAX_CHANNELS } = this.#options;
    if (this.#widening !== undefined || lanes === undefined) return;
    if (client.roundTripMs < LONG_ROUND_TRIP_MS) return;
    const count = Math.min(Math.floor((size - offset) / BYTES_PER_LANE), channels - 1);
    if (count > 0) this.#widening = Promise.all(lanes.take(count).map((opening) => this.#join(opening)));
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
