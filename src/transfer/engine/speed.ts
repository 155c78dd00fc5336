/** How fast transfers may be, and how much at once: for a connection, and for one call of it. */
import { kindOf } from '../../shared/arguments.js';
import type { OptionTable } from '../../shared/option-checks.js';

/** Options of a connection, and of each transfer. */
export interface SpeedOptions {
  /**
   * The most bytes of content per second, in both directions together; what SFTP and SSH add is not counted. Nothing
   * passes faster for longer than a quarter of a second, or 4 KiB. The connection's is shared by all its transfers,
   * a transfer's holds in addition. Default: no limit.
   */
  readonly bytesPerSecond?: number | undefined;
  /**
   * How many files of a tree are in progress at once, and how many requests for the content of each file. 1: one
   * request at a time, whatever it is for, for servers that cannot handle more; as an option of the connection in every
   * call, and of all calls together. Default: as many files as server and disk let be open, 512 at most,
   * and as many requests as the line turns out to hold.
   */
  readonly concurrency?: number | undefined;
  /**
   * How many SSH channels of the connection uploads may use; 1: no more than one. More than one is used only where the
   * server's window holds a channel back and enough is left to be sent: by one large file, and over a long line by files
   * of more than one request that are under way at once. A download never needs more, as its window is ours. Default: 8
   * over a long line (10 ms and more) and 3 over a short one, or as many as the server allows.
   */
  readonly channels?: number | undefined;
  /**
   * Over how many SSH connections to the same server a transfer goes, from 1 to 16. Where packets are lost, TCP sends less
   * over each connection: several carry several times as much. One large file goes through all of them in parts, the
   * files of a tree are spread over them. `'auto'` opens another one only as long as each makes the transfer at least a
   * quarter faster.
   *
   * The further connections log in as the first did and must show the very host key of the first; nobody is asked a
   * question for them. They are opened while the transfer is running already: four at once, and one
   * after the other where the server refuses one (`MaxStartups` of OpenSSH). Where it allows fewer, or one of them is lost,
   * the others do its part; only the loss of the first one ends the transfer, unless there is `retry`. They are closed
   * when no transfer has used them for ten seconds. With `concurrency: 1`, or where the connection goes through a `socket`
   * that is no function, there is only one. Default: 1.
   *
   * @example
   * await sftp.get('backup.tar', 'backup.tar', { connections: 8 });
   */
  readonly connections?: number | 'auto' | undefined;
}

export const SPEED_OPTIONS: OptionTable<SpeedOptions> = {
  bytesPerSecond: 'checked',
  concurrency: 'checked',
  channels: 'checked',
  connections: 'checked',
};

/** What holds for a transfer, unless it says otherwise. */
export type Speed = { readonly [K in keyof SpeedOptions]-?: SpeedOptions[K] | undefined };

/** The most connections that may be asked for. */
export const MAX_CONNECTIONS = 16;

/**
 * The options of a call, with those of the connection where it has none; `bytesPerSecond` is the call's own.
 *
 * @throws TypeError | RangeError if a number is invalid
 */
export function resolveSpeed(options: SpeedOptions, defaults: SpeedOptions = {}): Speed {
  const { bytesPerSecond, concurrency, channels, connections } = options;
  checkBytesPerSecond(bytesPerSecond);
  checkPositiveInteger('concurrency', concurrency);
  checkPositiveInteger('channels', channels);
  checkConnections(connections);
  const requests = concurrency ?? defaults.concurrency;
  // Each channel would have a request of its own.
  const most = requests === 1 ? 1 : (channels ?? defaults.channels);
  const width = requests === 1 ? 1 : (connections ?? defaults.connections);
  return { bytesPerSecond, concurrency: requests, channels: most, connections: width };
}

/** @throws TypeError | RangeError */
export function checkConnections(value: unknown): void {
  if (value === undefined || value === 'auto') return;
  if (typeof value !== 'number')
    throw new TypeError(`connections must be a number or 'auto', not ${kindOf(value)}`);
  if (!(Number.isInteger(value) && value >= 1 && value <= MAX_CONNECTIONS))
    throw new RangeError(`connections must be an integer from 1 to ${MAX_CONNECTIONS}, not ${value}`);
}

/** @throws TypeError | RangeError */
export function checkBytesPerSecond(value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== 'number')
    throw new TypeError(`bytesPerSecond must be a number of bytes, not ${typeof value}`);
  if (!(value > 0)) throw new RangeError(`bytesPerSecond must be greater than 0, not ${value}`);
}

function checkPositiveInteger(name: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${typeof value}`);
  if (!(value >= 1 && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY)))
    throw new RangeError(`${name} must be an integer from 1, not ${value}`);
}
