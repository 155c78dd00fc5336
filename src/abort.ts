type Listener = (reason: unknown) => void;

/** Who waits for a signal. The signal itself has one listener however many these are: adding one is dear. */
const listeners = new WeakMap<AbortSignal, Set<Listener>>();

/** Calls `listener` with the signal's reason when it aborts, and gives a function that calls this off. */
export function onAbort(signal: AbortSignal | undefined, listener: Listener): () => void {
  if (signal === undefined) return () => {};
  const waiting = listeners.get(signal) ?? listenTo(signal);
  // A function of its own, as the same listener may be given twice.
  const own: Listener = (reason) => listener(reason);
  waiting.add(own);
  return () => waiting.delete(own);
}

function listenTo(signal: AbortSignal): Set<Listener> {
  const waiting = new Set<Listener>();
  listeners.set(signal, waiting);
  const notify = () => {
    for (const listener of waiting) listener(signal.reason);
    waiting.clear();
  };
  signal.addEventListener('abort', notify, { once: true });
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
    task.then(resolve, reject).finally(callOff);
    if (signal.aborted) reject(signal.reason);
  });
}
