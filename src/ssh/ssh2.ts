/**
 * Connects with the ssh2 package: dial, read the identification, exchange keys, verify the server, log in. The
 * first failure wins and destroys the socket; nothing that ssh2 does afterwards is heard.
 */
import type { Socket } from 'node:net';
import ssh2, { type AuthHandlerMiddleware, type ConnectConfig, type NegotiatedAlgorithms } from 'ssh2';
import { AuthenticationError, ConnectionError, ConnectionLostError, SshError } from '../errors.js';
import { printable } from '../printable.js';
import { timerDelay } from '../timer-delay.js';
import { type AlgorithmOptions, makeOffer, needsStrictKex, type Offer } from './algorithms.js';
import { Authentication, type PromptHandler } from './authentication.js';
import type { Credentials } from './credentials.js';
import { checkHostKey, type HostKeyCheck } from './host-key.js';
import { KexInitReader, type ServerOffer } from './kexinit.js';
import { fingerprintOf, keyType } from './key-blob.js';
import { HostKeys } from './known-hosts.js';
import { connectionError, dial, readIdentification } from './socket.js';
import type { Negotiated, ServerKey, SshConnection } from './ssh-connection.js';
import { Ssh2Connection } from './ssh2-connection.js';

export type { AlgorithmOptions } from './algorithms.js';
export type { PromptHandler, PromptRequest } from './authentication.js';

/** How long we wait and how often we ask, in ms. */
export const SSH_DEFAULTS = {
  connectTimeout: 20_000,
  keepaliveInterval: 15_000,
  keepaliveCountMax: 3,
} as const;

export interface Ssh2Options {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly credentials: Credentials;
  /** What verifies the server's key: known hosts, fingerprints (`SHA256:…`), or `null` for no check at all. */
  readonly hostKeys: HostKeyCheck;
  readonly algorithms?: AlgorithmOptions | undefined;
  /** For the whole of connecting, in ms. Default 20,000. */
  readonly connectTimeout?: number | undefined;
  /** In ms; 0: none. Default 15,000. */
  readonly keepaliveInterval?: number | undefined;
  /** How many unanswered keepalives end the connection. Default 3. */
  readonly keepaliveCountMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPrompt?: PromptHandler | undefined;
  /** Gets lines for a log; no secret is in them. */
  readonly debug?: ((line: string) => void) | undefined;
}

/**
 * Resolves once the server's key is verified and the user is logged in. No credential leaves before that
 * check.
 *
 * Rejects with `ConnectionError` (not reached, or lost on the way), `HostKeysError`, `AuthenticationError`,
 * `SshError` (`NEGOTIATION_FAILED`, `NOT_SSH`, `UNSUPPORTED_VERSION`, `STRICT_KEX_MISSING`, `SSH_PROTOCOL`), or
 * the signal's reason.
 */
export async function connectSsh2(options: Ssh2Options): Promise<SshConnection> {
  options.signal?.throwIfAborted();
  return await new Promise((resolve, reject) => new Attempt(options, resolve, reject).start());
}

class Attempt {
  readonly #options: Ssh2Options;
  readonly #resolve: (connection: SshConnection) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #client = new ssh2.Client();
  readonly #authentication: Authentication;
  readonly #offer: Offer;
  readonly #kexInit = new KexInitReader();
  readonly #timer: NodeJS.Timeout;
  #stage = 'connecting';
  #socket: Socket | undefined;
  #settled = false;
  #connection: Ssh2Connection | undefined;
  #serverKey: Buffer | undefined;
  #negotiated: Negotiated | undefined;

  constructor(
    options: Ssh2Options,
    resolve: (connection: SshConnection) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    const { host, port, hostKeys, algorithms, username, credentials, onPrompt } = options;
    this.#authentication = new Authentication({
      username,
      credentials,
      onPrompt,
      onPromptError: (error) => this.#fail(error),
    });
    this.#offer = makeOffer(algorithms, hostKeys instanceof HostKeys ? hostKeys.keyTypes(host, port) : []);
    const timeoutMs = options.connectTimeout ?? SSH_DEFAULTS.connectTimeout;
    this.#timer = setTimeout(() => this.#fail(this.#timeoutError(timeoutMs)), timerDelay(timeoutMs));
  }

  start(): void {
    this.#options.signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#socket = dial(
      this.#options,
      () => this.#identify(),
      (error) => this.#fail(error),
    );
    this.#socket.on('close', () => this.#fail(this.#endedError()));
    // Whatever happens to the socket later, somebody listens.
    this.#socket.on('error', () => {});
  }

  #identify(): void {
    const socket = this.#socket;
    if (socket === undefined || this.#settled) {
      return;
    }
    this.#stage = 'waiting for the server to identify itself';
    readIdentification(socket, this.#options, (error) => {
      if (error !== undefined) {
        this.#fail(error);
      } else if (!this.#settled) {
        // After the identification is back in the socket.
        process.nextTick(() => this.#handshake(socket));
      }
    });
  }

  #handshake(socket: Socket): void {
    if (this.#settled) {
      return;
    }
    this.#stage = 'exchanging keys';
    const readKexInit = (chunk: Buffer): void => {
      if (this.#kexInit.push(chunk)) {
        socket.off('data', readKexInit);
      }
    };
    socket.on('data', readKexInit);
    this.#client
      .on('error', (error) => this.#onClientError(error))
      .on('handshake', (negotiated) => this.#onHandshake(negotiated))
      .on('ready', () => this.#onReady())
      .on('change password', () => this.#fail(this.#passwordExpired()));
    try {
      this.#client.connect(this.#config(socket));
    } catch (error) {
      this.#fail(new SshError('NEGOTIATION_FAILED', `ssh cannot be set up so: ${(error as Error).message}`));
    }
  }

  #config(socket: Socket): ConnectConfig {
    const { username, keepaliveInterval, keepaliveCountMax, debug } = this.#options;
    return {
      sock: socket,
      username,
      readyTimeout: 0,
      keepaliveInterval: timerDelay(keepaliveInterval ?? SSH_DEFAULTS.keepaliveInterval),
      keepaliveCountMax: keepaliveCountMax ?? SSH_DEFAULTS.keepaliveCountMax,
      algorithms: toSsh2(this.#offer),
      hostVerifier: (key: Buffer) => this.#verify(key),
      authHandler: this.#nextAuthentication,
      ...(debug !== undefined && { debug: (line: string) => this.#log(debug, line) }),
    };
  }

  /** Called at the first key exchange and at every later one; ssh2 accepts whatever is not literally `false`. */
  #verify(key: Buffer): boolean {
    if (this.#serverKey !== undefined) {
      const same = this.#serverKey.equals(key);
      if (!same) {
        this.#fail(
          new SshError('HOST_KEY_SWITCHED', 'the server came with another host key while connected'),
        );
      }
      return same;
    }
    const { host, port, hostKeys } = this.#options;
    const refusal = checkHostKey({ host, port, key }, hostKeys);
    if (refusal !== undefined) {
      this.#fail(refusal);
      return false;
    }
    this.#serverKey = Buffer.from(key);
    return !this.#settled;
  }

  #onHandshake(negotiated: NegotiatedAlgorithms): void {
    const { cs, sc } = negotiated;
    const strict = this.#kexInit.offer?.strictKex === true;
    const open = [cs, sc].find(({ cipher, mac }) => needsStrictKex(cipher, mac));
    if (open !== undefined && !strict) {
      const text = `the server wants ${open.cipher} without strict key exchange, which is open to the Terrapin attack (CVE-2023-48795): it should be updated`;
      this.#fail(new SshError('STRICT_KEX_MISSING', text));
      return;
    }
    this.#stage = 'logging in';
    this.#negotiated ??= {
      ciphers: [cs.cipher, sc.cipher],
      macs: [cs.mac || 'implicit', sc.mac || 'implicit'],
      compression: [cs.compress, sc.compress],
      kex: negotiated.kex,
      hostKeyAlgorithm: negotiated.serverHostKey,
    };
  }

  readonly #nextAuthentication: AuthHandlerMiddleware = (offered, partial, next) => {
    if (this.#settled || this.#connection !== undefined) {
      // A refusal after the success: nothing more is sent, and such a server is not to be trusted.
      this.#fail(new SshError('SSH_PROTOCOL', 'the server refused the login after it had accepted it'));
      return;
    }
    const attempt = this.#authentication.next(offered, partial);
    if (attempt === undefined) {
      this.#fail(this.#authentication.failure());
    } else {
      next(attempt);
    }
  };

  #onReady(): void {
    const { host, port, username, signal } = this.#options;
    if (this.#settled || this.#socket === undefined || !this.#negotiated || !this.#serverKey) {
      return;
    }
    this.#settled = true;
    clearTimeout(this.#timer);
    signal?.removeEventListener('abort', this.#onAbort);
    this.#connection = new Ssh2Connection(this.#client, this.#socket, {
      host,
      port,
      username,
      negotiated: this.#negotiated,
      remoteServerKey: describeKey(this.#serverKey),
    });
    this.#resolve(this.#connection);
  }

  readonly #onAbort = (): void => this.#fail(this.#options.signal?.reason);

  /** The first reason wins; the socket goes at once, as ssh2 would only half close it. */
  #fail(reason: unknown): void {
    if (this.#connection !== undefined) {
      this.#connection.destroy(
        reason instanceof Error ? reason : new SshError('SSH_PROTOCOL', String(reason)),
      );
      return;
    }
    if (this.#settled) {
      return;
    }
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#socket?.destroy();
    this.#reject(reason);
  }

  #onClientError(error: Error & { level?: string; code?: unknown }): void {
    if (error.level === 'agent') {
      return; // One key of the agent did not work; ssh2 goes on to our next attempt.
    }
    this.#fail(this.#explain(error));
  }

  #explain(error: Error & { level?: string; code?: unknown }): Error {
    const text = printable(error.message);
    const { host, port } = this.#options;
    if (this.#connection !== undefined) {
      const code = error.level === 'client-timeout' ? 'ETIMEDOUT' : undefined;
      const lost = `the connection to ${host}:${port} was lost: ${text}`;
      return new ConnectionLostError(lost, { cause: error, ...(code !== undefined && { code }) });
    }
    if (/^Handshake failed: no matching/i.test(error.message)) {
      return new SshError('NEGOTIATION_FAILED', describeOffers(text, this.#offer, this.#kexInit.offer), {
        cause: error,
      });
    }
    if (error.level === 'client-socket') {
      return connectionError(this.#options, error);
    }
    if (typeof error.code === 'number' && this.#stage === 'logging in') {
      const { tried, offered } = this.#authentication;
      const details = { tried, offered, cause: error };
      return new AuthenticationError(
        `the server ended the login: ${text} (tried ${tried.join(', ') || 'nothing'})`,
        details,
      );
    }
    return new SshError(
      'SSH_PROTOCOL',
      `the SSH connection to ${host}:${port} failed while ${this.#stage}: ${text}`,
      {
        cause: error,
      },
    );
  }

  #endedError(): Error {
    const { host, port } = this.#options;
    if (this.#connection !== undefined) {
      return new ConnectionLostError(`the connection to ${host}:${port} was lost: the server ended it`);
    }
    const text = `the server ended the connection to ${host}:${port} while ${this.#stage}`;
    return new ConnectionError('ECONNRESET', text, { host, port });
  }

  #timeoutError(timeoutMs: number): ConnectionError {
    const { host, port } = this.#options;
    const text = `no connection to ${host}:${port} within ${timeoutMs / 1000} seconds (while ${this.#stage}): check the address, the port, and the firewalls in between, or allow more time`;
    return new ConnectionError('ETIMEDOUT', text, { host, port });
  }

  #passwordExpired(): AuthenticationError {
    const { tried, offered } = this.#authentication;
    return new AuthenticationError(
      'the password has expired and the server asks for a new one: change it with an interactive login first',
      { tried, offered },
    );
  }

  #log(debug: (line: string) => void, line: string): void {
    const secret = this.#options.credentials.password;
    const clean = secret ? line.replaceAll(secret, '***') : line;
    debug(printable(clean, 4096));
  }
}

function toSsh2(offer: Offer): NonNullable<ConnectConfig['algorithms']> {
  return {
    kex: [...offer.kex],
    serverHostKey: [...offer.hostKeyAlgorithms],
    cipher: [...offer.ciphers],
    hmac: [...offer.macs],
    compress: [...offer.compression],
  } as NonNullable<ConnectConfig['algorithms']>;
}

function describeKey(bytes: Buffer): ServerKey {
  return { type: keyType(bytes) ?? 'unknown', bytes, fingerprint: fingerprintOf(bytes) };
}

function describeOffers(text: string, ours: Offer, theirs: ServerOffer | undefined): string {
  const list = (offer: Offer): string =>
    [
      `key exchange ${offer.kex.join(',')}`,
      `host keys ${offer.hostKeyAlgorithms.join(',')}`,
      `ciphers ${offer.ciphers.join(',')}`,
      `MACs ${offer.macs.join(',')}`,
      `compression ${offer.compression.join(',')}`,
    ].join('; ');
  const server = theirs === undefined ? 'not readable' : printable(list(theirs), 4096);
  return `${text.replace(/^Handshake failed: /, '')}. We offer: ${list(ours)}. The server offers: ${server}`;
}
