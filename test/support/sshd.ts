/**
 * A real OpenSSH server for tests: on 127.0.0.1 and a free port, with its own host keys and its own config in a
 * temporary folder. It does not read or change what is in /etc, save for the users that a test asks for.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const SSHD = '/usr/sbin/sshd';
const SFTP_SERVER = '/usr/lib/openssh/sftp-server';

/** Skips a suite, with a reason, where OpenSSH is missing: `describe('…', { skip: needsOpenSsh }, …)`. */
export const needsOpenSsh: string | false =
  existsSync(SSHD) && existsSync(SFTP_SERVER) && process.getuid?.() === 0
    ? false
    : 'needs OpenSSH (openssh-server and openssh-client) and root';

export type KeyType = 'ed25519' | 'rsa' | 'ecdsa';

export interface SshdOptions {
  /** Which host keys the server has. Default: all three. */
  readonly hostKeyTypes?: readonly KeyType[];
  /** Lines for the config, put first: sshd takes the first value that it finds. */
  readonly config?: readonly string[];
  /** What runs as the subsystem `sftp`; default: OpenSSH's sftp-server. */
  readonly sftpCommand?: string;
  /** Further public keys that may log in. */
  readonly authorizedKeys?: readonly string[];
}

export interface Sshd extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** The user that may log in with `privateKeyPath`. */
  readonly user: string;
  readonly privateKeyPath: string;
  /** A known_hosts file with every host key of this server. */
  readonly knownHosts: string;
  /** `type base64` by type. */
  readonly hostKeys: Readonly<Partial<Record<KeyType, string>>>;
  readonly folder: string;
  /** What the server has logged so far. */
  log(): string;
  /** Process ids of the connections being served. */
  children(): readonly number[];
  /** Stops every connection's process, so that the server is there but does not answer. */
  pause(): void;
  /** Ends the server and every connection to it. */
  stop(): Promise<void>;
}

const PORT_ATTEMPTS = 10;

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-sshd-'));
  const hostKeys: Partial<Record<KeyType, string>> = {};
  for (const type of options.hostKeyTypes ?? (['ed25519', 'rsa', 'ecdsa'] as const)) {
    hostKeys[type] = await makeKey(join(folder, `host_${type}`), type);
  }
  const privateKeyPath = join(folder, 'user_ed25519');
  const publicKey = await makeKey(privateKeyPath, 'ed25519');
  const authorizedKeys = join(folder, 'authorized_keys');
  await writeFile(authorizedKeys, `${[publicKey, ...(options.authorizedKeys ?? [])].join('\n')}\n`);
  await chmod(folder, 0o755);
  const config = join(folder, 'sshd_config');
  await writeFile(config, configText(options, folder, Object.keys(hostKeys), authorizedKeys));

  const { child, port, log } = await startOnFreePort(config);
  const knownHosts = join(folder, 'known_hosts');
  const lines = Object.values(hostKeys).map((key) => `[127.0.0.1]:${port} ${key}\n`);
  await writeFile(knownHosts, lines.join(''));
  const stop = makeStop(child, folder);
  return {
    host: '127.0.0.1',
    port,
    pid: child.pid ?? 0,
    user: userInfo().username,
    privateKeyPath,
    knownHosts,
    hostKeys,
    folder,
    log,
    children: () => childrenOf(child.pid ?? 0),
    pause: () => signalAll(childrenOf(child.pid ?? 0), 'SIGSTOP'),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Makes a key pair at `path` and gives the public key as `type base64`. */
export async function makeKey(path: string, type: KeyType, passphrase = '', extra: readonly string[] = []) {
  const bits = type === 'rsa' ? ['-b', '2048'] : [];
  execFileSync('ssh-keygen', [
    '-q',
    '-t',
    type,
    ...bits,
    '-N',
    passphrase,
    '-C',
    'test',
    '-f',
    path,
    ...extra,
  ]);
  const [name, base64] = (await readFile(`${path}.pub`, 'utf8')).split(' ');
  return `${name} ${base64}`;
}

export interface TemporaryUser extends Disposable {
  readonly name: string;
  readonly password: string;
}

let users = 0;

/** Makes a user of the system who can log in with a password, and removes it at the end. */
export function addUser(password = 'correct horse'): TemporaryUser {
  users++;
  const name = `tsftp${process.pid % 100000}x${users}`;
  execFileSync('useradd', ['-m', '-s', '/bin/sh', name]);
  execFileSync('chpasswd', { input: `${name}:${password}\n` });
  const remove = (): void => void execFileSync('userdel', ['-f', '-r', name], { stdio: 'ignore' });
  return { name, password, [Symbol.dispose]: remove };
}

function configText(
  options: SshdOptions,
  folder: string,
  types: readonly string[],
  authorizedKeys: string,
): string {
  return [
    ...(options.config ?? []),
    'UsePAM no',
    'StrictModes no',
    'LogLevel INFO',
    'PasswordAuthentication yes',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin yes',
    // Of this one sshd takes the last value.
    ...(options.config?.some((line) => line.startsWith('MaxStartups')) ? [] : ['MaxStartups 100']),
    `PidFile ${join(folder, 'pid')}`,
    `AuthorizedKeysFile ${authorizedKeys}`,
    `Subsystem sftp ${options.sftpCommand ?? SFTP_SERVER}`,
    // The start-up files of whoever runs the tests are not ours: what they do may take its time, or print.
    `SetEnv HOME=${folder}`,
    ...types.map((type) => `HostKey ${join(folder, `host_${type}`)}`),
    '',
  ].join('\n');
}

interface Started {
  readonly child: ChildProcess;
  readonly port: number;
  readonly log: () => string;
}

/** A port that was free a moment ago may be taken now: then sshd says so, and another is tried. */
async function startOnFreePort(config: string): Promise<Started> {
  let last = '';
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
    const port = await findFreePort();
    const child = spawn(
      SSHD,
      ['-D', '-e', '-f', config, '-p', String(port), '-o', 'ListenAddress=127.0.0.1'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    const lines: string[] = [];
    if (await listens(child, lines)) {
      return { child, port, log: () => lines.join('\n') };
    }
    last = lines.join('\n');
    if (!last.includes('Address already in use')) {
      break;
    }
  }
  throw new Error(`sshd did not start:\n${last}`);
}

async function listens(child: ChildProcess, lines: string[]): Promise<boolean> {
  const { stderr } = child;
  if (stderr === null) {
    return false;
  }
  return await new Promise((resolve) => {
    child.once('exit', () => resolve(false));
    createInterface({ input: stderr }).on('line', (line) => {
      lines.push(line);
      if (line.startsWith('Server listening on')) {
        resolve(true);
      }
    });
  });
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function makeStop(child: ChildProcess, folder: string): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async (): Promise<void> => {
    process.off('exit', kill);
    const pids = childrenOf(child.pid ?? 0);
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    signalAll(pids, 'SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  return () => {
    stopped ??= stop();
    return stopped;
  };
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended by itself.
    }
  }
}

/** All processes below one, from /proc. */
function childrenOf(pid: number): readonly number[] {
  let text = '';
  try {
    text = execFileSync('cat', [`/proc/${pid}/task/${pid}/children`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
  } catch {
    return [];
  }
  const direct = text.split(' ').filter(Boolean).map(Number);
  return direct.flatMap((child) => [child, ...childrenOf(child)]);
}
