/** How ssh is told which host keys to trust, and the bytes of the key that it then saw. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';
import { SshError } from '../errors.js';
import type { SecurityOptions } from './algorithms.js';
import { expandHome } from './home-path.js';
import { fingerprintOf } from './key-blob.js';
import { HostKeys, type KnownHostEntry } from './known-hosts.js';
import { quotePath } from './openssh-arguments.js';

/** What trusts a key; `undefined` leaves it to ssh's own known hosts. */
export type OpensshTrust = HostKeys | readonly string[] | null | undefined;

export function isPins(trust: OpensshTrust): trust is readonly string[] {
  return Array.isArray(trust);
}

/** What ssh makes of its configuration, as `ssh -G` prints it. */
export interface Resolution {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  /** The name under which the host's keys are known. */
  readonly hostKeyAlias: string | undefined;
  /** `user@host:port,…` */
  readonly proxyJump: string | undefined;
  readonly acceptsNew: boolean;
  readonly knownHostsFiles: readonly string[];
  readonly hasKnownHostsCommand: boolean;
  readonly serverAliveIntervalSeconds: number;
  readonly securityOptions: SecurityOptions;
}

export function readResolution(text: string, host: string): Resolution {
  const answers = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf(' ');
    if (at > 0 && !answers.has(line.slice(0, at))) answers.set(line.slice(0, at), line.slice(at + 1));
  }
  const files = ['userknownhostsfile', 'globalknownhostsfile'].flatMap((key) =>
    (answers.get(key) ?? '').split(' '),
  );
  const command = answers.get('knownhostscommand');
  const list = (keyword: string): readonly string[] =>
    (answers.get(keyword) ?? '').split(',').filter((name) => name !== '');
  return {
    host: answers.get('hostname') ?? host,
    port: Number(answers.get('port') ?? 22),
    username: answers.get('user') ?? '',
    hostKeyAlias: answers.get('hostkeyalias'),
    proxyJump: answers.get('proxyjump'),
    acceptsNew: answers.get('stricthostkeychecking') === 'accept-new',
    knownHostsFiles: files.filter((file) => file !== '').map(expandHome),
    hasKnownHostsCommand: command !== undefined && command !== 'none',
    serverAliveIntervalSeconds: Number(answers.get('serveraliveinterval') ?? 0),
    securityOptions: {
      ciphers: list('ciphers'),
      digests: list('macs'),
      keyTypes: list('hostkeyalgorithms'),
      kex: list('kexalgorithms'),
    },
  };
}

/**
 * ssh is strict or takes new keys if its configuration says so, but never asks (nobody could compare) and is never
 * laxer than that, unless the check was switched off here.
 */
export async function trustArguments(
  {
    hostKeys: trust,
    acceptNewIn,
  }: { readonly hostKeys?: OpensshTrust; readonly acceptNewIn?: string | undefined },
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
    await writeFile(file, knownHostsText(trust, resolution), { mode: 0o600 });
    return [strict, ...only(file)];
  }
  const command = await writePinCommand(trust, folder);
  return [strict, ...only(devNull).filter((argument) => !argument.includes('KnownHostsCommand')), command];
}

function lookUp(keys: HostKeys, { host, port, hostKeyAlias }: Resolution): readonly KnownHostEntry[] {
  return hostKeyAlias === undefined ? keys.lookup(host, port) : keys.lookup(hostKeyAlias, 22);
}

function knownHostsText(keys: HostKeys, resolution: Resolution): string {
  const { host, port, hostKeyAlias } = resolution;
  const name = hostKeyAlias ?? (port === 22 ? host : `[${host}]:${port}`);
  const lines = lookUp(keys, resolution).map(({ marker, type, key }) => {
    const mark = marker === undefined ? '' : `@${marker} `;
    return `${mark}${name} ${type} ${Buffer.from(key).toString('base64')}\n`;
  });
  return lines.join('');
}

/**
 * ssh knows no pins, but a command that names the trusted keys: ours repeats the key that the server shows if its
 * fingerprint is one of those that were given.
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
  await writeFile(path, `#!/bin/sh\ncase "$1" in ${cases}) echo "$2 $3 $4";; esac\n`, { mode: 0o700 });
  return `-oKnownHostsCommand=${quotePath('the folder for temporary files', path)} %f %H %t %K`;
}

/** The keys that ssh compared with, for their bytes: it shows no more than a fingerprint. */
export function trustedKeys(
  trust: OpensshTrust,
  resolution: Resolution,
  folder: string,
): readonly KnownHostEntry[] {
  if (trust instanceof HostKeys) return lookUp(trust, resolution);
  const keys = new HostKeys();
  for (const file of trust === undefined ? resolution.knownHostsFiles : [join(folder, 'known_hosts')]) {
    try {
      keys.parse(readFileSync(file, 'latin1'), file);
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
