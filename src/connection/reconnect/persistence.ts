/** Transfers that resume after a reconnect. */

import { ConnectionLostError } from '../../errors.js';
import { FirstOf } from '../../shared/abort.js';
import { isLost, mayReconnect, type RetryPolicy } from '../../shared/retry.js';
import type { FileSystem } from '../../transfer/file-system.js';
import { Journal } from '../../transfer/resume/journal.js';
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

/** One attempt: `signal` aborts with the caller's, and with the reason of the end of any of the sessions. */
export type Attempt<T> = (journal: Journal | undefined, signal: AbortSignal) => Promise<T>;

/** Attempt after attempt over one connection or two, as long as it is only the connection that fails and the policy allows. */
export async function persist<T>(
  given: Link | readonly Link[],
  { retry, signal, resumes, target }: PersistOptions,
  attempt: Attempt<T>,
): Promise<T> {
  const links = [given].flat();
  const begin = async (journal: Journal | undefined) => {
    for (const link of links) await link.reconnect(link.retry, signal);
    using first = new FirstOf(signal, ...links.map(({ session }) => session.ended));
    return await attempt(journal, first.signal);
  };
  if (retry === undefined) return begin(undefined);
  const journal = new Journal();
  try {
    for (let failures = 0; ; ) {
      try {
        return await begin(journal);
      } catch (error) {
        failures = journal.takeAdvance() ? 1 : failures + 1;
        signal?.throwIfAborted();
        if (!isLost(error) || failures > retry.attempts) throw error;
        await restore(links, error, retry, signal);
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
    for (const link of links) await link.reconnect(retry, signal);
  } catch (error) {
    signal?.throwIfAborted();
    if (!mayReconnect(error)) throw error;
    const { code, transfer } = lost;
    const message = `${lost.message}; reconnecting failed: ${(error as Error).message}`;
    throw new ConnectionLostError(message, { code, cause: error, ...(transfer && { transfer }) });
  }
}
