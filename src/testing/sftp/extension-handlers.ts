/** OpenSSH's extensions (OpenSSH's PROTOCOL, section 4) on the server's side, and check-file-handle, as a table. */
import { createHash } from 'node:crypto';
import {
  decodeExtensionFields,
  type ExtensionData,
  type ExtensionFields,
  type ExtensionName,
  type ExtensionWithData,
  encodeExtensionData,
  extensions,
} from '../../wire/extensions.js';
import { MAX_PACKET_LENGTH } from '../../wire/framing.js';
import type { BackendFile } from '../backends/backend.js';
import { systemError } from '../backends/backend.js';
import { OWNER } from '../backends/memory-nodes.js';
import { failureAnswer, nameAnswer, OK, type ServerAnswer } from './answers.js';
import { absolute, MAX_READ_LENGTH, type SessionState } from './session-state.js';

type Handler<N extends ExtensionName> = (
  fields: ExtensionFields<N>,
  state: SessionState,
) => ServerAnswer | Promise<ServerAnswer>;

const handlers: { readonly [N in ExtensionName]: Handler<N> } = {
  limits: (_, { maxHandles }) =>
    extendedAnswer('limits', {
      maxPacketLength: BigInt(MAX_PACKET_LENGTH),
      maxReadLength: BigInt(MAX_READ_LENGTH),
      maxWriteLength: BigInt(MAX_READ_LENGTH),
      maxOpenHandles: BigInt(maxHandles),
    }),
  posixRename: ({ oldPath, newPath }, { backend, home }) => {
    backend.replace(absolute(home, oldPath), absolute(home, newPath));
    return OK;
  },
  hardlink: ({ oldPath, newPath }, { backend, home }) => {
    backend.link(absolute(home, oldPath), absolute(home, newPath));
    return OK;
  },
  fsync: async ({ handle }, { handles }) => {
    await handles.file(handle, 'EBADF').sync();
    return OK;
  },
  statvfs: ({ path }, { backend, home }) => extendedAnswer('statvfs', backend.statvfs(absolute(home, path))),
  fstatvfs: ({ handle }, { handles }) => extendedAnswer('fstatvfs', handles.file(handle).statvfs()),
  lsetstat: ({ path, attributes }, { backend, home }) => {
    backend.lsetstat(absolute(home, path), attributes);
    return OK;
  },
  expandPath: ({ path }, { backend, home, username }) =>
    nameAnswer(backend.realpath(absolute(home, expandTilde(path, home, username)))),
  copyData: async ({ readHandle, readOffset, length, writeHandle, writeOffset }, { handles }) => {
    const from = handles.file(readHandle);
    const to = handles.file(writeHandle);
    if (from === to) throw systemError('EINVAL', 'Source and destination are one handle');
    await copyData(from, readOffset, length === 0 ? Number.POSITIVE_INFINITY : length, to, writeOffset);
    return OK;
  },
  checkFileHandle: async ({ handle, algorithms, offset, length, blockLength }, { handles }) => {
    const file = handles.file(handle);
    const algorithm = algorithms.split(',').find((name) => HASHES.includes(name));
    if (algorithm === undefined) throw systemError('EINVAL', 'None of the algorithms is known');
    if (blockLength !== 0 && blockLength < MIN_BLOCK_LENGTH)
      throw systemError('EINVAL', 'The block is too short');
    const hashes = await hashesOf(file, algorithm, { offset, length, blockLength });
    return extendedAnswer('checkFileHandle', { algorithm, hashes });
  },
  homeDirectory: ({ username }, { home, username: self }) => {
    if (username !== '' && username !== self) throw systemError('ENOENT', 'No such user');
    return nameAnswer(Buffer.from(home));
  },
  usersGroupsById: ({ uids, gids }, { username }) =>
    extendedAnswer('usersGroupsById', {
      users: uids.map((uid) => nameOf(uid, OWNER.uid, username)),
      groups: gids.map((gid) => nameOf(gid, OWNER.gid, username)),
    }),
};

const kinds: ReadonlyMap<string, ExtensionName> = new Map(
  (Object.keys(extensions) as ExtensionName[]).map((kind) => [extensions[kind].name, kind]),
);

/** What the server offers unless it is told otherwise: what OpenSSH's has. */
export const usualExtensions: readonly string[] = [...kinds.keys()].filter(
  (name) => name !== extensions.checkFileHandle.name,
);

/** What Go's `pkg/sftp` has. */
export const extensionsOfWorkers: readonly string[] = [
  extensions.hardlink.name,
  extensions.posixRename.name,
  extensions.statvfs.name,
];

/** The versions that OpenSSH tells; all others are 1. */
const versions: Readonly<Record<string, string>> = {
  'statvfs@openssh.com': '2',
  'fstatvfs@openssh.com': '2',
};

/** The pairs for VERSION. */
export function extensionPairs(offered: readonly string[]): ReadonlyMap<string, Uint8Array> {
  return new Map(offered.map((name) => [name, Buffer.from(versions[name] ?? '1')]));
}

export function answerExtension(
  name: string,
  data: Buffer,
  state: SessionState,
): ServerAnswer | Promise<ServerAnswer> {
  const kind = kinds.get(name);
  if (kind === undefined || !state.extensions.includes(name)) {
    return failureAnswer(systemError('ENOTSUP', 'The extension is not supported'));
  }
  const handler = handlers[kind] as (
    fields: unknown,
    state: SessionState,
  ) => ServerAnswer | Promise<ServerAnswer>;
  return handler(decodeExtensionFields(kind, data), state);
}

function extendedAnswer<N extends ExtensionWithData>(name: N, values: ExtensionData<N>): ServerAnswer {
  return { kind: 'extendedReply', data: encodeExtensionData(name, values) };
}

const HASHES: readonly string[] = ['sha256', 'sha512', 'sha1', 'md5'];
const MIN_BLOCK_LENGTH = 256;
/** They fit into a reply, whatever their length. */
const MAX_HASHES = 1024;

async function hashesOf(
  file: BackendFile,
  algorithm: string,
  {
    offset,
    length,
    blockLength,
  }: { readonly offset: number; readonly length: number; readonly blockLength: number },
): Promise<Buffer> {
  const end = length === 0 ? Number.POSITIVE_INFINITY : offset + length;
  const hashes: Buffer[] = [];
  let hash = createHash(algorithm);
  let inBlock = 0;
  for (let at = offset; at < end; ) {
    const left = blockLength === 0 ? end - at : Math.min(end - at, blockLength - inBlock);
    const data = file.read(at, Math.min(MAX_READ_LENGTH, left));
    if (data.length === 0) break;
    hash.update(data);
    at += data.length;
    inBlock += data.length;
    if (inBlock === blockLength) {
      hashes.push(hash.digest());
      hash = createHash(algorithm);
      inBlock = 0;
    }
    if (hashes.length > MAX_HASHES) throw systemError('EINVAL', 'Too many blocks');
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (inBlock > 0 || hashes.length === 0) hashes.push(hash.digest());
  return Buffer.concat(hashes);
}

async function copyData(
  from: BackendFile,
  readOffset: number,
  length: number,
  to: BackendFile,
  writeOffset: number,
): Promise<void> {
  let done = 0;
  while (done < length) {
    const data = from.read(readOffset + done, Math.min(MAX_READ_LENGTH, length - done));
    if (data.length === 0) return;
    to.write(writeOffset + done, [data]);
    done += data.length;
    // Others get their turn, and the end of the connection is noticed: its handles are closed then.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** `~` and `~user`; only the user who is logged in has a home here. */
function expandTilde(path: Uint8Array, home: string, username: string): Buffer {
  const text = Buffer.from(path).toString('latin1');
  const match = /^~([^/]*)(?:\/|$)/.exec(text);
  if (match === null) return Buffer.from(path);
  const user = Buffer.from(match[1] ?? '', 'latin1').toString('utf8');
  if (user !== '' && user !== username) throw systemError('ENOENT', 'No such user');
  return Buffer.concat([Buffer.from(`${home}/`), Buffer.from(path).subarray(match[0].length)]);
}

/** Empty for the unknown, as OpenSSH answers. */
function nameOf(id: number, ownId: number, username: string): string {
  if (id === 0) return 'root';
  return id === ownId ? username : '';
}
