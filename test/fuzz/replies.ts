/** Random packets of the protocol, valid and almost valid. */
import { Buffer } from 'node:buffer';
import { type AttributeValues, typeBits } from '../../src/wire/attributes.js';
import { ByteWriter } from '../../src/wire/bytes.js';
import { encodeReply, encodeRequest } from '../../src/wire/codec.js';
import { extensions } from '../../src/wire/extensions.js';
import type { ReplyFields, ReplyName, RequestFields, RequestName } from '../../src/wire/packets.js';
import type { Random } from './random.js';

export function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return Buffer.concat(writer.take());
}

const TYPES = ['file', 'directory', 'symlink', 'fifo', 'socket', 'block-device', 'unknown'] as const;

function someAttributes(random: Random): AttributeValues {
  const type = random.chance(75) ? random.pick(['file', 'directory'] as const) : random.pick(TYPES);
  return {
    ...(random.chance(70) && { size: random.pick([0, 1, 5, 100, 40_000, Number.MAX_SAFE_INTEGER]) }),
    ...(random.chance(80) && { mode: typeBits(type) | random.below(0o10000) }),
    ...(random.chance(40) && { uid: random.uint32(), gid: random.uint32() }),
    ...(random.chance(40) && { atime: random.uint32(), mtime: random.uint32() }),
    ...(random.chance(5) && { extended: [[random.bytes(8), random.bytes(8)] as const] }),
  };
}

const replies: { readonly [N in ReplyName]: (random: Random) => ReplyFields<N> } = {
  status: (random) => ({
    status: random.chance(60) ? random.below(9) : random.uint32(),
    message: random.chance(80) ? 'no' : random.bytes(40).toString('latin1'),
    language: '',
  }),
  handle: (random) => ({ handle: random.chance(95) ? Buffer.from('h') : random.bytes(256) }),
  data: (random) => ({ data: [random.bytes(random.chance(90) ? 64 : 2000)] }),
  name: (random) => ({
    names: Array.from({ length: random.below(5) }, () => {
      const filename = random.name();
      const longname = random.chance(50) ? Buffer.from('drwxr-xr-x 1 me') : random.bytes(20);
      return { filename, longname, attributes: someAttributes(random) };
    }),
  }),
  attrs: (random) => ({ attributes: someAttributes(random) }),
  extendedReply: (random) => ({
    data: random.chance(60) ? Buffer.alloc(32, random.below(256)) : random.bytes(100),
  }),
};

export function someReply(random: Random, name: ReplyName, id: number): Buffer {
  return written((writer) => encodeReply(writer, id, name, replies[name](random) as never));
}

export const replyNames = Object.keys(replies) as ReplyName[];

const somePath = (random: Random) =>
  random.chance(80) ? Buffer.concat([Buffer.from('/'), random.name()]) : random.bytes(30);
const handle = (random: Random) => {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(random.below(6));
  return random.chance(80) ? value : random.bytes(20);
};

const requests: { readonly [N in RequestName]: (random: Random) => RequestFields<N> } = {
  open: (random) => ({ path: somePath(random), flags: random.below(64), attributes: someAttributes(random) }),
  close: (random) => ({ handle: handle(random) }),
  read: (random) => ({ handle: handle(random), offset: random.uint32(), length: random.uint32() }),
  write: (random) => ({ handle: handle(random), offset: random.below(1000), data: [random.bytes(100)] }),
  lstat: (random) => ({ path: somePath(random) }),
  fstat: (random) => ({ handle: handle(random) }),
  setstat: (random) => ({ path: somePath(random), attributes: someAttributes(random) }),
  fsetstat: (random) => ({ handle: handle(random), attributes: someAttributes(random) }),
  opendir: (random) => ({ path: somePath(random) }),
  readdir: (random) => ({ handle: handle(random) }),
  remove: (random) => ({ path: somePath(random) }),
  mkdir: (random) => ({ path: somePath(random), attributes: someAttributes(random) }),
  rmdir: (random) => ({ path: somePath(random) }),
  realpath: (random) => ({ path: somePath(random) }),
  stat: (random) => ({ path: somePath(random) }),
  rename: (random) => ({ oldPath: somePath(random), newPath: somePath(random) }),
  readlink: (random) => ({ path: somePath(random) }),
  symlink: (random) => ({ targetPath: somePath(random), linkPath: somePath(random) }),
  extended: (random) => ({
    name: random.pick(Object.values(extensions)).name,
    data: random.chance(50)
      ? Buffer.concat([0, 1].flatMap(() => [Buffer.from([0, 0, 0, 2]), Buffer.from('/a')]))
      : random.bytes(40),
  }),
};

const requestNames = Object.keys(requests) as RequestName[];

export function someRequest(random: Random, id: number): Buffer {
  const name = random.pick(requestNames);
  return written((writer) => encodeRequest(writer, id, name, requests[name](random) as never));
}
