/** A real server, logged in to with what there is: keys and agent first, then what its user types. */
import {
  AuthenticationError,
  type Connection,
  type ConnectOptions,
  CredentialError,
  connect,
  PasswordRequiredError,
  type PromptRequest,
} from '../index.js';
import { ask, canAsk } from './prompt.js';

export interface AddressOptions {
  /** A private key file. */
  readonly key: string | undefined;
  readonly knownHosts: string | undefined;
  readonly signal: AbortSignal;
}

/** Connects to `sftp://user@host:port/directory`; the scheme may be left out. */
export async function connectToAddress(address: string, options: AddressOptions): Promise<Connection> {
  const url = address.includes('://') ? address : `sftp://${address}`;
  const { key, knownHosts, signal } = options;
  let asked = false;
  const answer = (request: PromptRequest): Promise<readonly string[]> => {
    asked = true;
    return answerAll(request, signal);
  };
  const login: ConnectOptions = {
    privateKey: key,
    signal,
    // Time for whoever has to find a second factor.
    timeout: 120_000,
    cnopts: { knownhosts: knownHosts, onPrompt: canAsk() ? answer : undefined },
  };
  try {
    return await connect(url, login);
  } catch (error) {
    if (asked || !canAsk()) throw error;
    if (key !== undefined && error instanceof PasswordRequiredError) {
      const privateKeyPass = await ask(`Passphrase for ${key}: `, { echo: false, signal });
      return await connect(url, { ...login, privateKeyPass });
    }
    if (!wantsPassword(error, url)) throw error;
    const password = await ask(`Password for ${nameOf(url)}: `, { echo: false, signal });
    return await connect(url, { ...login, password });
  }
}

/** Only after the host key was verified and the keys were refused is a password worth asking for. */
function wantsPassword(error: unknown, url: string): boolean {
  if (new URL(url).password !== '') return false;
  if (error instanceof AuthenticationError) return error.offered.includes('password');
  return error instanceof CredentialError && error.code === 'NO_CREDENTIALS';
}

async function answerAll(request: PromptRequest, signal: AbortSignal): Promise<readonly string[]> {
  for (const text of [request.name, request.instructions]) if (text !== '') console.error(text);
  const answers: string[] = [];
  for (const { prompt, echo } of request.prompts) answers.push(await ask(prompt, { echo, signal }));
  return answers;
}

function nameOf(url: string): string {
  const { username, host } = new URL(url);
  return username === '' ? host : `${decodeURIComponent(username)}@${host}`;
}
