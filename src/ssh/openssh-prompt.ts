/**
 * Decides what ssh gets when it asks. The password goes to the one server that it is meant for and to nobody on the
 * way there; an unknown host key is never said yes to; the rest is for the user.
 */
import { printable } from '../printable.js';
import type { Answerer } from './openssh-askpass.js';
import type { Resolution } from './openssh-host-key.js';
import { askUser, type PromptHandler, type PromptKind } from './prompts.js';

export interface PromptOptions {
  readonly password?: string | undefined;
  readonly privateKeyPass?: string | undefined;
  readonly onPrompt?: PromptHandler | undefined;
}

/** Each secret is given once per question: to be asked again means that it was wrong. */
export function makeAnswerer(options: PromptOptions, resolution: Resolution): Answerer {
  const { password, privateKeyPass, onPrompt } = options;
  const answered = new Set<string>();
  const once = (prompt: string, secret: string | undefined): string | undefined => {
    if (secret === undefined || answered.has(prompt)) return undefined;
    answered.add(prompt);
    return secret;
  };
  return async (prompt) => {
    if (/\(yes\/no/.test(prompt)) return undefined;
    const kind = kindOf(prompt, resolution);
    const secret =
      kind === 'passphrase'
        ? once(prompt, privateKeyPass)
        : kind === 'password'
          ? once(kind, password)
          : undefined;
    if (secret !== undefined || onPrompt === undefined) return secret;
    const name = printable(`${resolution.username}@${resolution.host}`);
    const prompts = [{ prompt: printable(prompt), echo: false }];
    const [answer] = await askUser(onPrompt, { kind, name, instructions: '', prompts });
    return answer;
  };
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
