/**
 * A server with a small tree for each test, once as the embedded server and once as OpenSSH's, and this over both
 * transports: what pysftp documents must hold on all. And on servers that are odd, but for the differences that
 * differences.ts lists.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { duplexPair } from 'node:stream';
import { after, describe, type TestContext, test } from 'node:test';
import {
  type Connection,
  type ConnectOptions,
  connect,
  HostKeys,
  type HostOptions,
} from '../../src/index.js';
import { openDirectoryBackend } from '../../src/testing/backends/directory.js';
import { createCounters } from '../../src/testing/counters.js';
import { loadHostKey } from '../../src/testing/host-key.js';
import { startServer } from '../../src/testing/index.js';
import { extensionsOfWorkers, usualExtensions } from '../../src/testing/sftp/extension-handlers.js';
import { serveSftp } from '../../src/testing/sftp/sftp-service.js';
import { type Oddity, oddities, oddityNames } from '../support/oddities.js';
import { needsOpenSsh, type Sshd, startSshd } from '../support/sshd.js';
import { openConnection } from '../support/stream-connection.js';
import { type Difference, differencesOf } from './differences.js';

export interface World {
  /** Connected, and in `home` unless `login` says otherwise. */
  readonly sftp: Connection;
  /** The tree as a folder of this machine, and as a path of the server. */
  readonly folder: string;
  readonly home: string;
  /** An empty folder for the client's side. */
  readonly local: string;
  /** What connects to the server. */
  readonly login: HostOptions;
}

/** The tree of pysftp's examples. */
export const TREE: Readonly<Record<string, string>> = {
  'readme.txt': 'r'.repeat(8192),
  'pub/make.txt': 'content of make.txt',
  'pub/foo1/foo1.txt': 'content of foo1.txt',
  'pub/foo2/bar1/bar1.txt': 'content of bar1.txt',
  'pub/foo2/foo2.txt': 'content of foo2.txt',
};

interface Server {
  readonly login: HostOptions;
  /** The path of a folder of this machine on the server. */
  pathOf(folder: string): string;
  stop(): Promise<void>;
}

export interface Contract {
  readonly isOpenSsh: boolean;
  /** Is it the system's ssh that connects? */
  readonly isSystemSsh: boolean;
  /** A world of its own for one test, removed after it. */
  open(t: TestContext, options?: ConnectOptions): Promise<World>;
  /** Declares a test. Where the server is odd it may be that it has to fail, in one way. */
  test(name: string, body: (t: TestContext) => Promise<void>): void;
}

/** Declares the tests for both servers and both transports, and for the odd servers. */
export function describeContract(name: string, declare: (contract: Contract) => void): void {
  describeTransports(name, declare);
  for (const [oddity, contract] of odd) {
    const differences = differencesOf(oddity, name);
    describe(`${name}, on a server that ${oddity}`, () => {
      declare({ ...contract, test: (title, body) => declareTest(title, body, differences[title]) });
    });
  }
}

/** Declares tests that are about SSH: for both servers and both transports. */
export function describeTransports(name: string, declare: (contract: Contract) => void): void {
  describe(`${name}, on the embedded server`, () => declare(embedded));
  const skip = hasSystemSsh() ? false : 'needs ssh on the search path';
  describe(`${name}, on the embedded server with the system's ssh`, { skip }, () => declare(embeddedBySsh));
  describeOpenSsh(name, declare);
}

function declareTest(
  title: string,
  body: (t: TestContext) => Promise<void>,
  difference: Difference | undefined,
): void {
  if (difference === undefined) void test(title, body);
  else
    void test(`${title} — not here: ${difference.why}`, (t) => assert.rejects(body(t), difference.outcome));
}

/** Declares tests that only a real server can pass. */
export function describeOpenSsh(name: string, declare: (contract: Contract) => void): void {
  describe(`${name}, on OpenSSH`, { skip: needsOpenSsh }, () => declare(openSsh));
  describe(`${name}, on OpenSSH with the system's ssh`, { skip: needsSystemSsh }, () => declare(systemSsh));
}

const needsSystemSsh = needsOpenSsh || (hasSystemSsh() ? false : 'needs ssh on the search path');
const embedded = makeContract((root) => startEmbedded(root, {}), { isOpenSsh: false, isSystemSsh: false });
const embeddedBySsh = makeContract(startEmbeddedForSsh, { isOpenSsh: false, isSystemSsh: true });
const openSsh = makeContract(() => startOpenSsh('ssh2'), { isOpenSsh: true, isSystemSsh: false });
const systemSsh = makeContract(() => startOpenSsh('openssh'), { isOpenSsh: true, isSystemSsh: true });
const odd = oddityNames.map((name) => {
  const start = (root: string) => startEmbedded(root, oddities[name]);
  return [name, makeContract(start, { isOpenSsh: false, isSystemSsh: false }, oddities[name])] as const;
});

function hasSystemSsh(): boolean {
  return spawnSync('ssh', ['-V'], { stdio: 'ignore' }).error === undefined;
}

/**
 * One server for all tests of a file, started with the first of them. An odd one is odd in SFTP, so that it is spoken to
 * without SSH, which is most of the work, unless a test says how to connect.
 */
function makeContract(
  start: (root: string) => Promise<Server>,
  facts: Omit<Contract, 'open' | 'test'>,
  oddity?: Oddity,
): Contract {
  let running: Promise<{ readonly root: string; readonly server: Server }> | undefined;
  const begin = async () => {
    const root = mkdtempSync(join(tmpdir(), 'tsftp-contract-'));
    chmodSync(root, 0o755);
    return { root, server: await start(root) };
  };
  after(async () => {
    if (running === undefined) return;
    const { root, server } = await running;
    await server.stop();
    rmSync(root, { recursive: true, force: true });
  });
  const open = async (t: TestContext, options: ConnectOptions = {}): Promise<World> => {
    running ??= begin();
    const { root, server } = await running;
    const folder = mkdtempSync(join(root, 'home-'));
    chmodSync(folder, 0o755);
    plant(folder);
    const local = mkdtempSync(join(tmpdir(), 'tsftp-client-'));
    t.after(() => rmSync(local, { recursive: true, force: true }));
    const home = server.pathOf(folder);
    const { login } = server;
    const isPlain = oddity !== undefined && Object.keys(options).length === 0;
    const sftp = isPlain
      ? await connectWithoutSsh(root, oddity, login.username)
      : await connect({ ...login, defaultPath: home, ...options });
    t.after(() => sftp.close());
    if (isPlain) await sftp.chdir(home);
    return { sftp, folder, home, local, login };
  };
  return { ...facts, open, test: (title, body) => declareTest(title, body, undefined) };
}

/** Writes the tree into a folder, with the link of pysftp's examples. */
export function plant(folder: string, files: Readonly<Record<string, string>> = TREE): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  if (files === TREE) symlinkSync('readme.txt', join(folder, 'readme.sym'));
}

async function connectWithoutSsh(root: string, oddity: Oddity, username = 'test'): Promise<Connection> {
  const { faults = {} } = oddity;
  const extensions = oddity.extensions ?? (faults.workers ? extensionsOfWorkers : usualExtensions);
  const backend = openDirectoryBackend(root);
  const counters = createCounters();
  const serve = () => {
    const [client, server] = duplexPair();
    const ended = new AbortController();
    server.once('close', () => ended.abort());
    const disconnect = () => server.destroy();
    const { signal } = ended;
    serveSftp(server, { backend, home: '/', username, extensions, faults, counters, disconnect, signal });
    return client;
  };
  return openConnection(serve(), {}, serve);
}

async function startEmbedded(root: string, { faults = {}, extensions }: Oddity): Promise<Server> {
  const server = await startServer({ root }, { faults, ...(extensions && { extensions }) });
  return {
    login: {
      host: server.host,
      port: server.port,
      username: server.username,
      password: server.password,
      cnopts: { fingerprint: server.hostKey.fingerprint, hostkeys: null, agent: false },
    },
    pathOf: (folder) => `${faults.windowsPaths ? '/C:' : ''}${folder.slice(root.length)}`,
    stop: () => server.close(),
  };
}

/** With a key as text, which ssh signs with through an agent of our own. */
async function startEmbeddedForSsh(root: string): Promise<Server> {
  const { privateKey, publicKey } = loadHostKey(undefined);
  const server = await startServer({ root }, { authorizedKeys: publicKey });
  const hostkeys = new HostKeys().add(`[${server.host}]:${server.port}`, server.hostKey.publicKey);
  return {
    login: {
      host: server.host,
      port: server.port,
      username: server.username,
      privateKey,
      password: server.password,
      cnopts: { hostkeys, agent: false, transport: 'openssh', config: false },
    },
    pathOf: (folder) => folder.slice(root.length),
    stop: () => server.close(),
  };
}

async function startOpenSsh(transport: 'ssh2' | 'openssh'): Promise<Server> {
  const sshd: Sshd = await startSshd({ hostKeyTypes: ['ed25519'] });
  return {
    login: {
      host: sshd.host,
      port: sshd.port,
      username: sshd.user,
      privateKey: sshd.privateKeyPath,
      cnopts: { knownhosts: sshd.knownHosts, agent: false, transport, config: false },
    },
    pathOf: (folder) => folder,
    stop: () => sshd.stop(),
  };
}
