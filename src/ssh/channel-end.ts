/** How a channel ends over either transport: what has come is read first, and then one error says why. */
import type { Duplex } from 'node:stream';
import { ConnectionLostError, SshError } from '../errors.js';
import { printable } from '../shared/printable.js';
import type { CommandExit } from './ssh-connection.js';

/** How much of what is written on stderr is kept for the error. */
export const KEPT_STDERR = 4 * 1024;

/** We have closed it, or the connection is gone. */
export function closedHere(label: string): ConnectionLostError {
  return new ConnectionLostError(`${label} was closed`, { code: 'CHANNEL_CLOSED' });
}

/** The server has closed it before we did. */
export function closedByServer(label: string, { exitCode, signal }: CommandExit, stderr: string): SshError {
  const how = exitCode === null ? (signal ?? 'without a status') : `with status ${exitCode}`;
  const words = printable(stderr.trim());
  const said = words === '' ? '' : `; the server says: ${words}`;
  return new SshError('CHANNEL_CLOSED', `The server closed ${label} (${how})${said}`);
}

/**
 * Destroys a channel to which nothing more will come, as soon as everything that has come is read: by then the reason
 * may have come too. `isLost`: nobody waits for that any more.
 */
export function endAfterReading(
  channel: Duplex,
  { failed, isLost = false }: { readonly failed: boolean; readonly isLost?: boolean },
  reason: () => Error,
): void {
  const finish = (): void => void channel.destroy(failed ? reason() : undefined);
  if (channel.readableEnded || isLost || (failed && channel.readableLength === 0)) finish();
  else {
    channel.once('end', finish);
    channel.push(null);
  }
}
