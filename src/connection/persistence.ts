/** Transfers that go on when the connection was lost, and is made again. */
import { ConnectionLostError } from '../errors.js';
import { isLost, isTransient, type RetryPolicy } from '../retry.js';
import type { FileSystem } from '../transfer/file-system.js';
import { Journal } from '../transfer/journal.js';
import type { Link } from './link.js';

export interface PersistOptions {
  /** `undefined`: a lost connection ends the transfer. */
  readonly retry: RetryPolicy | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What the last attempt has left is kept for a later run of the program. */
  readonly resumes: boolean;
  /** Where it is written. */
  readonly target: FileSystem;
}

/** Attempt after attempt over one connection or two, as long as it is only the connection that fails and the policy allows. */
export async function persist<T>(
  links: Link | readonly Link[],
  { retry, signal, resumes, target }: PersistOptions,
  attempt: (journal: Journal | undefined) => Promise<T>,
): Promise<T> {
  if (retry === undefined) return attempt(undefined);
  const journal = new Journal();
  try {
    for (let failures = 0; ; ) {
      try {
        return await attempt(journal);
      } catch (error) {
        failures = journal.takeAdvance() ? 1 : failures + 1;
        signal?.throwIfAborted();
        if (!isLost(error) || failures > retry.attempts) throw error;
        await restore([links].flat(), error, retry, signal);
      }
    }
  } finally {
    await journal.close(target, { resumes });
  }
}

/** Those of them that are lost. */
async function restore(
  links: readonly Link[],
  lost: ConnectionLostError,
  retry: RetryPolicy,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    for (const link of links) await link.restore(retry, signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (!isTransient(error)) throw error;
    const { code, transfer } = lost;
    const message = `${lost.message}; it could not be made again: ${(error as Error).message}`;
    throw new ConnectionLostError(message, { code, cause: error, ...(transfer && { transfer }) });
  }
}
