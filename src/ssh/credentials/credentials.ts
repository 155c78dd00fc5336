/** Finds and opens what there is to log in with, before any network traffic. */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { CredentialError, PasswordRequiredError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import { expandHome } from '../home-path.js';
import { MAXIMUM_BYTES, readTextFile } from '../text-file.js';
import { AgentKey, defaultAgent, listAgentKeys } from './agent.js';
import { readPublicKeys } from './identity-files.js';
import { isKeyText, type PrivateKey, parsePrivateKey } from './private-key.js';
import { askUser, ownPrompt, type QuestionHandler } from './prompts.js';

const DEFAULT_IDENTITIES = ['~/.ssh/id_ed25519', '~/.ssh/id_ecdsa', '~/.ssh/id_rsa'] as const;

/** As with `ssh`: who mistypes a passphrase gets another chance, and one more. */
const MAXIMUM_QUESTIONS = 3;

/** What to log in with, as the user gave it. */
export interface CredentialOptions {
  /** `''` is a password, `undefined` is none. */
  readonly password?: string | undefined;
  /** A path (`~` expanded), the key's text, also as base64, or its bytes; or a key of an agent. */
  readonly privateKey?: string | Uint8Array | AgentKey | undefined;
  readonly privateKeyPass?: string | undefined;
  /** The agent's socket. Default: `$SSH_AUTH_SOCK`, where neither key nor password is given; `false`: no agent. */
  readonly agent?: string | false | undefined;
  /** Asks the user: for the passphrase of an encrypted key here, and then it is no error to have nothing else. */
  readonly onPrompt?: QuestionHandler | undefined;
  /** Where to look for keys if nothing is given. Default: `~/.ssh/id_ed25519`, `id_ecdsa`, `id_rsa`. */
  readonly identityFiles?: readonly string[] | undefined;
  /** Only those of the agent's keys count that belong to the identity files (ssh_config's IdentitiesOnly). */
  readonly identitiesOnly?: boolean | undefined;
  /** The signature algorithms that may be used (PubkeyAcceptedAlgorithms); default: all. */
  readonly acceptedAlgorithms?: readonly string[] | undefined;
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
  const { password, privateKey } = options;
  const explicit = privateKey !== undefined || password !== undefined;
  const given = privateKey === undefined ? [] : [await readKey(privateKey, options)];
  const agentPath = options.agent ?? (explicit ? undefined : defaultAgent());
  const agentKeys = agentPath ? await listIdentities(agentPath, options) : [];
  const files = explicit ? [] : await readDefaults(options, agentKeys.length > 0);
  const found = withoutRepeats([...given, ...agentKeys, ...files]);
  const keys = found.filter((key) => isAccepted(key, options.acceptedAlgorithms));
  if (keys.length === 0 && password === undefined && options.onPrompt === undefined) {
    if (found.length > 0) throw ruledOut(found);
    const looked = options.identityFiles ?? DEFAULT_IDENTITIES;
    const agent = agentPath ? ` (the agent ${agentPath} holds no usable key, or does not answer)` : '';
    throw new CredentialError(
      'NO_CREDENTIALS',
      `No credentials${agent}: give password or privateKey, or start an agent that holds a key` +
        (looked.length === 0 ? '' : `, or make one of ${looked.join(', ')}`),
    );
  }
  return { keys, password };
}

async function listIdentities(agentPath: string, options: CredentialOptions): Promise<readonly AgentKey[]> {
  const keys = await listAgentKeys(agentPath);
  if (options.identitiesOnly !== true) return keys;
  const wanted = readPublicKeys(options.identityFiles ?? DEFAULT_IDENTITIES);
  return keys.filter(({ fingerprint }) => wanted.has(fingerprint));
}

/** RSA keys sign with SHA-256 here, whatever else they could do. */
function isAccepted({ parsed }: PrivateKey | AgentKey, accepted: readonly string[] | undefined): boolean {
  const algorithm = parsed.type === 'ssh-rsa' ? 'rsa-sha2-256' : parsed.type;
  return accepted?.includes(algorithm) ?? true;
}

function ruledOut(keys: readonly (PrivateKey | AgentKey)[]): CredentialError {
  const labels = keys.map(({ label, parsed }) => `${label} (${parsed.type})`).join(', ');
  const text = `PubkeyAcceptedAlgorithms in the ssh configuration excludes every key: ${labels}`;
  return new CredentialError('UNSUPPORTED_KEY', text);
}

export async function readKey(
  key: string | Uint8Array | AgentKey,
  options: CredentialOptions,
): Promise<PrivateKey | AgentKey> {
  if (key instanceof AgentKey) {
    return key;
  }
  if (key instanceof Uint8Array) {
    return openKey(Buffer.from(key).toString('utf8'), 'given as bytes', options);
  }
  if (typeof key !== 'string') {
    throw new TypeError(
      `privateKey must be a path, the text or the bytes of a key, or a key of an agent, not ${typeof key}`,
    );
  }
  if (isKeyText(key)) {
    return openKey(key, 'given as text', options);
  }
  return openKey(readKeyFile(key), key, options);
}

/** Asks for the passphrase where none was given and there is somebody to ask. */
async function openKey(text: string, label: string, options: CredentialOptions): Promise<PrivateKey> {
  const { privateKeyPass, onPrompt } = options;
  let problem: unknown;
  try {
    return parsePrivateKey(text, label, privateKeyPass);
  } catch (error) {
    if (!(error instanceof PasswordRequiredError) || onPrompt === undefined) throw error;
    problem = error;
  }
  for (let questions = 0; questions < MAXIMUM_QUESTIONS; questions++) {
    const advice = questions === 0 ? '' : 'Wrong passphrase. Try again.';
    const [passphrase] = await askUser(onPrompt, ownPrompt('passphrase', label, advice));
    try {
      return parsePrivateKey(text, label, passphrase);
    } catch (error) {
      if (!(error instanceof CredentialError) || error.code !== 'WRONG_PASSPHRASE') throw error;
      problem = error;
    }
  }
  throw problem;
}

export function readKeyFile(path: string): string {
  try {
    return readTextFile(expandHome(path), { maximumBytes: MAXIMUM_BYTES.key, encoding: 'utf8' }).text;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (isPlainlyPath(path)) {
      const text = `Cannot read the private key ${printable(path)}: ${message}`;
      throw new CredentialError('KEY_UNREADABLE', text, { cause });
    }
    // It may be a secret in the wrong place or form, of which neither this error nor its cause may show a piece.
    throw new CredentialError(
      'KEY_UNREADABLE',
      `The value of privateKey is neither the text of a private key nor the path of a file that can be read (${code}): ` +
        'give the path with its folder, the whole text of the file, or base64 of it',
    );
  }
}

/** Something in a folder that there is, with a name as files have them. */
function isPlainlyPath(path: string): boolean {
  const name = basename(path);
  const folder = path.slice(0, path.length - name.length);
  if (/^[/\\.]*$/.test(folder) || !isDirectory(folder)) return false;
  return /^[\w.@+ -]{0,64}$/.test(name) && !isRandom(name);
}

/** Do so many letters and digits follow each other, without any order, as in base64? */
function isRandom(name: string): boolean {
  const runs = name.match(/[A-Za-z0-9+]{16,}/g) ?? [];
  return runs.some((run) => /[a-z]/.test(run) && /[A-Z]/.test(run) && /\d/.test(run));
}

function isDirectory(path: string): boolean {
  try {
    return statSync(expandHome(path), { throwIfNoEntry: false })?.isDirectory() === true;
  } catch {
    return false;
  }
}

/**
 * The default files: what is missing or cannot be used is passed over, and so is an encrypted one without its
 * passphrase, unless there is nothing else: then it is asked for, or named in the error.
 */
async function readDefaults(
  options: CredentialOptions,
  othersExist: boolean,
): Promise<readonly PrivateKey[]> {
  const keys: PrivateKey[] = [];
  let encrypted: { readonly path: string; readonly error: PasswordRequiredError } | undefined;
  for (const path of options.identityFiles ?? DEFAULT_IDENTITIES) {
    try {
      keys.push(parsePrivateKey(readKeyFile(path), path, options.privateKeyPass));
    } catch (error) {
      if (error instanceof PasswordRequiredError) {
        encrypted ??= { path, error };
      } else if (!(error instanceof CredentialError)) {
        throw error;
      }
    }
  }
  if (keys.length > 0 || encrypted === undefined || othersExist) return keys;
  if (options.onPrompt === undefined) throw encrypted.error;
  return [await openKey(readKeyFile(encrypted.path), encrypted.path, options)];
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
