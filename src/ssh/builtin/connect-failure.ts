/** Why a connection did not come about, or ended: in words for the user, without a secret. */
import { ConnectionError, ConnectionLostError, type SftpError, SshError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import type { Offer } from '../algorithms.js';
import { connectionError } from '../socket.js';
import type { Authentication } from './authentication.js';
import type { ServerOffer } from './kexinit.js';
import { negotiationError } from './negotiation.js';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** ssh2's errors. */
export interface Ssh2ClientError extends Error {
  readonly level?: string;
  readonly code?: unknown;
}

/** How far an attempt has come. */
export interface AttemptState {
  readonly address: Address;
  readonly stage: string;
  /** How the server has begun, as long as that was no identification of SSH; else empty. */
  readonly greeting: string;
  readonly isConnected: boolean;
  readonly authentication: Authentication;
  readonly offer: Offer;
  readonly serverOffer: ServerOffer | undefined;
}

/** What ssh2 reports, as an error of ours. */
export function explainClientError(error: Ssh2ClientError, state: AttemptState): SftpError {
  const { address, stage, isConnected, authentication } = state;
  const text = authentication.redact(printable(error.message));
  // A cause is printed with its error: it must not show what the text does not.
  const clean = authentication.redact(error.message) === error.message;
  const details = clean ? { cause: error } : {};
  if (isConnected) {
    const code = error.level === 'client-timeout' ? { code: 'ETIMEDOUT' } : {};
    return new ConnectionLostError(`The connection to ${where(address)} was lost: ${text}`, {
      ...details,
      ...code,
    });
  }
  if (/^Handshake failed: no matching/i.test(error.message)) {
    return negotiationError(address, error, state.offer, state.serverOffer);
  }
  if (error.level === 'client-socket') {
    return connectionError(address, error);
  }
  if (typeof error.code === 'number' && stage === LOGGING_IN) {
    return authentication.interruption(text, details.cause);
  }
  const failed = `The SSH connection to ${where(address)} failed while ${stage}: ${text}`;
  return new SshError('SSH_PROTOCOL', failed, details);
}

/** The stage in which a disconnection is about who logs in. */
export const LOGGING_IN = 'logging in';

/** The socket closed. */
export function endedError({ address, stage, isConnected, authentication }: AttemptState): SftpError {
  if (isConnected) {
    return new ConnectionLostError(`The connection to ${where(address)} was lost: the server closed it`);
  }
  if (authentication.refusal !== undefined) return authentication.refusal;
  const text = `The server closed the connection to ${where(address)} while ${stage}`;
  return new ConnectionError('ECONNRESET', text, address);
}

export function timeoutError({ address, stage, greeting }: AttemptState, timeoutMs: number): ConnectionError {
  const said = greeting === '' ? '' : `; it has sent so far: ${greeting}`;
  const text =
    `Cannot connect to ${where(address)} within ${timeoutMs / 1000} seconds (while ${stage}${said}): check the address, ` +
    'the port and firewalls on the way, or raise connectTimeout';
  return new ConnectionError('ETIMEDOUT', text, address);
}

function where({ host, port }: Address): string {
  return `${printable(host)}:${port}`;
}
