/** Where the layers are joined: an SSH connection, an SFTP session over one of its channels, and the face. */
import { onAbort } from './abort.js';
import { Connection } from './connection.js';
import { ConnectionError, ConnectionLostError } from './errors.js';
import { Log } from './log.js';
import { type ConnectOptions, type HostOptions, type ResolvedOptions, resolveOptions } from './options.js';
import { Lanes } from './session/lanes.js';
import { Session, type SessionOptions } from './session/session.js';
import { SftpClient } from './session/sftp-client.js';
import { Deadline } from './ssh/deadline.js';
import type { SshConnection } from './ssh/ssh-connection.js';
import { SSH_DEFAULTS } from './ssh/ssh2.js';
import { timerDelay } from './timer-delay.js';
import { openTransport } from './transport.js';

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
  resolved.signal?.throwIfAborted();
  const log = openLog(resolved);
  const timeoutMs =
    resolved.timeout ??
    resolved.cnopts.connectTimeout ??
    resolved.config?.connectTimeoutMs ??
    SSH_DEFAULTS.connectTimeout;
  const deadline = new Deadline(timeoutMs);
  const ssh = await openTransport({ options: resolved, deadline, log })
    .catch((error) => {
      log.write('error', String(error));
      log.close();
      throw error;
    })
    .finally(() => deadline.cancel());
  const abort = new AbortController();
  const callOff = onAbort(resolved.signal, (reason) => abort.abort(reason));
  const timer = setTimeout(
    () => abort.abort(timeoutError(ssh, timeoutMs)),
    timerDelay(Math.max(1, deadline.leftMs)),
  );
  try {
    resolved.signal?.throwIfAborted();
    return await openConnection(ssh, resolved, log, abort.signal);
  } catch (error) {
    log.write('error', String(error));
    // Whoever has given up does not wait for a farewell either.
    if (abort.signal.aborted)
      ssh.destroy(new ConnectionLostError('Connecting was given up', { cause: error }));
    else await ssh.close();
    throw error;
  } finally {
    clearTimeout(timer);
    callOff();
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

async function openConnection(
  ssh: SshConnection,
  { cnopts, defaultPath }: ResolvedOptions,
  log: Log,
  signal: AbortSignal,
): Promise<Connection> {
  const { negotiated, remoteServerKey } = ssh;
  log.write('info', `logged in; the host key is ${remoteServerKey.type} ${remoteServerKey.fingerprint}`);
  log.write('debug', `negotiated ${JSON.stringify(negotiated)}`);
  void ssh.closed.then((reason) => {
    log.write(reason === undefined ? 'info' : 'error', reason?.message ?? 'closed');
    log.close();
  });
  const debug = log.isOn ? (line: string) => log.write('debug', line) : undefined;
  const { serverCommand, subsystem } = cnopts;
  const openStream = (options: SessionOptions) =>
    serverCommand === undefined
      ? ssh.openSubsystem(subsystem, options)
      : ssh.openCommand(serverCommand, options);
  const openSession = async (options: SessionOptions) =>
    Session.open(await openStream(options), { ...options, debug });
  const session = await openSession({ signal });
  const client = new SftpClient(session);
  const lanes = new Lanes(async () => new SftpClient(await openSession({})));
  log.write('info', `SFTP session open; the server's extensions: ${client.extensions.join(' ')}`);
  const { securityOptions } = ssh;
  const connection = new Connection(ssh, session, client, lanes, {
    logfile: cnopts.logfile,
    securityOptions,
  });
  if (defaultPath !== undefined) await connection.chdir(defaultPath, { signal });
  return connection;
}

function timeoutError({ host, port }: SshConnection, timeoutMs: number): ConnectionError {
  const text =
    `${host}:${port} accepted the login, but had not opened the SFTP session within ${timeoutMs} ms: ` +
    'try again, or allow more time';
  return new ConnectionError('ETIMEDOUT', text, { host, port });
}
