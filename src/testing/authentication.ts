/** Who may log in to the embedded server. */
import { createHash, timingSafeEqual } from 'node:crypto';
import ssh2, { type AuthContext, type ParsedKey, type PublicKeyAuthContext } from 'ssh2';
import { SshError } from '../errors.js';

/** User names and their passwords; `null` lets a user in with a key only. */
export type Users = Readonly<Record<string, string | null>>;

/** Lines as in an authorized_keys file, or a whole file; they are good for every user. */
export type AuthorizedKeys = string | readonly string[];

export const defaultUsers: Users = { test: 'test' };

/** Decides about one attempt: settles `context` and tells whether it was the last word that the user is in. */
export type Authenticator = (context: AuthContext) => boolean;

export function createAuthenticator(users: Users, authorizedKeys: AuthorizedKeys = []): Authenticator {
  const passwords = new Map(Object.entries(users));
  const keys = parseAuthorizedKeys(authorizedKeys);
  const methods: ssh2.AuthenticationType[] = [];
  if (keys.length > 0) methods.push('publickey');
  if ([...passwords.values()].some((password) => password !== null)) methods.push('password');
  return (context) => {
    const password = passwords.get(context.username);
    const isKnown = password !== undefined;
    const isRight =
      (context.method === 'password' &&
        isKnown &&
        password !== null &&
        isEqual(context.password, password)) ||
      (context.method === 'publickey' && isKnown && isAuthorized(context, keys));
    if (isRight) context.accept();
    else context.reject(methods);
    // A key without a signature is only a question whether it would do.
    return isRight && !(context.method === 'publickey' && context.signature === undefined);
  };
}

function parseAuthorizedKeys(authorizedKeys: AuthorizedKeys): ParsedKey[] {
  const lines = typeof authorizedKeys === 'string' ? [authorizedKeys] : authorizedKeys;
  return lines
    .flatMap((text) => text.split(/\r?\n/))
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const key = ssh2.utils.parseKey(line);
      if (key instanceof Error) {
        throw new SshError(
          'INVALID_PUBLIC_KEY',
          'authorizedKeys has a line that is no public key: give lines like those of a .pub file',
        );
      }
      return key;
    });
}

function isAuthorized(context: PublicKeyAuthContext, keys: readonly ParsedKey[]): boolean {
  const key = keys.find((candidate) => candidate.getPublicSSH().equals(context.key.data));
  if (key === undefined) return false;
  if (context.signature === undefined) return true;
  // An RSA signature without a hash of its own name is one with SHA-1.
  if (key.type === 'ssh-rsa' && context.hashAlgo === undefined) return false;
  return context.blob !== undefined && key.verify(context.blob, context.signature, context.hashAlgo) === true;
}

function isEqual(given: string, wanted: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}
