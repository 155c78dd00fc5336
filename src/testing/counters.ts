import type { RequestName } from '../wire/packets.js';

/** What a test server has seen so far, over all its connections. */
export interface Counters {
  /** TCP connections accepted. */
  connections: number;
  /** Logins that succeeded, and attempts that were refused. */
  logins: number;
  refusedLogins: number;
  /** SFTP sessions begun. */
  sessions: number;
  /** Requests by kind, for instance `requests.read`; extended requests are counted by their names too. */
  requests: Record<RequestName, number>;
  extended: Record<string, number>;
  /** Handles that are open now: those of OPEN and OPENDIR without those of CLOSE. */
  openHandles: number;
  /** Bytes of file content in READ's answers and in WRITEs. */
  bytesRead: number;
  bytesWritten: number;
}

export function createCounters(): Counters {
  const requests: Record<RequestName, number> = {
    open: 0,
    close: 0,
    read: 0,
    write: 0,
    lstat: 0,
    fstat: 0,
    setstat: 0,
    fsetstat: 0,
    opendir: 0,
    readdir: 0,
    remove: 0,
    mkdir: 0,
    rmdir: 0,
    realpath: 0,
    stat: 0,
    rename: 0,
    readlink: 0,
    symlink: 0,
    extended: 0,
  };
  return {
    connections: 0,
    logins: 0,
    refusedLogins: 0,
    sessions: 0,
    requests,
    extended: Object.create(null) as Record<string, number>,
    openHandles: 0,
    bytesRead: 0,
    bytesWritten: 0,
  };
}
