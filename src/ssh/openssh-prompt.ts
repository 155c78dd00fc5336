/**
 * Decides what ssh gets when it asks. The password goes to the one server that it is meant for and to nobody on the
 * way there; an unknown host key is never said yes to; the rest is for the user.
 */
import { printable } from '../printable.js';
import type { Answerer } from './openssh-askpass.js';
import type { Resolution } from './openssh-resolution.js';
import { askUser, type PromptHandler, type PromptKind } from './prompts.js';
import { Redaction } from './redaction.js';

export interface AnswerOptions {
  readonly password?: string | undefined;
  readonly privateKeyPass?: string | undefined;
  readonly onPrompt?: PromptHandler | undefined;
  /** Called if the prompt handler fails; the connection cannot go on then. */
  readonly onPromptError: (error: unknown) => void;
}

export class Answers {
  readonly #options: AnswerOptions;
  /** Each secret is given once per question: to be asked again means that it was wrong. */
  readonly #answered = new Set<string>();
  readonly #secrets = new Redaction();
  /** Has ssh got any answer? */
  given = false;

  constructor(options: AnswerOptions) {
    this.#options = options;
    this.#secrets.add(options.password, options.privateKeyPass);
  }

  /** Takes out of a text what was answered, and what would be. */
  redact(text: string): string {
    return this.#secrets.apply(text);
  }

  get onPrompt(): PromptHandler | undefined {
    return this.#options.onPrompt;
  }

  /** What ssh is told about it: where nobody answers, it would send an empty password. */
  get arguments(): readonly string[] {
    const { password, onPrompt } = this.#options;
    if (onPrompt !== undefined) return [];
    return password === undefined
      ? ['-oPasswordAuthentication=no', '-oKbdInteractiveAuthentication=no']
      : ['-oNumberOfPasswordPrompts=1'];
  }

  /** For a server as ssh names it. */
  for(resolution: Resolution): Answerer {
    return async (prompt) => {
      const answer = await this.#answer(prompt, resolution);
      this.given ||= answer !== undefined;
      this.#secrets.add(answer);
      return answer;
    };
  }

  async #answer(prompt: string, resolution: Resolution): Promise<string | undefined> {
    if (/\(yes\/no/.test(prompt)) return undefined;
    const { password, privateKeyPass, onPrompt, onPromptError } = this.#options;
    const kind = kindOf(prompt, resolution);
    if (kind === 'passphrase' && this.#isFirst(prompt, privateKeyPass)) return privateKeyPass;
    if (kind === 'password' && this.#isFirst(kind, password)) return password;
    if (onPrompt === undefined) return undefined;
    const name = printable(`${resolution.username}@${resolution.host}`);
    const prompts = [{ prompt: printable(prompt), echo: false }];
    try {
      const [answer] = await askUser(onPrompt, { kind, name, instructions: '', prompts });
      return answer;
    } catch (error) {
      onPromptError(error);
      return undefined;
    }
  }

  #isFirst(question: string, secret: string | undefined): boolean {
    if (secret === undefined || this.#answered.has(question)) return false;
    this.#answered.add(question);
    return true;
  }
}

function kindOf(prompt: string, resolution: Resolution): PromptKind {
  if (/^Enter passphrase for /.test(prompt)) return 'passphrase';
  return isPasswordPrompt(prompt, resolution) ? 'password' : 'keyboard-interactive';
}

/** ssh names whose password it wants: `me@host's password:`, or `(me@host) Password:` for keyboard-interactive. */
function isPasswordPrompt(prompt: string, { username, host, hostKeyAlias }: Resolution): boolean {
  const name = hostKeyAlias ?? host;
  const short = `${username.slice(0, 30)}@${name.slice(0, 128)}`;
  return (
    prompt.startsWith(`${short}'s password:`) ||
    (prompt.startsWith(`(${username}@${name}) `) &&
      /password/i.test(prompt.slice(username.length + name.length + 4)))
  );
}
