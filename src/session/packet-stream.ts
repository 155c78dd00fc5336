/**
 * Packets over a byte stream: frames in, batches of packets out, backpressure, and the one place where the
 * stream's end is noticed. The first reason wins.
 */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { ConnectionLostError, SftpError } from '../errors.js';
import { copyOf, isLender, type LentBuffer } from '../shared/lent-memory.js';
import { ByteWriter } from '../wire/bytes.js';
import { type Frame, FrameDecoder } from '../wire/framing.js';

/** Who listens; one at a time. */
export interface PacketHandlers {
  /** A packet has come. An error thrown here is the peer's fault and ends the stream. */
  onFrame(frame: Frame): void;
  /** Bytes have moved in either direction. */
  onProgress(): void;
  /** It is over. Called once. */
  onEnd(reason: Error): void;
}

/** Enough of a shell's greeting to recognise it. */
const GREETING_LENGTH = 256;

export class PacketStream {
  readonly #stream: Duplex;
  readonly #frames = new FrameDecoder();
  readonly #writer = new ByteWriter();
  #handlers: PacketHandlers | undefined;
  /** Packets that wait until the stream takes more; each encodes itself. */
  #waiting: ((writer: ByteWriter) => void)[] = [];
  #blocked = false;
  #flushScheduled = false;
  #endReason: Error | undefined;
  #firstBytes = Buffer.alloc(0);

  constructor(stream: Duplex) {
    this.#stream = stream;
    // The frames copy or retain what they keep.
    if (isLender(stream)) stream.lend();
    stream.on('data', (chunk: LentBuffer) => this.#receive(chunk));
    stream.on('drain', () => this.#unblock());
    stream.on('end', () => this.end(this.#endOfStream()));
    stream.on('close', () => this.end(this.#endOfStream()));
    stream.on('error', (error) => this.end(asSessionError(error)));
    // These tell nothing more to those who listen too late.
    if (stream.destroyed || stream.readableEnded) this.end(this.#endOfStream());
  }

  get endReason(): Error | undefined {
    return this.#endReason;
  }

  /** What the peer sent first, for the message where it was no SFTP. */
  get firstBytes(): Buffer {
    return this.#firstBytes;
  }

  /** Hands the stream over, as after the handshake. If that is too late, the new owner is told that it is over. */
  attach(handlers: PacketHandlers): void {
    this.#handlers = handlers;
    if (this.#endReason !== undefined) handlers.onEnd(this.#endReason);
  }

  /** Encodes a packet and sends it with all others of this turn, or later where the stream is full. */
  send(encode: (writer: ByteWriter) => void): void {
    if (this.#endReason !== undefined) return;
    if (this.#blocked) {
      this.#waiting.push(encode);
      return;
    }
    encode(this.#writer);
    if (this.#writer.length >= this.#stream.writableHighWaterMark) this.#flush();
    else this.#scheduleFlush();
  }

  /** Destroys the stream; only the first reason counts. */
  end(reason: Error): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    this.#waiting = [];
    this.#stream.destroy();
    this.#handlers?.onEnd(reason);
  }

  #receive(chunk: LentBuffer): void {
    this.#handlers?.onProgress();
    if (this.#firstBytes.length < GREETING_LENGTH) {
      const missing = GREETING_LENGTH - this.#firstBytes.length;
      this.#firstBytes = Buffer.concat([this.#firstBytes, copyOf(chunk.subarray(0, missing))]);
    }
    try {
      for (const frame of this.#frames.decode(chunk)) {
        if (this.#endReason !== undefined) return;
        this.#handlers?.onFrame(frame);
      }
    } catch (error) {
      this.end(asSessionError(error));
    }
  }

  /** After the promises of this turn have run, so that what they ask for is in the batch. */
  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#endReason !== undefined) return;
    this.#stream.cork();
    for (const chunk of this.#writer.take()) this.#blocked = !this.#stream.write(chunk, this.#onWritten);
    this.#stream.uncork();
  }

  /** On a slow line minutes may pass between a write and its reply, but not between two writes. */
  readonly #onWritten = () => this.#handlers?.onProgress();

  #unblock(): void {
    this.#blocked = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    let next = 0;
    for (const encode of waiting) {
      if (this.#blocked) break;
      this.send(encode);
      next += 1;
    }
    // The stream is full again: the rest keeps its place.
    this.#waiting = waiting.slice(next);
  }

  #endOfStream(): Error {
    const where = this.#frames.isPartial ? ' in the middle of a packet' : '';
    return new ConnectionLostError(`The server ended the SFTP session${where}`);
  }
}

function asSessionError(error: unknown): Error {
  if (error instanceof SftpError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new ConnectionLostError(`The connection to the server was lost: ${text}`, { cause: error });
}
