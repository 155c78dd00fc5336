/** Every operation of the client: the call, the request that it must send, a good reply, and the result. */
import { Buffer } from 'node:buffer';
import { OPEN_FLAGS, type OperationOptions, type SftpClient } from '../../../src/session/sftp-client.js';
import { FileAttributes } from '../../../src/wire/attributes.js';
import { encodeExtensionData } from '../../../src/wire/extensions.js';
import type { ReplyName } from '../../../src/wire/packets.js';
import type { ScriptedPeer } from '../../support/scripted-peer.js';
import type { AnyRequest } from './conversation.js';

export interface Operation {
  readonly call: (client: SftpClient, options?: OperationOptions) => Promise<unknown>;
  readonly expect: (peer: ScriptedPeer) => Promise<AnyRequest>;
  readonly answer: (request: AnyRequest) => void;
  readonly result: unknown;
  /** The kind of the good reply; every other one breaks the protocol. */
  readonly reply: ReplyName;
  /** How an error's message begins. */
  readonly subject: string;
  readonly readsToTheEnd?: true;
}

const handle = { bytes: Buffer.from('h1'), path: '/f' };
const other = { bytes: Buffer.from('h2'), path: '/g' };
const attributes = { size: 7, uid: 1, gid: 2, mode: 0o100644, atime: 3, mtime: 4 };
const limits = { maxPacketLength: 1n, maxReadLength: 2n, maxWriteLength: 3n, maxOpenHandles: 4n };
const fileSystem = {
  blockSize: 1n,
  fragmentSize: 2n,
  blocks: 3n,
  freeBlocks: 4n,
  availableBlocks: 5n,
  files: 6n,
  freeFiles: 7n,
  availableFiles: 8n,
  fileSystemId: 2n ** 64n - 1n,
  flags: 10n,
  maxNameLength: 255n,
};
const hash = { algorithm: 'sha256', hashes: Buffer.alloc(32, 7) };
const owners = { users: ['root', ''], groups: ['wheel'] };
const entry = { filename: 'x', longname: '-rw-r--r-- 1 x', attributes: { size: 1 } };

const ok = (request: AnyRequest) => request.ok();
const status = { answer: ok, result: undefined, reply: 'status' } as const;
const attrs = {
  answer: (request: AnyRequest) => request.attributes(attributes),
  result: new FileAttributes(attributes),
  reply: 'attrs',
} as const;
const opened = {
  answer: (request: AnyRequest) => request.handle('h1'),
  result: handle,
  reply: 'handle',
} as const;
const oneName = {
  answer: (request: AnyRequest) => request.names('/home/me'),
  result: Buffer.from('/home/me'),
  reply: 'name',
} as const;
const data = (bytes: Buffer, result: unknown) =>
  ({ answer: (request: AnyRequest) => request.extended(bytes), result, reply: 'extendedReply' }) as const;

export const operations: Readonly<Record<string, Operation>> = {
  open: {
    call: (client, options) =>
      client.open('/f', OPEN_FLAGS.WRITE | OPEN_FLAGS.CREAT, { ...options, attributes: { mode: 0o600 } }),
    expect: (peer) => peer.expect('open', { path: '/f', flags: 0x0a, attributes: { mode: 0o600 } }),
    ...opened,
    subject: "open '/f'",
  },
  close: {
    call: (client, options) => client.close(handle, options),
    expect: (peer) => peer.expect('close', { handle: 'h1' }),
    ...status,
    subject: "close '/f'",
  },
  read: {
    call: (client, options) => client.read(handle, 2 ** 40, 5, options),
    expect: (peer) => peer.expect('read', { handle: 'h1', offset: 2 ** 40, length: 5 }),
    answer: (request) => request.data('12345'),
    result: [Buffer.from('12345')],
    reply: 'data',
    subject: "read '/f'",
    readsToTheEnd: true,
  },
  write: {
    call: (client, options) => client.write(handle, 9, [Buffer.from('ab'), Buffer.from('c')], options),
    expect: (peer) => peer.expect('write', { handle: 'h1', offset: 9, data: 'abc' }),
    ...status,
    subject: "write '/f'",
  },
  stat: {
    call: (client, options) => client.stat('/f', options),
    expect: (peer) => peer.expect('stat', { path: '/f' }),
    ...attrs,
    subject: "stat '/f'",
  },
  lstat: {
    call: (client, options) => client.lstat('/f', options),
    expect: (peer) => peer.expect('lstat', { path: '/f' }),
    ...attrs,
    subject: "lstat '/f'",
  },
  fstat: {
    call: (client, options) => client.fstat(handle, options),
    expect: (peer) => peer.expect('fstat', { handle: 'h1' }),
    ...attrs,
    subject: "fstat '/f'",
  },
  setstat: {
    call: (client, options) => client.setstat('/f', { size: 0, atime: 1, mtime: 2 ** 32 - 1 }, options),
    expect: (peer) =>
      peer.expect('setstat', { path: '/f', attributes: { size: 0, atime: 1, mtime: 2 ** 32 - 1 } }),
    ...status,
    subject: "setstat '/f'",
  },
  fsetstat: {
    call: (client, options) => client.fsetstat(handle, { uid: 5, gid: 6 }, options),
    expect: (peer) => peer.expect('fsetstat', { handle: 'h1', attributes: { uid: 5, gid: 6 } }),
    ...status,
    subject: "fsetstat '/f'",
  },
  opendir: {
    call: (client, options) => client.opendir('/f', options),
    expect: (peer) => peer.expect('opendir', { path: '/f' }),
    ...opened,
    subject: "opendir '/f'",
  },
  readdir: {
    call: (client, options) => client.readdir(handle, options),
    expect: (peer) => peer.expect('readdir', { handle: 'h1' }),
    answer: (request) => request.names(entry, '..'),
    result: [
      new FileAttributes(
        { size: 1 },
        { filename: Buffer.from('x'), longname: Buffer.from('-rw-r--r-- 1 x') },
      ),
      new FileAttributes({}, { filename: Buffer.from('..') }),
    ],
    reply: 'name',
    subject: "readdir '/f'",
    readsToTheEnd: true,
  },
  remove: {
    call: (client, options) => client.remove('/f', options),
    expect: (peer) => peer.expect('remove', { path: '/f' }),
    ...status,
    subject: "remove '/f'",
  },
  mkdir: {
    call: (client, options) => client.mkdir('/f', { mode: 0o700 }, options),
    expect: (peer) => peer.expect('mkdir', { path: '/f', attributes: { mode: 0o700 } }),
    ...status,
    subject: "mkdir '/f'",
  },
  rmdir: {
    call: (client, options) => client.rmdir('/f', options),
    expect: (peer) => peer.expect('rmdir', { path: '/f' }),
    ...status,
    subject: "rmdir '/f'",
  },
  realpath: {
    call: (client, options) => client.realpath('.', options),
    expect: (peer) => peer.expect('realpath', { path: '.' }),
    ...oneName,
    subject: "realpath '.'",
  },
  rename: {
    call: (client, options) => client.rename('/f', '/g', options),
    expect: (peer) => peer.expect('rename', { oldPath: '/f', newPath: '/g' }),
    ...status,
    subject: "rename '/f' to '/g'",
  },
  readlink: {
    call: (client, options) => client.readlink('/f', options),
    expect: (peer) => peer.expect('readlink', { path: '/f' }),
    ...oneName,
    subject: "readlink '/f'",
  },
  symlink: {
    call: (client, options) => client.symlink('/target', '/link', options),
    expect: (peer) => peer.expect('symlink', { targetPath: '/target', linkPath: '/link' }),
    ...status,
    subject: "symlink '/target' to '/link'",
  },
  fetchLimits: {
    call: (client, options) => client.fetchLimits(options),
    expect: (peer) => peer.expectExtension('limits'),
    ...data(encodeExtensionData('limits', limits), limits),
    subject: 'limits@openssh.com',
  },
  posixRename: {
    call: (client, options) => client.posixRename('/f', '/g', options),
    expect: (peer) => peer.expectExtension('posixRename', { oldPath: '/f', newPath: '/g' }),
    ...status,
    subject: "posix-rename@openssh.com '/f' to '/g'",
  },
  hardlink: {
    call: (client, options) => client.hardlink('/f', '/g', options),
    expect: (peer) => peer.expectExtension('hardlink', { oldPath: '/f', newPath: '/g' }),
    ...status,
    subject: "hardlink@openssh.com '/f' to '/g'",
  },
  fsync: {
    call: (client, options) => client.fsync(handle, options),
    expect: (peer) => peer.expectExtension('fsync', { handle: 'h1' }),
    ...status,
    subject: "fsync@openssh.com '/f'",
  },
  statvfs: {
    call: (client, options) => client.statvfs('/f', options),
    expect: (peer) => peer.expectExtension('statvfs', { path: '/f' }),
    ...data(encodeExtensionData('statvfs', fileSystem), fileSystem),
    subject: "statvfs@openssh.com '/f'",
  },
  fstatvfs: {
    call: (client, options) => client.fstatvfs(handle, options),
    expect: (peer) => peer.expectExtension('fstatvfs', { handle: 'h1' }),
    ...data(encodeExtensionData('fstatvfs', fileSystem), fileSystem),
    subject: "fstatvfs@openssh.com '/f'",
  },
  lsetstat: {
    call: (client, options) => client.lsetstat('/f', { mode: 0o777 }, options),
    expect: (peer) => peer.expectExtension('lsetstat', { path: '/f', attributes: { mode: 0o777 } }),
    ...status,
    subject: "lsetstat@openssh.com '/f'",
  },
  expandPath: {
    call: (client, options) => client.expandPath('~/x', options),
    expect: (peer) => peer.expectExtension('expandPath', { path: '~/x' }),
    ...oneName,
    subject: "expand-path@openssh.com '~/x'",
  },
  copyData: {
    call: (client, options) =>
      client.copyData({ handle, offset: 1, length: 0 }, { handle: other, offset: 2 }, options),
    expect: (peer) =>
      peer.expectExtension('copyData', {
        readHandle: 'h1',
        readOffset: 1,
        length: 0,
        writeHandle: 'h2',
        writeOffset: 2,
      }),
    ...status,
    subject: "copy-data '/f' to '/g'",
  },
  checkFileHandle: {
    call: (client, options) =>
      client.checkFile(handle, ['sha256', 'md5'], { offset: 1, length: 2, blockLength: 0 }, options),
    expect: (peer) =>
      peer.expectExtension('checkFileHandle', {
        handle: 'h1',
        algorithms: 'sha256,md5',
        offset: 1,
        length: 2,
        blockLength: 0,
      }),
    ...data(encodeExtensionData('checkFileHandle', hash), hash),
    subject: "check-file-handle '/f'",
  },
  homeDirectory: {
    call: (client, options) => client.homeDirectory('me', options),
    expect: (peer) => peer.expectExtension('homeDirectory', { username: 'me' }),
    ...oneName,
    subject: "home-directory 'me'",
  },
  usersGroupsById: {
    call: (client, options) => client.usersGroupsById([0, 2 ** 32 - 1], [10], options),
    expect: (peer) => peer.expectExtension('usersGroupsById', { uids: [0, 2 ** 32 - 1], gids: [10] }),
    ...data(encodeExtensionData('usersGroupsById', owners), owners),
    subject: 'users-groups-by-id@openssh.com',
  },
};
