/** The server of all scenarios: OpenSSH's sshd on loopback, behind a long line where wanted. */
import { startDelayProxy } from '../test/support/delay-proxy.js';
import { startSshd } from '../test/support/sshd.js';

export interface BenchServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** What a client's command begins with. */
  readonly prefix?: readonly string[] | undefined;
  /** The server and how to log in, for the programs of `jobs/`. */
  readonly env: NodeJS.ProcessEnv;
  /** The options that make OpenSSH's own programs log in the same way. */
  readonly sshOptions: readonly string[];
}

/** One cipher for all, so that programs are compared and not ciphers. */
const CONFIG = ['Ciphers aes128-gcm@openssh.com', 'MaxStartups 100'];

export async function startBenchServer(roundTripMs: number): Promise<BenchServer> {
  const sshd = await startSshd({ config: CONFIG });
  const proxy = roundTripMs > 0 ? await startDelayProxy(sshd.port, roundTripMs) : undefined;
  const port = proxy?.port ?? sshd.port;
  const { user, privateKeyPath } = sshd;
  return {
    host: '127.0.0.1',
    port,
    env: {
      ...process.env,
      BENCH_HOST: '127.0.0.1',
      BENCH_PORT: String(port),
      BENCH_USER: user,
      BENCH_KEY: privateKeyPath,
      BENCH_FINGERPRINT_FILE: sshd.knownHosts,
      BENCH_HOST_KEY: sshd.hostKeys.ed25519 ?? '',
    },
    sshOptions: [
      ...['-F', '/dev/null', '-i', privateKeyPath, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
      // The proxy has a port of its own, so the key is looked up under the name of the server.
      ...['-o', `HostKeyAlias=[127.0.0.1]:${sshd.port}`, '-o', `UserKnownHostsFile=${sshd.knownHosts}`],
    ],
    [Symbol.asyncDispose]: async () => {
      await proxy?.[Symbol.asyncDispose]();
      await sshd.stop();
    },
  };
}
