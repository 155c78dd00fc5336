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
