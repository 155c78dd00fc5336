/** How ssh is told which host keys to trust, and the bytes of the key that it then saw. */
import { writeFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { SshError } from '../../errors.js';
import { expandHome } from '../home-path.js';
import type { KnownHostsPlace } from '../host-keys/host-key-error.js';
import { hostName } from '../host-keys/host-pattern.js';
import { fingerprintOf } from '../host-keys/key-blob.js';
import { HostKeys, type KnownHostEntry } from '../host-keys/known-hosts.js';
import { makeRoomForKnownHost, readKnownHosts } from '../host-keys/known-hosts-file.js';
import { quotePath } from './openssh-arguments.js';
import type { Resolution } from './openssh-resolution.js';

/** What decides about the server's key; with nothing said, ssh's own known hosts do. */
export interface TrustOptions {
  /** Fingerprints of which one must fit, in place of known hosts; revoked keys stay revoked. */
  readonly pins?: readonly string[] | undefined;
  /** Keys that the program gives; `null`: no check at all, save for what `pins` say. */
  readonly hostKeys?: HostKeys | null | undefined;
  /** Do the known hosts of ssh's configuration count too? Default: only where no keys are given. */
  readonly readsOwnFiles?: boolean | undefined;
  /** Default: what the configuration says, if that is `accept-new`, else `strict`. */
  readonly policy?: 'strict' | 'accept-new' | undefined;
  /** Where `accept-new` adds a key, if ssh's own known hosts do not count. */
  readonly acceptNewIn?: string | undefined;
}

/** The decision for one server. */
export interface Trust {
  /** What ssh is told. */
  readonly arguments: readonly string[];
  readonly pins: readonly string[] | undefined;
  /** The keys that ssh compares with, as they are now: it shows no more than a fingerprint of the server's. */
  readonly known: () => readonly KnownHostEntry[];
  /** Where the server's key belongs, for messages. */
  readonly place: KnownHostsPlace;
}

/** What is known about one server, from wherever it comes. */
interface Sources {
  /** Do the files of ssh's configuration count? */
  readonly readsOwnFiles: boolean;
  /** What the program has given. */
  readonly added: readonly KnownHostEntry[];
  readonly files: readonly string[];
  /** Where a host would be added that nothing is known about. */
  readonly newIn: string | undefined;
}

const ACCEPT_NEW = '-oStrictHostKeyChecking=accept-new';
const STRICT = '-oStrictHostKeyChecking=yes';
const UNCHECKED = '-oStrictHostKeyChecking=no';

/**
 * ssh decides, but never asks (nobody could compare), and is never laxer than strict unless that was said. Pins come
 * first, then `null`, then every source together: a key that one of them revokes, or knows otherwise, is never new.
 */
export async function prepareTrust(
  options: TrustOptions,
  resolution: Resolution,
  folder: string,
): Promise<Trust> {
  const { pins, hostKeys } = options;
  const sources = gather(options, resolution);
  const ours = ['known_hosts', 'pins.seen'].map((name) => join(folder, name));
  const [preferred = '~/.ssh/known_hosts'] = [
    sources.newIn,
    ...(hostKeys?.files ?? []),
    ...sources.files,
  ].filter((file) => file !== undefined);
  const decide = pins !== undefined ? pinned : hostKeys === null ? unchecked : checked;
  return {
    arguments: await decide(sources, { options, resolution, folder }),
    pins,
    known: () => [...sources.added, ...readKeys([...sources.files, ...ours], resolution)],
    place: { file: preferred, alias: resolution.hostKeyAlias, readsCertificates: true },
  };
}

function gather(options: TrustOptions, resolution: Resolution): Sources {
  const { pins, hostKeys, policy, acceptNewIn } = options;
  const { userKnownHostsFiles: users, globalKnownHostsFiles } = resolution;
  const readsOwnFiles = options.readsOwnFiles ?? hostKeys === undefined;
  const added = hostKeys ? lookUp(hostKeys, resolution) : [];
  if (hostKeys === null) return { readsOwnFiles: false, added, files: [], newIn: undefined };
  // Where pins decide, nothing is ever new.
  const isAccepting = policy === 'accept-new' && pins === undefined;
  const newIn = isAccepting ? (readsOwnFiles ? users[0] : acceptNewIn) : undefined;
  if (readsOwnFiles) return { readsOwnFiles, added, files: [...users, ...globalKnownHostsFiles], newIn };
  // The file is looked at where the program's keys say nothing about the host, as it may have been added before.
  return { readsOwnFiles, added, files: newIn === undefined || knows(added) ? [] : [newIn], newIn };
}

/** Is the host not new? A key, or an authority that should have signed it, tells so; a revoked key alone does not. */
function knows(entries: readonly KnownHostEntry[]): boolean {
  return entries.some(({ marker }) => marker !== 'revoked');
}

interface Place {
  readonly options: TrustOptions;
  readonly resolution: Resolution;
  readonly folder: string;
}

async function pinned(sources: Sources, { options, resolution, folder }: Place): Promise<readonly string[]> {
  const entries = [...sources.added, ...readKeys(sources.files, resolution)];
  const revoked = entries.filter(({ marker }) => marker === 'revoked');
  const file = await writeKnownHosts(revoked, resolution, folder);
  return [STRICT, ...onlyIn([file]), await writePinCommand(options.pins ?? [], folder)];
}

async function unchecked(_sources: Sources, { resolution, folder }: Place): Promise<readonly string[]> {
  return [UNCHECKED, ...onlyIn([join(folder, 'known_hosts')]), ...withoutCommand(resolution)];
}

async function checked(sources: Sources, { options, resolution, folder }: Place): Promise<readonly string[]> {
  const { readsOwnFiles, added, files, newIn } = sources;
  const isNew = newIn !== undefined && !knows([...added, ...readKeys(files, resolution)]);
  if (isNew) makeRoomForKnownHost(newIn);
  const strictness = isNew ? ACCEPT_NEW : STRICT;
  if (readsOwnFiles && added.length === 0) {
    return options.policy === undefined && resolution.acceptsNew ? [] : [strictness];
  }
  const file = await writeKnownHosts(added, resolution, folder);
  if (!readsOwnFiles) return [strictness, ...onlyIn([...files, file]), ...withoutCommand(resolution)];
  return [strictness, userFiles([...resolution.userKnownHostsFiles, file])];
}

/** Is there nothing that ssh could not have known when it verified a server by itself? */
export function isLeftToSsh(options: TrustOptions, resolution: Resolution): boolean {
  const { pins, hostKeys, policy, readsOwnFiles = hostKeys === undefined } = options;
  if (pins !== undefined || policy !== undefined || hostKeys === null || !readsOwnFiles) return false;
  return hostKeys === undefined || lookUp(hostKeys, resolution).length === 0;
}

function onlyIn(files: readonly string[]): readonly string[] {
  return [userFiles(files), `-oGlobalKnownHostsFile=${devNull}`, '-oUpdateHostKeys=no'];
}

function userFiles(files: readonly string[]): string {
  return `-oUserKnownHostsFile=${files.map((file) => quotePath('the known_hosts file', file)).join(' ')}`;
}

function withoutCommand({ hasKnownHostsCommand }: Resolution): readonly string[] {
  return hasKnownHostsCommand ? ['-oKnownHostsCommand=none'] : [];
}

function lookUp(keys: HostKeys, { host, port, hostKeyAlias }: Resolution): readonly KnownHostEntry[] {
  return hostKeyAlias === undefined ? keys.lookup(host, port) : keys.lookup(hostKeyAlias, 22);
}

async function writeKnownHosts(
  entries: readonly KnownHostEntry[],
  { host, port, hostKeyAlias }: Resolution,
  folder: string,
): Promise<string> {
  const file = join(folder, 'known_hosts');
  const name = hostKeyAlias ?? hostName(host, port);
  const lines = entries.map(({ marker, type, key }) => {
    const mark = marker === undefined ? '' : `@${marker} `;
    return `${mark}${name} ${type} ${Buffer.from(key).toString('base64')}\n`;
  });
  await writeFile(file, lines.join(''), { mode: 0o600 });
  return file;
}

/**
 * ssh knows no pins, but a command that names the trusted keys: ours repeats the key that the server shows if its
 * fingerprint is one of those that were given, and notes it for us.
 */
async function writePinCommand(pins: readonly string[], folder: string): Promise<string> {
  if (process.platform === 'win32') {
    throw new SshError('UNSUPPORTED_OPTION', "A fingerprint needs transport: 'ssh2' on Windows");
  }
  const wanted = pins.map((pin) => pin.replace(/=+$/, ''));
  for (const pin of wanted) {
    if (!/^SHA256:[\w+/]{43}$/.test(pin)) {
      throw new TypeError('a fingerprint is SHA256: and 43 characters, as ssh-keygen -l prints it');
    }
  }
  const path = join(folder, 'pins');
  const cases = wanted.map((pin) => `'${pin}'`).join('|') || "''";
  await writeFile(path, `#!/bin/sh\ncase "$1" in ${cases}) echo "$2 $3 $4" | tee -a "$0.seen";; esac\n`, {
    mode: 0o700,
  });
  return `-oKnownHostsCommand=${quotePath('the folder for temporary files', path)} %f %H %t %K`;
}

function readKeys(files: readonly string[], resolution: Resolution): readonly KnownHostEntry[] {
  const keys = new HostKeys();
  for (const file of new Set(files.map(expandHome))) {
    try {
      keys.parse(readKnownHosts(file), file);
    } catch {
      // A file that does not exist holds no key.
    }
  }
  return lookUp(keys, resolution);
}

/** The bytes that belong to a fingerprint; none where the key is in no file. */
export function findKeyBytes(entries: readonly KnownHostEntry[], fingerprint: string): Uint8Array {
  return entries.find(({ key }) => fingerprintOf(key) === fingerprint)?.key ?? new Uint8Array();
}
