/**
 * The extensions of OpenSSH (OpenSSH's PROTOCOL, section 4, and draft-ietf-secsh-filexfer-extensions-00) as
 * a table, with `check-file-handle` of the latter: the name on the wire, the fields that follow it in EXTENDED, and the reply that means success;
 * `data` is the layout of an EXTENDED_REPLY.
 */
import { Buffer } from 'node:buffer';
import { ByteReader, ByteWriter } from './bytes.js';
import {
  attributes,
  bigUint64,
  bytes,
  handle,
  hashAlgorithm,
  type Layout,
  packedTexts,
  packedUint32s,
  rest,
  text,
  uint32,
  uint64,
  type Values,
} from './fields.js';
import { readLayout, writeLayout } from './layout.js';
import type { ReplyName } from './packets.js';

const limitsReply = {
  maxPacketLength: bigUint64,
  maxReadLength: bigUint64,
  maxWriteLength: bigUint64,
  maxOpenHandles: bigUint64,
};

const statvfsReply = {
  blockSize: bigUint64,
  fragmentSize: bigUint64,
  blocks: bigUint64,
  freeBlocks: bigUint64,
  availableBlocks: bigUint64,
  files: bigUint64,
  freeFiles: bigUint64,
  availableFiles: bigUint64,
  fileSystemId: bigUint64,
  flags: bigUint64,
  maxNameLength: bigUint64,
};

const namesByIdReply = { users: packedTexts, groups: packedTexts };

/** OpenSSH's in the order in which its server announces them: see {@link SftpClient.worksInOrder}. */
export const extensions = {
  posixRename: {
    name: 'posix-rename@openssh.com',
    fields: { oldPath: bytes, newPath: bytes },
    reply: 'status',
  },
  statvfs: {
    name: 'statvfs@openssh.com',
    fields: { path: bytes },
    reply: 'extendedReply',
    data: statvfsReply,
  },
  fstatvfs: { name: 'fstatvfs@openssh.com', fields: { handle }, reply: 'extendedReply', data: statvfsReply },
  hardlink: { name: 'hardlink@openssh.com', fields: { oldPath: bytes, newPath: bytes }, reply: 'status' },
  fsync: { name: 'fsync@openssh.com', fields: { handle }, reply: 'status' },
  lsetstat: { name: 'lsetstat@openssh.com', fields: { path: bytes, attributes }, reply: 'status' },
  limits: { name: 'limits@openssh.com', fields: {}, reply: 'extendedReply', data: limitsReply },
  expandPath: { name: 'expand-path@openssh.com', fields: { path: bytes }, reply: 'name' },
  copyData: {
    name: 'copy-data',
    fields: {
      readHandle: handle,
      readOffset: uint64,
      /** 0 means: up to the end of the file. */
      length: uint64,
      writeHandle: handle,
      writeOffset: uint64,
    },
    reply: 'status',
  },
  homeDirectory: { name: 'home-directory', fields: { username: text }, reply: 'name' },
  usersGroupsById: {
    name: 'users-groups-by-id@openssh.com',
    fields: { uids: packedUint32s, gids: packedUint32s },
    reply: 'extendedReply',
    data: namesByIdReply,
  },
  checkFileHandle: {
    name: 'check-file-handle',
    fields: {
      handle,
      /** In the order of preference, with commas. */
      algorithms: text,
      offset: uint64,
      /** 0 means: up to the end of the file. */
      length: uint64,
      /** One hash for each block; 0 means: one for all, otherwise 256 at the least. */
      blockLength: uint32,
    },
    reply: 'extendedReply',
    data: { algorithm: hashAlgorithm, hashes: rest },
  },
} as const satisfies Readonly<
  Record<string, { name: string; fields: Layout; reply: ReplyName; data?: Layout }>
>;

export type ExtensionName = keyof typeof extensions;
export type ExtensionFields<N extends ExtensionName> = Values<(typeof extensions)[N]['fields']>;
/** The extensions that answer with data of their own. */
export type ExtensionWithData = {
  [N in ExtensionName]: (typeof extensions)[N] extends { data: Layout } ? N : never;
}[ExtensionName];
export type ExtensionData<N extends ExtensionWithData> = Values<(typeof extensions)[N]['data']>;

/** The `data` of an EXTENDED request. */
export function encodeExtensionFields<N extends ExtensionName>(name: N, fields: ExtensionFields<N>): Buffer {
  return encodeLayout(extensions[name].fields, fields);
}

export function decodeExtensionFields<N extends ExtensionName>(name: N, data: Buffer): ExtensionFields<N> {
  return readLayout(extensions[name].fields, new ByteReader(data)) as ExtensionFields<N>;
}

/** The `data` of an EXTENDED_REPLY. */
export function encodeExtensionData<N extends ExtensionWithData>(name: N, values: ExtensionData<N>): Buffer {
  return encodeLayout(extensions[name].data, values);
}

export function decodeExtensionData<N extends ExtensionWithData>(name: N, data: Buffer): ExtensionData<N> {
  return readLayout(extensions[name].data, new ByteReader(data)) as ExtensionData<N>;
}

function encodeLayout(layout: Layout, values: Readonly<Record<string, unknown>>): Buffer {
  const writer = new ByteWriter();
  writeLayout(layout, writer, values);
  return Buffer.concat(writer.take());
}
