/** What the replies to requests hold; what no server may answer is a `ProtocolError`. */
import { Buffer } from 'node:buffer';
import { ProtocolError } from '../errors.js';
import { FileAttributes } from '../wire/attributes.js';
import { decodeExtensionData, type ExtensionData, type ExtensionWithData } from '../wire/extensions.js';
import type { Answer } from './call.js';

/** An end of file is no answer to those who do not read; the call has made it a failure already. */
export function present<A>(answer: A | null): A {
  if (answer === null) throw new ProtocolError('The server answered with an end of file');
  return answer;
}

export function nothing(): void {}

export function attributesOf(answer: Answer<'attrs'>): FileAttributes {
  return new FileAttributes(present(answer).attributes);
}

/** REALPATH and READLINK are answered with exactly one name, which is a path. */
export function onlyName(answer: Answer<'name'>): Buffer {
  const { names } = present(answer);
  const [first] = names;
  if (first === undefined || names.length !== 1) {
    throw new ProtocolError(`The server sent ${names.length} names instead of one`);
  }
  if (first.filename.length === 0 || first.filename.includes(0)) {
    throw new ProtocolError('The server sent a path that is empty or contains a NUL');
  }
  return Buffer.from(first.filename);
}

export function extensionData<N extends ExtensionWithData>(
  name: N,
  answer: Answer<'extendedReply'>,
): ExtensionData<N> {
  return decodeExtensionData(name, Buffer.from(present(answer).data));
}
