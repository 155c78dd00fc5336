/** OpenSSH's sshd at the far end of a network with a bottleneck. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { makeKey } from '../../test/support/sshd.js';
import type { BenchServer } from '../server.js';
import type { LineSpec } from './line-spec.js';
import { type Network, startNetwork } from './network.js';

const PORT = 22;

export interface LineServer extends BenchServer {
  /** What plain TCP carries, in Mbit/s. */
  tcpRate(direction: 'get' | 'put'): Promise<number>;
  /** Of a line that changes: it becomes what it is at such a turn, and goes on from there. */
  changeFrom(turn: number): void;
}

export async function startLineServer(spec: LineSpec): Promise<LineServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-line-'));
  const stops: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = async () => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    const network = await startNetwork(spec, folder);
    stops.push(() => network[Symbol.asyncDispose]());
    const hostKey = await makeKey(join(folder, 'host'), 'ed25519');
    const userKey = join(folder, 'user');
    writeFileSync(join(folder, 'authorized_keys'), `${await makeKey(userKey, 'ed25519')}\n`);
    writeFileSync(join(folder, 'known_hosts'), `${network.host} ${hostKey}\n`);
    writeFileSync(join(folder, 'config'), configText(folder, network));
    stops.push(
      await startProgram(network, ['/usr/sbin/sshd', '-D', '-e', '-f', join(folder, 'config')], /listening/),
    );
    const tcp = fileURLToPath(new URL('tcp.mjs', import.meta.url));
    stops.push(await startProgram(network, [process.execPath, tcp, 'serve', network.host], /ready/));
    const known = join(folder, 'known_hosts');
    return {
      host: network.host,
      port: PORT,
      prefix: network.client,
      env: {
        ...process.env,
        BENCH_HOST: network.host,
        BENCH_PORT: String(PORT),
        BENCH_USER: userInfo().username,
        BENCH_KEY: userKey,
        BENCH_HOST_KEY: hostKey,
      },
      sshOptions: [
        ...['-F', '/dev/null', '-i', userKey, '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes'],
        ...['-o', `UserKnownHostsFile=${known}`],
      ],
      tcpRate: async (direction) => tcpRate(network, [process.execPath, tcp, direction, network.host, '4']),
      changeFrom: (turn) => network.changeFrom(turn),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function configText(folder: string, { host }: Network): string {
  return [
    `ListenAddress ${host}`,
    `Port ${PORT}`,
    `HostKey ${join(folder, 'host')}`,
    `AuthorizedKeysFile ${join(folder, 'authorized_keys')}`,
    `PidFile ${join(folder, 'pid')}`,
    'StrictModes no',
    'UsePAM no',
    'PermitRootLogin yes',
    'MaxStartups 100',
    // One cipher for all, so that programs are compared and not ciphers.
    'Ciphers aes128-gcm@openssh.com',
    'Subsystem sftp /usr/lib/openssh/sftp-server',
    '',
  ].join('\n');
}

/** Resolves with what ends it, when it says that it is ready. */
async function startProgram(
  network: Network,
  command: readonly string[],
  ready: RegExp,
): Promise<() => Promise<unknown>> {
  const [program = '', ...words] = [...network.server, ...command];
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      createInterface(stream).on('line', (line) => ready.test(line) && resolve());
    child.once('exit', (status) => reject(new Error(`${command[0]} ended with ${status}`)));
  });
  return () => {
    child.kill();
    return ended;
  };
}

function tcpRate(network: Network, command: readonly string[]): number {
  const [program = '', ...words] = [...network.client, ...command];
  const { stdout } = spawnSync(program, words, { encoding: 'utf8', timeout: 30_000 });
  return Number(stdout.trim());
}
