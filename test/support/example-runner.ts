/**
 * Runs the examples of the API reference, one after the other, each with a server, a connection and a folder of its own.
 * Whatever an example uses and does not make itself is a global: all that the package exports, and what stands in `worldOf`.
 */
import { EventEmitter } from 'node:events';
import * as fs from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import * as promises from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';
import * as zlib from 'node:zlib';
import { glob } from 'glob';
import * as tsftp from 'tsftp';
import { remoteFs } from 'tsftp/fs';
import * as jobs from 'tsftp/jobs';
import Client from 'tsftp/ssh2-sftp-client';
import { terminalProgress } from 'tsftp/terminal';
import { startServer, type TestServer } from 'tsftp/testing';

export interface Example {
  /** Where it stands. */
  readonly at: string;
  readonly file: string;
  readonly code: string;
}

const PATIENCE_MS = 20_000;

const AGED = new Date('2026-01-01');
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea';

const ON_SERVER = {
  ...{ 'readme.txt': 'read me', 'readme.sym': { target: 'readme.txt' }, 'broken.sym': { target: 'nothing' } },
  ...{
    'pub/readme.txt': 'read me',
    'pub/log.txt': 'log\n',
    'pub/example/readme.txt': 'x',
    'pub/big.iso': 'big',
  },
  ...{ 'pub/numbers.dat': Buffer.alloc(8192), 'pub/data.gz': zlib.gzipSync('data'), 'static/old.css': 'x' },
  ...{ 'static/images/': '', 'reports/2026.csv': 'x', 'reports/2026-05.csv': 'x', 'public/a.txt': 'x' },
  ...{ 'empty/': '', 'draft.txt': 'draft', 'index.html.new': 'new', 'index.html': 'old', 'old/a': 'x' },
  ...{
    'old-releases/1/a': 'x',
    'data.db': 'db',
    'config.json': '{}',
    'settings.json': '{}',
    'log.txt': 'log\n',
  },
  ...{ 'incoming/': '', 'inbox/a.csv': { content: 'a', mtime: AGED }, 'claimed/': '', 'outgoing/a.csv': 'a' },
  ...{
    'big.csv.gz': zlib.gzipSync('big'),
    'big.csv': 'x'.repeat(2000),
    'backup.tar': 'tar',
    'var/www/old.html': 'x',
  },
  ...{
    'var/backups/db.sql': 'sql',
    'dump.sql': 'sql',
    'out/data.csv': 'x',
    'data.csv': 'x',
    'notes.txt': 'notes',
  },
  ...{
    'public/remote_file': 'x',
    'public/b.txt': 'x',
    'srv/www/index.html': 'x',
    'done.txt': 'x',
    'script.sh': '#!/bin/sh',
  },
  ...{ 'releases/42/a': 'x', 'reports/2026-06.tsv': 'x', 'start/here/a': 'x' },
};

const ON_DISK = {
  ...{
    'style.css': 'x',
    'report.csv': 'x',
    'static/a.css': 'x',
    'images/a.png': 'x',
    'site/index.html': 'x',
  },
  ...{
    'project/main.js': 'x',
    'project/node_modules/a.js': 'x',
    'docs/readme.txt': 'x',
    'docs/a/b.txt': 'x',
  },
  ...{ 'readme.txt': 'x', 'dump.sql': 'sql', 'big.iso': 'iso', 'backup.tar': 'tar', 'secret.txt': 'egg' },
  ...{ 'local.dat': 'x', key: 'a key', filename: 'x' },
  ...{ '.ssh/known_hosts': `hostname ${KEY}\n`, 'team/known_hosts': `hostname ${KEY}\n` },
  ...{
    'path/to/known_hosts': `example.com ${KEY}\n[example.com]:2222 ${KEY}\n`,
    'more/known_hosts': `other ${KEY}\n`,
  },
};

/** The ways to the one server that there is, under any name. */
function reach(server: TestServer) {
  const { host, port, hostKey } = server;
  const given = { port, username: 'me', password: 'secret', fingerprint: hostKey.fingerprint };
  const connect = (name: string, options: tsftp.ConnectOptions = {}) => {
    if (name === host) return tsftp.connect(name, options);
    // What would need another network, an agent or files of keys.
    const { privateKey, socket, proxyCommand, cnopts, fingerprint, ...others } = options;
    return tsftp.connect(host, { ...others, ...given });
  };
  class NearClient extends Client {
    override connect(config: Parameters<Client['connect']>[0]) {
      const { privateKey, ...others } = config;
      return super.connect({
        ...others,
        host,
        port,
        username: 'me',
        password: 'secret',
        hostVerifier: () => true,
      });
    }
  }
  class NearPool extends jobs.ConnectionPool {
    constructor(options: jobs.ConnectionPoolOptions) {
      super({ ...options, resolve: () => ({ host, ...given }) });
    }
  }
  return { connect, Client: NearClient, ConnectionPool: NearPool };
}

/** What the lines of an example need that stands above it in a program. */
async function worldOf({ at, code }: Example, server: TestServer, ends: (() => unknown)[]) {
  const { connect, Client: NearClient, ConnectionPool } = reach(server);
  Object.assign(globalThis, { Client: NearClient });
  const isDropIn = at.includes('ssh2-sftp-client');
  const connection = await connect('hostname');
  ends.push(() => connection.close());
  const client = new NearClient();
  ends.push(() => client.end());
  if (isDropIn) await connection.symlink('pub', 'current');
  if (isDropIn && !code.includes('sftp.connect(')) await client.connect({});
  const file = await connection.open('pub/numbers.dat', 'r+');
  const pool = new ConnectionPool({ resolve: () => ({ host: '' }) });
  ends.push(() => pool.close());
  return {
    ...{
      ...zlib,
      ...fs,
      ...promises,
      ...jobs,
      ...tsftp,
      ConnectionPool,
      connect,
      glob,
      remoteFs,
      startServer,
    },
    ...{ terminalProgress, file, pool, sftp: isDropIn ? client : connection },
    ...{
      settings: {},
      archive: Buffer.from('tar'),
      secrets: {},
      listener: () => {},
      handle: () => {},
      ask: () => 'x',
    },
    ...{ error: Object.assign(new tsftp.SftpError('ENOENT', 'gone')), tellSomebody: () => {} },
    ...{ response: new Response('a picture'), queue: { add: () => {} }, Worker: EventEmitter },
    job: { id: '1', data: await firstStep(connection) },
    server: code.includes('server.readFile')
      ? server
      : { v: 1, host: 'hostname', username: 'me', secret: 'a' },
    cnopts: code.startsWith('cnopts.') ? new tsftp.CnOpts({ knownhosts: 'path/to/known_hosts' }) : undefined,
    store: { get: async () => undefined, set: async () => true },
  };
}

async function firstStep(connection: tsftp.Connection): Promise<unknown> {
  for await (const step of jobs.planMirror(connection, '/outgoing', 'none', { direction: 'down' }))
    return step;
  return undefined;
}

/** Ends when the example does, or, where it goes on for ever, when its connection is closed. */
async function run(example: Example, folder: string): Promise<void> {
  const ends: (() => unknown)[] = [];
  const commands = (command: string) => ({ stdout: command === 'uname' ? 'Linux\n' : '' });
  const files = { ...ON_SERVER, 'in/order.txt': 'one egg' };
  const server = await startServer({ files }, { users: { me: 'secret' }, commands });
  ends.push(() => server.close());
  try {
    for (const [name, content] of Object.entries(ON_DISK)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), content);
    }
    process.chdir(folder);
    // Examples may end it.
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done() });
    Object.defineProperty(process, 'stdout', { value: stdout, configurable: true });
    process.env.HOME = folder;
    const world = await worldOf(example, server, ends);
    Object.assign(globalThis, world);
    const running = import(example.file);
    const isEndless = example.code.includes('sftp.watch(');
    if (isEndless) setTimeout(() => (world.sftp as tsftp.Connection).close(), 200);
    const ended = running.catch((error) => {
      if (!isEndless || error.code !== 'CLOSED') throw error;
    });
    const tooLong = wait(PATIENCE_MS, undefined, { ref: false }).then(() =>
      Promise.reject(new Error('It hangs')),
    );
    await Promise.race([ended, tooLong]);
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

const examples = JSON.parse(await readFile('examples.json', 'utf8')) as readonly Example[];
const results = resolve('failures.json');
const failures: string[] = [];
console.log = () => {};
for (const example of examples) {
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-example-'));
  await run(example, folder).catch((error) => failures.push(`${example.at}: ${error}\n${example.code}`));
  process.chdir('/');
  await rm(folder, { recursive: true, force: true });
}
await writeFile(results, JSON.stringify(failures));
