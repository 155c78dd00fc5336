/**
 * INIT and VERSION (section 4 of the draft). What comes before VERSION is often no SFTP at all but the
 * greeting of a login shell, and the error then says so.
 */

import { Buffer } from 'node:buffer';
import { ConnectionLostError, ProtocolError } from '../errors.js';
import { onAbort } from '../shared/abort.js';
import { printable } from '../shared/printable.js';
import { deferred } from '../shared/promises.js';
import { timerDelay } from '../shared/timer-delay.js';
import { ByteWriter } from '../wire/bytes.js';
import { decodeHandshake, encodeHandshake } from '../wire/codec.js';
import type { Frame } from '../wire/framing.js';
import { SFTP_VERSION } from '../wire/packets.js';
import type { PacketStream } from './packet-stream.js';

interface HandshakeOptions {
  /** INIT is on its way already. */
  readonly isInitSent: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** What a client says first; it may be sent before there is a session. */
export function initPacket(): Buffer {
  const writer = new ByteWriter();
  encodeInit(writer);
  return Buffer.concat(writer.take());
}

function encodeInit(writer: ByteWriter): void {
  encodeHandshake(writer, 'init', { version: SFTP_VERSION, extensions: new Map() });
}

/** Resolves with the server's extensions, or rejects with the reason for which the stream ended. */
export function performHandshake(
  packets: PacketStream,
  { isInitSent, timeoutMs, signal }: HandshakeOptions,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const { promise, resolve, reject } = deferred<ReadonlyMap<string, Uint8Array>>();
  packets.attach({
    onFrame: (frame) => {
      resolve(readVersion(frame));
      // The owner of the session attaches itself next; until then nothing may come.
      packets.attach({
        onFrame: () => {
          throw new ProtocolError('The server sent a packet before the handshake was complete');
        },
        onProgress: () => {},
        onEnd: () => {},
      });
    },
    onProgress: () => {},
    onEnd: (reason) => reject(explain(reason, packets.firstBytes)),
  });
  if (!isInitSent) packets.send(encodeInit);
  const callOff = onAbort(signal, (reason) => packets.end(reason as Error));
  const timer = setTimeout(() => {
    const message = `The server did not answer the start of SFTP within ${timeoutMs / 1000} s`;
    packets.end(new ConnectionLostError(message, { code: 'ETIMEDOUT' }));
  }, timerDelay(timeoutMs));
  return promise.finally(() => {
    clearTimeout(timer);
    callOff();
  });
}

function readVersion(frame: Frame): ReadonlyMap<string, Uint8Array> {
  const { version, extensions } = decodeHandshake(frame, 'version');
  if (version !== SFTP_VERSION) {
    throw new ProtocolError(`The server speaks SFTP version ${version}; version ${SFTP_VERSION} is needed`);
  }
  return extensions;
}

function explain(reason: Error, firstBytes: Buffer): Error {
  const isOurs = reason instanceof ProtocolError || reason instanceof ConnectionLostError;
  if (!isOurs || !looksLikeText(firstBytes)) return reason;
  return new ProtocolError(
    `The server sent text instead of SFTP: "${printable(firstBytes.toString('utf8'), 200)}". A start-up file ` +
      'of the login shell on the server prints it, or this account may not use SFTP; `ssh HOST true` must ' +
      'print nothing',
    { cause: reason },
  );
}

/** The length of a packet starts with a zero byte; a greeting starts with something for people to read. */
function looksLikeText(bytes: Buffer): boolean {
  const text = bytes.toString('utf8');
  return text.startsWith('\x1b') || /^(?:\s|[^\p{C}\ufffd])/u.test(text);
}
