/**
 * The server's side of one SFTP session over any byte stream: frames in, answers out, in order. It reads no
 * further while an answer is pending or the way back is congested, so a client that asks without reading
 * costs no memory.
 */
import { once } from 'node:events';
import type { Duplex, Writable } from 'node:stream';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { ByteWriter } from '../../wire/bytes.js';
import { decodeHandshake, decodeRequest, encodeHandshake, encodeReply } from '../../wire/codec.js';
import { type Frame, FrameDecoder } from '../../wire/framing.js';
import { type Request, SFTP_VERSION } from '../../wire/packets.js';
import { SSH_FX } from '../../wire/status.js';
import type { Backend } from '../backends/backend.js';
import { type Counters, noteAnswered, noteAsked, noteOpened } from '../counters.js';
import { applyFaults, type Faults } from '../faults.js';
import { type ServerAnswer, statusAnswer } from './answers.js';
import { extensionPairs } from './extension-handlers.js';
import { HandleTable } from './handles.js';
import { createResponder } from './request-handlers.js';
import type { SessionState } from './session-state.js';

export interface SftpServiceOptions {
  readonly backend: Backend;
  readonly home: string;
  readonly username: string;
  readonly extensions: readonly string[];
  readonly faults: Faults;
  readonly counters: Counters;
  /** What carries the channel, where that has a buffer of its own. */
  readonly carrier?: Writable;
  /** Ends the connection under the session, without a word. */
  readonly disconnect: () => void;
  /** Fires when the channel or the connection under it has ended. */
  readonly signal: AbortSignal;
  /** The session is over: in order (0), or because the client broke the protocol. */
  readonly onEnd?: (exitCode: number) => void;
}

const MAX_HANDLES = 1000;
/** So much may wait in the carrier before the next request is taken. */
const CARRIER_MARK = 1024 * 1024;
const MAX_HELD = 64;
/** Until then whatever was asked without waiting for the answer has come as well. */
const COMPANY_MS = 2;
const NOT_ALONE = statusAnswer(SSH_FX.FAILURE, 'One request at a time');

/** Serves SFTP on `channel` until it ends. */
export function serveSftp(channel: Duplex, options: SftpServiceOptions): void {
  const service = new SftpService(channel, options);
  service.start();
}

class SftpService {
  readonly #channel: Duplex;
  readonly #options: SftpServiceOptions;
  readonly #state: SessionState;
  readonly #respond: (request: Request) => ServerAnswer | Promise<ServerAnswer>;
  readonly #decoder = new FrameDecoder();
  readonly #writer = new ByteWriter();
  /** Frames that wait for their turn. */
  readonly #inbox: Frame[] = [];
  #working = false;
  #greeted = false;
  #inputEnded = false;
  #ended = false;
  /** Replies that faults hold back. */
  #held: (readonly [request: Request, answer: ServerAnswer])[] = [];
  readonly #unanswered = new Set<Request>();
  /** Nothing else was asked beside the request that is looked at. */
  #isAlone = true;

  constructor(channel: Duplex, options: SftpServiceOptions) {
    this.#channel = channel;
    this.#options = options;
    const { backend, home, username, extensions } = options;
    const maxHandles = Math.min(MAX_HANDLES, options.faults.maxHandles ?? MAX_HANDLES);
    const handles = new HandleTable(maxHandles, { repeats: options.faults.handlesTwice });
    this.#state = { backend, home, username, extensions, handles, maxHandles };
    this.#respond = applyFaults(createResponder(this.#state), options.faults, {
      disconnect: options.disconnect,
      pathOf: (handle) => handles.find(handle)?.path,
    });
  }

  start(): void {
    this.#options.counters.sessions += 1;
    this.#channel.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#channel.once('end', () => {
      this.#inputEnded = true;
      if (!this.#working) this.#end(0);
    });
    this.#channel.on('error', () => this.#end(1));
    this.#channel.once('close', () => this.#end(1));
    this.#options.signal.addEventListener('abort', () => this.#end(1), { once: true });
  }

  #receive(chunk: Buffer): void {
    if (this.#ended) return;
    try {
      for (const frame of this.#decoder.decode(chunk)) this.#inbox.push(frame);
    } catch {
      this.#end(1);
    }
    if (!this.#working) void this.#work();
  }

  /** Never rejects. Runs without a break as long as answers are there at once and go out at once. */
  async #work(): Promise<void> {
    this.#working = true;
    try {
      for (let frame = this.#inbox.shift(); frame !== undefined; frame = this.#inbox.shift()) {
        if (this.#options.faults.noPipelining) await this.#noteCompany();
        const pending = this.#handle(frame);
        if (pending !== undefined) await this.#paused(pending);
        if (this.#isCongested) await this.#paused(this.#drained());
        if (this.#inbox.length === 0 && this.#held.length > 0) await this.#release();
      }
    } catch {
      // A violation of the protocol, and nothing else gets here.
      this.#end(1);
    }
    this.#working = false;
    if (this.#inputEnded) this.#end(0);
  }

  async #noteCompany(): Promise<void> {
    if (this.#inbox.length === 0) await setTimeout(COMPANY_MS);
    this.#isAlone = this.#inbox.length === 0;
  }

  /** Takes nothing from the channel meanwhile. */
  async #paused(pending: Promise<void>): Promise<void> {
    this.#channel.pause();
    try {
      await pending;
    } finally {
      this.#channel.resume();
    }
  }

  #handle(frame: Frame): Promise<void> | undefined {
    if (!this.#greeted) {
      this.#greet(frame);
      return undefined;
    }
    const request = decodeRequest(frame);
    this.#count(request);
    const answer = this.#isAlone ? this.#respond(request) : NOT_ALONE;
    if (answer instanceof Promise) {
      const replied = this.#replyLater(request, answer);
      if (!this.#options.faults.workers) return replied;
      replied.catch(() => this.#end(1));
      return undefined;
    }
    this.#reply(request, answer);
    return undefined;
  }

  async #replyLater(request: Request, answer: Promise<ServerAnswer>): Promise<void> {
    const value = await answer;
    // A file that was opened for a session that is over.
    if (this.#ended) this.#state.handles.closeAll();
    else this.#reply(request, value);
  }

  #greet(frame: Frame): void {
    decodeHandshake(frame, 'init');
    this.#greeted = true;
    const extensions = extensionPairs(this.#options.extensions);
    encodeHandshake(this.#writer, 'version', { version: SFTP_VERSION, extensions });
    this.#send();
  }

  #reply(request: Request, answer: ServerAnswer): void {
    const { counters, faults } = this.#options;
    if (answer.kind === 'data') counters.bytesRead += lengthOf(answer.data);
    if (answer.kind === 'handle') noteOpened(counters);
    if (request.kind === 'close' && answer.kind === 'status' && answer.status === 0)
      counters.openHandles -= 1;
    if (faults.outOfOrder || faults.answersWhenQuiet) this.#held.push([request, answer]);
    else this.#write(request, answer);
  }

  /** Waits until the client has sent what it had to send, and answers that, backwards if the fault says so. */
  async #release(): Promise<void> {
    const { outOfOrder, answersWhenQuiet: quietMs = 0 } = this.#options.faults;
    if (quietMs > 0) await setTimeout(quietMs);
    // Also after a timer that was late itself: what has come meanwhile is looked at first.
    await setImmediate();
    await setImmediate();
    if (this.#inbox.length > 0 && (quietMs > 0 || this.#held.length < MAX_HELD)) return;
    const held = this.#held;
    this.#held = [];
    for (const [request, answer] of outOfOrder ? held.reverse() : held) this.#write(request, answer);
  }

  #write(request: Request, answer: ServerAnswer): void {
    if (this.#ended) return;
    this.#noteAnswered(request);
    encodeReply(this.#writer, request.id, answer.kind, answer);
    this.#send();
  }

  #noteAnswered(request: Request): void {
    if (this.#unanswered.delete(request)) noteAnswered(this.#options.counters, request.kind);
  }

  #send(): void {
    for (const chunk of this.#writer.take()) this.#channel.write(chunk);
  }

  #count(request: Request): void {
    const { counters } = this.#options;
    noteAsked(counters, request.kind);
    this.#unanswered.add(request);
    if (request.kind === 'write') counters.bytesWritten += lengthOf(request.data);
    if (request.kind !== 'extended' || !this.#options.extensions.includes(request.name)) return;
    counters.extended[request.name] = (counters.extended[request.name] ?? 0) + 1;
  }

  get #isCongested(): boolean {
    const { carrier } = this.#options;
    return this.#channel.writableNeedDrain || (carrier?.writableLength ?? 0) > CARRIER_MARK;
  }

  async #drained(): Promise<void> {
    const { signal, carrier } = this.#options;
    try {
      if (this.#channel.writableNeedDrain) await once(this.#channel, 'drain', { signal });
      if ((carrier?.writableLength ?? 0) > CARRIER_MARK && carrier !== undefined) {
        await once(carrier, 'drain', { signal });
      }
    } catch {
      // The connection ended meanwhile, and #end has been called for it.
    }
  }

  #end(exitCode: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.counters.openHandles -= this.#state.handles.size;
    this.#state.handles.closeAll();
    for (const request of this.#unanswered) this.#noteAnswered(request);
    this.#inbox.length = 0;
    this.#held = [];
    this.#options.onEnd?.(exitCode);
    if (exitCode === 0) this.#channel.end();
    else this.#channel.destroy();
    this.#channel.resume();
  }
}

function lengthOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}
