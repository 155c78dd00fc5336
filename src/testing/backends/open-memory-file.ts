/** A file that is open in memory. */
import type { AttributeValues } from '../../wire/attributes.js';
import type { BackendFile, BackendOpenOptions, FileSystemFigures } from './backend.js';
import { systemError } from './backend.js';
import {
  attributesOfNode,
  type DirectoryNode,
  type FileNode,
  setNodeAttributes,
  touch,
} from './memory-nodes.js';

/** The content of a file lives until its last name and its last handle are gone. */
export function release(file: FileNode): void {
  file.references -= 1;
  if (file.references === 0) file.content.free();
}

export class OpenMemoryFile implements BackendFile {
  readonly #node: FileNode;
  readonly #options: BackendOpenOptions;
  readonly #figures: () => FileSystemFigures;

  constructor(node: FileNode, options: BackendOpenOptions, figures: () => FileSystemFigures) {
    node.references += 1;
    this.#node = node;
    this.#options = options;
    this.#figures = figures;
  }

  read(offset: number, length: number): Buffer {
    if (!this.#options.read) throw systemError('EBADF', 'The file is not open for reading');
    return this.#node.content.read(offset, length);
  }

  write(offset: number, pieces: readonly Buffer[]): void {
    if (!this.#options.write) throw systemError('EBADF', 'The file is not open for writing');
    let position = this.#options.append ? this.#node.content.size : offset;
    for (const piece of pieces) {
      this.#node.content.write(position, piece);
      position += piece.length;
    }
    touch(this.#node);
  }

  stat(): AttributeValues {
    return attributesOfNode(this.#node);
  }

  setstat(attributes: AttributeValues): void {
    if (attributes.size !== undefined) {
      if (!this.#options.write) throw systemError('EINVAL', 'The file is not open for writing');
      this.#node.content.truncate(attributes.size);
      touch(this.#node);
    }
    setNodeAttributes(this.#node, attributes);
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  statvfs(): FileSystemFigures {
    return this.#figures();
  }

  close(): void {
    release(this.#node);
  }
}

/** A directory may be opened as a file for reading, and then gives nothing but its attributes. */
export class OpenMemoryDirectory implements BackendFile {
  readonly #node: DirectoryNode;
  readonly #figures: () => FileSystemFigures;

  constructor(node: DirectoryNode, figures: () => FileSystemFigures) {
    this.#node = node;
    this.#figures = figures;
  }

  read(): Buffer {
    throw systemError('EISDIR');
  }

  write(): void {
    throw systemError('EBADF');
  }

  stat(): AttributeValues {
    return attributesOfNode(this.#node);
  }

  setstat(attributes: AttributeValues): void {
    if (attributes.size !== undefined) throw systemError('EINVAL');
    setNodeAttributes(this.#node, attributes);
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  statvfs(): FileSystemFigures {
    return this.#figures();
  }

  close(): void {}
}
