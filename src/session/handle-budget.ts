/**
 * The handles of one session. A server keeps only so many open, OpenSSH's about 1,019, and refuses the next with a plain
 * "failure". So everything that opens a file or directory gets its handle from here, in the order of asking, and waits
 * while there is none. How many there are is told by `limits@openssh.com`, or learned when the server refuses one.
 */
import { Buffer } from 'node:buffer';
import { SftpError, SftpStatusError } from '../errors.js';
import { onAbort } from '../shared/abort.js';
import { timerDelay } from '../shared/timer-delay.js';
import type { Reply } from '../wire/packets.js';
import { SSH_FX } from '../wire/status.js';
import type { PendingCall } from './call.js';
import { isGivenTwice } from './quirks/repeated-handle.js';

export interface HandleRequest {
  /** What is opened, for the message of an error. */
  readonly subject: () => string;
  /**
   * A copy that holds a handle to read from and waits for one to write to must get it in the end. So the last handle is kept
   * for writing: those who have it wait for nobody.
   */
  readonly isForWriting?: boolean | undefined;
  /** Rejects at once rather than wait. */
  readonly onlyIfFree?: boolean | undefined;
  /** A plain "failure" is expected and does not mean that handles have run out. */
  readonly mayFail?: boolean | undefined;
  /** Opening it once more does no harm and undoes whatever went through a handle that was given twice. */
  readonly mayRepeat?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Waiting {
  readonly order: number;
  readonly subject: () => string;
  readonly send: () => void;
  readonly fail: (reason: unknown) => void;
}

/** Opens a directory that certainly exists, and returns a function that closes it; `undefined` after a plain "failure". */
export type Probe = () => Promise<(() => void) | undefined>;

/** Of requests to open one file, each after the server had none left for the last. */
const MAX_ATTEMPTS = 16;

export class HandleBudget {
  readonly #probe: Probe;
  readonly #maxIdleMs: number;
  /** How many are open on the server, by their bytes: a right one gives each of them once. */
  readonly #open = new Map<string, number>();
  #openCount = 0;
  /** Those that were given again while they were open: nobody knows which file they reach. */
  readonly #repeated = new Set<string>();
  #repeatCount = 0;
  /** Requests that are not answered yet. */
  #opening = 0;
  #limit = Number.POSITIVE_INFINITY;
  readonly #readers: Waiting[] = [];
  readonly #writers: Waiting[] = [];
  #order = 0;
  #idle: NodeJS.Timeout | undefined;
  #probing: Promise<boolean> | undefined;
  #isOver = false;

  /** @param maxIdleMs nobody waits longer while no handle is used or closed */
  constructor(probe: Probe, maxIdleMs: number) {
    this.#probe = probe;
    this.#maxIdleMs = maxIdleMs;
  }

  /** How many may be open at once; `undefined`: as many as the server does not refuse. */
  limitTo(count: number | undefined): void {
    this.#limit = count ?? Number.POSITIVE_INFINITY;
    this.#serve();
  }

  /**
   * Sends a request that opens something as soon as there is a handle for it, and again where the server had none.
   *
   * @throws SftpError (`EMFILE`) where all are open and none of them is used or closed for a long time.
   */
  async open<T>(send: () => Promise<T>, request: HandleRequest): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#whenFree(send, request);
      } catch (error) {
        if (isGivenTwice(error) && request.mayRepeat && attempt < MAX_ATTEMPTS) continue;
        const isAlone = this.#openCount + this.#opening === 0;
        if (request.mayFail || isAlone || attempt === MAX_ATTEMPTS || !isPlainFailure(error)) throw error;
      }
      if (this.#probing !== undefined && (await this.#probing)) continue;
      const closeAgain = await this.#findSpare();
      if (closeAgain === undefined) continue;
      // In one batch: the server has just had one to spare, so that a failure now has another reason.
      closeAgain();
      return send();
    }
  }

  noteSent({ name }: PendingCall): void {
    if (OPENING.has(name)) this.#opening += 1;
  }

  /** @param reply `undefined`: the request was not sent after all */
  noteSettled({ name, handle }: PendingCall, reply: Reply | undefined): void {
    if (handle !== undefined) this.#idle?.refresh();
    if (OPENING.has(name)) this.#opening -= 1;
    else if (name !== 'close' || handle === undefined) return;
    if (reply?.kind === 'handle') this.#noteOpened(keyOf(reply.handle));
    if (handle !== undefined) this.#noteClosed(keyOf(handle));
    this.#serve();
  }

  /** How many handles have been given twice so far. */
  get repeatCount(): number {
    return this.#repeatCount;
  }

  /** Whether an answer, or what it is about, has a handle that was open already when it was given. */
  isGivenTwice({ handle }: PendingCall, reply: Reply): boolean {
    if (reply.kind === 'handle') return this.#open.has(keyOf(reply.handle));
    return this.#repeated.size > 0 && handle !== undefined && this.#repeated.has(keyOf(handle));
  }

  #noteOpened(key: string): void {
    const count = this.#open.get(key) ?? 0;
    this.#open.set(key, count + 1);
    this.#openCount += 1;
    if (count === 0) return;
    // Erlang's server gives no handle twice while no more than two are open.
    this.#limit = this.#limit > 2 ? 2 : 1;
    this.#repeated.add(key);
    this.#repeatCount += 1;
  }

  #noteClosed(key: string): void {
    const count = this.#open.get(key);
    if (count === undefined) return;
    this.#openCount -= 1;
    if (count > 1) this.#open.set(key, count - 1);
    else {
      this.#open.delete(key);
      this.#repeated.delete(key);
    }
  }

  /** The session is over. */
  end(reason: unknown): void {
    this.#isOver = true;
    this.#failAll(() => reason);
  }

  #whenFree<T>(send: () => Promise<T>, request: HandleRequest): Promise<T> {
    const { isForWriting = false, onlyIfFree, subject, signal } = request;
    // Those who wait have been looked at since a handle came back: they lack what this one does not need.
    if (this.#isOver || this.#hasRoom(isForWriting)) return send();
    if (onlyIfFree) return Promise.reject(this.#outOfHandles(subject));
    signal?.throwIfAborted();
    const queue = isForWriting ? this.#writers : this.#readers;
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = {
        order: this.#order++,
        subject,
        send: () => {
          callOff();
          resolve(send());
        },
        fail: (reason) => {
          callOff();
          reject(reason);
        },
      };
      const callOff = onAbort(signal, (reason) => {
        queue.splice(queue.indexOf(waiting), 1);
        reject(reason);
      });
      queue.push(waiting);
      this.#idle ??= setTimeout(
        () => this.#failAll((one) => this.#outOfHandles(one.subject)),
        timerDelay(this.#maxIdleMs),
      ).unref();
    });
  }

  #hasRoom(isForWriting: boolean): boolean {
    const kept = isForWriting || this.#limit === 1 ? 0 : 1;
    return this.#openCount + this.#opening < this.#limit - kept;
  }

  /** In the order of asking, but for readers that wait for more than the last one. */
  #serve(): void {
    while (this.#hasRoom(true)) {
      const [writer] = this.#writers;
      const [reader] = this.#hasRoom(false) ? this.#readers : [];
      const isWritersTurn = reader === undefined || (writer !== undefined && writer.order < reader.order);
      const next = (isWritersTurn ? this.#writers : this.#readers).shift();
      if (next === undefined) break;
      next.send();
    }
    if (this.#readers.length + this.#writers.length === 0) this.#stopWatching();
  }

  /** Where there is none, at most as many as are open now may be. */
  #findSpare(): Promise<(() => void) | undefined> {
    const probe = this.#probe().catch((error: unknown) => {
      // It had one to spare. That this was given twice is no failure of the request that is probed for.
      if (isGivenTwice(error)) return () => {};
      throw error;
    });
    const probing = probe.then((closeAgain) => {
      if (closeAgain === undefined) this.#limit = Math.max(1, Math.min(this.#limit, this.#openCount));
      return closeAgain;
    });
    const verdict = probing.then(
      (closeAgain) => closeAgain === undefined,
      () => false,
    );
    this.#probing = verdict;
    void verdict.then(() => {
      if (this.#probing === verdict) this.#probing = undefined;
    });
    return probing;
  }

  #failAll(reasonFor: (waiting: Waiting) => unknown): void {
    this.#stopWatching();
    const all = [...this.#readers.splice(0), ...this.#writers.splice(0)];
    for (const waiting of all) waiting.fail(reasonFor(waiting));
  }

  #stopWatching(): void {
    clearTimeout(this.#idle);
    this.#idle = undefined;
  }

  #outOfHandles(subject: () => string): SftpError {
    const text =
      `${subject()}: all ${this.#limit} files and directories that the server keeps open for this connection are open, ` +
      'and none is being used; close what you no longer need';
    return new SftpError('EMFILE', text);
  }
}

const OPENING: ReadonlySet<string> = new Set(['open', 'opendir']);

/** Servers have no status that says that there are no handles left. */
function isPlainFailure(error: unknown): boolean {
  return error instanceof SftpStatusError && error.status === SSH_FX.FAILURE;
}

function keyOf(handle: Uint8Array): string {
  return Buffer.from(handle).toString('latin1');
}
