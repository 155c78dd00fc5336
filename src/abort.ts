import { setMaxListeners } from 'node:events';

/**
 * Calls `listener` with the signal's reason when it aborts, and gives a function that calls this off. One
 * signal may stop many calls at once; Node takes more than ten listeners for a leak and warns unless told so.
 */
export function onAbort(signal: AbortSignal | undefined, listener: (reason: unknown) => void): () => void {
  if (signal === undefined) return () => {};
  const notify = () => listener(signal.reason);
  setMaxListeners(0, signal);
  signal.addEventListener('abort', notify, { once: true });
  return () => signal.removeEventListener('abort', notify);
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
