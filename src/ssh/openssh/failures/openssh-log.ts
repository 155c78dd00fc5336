/** What `ssh -vv` writes into its log, read as it comes: what was negotiated, what was tried, and its complaints. */
import { printable } from '../../../shared/printable.js';
import { isOtherGreeting } from '../../socket.js';
import type { Negotiated } from '../../ssh-connection.js';

const MAXIMUM_LINE_LENGTH = 8 * 1024;
const KEPT_LINES = 100;

/** The host key as ssh shows it: without its bytes. */
export interface ShownKey {
  readonly type: string;
  readonly fingerprint: string;
}

/** The server that ssh is talking to: the last one, or one on the way there. */
export interface Station {
  readonly host: string;
  readonly port: number;
  /** Known once it is about to log in. */
  readonly username?: string;
}

export interface OpensshLogOptions {
  readonly onAnswer: (answer: ChannelAnswer) => void;
  /** The server has begun as none of SSH does; ssh would wait for another beginning. */
  readonly onOtherProtocol?: (() => void) | undefined;
  readonly onDebug?: ((line: string) => void) | undefined;
  /** Takes out of a line what must not be shown: a server may repeat what it was told. */
  readonly redact?: ((line: string) => string) | undefined;
  /**
   * Does one process of ssh alone write it? A server may still get a line of its own in, with a line feed in what ssh
   * quotes: then two lines contradict each other, since the true one is there as well.
   */
  readonly isAlone: boolean;
  /** Called if so; the log cannot be relied on then. */
  readonly onContradiction?: (() => void) | undefined;
}

type Pair = readonly [cipher: string, mac: string, compression: string];

interface Facts {
  kex: string;
  hostKeyAlgorithm: string;
  toServer: Pair;
  toClient: Pair;
  serverKey: ShownKey | undefined;
}

type Note = (match: RegExpExecArray) => Partial<Facts>;

const pair = ([, cipher = '', mac = '', compression = '']: RegExpExecArray): Pair => [
  cipher,
  mac.replace(/[<>]/g, ''),
  compression,
];

/** What a line adds to what is known about a server. */
const NOTES: readonly (readonly [RegExp, Note])[] = [
  [/^kex: algorithm: (\S+)$/, ([, kex = '']) => ({ kex })],
  [/^kex: host key algorithm: (\S+)$/, ([, hostKeyAlgorithm = '']) => ({ hostKeyAlgorithm })],
  [
    /^kex: server->client cipher: (\S+) MAC: (\S+) compression: (\S+)$/,
    (match) => ({ toClient: pair(match) }),
  ],
  [
    /^kex: client->server cipher: (\S+) MAC: (\S+) compression: (\S+)$/,
    (match) => ({ toServer: pair(match) }),
  ],
  [
    /^Server host (?:key|certificate): (\S+) (SHA256:[\w+/]{43})(?![\w+/])/,
    ([, type = '', fingerprint = '']) => ({ serverKey: { type, fingerprint } }),
  ],
];

const STATIONS: readonly RegExp[] = [
  /^Connecting to (?<host>\S+) (?:\[\S+\] )?port (?<port>\d+)\.$/,
  /^Authenticating to (?<host>\S+):(?<port>\d+) as '(?<username>.*)'$/,
];

/** Its small talk. */
const CHATTER =
  /^(?:OpenSSH_[\w.]+[ ,]|Transferred: sent |Bytes per second: sent |Warning: Permanently added |Killed by signal )/;

const ATTEMPTS: readonly (readonly [RegExp, (found: string, rest: string) => string])[] = [
  [
    /^Offering public key: (.+) \S+ SHA256:\S+(.*)$/,
    (file, rest) => `publickey (${printable(file, 200)}${/ agent$/.test(rest) ? OF_THE_AGENT : ''})`,
  ],
  [/^Next authentication method: (?!publickey)([\w-]+)$/, (method) => method],
];

/** Ends the description of a key that an agent holds. */
export const OF_THE_AGENT = ' of the agent';

/** What becomes of a request for a channel, as the log tells. */
export type ChannelAnswer = 'accepted' | 'refused';

export class OpensshLog {
  readonly #options: OpensshLogOptions;
  readonly #complaints: string[] = [];
  #tried: string[] = [];
  #station: Station | undefined;
  #greeting: string | undefined;
  #version: readonly number[] = [];
  #promptCount = 0;
  #isThrough = false;
  #isEmpty = true;
  readonly #found = new Map<string, string>();
  readonly #facts: Facts = {
    kex: 'unknown',
    hostKeyAlgorithm: 'unknown',
    toServer: ['unknown', 'unknown', 'unknown'],
    toClient: ['unknown', 'unknown', 'unknown'],
    serverKey: undefined,
  };
  #rest = '';

  constructor(options: OpensshLogOptions) {
    this.#options = options;
  }

  /** What stood in place of an SSH identification. */
  get greeting(): string | undefined {
    return this.#greeting;
  }

  /** `[9, 2]` for OpenSSH 9.2; empty for one that is not known. */
  get version(): readonly number[] {
    return this.#version;
  }

  /** How many questions the server has asked at once, the last time that it did. */
  get promptCount(): number {
    return this.#promptCount;
  }

  /** Has the server let ssh in? */
  get isThrough(): boolean {
    return this.#isThrough;
  }

  /** Has ssh not written anything? */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  get station(): Station | undefined {
    return this.#station;
  }

  /** Lines that are no debug output: ssh's complaints and what the server wrote. */
  get complaints(): readonly string[] {
    return this.#complaints;
  }

  /** At this station. */
  get tried(): readonly string[] {
    return this.#tried;
  }

  get serverKey(): ShownKey | undefined {
    return this.#facts.serverKey;
  }

  get negotiated(): Negotiated {
    const { kex, hostKeyAlgorithm, toServer, toClient } = this.#facts;
    return {
      kex,
      hostKeyAlgorithm,
      ciphers: [toServer[0], toClient[0]],
      macs: [toServer[1], toClient[1]],
      compression: [toServer[2], toClient[2]],
    };
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString('latin1')).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, MAXIMUM_LINE_LENGTH);
    for (const line of lines) this.read(line);
  }

  /** Reads what has no line end. */
  end(): void {
    this.read(this.#rest);
    this.#rest = '';
  }

  /** Reads one line, as bytes. */
  read(bytes: string): void {
    const said = bytes.slice(0, MAXIMUM_LINE_LENGTH).trimEnd();
    if (said === '') return;
    this.#readVersion(said);
    const line = this.#options.redact?.(said) ?? said;
    this.#options.onDebug?.(printable(line, 4096));
    const text = /^debug\d: (.*)$/s.exec(line)?.[1];
    if (text !== undefined) this.#readDebug(text);
    else if (line.startsWith('Authenticated to ')) this.#isThrough = true;
    else if (!CHATTER.test(line)) this.#complain(line);
  }

  /** The very first line, before anybody else could speak. */
  #readVersion(line: string): void {
    const [, major, minor] = (this.#isEmpty && /^OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)/.exec(line)) || [];
    if (major !== undefined) this.#version = [Number(major), Number(minor)];
    this.#isEmpty = false;
  }

  #complain(line: string): void {
    this.#complaints.push(line.slice(0, MAXIMUM_LINE_LENGTH));
    if (this.#complaints.length > KEPT_LINES) this.#complaints.shift();
  }

  #readDebug(text: string): void {
    const answer = /^channel_input_status_confirm: type (99|100) id \d+$/.exec(text)?.[1];
    if (answer !== undefined) {
      this.#options.onAnswer(answer === '99' ? 'accepted' : 'refused');
      return;
    }
    this.#readState(text);
    for (const pattern of STATIONS) {
      const { host, port, username } = pattern.exec(text)?.groups ?? {};
      if (host !== undefined) this.#arrive({ host, port: Number(port), ...(username && { username }) });
    }
    for (const [pattern, note] of NOTES) {
      const match = pattern.exec(text);
      if (match !== null) this.#note(note(match));
    }
    for (const [pattern, describe] of ATTEMPTS) {
      const [, found, rest = ''] = pattern.exec(text) ?? [];
      if (found !== undefined) this.#tried.push(describe(found, rest));
    }
  }

  #readState(text: string): void {
    if (text.startsWith('mux_client_request_session: master session id: '))
      this.#options.onAnswer('accepted');
    if (text.startsWith('mux_client_request_stdio_fwd: ')) this.#isThrough = true;
    const prompts = /^input_userauth_info_req: num_prompts (\d+)$/.exec(text)?.[1];
    if (prompts !== undefined) this.#promptCount = Number(prompts);
    this.#greeting ??= /^kex_exchange_identification: banner line \d+: (.*)$/.exec(text)?.[1];
    if (text.startsWith('Remote protocol version ')) this.#greeting = undefined;
    if (isOtherGreeting(this.#greeting ?? '')) this.#options.onOtherProtocol?.();
  }

  #arrive(station: Station): void {
    const { host, port } = this.#station ?? {};
    this.#station = station;
    if (host === station.host && port === station.port) return;
    this.#tried = [];
    this.#facts.serverKey = undefined;
  }

  #note(found: Partial<Facts>): void {
    if (this.#options.isAlone) {
      for (const [name, value] of Object.entries(found)) {
        const text = JSON.stringify(value);
        const before = this.#found.get(name) ?? text;
        this.#found.set(name, before);
        if (before !== text) this.#options.onContradiction?.();
      }
      if (this.#facts.serverKey !== undefined && found.serverKey !== undefined) return;
    }
    Object.assign(this.#facts, found);
  }
}
