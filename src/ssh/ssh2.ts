import type { Credentials } from './credentials.js';
import type { HostKeys } from './known-hosts.js';
import type { SshConnection } from './ssh-connection.js';

/** Which algorithms to offer, best first; a list left out is our own. */
export interface AlgorithmOptions {
  readonly kex?: readonly string[] | undefined;
  readonly hostKeyAlgorithms?: readonly string[] | undefined;
  readonly ciphers?: readonly string[] | undefined;
  readonly macs?: readonly string[] | undefined;
  readonly compression?: boolean | undefined;
}

/** A question of the server, or of ours, to whoever sits before the terminal. */
export interface PromptRequest {
  readonly kind: 'keyboard-interactive';
  readonly name: string;
  readonly instructions: string;
  readonly prompts: readonly { readonly prompt: string; readonly echo: boolean }[];
}
export type PromptHandler = (request: PromptRequest) => Promise<readonly string[]> | readonly string[];

export interface Ssh2Options {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly credentials: Credentials;
  /** What verifies the server's key: known hosts, fingerprints (`SHA256:…`), or `null` for no check at all. */
  readonly hostKeys: HostKeys | readonly string[] | null;
  readonly algorithms?: AlgorithmOptions | undefined;
  /** For the whole of connecting, in ms. Default 20,000. */
  readonly connectTimeout?: number | undefined;
  /** In ms; 0: none. Default 15,000. */
  readonly keepaliveInterval?: number | undefined;
  /** How many unanswered keepalives end the connection. Default 3. */
  readonly keepaliveCountMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPrompt?: PromptHandler | undefined;
  /** Gets lines for a log; no secret is in them. */
  readonly debug?: ((line: string) => void) | undefined;
}

/** Connects, verifies the server's key, and logs in. */
export async function connectSsh2(_options: Ssh2Options): Promise<SshConnection> {
  throw new Error('not yet');
}
