/** What to log in with, from the options of ssh2: only what was given is used. */
import type { HostOptions, PromptHandler } from '../../index.js';
import { clientError } from '../client-error.js';
import type { AuthMethod, ConnectOptions, KeyboardPrompt } from '../types.js';

/** Asks the program the server's questions. */
export type AskKeyboard = (
  request: { readonly name: string; readonly instructions: string },
  prompts: readonly KeyboardPrompt[],
) => Promise<readonly string[]>;

export type Login = Pick<
  HostOptions,
  'username' | 'password' | 'privateKey' | 'privateKeyPass' | 'agent' | 'identityFiles' | 'onPrompt'
>;

export const NO_METHOD_LEFT = 'All configured authentication methods failed';

/**
 * @param askKeyboard left out where nobody would answer
 * @throws Error there is no user name, or a way of logging in is asked for that is not supported
 */
export function loginOf(config: ConnectOptions, askKeyboard: AskKeyboard | undefined): Login {
  const { username, password, key, passphrase, agent, keyboard } = withAuthHandler(config);
  if (typeof username !== 'string' || username === '') throw clientError('Invalid username');
  const ask = keyboard || config.tryKeyboard === true ? askKeyboard : undefined;
  const hasCredentials = [password, key, agent].some((each) => each !== undefined);
  return {
    username,
    password,
    // Text is never taken for a path here.
    privateKey: key === undefined ? undefined : Buffer.from(key),
    privateKeyPass: passphrase === undefined ? undefined : Buffer.from(passphrase).toString(),
    agent: agent ?? false,
    identityFiles: false,
    // A server may want no login at all: then it needs nothing to log in with.
    onPrompt: ask !== undefined || !hasCredentials ? answersOf(ask) : undefined,
  };
}

interface Given {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly key: string | Uint8Array | undefined;
  readonly passphrase: string | Uint8Array | undefined;
  readonly agent: string | undefined;
  readonly keyboard: boolean;
}

/** What the list of `authHandler` allows, and brings itself. */
function withAuthHandler(config: ConnectOptions): Given {
  const { password, privateKey, passphrase, agent, authHandler } = config;
  const username = config.username ?? config.user;
  if (authHandler === undefined) {
    return { username, password, key: privateKey, passphrase, agent: checkAgent(agent), keyboard: false };
  }
  if (typeof authHandler === 'function') {
    throw clientError(
      'connect: authHandler cannot be a function: give the methods as a list, or use connect() of tsftp with onPrompt',
    );
  }
  const methods = authHandler.map(
    (method): AuthMethod => (typeof method === 'string' ? { type: method } : method),
  );
  const of = (type: string) => methods.find((method) => method.type === type);
  const [byPassword, byKey, byAgent] = [of('password'), of('publickey'), of('agent')];
  return {
    username: username ?? methods.find((method) => method.username !== undefined)?.username,
    password: byPassword && (byPassword.password ?? password),
    key: byKey && (byKey.key ?? privateKey),
    passphrase: byKey && (byKey.passphrase ?? passphrase),
    agent: byAgent && checkAgent(byAgent.agent ?? agent),
    keyboard: of('keyboard-interactive') !== undefined,
  };
}

function checkAgent(agent: unknown): string | undefined {
  if (agent === undefined || agent === null || agent === '') return undefined;
  if (typeof agent === 'string') return agent;
  throw clientError('connect: agent must be the path of its socket; an object is not supported');
}

/** The server's own questions only: nobody has been asked for a password or a passphrase so far. */
function answersOf(askKeyboard: AskKeyboard | undefined): PromptHandler {
  return async ({ kind, name, instructions, prompts }) => {
    if (kind === 'passphrase') {
      throw new Error('Cannot parse privateKey: the key is encrypted, and no passphrase was given');
    }
    if (kind !== 'keyboard-interactive' || askKeyboard === undefined) throw new Error(NO_METHOD_LEFT);
    return askKeyboard({ name, instructions }, prompts);
  };
}
