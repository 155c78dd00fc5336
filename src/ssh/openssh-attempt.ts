/** One attempt to connect with the system's ssh: ask it where it would go, prepare what it needs, and start it. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { access, constants, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { onAbort } from '../abort.js';
import { ConnectionError, SshError } from '../errors.js';
import { printable } from '../printable.js';
import { channelRefused } from './connection-end.js';
import { Deadline } from './deadline.js';
import { expandHome } from './home-path.js';
import type { OpensshOptions } from './openssh.js';
import { type ChannelRequest, optionArguments, targetArguments } from './openssh-arguments.js';
import { Askpass } from './openssh-askpass.js';
import { label, OpensshConnection, type OpensshProcesses } from './openssh-connection.js';
import { diagnose } from './openssh-diagnosis.js';
import { findKeyBytes, trustArguments, trustedKeys } from './openssh-host-key.js';
import { isPath, type PreparedKey, prepareKey } from './openssh-key.js';
import { OpensshLog } from './openssh-log.js';
import { findMaster, throughMaster } from './openssh-master.js';
import { killSsh, startSsh } from './openssh-process.js';
import { Answers } from './openssh-prompt.js';
import { type Resolution, resolveHost, startError } from './openssh-resolution.js';
import { parseProxyJump } from './proxy-jump.js';
import type { ConnectionFacts, ServerKey } from './ssh-connection.js';

const DEFAULT_TIMEOUT_MS = 20_000;
const DEFAULT_KEEPALIVE_SECONDS = 15;

export class OpensshAttempt {
  readonly #options: OpensshOptions;
  readonly #request: ChannelRequest;
  readonly #folder: string;
  readonly #abort = new AbortController();
  readonly #deadline: Deadline;
  readonly #answers: Answers;
  #config: boolean | string = true;
  #key: PreparedKey = {};
  #resolution: Resolution | undefined;
  #askpass: Askpass | undefined;
  #main: ChildProcessWithoutNullStreams | undefined;

  /** `folder` is ours alone, and goes with the connection. */
  constructor(options: OpensshOptions, request: ChannelRequest, folder: string) {
    this.#options = options;
    this.#request = request;
    this.#folder = folder;
    const { onPrompt, connectTimeout: timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    // Whoever is asked may take their time.
    this.#deadline = new Deadline(timeoutMs, () => this.#abort.abort(this.#timeoutError(timeoutMs)));
    this.#answers = new Answers({
      ...options,
      onPrompt: onPrompt && ((request) => this.#deadline.whileAsking(() => onPrompt(request))),
      onPromptError: (error) => this.#abort.abort(error),
    });
  }

  async run(): Promise<OpensshConnection> {
    const { signal } = this.#options;
    const callOff = onAbort(signal, (reason) => this.#abort.abort(reason));
    try {
      signal?.throwIfAborted();
      return await this.#connect();
    } finally {
      this.#deadline.cancel();
      callOff();
    }
  }

  /** Ends what was started. */
  async giveUp(): Promise<void> {
    const main = this.#main;
    if (main !== undefined && main.exitCode === null && main.signalCode === null && main.pid !== undefined) {
      const ended = new Promise((settle) => main.once('exit', settle));
      killSsh(main, 'SIGKILL');
      await ended;
    }
    await this.#cleanUp();
  }

  async #cleanUp(): Promise<void> {
    this.#askpass?.close();
    this.#key.agent?.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #connect(): Promise<OpensshConnection> {
    const { password, host, keepaliveInterval } = this.#options;
    this.#config = await this.#prepareConfig();
    this.#key = await prepareKey({ ...this.#options, onPrompt: this.#answers.onPrompt }, this.#folder);
    const first = this.#optionArguments();
    const resolution = await this.#resolve(host, first);
    this.#resolution = resolution;
    const master = await findMaster(resolution, this.#options, this.#running);
    if (master !== undefined) return await this.#startThrough(master, resolution);
    if (password !== undefined) await this.#refuseNamesake(resolution);
    if (this.#isInteractive) {
      this.#askpass = await Askpass.open(this.#folder, this.#answers.for(resolution));
    }
    const keepsAlive = keepaliveInterval !== undefined || resolution.serverAliveIntervalSeconds !== 0;
    const base = [
      ...first,
      ...(keepsAlive ? [] : [`-oServerAliveInterval=${DEFAULT_KEEPALIVE_SECONDS}`]),
      ...(this.#isInteractive ? this.#answers.arguments : []),
      ...(await trustArguments(this.#options, resolution, this.#folder)),
    ];
    return await this.#start(base, resolution);
  }

  /** May ssh have to ask? Not for a key that we have opened ourselves. */
  get #isInteractive(): boolean {
    const { password, privateKeyPass, onPrompt } = this.#options;
    const isLocked = privateKeyPass !== undefined && this.#key.agent === undefined;
    return password !== undefined || onPrompt !== undefined || isLocked;
  }

  /**
   * ssh takes one file; several are included from one of our own. So is one whose path a shell would not leave alone:
   * before OpenSSH 10 ssh writes it into the command for a hop as it is.
   */
  async #prepareConfig(): Promise<boolean | string> {
    const { config = true } = this.#options;
    if (typeof config === 'boolean') return config;
    if (typeof config === 'string') {
      await checkConfig(config);
      if (/^[\w@+=:,./~\\-]+$/.test(config)) return config;
    }
    const path = join(this.#folder, 'config');
    const lines = [config].flat().map((file) => {
      // Else a relative path would begin in ~/.ssh.
      const whole = resolve(expandHome(file));
      return `Include "${whole.replace(/["\\\n]/g, '\\$&')}"\nMatch all\n`;
    });
    await writeFile(path, lines.join(''), { mode: 0o600 });
    return path;
  }

  #optionArguments(): readonly string[] {
    const { connectTimeout, keepaliveInterval, agent } = this.#options;
    return optionArguments({
      ...this.#options,
      config: this.#config,
      privateKey: this.#key.path,
      agent: this.#key.agent?.path ?? agent,
      connectTimeoutMs: connectTimeout ?? DEFAULT_TIMEOUT_MS,
      keepaliveIntervalMs: keepaliveInterval,
      interactive: this.#isInteractive,
    });
  }

  get #running(): { readonly program: string; readonly signal: AbortSignal } {
    return { program: this.#options.program ?? 'ssh', signal: this.#abort.signal };
  }

  #resolve(host: string, args: readonly string[]): Promise<Resolution> {
    return resolveHost(host, [...args, ...targetArguments(host)], this.#running);
  }

  /** The hosts on the way, as ssh's configuration has them. */
  async #findHops({ proxyJump = 'none' }: Resolution): Promise<readonly Resolution[]> {
    const hops = proxyJump === 'none' ? [] : parseProxyJump(proxyJump);
    const settings = { config: this.#config, connectTimeoutMs: 1000, interactive: false };
    return await Promise.all(
      hops.map((hop) => this.#resolve(hop.host, optionArguments({ ...hop, ...settings }))),
    );
  }

  /** ssh asks for a password by user and host, without the port: a hop on the same host could pose as the server. */
  async #refuseNamesake(resolution: Resolution): Promise<void> {
    const nameOf = ({ host, hostKeyAlias }: Resolution): string => hostKeyAlias ?? host;
    for (const hop of await this.#findHops(resolution)) {
      if (nameOf(hop) !== nameOf(resolution)) continue;
      const text =
        `the hop ${printable(hop.host)}:${hop.port} is on the same host as the server, and ssh does not tell them ` +
        'apart when it asks for a password: use transport "ssh2", or log in with a key';
      throw new SshError('UNSUPPORTED_OPTION', text);
    }
  }

  async #start(base: readonly string[], resolution: Resolution): Promise<OpensshConnection> {
    const shared = process.platform !== 'win32';
    const control = join(this.#folder, 'c');
    const sharing = shared
      ? ['-oControlMaster=yes', `-oControlPath=${control.replaceAll('%', '%%')}`, '-oControlPersist=no']
      : ['-oControlMaster=no', '-oControlPath=none'];
    const { host } = this.#options;
    const main = this.#spawn(['-vv', ...base, ...sharing, ...targetArguments(host, this.#request)]);
    this.#main = main;
    // A shared channel needs nothing but the socket; should that fail, it must not connect by itself.
    const further = shared
      ? ['-oLogLevel=ERROR', ...throughMaster('the folder for temporary files', control)]
      : ['-oLogLevel=ERROR', ...base];
    const start = (request: ChannelRequest): ChildProcessWithoutNullStreams =>
      this.#spawn([...further, ...targetArguments(host, request)]);
    return await this.#untilOpen(main, resolution, { start, shared });
  }

  /** Each channel is a process of its own that shares the user's connection, which stays when we end. */
  async #startThrough(master: string, resolution: Resolution): Promise<OpensshConnection> {
    const { host } = this.#options;
    const through = throughMaster('ControlPath', master);
    const main = this.#spawn(['-vv', ...through, ...targetArguments(host, this.#request)]);
    this.#main = main;
    const start = (request: ChannelRequest): ChildProcessWithoutNullStreams =>
      this.#spawn(['-oLogLevel=ERROR', ...through, ...targetArguments(host, request)]);
    return await this.#untilOpen(main, resolution, { start, shared: false });
  }

  #spawn(args: readonly string[]): ChildProcessWithoutNullStreams {
    const environment = this.#askpass?.environment ?? { SSH_ASKPASS_REQUIRE: 'never' };
    return startSsh(args, { program: this.#options.program ?? 'ssh', environment });
  }

  async #untilOpen(
    main: ChildProcessWithoutNullStreams,
    resolution: Resolution,
    further: Pick<OpensshProcesses, 'start' | 'shared'>,
  ): Promise<OpensshConnection> {
    return await new Promise((settle, reject) => {
      let connection: OpensshConnection | undefined;
      const open = (): void => {
        const own = { main, log, request: this.#request, cleanUp: () => this.#cleanUp() };
        connection = new OpensshConnection({ ...own, ...further }, this.#facts(log, resolution));
        callOff();
        settle(connection);
      };
      const log = new OpensshLog({
        isDirect: resolution.isDirect,
        onDebug: this.#options.debug,
        redact: (line) => this.#answers.redact(line),
        onAnswer: (answer) => {
          if (connection !== undefined) connection.onAnswer(answer);
          else if (answer === 'accepted') open();
          else reject(channelRefused(label(this.#request), ''));
        },
      });
      const callOff = onAbort(this.#abort.signal, reject);
      if (this.#abort.signal.aborted) reject(this.#abort.signal.reason);
      main.stdin.on('error', () => {});
      main.stderr.on('data', (chunk: Buffer) => log.push(chunk));
      main.on('error', (error) => reject(startError(error, '')));
      main.once('close', () => {
        log.end();
        if (connection === undefined) this.#explain(log, resolution).then(reject, reject);
      });
    });
  }

  async #explain(log: OpensshLog, resolution: Resolution): Promise<Error> {
    const { privateKey } = this.#options;
    return await diagnose({
      ...this.#options,
      privateKey: isPath(privateKey) ? privateKey : undefined,
      log,
      resolution,
      folder: this.#folder,
      hasAnswered: this.#answers.given,
      findHops: () => this.#findHops(resolution),
    });
  }

  #facts({ negotiated, serverKey }: OpensshLog, resolution: Resolution): ConnectionFacts {
    const { host, port, username, securityOptions } = resolution;
    const { type = 'unknown', fingerprint = '' } = serverKey ?? {};
    const entries = trustedKeys(this.#options, resolution, this.#folder);
    const remoteServerKey: ServerKey = { type, fingerprint, bytes: findKeyBytes(entries, fingerprint) };
    return { host, port, username, negotiated, securityOptions, remoteServerKey };
  }

  #timeoutError(timeoutMs: number): ConnectionError {
    const { host, port } = this.#resolution ?? { port: 22, ...this.#options };
    const text =
      `no connection to ${printable(host)}:${port} within ${timeoutMs / 1000} seconds: check the address, the port, and the ` +
      'firewalls in between, or allow more time';
    return new ConnectionError('ETIMEDOUT', text, { host, port: port ?? 22 });
  }
}

/** A file that is included may be missing, and one that was named may not. */
async function checkConfig(path: string): Promise<void> {
  try {
    await access(expandHome(path), constants.R_OK);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'error';
    const text = `cannot use the ssh configuration ${printable(path)}: ${reason}`;
    throw new SshError('CONFIG_UNUSABLE', text, { cause });
  }
}
