import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import ssh2 from 'ssh2';
import { ConnectionError } from '../errors.js';
import { checkOptions, type OptionTable } from '../shared/option-checks.js';
import { type AuthorizedKeys, createAuthenticator, defaultUsers, type Users } from './authentication.js';
import type { Backend } from './backends/backend.js';
import { openDirectoryBackend } from './backends/directory.js';
import { createMemoryBackend, type InitialFiles } from './backends/initial-files.js';
import type { CommandHandler } from './commands.js';
import { type Counters, createCounters } from './counters.js';
import { FAULTS, type Faults } from './faults.js';
import { loadHostKey, type ServerHostKey } from './host-key.js';
import { listNames, readWholeFile } from './inspection.js';
import { extensionsOfWorkers, usualExtensions } from './sftp/extension-handlers.js';
import { absolute } from './sftp/session-state.js';
import { serveSsh } from './ssh-service.js';

/** What the server shows: a local directory, which it changes, or a tree in memory. */
export type ServerSource = { readonly root: string } | { readonly files: InitialFiles };

/** Names of algorithms, most wanted first; what is left out is ssh2's choice. */
export interface ServerAlgorithms {
  readonly kex?: readonly string[];
  readonly cipher?: readonly string[];
  readonly hmac?: readonly string[];
  readonly compress?: readonly string[];
}

export interface ServerOptions {
  /** Who may log in. Unless given: `test` with the password `test`. */
  readonly users?: Users;
  /** Public keys with which every user may log in. */
  readonly authorizedKeys?: AuthorizedKeys;
  /** Private key in OpenSSH's or PEM format, not encrypted. Unless given: a new Ed25519 key. */
  readonly hostKey?: string | Uint8Array;
  /** Unless given, or 0: a free one. */
  readonly port?: number;
  /** Where relative paths begin; `/` unless given. It should exist. */
  readonly home?: string;
  /** The extensions to offer, for instance `limits@openssh.com`; unless given those that OpenSSH has; `check-file-handle` is known too. */
  readonly extensions?: readonly string[];
  /** Answers `ssh host command`; without it commands are refused. */
  readonly commands?: CommandHandler;
  readonly faults?: Faults;
  readonly algorithms?: ServerAlgorithms;
  /** How many bytes of content fit into a tree in memory, 1 GiB unless given; then "No space left on device". */
  readonly capacity?: number;
}

const SERVER_OPTIONS: OptionTable<ServerOptions> = {
  users: 'object',
  authorizedKeys: 'checked',
  hostKey: 'checked',
  port: 'number',
  home: 'string',
  extensions: 'object',
  commands: 'function',
  faults: 'object',
  algorithms: 'object',
  capacity: 'number',
};

function checkSource(source: unknown): void {
  const { root, files } = (source ?? {}) as { readonly root?: unknown; readonly files?: unknown };
  if (typeof root === 'string' || (typeof files === 'object' && files !== null)) return;
  throw new TypeError(
    'startServer needs a directory or files: startServer({ root: "some/directory" }) or startServer({ files: { "a.txt": "text" } })',
  );
}

const HOST = '127.0.0.1';
const MAX_CONNECTIONS = 256;
const DEFAULT_CAPACITY = 1024 ** 3;

/**
 * Starts an SSH and SFTP server on 127.0.0.1 for tests and demos, over a local directory that nobody can
 * leave, or over a tree in memory. It speaks SFTP version 3 with OpenSSH's extensions. It resolves when the
 * server listens.
 *
 * @throws ConnectionError when the port cannot be had; SshError for a key that is none; Node's own error for
 * a root that is not there.
 *
 * @example
 * await using server = await startServer({ files: { 'in/order.txt': 'one egg' } });
 * await using sftp = await connect(server.host, {
 *   port: server.port,
 *   username: server.username,
 *   password: server.password,
 *   cnopts: { fingerprint: server.hostKey.fingerprint },
 * });
 * await sftp.get('in/order.txt');
 */
export async function startServer(source: ServerSource, options: ServerOptions = {}): Promise<TestServer> {
  checkSource(source);
  checkOptions(options, SERVER_OPTIONS, { of: 'startServer' });
  checkOptions(options.faults ?? {}, FAULTS, { of: 'faults' });
  const backend =
    'root' in source
      ? openDirectoryBackend(source.root)
      : createMemoryBackend(source.files, options.capacity ?? DEFAULT_CAPACITY);
  const server = new TestServer(backend, options);
  await server.listen(options.port ?? 0);
  return server;
}

/** A running server, made by {@link startServer}; `await using` or `close()` ends it. */
export class TestServer implements AsyncDisposable {
  readonly host = HOST;
  readonly hostKey: ServerHostKey;
  /** The names of those who may log in. */
  readonly users: readonly string[];
  /** What has happened so far. */
  readonly counters: Counters = createCounters();
  /** The faults of sessions that begin from now on; set it to change them. */
  faults: Faults;
  readonly #backend: Backend;
  readonly #passwords: Users;
  readonly #sockets = new Map<number, Socket>();
  readonly #listener: Server;
  #port = 0;
  #closed: Promise<void> | undefined;

  /** @internal */
  constructor(backend: Backend, options: ServerOptions) {
    this.#backend = backend;
    const { users = defaultUsers, authorizedKeys, algorithms = {} } = options;
    const { privateKey, ...hostKey } = loadHostKey(options.hostKey);
    this.hostKey = hostKey;
    this.users = Object.keys(users);
    this.#passwords = users;
    this.faults = options.faults ?? {};
    const service = {
      authenticate: createAuthenticator(users, authorizedKeys),
      backend,
      home: options.home ?? '/',
      extensions: options.extensions ?? (this.faults.workers ? extensionsOfWorkers : usualExtensions),
      commands: options.commands,
      counters: this.counters,
      faults: () => this.faults,
    };
    const config = { hostKeys: [privateKey], ident: 'tsftp', algorithms: copyLists(algorithms) };
    const ssh = new ssh2.Server(config as ssh2.ServerConfig, (client, { port }) => {
      const socket = this.#sockets.get(port);
      if (socket === undefined) client.end();
      else serveSsh(client, socket, service);
    });
    ssh.on('error', () => {});
    this.#listener = createServer({ noDelay: true }, (socket) => this.#accept(socket, ssh));
  }

  get port(): number {
    return this.#port;
  }

  /** The line for a known_hosts file that makes clients trust this server. */
  get knownHosts(): string {
    return `[${this.host}]:${this.port} ${this.hostKey.publicKey}\n`;
  }

  /** The first user. */
  get username(): string {
    return this.users[0] ?? '';
  }

  /** The first user's password; empty where there is none. */
  get password(): string {
    return this.#passwords[this.username] ?? '';
  }

  /**
   * The content of a file as it is on the server, without a connection.
   *
   * @throws Error with Node's code, for instance `ENOENT`.
   *
   * @example
   * server.readFile('/in/order.txt').toString(); // 'one egg'
   */
  readFile(path: string | Uint8Array): Buffer {
    return readWholeFile(this.#backend, absolute('/', Buffer.from(path)));
  }

  /** The names in a directory of the server, sorted, without a connection. */
  listNames(path: string | Uint8Array = '/'): string[] {
    return listNames(this.#backend, absolute('/', Buffer.from(path)));
  }

  /**
   * Stops listening and ends every connection at once. Settles always; calling it again does no harm.
   */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#listener.close(() => resolve());
      this.disconnectAll();
    });
    return this.#closed;
  }

  /** Cuts every connection without a word, as a crash would; new ones are welcome. */
  disconnectAll(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#listener.once('error', (cause: NodeJS.ErrnoException) => {
        const details = { host: HOST, port, cause };
        const code = cause.code ?? 'EADDRINUSE';
        reject(
          new ConnectionError(code, `Cannot listen on ${HOST}:${port} (${code}): use another port`, details),
        );
      });
      this.#listener.listen(port, HOST, () => {
        this.#port = (this.#listener.address() as AddressInfo).port;
        this.#listener.on('error', () => {});
        resolve();
      });
    });
  }

  #accept(socket: Socket, ssh: ssh2.Server): void {
    const { remotePort } = socket;
    socket.on('error', () => {});
    if (remotePort === undefined || this.#sockets.size >= MAX_CONNECTIONS || this.#closed !== undefined) {
      socket.destroy();
      return;
    }
    this.counters.connections += 1;
    this.#sockets.set(remotePort, socket);
    socket.once('close', () => this.#sockets.delete(remotePort));
    ssh.injectSocket(socket);
  }
}

/** Compression only after authentication: an unknown client gets nothing to inflate. */
function copyLists({ kex, cipher, hmac, compress }: ServerAlgorithms): Record<string, string[]> {
  return {
    ...(kex === undefined ? {} : { kex: [...kex] }),
    ...(cipher === undefined ? {} : { cipher: [...cipher] }),
    ...(hmac === undefined ? {} : { hmac: [...hmac] }),
    compress: [...(compress ?? ['none', 'zlib@openssh.com'])],
  };
}
