/** How ssh gets at the private key: from its file, or, where there is none that it can read, by asking us to sign. */
import { access } from 'node:fs/promises';
import type { CredentialError } from '../../errors.js';
import type { AgentKey } from '../credentials/agent.js';
import { readKey, readKeyFile } from '../credentials/credentials.js';
import { isKeyText } from '../credentials/private-key.js';
import type { QuestionHandler } from '../credentials/prompts.js';
import { expandHome } from '../home-path.js';
import { KeyAgent } from './openssh-agent.js';

export interface KeyOptions {
  /** A path, a key's text or bytes, or a key of an agent. */
  readonly privateKey?: string | Uint8Array | AgentKey | undefined;
  readonly privateKeyPass?: string | undefined;
  readonly onPrompt?: QuestionHandler | undefined;
}

/** What goes on the command line, and what listens for it. */
export interface PreparedKey {
  /** The file with the key, or with its public half. */
  readonly path?: string | undefined;
  readonly agent?: KeyAgent | undefined;
}

/** Rejects with the `CredentialError` of a key that cannot be read or opened. */
export async function prepareKey(options: KeyOptions, folder: string): Promise<PreparedKey> {
  const { privateKey } = options;
  if (privateKey === undefined) return {};
  if (isPath(privateKey) && !(await isPutty(privateKey))) return { path: privateKey };
  const agent = await KeyAgent.open(folder, await readKey(privateKey, options));
  return { path: agent.publicKeyPath, agent };
}

export function isPath(key: KeyOptions['privateKey']): key is string {
  return typeof key === 'string' && !isKeyText(key);
}

/** ssh does not read PuTTY's format. */
async function isPutty(path: string): Promise<boolean> {
  try {
    return readKeyFile(path).startsWith('PuTTY-User-Key-File-');
  } catch (error) {
    // With its public half alone a key may still be in an agent, or on a device.
    await access(expandHome(`${path}.pub`)).catch(() => {
      throw error as CredentialError;
    });
    return false;
  }
}
