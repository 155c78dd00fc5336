/**
 * The TCP connection and the first lines on it. We own the socket, because ssh2 loses bytes of an
 * identification that comes in pieces, and because only its owner can end it for certain.
 */
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ConnectionError, SshError } from '../errors.js';
import { copyOf, type LentBuffer, ReceiveMemory, retain } from '../shared/lent-memory.js';
import { printable } from '../shared/printable.js';

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
  ENOTFOUND: ({ host }) => `the host name ${printable(host)} was not found; check the spelling`,
  EAI_AGAIN: ({ host }) => `the name server did not answer for ${printable(host)}; check the network`,
  ECONNREFUSED: ({ port }) =>
    `the connection was refused; check that an SSH server runs there and listens on port ${port}`,
  EHOSTUNREACH: () => 'there is no route to the host; check the address and the network',
  ENETUNREACH: () => 'the network is unreachable; check the address and the network',
  ETIMEDOUT: () => 'no answer; check the address, the port, and firewalls on the way',
  ECONNRESET: () =>
    'the server closed the connection at once; it may be overloaded, or it may not accept this address',
};

/** Turns what Node says about a socket into an error with host, port and advice. */
export function connectionError(address: Address, cause: unknown): ConnectionError {
  const code = (cause as NodeJS.ErrnoException).code ?? firstCode(cause) ?? 'ECONNFAILED';
  const reason = REASONS[code]?.(address) ?? printable(String((cause as Error).message));
  const where = `${printable(address.host)}:${address.port}`;
  return new ConnectionError(code, `Cannot connect to ${where}: ${reason} (${code})`, {
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
  readonly family?: 4 | 6 | undefined;
  readonly localAddress?: string | undefined;
  readonly onConnect: () => void;
  readonly onError: (error: ConnectionError) => void;
  /** Whether the reader copies or retains what it needs for longer than the event. */
  readonly lends: () => boolean;
  /** Called after the event: the last moment for that. */
  readonly onRead: (chunk: LentBuffer) => void;
}

/** Dials. The socket is returned at once, so that a deadline can destroy it. */
export function dial(options: DialOptions): Socket {
  const { host, port, family, localAddress, onConnect, onError, lends, onRead } = options;
  const memory = new ReceiveMemory();
  const receive = (count: number): boolean => {
    const chunk = memory.take(count);
    const isLent = lends();
    // What the packets in it give rise to leaves together: a window that opens lets eight or more follow.
    socket.cork();
    const wantsMore = socket.push(isLent ? chunk : copyOf(chunk));
    socket.uncork();
    onRead(chunk);
    // What the listeners may have kept, or the socket itself, is never read into again.
    if (isLent && (!lends() || socket.readableLength > 0)) retain(chunk);
    return wantsMore;
  };
  const onread = { buffer: () => memory.room(), callback: receive };
  const from = {
    ...(family !== undefined && { family }),
    ...(localAddress !== undefined && { localAddress }),
  };
  const socket: Socket = connect({ host, port, ...from, noDelay: true, autoSelectFamily: true, onread });
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
 * Gives what tells how the server has begun so far.
 */
export function readIdentification(
  socket: Duplex,
  address: Address,
  onDone: (error?: Error) => void,
): () => string {
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
    let newline = received.indexOf(10, searched);
    for (; newline >= 0 && lines < MAXIMUM_BANNER_LINES; newline = received.indexOf(10, lineStart)) {
      const line = received.subarray(lineStart, newline + 1);
      const isIdentification = line.toString('latin1', 0, 4) === 'SSH-';
      if (isIdentification || isForeign(line)) {
        finish(isIdentification ? identificationError(line, where) : notSsh(where, received));
        socket.unshift(received.subarray(lineStart));
        return;
      }
      lineStart = newline + 1;
      lines++;
    }
    searched = received.length;
    const isTooMuch = lines >= MAXIMUM_BANNER_LINES || received.length > MAXIMUM_BANNER_BYTES;
    if (isTooMuch || isHopeless(received.subarray(lineStart), chunk)) finish(notSsh(where, received));
  };
  socket.on('data', onData).on('end', onEnd).on('error', onSocketError);
  return () => (received.length === 0 ? '' : quote(beginningOf(received)));
}

/**
 * What servers of FTP, SMTP, HTTP, POP3, IMAP, NNTP, VNC and rsync begin with. A line before the identification may hold
 * anything (RFC 4253, section 4.2), but nobody writes such a one; and these servers wait for us, and would wait for ever.
 */
const OTHER_GREETING = /^(?:[245]\d\d[ -]|HTTP\/\d|\+OK\b|-ERR\b|\* (?:OK|BYE|PREAUTH)\b|RFB \d{3}|@RSYNCD:)/;

export function isOtherGreeting(line: string): boolean {
  return OTHER_GREETING.test(line);
}

function isForeign(line: Buffer): boolean {
  return isOtherGreeting(line.toString('latin1', 0, 16)) || isBinary(line, line);
}

/** A line that has not ended: of no text, or longer than any identification; `chunk` is its last piece. */
function isHopeless(line: Buffer, chunk: Buffer): boolean {
  const isTooLong = line.length > MAXIMUM_IDENTIFICATION_LENGTH && line.toString('latin1', 0, 4) === 'SSH-';
  return isTooLong || isBinary(line, chunk.subarray(-line.length));
}

/** No text holds a NUL, nor what Telnet and TLS begin with. */
function isBinary([first]: Buffer, fresh: Buffer): boolean {
  return first === 0xff || first === 0x15 || first === 0x16 || fresh.includes(0);
}

function identificationError(line: Buffer, where: string): SshError | undefined {
  const text = line.toString('latin1').trimEnd();
  if (/^SSH-(?:2\.0|1\.99)-/.test(text) && text.length <= MAXIMUM_IDENTIFICATION_LENGTH) {
    return undefined;
  }
  return new SshError('UNSUPPORTED_VERSION', `${where} does not speak SSH 2.0; it sent: ${quote(text)}`);
}

function endedEarly(address: Address, received: Buffer, cause?: Error): Error {
  const where = `${printable(address.host)}:${address.port}`;
  if (/^Exceeded MaxStartups\r?\n$/.test(received.toString('latin1'))) {
    const text = `Cannot connect to ${where}: too many other clients are logging in; try again later`;
    return new ConnectionError('SERVER_BUSY', text, { ...address, cause });
  }
  return received.length > 0
    ? notSsh(where, received)
    : new ConnectionError(
        'ECONNRESET',
        `Cannot connect to ${where}: the server ended the connection at once: it may be overloaded or may not let ` +
          'this address in',
        { ...address, cause },
      );
}

function notSsh(where: string, received: Buffer): SshError {
  const text = `${where} is not an SSH server; it sent: ${quote(beginningOf(received))}`;
  return new SshError('NOT_SSH', text);
}

function beginningOf(received: Buffer): string {
  return received.toString('utf8', 0, MAXIMUM_IDENTIFICATION_LENGTH);
}

function quote(text: string): string {
  return JSON.stringify(printable(text, 160)).replaceAll('\\\\', '\\');
}
