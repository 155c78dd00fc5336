/** The embedded server in a process of its own; it ends with the one that started it. */
import { startServer } from '../../testing/index.js';

/** Starts it, and tells the process that has started this one where. */
export async function serve([root = '', username = '', password = '']: readonly string[]): Promise<void> {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});
  process.once('disconnect', () => process.exit());
  const { host, port, knownHosts, hostKey } = await startServer(
    { root },
    { users: { [username]: password } },
  );
  process.send?.({ host, port, knownHosts, fingerprint: hostKey.fingerprint });
}
