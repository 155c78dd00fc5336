/** Options of a connection pool, and their defaults. */
import { kindOf } from '../shared/arguments.js';
import { checkOptions, type OptionTable } from '../shared/option-checks.js';
import type { ResolveServer, ServerDescription } from './server-description.js';

/** A place under a limit that holds across machines, taken for one connection. */
export interface Permit {
  /** Gives it back when the connection is closed. */
  release(): void | Promise<void>;
  /** Aborts where the place was lost, as after the process was frozen: the connection is closed then. */
  readonly lost?: AbortSignal | undefined;
}

/** Options of {@link ConnectionPool}. */
export interface ConnectionPoolOptions {
  /** The options of `connect` for a server, with the secrets. */
  readonly resolve: ResolveServer;
  /** Connections to one host and port, of all users. Default: 4. */
  readonly maxPerServer?: number | undefined;
  /** Connections in all. Default: 64. */
  readonly maxTotal?: number | undefined;
  /** Milliseconds after which a connection that nobody uses is closed. Default: 30,000. */
  readonly idleTimeout?: number | undefined;
  /** Connections to one server that are opened at the same time; sshd refuses some beyond its `MaxStartups`. Default: 2. */
  readonly maxConnecting?: number | undefined;
  /** New connections to one server in any 60 seconds, for servers that ban. Failed ones count. Default: 8, or `maxPerServer` if that is more. */
  readonly connectsPerMinute?: number | undefined;
  /** How often connecting is tried for one lease, where only the network has failed. Default: 5. */
  readonly attempts?: number | undefined;
  /** Milliseconds before the second attempt; it doubles each time. No lease connects to that server meanwhile. Default: 1,000. */
  readonly backoff?: number | undefined;
  /** Milliseconds that no pause exceeds. Default: 60,000. */
  readonly maxBackoff?: number | undefined;
  /** Called before each new connection, to wait for a place under a limit across machines. */
  readonly acquire?:
    | ((server: ServerDescription, options: { readonly signal: AbortSignal }) => Promise<Permit>)
    | undefined;
}

/** What the code of the pool has of them. */
export interface PoolSettings extends Pick<ConnectionPoolOptions, 'resolve' | 'acquire'> {
  readonly maxPerServer: number;
  readonly maxTotal: number;
  readonly idleTimeout: number;
  readonly maxConnecting: number;
  readonly connectsPerMinute: number;
  readonly attempts: number;
  readonly backoff: number;
  readonly maxBackoff: number;
}

const OPTIONS: OptionTable<ConnectionPoolOptions> = {
  ...{ resolve: 'function', acquire: 'function', maxPerServer: 'checked', maxTotal: 'checked' },
  ...{ idleTimeout: 'checked', maxConnecting: 'checked', connectsPerMinute: 'checked', attempts: 'checked' },
  ...{ backoff: 'checked', maxBackoff: 'checked' },
};

const DEFAULTS = {
  ...{ maxPerServer: 4, maxTotal: 64, idleTimeout: 30_000, maxConnecting: 2, attempts: 5 },
  ...{ backoff: 1_000, maxBackoff: 60_000 },
};

const LEAST_CONNECTS_PER_MINUTE = 8;

/** @throws TypeError | RangeError if an option is invalid */
export function poolSettings(options: ConnectionPoolOptions): PoolSettings {
  checkOptions(options ?? {}, OPTIONS, { of: 'ConnectionPool' });
  if (typeof options?.resolve !== 'function') {
    throw new TypeError('resolve must be a function that gives the options of connect for a server');
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const { maxPerServer = DEFAULTS.maxPerServer } = options;
  const connectsPerMinute = Math.max(LEAST_CONNECTS_PER_MINUTE, maxPerServer);
  const numbers: PoolSettings = { ...DEFAULTS, connectsPerMinute, resolve: options.resolve, ...given };
  for (const name of [
    'maxPerServer',
    'maxTotal',
    'maxConnecting',
    'connectsPerMinute',
    'attempts',
  ] as const) {
    checkNumber(name, numbers[name], 1);
  }
  for (const name of ['idleTimeout', 'backoff', 'maxBackoff'] as const) checkNumber(name, numbers[name], 0);
  return numbers;
}

function checkNumber(name: string, value: unknown, min: number): void {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${kindOf(value)}`);
  if (!(value >= min)) throw new RangeError(`${name} must be ${min} or more, not ${value}`);
}
