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

/** What a line adds to what is known; a line that comes again, for the next server on the way, replaces it. */
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

const ATTEMPTS: readonly (readonly [RegExp, (found: string) => string])[] = [
  [/^Offering public key: (.+) \S+ SHA256:\S+/, (file) => `publickey (${printable(file, 200)})`],
  [/^Next authentication method: (?!publickey)([\w-]+)$/, (method) => method],
];

/** What becomes of a request for a channel, as the log tells. */
export type ChannelAnswer = 'accepted' | 'refused';

export class OpensshLog {
  readonly #onAnswer: (answer: ChannelAnswer) => void;
  readonly #onDebug: ((line: string) => void) | undefined;
  readonly #complaints: string[] = [];
  readonly #tried: string[] = [];
  readonly #facts: Facts = {
    kex: 'unknown',
    hostKeyAlgorithm: 'unknown',
    toServer: ['unknown', 'unknown', 'unknown'],
    toClient: ['unknown', 'unknown', 'unknown'],
    serverKey: undefined,
  };
  #rest = '';

  constructor(onAnswer: (answer: ChannelAnswer) => void, onDebug?: (line: string) => void) {
    this.#onAnswer = onAnswer;
    this.#onDebug = onDebug;
  }

  /** Lines that are no debug output: ssh's complaints and what the server wrote. */
  get complaints(): readonly string[] {
    return this.#complaints;
  }

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

  #read(line: string): void {
    if (line === '') return;
    this.#onDebug?.(printable(line, 4096));
    const text = /^debug\d: (.*)$/s.exec(line)?.[1];
    if (text === undefined) {
      this.#complaints.push(line.slice(0, MAXIMUM_LINE_LENGTH));
      if (this.#complaints.length > KEPT_LINES) this.#complaints.shift();
      return;
    }
    const answer = /^channel_input_status_confirm: type (99|100) id \d+$/.exec(text)?.[1];
    if (answer !== undefined) {
      this.#onAnswer(answer === '99' ? 'accepted' : 'refused');
      return;
    }
    for (const [pattern, note] of NOTES) {
      const match = pattern.exec(text);
      if (match !== null) Object.assign(this.#facts, note(match));
    }
    for (const [pattern, describe] of ATTEMPTS) {
      const found = pattern.exec(text)?.[1];
      if (found !== undefined) this.#tried.push(describe(found));
    }
  }
}
