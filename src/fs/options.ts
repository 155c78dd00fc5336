/** Options of {@link remoteFs}. */
import type { Buffer } from 'node:buffer';
import { checkCount } from '../shared/arguments.js';
import { checkOptions, type OptionTable } from '../shared/option-checks.js';
import { encodePath, type RemotePath } from '../shared/remote-path.js';
import { type RetryOptions, type RetryPolicy, retryPolicy } from '../shared/retry.js';
import type { ViewSettings } from './base/view.js';

export interface RemoteFsOptions {
  /**
   * The directory that the view shows as `/`. Nothing outside of it can be reached: `..` stops there, and a symbolic link that
   * leads out is refused with `EACCES`. Each path is looked at before it is used, which costs one more round trip. Default: the
   * whole server, where relative paths count from the current directory of the connection.
   */
  readonly root?: RemotePath | undefined;
  /** Called once, with the first failure; see {@link RemoteFsStatus.failure}. */
  readonly onFailure?: ((error: Error) => void) | undefined;
  /**
   * How often, and after which pauses, a lost connection reconnects. Calls that may be made twice (reading, looking, setting
   * attributes) are repeated after that. `false`: a lost connection is an error at once. Default: the `retry` of the
   * connection, or 4 attempts within about 4 seconds.
   */
  readonly retry?: RetryOptions | false | undefined;
  /**
   * For so many milliseconds what is known of a file is not asked for again, for programs that look at the same files again and
   * again. Every change through the view makes it forget; what others change is seen so much later. Default: 0, which is off.
   */
  readonly attributeCacheMs?: number | undefined;
}

const OPTIONS: OptionTable<RemoteFsOptions> = {
  root: 'checked',
  onFailure: 'function',
  retry: 'checked',
  attributeCacheMs: 'checked',
};

const NO_RETRY: RetryPolicy = { attempts: 0, delay: 0, factor: 1, jitter: 0, maxDelay: 0 };
/** Some packages have many calls under way, and all of them wait. */
const DEFAULT_RETRY: RetryOptions = { attempts: 4, delay: 250 };
const MAX_CACHE_MS = 60_000;

/** @throws TypeError | RangeError an option is unknown or invalid */
export function viewSettings(options: RemoteFsOptions, ofConnection: RetryPolicy | undefined): ViewSettings {
  checkOptions(options, OPTIONS, { of: 'remoteFs' });
  const { root, onFailure, retry, attributeCacheMs = 0 } = options;
  const policy = retry === undefined ? (ofConnection ?? retryPolicy(DEFAULT_RETRY)) : retryPolicy(retry);
  const bytes: Buffer | undefined = root === undefined ? undefined : encodePath(root, 'root');
  return {
    root: bytes,
    onFailure,
    retry: policy ?? NO_RETRY,
    attributeCacheMs: checkCount('attributeCacheMs', attributeCacheMs, MAX_CACHE_MS),
  };
}
