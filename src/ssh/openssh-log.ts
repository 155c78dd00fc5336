/** What `ssh -vv` writes on stderr, read as it comes: what was negotiated, what was tried, and its complaints. */
import { printable } from '../printable.js';
import type { Negotiated } from './ssh-connection.js';

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

export interface LogOptions {
  readonly onAnswer: (answer: ChannelAnswer) => void;
  readonly onDebug?: ((line: string) => void) | undefined;
  /** Takes out of a line what must not be shown: a server may repeat what it was told. */
  readonly redact?: ((line: string) => string) | undefined;
  /**
   * Does ssh go to the server without another process on the way? Then what comes first is true: what a server says
   * later, in its banner, may look like a line of ssh's.
   */
  readonly isDirect: boolean;
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
    /^Server host (?:key|certificate): (\S+) (SHA256:[\w+/]+)/,
    ([, type = '', fingerprint = '']) => ({ serverKey: { type, fingerprint } }),
  ],
];

const STATIONS: readonly RegExp[] = [
  /^Connecting to (?<host>\S+) (?:\[\S+\] )?port (?<port>\d+)\.$/,
  /^Authenticating to (?<host>\S+):(?<port>\d+) as '(?<username>.*)'$/,
];

/** Its small talk. */
const CHATTER =
  /^(?:OpenSSH_[\w.]+[ ,]|Authenticated to |Transferred: sent |Bytes per second: sent |Warning: Permanently added )/;

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
  readonly #options: LogOptions;
  readonly #complaints: string[] = [];
  #tried: string[] = [];
  #station: Station | undefined;
  #greeting: string | undefined;
  readonly #facts: Facts = {
    kex: 'unknown',
    hostKeyAlgorithm: 'unknown',
    toServer: ['unknown', 'unknown', 'unknown'],
    toClient: ['unknown', 'unknown', 'unknown'],
    serverKey: undefined,
  };
  #rest = '';

  constructor(options: LogOptions) {
    this.#options = options;
  }

  /** What stood in place of an SSH identification. */
  get greeting(): string | undefined {
    return this.#greeting;
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
    for (const line of lines) this.#read(line.trimEnd());
  }

  /** Reads what has no line end. */
  end(): void {
    this.#read(this.#rest);
    this.#rest = '';
  }

  #read(said: string): void {
    if (said === '') return;
    const line = this.#options.redact?.(said) ?? said;
    this.#options.onDebug?.(printable(line, 4096));
    const text = /^debug\d: (.*)$/s.exec(line)?.[1];
    if (text !== undefined) this.#readDebug(text);
    else if (!CHATTER.test(line)) this.#complain(line);
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
    if (text.startsWith('mux_client_request_session: master session id: '))
      this.#options.onAnswer('accepted');
    this.#greeting ??= /^kex_exchange_identification: banner line \d+: (.*)$/.exec(text)?.[1];
    if (text.startsWith('Remote protocol version ')) this.#greeting = undefined;
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

  #arrive(station: Station): void {
    const { host, port } = this.#station ?? {};
    this.#station = station;
    if (host === station.host && port === station.port) return;
    this.#tried = [];
    this.#facts.serverKey = undefined;
  }

  #note(found: Partial<Facts>): void {
    const { serverKey } = this.#facts;
    Object.assign(this.#facts, found);
    if (this.#options.isDirect && serverKey !== undefined) this.#facts.serverKey = serverKey;
  }
}
