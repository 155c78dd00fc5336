/**
 * The TCP connection and the first lines on it. We own the socket, because ssh2 loses bytes of an
 * identification that comes in pieces, and because only its owner can end it for certain.
 */
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ConnectionError, SshError } from '../errors.js';
import { ReceiveMemory, retain } from '../lent-memory.js';
import { printable } from '../printable.js';

/** RFC 4253, section 4.2 allows lines before the identification and does not bound them; we do. */
const MAXIMUM_BANNER_BYTES = 64 * 1024;
const MAXIMUM_BANNER_LINES = 1024;
/** The same section: 255 characters with CR LF. Some servers are longer; ssh2 reads up to this. */
const MAXIMUM_IDENTIFICATION_LENGTH = 8 * 1024;

const RESETS: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE']);

interface Address {
  readonly host: string;
  readonly port: number;
}

type Explain = (address: Address) => string;

const REASONS: Partial<Record<string, Explain>> = {
  ENOTFOUND: ({ host }) => `the host name ${printable(host)} was not found: check its spelling`,
  EAI_AGAIN: ({ host }) => `the name server did not answer for ${printable(host)}: check the network`,
  ECONNREFUSED: ({ port }) =>
    `the connection was refused: is an SSH server running there, and is ${port} its port?`,
  EHOSTUNREACH: () => 'there is no route to the host: check the address and the network',
  ENETUNREACH: () => 'the network cannot be reached: check the address and the network',
  ETIMEDOUT: () => 'no answer: check the address, the port, and the firewalls in between',
  ECONNRESET: () =>
    'the server ended the connection at once: it may be overloaded or may not let this address in',
};

/** Turns what Node says about a socket into an error with host, port and advice. */
export function connectionError(address: Address, cause: unknown): ConnectionError {
  const code = (cause as NodeJS.ErrnoException).code ?? firstCode(cause) ?? 'ECONNFAILED';
  const reason = REASONS[code]?.(address) ?? printable(String((cause as Error).message));
  const where = `${printable(address.host)}:${address.port}`;
  return new ConnectionError(code, `cannot connect to ${where}: ${reason} (${code})`, {
    host: address.host,
    port: address.port,
    cause,
  });
}

/** With several addresses Node gives an AggregateError, which in some versions has no code of its own. */
function firstCode(cause: unknown): string | undefined {
  const errors: unknown[] = cause instanceof AggregateError ? cause.errors : [];
  return (errors[0] as NodeJS.ErrnoException | undefined)?.code;
}

export interface DialOptions extends Address {
  readonly onConnect: () => void;
  readonly onError: (error: ConnectionError) => void;
  /** Whether whoever reads copies or retains what it needs for longer than the event. */
  readonly lends: () => boolean;
  /** Called after the event: the last moment for that. */
  readonly onRead: (chunk: Buffer) => void;
}

/** Dials. The socket is returned at once, so that a deadline can destroy it. */
export function dial({ host, port, onConnect, onError, lends, onRead }: DialOptions): Socket {
  const memory = new ReceiveMemory();
  const receive = (count: number): boolean => {
    const chunk = memory.take(count);
    const isLent = lends();
    // What the packets in it give rise to leaves together: a window that opens lets eight or more follow.
    socket.cork();
    const wantsMore = socket.push(isLent ? chunk : Buffer.from(chunk));
    socket.uncork();
    onRead(chunk);
    // What the listeners may have kept, or the socket itself, is never read into again.
    if (isLent && (!lends() || socket.readableLength > 0)) retain(chunk);
    return wantsMore;
  };
  const onread = { buffer: () => memory.room(), callback: receive };
  const socket: Socket = connect({ host, port, noDelay: true, autoSelectFamily: true, onread });
  socket.once('close', () => memory.end());
  const failed = (cause: Error): void => onError(connectionError({ host, port }, cause));
  socket.once('error', failed);
  socket.once('connect', () => {
    socket.off('error', failed);
    onConnect();
  });
  return socket;
}

/**
 * Reads up to the end of the server's identification, drops the lines before it, and puts the rest back into
 * the socket, in one piece, for ssh2 to read. `onDone` is called once, and not after the socket is destroyed.
 */
export function readIdentification(socket: Duplex, address: Address, onDone: (error?: Error) => void): void {
  const where = `${printable(address.host)}:${address.port}`;
  let received: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  let lineStart = 0;
  let searched = 0;
  let lines = 0;
  const finish = (error?: Error): void => {
    socket.off('data', onData).off('end', onEnd).off('error', onSocketError).pause();
    onDone(error);
  };
  const onSocketError = (cause: Error): void => {
    // A server that ends the connection without having read our identification resets it.
    const isReset = RESETS.has((cause as NodeJS.ErrnoException).code);
    finish(isReset ? endedEarly(address, received, cause) : connectionError(address, cause));
  };
  const onEnd = (): void => finish(endedEarly(address, received));
  const onData = (chunk: Buffer): void => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    for (;;) {
      const newline = received.indexOf(10, searched);
      if (newline < 0) {
        break;
      }
      const line = received.subarray(lineStart, newline + 1);
      if (line.toString('latin1', 0, 4) === 'SSH-') {
        finish(identificationError(line, where));
        socket.unshift(received.subarray(lineStart));
        return;
      }
      lineStart = newline + 1;
      searched = lineStart;
      if (++lines >= MAXIMUM_BANNER_LINES) {
        break;
      }
    }
    searched = received.length;
    const partial = received.length - lineStart;
    if (
      lines >= MAXIMUM_BANNER_LINES ||
      received.length > MAXIMUM_BANNER_BYTES ||
      (partial > MAXIMUM_IDENTIFICATION_LENGTH &&
        received.toString('latin1', lineStart, lineStart + 4) === 'SSH-')
    ) {
      finish(notSsh(where, received));
    }
  };
  socket.on('data', onData).on('end', onEnd).on('error', onSocketError);
}

function identificationError(line: Buffer, where: string): SshError | undefined {
  const text = line.toString('latin1').trimEnd();
  if (/^SSH-(?:2\.0|1\.99)-/.test(text) && text.length <= MAXIMUM_IDENTIFICATION_LENGTH) {
    return undefined;
  }
  return new SshError(
    'UNSUPPORTED_VERSION',
    `${where} speaks a version of SSH that is not 2.0: ${quote(text)}`,
  );
}

function endedEarly(address: Address, received: Buffer, cause?: Error): Error {
  const where = `${printable(address.host)}:${address.port}`;
  if (/^Exceeded MaxStartups\r?\n$/.test(received.toString('latin1'))) {
    const text = `cannot connect to ${where}: too many others are logging in there just now; try again in a while`;
    return new ConnectionError('SERVER_BUSY', text, { ...address, cause });
  }
  return received.length > 0
    ? notSsh(where, received)
    : new ConnectionError(
        'ECONNRESET',
        `cannot connect to ${where}: the server ended the connection at once: it may be overloaded or may not let ` +
          'this address in',
        { ...address, cause },
      );
}

function notSsh(where: string, received: Buffer): SshError {
  const text = received.toString('utf8', 0, 200);
  return new SshError('NOT_SSH', `${where} does not answer like an SSH server; it says: ${quote(text)}`);
}

function quote(text: string): string {
  return JSON.stringify(printable(text, 160)).replaceAll('\\\\', '\\');
}
