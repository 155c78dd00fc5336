/** Why a login failed, in the same words whatever speaks SSH: to which server, what was tried, and what to do. */
import { AuthenticationError } from '../errors.js';
import { printable } from '../shared/printable.js';

/** A login that failed. */
export interface FailedLogin {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  /** In order, for instance `publickey (~/.ssh/id_ed25519)`. */
  readonly tried: readonly string[];
  /** The methods that the server would take; `undefined` where it has not told. */
  readonly offered: readonly string[] | undefined;
}

/** `what` is the beginning of the message, `advice` its end. */
export function loginError(
  what: string,
  { tried, offered }: FailedLogin,
  { advice, cause }: { readonly advice: string; readonly cause?: unknown },
): AuthenticationError {
  const accepted =
    offered === undefined || offered.length === 0 ? '' : `; the server accepts: ${offered.join(', ')}`;
  const lists = `(tried: ${tried.join(', ') || 'nothing'}${accepted})`;
  return new AuthenticationError(`${what} ${lists}. ${advice}`, { tried, offered: offered ?? [], cause });
}

/** The server said no to all that there was; `aside` is added about it. */
export function refusedLogin(login: FailedLogin, aside = '', cause?: unknown): AuthenticationError {
  const what = `Authentication failed for ${printable(login.username)}@${addressOf(login)}${aside}`;
  return loginError(what, login, { advice: adviceFor(login), cause });
}

export function addressOf({ host, port }: Pick<FailedLogin, 'host' | 'port'>): string {
  return `${printable(host)}:${port}`;
}

function adviceFor({ offered = [], tried }: FailedLogin): string {
  // An empty list says nothing.
  const has = (method: string): boolean => offered.length === 0 || offered.includes(method);
  const used = (method: string): boolean => tried.some((label) => label.startsWith(method));
  if (has('password') && used('password')) return 'Check the user name and the password';
  if (has('publickey') && used('publickey')) {
    return "Check the user name, and that the public key is in the user's authorized_keys on the server";
  }
  if (tried.length === 0 && has('publickey') && has('password')) {
    return 'Give a password or a privateKey, or load a key into an agent';
  }
  if (has('publickey')) return 'Give a privateKey, or load one into an agent';
  return has('password') ? 'Give a password' : 'Check the user name and the login method';
}
