/** A real server, logged in to with what there is: keys and agent first, then what its user types. */
import { type Connection, connect, type PromptRequest } from '../../index.js';
import { ask, canAsk } from '../connecting/prompt.js';

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
  return await connect(url, {
    privateKey: key,
    signal,
    // Time for people who have to find a second factor.
    connectTimeout: 120_000,
    cnopts: {
      knownhosts: knownHosts,
      onPrompt: canAsk() ? (request) => answerAll(request, signal) : undefined,
    },
  });
}

async function answerAll(request: PromptRequest, signal: AbortSignal): Promise<readonly string[]> {
  // Our own questions have the name in them.
  const title = request.kind === 'keyboard-interactive' ? request.name : '';
  for (const text of [title, request.instructions]) if (text !== '') console.error(text);
  const answers: string[] = [];
  for (const { prompt, echo } of request.prompts) answers.push(await ask(prompt, { echo, signal }));
  return answers;
}
