/** The embedded server in a process of its own; it ends with the one that started it. */
import { startServer } from '../testing/index.js';
import type { ServerAddress } from './embedded-server.js';

const [root = '', username = '', password = ''] = process.argv.slice(2);
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});
process.once('disconnect', () => process.exit());

const { host, port, knownHosts, hostKey } = await startServer({ root }, { users: { [username]: password } });
process.send?.({ host, port, knownHosts, fingerprint: hostKey.fingerprint } satisfies ServerAddress);
