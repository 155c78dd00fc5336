/** What the built-in transport needs to know to connect. */
import type { Duplex } from 'node:stream';
import type { Redaction } from '../../shared/redaction.js';
import type { AlgorithmOptions } from '../algorithms.js';
import type { Credentials } from '../credentials/credentials.js';
import type { LoginMethod } from '../credentials/login-methods.js';
import type { QuestionHandler } from '../credentials/prompts.js';
import type { HostKeyCheck } from '../host-keys/host-key.js';

/** How long we wait and how often we ask, in ms. */
export const SSH_DEFAULTS = {
  connectTimeout: 20_000,
  keepaliveInterval: 15_000,
  keepaliveCountMax: 3,
} as const;

export interface Ssh2Options {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly credentials: Credentials;
  /** What verifies the server's key: known hosts, fingerprints (`SHA256:…`), rules, or `null` for no check at all. */
  readonly hostKeys: HostKeyCheck;
  readonly algorithms?: AlgorithmOptions | undefined;
  /** For the whole of connecting, in ms; the time in which somebody is asked does not count. Default 20,000. */
  readonly connectTimeout?: number | undefined;
  /** What is left of it when the attempt begins, where hosts on the way take their part. */
  readonly leftMs?: (() => number) | undefined;
  /** In ms; 0: none. Default 15,000. */
  readonly keepaliveInterval?: number | undefined;
  /** How many unanswered keepalives end the connection. Default 3. */
  readonly keepaliveCountMax?: number | undefined;
  /** What to speak over, in place of a connection of its own; it is destroyed at the end. */
  readonly stream?: Duplex | undefined;
  /** Only addresses of this family. */
  readonly family?: 4 | 6 | undefined;
  /** The address of this machine to connect from. */
  readonly localAddress?: string | undefined;
  readonly authMethods?: readonly LoginMethod[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPrompt?: QuestionHandler | undefined;
  /** Collects the secrets that must not appear in errors and logs. */
  readonly secrets?: Redaction | undefined;
  /** Gets lines for a log; no secret is in them. */
  readonly debug?: ((line: string) => void) | undefined;
}
