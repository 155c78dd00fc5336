/**
 * Which way of logging in comes next (RFC 4252). Keys first, in the order given, then keyboard-interactive,
 * then the password; only what the server's own list names, and nothing after it said yes. The list is asked
 * for with the method `none`, which costs no attempt.
 */
import type { AnyAuthMethod, KeyboardInteractiveCallback, Prompt } from 'ssh2';
import { AuthenticationError } from '../errors.js';
import { printable } from '../printable.js';
import type { AgentKey } from './agent.js';
import type { Credentials } from './credentials.js';
import type { PrivateKey } from './private-key.js';

/** Questions of the server to whoever sits before the terminal (RFC 4256). */
export interface PromptRequest {
  readonly kind: 'keyboard-interactive';
  /** The server's text, escaped. */
  readonly name: string;
  readonly instructions: string;
  readonly prompts: readonly { readonly prompt: string; readonly echo: boolean }[];
}

/** Gives one answer per prompt, in their order. To reject is to refuse. */
export type PromptHandler = (request: PromptRequest) => Promise<readonly string[]> | readonly string[];

export interface AuthenticationOptions {
  readonly username: string;
  readonly credentials: Credentials;
  readonly onPrompt?: PromptHandler | undefined;
  /** Called if the prompt handler fails; the connection cannot go on then. */
  readonly onPromptError: (error: unknown) => void;
}

const MAXIMUM_PROMPTS = 32;

interface Candidate {
  readonly method: 'publickey' | 'keyboard-interactive' | 'password';
  /** For the error's list of what was tried. */
  readonly label: string;
  /** May it be used, given what the server offers? */
  readonly allowed?: (offered: readonly string[]) => boolean;
  readonly attempt: AnyAuthMethod;
}

/** One login: what was tried, what is left. */
export class Authentication {
  readonly tried: string[] = [];
  #offered: readonly string[] = [];
  #partial = false;
  #asked = false;
  #left: readonly Candidate[];
  readonly #options: AuthenticationOptions;

  constructor(options: AuthenticationOptions) {
    this.#options = options;
    this.#left = candidates(options, (label) => this.tried.push(label));
  }

  /** The server's list, as it sent it last. */
  get offered(): readonly string[] {
    return this.#offered;
  }

  /** The next attempt, or `undefined` when none is left. `offered` is `null` before the server has said anything. */
  next(offered: readonly string[] | null, partial: boolean): AnyAuthMethod | undefined {
    if (!this.#asked) {
      this.#asked = true;
      return { type: 'none', username: this.#options.username };
    }
    this.#offered = offered ?? [];
    this.#partial ||= partial;
    const chosen = this.#left.find(
      ({ method, allowed }) => this.#offered.includes(method) && (allowed?.(this.#offered) ?? true),
    );
    if (chosen === undefined) {
      return undefined;
    }
    this.#left = this.#left.filter((candidate) => candidate !== chosen);
    this.tried.push(chosen.label);
    return chosen.attempt;
  }

  /** Why it ended, for the user. */
  failure(): AuthenticationError {
    const { username } = this.#options;
    const offered = this.#offered.map((method) => printable(method));
    const tried = this.tried.length > 0 ? this.tried.join(', ') : 'nothing';
    const some = this.#partial ? ' (one step succeeded, but the server asks for another)' : '';
    return new AuthenticationError(
      `the server did not let ${printable(username)} in${some}: tried ${tried}; ` +
        `the server offers ${offered.join(', ') || 'nothing'}. ${this.#advice()}`,
      { tried: this.tried, offered },
    );
  }

  #advice(): string {
    const has = (method: string): boolean => this.#offered.includes(method);
    const used = (method: string): boolean => this.tried.some((label) => label.startsWith(method));
    if (has('password') && used('password')) {
      return 'Check the user name and the password';
    }
    if (has('publickey') && used('publickey')) {
      return "Check the user name, and that the public key is in the user's authorized_keys on the server";
    }
    if (has('publickey') && this.#options.credentials.keys.length === 0) {
      return 'Give a privateKey, or load one into an agent';
    }
    return has('password') ? 'Give a password' : 'Check the user name and the way to log in';
  }
}

function candidates(options: AuthenticationOptions, note: (label: string) => void): readonly Candidate[] {
  const { username, credentials, onPrompt } = options;
  const { password } = credentials;
  const list: Candidate[] = credentials.keys.map((key) => ({
    method: 'publickey',
    label: `publickey (${key.label})`,
    attempt: keyAttempt(username, key),
  }));
  if (onPrompt !== undefined || password !== undefined) {
    list.push({
      method: 'keyboard-interactive',
      label: 'keyboard-interactive',
      // Where the server takes the password itself, there is no need to guess which prompt means it.
      allowed: (offered) => onPrompt !== undefined || !offered.includes('password'),
      attempt: { type: 'keyboard-interactive', username, prompt: makePrompter(options, note) },
    });
  }
  if (password !== undefined) {
    list.push({ method: 'password', label: 'password', attempt: { type: 'password', username, password } });
  }
  return list;
}

function keyAttempt(username: string, key: PrivateKey | AgentKey): AnyAuthMethod {
  return 'agent' in key
    ? { type: 'agent', username, agent: key.agent }
    : { type: 'publickey', username, key: key.parsed };
}

type Prompter = (
  name: string,
  instructions: string,
  language: string,
  prompts: Prompt[],
  answer: KeyboardInteractiveCallback,
) => void;

/** Answers a lone hidden prompt with the password, once; everything else is for the user. Never throws. */
function makePrompter(options: AuthenticationOptions, note: (label: string) => void): Prompter {
  const { credentials, onPrompt, onPromptError } = options;
  let passwordLeft = credentials.password;
  return (name, instructions, _language, prompts, answer) => {
    const [first] = prompts;
    if (prompts.length === 1 && first?.echo !== true && passwordLeft !== undefined) {
      answer([passwordLeft]);
      passwordLeft = undefined;
      return;
    }
    if (onPrompt === undefined || prompts.length > MAXIMUM_PROMPTS) {
      note(`keyboard-interactive (a prompt without an answer: ${printable(first?.prompt ?? '')})`);
      answer(prompts.map(() => ''));
      return;
    }
    const request: PromptRequest = {
      kind: 'keyboard-interactive',
      name: printable(name),
      instructions: printable(instructions),
      prompts: prompts.map(({ prompt, echo }) => ({ prompt: printable(prompt), echo: echo === true })),
    };
    Promise.resolve(request)
      .then(onPrompt)
      .then((answers) => answer([...answers]))
      .catch(onPromptError);
  };
}
