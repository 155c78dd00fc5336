/** Passphrases and passwords that somebody was asked for, so that further connections need not ask again. */
import { CredentialError } from '../errors.js';
import type { PromptHandler, PromptKind, PromptRequest } from '../ssh/credentials/prompts.js';

/** Of our own questions the answer is the same every time; what a server asks for may be a code that is good for once. */
const LASTING: readonly PromptKind[] = ['passphrase', 'password'];

export class PromptMemory {
  readonly #answers = new Map<string, readonly string[]>();

  /** @param isFurther nobody is asked any more */
  wrap(
    handler: PromptHandler | undefined,
    { isFurther }: { readonly isFurther: boolean },
  ): PromptHandler | undefined {
    if (handler === undefined) return undefined;
    return async (request) => {
      const key = keyOf(request);
      const known = this.#answers.get(key);
      if (isFurther) return known ?? Promise.reject(nobodyToAsk(request));
      const answers = await handler(request);
      if (LASTING.includes(request.kind)) this.#answers.set(key, answers);
      return answers;
    };
  }
}

function keyOf({ kind, name, host, port, username }: PromptRequest): string {
  return JSON.stringify([kind, name, host, port, username]);
}

function nobodyToAsk({ kind, username, host }: PromptRequest): CredentialError {
  return new CredentialError(
    'NO_CREDENTIALS',
    `A further connection to ${username}@${host} needs an answer (${kind}), and nobody is asked for one`,
  );
}
