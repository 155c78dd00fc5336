/**
 * A file system in memory for tests of the transfers: every step can be held back, reordered, cut short or made
 * to fail, and what should never happen is noted in `violations`.
 */
import { Buffer } from 'node:buffer';
import type {
  Cancellable,
  DirectoryEntry,
  FileChanges,
  FileInfo,
  FileSystem,
  OpenTargetOptions,
  ReopenedFile,
  SourceFile,
  TargetFile,
} from '../../src/transfer/file-system.js';
import { identityOf, objectionTo } from '../../src/transfer/local/local-names.js';
import type { FileType } from '../../src/wire/attributes.js';

export interface Step {
  readonly kind:
    | 'stat'
    | 'lstat'
    | 'list'
    | 'openSource'
    | 'openTarget'
    | 'read'
    | 'write'
    | 'setAttributes'
    | 'closeSource'
    | 'closeTarget'
    | 'ensureDirectory'
    | 'realPath'
    | 'replace'
    | 'rename'
    | 'reopen'
    | 'newFile'
    | 'cut'
    | 'removeFile'
    | 'removeDirectory'
    | 'readLink'
    | 'makeLink';
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

export interface FakeOptions {
  readonly chunkLength?: number;
  readonly takesBlocks?: boolean;
  /** Of its source files. */
  readonly maxRequests?: number | undefined;
  readonly maxOpenFiles?: number;
  /** Of its target files: whether writes take effect in the order of the calls. */
  readonly isOrdered?: boolean;
  /** Awaited before the outcome of a step is told. */
  readonly gate?: (step: Step) => Promise<unknown>;
  /** What a step fails with instead of being done. */
  readonly fail?: (step: Step) => Error | undefined;
  /** How many of the bytes that are there a read gives, at least 1. */
  readonly readLength?: (available: number) => number;
  readonly platform?: NodeJS.Platform;
  /** What a listing tells beside what is there: names that no file can have. */
  readonly entries?: readonly DirectoryEntry[];
  /** Listings have no end: they fail once more than a million entries have been taken. */
  readonly isEndless?: boolean;
}

export interface Node {
  type: FileType;
  content: Buffer;
  mode: number;
  mtime: number;
  /** What a link leads to. */
  target?: string;
  /** Whose it is, and how many names it has. */
  uid?: number;
  links?: number;
  /** What is told in place of the true size. */
  size?: number | undefined;
}

export function errorWithCode(code: string, text = code): Error & { code: string } {
  return Object.assign(new Error(text), { code });
}

function* withoutEnd(): Generator<readonly DirectoryEntry[]> {
  const entry = { name: Buffer.from('x'), info: infoOf(directory()) };
  const batch = Array.from({ length: 50_000 }, () => entry);
  for (let count = 0; count < 1_050_000; count += batch.length) yield batch;
  throw errorWithCode('TOO_FAR', 'more than a million entries were taken');
}

export class FakeFileSystem implements FileSystem {
  readonly nodes = new Map<string, Node>([['/', directory()]]);
  readonly steps: Step[] = [];
  readonly violations: string[] = [];
  readonly chunkLength: { readonly read: number; readonly write: number };
  readonly takesBlocks: boolean;
  readonly maxOpenFiles: number;
  readonly options: FakeOptions;
  /** Whether what is left behind can be cleaned up. */
  isReachable = true;
  readonly isLocal = true;
  openFiles = 0;
  mostOpenFiles = 0;

  constructor(options: FakeOptions = {}) {
    const { chunkLength = 4, maxOpenFiles = 8, takesBlocks = false } = options;
    this.options = options;
    this.chunkLength = { read: chunkLength, write: chunkLength };
    this.maxOpenFiles = maxOpenFiles;
    this.takesBlocks = takesBlocks;
  }

  // For tests

  addFile(path: string, content: string | Uint8Array, more: Partial<Node> = {}): this {
    this.nodes.set(path, { type: 'file', content: Buffer.from(content), mode: 0o644, mtime: 1, ...more });
    return this;
  }

  addDirectory(path: string): this {
    this.nodes.set(path, directory());
    return this;
  }

  addLink(path: string, target: string): this {
    this.nodes.set(path, { ...directory(), type: 'symlink', target });
    return this;
  }

  addSpecial(path: string, type: FileType): this {
    this.nodes.set(path, { ...directory(), type });
    return this;
  }

  content(path: string): string | undefined {
    return this.nodes.get(path)?.content.toString('latin1');
  }

  get paths(): string[] {
    return [...this.nodes.keys()].sort();
  }

  stepsOf(kind: Step['kind']): Step[] {
    return this.steps.filter((step) => step.kind === kind);
  }

  /** Notes the step, waits for the gate, and fails where it is to fail. */
  async step(kind: Step['kind'], path: string, offset = 0, length = 0): Promise<void> {
    const step = { kind, path, offset, length };
    this.steps.push(step);
    await this.options.gate?.(step);
    const error = this.options.fail?.(step);
    if (error !== undefined) throw error;
  }

  // FileSystem

  textOf(path: Buffer): string {
    return path.toString('utf8');
  }

  join(parent: Buffer, name: Buffer): Buffer {
    return Buffer.concat([parent, Buffer.from(parent.at(-1) === 0x2f ? '' : '/'), name]);
  }

  split(path: Buffer): { directory: Buffer; name: Buffer } {
    const at = path.lastIndexOf('/');
    return { directory: path.subarray(0, Math.max(1, at)), name: path.subarray(at + 1) };
  }

  objectionTo(name: Buffer): string | undefined {
    return objectionTo(name, this.options.platform ?? 'linux');
  }

  identityOf(name: Buffer): string {
    return identityOf(name, this.options.platform ?? 'linux');
  }

  permitted(mode: number): number {
    return mode & 0o755;
  }

  async stat(path: Buffer, { signal }: Cancellable): Promise<FileInfo> {
    signal?.throwIfAborted();
    await this.step('stat', key(path));
    return infoOf(this.#find(key(path)));
  }

  async lstat(path: Buffer, { signal }: Cancellable): Promise<FileInfo> {
    signal?.throwIfAborted();
    await this.step('lstat', key(path));
    return infoOf(this.#findItself(key(path)));
  }

  async *list(path: Buffer, { signal }: Cancellable): AsyncGenerator<readonly DirectoryEntry[]> {
    signal?.throwIfAborted();
    this.#open();
    try {
      await this.step('list', key(path));
    } finally {
      // As a disk and a server do: a directory has been closed before its first entry is given.
      this.openFiles -= 1;
    }
    if (this.options.entries !== undefined) yield this.options.entries;
    if (this.options.isEndless && key(path) === '/') yield* withoutEnd();
    const parent = this.#resolve(key(path));
    const prefix = parent === '/' ? '/' : `${parent}/`;
    for (const [child, node] of this.nodes) {
      if (child === '/' || !child.startsWith(prefix) || child.slice(prefix.length).includes('/')) continue;
      yield [{ name: Buffer.from(child.slice(prefix.length), 'latin1'), info: infoOf(node) }];
    }
  }

  async openSource(path: Buffer, { signal }: Cancellable): Promise<SourceFile> {
    signal?.throwIfAborted();
    await this.step('openSource', key(path));
    const node = this.#find(key(path));
    if (node.type !== 'file') throw errorWithCode('EISDIR');
    this.#open();
    return new FakeSource(this, key(path), node);
  }

  async openTarget(
    path: Buffer,
    { signal, exclusive = false, keep = 0 }: OpenTargetOptions,
  ): Promise<TargetFile> {
    signal?.throwIfAborted();
    await this.step('openTarget', key(path));
    if (exclusive && this.nodes.has(key(path))) throw errorWithCode('EEXIST');
    const existing = this.nodes.get(key(path));
    if (existing?.type === 'directory') throw errorWithCode('EISDIR');
    const node = existing ?? { type: 'file', content: Buffer.alloc(0), mode: 0o600, mtime: 0 };
    node.content = node.content.subarray(0, keep);
    this.nodes.set(key(path), node);
    this.#open();
    return new FakeTarget(this, key(path), node);
  }

  async ensureDirectory(path: Buffer): Promise<boolean> {
    await this.step('ensureDirectory', key(path));
    const existing = this.nodes.get(key(path));
    if (existing === undefined) this.nodes.set(key(path), directory());
    else if (existing.type !== 'directory') throw errorWithCode('ENOTDIR');
    return existing === undefined;
  }

  async realPath(path: Buffer): Promise<Buffer> {
    await this.step('realPath', key(path));
    return Buffer.from(this.#resolve(key(path)), 'latin1');
  }

  async replace(from: Buffer, to: Buffer): Promise<void> {
    await this.step('replace', key(from));
    const node = this.nodes.get(key(from));
    if (node === undefined) throw errorWithCode('ENOENT');
    this.nodes.delete(key(from));
    this.nodes.set(key(to), node);
  }

  async rename(from: Buffer, to: Buffer): Promise<void> {
    await this.step('rename', key(from));
    const node = this.nodes.get(key(from));
    if (node === undefined) throw errorWithCode('ENOENT');
    if (this.nodes.has(key(to))) throw errorWithCode('EEXIST');
    this.nodes.delete(key(from));
    this.nodes.set(key(to), node);
  }

  async reopen(path: Buffer): Promise<ReopenedFile | undefined> {
    await this.step('reopen', key(path));
    const node = this.nodes.get(key(path));
    if (node?.type !== 'file') return undefined;
    this.#open();
    return new FakeReopened(this, key(path), node);
  }

  async newFile(path: Buffer): Promise<FileInfo> {
    await this.step('newFile', key(path));
    const nowS = Date.now() / 1000;
    return { type: 'file', size: 0, mode: 0o644, atime: nowS, mtime: nowS };
  }

  async isReservedFor(): Promise<boolean> {
    return true;
  }

  async setAttributes(path: Buffer, { mode, mtime }: FileChanges): Promise<undefined> {
    await this.step('setAttributes', key(path));
    const node = this.#find(key(path));
    if (mode !== undefined) node.mode = mode;
    if (mtime !== undefined) node.mtime = mtime;
  }

  async removeFile(path: Buffer): Promise<void> {
    await this.step('removeFile', key(path));
    if (this.nodes.get(key(path))?.type === 'directory') throw errorWithCode('EISDIR');
    if (!this.nodes.delete(key(path))) throw errorWithCode('ENOENT');
  }

  async removeDirectory(path: Buffer): Promise<void> {
    await this.step('removeDirectory', key(path));
    const node = this.#findItself(key(path));
    if (node.type !== 'directory') throw errorWithCode('ENOTDIR');
    if (this.paths.some((other) => other.startsWith(`${key(path)}/`))) throw errorWithCode('ENOTEMPTY');
    this.nodes.delete(key(path));
  }

  async readLink(path: Buffer): Promise<Buffer> {
    await this.step('readLink', key(path));
    const { target } = this.#findItself(key(path));
    if (target === undefined) throw errorWithCode('EINVAL');
    return Buffer.from(target, 'latin1');
  }

  async makeLink(target: Buffer, path: Buffer): Promise<void> {
    await this.step('makeLink', key(path));
    if (this.nodes.has(key(path))) throw errorWithCode('EEXIST');
    this.addLink(key(path), target.toString('latin1'));
  }

  #open(): void {
    this.openFiles += 1;
    this.mostOpenFiles = Math.max(this.mostOpenFiles, this.openFiles);
  }

  #resolve(path: string, depth = 0): string {
    if (depth > 20) throw errorWithCode('ELOOP');
    if (path === '/' || path === '') return '/';
    const at = path.lastIndexOf('/');
    const parent = this.#resolve(path.slice(0, at), depth);
    const own = `${parent === '/' ? '' : parent}/${path.slice(at + 1)}`;
    const { target } = this.nodes.get(own) ?? {};
    return target === undefined ? own : this.#resolve(target, depth + 1);
  }

  #find(path: string): Node {
    return this.#findItself(this.#resolve(path));
  }

  #findItself(path: string): Node {
    const node = this.nodes.get(path);
    if (node === undefined) throw errorWithCode('ENOENT');
    return node;
  }
}

class FakeSource implements SourceFile {
  readonly info: FileInfo;
  readonly maxRequests: number | undefined;
  readonly #system: FakeFileSystem;
  readonly #path: string;
  readonly #node: Node;
  #isOpen = true;

  constructor(system: FakeFileSystem, path: string, node: Node) {
    this.#system = system;
    this.#path = path;
    this.#node = node;
    this.info = infoOf(node);
    this.maxRequests = system.options.maxRequests;
  }

  async read(offset: number, length: number, { signal }: Cancellable): Promise<readonly Buffer[] | null> {
    signal?.throwIfAborted();
    const { violations, options, chunkLength } = this.#system;
    if (!this.#isOpen) violations.push(`read of ${this.#path} after close`);
    if (length < 1 || (length > chunkLength.read && !this.#system.takesBlocks))
      violations.push(`read of ${length} bytes`);
    await this.#system.step('read', this.#path, offset, length);
    const available = Math.min(length, this.#node.content.length - offset);
    if (available <= 0) return null;
    const count = options.readLength?.(available) ?? available;
    const bytes = Buffer.from(this.#node.content.subarray(offset, offset + count));
    // In two pieces, as packets are cut in two by the chunks in which they come.
    return count < 2 ? [bytes] : [bytes.subarray(0, 1), bytes.subarray(1)];
  }

  async close(): Promise<void> {
    if (!this.#isOpen) this.#system.violations.push(`${this.#path} closed twice`);
    this.#isOpen = false;
    this.#system.openFiles -= 1;
    await this.#system.step('closeSource', this.#path);
  }
}

class FakeReopened implements ReopenedFile {
  readonly info: FileInfo;
  readonly links: number | undefined;
  readonly content: SourceFile;
  readonly #system: FakeFileSystem;
  readonly #node: Node;
  #isTaken = false;

  constructor(system: FakeFileSystem, path: string, node: Node) {
    this.#system = system;
    this.#node = node;
    this.links = node.links;
    this.content = new FakeSource(system, path, node);
    this.info = this.content.info;
  }

  async isAt(path: Buffer): Promise<boolean> {
    return this.#system.nodes.get(key(path)) === this.#node;
  }

  async writeFrom(path: Buffer, bytes: number): Promise<TargetFile> {
    await this.#system.step('cut', key(path), bytes);
    this.#node.content = this.#node.content.subarray(0, bytes);
    this.#isTaken = true;
    return new FakeTarget(this.#system, key(path), this.#node);
  }

  async close(): Promise<void> {
    if (!this.#isTaken) this.#system.openFiles -= 1;
    this.#isTaken = true;
  }
}

class FakeTarget implements TargetFile {
  readonly isOrdered: boolean;
  readonly #system: FakeFileSystem;
  readonly #path: string;
  readonly #node: Node;
  #isOpen = true;
  #writing = 0;
  #lastOffset = -1;

  constructor(system: FakeFileSystem, path: string, node: Node) {
    this.#system = system;
    this.#path = path;
    this.#node = node;
    this.isOrdered = system.options.isOrdered ?? false;
  }

  async write(offset: number, pieces: readonly Buffer[], { signal }: Cancellable): Promise<void> {
    signal?.throwIfAborted();
    const { violations, chunkLength } = this.#system;
    const bytes = Buffer.concat(pieces);
    if (!this.#isOpen) violations.push(`write to ${this.#path} after close`);
    if (bytes.length < 1 || (bytes.length > chunkLength.write && !this.#system.takesBlocks))
      violations.push(`write of ${bytes.length}`);
    if (offset <= this.#lastOffset) violations.push(`write at ${offset} after ${this.#lastOffset}`);
    this.#lastOffset = offset;
    this.#writing += 1;
    if (this.isOrdered && this.#failure('write', offset, bytes.length) === undefined)
      this.#put(offset, bytes);
    try {
      await this.#system.step('write', this.#path, offset, bytes.length);
      if (!this.isOrdered) this.#put(offset, bytes);
    } finally {
      this.#writing -= 1;
    }
  }

  async setAttributes({ mode, mtime }: FileChanges): Promise<void> {
    if (!this.#isOpen) this.#system.violations.push(`attributes of ${this.#path} after close`);
    await this.#system.step('setAttributes', this.#path);
    if (mode !== undefined) this.#node.mode = mode;
    if (mtime !== undefined) this.#node.mtime = mtime;
  }

  async close(): Promise<void> {
    if (!this.#isOpen) this.#system.violations.push(`${this.#path} closed twice`);
    if (this.#writing > 0 && !this.isOrdered) {
      this.#system.violations.push(`${this.#path} closed while it was written`);
    }
    this.#isOpen = false;
    this.#system.openFiles -= 1;
    await this.#system.step('closeTarget', this.#path);
  }

  #failure(kind: Step['kind'], offset: number, length: number): Error | undefined {
    return this.#system.options.fail?.({ kind, path: this.#path, offset, length });
  }

  #put(offset: number, bytes: Buffer): void {
    const content = Buffer.alloc(Math.max(this.#node.content.length, offset + bytes.length));
    this.#node.content.copy(content);
    bytes.copy(content, offset);
    this.#node.content = content;
  }
}

function directory(): Node {
  return { type: 'directory', content: Buffer.alloc(0), mode: 0o755, mtime: 1 };
}

function infoOf(node: Node): FileInfo {
  const size = 'size' in node ? node.size : node.content.length;
  return {
    type: node.type,
    size,
    mode: node.mode,
    atime: node.mtime,
    mtime: node.mtime,
    uid: node.uid,
    gid: node.uid,
  };
}

function key(path: Buffer): string {
  return path.toString('latin1');
}
