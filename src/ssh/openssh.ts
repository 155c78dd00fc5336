/**
 * Connects with the system's own ssh, so that everything that it can do works: its configuration with ProxyCommand
 * and ProxyJump, certificates, hardware keys, GSSAPI, key exchange that quantum computers do not break. One process
 * holds the connection and runs `ssh -s sftp`; further channels share it.
 */
import { type ChildProcessWithoutNullStreams, execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onAbort } from '../abort.js';
import { ConnectionError, CredentialError, SshError } from '../errors.js';
import { printable } from '../printable.js';
import type { AgentKey } from './agent.js';
import type { AlgorithmOptions } from './algorithms.js';
import {
  type ArgumentOptions,
  type ChannelRequest,
  optionArguments,
  quotePath,
  targetArguments,
} from './openssh-arguments.js';
import { Askpass } from './openssh-askpass.js';
import { OpensshConnection, type OpensshFacts, type OpensshProcesses } from './openssh-connection.js';
import { explainFailure } from './openssh-failure.js';
import {
  findKeyBytes,
  isPins,
  type OpensshTrust,
  type Resolution,
  readResolution,
  trustArguments,
  trustedKeys,
} from './openssh-host-key.js';
import { OpensshLog } from './openssh-log.js';
import { killSsh, startSsh } from './openssh-process.js';
import { makeAnswerer } from './openssh-prompt.js';
import { isKeyText } from './private-key.js';
import type { PromptHandler } from './prompts.js';
import { parseProxyJump } from './proxy-jump.js';
import type { ServerKey, SshConnection } from './ssh-connection.js';

const DEFAULT_TIMEOUT_MS = 20_000;
const DEFAULT_KEEPALIVE_MS = 15_000;
const MAXIMUM_ANSWER = 1024 * 1024;

export interface OpensshOptions {
  /** A host name, an address, or an alias of the configuration. */
  readonly host: string;
  /** Default: the configuration's, else 22. */
  readonly port?: number | undefined;
  /** Default: the configuration's, else the user of the operating system. */
  readonly username?: string | undefined;
  /** `true`: the user's and the system's, as ssh does by itself; else files, or `false` for none. Default: `true`. */
  readonly config?: boolean | string | readonly string[] | undefined;
  readonly password?: string | undefined;
  /** The path of a key. */
  readonly privateKey?: string | Uint8Array | AgentKey | undefined;
  readonly privateKeyPass?: string | undefined;
  readonly agent?: string | false | undefined;
  readonly onPrompt?: PromptHandler | undefined;
  readonly proxyJump?: string | undefined;
  /** `undefined`: ssh's own known hosts; `null`: no check at all; fingerprints, or keys that are trusted. */
  readonly hostKeys?: OpensshTrust;
  /** A known_hosts file that unknown hosts are added to, rather than refused; only with ssh's own known hosts. */
  readonly acceptNewIn?: string | undefined;
  readonly algorithms?: AlgorithmOptions | undefined;
  /** For the whole of connecting, in ms. Default 20,000. */
  readonly connectTimeout?: number | undefined;
  readonly keepaliveInterval?: number | undefined;
  readonly keepaliveCountMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What the first channel runs; default: the subsystem `sftp`. */
  readonly request?: ChannelRequest | undefined;
  /** The program; default: `ssh`, from the search path. */
  readonly program?: string | undefined;
  /** Gets ssh's own log, line by line; no secret is in it. */
  readonly debug?: ((line: string) => void) | undefined;
}

/**
 * Resolves once ssh has verified the server's key, logged in and started the first channel.
 *
 * Rejects with `ConnectionError`, `HostKeysError`, `AuthenticationError`, `CredentialError`, `SshError`
 * (`SSH_NOT_FOUND`, `NEGOTIATION_FAILED`, `CONFIG_INVALID`, `CHANNEL_REFUSED`, `SSH_FAILED` …), with the signal's
 * reason, or with a `TypeError` for what could be taken for something else on a command line; then nothing was
 * started.
 */
export async function connectOpenssh(options: OpensshOptions): Promise<SshConnection> {
  options.signal?.throwIfAborted();
  const request = options.request ?? { type: 'subsystem', name: 'sftp' };
  // Refuses what cannot be meant, before there is a folder or a process.
  optionArguments(argumentOptions(options, true));
  targetArguments(options.host, request);
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-'));
  const attempt = new Attempt(options, request, folder);
  try {
    return await attempt.run();
  } catch (error) {
    await attempt.giveUp();
    throw error;
  }
}

class Attempt {
  readonly #options: OpensshOptions;
  readonly #request: ChannelRequest;
  readonly #folder: string;
  readonly #abort = new AbortController();
  #askpass: Askpass | undefined;
  #main: ChildProcessWithoutNullStreams | undefined;

  constructor(options: OpensshOptions, request: ChannelRequest, folder: string) {
    this.#options = options;
    this.#request = request;
    this.#folder = folder;
  }

  async run(): Promise<OpensshConnection> {
    const timeoutMs = this.#options.connectTimeout ?? DEFAULT_TIMEOUT_MS;
    const callOff = onAbort(this.#options.signal, (reason) => this.#abort.abort(reason));
    const timer = setTimeout(() => this.#abort.abort(this.#timeoutError(timeoutMs)), timeoutMs);
    try {
      this.#options.signal?.throwIfAborted();
      return await this.#connect();
    } finally {
      clearTimeout(timer);
      callOff();
    }
  }

  async giveUp(): Promise<void> {
    const main = this.#main;
    if (main !== undefined && main.exitCode === null && main.signalCode === null && main.pid !== undefined) {
      const ended = new Promise((resolve) => main.once('exit', resolve));
      killSsh(main, 'SIGKILL');
      await ended;
    }
    await this.#cleanUp();
  }

  async #cleanUp(): Promise<void> {
    this.#askpass?.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #connect(): Promise<OpensshConnection> {
    const config = await this.#config();
    const { password, privateKeyPass, onPrompt, host } = this.#options;
    const interactive = password !== undefined || privateKeyPass !== undefined || onPrompt !== undefined;
    const first = optionArguments({ ...argumentOptions(this.#options, interactive), config });
    const resolution = await this.#resolve([...first, ...targetArguments(host)]);
    if (password !== undefined) await this.#refuseNamesake(resolution, config);
    if (interactive) {
      this.#askpass = await Askpass.open(this.#folder, makeAnswerer(this.#options, resolution));
    }
    const base = [
      ...first,
      ...(this.#options.keepaliveInterval === undefined && resolution.serverAliveIntervalSeconds === 0
        ? [`-oServerAliveInterval=${DEFAULT_KEEPALIVE_MS / 1000}`]
        : []),
      ...(interactive && onPrompt === undefined ? ['-oNumberOfPasswordPrompts=1'] : []),
      ...(await trustArguments(this.#options, resolution, this.#folder)),
    ];
    return await this.#start(base, resolution);
  }

  /** ssh takes one file; several are included from one of our own. */
  async #config(): Promise<boolean | string> {
    const { config = true } = this.#options;
    if (typeof config === 'boolean' || typeof config === 'string') return config;
    const path = join(this.#folder, 'config');
    const lines = config.map((file) => `Include "${file.replace(/["\\\n]/g, '\\$&')}"\nMatch all\n`);
    await writeFile(path, lines.join(''), { mode: 0o600 });
    return path;
  }

  /** What ssh makes of the configuration: where it will go, and as whom. */
  async #resolve(args: readonly string[]): Promise<Resolution> {
    const program = this.#options.program ?? 'ssh';
    const text = await new Promise<string>((resolve, reject) => {
      execFile(
        program,
        ['-G', ...args],
        { signal: this.#abort.signal, maxBuffer: MAXIMUM_ANSWER, windowsHide: true },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else if (this.#abort.signal.aborted) reject(this.#abort.signal.reason);
          else reject(this.#startError(error, stderr));
        },
      );
    });
    return readResolution(text, this.#options.host);
  }

  /** ssh asks for a password by user and host, without the port: a hop on the same host could pose as the server. */
  async #refuseNamesake(resolution: Resolution, config: boolean | string): Promise<void> {
    const { proxyJump = 'none' } = resolution;
    for (const hop of proxyJump === 'none' ? [] : parseProxyJump(proxyJump)) {
      const args = optionArguments({ ...hop, config, connectTimeoutMs: 1000, interactive: false });
      const { host, hostKeyAlias } = await this.#resolve([...args, ...targetArguments(hop.host)]);
      if ((hostKeyAlias ?? host) !== (resolution.hostKeyAlias ?? resolution.host)) continue;
      const text =
        `the hop ${printable(hop.host)} is on the same host as the server, and ssh does not tell them apart when it ` +
        'asks for a password: use transport "ssh2", or log in with a key';
      throw new SshError('UNSUPPORTED_OPTION', text);
    }
  }

  #startError(error: Error, stderr: string): Error {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      const text =
        'there is no program ssh on the search path: install the OpenSSH client, or use transport "ssh2"';
      return new SshError('SSH_NOT_FOUND', text, { cause: error });
    }
    const words = printable(stderr.trim() || error.message);
    return new SshError('CONFIG_INVALID', `ssh refuses its configuration: ${words}`, { cause: error });
  }

  async #start(base: readonly string[], resolution: Resolution): Promise<OpensshConnection> {
    const shared = process.platform !== 'win32';
    const control = join(this.#folder, 'c');
    const sharing = shared
      ? ['-oControlMaster=yes', `-oControlPath=${control.replaceAll('%', '%%')}`, '-oControlPersist=no']
      : ['-oControlMaster=no', '-oControlPath=none'];
    const target = targetArguments(this.#options.host, this.#request);
    const main = this.#spawn(['-vv', ...base, ...sharing, ...target]);
    this.#main = main;
    // A shared channel needs nothing but the socket; should that fail, it must not connect by itself.
    const further = shared
      ? [
          '-F',
          'none',
          '-T',
          '-oLogLevel=ERROR',
          `-oControlPath=${quotePath('the folder for temporary files', control)}`,
          '-oProxyCommand=false',
        ]
      : ['-oLogLevel=ERROR', ...base];
    const start = (request: ChannelRequest): ChildProcessWithoutNullStreams =>
      this.#spawn([...further, ...targetArguments(this.#options.host, request)]);
    return await this.#untilOpen(main, resolution, { start, shared });
  }

  #spawn(args: readonly string[]): ChildProcessWithoutNullStreams {
    const environment = this.#askpass?.environment ?? { SSH_ASKPASS_REQUIRE: 'never' };
    return startSsh(args, { program: this.#options.program ?? 'ssh', environment });
  }

  async #untilOpen(
    main: ChildProcessWithoutNullStreams,
    resolution: Resolution,
    { start, shared }: Pick<OpensshProcesses, 'start' | 'shared'>,
  ): Promise<OpensshConnection> {
    return await new Promise((resolve, reject) => {
      let connection: OpensshConnection | undefined;
      const open = (): void => {
        const processes = {
          main,
          log,
          start,
          shared,
          request: this.#request,
          cleanUp: () => this.#cleanUp(),
        };
        connection = new OpensshConnection(processes, this.#facts(log, resolution));
        callOff();
        resolve(connection);
      };
      const log = new OpensshLog((answer) => {
        if (connection !== undefined) connection.onAnswer(answer);
        else if (answer === 'accepted') open();
        else reject(this.#refused());
      }, this.#options.debug);
      const callOff = onAbort(this.#abort.signal, reject);
      if (this.#abort.signal.aborted) reject(this.#abort.signal.reason);
      main.stdin.on('error', () => {});
      main.stderr.on('data', (chunk: Buffer) => log.push(chunk));
      main.on('error', (error) => reject(this.#startError(error, '')));
      main.once('close', () => {
        log.end();
        callOff();
        if (connection === undefined) reject(this.#failure(log, resolution));
      });
    });
  }

  #refused(): SshError {
    const { type } = this.#request;
    const what =
      this.#request.type === 'subsystem' ? `subsystem ${printable(this.#request.name)}` : 'command';
    const advice = type === 'subsystem' ? ': it may not offer it to this user' : '';
    return new SshError('CHANNEL_REFUSED', `the server refused the ${what}${advice}`);
  }

  #failure(log: OpensshLog, resolution: Resolution): Error {
    const { complaints, tried, serverKey } = log;
    const { hostKeys: trust } = this.#options;
    const pins = isPins(trust) ? trust : undefined;
    const known = trustedKeys(trust, resolution, this.#folder);
    const knownTypes = known.filter(({ marker }) => marker === undefined).map(({ type }) => type);
    return explainFailure({ ...resolution, complaints, tried, serverKey, knownTypes, pins });
  }

  #facts({ negotiated, serverKey }: OpensshLog, resolution: Resolution): OpensshFacts {
    const { host, port, username, securityOptions } = resolution;
    const { type = 'unknown', fingerprint = '' } = serverKey ?? {};
    const entries = trustedKeys(this.#options.hostKeys, resolution, this.#folder);
    const remoteServerKey: ServerKey = { type, fingerprint, bytes: findKeyBytes(entries, fingerprint) };
    return { host, port, username, negotiated, securityOptions, remoteServerKey };
  }

  #timeoutError(timeoutMs: number): ConnectionError {
    const { host, port = 22 } = this.#options;
    const text =
      `no connection to ${printable(host)} within ${timeoutMs / 1000} seconds: check the address, the port, and the ` +
      'firewalls in between, or allow more time';
    return new ConnectionError('ETIMEDOUT', text, { host, port });
  }
}

function argumentOptions(options: OpensshOptions, interactive: boolean): ArgumentOptions {
  const { config = true, privateKey, connectTimeout, keepaliveInterval, keepaliveCountMax } = options;
  if (privateKey !== undefined && (typeof privateKey !== 'string' || isKeyText(privateKey))) {
    const text =
      'ssh takes a private key as the path of a file, or from an agent: give its path as privateKey';
    throw new CredentialError('UNSUPPORTED_KEY', text);
  }
  return {
    ...options,
    config: typeof config === 'object' ? true : config,
    privateKey,
    connectTimeoutMs: connectTimeout ?? DEFAULT_TIMEOUT_MS,
    keepaliveIntervalMs: keepaliveInterval,
    keepaliveCountMax,
    interactive,
  };
}
