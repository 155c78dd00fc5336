/** Who runs this program and where they are at home: in a container there may be neither a home nor a name. */
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { CredentialError, SftpError } from '../errors.js';
import { printable } from '../shared/printable.js';

/** `undefined` where there is neither `$HOME` nor an entry in the user database. */
export function homeDirectory(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}

/**
 * Expands a leading `~` as the shell does for the user's own home; `~other` stays as it is. Throws `SftpError`
 * (`NO_HOME_DIRECTORY`) if there is a `~` to expand and no home.
 */
export function expandHome(path: string): string {
  const isInHome =
    path === '~' || path.startsWith('~/') || (process.platform === 'win32' && path.startsWith('~\\'));
  if (!isInHome) return path;
  const home = homeDirectory();
  if (home === undefined) {
    const text = `This user has no home directory, so ${printable(path, 100)} cannot be expanded: set HOME, or give a path without ~`;
    throw new SftpError('NO_HOME_DIRECTORY', text);
  }
  return path === '~' ? home : join(home, path.slice(2));
}

/** The user of the operating system. Throws `CredentialError` (`NO_USERNAME`) where it has no name. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch (cause) {
    const text = 'The user that runs this program has no name in the user database: give the option username';
    throw new CredentialError('NO_USERNAME', text, { cause });
  }
}

/** Where ssh keeps what is the same for all users. */
export function systemFolder(): string {
  return process.platform === 'win32'
    ? join(process.env.ProgramData ?? 'C:\\ProgramData', 'ssh')
    : '/etc/ssh';
}
