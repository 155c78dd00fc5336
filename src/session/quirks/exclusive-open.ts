/**
 * Servers that open what exists though EXCL is set: Erlang's `ssh_sftpd`, which does not empty it either, and rclone, which
 * does. But on OpenSSH, which refuses it, the name is looked at before the OPEN is sent, which takes a round trip.
 */
import { encodePath, type RemotePath } from '../../shared/remote-path.js';
import { failure, refusalOf } from '../status-error.js';

interface Session {
  lstat(path: RemotePath, options: Cancellable): Promise<unknown>;
}

interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

/** @throws SftpStatusError (`EEXIST`) there is something, and the server may not refuse to open it */
export async function checkFree(session: Session, path: RemotePath, { signal }: Cancellable): Promise<void> {
  if (await refusalOf(session.lstat(path, { signal }))) return;
  throw failure('EEXIST', 'open', encodePath(path), 'the file exists already');
}
