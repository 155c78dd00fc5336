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
  /**
   * Requests that are not answered yet, and the most there have been at once. Only with the fault `answersWhenQuiet`
   * do they tell what the client has asked for at once: otherwise each is answered as it comes.
   */
  outstanding: Record<RequestName | 'all', number>;
  mostOutstanding: Record<RequestName | 'all', number>;
  /** How often something was asked when nothing was left to answer; with `answersWhenQuiet`, the round trips. */
  turns: number;
  /** Handles that are open now: those of OPEN and OPENDIR without those of CLOSE; and the most at once. */
  openHandles: number;
  mostOpenHandles: number;
  /** Bytes of file content in READ's answers and in WRITEs. */
  bytesRead: number;
  bytesWritten: number;
}

const NONE: Readonly<Record<RequestName, number>> = {
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

export function createCounters(): Counters {
  return {
    connections: 0,
    logins: 0,
    refusedLogins: 0,
    sessions: 0,
    requests: { ...NONE },
    extended: Object.create(null) as Record<string, number>,
    outstanding: { ...NONE, all: 0 },
    mostOutstanding: { ...NONE, all: 0 },
    turns: 0,
    openHandles: 0,
    mostOpenHandles: 0,
    bytesRead: 0,
    bytesWritten: 0,
  };
}

export function noteAsked(counters: Counters, kind: RequestName): void {
  const { requests, outstanding, mostOutstanding } = counters;
  if (outstanding.all === 0) counters.turns += 1;
  requests[kind] += 1;
  for (const key of [kind, 'all'] as const) {
    outstanding[key] += 1;
    mostOutstanding[key] = Math.max(mostOutstanding[key], outstanding[key]);
  }
}

export function noteAnswered({ outstanding }: Counters, kind: RequestName): void {
  outstanding[kind] -= 1;
  outstanding.all -= 1;
}

export function noteOpened(counters: Counters): void {
  counters.openHandles += 1;
  counters.mostOpenHandles = Math.max(counters.mostOpenHandles, counters.openHandles);
}
