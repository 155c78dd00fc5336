/**
 * One SFTP session: request ids, the calls in flight, and one closing path. Whatever ends the session, the
 * first reason wins, and every pending call gets it.
 */
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import {
  ConnectionLostError,
  ProtocolError,
  SftpStatusError,
  SshError,
  UnsupportedError,
} from '../errors.js';
import { deferred } from '../shared/promises.js';
import type { Redaction } from '../shared/redaction.js';
import type { RemotePath } from '../shared/remote-path.js';
import { timerDelay } from '../shared/timer-delay.js';
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
import { SSH_FX } from '../wire/status.js';
import { extensionData } from './answers.js';
import { type Answer, Call, type PendingCall, type WhenAborted } from './call.js';
import { Gate } from './gate.js';
import { HandleBudget } from './handle-budget.js';
import { performHandshake } from './handshake.js';
import { DEFAULT_LIMITS, type Limits, limitsFrom } from './limits.js';
import { PacketStream } from './packet-stream.js';
import { givenTwice } from './quirks/repeated-handle.js';
import { describeRequest } from './status-error.js';

export interface SessionOptions {
  /** How long one call waits for its reply, in milliseconds; `null`: as long as the session lives. */
  readonly timeoutMs?: number | null | undefined;
  /**
   * The session ends when calls are pending and no byte has moved for so long, in milliseconds. Not while the
   * server is at work that takes its time (`copy-data`, `fsync@openssh.com`); whether the other side is still
   * there is then up to the keepalive of whatever carries the stream. A call that is not answered for so long after
   * later ones were is given up by itself, with a `TimeoutError`.
   */
  readonly noProgressTimeoutMs?: number | undefined;
  /** How long the server may take to answer INIT, in milliseconds. */
  readonly handshakeTimeoutMs?: number | undefined;
  /** What the handshake begins with has been sent; see {@link initPacket}. */
  readonly isInitSent?: boolean | undefined;
  /** How many requests may be in flight at once. Default: no limit. */
  readonly maxRequests?: number | undefined;
  /** Ends the handshake. */
  readonly signal?: AbortSignal | undefined;
  /** What is struck out of what the server says. */
  readonly secrets?: Redaction | undefined;
  /** Gets a line for each request but READ and WRITE. */
  readonly debug?: ((line: string) => void) | undefined;
  /** The id of the first request, and after how many ids they start over at 0; tests of the wrap at 2³² set it. */
  readonly requestIds?: { readonly first: number; readonly count?: number } | undefined;
}

export interface RequestOptions {
  /** Rejects the call with the signal's reason; the late reply is swallowed. */
  readonly signal?: AbortSignal | undefined;
  /** Default: `reject`. */
  readonly whenAborted?: WhenAborted | undefined;
  /** How long this call waits for its reply, in milliseconds. Default: `timeoutMs` of the session. */
  readonly timeoutMs?: number | undefined;
  /** The path for error messages. */
  readonly path?: RemotePath | undefined;
  /** The second path, where there are two. */
  readonly newPath?: RemotePath | undefined;
  /** The operation for error messages, where it is not the request's own name. */
  readonly operation?: string | undefined;
  /** What the request has to pass. Default: that of the session. */
  readonly gate?: Gate<PendingCall> | undefined;
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

const LIMITS = extensions.limits;
/** What OpenSSH's server has announced first since it announces anything. */
const OPENSSH_BEGINS = [extensions.posixRename.name, extensions.statvfs.name, extensions.fstatvfs.name];
/** For the first round trip, in which a server tells how many it has. */
const HANDLES_UNTIL_TOLD = 64;

const NO_PROGRESS_TIMEOUT_MS = 60_000;
/** After an abort, the call waits for the answers to what was sent. If the server is silent for this long, the session is closed. */
const ABORT_PATIENCE_MS = 3_000;
const HANDSHAKE_TIMEOUT_MS = 20_000;
/** How often in that time calls are looked at that wait while others are answered. */
const SWEEPS = 4;

export class Session {
  readonly #packets: PacketStream;
  readonly #inFlight = new Map<number, PendingCall>();
  readonly #gate: Gate<PendingCall>;
  /** Those at which calls may be waiting. */
  readonly #gates = new Set<Gate<PendingCall>>();
  readonly #noProgressTimeoutMs: number;
  readonly #debug: ((line: string) => void) | undefined;
  readonly #secrets: Redaction | undefined;
  readonly #idCount: number;
  #nextId: number;
  #order = 0;
  #lastAnswered = 0;
  /** Unanswered though later requests were answered, and since when. A server may answer in any order, but not for ever. */
  readonly #overtaken = new Map<PendingCall, number>();
  #sweep: NodeJS.Timeout | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #endReason: Error | undefined;
  #hurry: NodeJS.Timeout | undefined;
  #roundTripMs = Number.POSITIVE_INFINITY;
  readonly #closed = deferred<Error>();
  #limits = DEFAULT_LIMITS;

  /** The extensions that the server announced, by name. */
  readonly extensions: ReadonlyMap<string, Uint8Array>;
  /**
   * Whether a request is carried out when those before it have been. OpenSSH's server does so, and is known by what it
   * announces first; another may have several workers, and must have answered what the next request relies on.
   */
  readonly worksInOrder: boolean;
  /** Where all that opens a file or directory gets its handle from. */
  readonly handles: HandleBudget;
  /** How long one call waits for its reply, in milliseconds, or `null`. */
  timeoutMs: number | null;
  /** Resolves with the reason when the session is over; never rejects. */
  readonly closed: Promise<Error> = this.#closed.promise;
  readonly #ended = new AbortController();
  /** Aborts with the reason when the session is over: for calls that wait for something other than the server. */
  readonly ended: AbortSignal = this.#ended.signal;

  private constructor(
    packets: PacketStream,
    extensions: ReadonlyMap<string, Uint8Array>,
    options: SessionOptions,
  ) {
    this.#packets = packets;
    this.#secrets = options.secrets;
    this.#debug = options.debug;
    this.extensions = extensions;
    const announced = [...extensions.keys()];
    this.worksInOrder = OPENSSH_BEGINS.every((name, index) => announced[index] === name);
    this.#nextId = options.requestIds?.first ?? 0;
    this.#idCount = options.requestIds?.count ?? 2 ** 32;
    this.#gate = new Gate<PendingCall>(options.maxRequests ?? Number.POSITIVE_INFINITY);
    this.#noProgressTimeoutMs = options.noProgressTimeoutMs ?? NO_PROGRESS_TIMEOUT_MS;
    this.handles = new HandleBudget(() => this.#openSpare(), this.#noProgressTimeoutMs);
    this.timeoutMs = options.timeoutMs ?? null;
    packets.attach({
      onFrame: (frame) => this.#settle(frame),
      onProgress: () => {
        this.#watchdog?.refresh();
        this.#hurry?.refresh();
      },
      onEnd: (reason) => this.#end(asLoss(this.#secrets?.applyTo(reason) ?? reason)),
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
    }).catch((reason) => {
      throw options.secrets?.applyTo(reason) ?? reason;
    });
    // What came in one piece with VERSION may have ended it already.
    if (packets.endReason !== undefined) throw packets.endReason;
    const session = new Session(packets, extensions, options);
    if (extensions.has(LIMITS.name)) void session.#learnLimits();
    return session;
  }

  /** Why the session is over, or `undefined` while it lives. */
  get endReason(): Error | undefined {
    return this.#endReason;
  }

  /** What the server takes in one request; the assumed figures until it has told its own, or where it does not. */
  get limits(): Limits {
    return this.#limits;
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
    { operation = name, ...options }: RequestOptions,
  ): Promise<T> {
    const { signal, whenAborted = 'reject', timeoutMs = this.timeoutMs, gate = this.#gate } = options;
    if (this.endReason !== undefined) return Promise.reject(this.endReason);
    if (signal?.aborted && whenAborted !== 'proceed') return Promise.reject(signal.reason);
    const context = { operation, path: options.path, newPath: options.newPath };
    return new Promise<T>((resolve, reject) => {
      const settling = { signal, whenAborted, onHurry: this.#onHurry, timeoutMs };
      if (name !== 'read' && name !== 'write') this.#debug?.(describeRequest(context));
      const call = new Call({ name, fields, reply, accept, context, gate, ...settling, resolve, reject });
      if (gate.enter(call)) this.#send(call);
      else this.#gates.add(gate);
    });
  }

  #send(call: PendingCall): void {
    call.start();
    const id = this.#register(call);
    this.#packets.send((writer) => {
      call.encode(writer, id);
      if (!call.isSent) this.#release(id, call, undefined);
    });
  }

  /** The call is not in flight any more. */
  #release(id: number, call: PendingCall, reply: Reply | undefined): void {
    this.#inFlight.delete(id);
    this.handles.noteSettled(call, reply);
    const next = call.gate.leave();
    if (next !== undefined) this.#send(next);
  }

  /** Ends the session: every pending call rejects with `reason`, the stream is destroyed. The first reason wins. */
  destroy(reason: Error): void {
    this.#packets.end(reason);
  }

  #register(call: PendingCall): number {
    if (this.#inFlight.size === 0 || this.#watchdog === undefined) this.#watch();
    this.#sweep ??= setInterval(
      () => this.#giveUpOvertaken(),
      timerDelay(this.#noProgressTimeoutMs / SWEEPS),
    ).unref();
    call.order = ++this.#order;
    while (this.#inFlight.has(this.#nextId)) this.#nextId = (this.#nextId + 1) % this.#idCount;
    const id = this.#nextId;
    this.#nextId = (id + 1) % this.#idCount;
    this.#inFlight.set(id, call);
    this.handles.noteSent(call);
    return id;
  }

  #settle(frame: Frame): void {
    const reply = this.#withoutSecrets(decodeReply(frame));
    const call = this.#inFlight.get(reply.id);
    if (!call?.isSent) {
      throw new ProtocolError(`Received a reply for the unknown request id ${reply.id}`);
    }
    this.#lastAnswered = Math.max(this.#lastAnswered, call.order);
    this.#overtaken.delete(call);
    this.#roundTripMs = Math.min(this.#roundTripMs, performance.now() - call.askedAt);
    const isUnwanted = call.isAbandoned || call.isDoomed;
    const isGivenTwice = this.handles.isGivenTwice(call, reply);
    if (isGivenTwice && !isUnwanted) call.fail(givenTwice(call.context));
    if (isUnwanted || isGivenTwice) this.#swallow(reply, call);
    else call.settle(reply);
    this.#release(reply.id, call, reply);
  }

  #withoutSecrets(reply: Reply): Reply {
    if (reply.kind !== 'status' || this.#secrets === undefined) return reply;
    return { ...reply, message: this.#secrets.apply(reply.message) };
  }

  /** Nobody has this handle, or has it any more: it must not stay open on the server. */
  #swallow(reply: Reply, call: PendingCall): void {
    const settle = () => {
      if (call.isDoomed) call.settle(reply);
    };
    if (reply.kind !== 'handle') settle();
    else void this.#close(Buffer.from(reply.handle)).then(settle);
  }

  #close(handle: Uint8Array): Promise<void> {
    return this.request('close', { handle }, () => undefined, HURRIED).catch(() => {});
  }

  /** Nobody can take away the directory in which a session begins, or not for long. */
  async #openSpare(): Promise<(() => void) | undefined> {
    const path = Buffer.from('.');
    const handle = (answer: Answer<'handle'>) => answer && Buffer.from(answer.handle);
    try {
      const opened = await this.request('opendir', { path }, handle, { path });
      return () => opened && void this.#close(opened);
    } catch (error) {
      if (!(error instanceof SftpStatusError)) throw error;
      return error.status === SSH_FX.FAILURE ? undefined : () => {};
    }
  }

  async #learnLimits(): Promise<void> {
    this.handles.limitTo(HANDLES_UNTIL_TOLD);
    try {
      const accept = (answer: Answer<'extendedReply'>) => extensionData('limits', answer);
      this.#limits = limitsFrom(await this.extendedRequest('limits', {}, accept));
    } catch {
      // It announces them and will not tell them.
    }
    this.handles.limitTo(this.#limits.maxOpenHandles);
  }

  #watch(): void {
    if (this.#watchdog !== undefined) {
      this.#watchdog.refresh();
      return;
    }
    this.#watchdog = setTimeout(() => {
      this.#watchdog = undefined;
      if (this.#inFlight.size === this.#overtaken.size) return;
      if (this.#isServerAtWork) {
        this.#watch();
        return;
      }
      const seconds = this.#noProgressTimeoutMs / 1000;
      const message = `The server has not answered for ${seconds} s, and the connection was given up`;
      this.destroy(new ConnectionLostError(message, { code: 'ETIMEDOUT' }));
    }, timerDelay(this.#noProgressTimeoutMs)).unref();
  }

  #giveUpOvertaken(): void {
    if (this.#inFlight.size === 0) {
      clearInterval(this.#sweep);
      this.#sweep = undefined;
    }
    const now = performance.now();
    for (const call of this.#inFlight.values()) {
      if (call.order > this.#lastAnswered) break;
      const since = this.#overtaken.get(call);
      if (UNHURRIED.has(call.context.operation)) continue;
      if (since === undefined) this.#overtaken.set(call, now);
      else if (now - since >= this.#noProgressTimeoutMs && !call.isAbandoned)
        call.giveUp(this.#noProgressTimeoutMs);
    }
  }

  readonly #onHurry = (): void => {
    this.#hurry ??= setTimeout(() => {
      this.#hurry = undefined;
      const hurried = [...this.#inFlight.values()].some(({ isHurried }) => isHurried);
      if (!hurried) return;
      if (this.#isServerAtWork) {
        this.#onHurry();
        return;
      }
      const seconds = ABORT_PATIENCE_MS / 1000;
      const message = `A transfer was aborted, and the server did not answer for ${seconds} s: the session was closed`;
      this.destroy(new ConnectionLostError(message, { code: 'ETIMEDOUT' }));
    }, ABORT_PATIENCE_MS).unref();
  };

  get #isServerAtWork(): boolean {
    for (const { context } of this.#inFlight.values()) if (UNHURRIED.has(context.operation)) return true;
    return false;
  }

  #end(reason: Error): void {
    this.#endReason = reason;
    clearTimeout(this.#watchdog);
    clearInterval(this.#sweep);
    clearTimeout(this.#hurry);
    const waiting = [...this.#gates].flatMap((gate) => gate.clear());
    for (const call of [...this.#inFlight.values(), ...waiting]) if (!call.isAbandoned) call.fail(reason);
    // A gate may outlive the session: it lets as many through again.
    for (const { gate } of this.#inFlight.values()) gate.leave();
    this.#inFlight.clear();
    this.handles.end(reason);
    this.#closed.resolve(reason);
    this.#ended.abort(reason);
  }
}

/** A server process that ends takes the session along, as a lost connection does. */
export function asLoss<E>(reason: E): E | ConnectionLostError {
  if (!(reason instanceof SshError) || reason.code !== 'CHANNEL_CLOSED') return reason;
  return new ConnectionLostError(reason.message, { code: reason.code, cause: reason });
}
/** Nobody waits for it for long. */
const HURRIED: RequestOptions = { signal: AbortSignal.abort(), whenAborted: 'proceed' };

function unsupported(extension: string): UnsupportedError {
  return new UnsupportedError(`The server does not support ${extension}`, { extension });
}
