/**
 * A tree in memory as the server's root. Permissions count as they do for the owner of the files, so that
 * `chmod 0` gives "permission denied" even where the tests run as root.
 */
import type { AttributeValues } from '../../wire/attributes.js';
import type {
  Backend,
  BackendDirectory,
  BackendFile,
  BackendOpenOptions,
  FileSystemFigures,
} from './backend.js';
import { systemError } from './backend.js';
import { MemoryBudget, MemoryContent } from './memory-file.js';
import {
  attributesOfNode,
  type DirectoryNode,
  type FileNode,
  type MemoryNode,
  nodeBase,
  setNodeAttributes,
  touch,
} from './memory-nodes.js';
import { OpenMemoryDirectory, OpenMemoryFile, release } from './open-memory-file.js';
import { joinParts, type PathEntry, resolvePath } from './paths.js';

const READ = 0o400;
const WRITE = 0o200;
const SEARCH = 0o100;
const UMASK = 0o022;
const MAX_NODES = 1_000_000;
const BLOCK_LENGTH = 4096;

export class MemoryBackend implements Backend {
  readonly #root: DirectoryNode = { type: 'directory', entries: new Map(), ...nodeBase(0o755) };
  readonly #budget: MemoryBudget;
  #nodeCount = 1;

  /** @param capacity How many bytes of content fit in; then ENOSPC. */
  constructor(capacity: number) {
    this.#budget = new MemoryBudget(capacity);
  }

  open(path: Uint8Array, options: BackendOpenOptions): BackendFile {
    const parts = this.#parts(path, !(options.create && options.exclusive));
    const present = this.#find(parts);
    if (present !== undefined && options.create && options.exclusive) throw systemError('EEXIST');
    if (present === undefined && !options.create) throw systemError('ENOENT');
    if (present?.type === 'symlink') throw systemError('ELOOP');
    const isDirectory = present?.type === 'directory';
    if (isDirectory && (options.write || options.create)) throw systemError('EISDIR');
    if (present !== undefined && options.read) requireAccess(present, READ);
    if (isDirectory) {
      return new OpenMemoryDirectory(present, () => this.#figures());
    }
    if (present !== undefined && options.write) requireAccess(present, WRITE);
    const file = present ?? this.#createFile(parts, (options.mode ?? 0o666) & ~UMASK);
    if (options.truncate && options.write) file.content.truncate(0);
    return new OpenMemoryFile(file, options, () => this.#figures());
  }

  openDirectory(path: Uint8Array): BackendDirectory {
    const parts = this.#parts(path, true);
    const directory = this.#directory(parts);
    requireAccess(directory, READ);
    const parent = this.#find(parts.slice(0, -1)) ?? directory;
    const pending: (readonly [string, MemoryNode])[] = [
      ['.', directory],
      ['..', parent],
      ...directory.entries,
    ];
    let next = 0;
    return {
      read: (count) => {
        const page = pending.slice(next, next + count);
        next += page.length;
        return page.map(([name, node]) => ({
          name: Buffer.from(name, 'latin1'),
          attributes: attributesOfNode(node),
        }));
      },
    };
  }

  stat(path: Uint8Array): AttributeValues {
    return attributesOfNode(this.#node(path, true));
  }

  lstat(path: Uint8Array): AttributeValues {
    return attributesOfNode(this.#node(path, false));
  }

  setstat(path: Uint8Array, attributes: AttributeValues): void {
    const node = this.#node(path, true);
    if (attributes.size !== undefined) {
      if (node.type !== 'file') throw systemError('EISDIR');
      requireAccess(node, WRITE);
      node.content.truncate(attributes.size);
      touch(node);
    }
    setNodeAttributes(node, attributes);
  }

  lsetstat(path: Uint8Array, attributes: AttributeValues): void {
    if (attributes.size !== undefined) {
      throw systemError('EINVAL', 'A size cannot be set without following links');
    }
    const node = this.#node(path, false);
    if (node.type === 'symlink' && attributes.mode !== undefined) {
      throw systemError('EOPNOTSUPP', 'A symbolic link has no permissions of its own');
    }
    setNodeAttributes(node, attributes);
  }

  remove(path: Uint8Array): void {
    const parts = this.#parts(path, false);
    const node = this.#present(parts);
    if (node.type === 'directory') throw systemError('EISDIR');
    this.#detach(parts);
    if (node.type === 'file') release(node);
  }

  makeDirectory(path: Uint8Array, mode: number | undefined): void {
    const parts = this.#parts(path, false);
    if (this.#find(parts) !== undefined) throw systemError('EEXIST');
    this.#attach(parts, {
      type: 'directory',
      entries: new Map(),
      ...nodeBase((mode ?? 0o777) & ~UMASK),
    });
  }

  removeDirectory(path: Uint8Array): void {
    const parts = this.#belowRoot(path);
    const node = this.#present(parts);
    if (node.type !== 'directory') throw systemError('ENOTDIR');
    if (node.entries.size > 0) throw systemError('ENOTEMPTY');
    this.#detach(parts);
  }

  realpath(path: Uint8Array): Buffer {
    return joinParts(this.#parts(path, true));
  }

  rename(oldPath: Uint8Array, newPath: Uint8Array): void {
    const { type } = this.#present(this.#belowRoot(oldPath));
    const target = this.#belowRoot(newPath);
    // OpenSSH looks through a link that is in the way of a directory, or of another link.
    const present = type === 'file' ? this.#find(target) : this.#target(newPath);
    if (present !== undefined) throw systemError('EEXIST');
    this.replace(oldPath, newPath);
  }

  replace(oldPath: Uint8Array, newPath: Uint8Array): void {
    const source = this.#belowRoot(oldPath);
    const target = this.#belowRoot(newPath);
    const present = this.#find(target);
    const node = this.#present(source);
    if (present === node) return;
    if (node.type === 'directory' && isWithin(target, source)) throw systemError('EINVAL');
    if (present?.type === 'directory' && node.type !== 'directory') throw systemError('EISDIR');
    if (present !== undefined && present.type !== 'directory' && node.type === 'directory') {
      throw systemError('ENOTDIR');
    }
    if (present?.type === 'directory' && present.entries.size > 0) throw systemError('ENOTEMPTY');
    requireAccess(this.#directory(target.slice(0, -1)), WRITE);
    this.#detach(source);
    if (present !== undefined) this.#detach(target);
    if (present?.type === 'file') release(present);
    this.#attach(target, node);
  }

  symlink(target: Uint8Array, path: Uint8Array): void {
    if (target.length === 0) throw systemError('ENOENT');
    if (target.includes(0)) throw systemError('EINVAL', 'A path must not contain a NUL byte');
    const parts = this.#parts(path, false);
    if (this.#find(parts) !== undefined) throw systemError('EEXIST');
    this.#attach(parts, { type: 'symlink', target: Buffer.from(target), ...nodeBase(0o777) });
  }

  readlink(path: Uint8Array): Buffer {
    const node = this.#node(path, false);
    if (node.type !== 'symlink') throw systemError('EINVAL');
    return node.target;
  }

  link(oldPath: Uint8Array, newPath: Uint8Array): void {
    const node = this.#node(oldPath, false);
    const parts = this.#parts(newPath, false);
    if (this.#find(parts) !== undefined) throw systemError('EEXIST');
    if (node.type === 'directory') throw systemError('EPERM');
    this.#attach(parts, node);
    if (node.type === 'file') node.references += 1;
  }

  statvfs(path: Uint8Array): FileSystemFigures {
    this.#node(path, true);
    return this.#figures();
  }

  #figures(): FileSystemFigures {
    const free = BigInt(Math.floor(this.#budget.free / BLOCK_LENGTH));
    const freeNodes = BigInt(MAX_NODES - this.#nodeCount);
    return {
      blockSize: BigInt(BLOCK_LENGTH),
      fragmentSize: BigInt(BLOCK_LENGTH),
      blocks: BigInt(Math.floor(this.#budget.capacity / BLOCK_LENGTH)),
      freeBlocks: free,
      availableBlocks: free,
      files: BigInt(MAX_NODES),
      freeFiles: freeNodes,
      availableFiles: freeNodes,
      fileSystemId: 0n,
      flags: 0n,
      maxNameLength: 255n,
    };
  }

  /** `undefined`: the path leads to nothing. */
  #target(path: Uint8Array): MemoryNode | undefined {
    try {
      return this.#node(path, true);
    } catch {
      return undefined;
    }
  }

  #createFile(parts: readonly Buffer[], mode: number): FileNode {
    const content = new MemoryContent(this.#budget);
    const file: FileNode = { type: 'file', content, references: 1, ...nodeBase(mode) };
    this.#attach(parts, file);
    return file;
  }

  #parts(path: Uint8Array, followLast: boolean): Buffer[] {
    return resolvePath(path, (parts) => this.#look(parts), { followLast });
  }

  #belowRoot(path: Uint8Array): Buffer[] {
    const parts = this.#parts(path, false);
    if (parts.length === 0) throw systemError('EBUSY', 'The root cannot be moved or removed');
    return parts;
  }

  #look(parts: readonly Buffer[]): PathEntry | undefined {
    const node = this.#find(parts);
    if (node?.type === 'file') return { type: 'other' };
    return node;
  }

  #find(parts: readonly Buffer[]): MemoryNode | undefined {
    let node: MemoryNode | undefined = this.#root;
    for (const part of parts) {
      if (node?.type !== 'directory') return undefined;
      requireAccess(node, SEARCH);
      node = node.entries.get(key(part));
    }
    return node;
  }

  #present(parts: readonly Buffer[]): MemoryNode {
    const node = this.#find(parts);
    if (node === undefined) throw systemError('ENOENT');
    return node;
  }

  #node(path: Uint8Array, followLast: boolean): MemoryNode {
    return this.#present(this.#parts(path, followLast));
  }

  #directory(parts: readonly Buffer[]): DirectoryNode {
    const node = this.#present(parts);
    if (node.type !== 'directory') throw systemError('ENOTDIR');
    return node;
  }

  #attach(parts: readonly Buffer[], node: MemoryNode): void {
    const parent = this.#directory(parts.slice(0, -1));
    requireAccess(parent, WRITE);
    if (this.#nodeCount >= MAX_NODES) throw systemError('ENOSPC');
    parent.entries.set(key(parts.at(-1)), node);
    this.#nodeCount += 1;
    touch(parent);
  }

  #detach(parts: readonly Buffer[]): void {
    const parent = this.#directory(parts.slice(0, -1));
    requireAccess(parent, WRITE);
    parent.entries.delete(key(parts.at(-1)));
    this.#nodeCount -= 1;
    touch(parent);
  }
}

function key(part: Buffer | undefined): string {
  return part?.toString('latin1') ?? '';
}

function isWithin(parts: readonly Buffer[], ancestor: readonly Buffer[]): boolean {
  return ancestor.every((part, index) => parts[index]?.equals(part));
}

function requireAccess(node: MemoryNode, bit: number): void {
  if ((node.mode & bit) === 0) throw systemError('EACCES');
}
