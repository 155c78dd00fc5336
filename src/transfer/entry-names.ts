/** The names of a tree, judged by the file system that is to have them. */
import type { Buffer } from 'node:buffer';
import { SftpError } from '../errors.js';
import { printable } from '../printable.js';
import { quote } from '../remote-path.js';
import type { FileSystem } from './file-system.js';

/** The names of one directory. */
export class EntryNames {
  readonly #target: Pick<FileSystem, 'objectionTo' | 'identityOf'>;
  /** The directory, for people. */
  readonly #directory: string;
  readonly #taken = new Map<string, Buffer>();

  constructor(target: Pick<FileSystem, 'objectionTo' | 'identityOf'>, directory: string) {
    this.#target = target;
    this.#directory = directory;
  }

  /** Why an entry is refused: its name cannot be used, or is taken there for that of another entry. */
  refusalOf(name: Buffer): SftpError | undefined {
    const objection = this.#target.objectionTo(name);
    if (objection !== undefined) return this.#refusal('UNSAFE_NAME', name, `is refused: ${objection}`);
    const identity = this.#target.identityOf(name);
    const other = this.#taken.get(identity) ?? name;
    this.#taken.set(identity, other);
    if (other.equals(name)) return undefined;
    return this.#refusal('NAME_COLLISION', name, `is taken here for '${shown(other)}', which is there too`);
  }

  #refusal(code: string, name: Buffer, why: string): SftpError {
    return new SftpError(code, `The name '${shown(name)}' in ${quote(this.#directory)} ${why}`);
  }
}

function shown(name: Buffer): string {
  return printable(name.toString('utf8'), 300);
}
