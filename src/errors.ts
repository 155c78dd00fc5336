/**
 * Every error that tsftp throws of its own. All derive from {@link SftpError}, carry a stable `code`
 * for programs, and say in `message` what happened, to what, and what to do. Text from the server is
 * escaped and cut before it gets here. A local file that cannot be opened keeps Node's own error;
 * a transfer that fails later is a {@link TransferError}, whichever side failed. An abort rejects with the signal's
 * reason; misuse of the API is a `TypeError` or `RangeError`.
 */

import type { ErrorCodeOf } from './errors/error-codes.js';
import { type ErrorJson, jsonOf } from './errors/error-json.js';

export type { ErrorJson } from './errors/error-json.js';

interface ErrorDetails {
  readonly cause?: unknown;
}

/** The base of all errors below: `error instanceof SftpError` tells ours from everybody else's. */
export class SftpError extends Error {
  override readonly name: string = 'SftpError';
  /** A stable identifier for programs, for instance `ENOENT` or `HOST_KEY_UNKNOWN`. */
  readonly code: string;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
  }

  /**
   * The error for `JSON.stringify`: name, message, code, the details of its class, and its causes. The stack is left out.
   *
   * @example
   * console.error(JSON.stringify(error));   // {"name":"SftpStatusError","message":"open …","code":"ENOENT", …}
   */
  toJSON(): ErrorJson {
    return jsonOf(this);
  }
}

/**
 * The server could not be reached: name not found (`ENOTFOUND`), refused (`ECONNREFUSED`), unreachable
 * (`EHOSTUNREACH`), no answer in time (`ETIMEDOUT`) … Not for a connection that was made and ended later:
 * that is a {@link ConnectionLostError}.
 */
export class ConnectionError extends SftpError {
  override readonly name: string = 'ConnectionError';
  readonly host: string;
  readonly port: number;

  constructor(code: string, message: string, details: ErrorDetails & { host: string; port: number }) {
    super(code, message, details);
    this.host = details.host;
    this.port = details.port;
  }
}

/** There is nothing to log in with, found out before any network traffic. */
export class CredentialError extends SftpError {
  override readonly name: string = 'CredentialError';
  declare readonly code: CredentialErrorCode;

  // It narrows the type of the code.
  constructor(code: CredentialErrorCode, message: string, details: ErrorDetails = {}) {
    super(code, message, details);
  }
}

/** The private key is encrypted and no `privateKeyPass` was given. Not for a wrong one: that is a {@link CredentialError}. */
export class PasswordRequiredError extends CredentialError {
  override readonly name: string = 'PasswordRequiredError';
}

/** The server refused every way of logging in that was tried. */
export class AuthenticationError extends SftpError {
  override readonly name: string = 'AuthenticationError';
  declare readonly code: ErrorCodeOf<'AuthenticationError'>;
  /** The methods that were tried, in order, for instance `publickey (~/.ssh/id_ed25519)`. */
  readonly tried: readonly string[];
  /** The methods that the server would accept. */
  readonly offered: readonly string[];

  constructor(
    message: string,
    details: ErrorDetails & { tried: readonly string[]; offered: readonly string[] },
  ) {
    super('AUTHENTICATION_FAILED', message, details);
    this.tried = details.tried;
    this.offered = details.offered;
  }
}

/** How a host key failed the check, or why there was nothing to check it with. */
export type HostKeysErrorCode = ErrorCodeOf<'HostKeysError'>;

/** What was wrong with the credentials. */
export type CredentialErrorCode = ErrorCodeOf<'CredentialError'> | ErrorCodeOf<'PasswordRequiredError'>;

/** What went wrong in SSH. */
export type SshErrorCode = ErrorCodeOf<'SshError'>;

/**
 * The server's host key is not the one we know, or there is no usable known_hosts file. It is thrown
 * before any credential has left this machine.
 */
export class HostKeysError extends SftpError {
  override readonly name: string = 'HostKeysError';
  declare readonly code: HostKeysErrorCode;
  /** `SHA256:…` of the key that the server showed. */
  readonly fingerprint: string | undefined;
  /** The type of that key, for instance `ssh-ed25519`. */
  readonly keyType: string | undefined;
  /** The key as in a `.pub` file, `ssh-ed25519 AAAA…`; `undefined` over the system's ssh, which shows its fingerprint only. */
  readonly publicKey: string | undefined;
  /** The known_hosts file that holds the deciding line. */
  readonly file: string | undefined;
  /** That line's number, from 1. */
  readonly line: number | undefined;

  constructor(
    code: HostKeysErrorCode,
    message: string,
    details: ErrorDetails & {
      fingerprint?: string;
      keyType?: string;
      publicKey?: string;
      file?: string;
      line?: number;
    } = {},
  ) {
    super(code, message, details);
    this.fingerprint = details.fingerprint;
    this.keyType = details.keyType;
    this.publicKey = details.publicKey;
    this.file = details.file;
    this.line = details.line;
  }
}

/** The SSH layer failed: no common algorithms, a broken protocol, a refused channel. */
export class SshError extends SftpError {
  override readonly name: string = 'SshError';
  declare readonly code: SshErrorCode;

  // It narrows the type of the code.
  constructor(code: SshErrorCode, message: string, details: ErrorDetails = {}) {
    super(code, message, details);
  }
}

/** How far a transfer had come when it failed. */
export interface TransferProgress {
  readonly source: string;
  readonly destination: string;
  /** Bytes that have arrived, counted from the start without a hole. */
  readonly bytesDone: number;
}

/** The connection ended while calls were pending, or was already over; every such call gets it. */
export class ConnectionLostError extends SftpError {
  override readonly name: string = 'ConnectionLostError';
  /** What was under way, where it was the copy of a file. */
  readonly transfer: TransferProgress | undefined;

  constructor(message: string, details: ErrorDetails & { code?: string; transfer?: TransferProgress } = {}) {
    super(details.code ?? 'CONNECTION_LOST', message, details);
    this.transfer = details.transfer;
  }
}

/** The server did not answer one call within `timeout`. The session stays usable. */
export class TimeoutError extends SftpError {
  override readonly name: string = 'TimeoutError';
  declare readonly code: ErrorCodeOf<'TimeoutError'>;

  constructor(message: string, details: ErrorDetails = {}) {
    super('ETIMEDOUT', message, details);
  }
}

/** The peer broke the SFTP protocol; the session is over. */
export class ProtocolError extends SftpError {
  override readonly name: string = 'ProtocolError';
  declare readonly code: ErrorCodeOf<'ProtocolError'>;

  constructor(message: string, details: ErrorDetails = {}) {
    super('PROTOCOL_ERROR', message, details);
  }
}

/** The server lacks what the call needs; `extension` names it. */
export class UnsupportedError extends SftpError {
  override readonly name: string = 'UnsupportedError';
  declare readonly code: ErrorCodeOf<'UnsupportedError'>;
  /** The protocol extension that is missing, for instance `posix-rename@openssh.com`. */
  readonly extension: string;

  constructor(message: string, details: ErrorDetails & { extension: string }) {
    super('ENOTSUP', message, details);
    this.extension = details.extension;
  }
}

/** The server answered a request with a failure (draft-ietf-secsh-filexfer-02, section 7). */
export class SftpStatusError extends SftpError {
  override readonly name: string = 'SftpStatusError';
  /** As of a {@link TransferError}: it is the server that failed. */
  readonly side: Side = 'remote';
  /** The number on the wire, for instance 2. */
  readonly status: number;
  /** Its name in the draft, for instance `SSH_FX_NO_SUCH_FILE`. */
  readonly statusName: string;
  /** What was asked, for instance `open`. */
  readonly operation: string;
  /** Which path it was about, where it was about one. */
  readonly path: string | undefined;
  /** The server's own words, escaped. */
  readonly serverMessage: string;

  constructor(
    code: string,
    message: string,
    details: ErrorDetails & {
      status: number;
      statusName: string;
      operation: string;
      path?: string | undefined;
      serverMessage: string;
    },
  ) {
    super(code, message, details);
    this.status = details.status;
    this.statusName = details.statusName;
    this.operation = details.operation;
    this.path = details.path;
    this.serverMessage = details.serverMessage;
  }
}

/** The computer on which something failed: this one, or the server. */
export type Side = 'local' | 'remote';

/** A file did not arrive whole. What the final name held before, it still holds where the transfer is atomic. */
export class TransferError extends SftpError implements TransferProgress {
  override readonly name: string = 'TransferError';
  readonly source: string;
  readonly destination: string;
  readonly bytesDone: number;
  /** Where it failed, which is not told by `code`: a disk may be full here or there. */
  readonly side: Side;
  /** The file that could not be read or written, `source` or `destination`. */
  readonly path: string;

  constructor(
    message: string,
    details: ErrorDetails & TransferProgress & { code?: string; side: Side; path: string },
  ) {
    super(details.code ?? 'TRANSFER_FAILED', message, details);
    this.side = details.side;
    this.path = details.path;
    this.source = details.source;
    this.destination = details.destination;
    this.bytesDone = details.bytesDone;
  }
}
