/** What the system's ssh needs to know to connect. */
import type { Redaction } from '../../shared/redaction.js';
import type { AlgorithmOptions } from '../algorithms.js';
import type { LoginMethod } from '../credentials/login-methods.js';
import type { PromptHandler } from '../credentials/prompts.js';
import type { ChannelRequest } from '../established-connection.js';
import type { TrustOptions } from './openssh-host-key.js';
import type { KeyOptions } from './openssh-key.js';

export interface OpensshOptions extends Omit<KeyOptions, 'onPrompt'>, TrustOptions {
  /** A host name, an address, or an alias of the configuration. */
  readonly host: string;
  /** Default: the configuration's, else 22. */
  readonly port?: number | undefined;
  /** Default: the configuration's, else the user of the operating system. */
  readonly username?: string | undefined;
  /** `true`: the user's and the system's, as ssh does by itself; else files, or `false` for none. Default: `true`. */
  readonly config?: boolean | string | readonly string[] | undefined;
  readonly password?: string | undefined;
  readonly onPrompt?: PromptHandler | undefined;
  readonly agent?: string | false | undefined;
  readonly proxyJump?: string | undefined;
  readonly algorithms?: AlgorithmOptions | undefined;
  /** For the whole of connecting, in ms. Default 20,000. */
  readonly connectTimeout?: number | undefined;
  readonly family?: 4 | 6 | undefined;
  readonly localAddress?: string | undefined;
  readonly authMethods?: readonly LoginMethod[] | undefined;
  readonly keepaliveInterval?: number | undefined;
  readonly keepaliveCountMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What the first channel runs; default: the subsystem `sftp`. */
  readonly request?: ChannelRequest | undefined;
  /** The program; default: `ssh`, from the search path. */
  readonly program?: string | undefined;
  /** Collects the secrets that must not appear in errors and logs. */
  readonly secrets?: Redaction | undefined;
  /** Gets ssh's own log, line by line; no secret is in it. */
  readonly debug?: ((line: string) => void) | undefined;
}
