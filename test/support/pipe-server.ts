/** OpenSSH's `sftp-server` on pipes: the real thing without SSH, for tests of the session. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Duplex } from 'node:stream';

const SFTP_SERVER = '/usr/lib/openssh/sftp-server';

/** The reason to skip a suite, or `false`. */
export const withoutSftpServer = existsSync(SFTP_SERVER)
  ? false
  : 'needs OpenSSH: apt-get install openssh-sftp-server';

export interface PipeServer extends AsyncDisposable {
  readonly stream: Duplex;
  readonly process: ChildProcess;
}

/**
 * Starts `sftp-server` in a directory; `await using` ends it.
 *
 * @param uid whom it runs as, which takes root; default: whoever runs the tests
 */
export function startPipeServer(
  directory: string,
  options: readonly string[] = [],
  uid?: number,
): PipeServer {
  const server = spawn(SFTP_SERVER, ['-d', directory, ...options], {
    stdio: ['pipe', 'pipe', 'ignore'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()));
  const stream = Duplex.from({ writable: server.stdin, readable: server.stdout });
  // What matters of the pipes' end reaches the session through the stream.
  stream.on('error', () => {});
  return {
    stream,
    process: server,
    [Symbol.asyncDispose]: async () => {
      stream.destroy();
      server.kill();
      await exited;
    },
  };
}
