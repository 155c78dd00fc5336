/** Why ssh gave up: at which server on the way, what is known about that one's keys, and what is wrong with ours. */
import { AuthenticationError, CredentialError } from '../errors.js';
import { readKeyFile } from './credentials.js';
import { explainFailure, type Failure } from './openssh-failure.js';
import { isPins, knownHostsPlace, type TrustOptions, trustedKeys } from './openssh-host-key.js';
import { OF_THE_AGENT, type OpensshLog, type Station } from './openssh-log.js';
import type { Resolution } from './openssh-resolution.js';
import { parsePrivateKey } from './private-key.js';

export interface Ending extends TrustOptions {
  readonly log: OpensshLog;
  /** Where ssh was to go. */
  readonly resolution: Resolution;
  /** Our folder. */
  readonly folder: string;
  /** Was ssh given a password or another answer? */
  readonly hasAnswered: boolean;
  /** The key's path, where there is a file. */
  readonly privateKey?: string | undefined;
  readonly privateKeyPass?: string | undefined;
  /** The hosts on the way, as ssh's configuration has them. */
  readonly findHops: () => Promise<readonly Resolution[]>;
}

export async function diagnose(ending: Ending): Promise<Error> {
  const error = explainFailure(await gatherFacts(ending));
  const { privateKey, privateKeyPass, hasAnswered } = ending;
  if (!(error instanceof AuthenticationError) || privateKey === undefined) return error;
  // Who was asked for a passphrase knows; and what an agent signs with need not be opened.
  const isOpened = error.tried.some((method) => method.endsWith(`${OF_THE_AGENT})`));
  if (isOpened || (privateKeyPass === undefined && hasAnswered)) return error;
  return (await keyProblem(privateKey, privateKeyPass, error)) ?? error;
}

async function gatherFacts(ending: Ending): Promise<Failure> {
  const { log, resolution, folder, hasAnswered } = ending;
  const { complaints, serverKey, station, greeting } = log;
  const tried = log.tried.filter((method) => hasAnswered || method.startsWith('publickey'));
  const words = { complaints, serverKey, tried, greeting };
  if (station === undefined ? resolution.isDirect : isAt(station, resolution)) {
    const { hostKeys: trust } = ending;
    const known = trustedKeys(ending, resolution, folder);
    const pins = isPins(trust) ? trust : undefined;
    const place = knownHostsPlace(ending, resolution);
    return { ...resolution, ...words, known, place, offer: resolution.securityOptions, pins };
  }
  const { host, port } = resolution;
  const hop = station && (await ending.findHops()).find((one) => isAt(station, one));
  const at = { ...(hop ?? resolution), ...station };
  const known = hop === undefined ? [] : trustedKeys({}, hop, folder);
  const place = knownHostsPlace({}, at);
  return { ...at, ...words, known, place, offer: at.securityOptions, behind: { host, port } };
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
