/** Why ssh gave up: at which server on the way, what is known about that one's keys, and what is wrong with ours. */
import { AuthenticationError, CredentialError } from '../../../errors.js';
import { readKeyFile } from '../../credentials/credentials.js';
import { parsePrivateKey } from '../../credentials/private-key.js';
import type { Trust } from '../openssh-host-key.js';
import type { Resolution } from '../openssh-resolution.js';
import { explainFailure, type Failure } from './openssh-failure.js';
import { OF_THE_AGENT, type OpensshLog, type Station } from './openssh-log.js';

/** A server on the way, or the one that was meant: what its ssh has written, and what is known about its keys. */
export interface Stop {
  readonly log: OpensshLog;
  readonly resolution: Resolution;
  readonly trust: Trust | undefined;
}

export interface Ending {
  readonly server: Stop;
  /** The hosts on the way, the nearest first, as far as each has a log of its own. */
  readonly hops: readonly Stop[];
  /** What was said that is not in ssh's own log: by a server, or by a program on the way. */
  readonly aside: string;
  /** Was ssh given a password or another answer? */
  readonly hasAnswered: boolean;
  /** The key's path, where there is a file. */
  readonly privateKey?: string | undefined;
  readonly privateKeyPass?: string | undefined;
}

export async function diagnose(ending: Ending): Promise<Error> {
  const error = explainFailure(gatherFacts(ending));
  const { privateKey, privateKeyPass, hasAnswered } = ending;
  if (!(error instanceof AuthenticationError) || privateKey === undefined) return error;
  // Who was asked for a passphrase knows; and what an agent signs with need not be opened.
  const isOpened = error.tried.some((method) => method.endsWith(`${OF_THE_AGENT})`));
  if (isOpened || (privateKeyPass === undefined && hasAnswered)) return error;
  return (await keyProblem(privateKey, privateKeyPass, error)) ?? error;
}

function gatherFacts({ server, hops, aside, hasAnswered }: Ending): Failure {
  const at = hops.findIndex(hasFailed);
  const { log, resolution, trust } = hops[at] ?? server;
  const { complaints, serverKey, station, greeting } = log;
  const tried = log.tried.filter((method) => hasAnswered || method.startsWith('publickey'));
  const words = { complaints, serverKey, tried, greeting, aside };
  const facts = { ...resolution, ...words, ...said(trust), offer: resolution.securityOptions };
  if (at >= 0) return { ...facts, behind: (hops[at + 1] ?? server).resolution };
  if (station === undefined ? resolution.isDirect : isAt(station, resolution)) return facts;
  // Only where all share one log can it be at another one.
  return { ...facts, ...station, ...(station && said(undefined)), behind: resolution };
}

/** The way on from a host that has let ssh in is the next one's matter, unless it refuses that. */
function hasFailed({ log }: Stop): boolean {
  if (log.isEmpty) return false;
  return !log.isThrough || log.complaints.some((line) => /open failed: |stdio forwarding failed/.test(line));
}

function said(trust: Trust | undefined): Pick<Failure, 'known' | 'place' | 'pins'> {
  if (trust === undefined) return { known: [], place: { file: '~/.ssh/known_hosts' } };
  return { known: trust.known(), place: trust.place, pins: trust.pins };
}

function isAt(station: Station, { host, port }: Resolution): boolean {
  return station.host.toLowerCase() === host.toLowerCase() && station.port === port;
}

/** A key that cannot be opened explains more than the server's refusal; ssh passes over it. */
async function keyProblem(
  path: string,
  passphrase: string | undefined,
  cause: Error,
): Promise<CredentialError | undefined> {
  try {
    parsePrivateKey(readKeyFile(path), path, passphrase);
    return undefined;
  } catch (error) {
    const explains = error instanceof CredentialError && EXPLAINING.has(error.code);
    if (!explains) return undefined;
    error.cause ??= cause;
    return error;
  }
}

/** Not those for keys that ssh can use, and we cannot. */
const EXPLAINING = new Set(['PASSPHRASE_REQUIRED', 'WRONG_PASSPHRASE', 'INVALID_KEY']);
