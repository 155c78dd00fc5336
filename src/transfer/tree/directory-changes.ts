/** Times and permissions of directories, which are set once their content is complete. */
import type { Buffer } from 'node:buffer';
import { forEachLimited } from '../../shared/promises.js';
import type { Window } from '../engine/window.js';
import type { FileChanges, FileInfo, FileSystem } from '../file-system.js';

export interface DirectoryChangesOptions {
  readonly preserveMtime?: boolean | undefined;
  readonly preserveMode?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface DirectoryChange {
  readonly from: Buffer;
  readonly to: Buffer;
  readonly changes: FileChanges;
}

interface Application {
  readonly slots: Window;
  readonly guard: (path: Buffer, work: () => Promise<void>) => Promise<void>;
  /** Called with the path of the source. */
  readonly onRefusal: (path: Buffer, error: Error) => void;
}

interface CopiedDirectory {
  readonly from: Buffer;
  readonly to: Buffer;
  /** Of the one that it comes from. */
  readonly info: FileInfo;
  readonly level: number;
}

export class DirectoryChanges {
  readonly #fileSystem: FileSystem;
  readonly #options: DirectoryChangesOptions;
  readonly #byLevel = new Map<number, DirectoryChange[]>();

  constructor(fileSystem: FileSystem, options: DirectoryChangesOptions) {
    this.#fileSystem = fileSystem;
    this.#options = options;
  }

  /** What a directory, so many levels below the root, is to become: as the one that it comes from. */
  note({ from, to, info, level }: CopiedDirectory): void {
    const { mode, atime, mtime } = info;
    const { preserveMtime = false, preserveMode = false } = this.#options;
    if (!preserveMtime && !preserveMode) return;
    const permitted = mode === undefined ? undefined : this.#fileSystem.permitted(mode);
    const changes = {
      ...(preserveMode ? { mode: permitted } : {}),
      ...(preserveMtime ? { atime, mtime } : {}),
    };
    const ofLevel = this.#byLevel.get(level) ?? [];
    ofLevel.push({ from, to, changes });
    this.#byLevel.set(level, ofLevel);
  }

  /** From the bottom, as a directory's mode may forbid the way to those below. */
  async apply({ slots, guard, onRefusal }: Application): Promise<void> {
    const { signal } = this.#options;
    for (const [, ofLevel] of [...this.#byLevel].sort(([left], [right]) => right - left)) {
      const apply = ({ from, to, changes }: DirectoryChange) =>
        guard(from, async () => {
          const refusal = await this.#fileSystem.setAttributes(to, changes, { signal });
          if (refusal !== undefined) onRefusal(from, refusal);
        });
      await forEachLimited(ofLevel, slots.max, apply, { signal });
    }
  }
}
