/**
 * Decides what ssh gets when it asks. Who asks is told by the process, not by the words: the password goes to the one
 * that reaches the server, never to one for a host on the way; an unknown host key is never said yes to; the rest is
 * for the user.
 */
import { SshError } from '../../../errors.js';
import { printable } from '../../../shared/printable.js';
import { Redaction } from '../../../shared/redaction.js';
import {
  askFor,
  asksForPassword,
  askUser,
  type PromptHandler,
  type PromptKind,
  type PromptSource,
  type QuestionHandler,
} from '../../credentials/prompts.js';
import type { OpensshLog } from '../failures/openssh-log.js';
import type { Resolution } from '../openssh-resolution.js';
import type { Answerer, Question } from './openssh-askpass.js';

export interface AnswerOptions {
  readonly password?: string | undefined;
  readonly privateKeyPass?: string | undefined;
  readonly onPrompt?: PromptHandler | undefined;
  /** Where what must not be shown is noted. */
  readonly secrets?: Redaction | undefined;
  /** Called if the prompt handler fails, or nobody may answer; the connection cannot go on then. */
  readonly onPromptError: (error: unknown) => void;
}

/** A process of ssh, and where it goes. */
export interface Asker {
  readonly resolution: Resolution;
  readonly isJumpHost: boolean;
  readonly log: Pick<OpensshLog, 'version' | 'promptCount'>;
}

const NO_PASSWORDS = ['-oPasswordAuthentication=no', '-oKbdInteractiveAuthentication=no'];

/** From here on a question of the server begins with `(user@host) `, and so is none of ssh's own. */
const MARKS_QUESTIONS = [8, 5] as const;

/** Something that our ssh has started, of which nothing is known. */
const STRANGER: PromptSource = { host: '', port: 0, username: '', isJumpHost: true };

export class Answers {
  readonly #options: AnswerOptions;
  /** Each secret is given once per kind of question: to be asked again means that it was wrong. */
  readonly #answered = new Set<string>();
  readonly #secrets: Redaction;
  /** Has ssh got any answer? */
  given = false;

  constructor(options: AnswerOptions) {
    this.#options = options;
    this.#secrets = options.secrets ?? new Redaction();
    this.#secrets.add(options.password, options.privateKeyPass);
  }

  /** Takes out of a text what was answered, and what would be. */
  redact(text: string): string {
    return this.#secrets.apply(text);
  }

  /** Asks the user on behalf of the connection to a server. */
  userOf(source: PromptSource): QuestionHandler | undefined {
    const { onPrompt } = this.#options;
    return onPrompt && askFor(source, onPrompt);
  }

  /** What ssh is told about it: where nobody answers, it would send an empty password. */
  get arguments(): readonly string[] {
    const { password, onPrompt } = this.#options;
    if (onPrompt !== undefined) return [];
    return password === undefined ? NO_PASSWORDS : ['-oNumberOfPasswordPrompts=1'];
  }

  /** The same for a host on the way. */
  get hopArguments(): readonly string[] {
    return this.#options.onPrompt === undefined ? NO_PASSWORDS : [];
  }

  for(asker: Asker): Answerer {
    return async (question) => {
      const answer = await this.#answer(question, asker);
      // ssh takes no more than a line.
      if (answer === undefined || /[\r\n\0]/.test(answer)) return undefined;
      this.given = true;
      this.#secrets.add(answer);
      return answer;
    };
  }

  async #answer({ prompt, isOwn }: Question, asker: Asker): Promise<string | undefined> {
    if (/\(yes\/no/.test(prompt)) return undefined;
    const { password, privateKeyPass, onPromptError } = this.#options;
    const kind = kindOf(prompt, asker);
    if (kind === 'passphrase') {
      if (!this.#isOfSsh(isOwn, asker)) {
        onPromptError(ambiguous(prompt));
        return undefined;
      }
      if (this.#isFirst(prompt, privateKeyPass)) return privateKeyPass;
    }
    const isForPassword =
      kind === 'password' || (kind === 'keyboard-interactive' && meansPassword(prompt, asker));
    // A server may want both, one after the other.
    if (isOwn && !asker.isJumpHost && isForPassword && this.#isFirst(kind, password)) return password;
    return await this.#askUser(
      kind,
      prompt,
      isOwn ? { ...asker.resolution, isJumpHost: asker.isJumpHost } : STRANGER,
    );
  }

  async #askUser(kind: PromptKind, prompt: string, source: PromptSource): Promise<string | undefined> {
    const handler = this.userOf(source);
    if (handler === undefined) return undefined;
    const name = source.host === '' ? '' : printable(`${source.username}@${source.host}`);
    const prompts = [{ prompt: printable(prompt), echo: false }];
    try {
      const [answer] = await askUser(handler, { kind, name, instructions: '', prompts });
      return answer;
    } catch (error) {
      this.#options.onPromptError(error);
      return undefined;
    }
  }

  /** Can what looks like a question of ssh's own not be one of a server? */
  #isOfSsh(isOwn: boolean, { log }: Asker): boolean {
    const { password, onPrompt } = this.#options;
    return marksQuestions(log.version) || (isOwn && password === undefined && onPrompt === undefined);
  }

  #isFirst(question: string, secret: string | undefined): boolean {
    if (secret === undefined || this.#answered.has(question)) return false;
    this.#answered.add(question);
    return true;
  }
}

export function marksQuestions([major = 0, minor = 0]: readonly number[]): boolean {
  const [neededMajor, neededMinor] = MARKS_QUESTIONS;
  return major > neededMajor || (major === neededMajor && minor >= neededMinor);
}

function ambiguous(prompt: string): SshError {
  const text =
    `ssh asks "${printable(prompt, 200)}", and before OpenSSH ${MARKS_QUESTIONS.join('.')} a server can ask the same to ` +
    'get the passphrase: update ssh, use transport "ssh2", or put the key into an agent';
  return new SshError('UNSUPPORTED_OPTION', text);
}

function kindOf(prompt: string, { resolution }: Asker): PromptKind {
  if (prompt.startsWith('Enter passphrase for ')) return 'passphrase';
  return prompt.startsWith(`${shortNameOf(resolution)}'s password:`) ? 'password' : 'keyboard-interactive';
}

/** As ssh writes it before its own question for a password. */
export function shortNameOf({ username, host, hostKeyAlias }: Resolution): string {
  return `${username.slice(0, 30)}@${(hostKeyAlias ?? host).slice(0, 128)}`;
}

/** As ssh writes it before a question of the server. */
export function markOf({ username, host, hostKeyAlias }: Resolution): string {
  return `(${username}@${hostKeyAlias ?? host}) `;
}

/** ssh does not tell whether an answer may be seen, and asks for one after the other: of several none is answered. */
function meansPassword(prompt: string, { resolution, log }: Asker): boolean {
  const mark = markOf(resolution);
  const text = prompt.startsWith(mark) ? prompt.slice(mark.length) : prompt;
  return log.promptCount === 1 && asksForPassword(text);
}
