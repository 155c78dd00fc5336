type Listener = (reason: unknown) => void;

/** Who waits for a signal. The signal itself has one listener however many these are: adding one is dear. */
const waitings = new WeakMap<AbortSignal, Waiting>();

interface Waiting {
  readonly listeners: Set<Listener>;
  /** Takes the listener off the signal. */
  leave(): void;
}

/** Calls `listener` with the signal's reason when it aborts, and gives a function that calls this off. */
export function onAbort(signal: AbortSignal | undefined, listener: Listener): () => void {
  if (signal === undefined) return () => {};
  const waiting = waitings.get(signal) ?? listenTo(signal);
  // A function of its own, as the same listener may be given twice.
  const own: Listener = (reason) => listener(reason);
  waiting.listeners.add(own);
  return () => {
    if (waiting.listeners.delete(own) && waiting.listeners.size === 0) waiting.leave();
  };
}

function listenTo(signal: AbortSignal): Waiting {
  const listeners = new Set<Listener>();
  const leave = () => {
    waitings.delete(signal);
    signal.removeEventListener('abort', notify);
  };
  const notify = () => {
    leave();
    for (const listener of listeners) listener(signal.reason);
  };
  const waiting = { listeners, leave };
  waitings.set(signal, waiting);
  signal.addEventListener('abort', notify);
  return waiting;
}

/**
 * Settles as the task does, or rejects with the signal's reason as soon as that aborts. The task goes on by
 * itself then, and how it ends is of no interest any more.
 */
export function untilAborted<T>(task: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return task;
  return new Promise((resolve, reject) => {
    const callOff = onAbort(signal, reject);
    const settle =
      <V>(end: (value: V) => void) =>
      (value: V) => {
        callOff();
        end(value);
      };
    task.then(settle(resolve), settle(reject));
    if (signal.aborted) reject(signal.reason);
  });
}

/** What the task comes to, or `undefined` where that takes longer. */
export function withinTime<T>(task: Promise<T> | undefined, timeMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, timeMs, undefined);
  });
  return Promise.race([task, tooLong]).finally(() => clearTimeout(timer));
}

/** Aborts with the first of some signals, and lets go of them at the end of the block. */
export class FirstOf implements Disposable {
  readonly #controller = new AbortController();
  /** Called when the signals are released. */
  readonly callOffs: (() => void)[] = [];

  constructor(...signals: readonly (AbortSignal | undefined)[]) {
    for (const signal of signals) {
      if (signal?.aborted) this.fail(signal.reason);
      this.callOffs.push(onAbort(signal, (reason) => this.fail(reason)));
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  fail(reason: unknown): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    for (const callOff of this.callOffs) callOff();
  }
}
