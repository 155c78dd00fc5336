/** The names of a tree, judged by the file system that is to have them. */
import { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import { NameSet } from '../../shared/name-set.js';
import { printable } from '../../shared/printable.js';
import { quote } from '../../shared/remote-path.js';
import type { FileSystem } from '../file-system.js';

/** The names of one directory. */
export class EntryNames {
  readonly #target: Pick<FileSystem, 'objectionTo' | 'identityOf'>;
  /** The directory, for people. */
  readonly #directory: string;
  readonly #taken = new NameSet();
  /** Of the names that are not spelt as what they are known by. */
  readonly #spellings = new Map<string, Buffer>();

  constructor(target: Pick<FileSystem, 'objectionTo' | 'identityOf'>, directory: string) {
    this.#target = target;
    this.#directory = directory;
  }

  /**
   * Why an entry is refused: its name cannot be used, or is taken there for that of another entry. `repeated`: the listing
   * has had the same name before, and so the same entry.
   */
  objectionTo(name: Buffer): SftpError | 'repeated' | undefined {
    const objection = this.#target.objectionTo(name);
    if (objection !== undefined) return this.#refusal('UNSAFE_NAME', name, `is refused: ${objection}`);
    const identity = this.#target.identityOf(name);
    if (this.#taken.add(Buffer.from(identity, 'utf8'))) {
      if (identity !== name.toString('latin1')) this.#spellings.set(identity, name);
      return undefined;
    }
    const other = this.#spellings.get(identity) ?? Buffer.from(identity, 'latin1');
    if (other.equals(name)) return 'repeated';
    return this.#refusal('NAME_COLLISION', name, `is taken here for '${shown(other)}', which is there too`);
  }

  #refusal(code: string, name: Buffer, why: string): SftpError {
    return new SftpError(code, `The name '${shown(name)}' in ${quote(this.#directory)} ${why}`);
  }
}

function shown(name: Buffer): string {
  return printable(name.toString('utf8'), 300);
}
