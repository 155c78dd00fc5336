/** How fast transfers may be, and how much at once: for a connection, and for one call of it. */

/** Options of a connection, and of each transfer. */
export interface SpeedOptions {
  /**
   * The most bytes of content per second, in both directions together; what SFTP and SSH add is not counted. Nothing
   * passes faster for longer than a quarter of a second, or 4 KiB. The connection's is shared by all its transfers,
   * a transfer's holds in addition. Default: no limit.
   */
  readonly bytesPerSecond?: number | undefined;
  /**
   * How many files of a tree are under way at once, and how many requests for the content of each file; 1: one
   * after the other, for servers that bear no more. Default: as many files as server and disk let be open, 512 at most,
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
}

/** What holds for a transfer, unless it says otherwise. */
export type Speed = { readonly [K in keyof SpeedOptions]-?: number | undefined };

/**
 * The options of a call, with those of the connection where it has none; `bytesPerSecond` is the call's own.
 *
 * @throws TypeError | RangeError where a figure cannot be meant
 */
export function resolveSpeed(options: SpeedOptions, defaults: SpeedOptions = {}): Speed {
  const { bytesPerSecond, concurrency, channels } = options;
  checkBytesPerSecond(bytesPerSecond);
  checkPositiveInteger('concurrency', concurrency);
  checkPositiveInteger('channels', channels);
  return {
    bytesPerSecond,
    concurrency: concurrency ?? defaults.concurrency,
    channels: channels ?? defaults.channels,
  };
}

/** @throws TypeError | RangeError */
export function checkBytesPerSecond(value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== 'number')
    throw new TypeError(`bytesPerSecond must be a number of bytes, not ${typeof value}`);
  if (!(value > 0)) throw new RangeError(`bytesPerSecond ${value} lets nothing through: it must be above 0`);
}

function checkPositiveInteger(name: string, value: unknown): void {
  if (value === undefined) return;
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${typeof value}`);
  if (!(value >= 1 && (Number.isInteger(value) || value === Number.POSITIVE_INFINITY)))
    throw new RangeError(`${name} ${value} is not a whole number from 1`);
}
