/** Replies before they get their request's id, and how to make the frequent ones. */

import type { ReplyFields, ReplyName, Request } from '../wire/packets.js';
import { describeStatus, SSH_FX } from '../wire/status.js';
import { errorCode, statusOf, strerror } from './errno.js';

export type Answer = { [N in ReplyName]: { readonly kind: N } & ReplyFields<N> }[ReplyName] & {
  /** Node's code of the failure, for faults that look at it; it is not sent. */
  readonly code?: string;
};

/** Answers requests. It never throws but for a violation of the protocol. */
export type Responder = (request: Request) => Answer | Promise<Answer>;

export function statusAnswer(status: number, message?: string, code?: string): Answer {
  const text = message ?? (status === SSH_FX.OK ? 'Success' : describeStatus(status, '').meaning);
  return { kind: 'status', status, message: text, language: '', ...(code === undefined ? {} : { code }) };
}

export const OK: Answer = statusAnswer(SSH_FX.OK);
export const END_OF_FILE: Answer = statusAnswer(SSH_FX.EOF, 'End of file');

/** The STATUS for an error of a backend. Node's messages hold local paths, so only their code is told. */
export function failureAnswer(error: unknown): Answer {
  const code = errorCode(error);
  const isOurs = error instanceof Error && error.name === 'SftpError';
  return statusAnswer(statusOf(code), isOurs ? error.message : strerror(code), code);
}

export function nameAnswer(filename: Uint8Array): Answer {
  return { kind: 'name', names: [{ filename, longname: filename, attributes: {} }] };
}
