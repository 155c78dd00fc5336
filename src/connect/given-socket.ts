/** A stream of the program's own in place of TCP, for instance to a SOCKS or HTTP proxy. */
import type { Duplex } from 'node:stream';
import { ConnectionError } from '../errors.js';
import { untilAborted } from '../shared/abort.js';
import { kindOf } from '../shared/arguments.js';
import { printable } from '../shared/printable.js';
import { timerDelay } from '../shared/timer-delay.js';

/** A stream, or a function that makes one each time a connection is made. */
export type SocketSource = Duplex | (() => Duplex | Promise<Duplex>);

interface SocketOptions {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws TypeError it is neither a stream nor a function, or one stream for several connections */
export function checkSocket(socket: unknown, { isRetried }: { readonly isRetried: boolean }): void {
  if (socket === undefined || typeof socket === 'function') return;
  if (!isDuplex(socket)) {
    throw new TypeError(`socket must be a Duplex or a function that makes one, not ${kindOf(socket)}`);
  }
  if (isRetried) {
    throw new TypeError(
      'With retry, socket must be a function: each time that the connection is made needs a new stream',
    );
  }
}

/** Rejects with what the function throws, with the reason of the signal, or where the stream does not come in time. */
export async function openSocket(source: SocketSource, options: SocketOptions): Promise<Duplex> {
  const { host, port, timeoutMs, signal } = options;
  const where = `${printable(host)}:${port}`;
  const timeout = new AbortController();
  const giveUp = () => {
    const text = `The socket function did not give a stream to ${where} within ${timeoutMs} ms: allow more time`;
    timeout.abort(new ConnectionError('ETIMEDOUT', text, { host, port }));
  };
  const timer = setTimeout(giveUp, timerDelay(timeoutMs));
  const making = Promise.resolve(typeof source === 'function' ? source() : source);
  try {
    const either = signal === undefined ? timeout.signal : AbortSignal.any([timeout.signal, signal]);
    const stream = await untilAborted(making, either);
    if (!isDuplex(stream)) {
      throw new TypeError(`The socket function must give a Duplex, not ${kindOf(stream)}`);
    }
    if (stream.destroyed || stream.readableEnded) {
      const text = `The socket to ${where} is closed already`;
      throw new ConnectionError('ECONNRESET', text, { host, port });
    }
    return stream;
  } catch (error) {
    // It may still come.
    making.then((stream) => isDuplex(stream) && stream.destroy()).catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function isDuplex(value: unknown): value is Duplex {
  const { write, on, destroy } = (value ?? {}) as Partial<Record<string, unknown>>;
  return [write, on, destroy].every((method) => typeof method === 'function');
}
