/** The server's questions (RFC 4256), and who answers them: the password that was given, or the user. */
import type { KeyboardInteractiveCallback, Prompt } from 'ssh2';
import { printable } from '../../shared/printable.js';
import {
  asksForPassword,
  askUser,
  type PromptQuestion,
  type QuestionHandler,
} from '../credentials/prompts.js';

/** More are asked by nobody but a server that wants to keep us busy. */
const MAXIMUM_PROMPTS = 32;

export interface KeyboardInteractiveOptions {
  readonly password: string | undefined;
  readonly onPrompt: QuestionHandler | undefined;
  readonly onPromptError: (error: unknown) => void;
  /** Told before they leave. */
  readonly onAnswers: (answers: readonly string[]) => void;
  /** There was nobody to answer. */
  readonly onUnanswered: (prompt: string) => void;
}

export class KeyboardInteractive {
  userWasAsked = false;
  readonly #options: KeyboardInteractiveOptions;
  /** It answers once. */
  #password: string | undefined;

  constructor(options: KeyboardInteractiveOptions) {
    this.#options = options;
    this.#password = options.password;
  }

  /** For ssh2; never throws. */
  readonly answer = (
    name: string,
    instructions: string,
    _language: string,
    prompts: Prompt[],
    give: KeyboardInteractiveCallback,
  ): void => {
    const { onPrompt, onPromptError, onAnswers, onUnanswered } = this.#options;
    if (this.#password !== undefined && this.#asksForPassword(prompts)) {
      give([this.#password]);
      this.#password = undefined;
      return;
    }
    if (onPrompt === undefined || prompts.length > MAXIMUM_PROMPTS) {
      onUnanswered(printable(prompts[0]?.prompt ?? '', 200));
      give(prompts.map(() => ''));
      return;
    }
    this.userWasAsked = true;
    const request: PromptQuestion = {
      kind: 'keyboard-interactive',
      name: printable(name),
      instructions: printable(instructions),
      prompts: prompts.map(({ prompt, echo }) => ({ prompt: printable(prompt), echo: echo === true })),
    };
    askUser(onPrompt, request)
      .then((answers) => {
        onAnswers(answers.filter((_answer, index) => request.prompts[index]?.echo !== true));
        give([...answers]);
      })
      .catch(onPromptError);
  };

  /** One hidden prompt. Where the user can be asked, it must not look like one for a code. */
  #asksForPassword(prompts: readonly Prompt[]): boolean {
    const [first] = prompts;
    if (prompts.length !== 1 || first === undefined || first.echo === true) return false;
    if (this.#options.onPrompt === undefined) return true;
    return asksForPassword(first.prompt);
  }
}
