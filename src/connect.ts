/** Where the layers are joined: an SSH connection, an SFTP session over one of its channels, and the face. */
import { onAbort } from './abort.js';
import { type Line, Link } from './connection/link.js';
import { Connection } from './connection.js';
import { ConnectionError, ConnectionLostError } from './errors.js';
import { Log } from './log.js';
import { type ConnectOptions, type HostOptions, type ResolvedOptions, resolveOptions } from './options.js';
import { retryPolicy, tryRepeatedly } from './retry.js';
import { initPacket } from './session/handshake.js';
import { Session } from './session/session.js';
import { resolveSpeed } from './speed.js';
import { Deadline } from './ssh/deadline.js';
import type { SshConnection } from './ssh/ssh-connection.js';
import { SSH_DEFAULTS } from './ssh/ssh2.js';
import { timerDelay } from './timer-delay.js';
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
 * @throws TypeError | RangeError an option cannot be meant; nothing is sent
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
  const log = openLog(resolved);
  const dialer = new Dialer(resolved, log);
  const dialAgain = (given: AbortSignal) => dialer.dial(given, async (line) => line);
  const join = async (line: Line, during: AbortSignal) => {
    const speed = resolveSpeed(resolved);
    const link = new Link(line, { retry: policy, speed, dial: dialAgain, onClose: () => log.close() });
    const { securityOptions } = line.ssh;
    const connection = new Connection(link, { logfile: cnopts.logfile, securityOptions });
    if (defaultPath !== undefined) await connection.chdir(defaultPath, { signal: during });
    return connection;
  };
  try {
    return await tryRepeatedly(() => dialer.dial(signal, join), { policy, signal });
  } catch (error) {
    log.close();
    throw error;
  }
}

/** @throws Error Node's own where the log file cannot be written; nothing is sent then. */
function openLog({ host, port, username, password, privateKeyPass, cnopts }: ResolvedOptions): Log {
  const { logfile: file, logger, hostkeys, fingerprint, knownHostsProblem } = cnopts;
  const log = new Log({ file, logger, secrets: [password, privateKeyPass] });
  log.write('info', `connecting to ${host}:${port} as ${username}`);
  if (hostkeys === null && fingerprint === undefined) {
    log.write('warn', 'hostkeys is null: the host key is not checked, and anybody may pose as the server');
  }
  if (knownHostsProblem !== undefined && fingerprint === undefined) log.write('warn', knownHostsProblem);
  return log;
}

/** Connects to one server, as often as need be; after the first time only where it has the same host key. */
class Dialer {
  readonly #options: ResolvedOptions;
  readonly #log: Log;
  #pinned: PinnedKey | undefined;

  constructor(options: ResolvedOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  /** What `use` makes of the line; nothing is left open where that, or anything before it, fails. */
  async dial<T>(
    signal: AbortSignal | undefined,
    use: (line: Line, during: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { timeout, cnopts, config } = this.#options;
    const timeoutMs =
      timeout ?? cnopts.connectTimeout ?? config?.connectTimeoutMs ?? SSH_DEFAULTS.connectTimeout;
    const deadline = new Deadline(timeoutMs);
    const abort = new AbortController();
    const callOff = onAbort(signal, (reason) => abort.abort(reason));
    let timer: NodeJS.Timeout | undefined;
    let ssh: SshConnection | undefined;
    try {
      const opened = await this.#openSsh(deadline, signal).finally(() => deadline.cancel());
      ssh = opened;
      const giveUp = () => abort.abort(timeoutError(opened, timeoutMs));
      timer = setTimeout(giveUp, timerDelay(Math.max(1, deadline.leftMs)));
      signal?.throwIfAborted();
      return await use(await this.#openLine(opened, abort.signal), abort.signal);
    } catch (error) {
      this.#log.write('error', String(error));
      // Whoever has given up does not wait for a farewell either.
      if (abort.signal.aborted)
        ssh?.destroy(new ConnectionLostError('Connecting was given up', { cause: error }));
      else await ssh?.close();
      throw error;
    } finally {
      clearTimeout(timer);
      callOff();
    }
  }

  async #openSsh(deadline: Deadline, signal: AbortSignal | undefined): Promise<SshConnection> {
    const options = { ...this.#options, signal };
    const ssh = await openTransport({ options, deadline, log: this.#log, pinned: this.#pinned });
    const { negotiated, remoteServerKey } = ssh;
    this.#pinned = { fingerprint: remoteServerKey.fingerprint, algorithm: negotiated.hostKeyAlgorithm };
    this.#note(ssh);
    return ssh;
  }

  #note({ negotiated, remoteServerKey, closed }: SshConnection): void {
    const log = this.#log;
    log.write('info', `logged in; the host key is ${remoteServerKey.type} ${remoteServerKey.fingerprint}`);
    log.write('debug', `negotiated ${JSON.stringify(negotiated)}`);
    void closed.then((reason) => {
      log.write(reason === undefined ? 'info' : 'error', reason?.message ?? 'closed');
      if (!this.#options.retry) log.close();
    });
  }

  async #openLine(ssh: SshConnection, signal: AbortSignal): Promise<Line> {
    const { serverCommand, subsystem, noProgressTimeout: noProgressTimeoutMs } = this.#options.cnopts;
    const openSession = async (given?: AbortSignal) => {
      const options = { signal: given, first: initPacket() };
      const stream =
        serverCommand === undefined
          ? await ssh.openSubsystem(subsystem, options)
          : await ssh.openCommand(serverCommand, options);
      const debug = this.#debug;
      return Session.open(stream, { signal: given, isInitSent: true, debug, noProgressTimeoutMs });
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
    'try again, or allow more time';
  return new ConnectionError('ETIMEDOUT', text, { host, port });
}
