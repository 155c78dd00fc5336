/**
 * A channel as a Duplex that keeps its promises, around ssh2's, which does not: the server's window is
 * enforced, what we buffer is bounded by the SSH window and by TCP, every write is called back, and `close`
 * always comes. Bytes are passed on as they arrive, without a second buffer in between.
 */

import { Duplex, Readable } from 'node:stream';
import { SshError } from '../../../errors.js';
import { copyOf, type Lender, type LentBuffer, retain } from '../../../shared/lent-memory.js';
import { printable } from '../../../shared/printable.js';
import { deferred } from '../../../shared/promises.js';
import { closedByServer, closedHere, endAfterReading, KEPT_STDERR } from '../../channel-end.js';
import type { CommandExit } from '../../ssh-connection.js';
import type { RawChannel } from '../ssh2-internals.js';
import { RECEIVE_WINDOW, ReceiveWindow } from './receive-window.js';
import { SendQueue, type SendQueueSettings, type WriteCallback } from './send-queue.js';

/** Below it a channel is useless, and 0 would have ssh2 loop for ever. */
const MINIMUM_PACKET_SIZE = 256;
/** RFC 4253, section 6.1: what every implementation takes. More has no use, and ssh2 allocates it at once. */
const MAXIMUM_PACKET_SIZE = 32 * 1024;
const WRITABLE_HIGH_WATER_MARK = 512 * 1024;
/** An end of data should be followed by the channel's close, with the exit status. */
const CLOSE_AFTER_EOF_MS = 1_000;

/** Not every server passes the signal on, and OpenSSH closes the channel only when the command has ended. */
const KILL_TIMEOUT_MS = 2_000;

export interface ChannelSettings extends SendQueueSettings {
  /** For messages: what runs on it, for instance `the subsystem sftp`. */
  readonly label: string;
  /** Tells the server that it may send more. */
  readonly announce: (bytes: number) => void;
  /**
   * `error`: that the server ends the channel before we do is an error, with what it wrote on stderr.
   * `stream`: stderr is a stream of its own and the server may end whenever it likes.
   */
  readonly stderr: 'error' | 'stream';
}

export class Channel extends Duplex implements Lender {
  /** What the server writes on stderr; empty if it goes into the error. */
  readonly stderr: Readable;
  /** Resolves when the server has closed the channel, rejects when the connection is lost first. */
  readonly exit: Promise<CommandExit>;
  readonly #raw: RawChannel;
  readonly #settings: ChannelSettings;
  readonly #sending: SendQueue;
  readonly #window: ReceiveWindow;
  #stderrText = Buffer.alloc(0);
  readonly #exited = deferred<CommandExit>();
  #exit: CommandExit = { exitCode: null, signal: null };
  #closedByServer = false;
  #lends = false;
  #eofTimer: NodeJS.Timeout | undefined;

  constructor(raw: RawChannel, settings: ChannelSettings) {
    super({ readableHighWaterMark: RECEIVE_WINDOW, writableHighWaterMark: WRITABLE_HIGH_WATER_MARK });
    this.#raw = raw;
    this.#settings = settings;
    // An error has told its story in every callback; without a listener it would end the process too.
    this.on('error', () => {});
    this.exit = this.#exited.promise;
    this.exit.catch(() => {});
    raw.outgoing.packetSize = Math.min(raw.outgoing.packetSize, MAXIMUM_PACKET_SIZE);
    this.#sending = new SendQueue(raw, settings);
    this.#window = new ReceiveWindow(
      settings.announce,
      () => this.errored === null && !settings.socket.destroyed && raw.outgoing.state !== 'closed',
    );
    this.stderr = new Readable({ highWaterMark: RECEIVE_WINDOW, read: () => this.#makeRoom('stderr') });
    this.stderr.on('error', () => {});
    this.#takeOver();
    if (raw.outgoing.packetSize < MINIMUM_PACKET_SIZE) {
      this.destroy(
        new SshError(
          'CHANNEL_REFUSED',
          `The server accepts packets of at most ${raw.outgoing.packetSize} bytes for ${settings.label}, which is too little`,
        ),
      );
    }
  }

  override _read(): void {
    this.#makeRoom('stdout');
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#send([chunk], callback);
  }

  override _writev(chunks: readonly { chunk: Buffer }[], callback: WriteCallback): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      callback,
    );
  }

  override _final(callback: WriteCallback): void {
    this.#sending.flush((error) => {
      if (error == null && !this.#closedByServer && !this.#settings.socket.destroyed) {
        this.#raw.end();
      }
      callback(error);
    });
  }

  override _destroy(given: Error | null, callback: (error?: Error | null) => void): void {
    // `for await` to the end of a Duplex that can still be written aborts it: not an error, it has got all.
    const error = this.readableEnded && given?.name === 'AbortError' ? null : given;
    clearTimeout(this.#eofTimer);
    this.#sending.end(error ?? this.#localEnd());
    if (!this.#closedByServer) {
      this.#leave(error);
    }
    if (error !== null) {
      this.stderr.destroy(error);
    }
    callback(error);
  }

  /**
   * Reading to the end destroys a stream (`for await` does). Then the server is told that nothing more will
   * come, and its exit status is still waited for; what is cut off earlier is closed.
   */
  #leave(error: Error | null): void {
    const { socket } = this.#settings;
    if (error !== null || socket.destroyed) {
      this.#exited.reject(error ?? this.#localEnd());
    }
    if (socket.destroyed) {
      return;
    }
    if (error === null && this.readableEnded) {
      this.#raw.end();
    } else {
      this.#raw.close();
    }
  }

  #localEnd(): Error {
    return closedHere(this.#settings.label);
  }

  /** Asks the server to end what runs here. A server that does not answer is not waited for. */
  kill(): void {
    if (this.#closedByServer || this.destroyed || this.#settings.socket.destroyed) {
      return;
    }
    this.#raw.signal('TERM');
    this.#raw.close();
    const timer = setTimeout(() => this.#onClose(), KILL_TIMEOUT_MS);
    this.once('close', () => clearTimeout(timer));
  }

  /**
   * ssh2 hands over data by `push`. Taking it there, rather than from a `data` event, spares a second buffer
   * and lets our own reader's pace decide on the window, which ssh2 does not enforce.
   */
  #takeOver(): void {
    const raw = this.#raw;
    const endRaw = raw.push.bind(raw, null);
    const endStderr = raw.stderr.push.bind(raw.stderr, null);
    raw.incoming.window = Number.POSITIVE_INFINITY;
    raw.push = (chunk: LentBuffer | null) => (chunk === null ? this.#onEof(endRaw) : this.#onData(chunk));
    raw.stderr.push = (chunk: LentBuffer | null) => (chunk === null ? endStderr() : this.#onStderr(chunk));
    raw.resume();
    raw.stderr.resume();
    raw.on('error', (error: Error) => this.destroy(error));
    raw.on('exit', (exitCode: number | null, signal?: string) => {
      this.#exit = { exitCode, signal: typeof signal === 'string' ? printable(signal, 32) : null };
    });
    raw.on('close', () => this.#onClose());
    this.#grow();
  }

  lend(): void {
    this.#lends = true;
  }

  #onData(chunk: LentBuffer): boolean {
    if (this.#count(chunk.length)) {
      this.#window.setRoom('stdout', this.destroyed || this.push(chunk));
      if (!this.#lends || this.readableLength > 0) retain(chunk);
      this.#grow();
    }
    return true;
  }

  #onStderr(chunk: LentBuffer): boolean {
    if (!this.#count(chunk.length)) {
      return true;
    }
    if (this.#settings.stderr === 'stream') {
      this.#window.setRoom('stderr', this.stderr.push(retain(chunk)));
    } else if (this.#stderrText.length < KEPT_STDERR) {
      this.#stderrText = Buffer.concat([this.#stderrText, copyOf(chunk)]).subarray(0, KEPT_STDERR);
    }
    this.#grow();
    return true;
  }

  /** Counts against the window; a server that sends as much again beyond it is cut off. */
  #count(bytes: number): boolean {
    if (this.errored !== null || this.#closedByServer) {
      return false;
    }
    if (this.#window.count(bytes)) {
      return true;
    }
    const text = `The server sent far more than allowed on ${this.#settings.label}; the channel was closed`;
    this.destroy(new SshError('WINDOW_EXCEEDED', text));
    return false;
  }

  /** What lies here unread counts as well: together it is never more than the window. */
  #grow(): void {
    this.#window.grow(this.readableLength + this.stderr.readableLength);
  }

  #makeRoom(reader: 'stdout' | 'stderr'): void {
    this.#window.setRoom(reader, true);
    this.#grow();
  }

  #send(chunks: readonly Buffer[], callback: WriteCallback): void {
    if (this.#closedByServer) {
      callback(this.#unreadError());
    } else {
      this.#sending.push(chunks, callback);
    }
  }

  /** The exit status and the reason on stderr come after the end of data: wait for them, but not for ever. */
  #onEof(endRaw: () => boolean): boolean {
    if (this.#settings.stderr === 'stream' || this.writableEnded) {
      this.push(null);
    } else {
      this.#eofTimer = setTimeout(() => this.push(null), CLOSE_AFTER_EOF_MS);
    }
    return endRaw();
  }

  #onClose(): void {
    if (this.#closedByServer) {
      return;
    }
    clearTimeout(this.#eofTimer);
    this.#closedByServer = true;
    if (this.#settings.socket.destroyed) {
      this.#exited.reject(this.#localEnd());
    }
    this.#exited.resolve(this.#exit);
    if (!this.stderr.destroyed) {
      this.stderr.push(null);
    }
    this.#sending.end(this.#unreadError());
    if (this.destroyed) {
      return;
    }
    const failed = this.#settings.stderr === 'error' && !this.writableEnded;
    endAfterReading(this, { failed }, () => this.#endedError());
  }

  /** What a command leaves unread is no failure, and must not take its output along. */
  #unreadError(): SshError | undefined {
    return this.#settings.stderr === 'error' ? this.#endedError() : undefined;
  }

  #endedError(): SshError {
    return closedByServer(this.#settings.label, this.#exit, this.#stderrText.toString('utf8'));
  }
}
