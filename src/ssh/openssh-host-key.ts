/** How ssh is told which host keys to trust, and the bytes of the key that it then saw. */
import { writeFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { SshError } from '../errors.js';
import { expandHome } from './home-path.js';
import type { KnownHostsPlace } from './host-key-error.js';
import { hostName } from './host-pattern.js';
import { fingerprintOf } from './key-blob.js';
import { HostKeys, type KnownHostEntry } from './known-hosts.js';
import { readKnownHosts } from './known-hosts-file.js';
import { quotePath } from './openssh-arguments.js';
import type { Resolution } from './openssh-resolution.js';

/** What trusts a key; `undefined` leaves it to ssh's own known hosts. */
export type OpensshTrust = HostKeys | readonly string[] | null | undefined;

export function isPins(trust: OpensshTrust): trust is readonly string[] {
  return Array.isArray(trust);
}

/** What decides about the server's key. */
export interface TrustOptions {
  /** `undefined`: ssh's own known hosts; `null`: no check at all; fingerprints, or keys that are trusted. */
  readonly hostKeys?: OpensshTrust;
  /** A known_hosts file that unknown hosts are added to, rather than refused; only with ssh's own known hosts. */
  readonly acceptNewIn?: string | undefined;
  /** Whose revoked keys stay revoked, whatever the fingerprints say. */
  readonly revokedIn?: HostKeys | undefined;
}

/**
 * ssh is strict or takes new keys if its configuration says so, but never asks (nobody could compare) and is never
 * laxer than that, unless the check was switched off here.
 */
export async function trustArguments(
  { hostKeys: trust, acceptNewIn, revokedIn }: TrustOptions,
  resolution: Resolution,
  folder: string,
): Promise<readonly string[]> {
  const strict = '-oStrictHostKeyChecking=yes';
  if (trust === undefined && acceptNewIn !== undefined) {
    const file = quotePath('the known_hosts file', acceptNewIn);
    return ['-oStrictHostKeyChecking=accept-new', `-oUserKnownHostsFile=${file}`];
  }
  if (trust === undefined) return resolution.acceptsNew ? [] : [strict];
  const only = (file: string): readonly string[] => [
    `-oUserKnownHostsFile=${file === devNull ? file : quotePath('the known_hosts file', file)}`,
    `-oGlobalKnownHostsFile=${devNull}`,
    '-oUpdateHostKeys=no',
    ...(resolution.hasKnownHostsCommand ? ['-oKnownHostsCommand=none'] : []),
  ];
  const file = join(folder, 'known_hosts');
  if (trust === null) return ['-oStrictHostKeyChecking=no', ...only(file)];
  if (trust instanceof HostKeys) {
    await writeFile(file, knownHostsText(lookUp(trust, resolution), resolution), { mode: 0o600 });
    return [strict, ...only(file)];
  }
  await writeFile(file, knownHostsText(revokedKeys(revokedIn, resolution), resolution), { mode: 0o600 });
  const command = await writePinCommand(trust, folder);
  return [strict, ...only(file).filter((argument) => !argument.includes('KnownHostsCommand')), command];
}

function lookUp(keys: HostKeys, { host, port, hostKeyAlias }: Resolution): readonly KnownHostEntry[] {
  return hostKeyAlias === undefined ? keys.lookup(host, port) : keys.lookup(hostKeyAlias, 22);
}

function revokedKeys(keys: HostKeys | undefined, resolution: Resolution): readonly KnownHostEntry[] {
  return keys === undefined ? [] : lookUp(keys, resolution).filter(({ marker }) => marker === 'revoked');
}

function knownHostsText(
  entries: readonly KnownHostEntry[],
  { host, port, hostKeyAlias }: Resolution,
): string {
  const name = hostKeyAlias ?? hostName(host, port);
  const lines = entries.map(({ marker, type, key }) => {
    const mark = marker === undefined ? '' : `@${marker} `;
    return `${mark}${name} ${type} ${Buffer.from(key).toString('base64')}\n`;
  });
  return lines.join('');
}

/**
 * ssh knows no pins, but a command that names the trusted keys: ours repeats the key that the server shows if its
 * fingerprint is one of those that were given, and notes it for us.
 */
async function writePinCommand(pins: readonly string[], folder: string): Promise<string> {
  if (process.platform === 'win32') {
    throw new SshError('UNSUPPORTED_OPTION', 'a fingerprint needs transport "ssh2" on Windows');
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

/** The keys that ssh compared with: it shows no more than a fingerprint of the one that the server has. */
export function trustedKeys(
  { hostKeys: trust, acceptNewIn, revokedIn }: TrustOptions,
  resolution: Resolution,
  folder: string,
): readonly KnownHostEntry[] {
  if (trust instanceof HostKeys) return lookUp(trust, resolution);
  if (isPins(trust)) {
    return [...revokedKeys(revokedIn, resolution), ...readKeys([join(folder, 'pins.seen')], resolution)];
  }
  const { userKnownHostsFiles, globalKnownHostsFiles } = resolution;
  const own = acceptNewIn === undefined ? userKnownHostsFiles : [expandHome(acceptNewIn)];
  const files = trust === undefined ? [...own, ...globalKnownHostsFiles] : [join(folder, 'known_hosts')];
  return readKeys(files, resolution);
}

function readKeys(files: readonly string[], resolution: Resolution): readonly KnownHostEntry[] {
  const keys = new HostKeys();
  for (const file of files) {
    try {
      keys.parse(readKnownHosts(file), file);
    } catch {
      // A file that does not exist holds no key.
    }
  }
  return lookUp(keys, resolution);
}

/** Where the server's key belongs, for messages. */
export function knownHostsPlace(
  { hostKeys: trust, acceptNewIn }: TrustOptions,
  { userKnownHostsFiles, hostKeyAlias: alias }: Resolution,
): KnownHostsPlace {
  const [own = '~/.ssh/known_hosts'] = trust instanceof HostKeys ? trust.files : userKnownHostsFiles;
  return { file: acceptNewIn ?? own, alias, readsCertificates: true };
}

/** The bytes that belong to a fingerprint; none where the key is in no file. */
export function findKeyBytes(entries: readonly KnownHostEntry[], fingerprint: string): Uint8Array {
  return entries.find(({ key }) => fingerprintOf(key) === fingerprint)?.key ?? new Uint8Array();
}
