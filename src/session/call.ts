/** One request under way: from its sending to the reply, or to the moment when its caller does not wait any more. */

import { ProtocolError, TimeoutError } from '../errors.js';
import { onAbort } from '../shared/abort.js';
import { timerDelay } from '../shared/timer-delay.js';
import type { ByteWriter } from '../wire/bytes.js';
import { encodeRequest } from '../wire/codec.js';
import type { Reply, ReplyFields, ReplyName, RequestFields, RequestName } from '../wire/packets.js';
import { SSH_FX } from '../wire/status.js';
import type { Gate } from './gate.js';
import { describeRequest, type RequestContext, statusError } from './status-error.js';

/** A reply that is no failure; `null` in its place where READ or READDIR have reached the end. */
export type Answer<R extends ReplyName> = ReplyFields<R> | null;

/**
 * What an abort does to a call. `reject`: it rejects at once, and the late reply is swallowed. `await`: a request that has
 * been sent is waited for, and then the call rejects; one that has not been sent never is. `proceed`: the request is
 * sent in any case and the call ends as it does. For `await` and `proceed` a server that then falls silent loses the
 * session, so that an abort does not wait for long.
 */
export type WhenAborted = 'reject' | 'await' | 'proceed';

export interface CallRequest<N extends RequestName, R extends ReplyName, T> {
  readonly name: N;
  readonly fields: RequestFields<N>;
  /** The reply that means success. */
  readonly reply: R;
  /** Takes a reply that is no failure; what it throws is the peer's fault and ends the session. */
  readonly accept: (answer: Answer<R>) => T;
  readonly context: RequestContext;
  readonly signal: AbortSignal | undefined;
  readonly whenAborted: WhenAborted;
  /** The signal has aborted, and the call still waits for the reply. */
  readonly onHurry: () => void;
  readonly gate: Gate<PendingCall>;
  /** `null`: as long as the session lives. */
  readonly timeoutMs: number | null;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
}

/** What a session needs of it, whatever is asked. */
export interface PendingCall {
  /** By the clock of `performance.now()`. */
  readonly askedAt: number;
  readonly context: RequestContext;
  readonly name: RequestName;
  /** Counted over the session, in the order of sending. */
  order: number;
  /** What it is about, where it is about something open. */
  readonly handle: Uint8Array | undefined;
  /** Lets it through, and learns when it is answered. */
  readonly gate: Gate<PendingCall>;
  /** False while the request waits for the stream; a reply is no reply then. */
  readonly isSent: boolean;
  /** The caller has gone: the reply will be swallowed. */
  readonly isAbandoned: boolean;
  /** The caller has aborted, and waits for the reply all the same. */
  readonly isHurried: boolean;
  /** It will reject whatever the reply is: a handle is of no use to anybody. */
  readonly isDoomed: boolean;
  /** Its turn has come: from now on its time counts. */
  start(): void;
  encode(writer: ByteWriter, id: number): void;
  settle(reply: Reply): void;
  fail(reason: unknown): void;
  /** Nobody waits any more for an answer that takes so long while others come. */
  giveUp(waitedMs: number): void;
}

const READERS: ReadonlySet<RequestName> = new Set(['read', 'readdir']);

export class Call<N extends RequestName, R extends ReplyName, T> implements PendingCall {
  readonly askedAt = performance.now();
  order = 0;
  readonly #request: CallRequest<N, R, T>;
  #timer: NodeJS.Timeout | undefined;
  readonly #callOff: () => void;
  #isSent = false;
  #isAbandoned = false;
  #isHurried = false;
  /** What an abort has decided that it rejects with. */
  #doom: { readonly reason: unknown } | undefined;

  constructor(request: CallRequest<N, R, T>) {
    this.#request = request;
    const { signal } = request;
    this.#callOff = onAbort(signal, (reason) => this.#abort(reason));
    if (signal?.aborted) this.#abort(signal.reason);
  }

  start(): void {
    const { timeoutMs } = this.#request;
    if (timeoutMs === null || this.#isAbandoned) return;
    const giveUp = () => this.#abandon(this.#timeoutError(`no reply from the server within ${timeoutMs} ms`));
    this.#timer = setTimeout(giveUp, timerDelay(timeoutMs));
  }

  get context(): RequestContext {
    return this.#request.context;
  }

  get name(): RequestName {
    return this.#request.name;
  }

  get handle(): Uint8Array | undefined {
    const fields: { readonly handle?: Uint8Array } = this.#request.fields;
    return fields.handle;
  }

  get gate(): Gate<PendingCall> {
    return this.#request.gate;
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  get isHurried(): boolean {
    return this.#isHurried;
  }

  get isDoomed(): boolean {
    return this.#doom !== undefined;
  }

  /** Runs when the stream takes the request. What cannot be encoded is the caller's mistake and ends only this call. */
  encode(writer: ByteWriter, id: number): void {
    if (this.#isAbandoned) return;
    const { name, fields } = this.#request;
    try {
      encodeRequest(writer, id, name, fields);
      this.#isSent = true;
    } catch (error) {
      this.fail(error);
    }
  }

  /** @throws ProtocolError where the reply is none to this request. */
  settle(reply: Reply): void {
    const { name, accept, context, resolve } = this.#request;
    if (this.#doom !== undefined) {
      this.fail(this.#doom.reason);
      return;
    }
    if (reply.kind === 'status' && isFailure(name, reply.status)) {
      this.fail(statusError(reply, context));
      return;
    }
    const value = accept(this.#answerOf(reply));
    this.#disarm();
    resolve(value);
  }

  fail(reason: unknown): void {
    this.#disarm();
    this.#request.reject(this.#doom === undefined ? reason : this.#doom.reason);
  }

  giveUp(waitedMs: number): void {
    const seconds = waitedMs / 1000;
    this.#abandon(
      this.#timeoutError(`the server has not replied for ${seconds} s, but has replied to later requests`),
    );
  }

  #answerOf(reply: Reply): Answer<R> {
    const { reply: expected, context } = this.#request;
    if (reply.kind === 'status' && reply.status === SSH_FX.EOF) return null;
    if (reply.kind !== expected) {
      throw new ProtocolError(`Received ${reply.kind.toUpperCase()} as the reply to ${context.operation}`);
    }
    return reply as ReplyFields<R>;
  }

  #abort(reason: unknown): void {
    const { whenAborted, onHurry } = this.#request;
    if (whenAborted === 'reject' || (whenAborted === 'await' && !this.#isSent)) {
      this.#abandon(reason);
      return;
    }
    if (whenAborted === 'await') this.#doom = { reason };
    this.#isHurried = true;
    onHurry();
  }

  #abandon(reason: unknown): void {
    this.#isAbandoned = true;
    this.fail(reason);
  }

  #timeoutError(what: string): TimeoutError {
    return new TimeoutError(`${describeRequest(this.#request.context)}: ${what}`);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#callOff();
  }
}

/** EOF is an answer to those who read, and a failure to the others. */
function isFailure(name: RequestName, status: number): boolean {
  return status === SSH_FX.EOF ? !READERS.has(name) : status !== SSH_FX.OK;
}
