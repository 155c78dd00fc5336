/**
 * SFTP servers that others have written, from Debian's packages, each on 127.0.0.1 and a free port, with a folder of its
 * own. Where one is missing its suite is left out and says what to install.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Connection, type ConnectOptions, connect } from '../../src/index.js';
import { connectToSshd } from './login.js';
import { addUser, needsOpenSsh, startSshd } from './sshd.js';

export interface RunningServer {
  /** Its folder on this machine, and the same as the server's path. */
  readonly folder: string;
  readonly root: string;
  connect(options?: ConnectOptions): Promise<Connection>;
  stop(): Promise<void>;
}

export interface IndependentServer {
  readonly name: string;
  readonly skip: string | false;
  start(): Promise<RunningServer>;
}

const PASSWORD = 'test';
const GESFTPSERVER = '/usr/libexec/gesftpserver';
const LSH_SERVER = '/usr/lib/lsh-server/sftp-server';
const PYTHON = '/usr/bin/python3';
const PERL = '/usr/bin/perl';
const GO_PATH = '/usr/share/gocode';
const GO_SERVER = `${GO_PATH}/src/github.com/pkg/sftp/server_standalone`;

/** For the host keys of most of them. */
const needsKeygen = needs('/usr/bin/ssh-keygen', 'openssh-client');

export const independentServers: readonly IndependentServer[] = [
  { name: 'OpenSSH sshd', skip: needsOpenSsh, start: () => startUnderSshd() },
  {
    name: 'Dropbear with sftp-server',
    skip: needs('/usr/sbin/dropbear', 'dropbear-bin') || needs('/usr/lib/sftp-server', 'openssh-sftp-server'),
    start: startDropbear,
  },
  {
    name: 'Green End SFTP server',
    skip: needsOpenSsh || needs(GESFTPSERVER, 'gesftpserver'),
    start: () => startUnderSshd(GESFTPSERVER),
  },
  {
    name: 'lsh sftp-server',
    skip: needsOpenSsh || needs(LSH_SERVER, 'lsh-server'),
    start: () => startUnderSshd(LSH_SERVER),
  },
  {
    name: 'Net::SFTP::SftpServer (Perl)',
    skip: needsOpenSsh || needs('/usr/share/perl5/Net/SFTP/SftpServer.pm', 'libnet-sftp-sftpserver-perl'),
    start: startPerl,
  },
  {
    name: 'ProFTPD mod_sftp',
    skip: needs('/usr/lib/proftpd/mod_sftp.so', 'proftpd-mod-crypto') || needsKeygen,
    start: () => startProftpd(),
  },
  {
    name: 'rclone (Go, pkg/sftp)',
    skip: needs('/usr/bin/rclone', 'rclone') || needsKeygen,
    start: startRclone,
  },
  {
    name: 'asyncssh',
    skip: needs('/usr/lib/python3/dist-packages/asyncssh', 'python3-asyncssh') || needsKeygen,
    start: () => startPython('asyncssh-server.py'),
  },
  {
    name: 'paramiko',
    skip: needs('/usr/lib/python3/dist-packages/paramiko', 'python3-paramiko') || needsKeygen,
    start: () => startPython('paramiko-server.py'),
  },
  {
    name: 'Erlang ssh_sftpd',
    skip: needs('/usr/lib/erlang/bin/escript', 'erlang-base') || needsErlangSsh() || needsKeygen,
    start: startErlang,
  },
  {
    name: 'Twisted Conch',
    skip: needs('/usr/lib/python3/dist-packages/twisted/conch', 'python3-twisted') || needsKeygen,
    start: startTwisted,
  },
  {
    name: 'pkg/sftp (Go)',
    skip: needsOpenSsh || needs('/usr/bin/go', 'golang-go') || needs(GO_SERVER, 'golang-github-pkg-sftp-dev'),
    start: startGo,
  },
  { name: 'ssh2 (npm)', skip: needsKeygen, start: startSsh2 },
];

function needs(path: string, packageName: string): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to add a user';
  return existsSync(path) ? false : `needs ${packageName}: apt-get install ${packageName}`;
}

function needsErlangSsh(): string | false {
  const libraries = '/usr/lib/erlang/lib';
  const isThere = existsSync(libraries) && readdirSync(libraries).some((name) => name.startsWith('ssh-'));
  return isThere ? false : 'needs erlang-ssh: apt-get install erlang-ssh';
}

/** It shows the folder that is called as the user, and nothing else. */
async function startPerl(): Promise<RunningServer> {
  const { base, folder, remove } = makeFolders(userInfo().username);
  const script = fileURLToPath(new URL('servers/perl-server.pl', import.meta.url));
  const server = await startUnderSshd(`${PERL} ${script} ${base}`);
  return {
    ...server,
    folder,
    root: '/',
    stop: async () => {
      await server.stop();
      remove();
    },
  };
}

async function startUnderSshd(sftpCommand?: string): Promise<RunningServer> {
  const { folder, remove } = makeFolders();
  const sshd = await startSshd({
    hostKeyTypes: ['ed25519'],
    ...(sftpCommand === undefined ? {} : { sftpCommand }),
  });
  return {
    folder,
    root: folder,
    connect: (options) => connectToSshd(sshd, options),
    stop: async () => {
      await sshd.stop();
      remove();
    },
  };
}

async function startDropbear(): Promise<RunningServer> {
  const { folder, base, remove } = makeFolders();
  const user = addUser();
  const key = join(base, 'host_key');
  execFileSync('dropbearkey', ['-t', 'ed25519', '-f', key], { stdio: 'ignore' });
  const port = await freePort();
  const child = spawn('/usr/sbin/dropbear', [
    '-F',
    '-E',
    '-r',
    key,
    '-p',
    `127.0.0.1:${port}`,
    '-P',
    join(base, 'pid'),
  ]);
  return ready({
    child,
    folder,
    root: folder,
    login: { port, username: user.name, password: user.password },
    remove: () => {
      user[Symbol.dispose]();
      remove();
    },
  });
}

export async function startProftpd(lines: readonly string[] = []): Promise<RunningServer> {
  const { folder, base, remove } = makeFolders();
  const key = makeHostKey(base);
  const port = await freePort();
  const hash = execFileSync('openssl', ['passwd', '-6', PASSWORD]).toString().trim();
  writeFileSync(join(base, 'passwd'), `me:${hash}:0:0::${folder}:/bin/sh\n`, { mode: 0o600 });
  const config = `
    ServerType standalone
    DefaultAddress 127.0.0.1
    SocketBindTight on
    Port ${port}
    User root
    Group root
    UseIPv6 off
    LoadModule mod_sftp.c
    ScoreboardFile ${base}/scoreboard
    PidFile ${base}/pid
    SystemLog none
    TransferLog none
    WtmpLog off
    UseReverseDNS off
    AuthOrder mod_auth_file.c
    AuthUserFile ${base}/passwd
    RootLogin on
    RequireValidShell off
    AllowOverwrite on
    AllowStoreRestart on
    DelayEngine off
    SFTPEngine on
    SFTPHostKey ${key}
    SFTPAuthMethods password
    ${lines.join('\n')}
  `;
  writeFileSync(join(base, 'config'), config.replace(/^ +/gm, ''));
  const child = spawn('/usr/sbin/proftpd', ['-n', '-q', '-c', join(base, 'config')]);
  return ready({ child, folder, root: folder, login: { port, username: 'me', password: PASSWORD }, remove });
}

async function startRclone(): Promise<RunningServer> {
  const { folder, base, remove } = makeFolders();
  const port = await freePort();
  const address = [
    '--addr',
    `127.0.0.1:${port}`,
    '--user',
    'me',
    '--pass',
    PASSWORD,
    '--key',
    makeHostKey(base),
  ];
  const child = spawn('/usr/bin/rclone', ['serve', 'sftp', folder, ...address], {
    env: { PATH: process.env.PATH, HOME: base },
  });
  return ready({ child, folder, root: '/', login: { port, username: 'me', password: PASSWORD }, remove });
}

function startPython(script: string): Promise<RunningServer> {
  return startScript((folder, hostKey) => [PYTHON, '-W', 'ignore', scriptPath(script), folder, hostKey]);
}

function startErlang(): Promise<RunningServer> {
  const command = (folder: string, hostKey: string) => {
    const keys = dirname(hostKey);
    copyFileSync(hostKey, join(keys, 'ssh_host_rsa_key'));
    return ['/usr/bin/escript', scriptPath('erlang-server.escript'), folder, keys];
  };
  return startScript(command, { root: (folder) => folder });
}

function startTwisted(): Promise<RunningServer> {
  const command = (_: string, hostKey: string) => [
    PYTHON,
    '-W',
    'ignore',
    scriptPath('twisted-server.py'),
    hostKey,
  ];
  return startScript(command, { root: (folder) => folder, username: userInfo().username });
}

function startSsh2(): Promise<RunningServer> {
  return startScript((folder, hostKey) => [process.execPath, scriptPath('ssh2-server.mjs'), folder, hostKey]);
}

/** Built from Debian's sources, with what Go has built of them before. */
async function startGo(): Promise<RunningServer> {
  const base = mkdtempSync(join(tmpdir(), 'tsftp-go-'));
  const program = join(base, 'server');
  const cache = process.env.HOME === undefined ? { GOCACHE: join(base, 'cache') } : {};
  await promisify(execFile)('/usr/bin/go', ['build', '-o', program, GO_SERVER], {
    cwd: GO_SERVER,
    env: { ...process.env, ...cache, GOPATH: GO_PATH, GO111MODULE: 'off', GOFLAGS: '', CGO_ENABLED: '0' },
  });
  chmodSync(base, 0o755);
  const server = await startUnderSshd(program);
  return {
    ...server,
    stop: async () => {
      await server.stop();
      rmSync(base, { recursive: true, force: true });
    },
  };
}

function scriptPath(name: string): string {
  return fileURLToPath(new URL(`servers/${name}`, import.meta.url));
}

/** A program that prints its port; what it shows is its folder, unless `root` says otherwise. */
async function startScript(
  command: (folder: string, hostKey: string) => readonly string[],
  {
    root = () => '/',
    username = 'me',
  }: { readonly root?: (folder: string) => string; readonly username?: string } = {},
): Promise<RunningServer> {
  const { folder, base, remove } = makeFolders();
  const [program = '', ...words] = command(folder, makeHostKey(base));
  const child = spawn(program, words);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const login = { port: Number(String(line)), username, password: PASSWORD };
  return ready({ child, folder, root: root(folder), login, remove });
}

interface Started {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly root: string;
  readonly login: ConnectOptions;
  readonly remove: () => void;
}

const START_MS = 20_000;

/** Waits until the server lets us in: that it listens says less. */
async function ready({ child, folder, root, login, remove }: Started): Promise<RunningServer> {
  child.stdout?.resume();
  child.stderr?.resume();
  const exited = child.exitCode === null ? once(child, 'exit') : Promise.resolve();
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
    remove();
  };
  const connectTo = (options: ConnectOptions = {}) =>
    connect('127.0.0.1', { ...login, cnopts: { hostkeys: null, agent: false }, ...options });
  const begin = performance.now();
  for (;;) {
    try {
      await (await connectTo()).close();
      return { folder, root, connect: connectTo, stop };
    } catch (error) {
      if (performance.now() - begin > START_MS || child.exitCode !== null) {
        await stop();
        throw error;
      }
      await sleep(50);
    }
  }
}

function makeFolders(name = 'files'): { readonly base: string; readonly folder: string; remove(): void } {
  const base = mkdtempSync(join(tmpdir(), 'tsftp-server-'));
  const folder = join(base, name);
  mkdirSync(folder);
  chmodSync(base, 0o755);
  chmodSync(folder, 0o777);
  return { base, folder, remove: () => rmSync(base, { recursive: true, force: true, maxRetries: 3 }) };
}

/** PEM, as not all of these read OpenSSH's own format. */
function makeHostKey(base: string): string {
  const path = join(base, 'host_rsa');
  execFileSync('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-m', 'PEM', '-N', '', '-f', path]);
  return path;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
