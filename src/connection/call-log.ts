/** What a service wants to see in its log: one line for each transfer, and one for each call that has failed. */
import { SftpError } from '../errors.js';
import type { WriteLog } from './reconnect/link.js';

const MIB = 1024 * 1024;

/** What a transfer has come to. */
export interface Transferred {
  /** The call, as `get`. */
  readonly call: string;
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
  /** Of a tree: how many. */
  readonly files?: number | undefined;
  /** By `performance.now()`. */
  readonly startedAt: number;
}

export function logTransfer(log: WriteLog, { call, from, to, bytes, files, startedAt }: Transferred): void {
  const seconds = (performance.now() - startedAt) / 1000;
  const rate = bytes / MIB / Math.max(seconds, 0.001);
  const what = files === undefined ? `${bytes} bytes` : `${files} files, ${bytes} bytes`;
  log('info', `${call} ${from} to ${to}: ${what} in ${seconds.toFixed(2)} s, ${rate.toFixed(2)} MiB/s`);
}

type Method = (this: object, ...values: unknown[]) => unknown;

/**
 * Has each of these methods of a class log why it rejects: what the server, the network or the disk said. Arguments that are
 * invalid and signals that abort are the caller's own.
 */
export function logFailures<T extends object>(
  prototype: T,
  names: readonly (keyof T & string)[],
  logOf: (instance: object) => WriteLog,
): void {
  const methods = prototype as Record<string, unknown>;
  for (const name of names) {
    const method = methods[name] as Method;
    const logging: Method = function (...values) {
      const result = Reflect.apply(method, this, values);
      if (!(result instanceof Promise)) return result;
      return result.catch((error: unknown) => {
        if (isFailure(error)) logOf(this)('warn', `${name} failed: ${error.message}`);
        throw error;
      });
    };
    Object.defineProperty(logging, 'name', { value: name });
    methods[name] = logging;
  }
}

function isFailure(error: unknown): error is Error {
  return error instanceof SftpError || (error instanceof Error && 'syscall' in error);
}
