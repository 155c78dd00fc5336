/**
 * Which way of logging in comes next (RFC 4252). Keys first, in the order given, then keyboard-interactive,
 * then the password; only what the server's own list names, and nothing after it said yes. A step that succeeded
 * where the server wants another one begins the list anew, as in OpenSSH's client. The list is asked
 * for with the method `none`, which costs no attempt but a round trip. One key and no password is tried without
 * having asked: it is no secret, and a refusal tells the list just as well.
 */
import type { AnyAuthMethod } from 'ssh2';
import type { AuthenticationError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import { Redaction } from '../../shared/redaction.js';
import { AgentKey } from '../credentials/agent.js';
import type { Credentials } from '../credentials/credentials.js';
import { LOGIN_METHODS, type LoginMethod } from '../credentials/login-methods.js';
import type { PrivateKey } from '../credentials/private-key.js';
import { askUser, ownPrompt, type QuestionHandler } from '../credentials/prompts.js';
import { addressOf, type FailedLogin, loginError, refusedLogin } from '../login-failure.js';
import { KeyboardInteractive } from './keyboard-interactive.js';

export interface AuthenticationOptions {
  readonly username: string;
  /** For prompts and errors. */
  readonly host: string;
  readonly port: number;
  readonly credentials: Credentials;
  /** Those that may be used, in this order. Default: all. */
  readonly methods?: readonly LoginMethod[] | undefined;
  readonly onPrompt?: QuestionHandler | undefined;
  /** Called if the prompt handler fails; the connection cannot go on then. */
  readonly onPromptError: (error: unknown) => void;
  /** Where what must not be shown is noted. */
  readonly secrets?: Redaction | undefined;
  /** Whether the list is asked for in any case, as servers from long ago may want it. */
  readonly asksFirst?: boolean | undefined;
}

/** What OpenSSH allows a person, too (NumberOfPasswordPrompts). */
const MAXIMUM_QUESTIONS = 3;

/** More steps are asked for by nobody but a server that wants to keep us busy. */
const MAXIMUM_STEPS = 8;

/** What an empty list stands for, which says nothing: some servers refuse without one. OpenSSH's client does the same. */
const USUAL_METHODS: readonly string[] = LOGIN_METHODS;

interface Candidate {
  readonly method: LoginMethod;
  /** For the error's list of what was tried. */
  readonly label: string;
  /** May it be used, given what the server offers? */
  readonly allowed?: (offered: readonly string[]) => boolean;
  readonly attempt: () => AnyAuthMethod | Promise<AnyAuthMethod>;
  /** Once it was refused: is another attempt worth it? */
  readonly again?: () => boolean;
}

/** A password that the server wants changed, and its successor. */
export interface PasswordChange {
  readonly password: string;
  readonly newPassword: string;
}

/** One login: what was tried, what is left. */
export class Authentication {
  readonly tried: string[] = [];
  readonly #options: AuthenticationOptions;
  readonly #secrets: Redaction;
  #offered: readonly string[] | undefined;
  /** What has succeeded and was not enough. */
  readonly #steps: string[] = [];
  #asked = false;
  #refusal: AuthenticationError | undefined;
  #left: readonly Candidate[];
  #current: Candidate | undefined;
  #password: string | undefined;

  constructor(options: AuthenticationOptions) {
    this.#options = options;
    this.#secrets = options.secrets ?? new Redaction();
    this.#secrets.add(options.credentials.password);
    this.#left = this.#candidates();
  }

  /** Why the login has failed, where all that is left is to ask whether the server wants one at all. */
  get refusal(): AuthenticationError | undefined {
    return this.#refusal;
  }

  /**
   * The next attempt, or `undefined` when none is left. `offered` is `null` before the server has said anything.
   * Rejects if the user was to be asked, and that failed.
   */
  async next(offered: readonly string[] | null, partial: boolean): Promise<AnyAuthMethod | undefined> {
    const wasUnasked = this.#offered === undefined;
    this.#offered = offered ?? this.#offered;
    if (partial) this.#beginAnew();
    else if (!(wasUnasked && this.#isUnheard()) && this.#current?.again?.() !== true) {
      this.#left = this.#left.filter((candidate) => candidate !== this.#current);
    }
    this.#current = this.#choose();
    if (this.#current === undefined) return this.#ask();
    this.tried.push(this.#current.label);
    return this.#current.attempt();
  }

  /** One step of several is done. What has succeeded comes last: as a rule it is not what is wanted next. */
  #beginAnew(): void {
    if (this.#current !== undefined) this.#steps.push(this.#current.label);
    if (this.#steps.length > MAXIMUM_STEPS) throw this.failure();
    const isDone = ({ label }: Candidate): boolean => this.#steps.includes(label);
    const all = this.#candidates();
    this.#left = [...all.filter((one) => !isDone(one)), ...all.filter(isDone)];
  }

  #candidates(): readonly Candidate[] {
    const all = [...this.#keys(), ...this.#interactive(), ...this.#passwords()];
    const { methods = LOGIN_METHODS } = this.#options;
    return methods.flatMap((wanted) => all.filter(({ method }) => method === wanted));
  }

  /** Was it refused only because its method is not yet wanted? */
  #isUnheard(): boolean {
    const { method } = this.#current ?? {};
    return (
      method !== undefined && this.#offered !== undefined && !this.#methods(this.#offered).includes(method)
    );
  }

  #methods(offered: readonly string[]): readonly string[] {
    return offered.length > 0 ? offered : USUAL_METHODS;
  }

  #choose(): Candidate | undefined {
    const offered = this.#offered;
    if (offered === undefined) return this.#unasked();
    const methods = this.#methods(offered);
    return this.#left.find(({ method, allowed }) => methods.includes(method) && (allowed?.(offered) ?? true));
  }

  /** What may be tried as long as the server's list is not known. */
  #unasked(): Candidate | undefined {
    const { asksFirst, credentials } = this.#options;
    const isFirst = !this.#asked && this.tried.length === 0;
    const isAlone = credentials.keys.length === 1 && credentials.password === undefined;
    return isFirst && asksFirst !== true && isAlone ? this.#left[0] : undefined;
  }

  /** `none` gets the list, and in where nobody has to log in: that is still worth a try once all else was refused. */
  #ask(): AnyAuthMethod | undefined {
    if (this.#asked || this.#steps.length > 0) return undefined;
    this.#asked = true;
    if (this.#offered !== undefined) this.#refusal = this.failure();
    return { type: 'none', username: this.#options.username };
  }

  /** The server wants another password (RFC 4252, section 8). Gives `undefined` if there is nobody to ask. */
  async changePassword(reason: string): Promise<PasswordChange | undefined> {
    const { onPrompt } = this.#options;
    const password = this.#password;
    if (onPrompt === undefined || password === undefined) return undefined;
    for (let questions = 0; questions < MAXIMUM_QUESTIONS; questions++) {
      const text = questions === 0 ? reason : 'The passwords differ or are empty. Try again.';
      const [newPassword = '', again] = await askUser(
        onPrompt,
        ownPrompt('new-password', this.#target(), text),
      );
      this.#secrets.add(newPassword);
      if (newPassword !== '' && newPassword === again) {
        this.#password = newPassword;
        return { password, newPassword };
      }
    }
    throw this.#error(
      `${this.#passwordOf()} has expired, and no new one was given`,
      'Log in again to change it',
    );
  }

  /** Takes out of a text of the server's what must not be shown. */
  redact(text: string): string {
    return this.#secrets.apply(text);
  }

  /** Why it ended, for the user. */
  failure(): AuthenticationError {
    const aside = this.#steps.length > 0 ? ': one step succeeded, but the server requires another' : '';
    return refusedLogin(this.#login(), aside);
  }

  /** The server ended the connection while logging in. */
  interruption(text: string, cause: unknown): AuthenticationError {
    if (this.#refusal !== undefined) return this.#refusal;
    const advice = /too many/i.test(text)
      ? 'Give the one privateKey that fits, or fewer keys to the agent'
      : 'Check the user name, and the log of the server';
    return this.#error(`The server ${addressOf(this.#options)} ended the login: ${text}`, advice, cause);
  }

  /** The server wants another password, and there is nobody to ask. */
  passwordExpired(): AuthenticationError {
    const advice = 'Change it with an interactive login first, or give onPrompt';
    return this.#error(`${this.#passwordOf()} has expired and the server asks for a new one`, advice);
  }

  #error(what: string, advice: string, cause?: unknown): AuthenticationError {
    return loginError(what, this.#login(), { advice, cause });
  }

  #login(): FailedLogin {
    const { host, port, username } = this.#options;
    const offered = this.#offered?.map((method) => this.redact(printable(method, 64)));
    return { host, port, username, tried: this.tried, offered };
  }

  #target(): string {
    return `${this.#options.username}@${this.#options.host}`;
  }

  #passwordOf(): string {
    return `The password of ${printable(this.#target())}`;
  }

  #keys(): readonly Candidate[] {
    const { username, credentials } = this.#options;
    return credentials.keys.map((key) => ({
      method: 'publickey',
      label: `publickey (${key.label})`,
      attempt: () => keyAttempt(username, key),
    }));
  }

  #interactive(): readonly Candidate[] {
    const { username, credentials, methods, onPrompt, onPromptError } = this.#options;
    if (onPrompt === undefined && credentials.password === undefined) return [];
    const interactive = new KeyboardInteractive({
      password: credentials.password,
      onPrompt,
      onPromptError,
      onAnswers: (answers) => {
        this.#secrets.add(...answers);
      },
      onUnanswered: (prompt) =>
        void this.tried.push(`keyboard-interactive (no answer to: ${this.redact(prompt)})`),
    });
    let attempts = 0;
    return [
      {
        method: 'keyboard-interactive',
        label: 'keyboard-interactive',
        // Where the server takes the password itself, there is no need to guess which prompt means it.
        allowed: (offered) => onPrompt !== undefined || comesFirst(methods) || !offered.includes('password'),
        attempt: () => {
          attempts++;
          interactive.userWasAsked = false;
          return { type: 'keyboard-interactive', username, prompt: interactive.answer };
        },
        again: () => interactive.userWasAsked && attempts < MAXIMUM_QUESTIONS,
      },
    ];
  }

  #passwords(): readonly Candidate[] {
    const { credentials, onPrompt } = this.#options;
    const { password } = credentials;
    if (password !== undefined) {
      return [{ method: 'password', label: 'password', attempt: () => this.#passwordAttempt(password) }];
    }
    if (onPrompt === undefined) return [];
    let questions = 0;
    const ask = async (): Promise<AnyAuthMethod> => {
      const text = questions++ === 0 ? '' : 'The server refused it. Try again.';
      const [answer = ''] = await askUser(onPrompt, ownPrompt('password', this.#target(), text));
      this.#secrets.add(answer);
      return this.#passwordAttempt(answer);
    };
    const again = (): boolean => questions < MAXIMUM_QUESTIONS;
    return [{ method: 'password', label: 'password (asked for)', attempt: ask, again }];
  }

  #passwordAttempt(password: string): AnyAuthMethod {
    this.#password = password;
    return { type: 'password', username: this.#options.username, password };
  }
}

/** Has somebody asked for it before the password, or without that? */
function comesFirst(methods: readonly LoginMethod[] | undefined): boolean {
  const [first] = methods?.filter((method) => method !== 'publickey') ?? [];
  return first === 'keyboard-interactive';
}

function keyAttempt(username: string, key: PrivateKey | AgentKey): AnyAuthMethod {
  return key instanceof AgentKey
    ? { type: 'agent', username, agent: key.agent }
    : { type: 'publickey', username, key: key.parsed };
}
