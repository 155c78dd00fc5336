/** A stream of the caller's, or anything with `write`, as the target of a copy. It is never closed. */

import { Buffer } from 'node:buffer';
import type { Writable } from 'node:stream';
import type { WritableStream, WritableStreamDefaultWriter } from 'node:stream/web';
import { untilAborted } from '../../shared/abort.js';
import { kindOf } from '../../shared/arguments.js';
import { SerialQueue } from '../../shared/promises.js';
import type { Cancellable, TargetFile } from '../file-system.js';

/** What {@link Connection.getfo} writes to: a web stream, a Node Writable, or whatever else has `write`. */
export type ContentSink = WritableStream<Uint8Array> | ObjectWithWrite;

/** The least that can be written to; a promise that `write` gives is waited for. */
export interface ObjectWithWrite {
  write(chunk: Buffer): unknown;
}

/** How one kind of sink takes a piece. */
interface Outlet {
  /** Resolves when the next piece may follow; `taken` resolves when the sink is done with this one. */
  put(piece: Buffer): Promise<{ readonly taken: Promise<unknown> }>;
  release(): void;
}

/**
 * One piece after the other, as fast as the sink takes them. What the sink has not taken yet is kept in flight,
 * so that the window bounds it.
 */
export class SinkTarget implements TargetFile {
  readonly isOrdered = false;
  readonly #outlet: Outlet;
  readonly #turn = new SerialQueue({ endsWithFailure: true });

  private constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /**
   * What opens the sink once the file is there. Nothing is touched before.
   *
   * @throws TypeError where it cannot be written to
   */
  static prepare(sink: ContentSink): () => SinkTarget {
    const open = outletFor(sink);
    return () => new SinkTarget(open());
  }

  /** A sink may keep what it gets, so that it is memory of its own. */
  write(_offset: number, pieces: readonly Buffer[], { signal }: Cancellable): Promise<void> {
    // The next waits until it may follow, not until the sink is done with this one.
    const put = this.#turn.run(async () => {
      signal?.throwIfAborted();
      return this.#outlet.put(Buffer.concat(pieces));
    });
    const all = put.then(async ({ taken }) => {
      await taken;
    });
    all.catch(() => {});
    return untilAborted(all, signal);
  }

  async setAttributes(): Promise<void> {}

  /** Lets the sink go. */
  async close(): Promise<void> {
    this.#outlet.release();
  }
}

function outletFor(sink: unknown): () => Outlet {
  if (typeof sink === 'object' && sink !== null) {
    if ('getWriter' in sink) {
      const stream = sink as WritableStream<Uint8Array>;
      if (stream.locked) throw new TypeError('the sink is a locked WritableStream');
      return () => webOutlet(stream.getWriter());
    }
    if ('write' in sink && typeof sink.write === 'function') {
      if (!('writableLength' in sink)) return () => plainOutlet(sink as ObjectWithWrite);
      const stream = sink as unknown as Writable;
      if (stream.writableEnded || stream.destroyed)
        throw new TypeError('the sink is a stream that has ended');
      return () => nodeOutlet(stream);
    }
  }
  throw new TypeError(`the sink must be a Writable, a WritableStream or have write(), not ${kindOf(sink)}`);
}

function webOutlet(writer: WritableStreamDefaultWriter<Uint8Array>): Outlet {
  return {
    put: async (piece) => {
      await writer.ready;
      return { taken: writer.write(piece) };
    },
    release: () => writer.releaseLock(),
  };
}

function plainOutlet(sink: ObjectWithWrite): Outlet {
  return {
    put: async (piece) => {
      await sink.write(piece);
      return { taken: Promise.resolve() };
    },
    release: () => {},
  };
}

function nodeOutlet(stream: Writable): Outlet {
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  const onClose = () => fail(new Error('the sink was closed before everything was written to it'));
  stream.on('error', fail);
  stream.on('close', onClose);
  return {
    put: async (piece) => {
      let flows = true;
      const taken = new Promise<void>((resolve, reject) => {
        flows = stream.write(piece, (error) => (error ? reject(error) : resolve()));
      });
      taken.catch(() => {});
      if (!flows) await Promise.race([drained(stream), failed]);
      return { taken: Promise.race([taken, failed]) };
    },
    release: () => {
      stream.off('close', onClose);
      // The error that we have reported, or that of a write that we gave up, may still be emitted.
      if (stream.writableLength === 0 && !stream.errored) stream.off('error', fail);
    },
  };
}

function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => stream.once('drain', () => resolve()));
}
