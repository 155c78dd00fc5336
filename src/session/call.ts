/** One request under way: from its sending to the reply, or to the moment when its caller does not wait any more. */
import { onAbort } from '../abort.js';
import { ProtocolError, TimeoutError } from '../errors.js';
import { timerDelay } from '../timer-delay.js';
import type { ByteWriter } from '../wire/bytes.js';
import { encodeRequest } from '../wire/codec.js';
import type { Reply, ReplyFields, ReplyName, RequestFields, RequestName } from '../wire/packets.js';
import { SSH_FX } from '../wire/status.js';
import { describeRequest, type RequestContext, statusError } from './status-error.js';

/** A reply that is no failure; `null` in its place where READ or READDIR have reached the end. */
export type Answer<R extends ReplyName> = ReplyFields<R> | null;

export interface CallRequest<N extends RequestName, R extends ReplyName, T> {
  readonly name: N;
  readonly fields: RequestFields<N>;
  /** The reply that means success. */
  readonly reply: R;
  /** Takes a reply that is no failure; what it throws is the peer's fault and ends the session. */
  readonly accept: (answer: Answer<R>) => T;
  readonly context: RequestContext;
  readonly signal: AbortSignal | undefined;
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
  /** False while the request waits for the stream; a reply is no reply then. */
  readonly isSent: boolean;
  /** The caller has gone: the reply will be swallowed. */
  readonly isAbandoned: boolean;
  encode(writer: ByteWriter, id: number): void;
  settle(reply: Reply): void;
  fail(reason: unknown): void;
}

const READERS: ReadonlySet<RequestName> = new Set(['read', 'readdir']);

export class Call<N extends RequestName, R extends ReplyName, T> implements PendingCall {
  readonly askedAt = performance.now();
  readonly #request: CallRequest<N, R, T>;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #callOff: () => void;
  #isSent = false;
  #isAbandoned = false;

  constructor(request: CallRequest<N, R, T>) {
    this.#request = request;
    const { timeoutMs, signal } = request;
    if (timeoutMs !== null) {
      this.#timer = setTimeout(() => this.#abandon(this.#timeoutError(timeoutMs)), timerDelay(timeoutMs));
    }
    this.#callOff = onAbort(signal, (reason) => this.#abandon(reason));
  }

  get context(): RequestContext {
    return this.#request.context;
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  get isAbandoned(): boolean {
    return this.#isAbandoned;
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
    this.#request.reject(reason);
  }

  #answerOf(reply: Reply): Answer<R> {
    const { reply: expected, context } = this.#request;
    if (reply.kind === 'status' && reply.status === SSH_FX.EOF) return null;
    if (reply.kind !== expected) {
      throw new ProtocolError(`${context.operation} was answered with ${reply.kind.toUpperCase()}`);
    }
    return reply as ReplyFields<R>;
  }

  #abandon(reason: unknown): void {
    this.#isAbandoned = true;
    this.fail(reason);
  }

  #timeoutError(timeoutMs: number): TimeoutError {
    const { context } = this.#request;
    return new TimeoutError(`${describeRequest(context)}: no answer from the server within ${timeoutMs} ms`);
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
