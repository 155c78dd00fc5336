/** Two network namespaces with a bottleneck between them, so that whatever runs in them meets real TCP. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LineSpec } from './line-spec.js';

const CHANGE_INTERVAL_MS = 2_000;

/** What most machines have: others would tell of another network. */
const ALGORITHM = 'cubic';

/** Of this machine, for the control of congestion. */
function algorithms(which: 'available' | 'allowed'): readonly string[] {
  try {
    return readFileSync(`/proc/sys/net/ipv4/tcp_${which}_congestion_control`, 'utf8').trim().split(' ');
  } catch {
    return [];
  }
}

/** Other namespaces may use what is allowed only. Gives what takes it back. */
function allowAlgorithm(): () => void {
  const allowed = algorithms('allowed');
  if (allowed.length === 0 || allowed.includes(ALGORITHM)) return () => {};
  const allow = (names: readonly string[]) =>
    execFileSync('sysctl', ['-qw', `net.ipv4.tcp_allowed_congestion_control=${names.join(' ')}`]);
  allow([...allowed, ALGORITHM]);
  return () => allow(allowed);
}

export interface Network extends AsyncDisposable {
  /** Where the server is for the client. */
  readonly host: string;
  /** What a command begins with that runs at that end. */
  readonly client: readonly string[];
  readonly server: readonly string[];
  /** Of a line that changes: it becomes what it is at such a turn, and goes on from there. */
  changeFrom(turn: number): void;
}

/** What the machine lacks for it, one by one; none where it can be had. */
export function missingForLines(): readonly string[] {
  const has = (program: string) => spawnSync('which', [program]).status === 0;
  const needs: readonly (readonly [boolean, string])[] = [
    [process.platform === 'linux', 'Linux'],
    [process.getuid?.() === 0, 'root'],
    [existsSync('/dev/net/tun'), '/dev/net/tun (in a container: --device /dev/net/tun)'],
    [has('ip') && spawnSync('ip', ['netns', 'list']).status === 0, 'ip of iproute2, with network namespaces'],
    [has('gcc') || has('cc'), 'a C compiler'],
    [existsSync('/usr/sbin/sshd'), 'OpenSSH (openssh-server)'],
    [
      algorithms('available').includes(ALGORITHM),
      `the congestion control ${ALGORITHM} of the kernel (modprobe)`,
    ],
  ];
  const missing = needs.filter(([isThere]) => !isThere).map(([, what]) => what);
  return missing.length > 0 ? missing : missingRight();
}

/** Containers may have the program and not the right. */
function missingRight(): readonly string[] {
  const name = `tsftp-try-${process.pid}`;
  const { status, stderr } = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (status !== 0) return [`the right to make network namespaces (CAP_SYS_ADMIN): ${stderr.trim()}`];
  spawnSync('ip', ['netns', 'del', name]);
  return [];
}

/** @param folder where the program is compiled to */
export async function startNetwork(spec: LineSpec, folder: string): Promise<Network> {
  const program = join(folder, 'bottleneck');
  if (!existsSync(program)) {
    const source = fileURLToPath(new URL('bottleneck.c', import.meta.url));
    execFileSync('cc', ['-O2', '-o', program, source]);
  }
  const id = process.pid % 10_000;
  const ends = [
    { namespace: `tsftp-c-${process.pid}`, device: `tsc${id}`, address: '10.78.0.1' },
    { namespace: `tsftp-s-${process.pid}`, device: `tss${id}`, address: '10.78.0.2' },
  ] as const;
  const bottleneck = spawn(program, [ends[0].device, ends[1].device], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [client, server] = ends.map(({ namespace }) => ['ip', 'netns', 'exec', namespace]) as [
    string[],
    string[],
  ];
  const changes = new Changes(bottleneck, spec);
  const restrict = allowAlgorithm();
  const stop = async () => {
    changes.stop();
    restrict();
    const ended = new Promise((resolve) => bottleneck.once('exit', resolve));
    if (bottleneck.exitCode === null && bottleneck.stdin.end()) await ended;
    for (const { namespace } of ends) {
      endProcesses(namespace);
      spawnSync('ip', ['netns', 'del', namespace]);
    }
  };
  try {
    await configure(bottleneck, spec);
    for (const { namespace, device, address } of ends) {
      const ip = (...words: readonly string[]) => execFileSync('ip', words);
      ip('netns', 'add', namespace);
      ip('link', 'set', device, 'netns', namespace);
      ip('-n', namespace, 'addr', 'add', `${address}/30`, 'dev', device);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
      ip('-n', namespace, 'link', 'set', device, 'up', 'mtu', '1500', 'txqueuelen', '10000');
      const settings = [`net.ipv4.tcp_congestion_control=${ALGORITHM}`, 'net.ipv4.tcp_no_metrics_save=1'];
      execFileSync('ip', ['netns', 'exec', namespace, 'sysctl', '-qw', ...settings]);
    }
    changes.startFrom(0);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    host: ends[1].address,
    client,
    server,
    changeFrom: (turn) => changes.startFrom(turn),
    [Symbol.asyncDispose]: stop,
  };
}

/** Sessions of sshd whose client has gone never hear of it once the network is down. */
function endProcesses(namespace: string): void {
  const { stdout } = spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
  for (const pid of stdout.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid));
    } catch {
      // It has ended by itself.
    }
  }
}

/** What becomes of a line from time to time. */
class Changes {
  readonly #bottleneck: ChildProcess;
  readonly #spec: LineSpec;
  #timer: NodeJS.Timeout | undefined;

  constructor(bottleneck: ChildProcess, spec: LineSpec) {
    this.#bottleneck = bottleneck;
    this.#spec = spec;
  }

  startFrom(turn: number): void {
    const { changes } = this.#spec;
    if (changes === undefined) return;
    this.stop();
    let next = turn;
    const change = () => {
      this.#bottleneck.stdin?.write(settingsOf({ ...this.#spec, ...changes[next % changes.length] }));
      next += 1;
    };
    change();
    this.#timer = setInterval(change, CHANGE_INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

async function configure(bottleneck: ChildProcess, spec: LineSpec): Promise<void> {
  const { stdin, stdout } = bottleneck;
  if (stdin === null || stdout === null) throw new Error('the bottleneck has no pipes');
  const ready = new Promise<void>((resolve, reject) => {
    createInterface(stdout).once('line', () => resolve());
    bottleneck.once('exit', (status) => reject(new Error(`the bottleneck ended with ${status}`)));
  });
  stdin.on('error', () => {});
  stdin.write(settingsOf(spec));
  await ready;
}

function settingsOf({ roundTripMs, mbitPerSecond, lossPercent, queueKib }: LineSpec): string {
  const figures = [roundTripMs * 500, mbitPerSecond * 1e6, lossPercent * 1e4, queueKib * 1024];
  return `${figures.map(Math.round).join(' ')}\n`;
}
