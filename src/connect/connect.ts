/** Where the layers are joined: an SSH connection, an SFTP session over one of its channels, and the public API. */

import type { EstablishedLine } from '../connection/reconnect/line.js';
import { Link } from '../connection/reconnect/link.js';
import { Connection } from '../connection.js';
import { ConnectionError, ConnectionLostError, SshError } from '../errors.js';
import { initPacket } from '../session/handshake.js';
import { Session } from '../session/session.js';
import { onAbort } from '../shared/abort.js';
import { Redaction } from '../shared/redaction.js';
import { type ComingAttempt, retryPolicy, tryRepeatedly } from '../shared/retry.js';
import { timerDelay } from '../shared/timer-delay.js';
import { SSH_DEFAULTS } from '../ssh/builtin/ssh2-options.js';
import { Deadline } from '../ssh/deadline.js';
import type { SshConnection } from '../ssh/ssh-connection.js';
import { resolveSpeed } from '../transfer/engine/speed.js';
import { Log } from './log.js';
import { type ConnectOptions, type HostOptions, type ResolvedOptions, resolveOptions } from './options.js';
import { PromptMemory } from './prompt-memory.js';
import { openTransport, type PinnedKey } from './transport.js';

/**
 * Connects to an SFTP server. Resolves once the server's host key is verified, the user is logged in, the SFTP
 * session is open and `defaultPath` is the current directory. Nothing is left open when it rejects.
 *
 * @throws ConnectionError the server cannot be reached (`ENOTFOUND`, `ECONNREFUSED`, `ETIMEDOUT` …)
 * @throws HostKeysError the server's key is unknown, changed or revoked, or there is no usable known_hosts
 * @throws CredentialError there is nothing to log in with; PasswordRequiredError for an encrypted key
 * @throws AuthenticationError the server refuses what there is
 * @throws SshError the SSH layer fails; ProtocolError what answers is no SFTP server
 * @throws SftpStatusError `defaultPath` is no directory
 * @throws TypeError | RangeError if an option is invalid; nothing is sent
 *
 * @example
 * await using sftp = await connect('hostname', { username: 'me', password: 'secret' });
 * await sftp.cd('public', async () => {
 *   await sftp.put('/my/local/filename');
 *   await sftp.get('remote_file');
 * });
 *
 * @example
 * const sftp = await connect('sftp://me@hostname:2222/start/here', { privateKey: '~/.ssh/id_ed25519' });
 */
export function connect(host: string, options?: ConnectOptions): Promise<Connection>;
export function connect(options: HostOptions): Promise<Connection>;
export async function connect(target: string | HostOptions, options?: ConnectOptions): Promise<Connection> {
  const resolved = resolveOptions(target, options);
  const { signal, cnopts, defaultPath } = resolved;
  signal?.throwIfAborted();
  const policy = retryPolicy(resolved.retry);
  const secrets = new Redaction();
  secrets.add(resolved.password, resolved.privateKeyPass);
  const log = openLog(resolved, secrets);
  const dialer = new Dialer(resolved, { log, secrets });
  const dialAgain = (given: AbortSignal) => dialer.dial(given, async (line) => line);
  const dialFurther = mayDialFurther(resolved)
    ? (given: AbortSignal) => dialer.dialFurther(given)
    : undefined;
  const join = async (line: EstablishedLine, during: AbortSignal) => {
    const speed = resolveSpeed(resolved);
    const link = new Link(line, {
      retry: policy,
      speed,
      dial: dialAgain,
      dialFurther,
      onReconnecting: resolved.onReconnecting,
      onReconnected: resolved.onReconnected,
      log: (level, text) => log.write(level, text),
      onClose: () => log.close(),
    });
    const { securityOptions } = line.ssh;
    const connection = new Connection(link, { logfile: cnopts.logfile, securityOptions });
    if (defaultPath !== undefined) await connection.chdir(defaultPath, { signal: during });
    return connection;
  };
  try {
    const onRetry = ({ attempt, delay, error }: ComingAttempt) =>
      log.write('warn', `connecting again in ${delay} ms, attempt ${attempt}: ${secrets.applyTo(error)}`);
    return await tryRepeatedly(() => dialer.dial(signal, join), { policy, signal, onRetry });
  } catch (error) {
    log.write('error', String(secrets.applyTo(error)));
    log.close();
    throw error;
  }
}

/** @throws Error Node's own where the log file cannot be written; nothing is sent then. */
function openLog({ host, port, username, cnopts }: ResolvedOptions, secrets: Redaction): Log {
  const { logfile: file, logger, hostkeys, fingerprint, knownHostsProblem } = cnopts;
  const log = new Log({ file, logger, secrets });
  log.write('info', `connecting to ${host}:${port} as ${username}`);
  if (hostkeys === null && fingerprint === undefined) {
    log.write('warn', 'hostkeys is null: the host key is not checked, and anybody may pose as the server');
  }
  if (knownHostsProblem !== undefined && fingerprint === undefined) log.write('warn', knownHostsProblem);
  return log;
}

/** A stream that is given as it is can be used once. */
function mayDialFurther({ socket }: ResolvedOptions): boolean {
  return socket === undefined || typeof socket === 'function';
}

/** Connects to one server, as often as need be; after the first time only where it has the same host key. */
class Dialer {
  readonly #options: ResolvedOptions;
  readonly #log: Log;
  readonly #secrets: Redaction;
  readonly #answers = new PromptMemory();
  #pinned: PinnedKey | undefined;

  constructor(
    options: ResolvedOptions,
    { log, secrets }: { readonly log: Log; readonly secrets: Redaction },
  ) {
    this.#options = options;
    this.#log = log;
    this.#secrets = secrets;
  }

  /** One more connection beside the first, whose key it must show; without it there is just one fewer. */
  dialFurther(signal: AbortSignal): Promise<EstablishedLine> {
    if (this.#pinned === undefined) {
      const text =
        'The host key of the first connection is not known, so that no further one can be compared';
      return Promise.reject(new SshError('UNSUPPORTED_OPTION', text));
    }
    return this.dial(signal, async (line) => line, { isFurther: true });
  }

  /** What `use` makes of the line; nothing is left open where that, or anything before it, fails. */
  async dial<T>(
    signal: AbortSignal | undefined,
    use: (line: EstablishedLine, during: AbortSignal) => Promise<T>,
    { isFurther = false }: { readonly isFurther?: boolean } = {},
  ): Promise<T> {
    const { timeoutMs } = this;
    const deadline = new Deadline(timeoutMs);
    const abort = new AbortController();
    const callOff = onAbort(signal, (reason) => abort.abort(reason));
    let timer: NodeJS.Timeout | undefined;
    let ssh: SshConnection | undefined;
    try {
      const opened = await this.#openSsh(deadline, signal, isFurther).finally(() => deadline.cancel());
      ssh = opened;
      const giveUp = () => abort.abort(timeoutError(opened, timeoutMs));
      timer = setTimeout(giveUp, timerDelay(Math.max(1, deadline.leftMs)));
      signal?.throwIfAborted();
      return await use(await this.#openLine(opened, abort.signal), abort.signal);
    } catch (error) {
      // What becomes of the others, the callers log: there may be another attempt.
      if (isFurther && !signal?.aborted)
        this.#log.write('warn', `no further connection: ${this.#secrets.applyTo(error)}`);
      // A caller that has given up does not wait for a farewell either.
      if (abort.signal.aborted)
        ssh?.destroy(new ConnectionLostError('Connecting was aborted', { cause: error }));
      else await ssh?.close();
      throw error;
    } finally {
      clearTimeout(timer);
      callOff();
    }
  }

  /** For the whole of connecting, and for each channel later. */
  get timeoutMs(): number {
    const { cnopts, config } = this.#options;
    return cnopts.connectTimeout ?? config?.connectTimeoutMs ?? SSH_DEFAULTS.connectTimeout;
  }

  async #openSsh(
    deadline: Deadline,
    signal: AbortSignal | undefined,
    isFurther: boolean,
  ): Promise<SshConnection> {
    const options = { ...this.#options, signal };
    const ssh = await openTransport({
      options,
      deadline,
      log: this.#log,
      secrets: this.#secrets,
      pinned: this.#pinned,
      onPrompt: this.#answers.wrap(options.cnopts.onPrompt, { isFurther }),
    });
    const { negotiated, remoteServerKey } = ssh;
    const { fingerprint } = remoteServerKey;
    // Of a connection that the user's ssh has made before, no key is known.
    if (fingerprint !== '') this.#pinned = { fingerprint, algorithm: negotiated.hostKeyAlgorithm };
    this.#note(ssh, { isFurther, signal });
    return ssh;
  }

  #note(
    { negotiated, remoteServerKey, closed }: SshConnection,
    { isFurther, signal }: { readonly isFurther: boolean; readonly signal: AbortSignal | undefined },
  ): void {
    const log = this.#log;
    log.write('info', `logged in; the host key is ${remoteServerKey.type} ${remoteServerKey.fingerprint}`);
    log.write('debug', `negotiated ${JSON.stringify(negotiated)}`);
    void closed.then((reason) => {
      // Further connections are closed with the first one.
      const isWanted = reason === undefined || (isFurther && signal?.aborted);
      // With a reconnect to come, or others that are left, it is no error yet.
      const isLast = !this.#options.retry && !isFurther;
      if (isWanted) log.write('info', 'closed');
      else log.write(isLast ? 'error' : 'warn', reason.message);
      // What fails with it is logged first.
      if (isLast) setImmediate(() => log.close());
    });
  }

  async #openLine(ssh: SshConnection, signal: AbortSignal): Promise<EstablishedLine> {
    const { concurrency, cnopts } = this.#options;
    const { serverCommand, subsystem, callTimeout, noProgressTimeout: noProgressTimeoutMs } = cnopts;
    const maxRequests = concurrency === 1 ? 1 : undefined;
    const openSession = async (given?: AbortSignal) => {
      const options = { signal: given, first: initPacket() };
      const stream =
        serverCommand === undefined
          ? await ssh.openSubsystem(subsystem, options)
          : await ssh.openCommand(serverCommand, options);
      return Session.open(stream, {
        signal: given,
        isInitSent: true,
        debug: this.#debug,
        secrets: this.#secrets,
        handshakeTimeoutMs: this.timeoutMs,
        timeoutMs: callTimeout,
        noProgressTimeoutMs,
        maxRequests,
      });
    };
    const session = await openSession(signal);
    const extensions = [...session.extensions.keys()].join(' ');
    this.#log.write('info', `SFTP session open; the server's extensions: ${extensions}`);
    return { ssh, session, openSession };
  }

  get #debug(): ((line: string) => void) | undefined {
    return this.#log.isOn ? (line) => this.#log.write('debug', line) : undefined;
  }
}

function timeoutError({ host, port }: SshConnection, timeoutMs: number): ConnectionError {
  const text =
    `${host}:${port} accepted the login, but had not opened the SFTP session within ${timeoutMs} ms: ` +
    'try again, or allow more time with connectTimeout';
  return new ConnectionError('ETIMEDOUT', text, { host, port });
}
