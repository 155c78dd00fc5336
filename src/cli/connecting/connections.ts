/** The connections of one run: one for each server, made when it is first needed. */
import {
  type Connection,
  type ConnectOptions,
  CredentialError,
  connect,
  HostKeysError,
  type Logger,
  type PromptRequest,
  SshError,
} from '../../index.js';
import type { ServerName } from '../addresses/address.js';
import type { Settings } from '../options/global-options.js';
import { describe, type Output } from '../output/output.js';
import { askAboutHostKey, asksAboutHostKeys, inWordsOfTheCommandLine } from './host-key-question.js';
import { ask, canAsk } from './prompt.js';
import { readPassword } from './secrets.js';
import { givenSshOption, sshConfiguration } from './ssh-configuration.js';

/** Time to find a second factor, where a person is asked. */
const CONNECT_TIMEOUT_MS = 30_000;

export class Connections {
  readonly #settings: Settings;
  readonly #output: Output;
  readonly #signal: AbortSignal;
  readonly #open = new Map<string, Promise<Connection>>();
  #base: Promise<ConnectOptions> | undefined;
  #usesSsh = false;

  constructor(settings: Settings, output: Output, signal: AbortSignal) {
    this.#settings = settings;
    this.#output = output;
    this.#signal = signal;
  }

  /** The connection to a server; a new one where the last has ended. */
  async to(address: ServerName): Promise<Connection> {
    const key = JSON.stringify([address.user, address.host, address.port]);
    const known = await this.#open.get(key)?.catch(() => undefined);
    if (known !== undefined && !known.ended.aborted) return known;
    const opening = this.#connect(address);
    this.#open.set(key, opening);
    return await opening;
  }

  /** Closes all of them. The program ends next: only another program that has to end too is waited for. */
  async end(): Promise<void> {
    const opened = await Promise.allSettled(this.#open.values());
    const closing = opened.map((each) => (each.status === 'fulfilled' ? each.value.close() : undefined));
    if (this.#usesSsh) await Promise.all(closing);
  }

  async #connect(address: ServerName): Promise<Connection> {
    const options = {
      ...(await this.#options()),
      username: address.user,
      port: address.port ?? this.#settings.port,
    };
    try {
      return await this.#withTransport(address, options);
    } catch (error) {
      this.#signal.throwIfAborted();
      throw inWordsOfTheCommandLine(error);
    }
  }

  /** What only the system's ssh can do is left to it. */
  async #withTransport({ host }: ServerName, options: ConnectOptions): Promise<Connection> {
    const { transport } = this.#settings;
    if (transport === 'openssh') return this.#withOpenssh(host, options);
    try {
      return await connect(host, options);
    } catch (error) {
      // What is wrong with the address or the host key comes first, as for ssh.
      if (
        error instanceof CredentialError &&
        error.code === 'NO_CREDENTIALS' &&
        options.onPrompt === undefined
      ) {
        return connect(host, { ...options, onPrompt: () => Promise.reject(error) });
      }
      const isForSsh = error instanceof SshError && error.code === 'CONFIG_UNSUPPORTED';
      if (!isForSsh || transport === 'ssh2') throw error;
      this.#output.say(`${describe(error)}: connecting with ssh`, 2);
      return this.#withOpenssh(host, options);
    }
  }

  async #withOpenssh(host: string, options: ConnectOptions): Promise<Connection> {
    this.#usesSsh = true;
    const { verifyHostKey, hostKeyPolicy, ...others } = options;
    const forSsh = { ...others, transport: 'openssh', ...(verifyHostKey ? {} : { hostKeyPolicy }) } as const;
    try {
      return await connect(host, forSsh);
    } catch (error) {
      if (!(error instanceof HostKeysError) || verifyHostKey === undefined) throw error;
      const { code, fingerprint, keyType = 'unknown' } = error;
      if (code !== 'HOST_KEY_UNKNOWN' || fingerprint === undefined) throw error;
      if (!(await askAboutHostKey({ host, type: keyType, fingerprint, isAdded: false }, this.#signal)))
        throw error;
      return await connect(host, { ...forSsh, fingerprint });
    }
  }

  /** The same for every server. */
  #options(): Promise<ConnectOptions> {
    this.#base ??= this.#makeOptions();
    return this.#base;
  }

  async #makeOptions(): Promise<ConnectOptions> {
    const settings = this.#settings;
    const strict = givenSshOption(settings.sshOptions, 'StrictHostKeyChecking');
    const mayAsk = !settings.batch && givenSshOption(settings.sshOptions, 'BatchMode') !== 'yes' && canAsk();
    const acceptsNew = settings.acceptNew || strict === 'accept-new';
    const isAsked = mayAsk && !acceptsNew && strict !== 'yes' && settings.fingerprints.length === 0;
    return {
      config: sshConfiguration(settings),
      password: await readPassword(settings, this.#signal),
      signal: this.#signal,
      connectTimeout: settings.timeoutMs ?? CONNECT_TIMEOUT_MS,
      ...(acceptsNew || isAsked ? { hostKeyPolicy: 'accept-new' as const } : {}),
      ...(isAsked ? { verifyHostKey: asksAboutHostKeys(this.#signal) } : {}),
      ...(settings.fingerprints.length > 0 ? { fingerprint: settings.fingerprints } : {}),
      ...(settings.knownHosts === undefined ? {} : { knownhosts: settings.knownHosts }),
      ...(settings.jump === undefined ? {} : { proxyJump: settings.jump }),
      ...(settings.compress ? { compression: true } : {}),
      ...(settings.legacy ? { algorithms: 'legacy' as const } : {}),
      ...subsystem(settings.subsystem),
      ...(settings.timeoutMs === undefined
        ? {}
        : { callTimeout: settings.timeoutMs, noProgressTimeout: settings.timeoutMs }),
      ...(settings.bytesPerSecond === undefined ? {} : { bytesPerSecond: settings.bytesPerSecond }),
      ...(settings.connections === undefined ? {} : { connections: settings.connections }),
      ...(settings.requests === undefined ? {} : { concurrency: settings.requests }),
      ...(mayAsk ? { onPrompt: (request: PromptRequest) => this.#answer(request) } : {}),
      ...(settings.verbosity > 1 ? { logger: this.#logger() } : {}),
    };
  }

  async #answer(request: PromptRequest): Promise<readonly string[]> {
    // Questions of our own have the name in them.
    const title = request.kind === 'keyboard-interactive' ? request.name : '';
    for (const text of [title, request.instructions]) if (text !== '') process.stderr.write(`${text}\n`);
    const answers: string[] = [];
    for (const { prompt, echo } of request.prompts) {
      answers.push(await ask(prompt, { echo, signal: this.#signal }));
    }
    return answers;
  }

  #logger(): Logger {
    const say = (line: unknown): void => this.#output.say(describe(line), 3);
    return { debug: say, info: say, warn: say, error: say };
  }
}

/** A command has a slash or a blank in it, as for `sftp`. */
function subsystem(text: string | undefined): Pick<ConnectOptions, 'subsystem' | 'serverCommand'> {
  if (text === undefined) return {};
  return /[/ ]/.test(text) ? { serverCommand: text } : { subsystem: text };
}
