/** One attempt to connect with the system's ssh: ask it where it would go, prepare what it needs, and start it. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ConnectionError, type SshError } from '../../errors.js';
import { onAbort } from '../../shared/abort.js';
import { printable } from '../../shared/printable.js';
import { channelRefused } from '../connection-end.js';
import { Deadline } from '../deadline.js';
import { type ChannelRequest, labelOf } from '../established-connection.js';
import type { ConnectionFacts, ServerKey } from '../ssh-connection.js';
import { Answers } from './askpass/openssh-prompt.js';
import { diagnose } from './failures/openssh-diagnosis.js';
import type { ChannelAnswer, OpensshLog } from './failures/openssh-log.js';
import { optionArguments, targetArguments } from './openssh-arguments.js';
import { prepareConfig } from './openssh-config.js';
import { OpensshConnection, type OpensshProcesses } from './openssh-connection.js';
import { findKeyBytes, isLeftToSsh } from './openssh-host-key.js';
import { isPath, type PreparedKey, prepareKey } from './openssh-key.js';
import { findMaster, throughMaster } from './openssh-master.js';
import type { OpensshOptions } from './openssh-options.js';
import { HAS_PIPES } from './openssh-pipes.js';
import { killSsh, startNumberedSsh, startSsh } from './openssh-process.js';
import { type Resolution, resolveHost, startError } from './openssh-resolution.js';
import { OpensshRoute } from './openssh-route.js';

const DEFAULT_TIMEOUT_MS = 20_000;
const DEFAULT_KEEPALIVE_SECONDS = 15;
const KEPT_ASIDE = 4 * 1024;

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
  #route: OpensshRoute | undefined;
  #main: ChildProcessWithoutNullStreams | undefined;
  #onAnswer: (answer: ChannelAnswer) => void = () => {};
  #onContradiction: (error: SshError) => void = () => {};

  /** `folder` is ours alone, and goes with the connection. */
  constructor(options: OpensshOptions, request: ChannelRequest, folder: string) {
    this.#options = options;
    this.#request = request;
    this.#folder = folder;
    const { onPrompt, connectTimeout: timeoutMs = DEFAULT_TIMEOUT_MS } = options;
    // The person who is asked may take their time.
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
    this.#route?.close();
    this.#key.agent?.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #connect(): Promise<OpensshConnection> {
    const { host, config = true } = this.#options;
    this.#config = await prepareConfig(config, this.#folder);
    // Who is asked for a passphrase is told for which server, and so where ssh goes is needed before the key is.
    const resolution = await this.#resolve(host, this.#optionArguments());
    this.#resolution = resolution;
    const onPrompt = this.#answers.userOf({ ...resolution, isJumpHost: false });
    this.#key = await prepareKey({ ...this.#options, onPrompt }, this.#folder);
    const isShareable = isLeftToSsh(this.#options, resolution);
    const master = isShareable ? await findMaster(resolution, this.#running) : undefined;
    this.#route = new OpensshRoute({
      folder: this.#folder,
      program: this.#running.program,
      resolution,
      answers: this.#answers,
      isInteractive: this.#isInteractive,
      onDebug: this.#options.debug,
      onAnswer: (answer) => this.#onAnswer(answer),
      onContradiction: (error) => this.#onContradiction(error),
      onOtherProtocol: () => this.#main && killSsh(this.#main, 'SIGTERM'),
    });
    if (master !== undefined) return await this.#startThrough(master, resolution, this.#route);
    return await this.#start(resolution, this.#route);
  }

  /** May ssh have to ask? Not for a key that we have opened ourselves. */
  get #isInteractive(): boolean {
    const { password, privateKeyPass, onPrompt } = this.#options;
    const isLocked = privateKeyPass !== undefined && this.#key.agent === undefined;
    return password !== undefined || onPrompt !== undefined || isLocked;
  }

  #optionArguments(changes: { readonly proxyJump?: undefined } = {}): readonly string[] {
    const { connectTimeout, keepaliveInterval, agent } = this.#options;
    return optionArguments({
      ...this.#options,
      ...changes,
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

  async #start(resolution: Resolution, route: OpensshRoute): Promise<OpensshConnection> {
    const { host, password, keepaliveInterval, connectTimeout = DEFAULT_TIMEOUT_MS } = this.#options;
    await route.prepareServer(this.#options);
    const way = await route.prepareHops({
      trust: this.#options,
      password,
      optionsFor: (hop) =>
        optionArguments({
          ...hop,
          config: this.#config,
          connectTimeoutMs: connectTimeout,
          interactive: this.#isInteractive,
        }),
      resolve: (hop, args) => this.#resolve(hop.host, args),
    });
    const keepsAlive = keepaliveInterval !== undefined || resolution.serverAliveIntervalSeconds !== 0;
    const base = [
      // Whichever of ProxyCommand and ProxyJump comes first counts.
      ...way,
      ...this.#optionArguments(way.length === 0 ? {} : { proxyJump: undefined }),
      ...(keepsAlive ? [] : [`-oServerAliveInterval=${DEFAULT_KEEPALIVE_SECONDS}`]),
      ...(this.#isInteractive ? this.#answers.arguments : []),
      ...route.trustArguments,
    ];
    const control = join(this.#folder, 'c');
    const sharing = HAS_PIPES
      ? ['-oControlMaster=yes', `-oControlPath=${control.replaceAll('%', '%%')}`, '-oControlPersist=no']
      : ['-oControlMaster=no', '-oControlPath=none'];
    const main = this.#spawnMain([
      '-vv',
      ...route.logArguments,
      ...base,
      ...sharing,
      ...targetArguments(host, this.#request),
    ]);
    // A shared channel needs nothing but the socket; should that fail, it must not connect by itself.
    const further = HAS_PIPES
      ? ['-oLogLevel=ERROR', ...throughMaster('the folder for temporary files', control)]
      : ['-oLogLevel=ERROR', ...base];
    const start = (request: ChannelRequest): ChildProcessWithoutNullStreams =>
      this.#spawn([...further, ...targetArguments(host, request)]);
    return await this.#untilOpen(main, resolution, { start, shared: HAS_PIPES });
  }

  /** Each channel is a process of its own that shares the user's connection, which stays when we end. */
  async #startThrough(
    master: string,
    resolution: Resolution,
    route: OpensshRoute,
  ): Promise<OpensshConnection> {
    const { host } = this.#options;
    await route.prepareServer(undefined);
    const through = throughMaster('ControlPath', master);
    const main = this.#spawnMain([
      '-vv',
      ...route.logArguments,
      ...through,
      ...targetArguments(host, this.#request),
    ]);
    const start = (request: ChannelRequest): ChildProcessWithoutNullStreams =>
      this.#spawn(['-oLogLevel=ERROR', ...through, ...targetArguments(host, request)]);
    return await this.#untilOpen(main, resolution, { start, shared: false });
  }

  #spawnMain(args: readonly string[]): ChildProcessWithoutNullStreams {
    const start = HAS_PIPES ? startNumberedSsh : startSsh;
    const main = start(args, { program: this.#running.program, environment: this.#route?.environment ?? {} });
    this.#main = main;
    return main;
  }

  #spawn(args: readonly string[]): ChildProcessWithoutNullStreams {
    return startSsh(args, { program: this.#running.program, environment: this.#route?.environment ?? {} });
  }

  async #untilOpen(
    main: ChildProcessWithoutNullStreams,
    resolution: Resolution,
    further: Pick<OpensshProcesses, 'start' | 'shared'>,
  ): Promise<OpensshConnection> {
    const route = this.#route;
    if (route === undefined) throw new TypeError('ssh was started without a route');
    return await new Promise((settle, reject) => {
      let connection: OpensshConnection | undefined;
      let aside = '';
      const { log } = route.server;
      const readLog = (): void => route.readLogs();
      const open = (): void => {
        const own = { main, log, readLog, request: this.#request, cleanUp: () => this.#cleanUp() };
        connection = new OpensshConnection({ ...own, ...further }, this.#facts(log, resolution));
        callOff();
        settle(connection);
      };
      this.#onAnswer = (answer) => {
        if (connection !== undefined) connection.onAnswer(answer);
        else if (answer === 'accepted') open();
        else reject(channelRefused(labelOf(this.#request), ''));
      };
      this.#onContradiction = (error) => {
        if (connection !== undefined) connection.destroy(error);
        else reject(error);
      };
      const callOff = onAbort(this.#abort.signal, reject);
      if (this.#abort.signal.aborted) reject(this.#abort.signal.reason);
      main.stdin.on('error', () => {});
      main.stderr.on('data', (chunk: Buffer) => {
        if (!HAS_PIPES) log.push(chunk);
        else if (connection === undefined && aside.length < KEPT_ASIDE) aside += chunk.toString('utf8');
      });
      main.on('error', (error) => reject(startError(error, '')));
      main.once('close', () => {
        readLog();
        log.end();
        if (connection === undefined) this.#explain(route, aside).then(reject, reject);
      });
    });
  }

  async #explain(route: OpensshRoute, aside: string): Promise<Error> {
    const { privateKey } = this.#options;
    return await diagnose({
      ...this.#options,
      privateKey: isPath(privateKey) ? privateKey : undefined,
      server: route.server,
      hops: route.hops,
      aside: this.#answers.redact(aside),
      hasAnswered: this.#answers.given,
    });
  }

  #facts({ negotiated, serverKey }: OpensshLog, resolution: Resolution): ConnectionFacts {
    const { host, port, username, securityOptions } = resolution;
    const { type = 'unknown', fingerprint = '' } = serverKey ?? {};
    const entries = this.#route?.server.trust?.known() ?? [];
    const remoteServerKey: ServerKey = { type, fingerprint, bytes: findKeyBytes(entries, fingerprint) };
    const { secrets, connectTimeout: connectTimeoutMs } = this.#options;
    const asked = { secrets, connectTimeoutMs };
    return { host, port, username, negotiated, securityOptions, remoteServerKey, ...asked };
  }

  #timeoutError(timeoutMs: number): ConnectionError {
    const { host, port } = this.#resolution ?? { port: 22, ...this.#options };
    const text =
      `no connection to ${printable(host)}:${port} within ${timeoutMs / 1000} seconds: check the address, the port, and the ` +
      'firewalls in between, or allow more time with connectTimeout';
    return new ConnectionError('ETIMEDOUT', text, { host, port: port ?? 22 });
  }
}
