/** Replies before they get their request's id, and how to make the frequent ones. */

import type { ReplyFields, ReplyName, Request } from '../../wire/packets.js';
import { describeStatus, SSH_FX } from '../../wire/status.js';
import { errorCode, statusOf, strerror, wordsOf } from '../backends/errno.js';

export type ServerAnswer = { [N in ReplyName]: { readonly kind: N } & ReplyFields<N> }[ReplyName] & {
  /** Node's code of the failure and its reason, for faults that look at them; they are not sent. */
  readonly code?: string;
  readonly reason?: string;
};

/** Answers requests. It never throws but for a violation of the protocol. */
export type Responder = (request: Request) => ServerAnswer | Promise<ServerAnswer>;

export function statusAnswer(status: number, message?: string): ServerAnswer {
  const text = message ?? wordsOf(status) ?? describeStatus(status, '').meaning;
  return { kind: 'status', status, message: text, language: '' };
}

export const OK: ServerAnswer = statusAnswer(SSH_FX.OK);
export const END_OF_FILE: ServerAnswer = statusAnswer(SSH_FX.EOF);

/** The STATUS for an error of a backend, in the few words of OpenSSH. Node's messages hold local paths. */
export function failureAnswer(error: unknown): ServerAnswer {
  const code = errorCode(error);
  const isOurs = error instanceof Error && error.name === 'SftpError';
  return { ...statusAnswer(statusOf(code)), code, reason: isOurs ? error.message : strerror(code) };
}

export function nameAnswer(filename: Uint8Array): ServerAnswer {
  return { kind: 'name', names: [{ filename, longname: filename, attributes: {} }] };
}
