/**
 * Reads known_hosts files, and adds a line to one as OpenSSH's `accept-new` does: appended in one write, so that
 * another process that writes at the same time cannot tear it, and the lines before it stay untouched.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HostKeysError } from '../../errors.js';
import { expandHome, homeDirectory, systemFolder } from '../home-path.js';
import { MAXIMUM_BYTES, readTextFile } from '../text-file.js';
import { keyType } from './key-blob.js';

/** Where ssh keeps the keys of servers unless told otherwise: the user's files, and the system's. */
export function defaultKnownHosts(): {
  readonly user: readonly string[];
  readonly global: readonly string[];
} {
  const home = homeDirectory();
  const system = systemFolder();
  return {
    user: home === undefined ? [] : ['known_hosts', 'known_hosts2'].map((name) => join(home, '.ssh', name)),
    global: [join(system, 'ssh_known_hosts'), join(system, 'ssh_known_hosts2')],
  };
}

/** Digests of names have a salt as long as themselves (sshd(8)). */
const SALT_LENGTH = 20;

/** A file without a line feed at its end, or with hashed names, asks for the same of what is added. */
interface Style {
  readonly endsOpen: boolean;
  readonly hashed: boolean;
}

/** The file's text; `~` is expanded. Throws a `HostKeysError` (`KNOWN_HOSTS_UNUSABLE`) if it cannot be read. */
export function readKnownHosts(path: string): string {
  const file = expandHome(path);
  try {
    return readTextFile(file, { maximumBytes: MAXIMUM_BYTES.knownHosts, encoding: 'latin1' }).text;
  } catch (cause) {
    throw unusable('read', file, cause);
  }
}

/** As {@link readKnownHosts}, but the text is empty where there is no file yet. */
export function readKnownHostsIfAny(path: string): string {
  try {
    return readKnownHosts(path);
  } catch (error) {
    const { code } = (error as HostKeysError).cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return '';
    throw error;
  }
}

/**
 * Appends `name type base64`. Makes the file for its owner only, and its folder too, where they are missing.
 * `name` is what `hostName` gives; a name with a meaning of its own in known_hosts is refused.
 * Throws a `HostKeysError` (`KNOWN_HOSTS_UNUSABLE`).
 */
export function appendKnownHost(path: string, name: string, key: Uint8Array): void {
  const file = expandHome(path);
  if (!/^[^\s*?!,|#@]+$/.test(name)) {
    const text = `The host name cannot be written to the known_hosts file ${file}: it would be read as a pattern`;
    throw new HostKeysError('KNOWN_HOSTS_UNUSABLE', text, { file });
  }
  const style = styleOf(readKnownHostsIfAny(file));
  const written = style.hashed ? hashName(name) : name;
  const line = `${written} ${keyType(key)} ${Buffer.from(key).toString('base64')}\n`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    appendAtOnce(file, style.endsOpen ? `\n${line}` : line);
  } catch (cause) {
    throw unusable('write', file, cause);
  }
}

/**
 * Makes the folder for a file that a host will be added to, and sees that it can be. Throws a `HostKeysError`
 * (`KNOWN_HOSTS_UNUSABLE`).
 */
export function makeRoomForKnownHost(path: string): void {
  const file = expandHome(path);
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    accessSync(existsSync(file) ? file : dirname(file), constants.W_OK);
  } catch (cause) {
    throw unusable('write', file, cause);
  }
}

function styleOf(text: string): Style {
  return { endsOpen: text !== '' && !text.endsWith('\n'), hashed: /^(?:@\S+[ \t]+)?\|1\|/m.test(text) };
}

function hashName(name: string): string {
  const salt = randomBytes(SALT_LENGTH);
  const digest = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${digest}`;
}

function appendAtOnce(file: string, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  const descriptor = openSync(file, 'a', 0o600);
  try {
    if (writeSync(descriptor, bytes) !== bytes.length) throw new Error('the disk is full');
  } finally {
    closeSync(descriptor);
  }
}

function unusable(what: 'read' | 'write', file: string, cause: unknown): HostKeysError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason = what === 'read' ? message : (code ?? message);
  return new HostKeysError('KNOWN_HOSTS_UNUSABLE', `cannot ${what} the known_hosts file ${file}: ${reason}`, {
    cause,
    file,
  });
}
