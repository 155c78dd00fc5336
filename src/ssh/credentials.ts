/** Finds and opens what there is to log in with, before any network traffic. */
import { readFile } from 'node:fs/promises';
import { CredentialError, PasswordRequiredError } from '../errors.js';
import { type AgentKey, listAgentKeys } from './agent.js';
import { expandHome } from './home-path.js';
import { isKeyText, type PrivateKey, parsePrivateKey } from './private-key.js';

const DEFAULT_IDENTITIES = ['~/.ssh/id_ed25519', '~/.ssh/id_ecdsa', '~/.ssh/id_rsa'] as const;

/** No private key comes near it; a path to a film should not fill the memory. */
const MAXIMUM_KEY_LENGTH = 256 * 1024;

/** What to log in with, as the user gave it. */
export interface CredentialOptions {
  /** `''` is a password, `undefined` is none. */
  readonly password?: string | undefined;
  /** A path (`~` expanded), the key's text, or its bytes. */
  readonly privateKey?: string | Uint8Array | undefined;
  readonly privateKeyPass?: string | undefined;
  /** The agent's socket. Default: `$SSH_AUTH_SOCK`, where neither key nor password is given; `false`: no agent. */
  readonly agent?: string | false | undefined;
  /** Can the user be asked? Then it is no error to have nothing else. */
  readonly interactive?: boolean | undefined;
  /** Where to look for keys if nothing is given. Default: `~/.ssh/id_ed25519`, `id_ecdsa`, `id_rsa`. */
  readonly identityFiles?: readonly string[] | undefined;
}

/** What to log in with, ready to use, in the order in which it is tried. */
export interface Credentials {
  readonly keys: readonly (PrivateKey | AgentKey)[];
  readonly password: string | undefined;
}

/**
 * A key that was given comes first, then the agent's, then the default files. With a key or a password given,
 * the default files are left alone, and so is the agent unless it was asked for: a server that allows six
 * attempts must not spend them on keys that nobody meant.
 *
 * Rejects with `CredentialError`: `NO_CREDENTIALS`, `KEY_UNREADABLE`, `WRONG_PASSPHRASE`, `INVALID_KEY`,
 * `UNSUPPORTED_KEY`; with `PasswordRequiredError` for an encrypted key without `privateKeyPass`.
 */
export async function loadCredentials(options: CredentialOptions): Promise<Credentials> {
  const { password, privateKey, privateKeyPass } = options;
  const explicit = privateKey !== undefined || password !== undefined;
  const given = privateKey === undefined ? [] : [await readKey(privateKey, privateKeyPass)];
  const agentPath = options.agent ?? (explicit ? undefined : process.env.SSH_AUTH_SOCK);
  const agentKeys = agentPath ? await listAgentKeys(agentPath) : [];
  const files = explicit ? [] : await readDefaults(options, agentKeys.length > 0);
  const keys = withoutRepeats([...given, ...agentKeys, ...files]);
  if (keys.length === 0 && password === undefined && options.interactive !== true) {
    const looked = options.identityFiles ?? DEFAULT_IDENTITIES;
    throw new CredentialError(
      'NO_CREDENTIALS',
      `there is nothing to log in with: give password or privateKey, start an agent that holds a key, or make one of ` +
        `${looked.join(', ')}`,
    );
  }
  return { keys, password };
}

async function readKey(key: string | Uint8Array, passphrase: string | undefined): Promise<PrivateKey> {
  if (typeof key !== 'string') {
    return parsePrivateKey(Buffer.from(key).toString('utf8'), 'given as bytes', passphrase);
  }
  if (isKeyText(key)) {
    return parsePrivateKey(key, 'given as text', passphrase);
  }
  return parsePrivateKey(await readKeyFile(key), key, passphrase);
}

async function readKeyFile(path: string): Promise<string> {
  const file = expandHome(path);
  try {
    const text = await readFile(file, 'utf8');
    return text.length > MAXIMUM_KEY_LENGTH ? '' : text;
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'error';
    throw new CredentialError('KEY_UNREADABLE', `cannot read the private key ${path}: ${reason}`, { cause });
  }
}

/** The default files: what is missing or cannot be used is passed over, an encrypted one only if there is another. */
async function readDefaults(
  options: CredentialOptions,
  othersExist: boolean,
): Promise<readonly PrivateKey[]> {
  const keys: PrivateKey[] = [];
  let encrypted: PasswordRequiredError | undefined;
  for (const path of options.identityFiles ?? DEFAULT_IDENTITIES) {
    try {
      keys.push(parsePrivateKey(await readKeyFile(path), path, options.privateKeyPass));
    } catch (error) {
      if (error instanceof PasswordRequiredError) {
        encrypted ??= error;
      } else if (!(error instanceof CredentialError)) {
        throw error;
      }
    }
  }
  if (keys.length === 0 && encrypted !== undefined && !othersExist && options.interactive !== true) {
    throw encrypted;
  }
  return keys;
}

function withoutRepeats(keys: readonly (PrivateKey | AgentKey)[]): readonly (PrivateKey | AgentKey)[] {
  const seen = new Set<string>();
  return keys.filter(({ parsed }) => {
    const id = parsed.getPublicSSH().toString('base64');
    const fresh = !seen.has(id);
    seen.add(id);
    return fresh;
  });
}
