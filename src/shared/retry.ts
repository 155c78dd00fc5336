/** How often, and after which pauses, something is repeated that only the network has kept from working. */

import { isTransient } from '../errors/outlook.js';
import { ConnectionError, ConnectionLostError, SshError } from '../errors.js';
import { untilAborted } from './abort.js';
import { checkOptions, type OptionTable } from './option-checks.js';

/** How often, and after which pauses, a client reconnects. */
export interface RetryOptions {
  /** How many more times it is tried in a row; each success, and each byte that moves, starts the count anew. Default: 5. */
  readonly attempts?: number | undefined;
  /** Milliseconds before the first of them. Default: 1,000. */
  readonly delay?: number | undefined;
  /** How much longer each pause is than the one before. Default: 2. */
  readonly factor?: number | undefined;
  /** How far a pause may be off, as a part of it, so that many clients do not come back at once. Default: 0.5. */
  readonly jitter?: number | undefined;
  /** Milliseconds that no pause exceeds. Default: 60,000. */
  readonly maxDelay?: number | undefined;
}

const RETRY_OPTIONS: OptionTable<RetryOptions> = {
  attempts: 'checked',
  delay: 'checked',
  factor: 'checked',
  jitter: 'checked',
  maxDelay: 'checked',
};

export type RetryPolicy = { readonly [K in keyof RetryOptions]-?: number };

const DEFAULTS: RetryPolicy = { attempts: 5, delay: 1000, factor: 2, jitter: 0.5, maxDelay: 60_000 };

const BOUNDS: Readonly<Record<keyof RetryPolicy, readonly [min: number, max: number]>> = {
  attempts: [0, Number.POSITIVE_INFINITY],
  delay: [0, 2 ** 31 - 1],
  factor: [1, 1000],
  jitter: [0, 1],
  maxDelay: [0, 2 ** 31 - 1],
};

/**
 * The options with their defaults; `undefined` if nothing should be tried again.
 *
 * @throws TypeError | RangeError if a number is invalid.
 */
export function retryPolicy(options: RetryOptions | false | undefined): RetryPolicy | undefined {
  if (options === undefined || options === false) return undefined;
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('retry must be an object as { attempts: 5, delay: 1000 }, or false');
  }
  checkOptions(options, RETRY_OPTIONS, {
    of: 'retry',
    elsewhere: { retries: 'use attempts', minTimeout: 'use delay' },
  });
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const policy = { ...DEFAULTS, ...Object.fromEntries(given) };
  for (const [name, [min, max]] of Object.entries(BOUNDS)) {
    const value: unknown = policy[name as keyof RetryPolicy];
    if (typeof value !== 'number') throw new TypeError(`retry.${name} must be a number, not ${typeof value}`);
    if (!(value >= min && value <= max)) {
      throw new RangeError(`retry.${name} must be between ${min} and ${max}, not ${value}`);
    }
  }
  return policy;
}

/** What is known of an attempt that is going to be made. */
export interface ComingAttempt {
  /** The first is 1. */
  readonly attempt: number;
  /** Milliseconds until then. */
  readonly delay: number;
  /** Why it is needed: the loss, or the failure of the attempt before. */
  readonly error: unknown;
}

/** The pause before an attempt, the first being 1, in milliseconds. */
function pauseBefore(attempt: number, policy: RetryPolicy, random: () => number = Math.random): number {
  const { delay, factor, jitter, maxDelay } = policy;
  const pauseMs = delay * factor ** (attempt - 1) * (1 + jitter * (2 * random() - 1));
  return Math.min(maxDelay, pauseMs);
}

/** Rejects with the signal's reason as soon as that aborts. */
export async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  let timer: NodeJS.Timeout | undefined;
  const elapsed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  try {
    await untilAborted(elapsed, signal);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether another connection may work: the network failed, and nobody has said no. */
export function mayReconnect(error: unknown): boolean {
  const isOfConnection = [ConnectionError, ConnectionLostError, SshError].some(
    (kind) => error instanceof kind,
  );
  return isOfConnection && isTransient(error);
}

/** Codes of connections that this program has closed itself. */
const CLOSED_CODES: readonly string[] = ['CLOSED', 'LEASE_LOST'];

/** Whether a connection has ended against everybody's will. */
export function isLost(error: unknown): error is ConnectionLostError {
  return error instanceof ConnectionLostError && !CLOSED_CODES.includes(error.code);
}

/** Tries until it works, the attempts are used up, or it fails for another reason than the line. */
export async function tryRepeatedly<T>(
  attempt: () => Promise<T>,
  {
    policy,
    signal,
    lost,
    onRetry = () => {},
  }: {
    readonly policy: RetryPolicy | undefined;
    readonly signal?: AbortSignal | undefined;
    /** What the first attempt makes good: it is one of those that the policy counts. */
    readonly lost?: Error | undefined;
    /** Told before each pause. */
    readonly onRetry?: (coming: ComingAttempt) => void;
  },
): Promise<T> {
  let error: unknown = lost;
  for (let tried = lost === undefined ? 0 : 1; ; tried += 1) {
    if (policy !== undefined && tried > 0) {
      const delay = Math.round(pauseBefore(tried, policy));
      onRetry({ attempt: tried, delay, error });
      await pause(delay, signal);
    }
    try {
      return await attempt();
    } catch (failure) {
      error = failure;
      signal?.throwIfAborted();
      if (!mayReconnect(error) || tried >= (policy?.attempts ?? 0)) throw error;
    }
  }
}
