/**
 * SFTP version 3 as one table (draft-ietf-secsh-filexfer-02): the number of every packet, its fields in the
 * order of the wire, and for a request the reply that means success. Client and server, encoder and decoder
 * all follow it, and the types of requests and replies are made from it.
 */
import {
  attributes,
  bytes,
  extensionPairs,
  handle,
  type Layout,
  names,
  optionalText,
  payload,
  rest,
  text,
  uint32,
  uint64,
  type Values,
} from './fields.js';

export const SFTP_VERSION = 3;

/** The two packets of the handshake (section 4), which have no request id. */
export const handshakePackets = {
  init: { type: 1, fields: { version: uint32, extensions: extensionPairs } },
  version: { type: 2, fields: { version: uint32, extensions: extensionPairs } },
} as const;

/** Section 6. */
export const requests = {
  open: { type: 3, fields: { path: bytes, flags: uint32, attributes }, reply: 'handle' },
  close: { type: 4, fields: { handle }, reply: 'status' },
  read: { type: 5, fields: { handle, offset: uint64, length: uint32 }, reply: 'data' },
  write: { type: 6, fields: { handle, offset: uint64, data: payload }, reply: 'status' },
  lstat: { type: 7, fields: { path: bytes }, reply: 'attrs' },
  fstat: { type: 8, fields: { handle }, reply: 'attrs' },
  setstat: { type: 9, fields: { path: bytes, attributes }, reply: 'status' },
  fsetstat: { type: 10, fields: { handle, attributes }, reply: 'status' },
  opendir: { type: 11, fields: { path: bytes }, reply: 'handle' },
  readdir: { type: 12, fields: { handle }, reply: 'name' },
  remove: { type: 13, fields: { path: bytes }, reply: 'status' },
  mkdir: { type: 14, fields: { path: bytes, attributes }, reply: 'status' },
  rmdir: { type: 15, fields: { path: bytes }, reply: 'status' },
  realpath: { type: 16, fields: { path: bytes }, reply: 'name' },
  stat: { type: 17, fields: { path: bytes }, reply: 'attrs' },
  rename: { type: 18, fields: { oldPath: bytes, newPath: bytes }, reply: 'status' },
  readlink: { type: 19, fields: { path: bytes }, reply: 'name' },
  /** In the order of OpenSSH's PROTOCOL, section 4.1, which is not the draft's: the target comes first. */
  symlink: { type: 20, fields: { targetPath: bytes, linkPath: bytes }, reply: 'status' },
  extended: { type: 200, fields: { name: text, data: rest }, reply: 'extendedReply' },
} as const satisfies Readonly<Record<string, { type: number; fields: Layout; reply: ReplyName }>>;

/** Section 7. */
export const replies = {
  status: { type: 101, fields: { status: uint32, message: optionalText, language: optionalText } },
  handle: { type: 102, fields: { handle } },
  data: { type: 103, fields: { data: payload } },
  name: { type: 104, fields: { names } },
  attrs: { type: 105, fields: { attributes } },
  extendedReply: { type: 201, fields: { data: rest } },
} as const;

export type ReplyName = keyof typeof replies;
export type ReplyFields<N extends ReplyName> = Values<(typeof replies)[N]['fields']>;
/** A decoded reply: `kind` tells which. */
export type Reply = {
  [N in ReplyName]: { readonly kind: N; readonly id: number } & ReplyFields<N>;
}[ReplyName];

export type RequestName = keyof typeof requests;
export type RequestFields<N extends RequestName> = Values<(typeof requests)[N]['fields']>;
/** A decoded request: `kind` tells which. */
export type Request = {
  [N in RequestName]: { readonly kind: N; readonly id: number } & RequestFields<N>;
}[RequestName];

export type HandshakeFields = Values<(typeof handshakePackets)['init']['fields']>;

/** The flags of OPEN (section 6.3). */
export const SSH_FXF = {
  READ: 0x01,
  WRITE: 0x02,
  APPEND: 0x04,
  CREAT: 0x08,
  TRUNC: 0x10,
  EXCL: 0x20,
} as const;
