/**
 * Open files that outlive their connection: after a reconnect they are opened again, and what was not confirmed is asked for
 * or sent once more, at its place.
 */
import type { Buffer } from 'node:buffer';
import { TransferError } from '../../errors.js';
import { untilAborted } from '../../shared/abort.js';
import { quote } from '../../shared/remote-path.js';
import { isLost, type RetryPolicy } from '../../shared/retry.js';
import { type Cancellable, hasCode, type SourceFile, type TargetFile } from '../../transfer/file-system.js';
import type { Link } from './link.js';

/** The same handle for everybody, until it is lost; then another one. */
class Lasting<File> {
  readonly #link: Link;
  readonly #retry: RetryPolicy;
  readonly #open: (signal: AbortSignal | undefined) => Promise<File>;
  #file: File;
  #opening: Promise<void> | undefined;
  /** Attempts in a row in which nothing has been done. */
  #failures = 0;
  /**
   * How many requests may be under way: all, until the connection is lost. Then one, and twice as many with each answer:
   * over a connection that is cut again and again nothing would arrive whole if everything were sent at once.
   */
  #allowed = Number.POSITIVE_INFINITY;
  #underWay = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(
    file: File,
    link: Link,
    retry: RetryPolicy,
    open: (signal: AbortSignal | undefined) => Promise<File>,
  ) {
    this.#file = file;
    this.#link = link;
    this.#retry = retry;
    this.#open = open;
  }

  get file(): File {
    return this.#file;
  }

  async run<T>(signal: AbortSignal | undefined, request: (file: File) => Promise<T>): Promise<T> {
    for (;;) {
      while (this.#underWay >= this.#allowed) await untilAborted(this.#turn(), signal);
      const file = this.#file;
      this.#underWay += 1;
      try {
        const answer = await request(file);
        this.#failures = 0;
        this.#allowed *= 2;
        return answer;
      } catch (error) {
        signal?.throwIfAborted();
        if (!isLost(error)) throw error;
        this.#allowed = 1;
        // The first of those that were under way opens it for all of them.
        if (file === this.#file) await this.#openAgain(error, signal);
      } finally {
        this.#underWay -= 1;
        for (const wake of this.#waiting.splice(0)) wake();
      }
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #openAgain(lost: Error, signal: AbortSignal | undefined): Promise<void> {
    this.#opening ??= this.#tryToOpen(lost, signal).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #tryToOpen(lost: Error, signal: AbortSignal | undefined): Promise<void> {
    this.#failures += 1;
    if (this.#failures > this.#retry.attempts) throw lost;
    const connect = () => this.#link.reconnect(this.#retry, signal);
    await connect();
    this.#file = await repeatedly(() => this.#open(signal), connect, this.#retry, signal);
  }
}

/** A call that does no harm when it is repeated after a loss. */
async function repeatedly<T>(
  call: () => Promise<T>,
  connect: () => Promise<void>,
  { attempts }: RetryPolicy,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await call();
    } catch (error) {
      signal?.throwIfAborted();
      if (!isLost(error) || failures > attempts) throw error;
      await connect();
    }
  }
}

/** For a look that changes nothing: where its answer is lost, it is asked again after a reconnect. */
export function askedAgain<T>(link: Link, ask: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const { retry } = link;
  return retry === undefined ? ask() : repeatedly(ask, () => link.reconnect(retry, signal), retry, signal);
}

interface LastingOptions<File> {
  readonly link: Link;
  readonly path: Buffer;
  readonly open: (options: Cancellable) => Promise<File>;
}

/** @throws TransferError (`SOURCE_CHANGED`) where there is another file by then, by its size and its time */
export async function lastingSource(
  { link, path, open }: LastingOptions<SourceFile>,
  options: Cancellable,
): Promise<SourceFile> {
  const { retry } = link;
  const first = await askedAgain(link, () => open(options), options.signal);
  if (retry === undefined) return first;
  const openSame = async (signal: AbortSignal | undefined) => {
    const again = await open({ signal });
    const { size = 0, mtime } = again.info;
    // What has been added to it meanwhile changes nothing of what was there.
    const hasGrown = size > (first.info.size ?? 0);
    if (size >= (first.info.size ?? 0) && (mtime === first.info.mtime || hasGrown)) return again;
    await again.close({ signal }).catch(() => {});
    throw changed(path);
  };
  const lasting = new Lasting(first, link, retry, openSame);
  const { maxRequests, isSpread } = first;
  return {
    info: first.info,
    maxRequests,
    ...(isSpread && { isSpread }),
    read: (offset, length, { signal }) =>
      lasting.run(signal, (file) => file.read(offset, length, { signal })),
    release: (pieces) => first.release?.(pieces),
    close: (closing) => lasting.file.close(closing),
  };
}

/**
 * For a file that is written at offsets: what is sent once more lies where it was to lie the first time.
 *
 * @param sizeOf how long it is, where the server tells
 */
export function lastingTarget(
  {
    link,
    path,
    open,
    sizeOf,
  }: LastingOptions<TargetFile> & { readonly sizeOf: () => Promise<number | undefined> },
  first: TargetFile,
): TargetFile {
  const { retry } = link;
  if (retry === undefined) return first;
  /** Where what is not confirmed begins: all before the first of them is. */
  const pending = new Set<number>();
  const lasting = new Lasting(first, link, retry, async (signal) => {
    try {
      const again = await open({ signal });
      const size = await sizeOf();
      if (size === undefined || size >= Math.min(...pending)) return again;
      await again.close({ signal }).catch(() => {});
    } catch (error) {
      // Somebody has taken it away: what was written is not there any more.
      throw hasCode(error, 'ENOENT') ? changed(path, error) : error;
    }
    throw changed(path);
  });
  return {
    // What was asked last need not be done last.
    isOrdered: false,
    write: async (offset, pieces, { signal }) => {
      pending.add(offset);
      await lasting.run(signal, (file) => file.write(offset, pieces, { signal }));
      pending.delete(offset);
    },
    setAttributes: (changes, { signal }) =>
      lasting.run(signal, (file) => file.setAttributes(changes, { signal })),
    // Each write was confirmed by itself: that the answer is lost loses nothing.
    close: (closing) =>
      lasting.file.close(closing).catch((error) => {
        if (!isLost(error)) throw error;
      }),
  };
}

function changed(path: Buffer, cause?: unknown): TransferError {
  const message = `${quote(path)} is another file than before the connection was lost; begin the stream anew`;
  return new TransferError(message, {
    code: 'SOURCE_CHANGED',
    source: quote(path),
    destination: 'a stream',
    bytesDone: 0,
    side: 'remote',
    path: quote(path),
    cause,
  });
}
