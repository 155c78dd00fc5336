/** What a tree in memory is made of. */
import type { AttributeValues } from '../../wire/attributes.js';
import { typeBits } from '../../wire/attributes.js';
import type { MemoryContent } from './memory-file.js';

interface NodeBase {
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970. */
  atime: number;
  mtime: number;
}

export interface FileNode extends NodeBase {
  readonly type: 'file';
  readonly content: MemoryContent;
  /** Names and open handles that keep the content alive. */
  references: number;
}

export interface DirectoryNode extends NodeBase {
  readonly type: 'directory';
  /** By name, one character per byte. */
  readonly entries: Map<string, MemoryNode>;
}

interface LinkNode extends NodeBase {
  readonly type: 'symlink';
  readonly target: Buffer;
}

export type MemoryNode = FileNode | DirectoryNode | LinkNode;

/** Whose files they are: everything belongs to the one who logs in. */
export const OWNER = { uid: 1000, gid: 1000 };

export function nodeBase(mode: number): NodeBase {
  const now = Math.floor(Date.now() / 1000);
  return { mode: mode & 0o7777, ...OWNER, atime: now, mtime: now };
}

export function attributesOfNode(node: MemoryNode): AttributeValues {
  const { uid, gid, atime, mtime } = node;
  return { size: sizeOf(node), uid, gid, mode: typeBits(node.type) | node.mode, atime, mtime };
}

function sizeOf(node: MemoryNode): number {
  if (node.type === 'file') return node.content.size;
  return node.type === 'symlink' ? node.target.length : 4096;
}

export function setNodeAttributes(node: MemoryNode, { mode, uid, gid, atime, mtime }: AttributeValues): void {
  if (mode !== undefined) node.mode = mode & 0o7777;
  if (uid !== undefined && gid !== undefined) {
    node.uid = uid;
    node.gid = gid;
  }
  if (atime !== undefined && mtime !== undefined) {
    node.atime = atime;
    node.mtime = mtime;
  }
}

export function touch(node: MemoryNode): void {
  node.mtime = Math.floor(Date.now() / 1000);
}
