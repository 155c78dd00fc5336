/** What connecting once gives. */
import type { Session } from '../../session/session.js';
import type { SshConnection } from '../../ssh/ssh-connection.js';

export interface EstablishedLine {
  readonly ssh: SshConnection;
  readonly session: Session;
  /** Opens one more session over the same connection. */
  openSession(signal?: AbortSignal): Promise<Session>;
}
