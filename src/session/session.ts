/**
 * One SFTP session: request ids, the calls in flight, and one closing path. Whatever ends the session, the
 * first reason wins, and every pending call gets it.
 */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { ConnectionLostError, ProtocolError, UnsupportedError } from '../errors.js';
import type { RemotePath } from '../remote-path.js';
import { timerDelay } from '../timer-delay.js';
import { decodeReply } from '../wire/codec.js';
import {
  type ExtensionFields,
  type ExtensionName,
  encodeExtensionFields,
  extensions,
} from '../wire/extensions.js';
import type { Frame } from '../wire/framing.js';
import {
  type Reply,
  type ReplyName,
  type RequestFields,
  type RequestName,
  requests,
} from '../wire/packets.js';
import { type Answer, Call, type PendingCall } from './call.js';
import { performHandshake } from './handshake.js';
import { PacketStream } from './packet-stream.js';
import { describeRequest } from './status-error.js';

export interface SessionOptions {
  /** How long one call waits for its reply, in milliseconds; `null`: as long as the session lives. */
  readonly timeoutMs?: number | null | undefined;
  /**
   * The session ends when calls are pending and no byte has moved for so long, in milliseconds. Not while the
   * server is at work that takes its time (`copy-data`, `fsync@openssh.com`); whether the other side is still
   * there is then up to the keepalive of whatever carries the stream.
   */
  readonly noProgressTimeoutMs?: number | undefined;
  /** How long the server may take to answer INIT, in milliseconds. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** What the handshake begins with has been sent; see {@link initPacket}. */
  readonly isInitSent?: boolean | undefined;
  /** Ends the handshake. */
  readonly signal?: AbortSignal | undefined;
  /** Gets a line for each request but READ and WRITE. */
  readonly debug?: ((line: string) => void) | undefined;
  /** The id of the first request, and after how many ids they start over at 0; tests of the wrap at 2³² set it. */
  readonly requestIds?: { readonly first: number; readonly count?: number } | undefined;
}

export interface RequestOptions {
  /** Rejects the call with the signal's reason; the late reply is swallowed. */
  readonly signal?: AbortSignal | undefined;
  /** The path for error messages. */
  readonly path?: RemotePath | undefined;
  /** The second path, where there are two. */
  readonly newPath?: RemotePath | undefined;
  /** The operation for error messages, where it is not the request's own name. */
  readonly operation?: string | undefined;
}

type AnsweredBy<Table extends Readonly<Record<string, { readonly reply: ReplyName }>>, R> = {
  [N in keyof Table]: Table[N]['reply'] extends R ? N : never;
}[keyof Table];
/** The requests whose success is a reply of that kind. */
export type RequestAnsweredBy<R extends ReplyName> = AnsweredBy<typeof requests, R>;
export type ExtensionAnsweredBy<R extends ReplyName> = AnsweredBy<typeof extensions, R>;

/** Copying or syncing gigabytes may take minutes, in which OpenSSH's server answers nothing else either. */
const UNHURRIED: ReadonlySet<string> = new Set(
  (['copyData', 'fsync'] as const satisfies readonly ExtensionName[]).map((name) => extensions[name].name),
);

const NO_PROGRESS_TIMEOUT_MS = 60_000;
const HANDSHAKE_TIMEOUT_MS = 20_000;

export class Session {
  readonly #packets: PacketStream;
  readonly #inFlight = new Map<number, PendingCall>();
  readonly #noProgressTimeoutMs: number;
  readonly #debug: ((line: string) => void) | undefined;
  readonly #idCount: number;
  #nextId: number;
  #watchdog: NodeJS.Timeout | undefined;
  #roundTripMs = Number.POSITIVE_INFINITY;
  #resolveClosed: (reason: Error) => void = () => {};

  /** The extensions that the server announced, by name. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  /** How long one call waits for its reply, in milliseconds, or `null`. */
  timeoutMs: number | null;
  /** Resolves with the reason when the session is over; never rejects. */
  readonly closed: Promise<Error>;

  private constructor(
    packets: PacketStream,
    extensions: ReadonlyMap<string, Uint8Array>,
    options: SessionOptions,
  ) {
    this.#packets = packets;
    this.#debug = options.debug;
    this.extensions = extensions;
    this.#nextId = options.requestIds?.first ?? 0;
    this.#idCount = options.requestIds?.count ?? 2 ** 32;
    this.#noProgressTimeoutMs = options.noProgressTimeoutMs ?? NO_PROGRESS_TIMEOUT_MS;
    this.timeoutMs = options.timeoutMs ?? null;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    packets.attach({
      onFrame: (frame) => this.#settle(frame),
      onProgress: () => this.#watchdog?.refresh(),
      onEnd: (reason) => this.#end(reason),
    });
  }

  /**
   * Speaks the handshake over a stream that leads to an SFTP server.
   *
   * @throws ProtocolError where the peer is no SFTP server of version 3; text that it sent instead is quoted.
   * @throws ConnectionLostError where the stream ends first, or no answer comes in time.
   */
  static async open(stream: Duplex, options: SessionOptions = {}): Promise<Session> {
    options.signal?.throwIfAborted();
    const packets = new PacketStream(stream);
    const extensions = await performHandshake(packets, {
      isInitSent: options.isInitSent ?? false,
      timeoutMs: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
      signal: options.signal,
    });
    // What came in one piece with VERSION may have ended it already.
    if (packets.endReason !== undefined) throw packets.endReason;
    return new Session(packets, extensions, options);
  }

  /** Why the session is over, or `undefined` while it lives. */
  get endReason(): Error | undefined {
    return this.#packets.endReason;
  }

  /** The shortest time in which the server has answered, in milliseconds; `Infinity` before the first answer. */
  get roundTripMs(): number {
    return this.#roundTripMs;
  }

  /** Calls that wait for a reply, those whose caller has gone included. */
  get pendingCount(): number {
    return this.#inFlight.size;
  }

  /**
   * Sends a request and resolves with what `accept` makes of the reply. `accept` runs as soon as the reply is
   * there; what it throws ends the session.
   *
   * @throws SftpStatusError where the server answers a failure.
   * @throws TimeoutError where the reply takes longer than `timeoutMs`.
   * @throws Error the reason that ended the session, or that of the signal.
   */
  request<R extends ReplyName, N extends RequestAnsweredBy<R>, T>(
    name: N,
    fields: RequestFields<N>,
    accept: (answer: Answer<R>) => T,
    options: RequestOptions = {},
  ): Promise<T> {
    return this.#exchange(name, fields, requests[name].reply as R, accept, options);
  }

  /**
   * Sends an extended request, as {@link request}.
   *
   * @throws UnsupportedError where the server did not announce the extension.
   */
  extendedRequest<R extends ReplyName, N extends ExtensionAnsweredBy<R>, T>(
    name: N,
    fields: ExtensionFields<N>,
    accept: (answer: Answer<R>) => T,
    options: RequestOptions = {},
  ): Promise<T> {
    const { name: extension, reply } = extensions[name];
    if (!this.extensions.has(extension)) return Promise.reject(unsupported(extension));
    const data = encodeExtensionFields(name, fields);
    return this.#exchange('extended', { name: extension, data }, reply as R, accept, {
      operation: extension,
      ...options,
    });
  }

  #exchange<N extends RequestName, R extends ReplyName, T>(
    name: N,
    fields: RequestFields<N>,
    reply: R,
    accept: (answer: Answer<R>) => T,
    { signal, path, newPath, operation = name }: RequestOptions,
  ): Promise<T> {
    if (this.endReason !== undefined) return Promise.reject(this.endReason);
    if (signal?.aborted) return Promise.reject(signal.reason);
    const context = { operation, path, newPath };
    return new Promise<T>((resolve, reject) => {
      const { timeoutMs } = this;
      if (name !== 'read' && name !== 'write') this.#debug?.(describeRequest(context));
      this.#send(new Call({ name, fields, reply, accept, context, signal, timeoutMs, resolve, reject }));
    });
  }

  #send(call: PendingCall): void {
    const id = this.#register(call);
    this.#packets.send((writer) => {
      call.encode(writer, id);
      if (!call.isSent) this.#inFlight.delete(id);
    });
  }

  /** Ends the session: every pending call rejects with `reason`, the stream is destroyed. The first reason wins. */
  destroy(reason: Error): void {
    this.#packets.end(reason);
  }

  #register(call: PendingCall): number {
    if (this.#inFlight.size === 0) this.#watch();
    while (this.#inFlight.has(this.#nextId)) this.#nextId = (this.#nextId + 1) % this.#idCount;
    const id = this.#nextId;
    this.#nextId = (id + 1) % this.#idCount;
    this.#inFlight.set(id, call);
    return id;
  }

  #settle(frame: Frame): void {
    const reply = decodeReply(frame);
    const call = this.#inFlight.get(reply.id);
    if (!call?.isSent) {
      throw new ProtocolError(`The server answered request ${reply.id}, which is not open`);
    }
    this.#roundTripMs = Math.min(this.#roundTripMs, performance.now() - call.askedAt);
    if (call.isAbandoned) this.#closeLateHandle(reply);
    else call.settle(reply);
    this.#inFlight.delete(reply.id);
  }

  /** Nobody waits for this handle any more: it must not stay open on the server. */
  #closeLateHandle(reply: Reply): void {
    if (reply.kind !== 'handle') return;
    this.request('close', { handle: Buffer.from(reply.handle) }, () => undefined).catch(() => {});
  }

  #watch(): void {
    if (this.#watchdog !== undefined) {
      this.#watchdog.refresh();
      return;
    }
    this.#watchdog = setTimeout(() => {
      this.#watchdog = undefined;
      if (this.#inFlight.size === 0) return;
      if (this.#isServerAtWork) {
        this.#watch();
        return;
      }
      const seconds = this.#noProgressTimeoutMs / 1000;
      const message = `The server has not answered for ${seconds} s, and the connection was given up`;
      this.destroy(new ConnectionLostError(message, { code: 'ETIMEDOUT' }));
    }, timerDelay(this.#noProgressTimeoutMs)).unref();
  }

  get #isServerAtWork(): boolean {
    for (const { context } of this.#inFlight.values()) if (UNHURRIED.has(context.operation)) return true;
    return false;
  }

  #end(reason: Error): void {
    clearTimeout(this.#watchdog);
    for (const call of this.#inFlight.values()) if (!call.isAbandoned) call.fail(reason);
    this.#inFlight.clear();
    this.#resolveClosed(reason);
  }
}

function unsupported(extension: string): UnsupportedError {
  return new UnsupportedError(`The server does not support ${extension}`, { extension });
}
