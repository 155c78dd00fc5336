/** Connecting through jump hosts: each verifies and logs in for itself, and sees only what is encrypted for the next. */
import { ConnectionLostError } from '../../errors.js';
import type { SshConnection } from '../ssh-connection.js';
import { connectSsh2 } from './ssh2.js';
import type { Ssh2Connection } from './ssh2-connection.js';
import type { Ssh2Options } from './ssh2-options.js';

/**
 * Connects to the first of the hosts, from there to the next, and so on. The connection to the last one is the
 * result; when it ends, so do those before it. `leftMs` of each tells what those before it have left of the time. Rejects as `connectSsh2`.
 */
export async function connectThrough(
  hosts: readonly [Ssh2Options, ...Ssh2Options[]],
): Promise<SshConnection> {
  const [first, ...others] = hosts;
  let last: Ssh2Connection = await connectSsh2(first);
  for (const next of others) {
    const via = last;
    try {
      const { host, port, signal, leftMs } = next;
      const stream = await via.openTunnel(host, port, { signal, timeoutMs: leftMs?.() });
      last = await connectSsh2({ ...next, stream });
    } catch (error) {
      via.destroy(
        new ConnectionLostError('The next host could not be reached through this jump host', {
          cause: error,
        }),
      );
      throw error;
    }
    void last.closed.then(() => via.close());
  }
  return last;
}
