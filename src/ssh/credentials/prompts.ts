/** Questions that only a person can answer, as the program gets them. */
import { printable } from '../../shared/printable.js';

/** What is asked for. */
export type PromptKind = 'passphrase' | 'password' | 'keyboard-interactive' | 'new-password';

/**
 * What is asked: one question, or several at once.
 *
 * | `kind` | asked by | `name` | `prompts` |
 * |---|---|---|---|
 * | `passphrase` | this client, to open an encrypted key; nothing has been sent yet | the key | one |
 * | `password` | this client, of a server that takes passwords, where none was given | `user@host` | one |
 * | `keyboard-interactive` | the server: a password, a one-time code, anything (RFC 4256) | the server's title | the server's |
 * | `new-password` | the server, as the password has expired (RFC 4252, section 8) | `user@host` | two: the new one, and once more |
 */
export interface PromptQuestion {
  readonly kind: PromptKind;
  /** What it is about. Text of the server is escaped. */
  readonly name: string;
  /** More to read before the prompts, often empty; text of the server is escaped. */
  readonly instructions: string;
  /** `echo`: may the answer be seen while it is typed? */
  readonly prompts: readonly { readonly prompt: string; readonly echo: boolean }[];
}

/** For whom something is asked. It comes from this client: no server can set it, whatever it calls itself in `name`. */
export interface PromptSource {
  /** Where the connection goes that asks: the server, or a host on the way. Empty for a `ProxyCommand` of yours. */
  readonly host: string;
  /** 0 for a `ProxyCommand`. */
  readonly port: number;
  /** Who logs in there. Empty for a `ProxyCommand`. */
  readonly username: string;
  /** Is it a host on the way (`proxyJump`), and not the server? Its questions are none for the server's password. */
  readonly isJumpHost: boolean;
}

/** A question, and for whom it is asked. */
export interface PromptRequest extends PromptQuestion, PromptSource {}

/**
 * Gives one answer per prompt, in their order. To reject is to give up connecting, with that reason.
 *
 * @example
 * const onPrompt: PromptHandler = ({ host, username, isJumpHost, prompts }) =>
 *   Promise.all(prompts.map(({ prompt }) => ask(`${username}@${host}${isJumpHost ? ' (jump host)' : ''}: ${prompt}`)));
 */
export type PromptHandler = (request: PromptRequest) => Promise<readonly string[]> | readonly string[];

/** Who is asked, on behalf of one connection. */
export type QuestionHandler = (question: PromptQuestion) => Promise<readonly string[]> | readonly string[];

/** Asks on behalf of a connection; what the question says for itself cannot change that. */
export function askFor(source: PromptSource, handler: PromptHandler): QuestionHandler {
  const { host, port, username, isJumpHost } = source;
  return (question) => handler({ ...question, host, port, username, isJumpHost });
}

type OwnKind = Exclude<PromptKind, 'keyboard-interactive'>;

const OWN_PROMPTS: Readonly<Record<OwnKind, (name: string) => readonly string[]>> = {
  passphrase: (name) => [`Passphrase for the private key ${name}: `],
  password: (name) => [`Password for ${name}: `],
  'new-password': (name) => [`New password for ${name}: `, 'The new password again: '],
};

/** A question of our own. */
export function ownPrompt(kind: OwnKind, name: string, instructions = ''): PromptQuestion {
  const shown = printable(name, 200);
  return {
    kind,
    name: shown,
    instructions: printable(instructions),
    prompts: OWN_PROMPTS[kind](shown).map((prompt) => ({ prompt, echo: false })),
  };
}

/** Asks, and makes sure that there is a string for every prompt. */
export async function askUser(handler: QuestionHandler, request: PromptQuestion): Promise<readonly string[]> {
  const answers: unknown = await handler(request);
  const { length } = request.prompts;
  if (
    !Array.isArray(answers) ||
    answers.length !== length ||
    answers.some((one) => typeof one !== 'string')
  ) {
    throw new TypeError(
      `onPrompt must give one string per prompt: an array of ${length} for ${request.kind}`,
    );
  }
  return [...answers];
}

/** Does a prompt plainly ask for the existing password? Not for a new one, and not for a code. */
export function asksForPassword(prompt: string): boolean {
  return (
    /password/i.test(prompt) &&
    !/one.?time|code|token|verif|otp|new|again|repeat|retype|confirm/i.test(prompt)
  );
}
