/** Times and permissions of directories, which are set once their content is complete. */
import type { Buffer } from 'node:buffer';
import type { FileChanges, FileInfo, FileSystem } from './file-system.js';
import { TaskGroup } from './task-group.js';
import type { Window } from './window.js';

export interface DirectoryChangesOptions {
  readonly preserveMtime?: boolean | undefined;
  readonly preserveMode?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface DirectoryChange {
  readonly path: Buffer;
  readonly changes: FileChanges;
}

export class DirectoryChanges {
  readonly #fileSystem: FileSystem;
  readonly #options: DirectoryChangesOptions;
  readonly #byLevel = new Map<number, DirectoryChange[]>();

  constructor(fileSystem: FileSystem, options: DirectoryChangesOptions) {
    this.#fileSystem = fileSystem;
    this.#options = options;
  }

  /** What a directory, so many levels below the root, is to become. */
  note(path: Buffer, { mode, atime, mtime }: FileInfo, level: number): void {
    const { preserveMtime = false, preserveMode = false } = this.#options;
    if (!preserveMtime && !preserveMode) return;
    const permitted = mode === undefined ? undefined : this.#fileSystem.permitted(mode);
    const changes = {
      ...(preserveMode ? { mode: permitted } : {}),
      ...(preserveMtime ? { atime, mtime } : {}),
    };
    const ofLevel = this.#byLevel.get(level) ?? [];
    ofLevel.push({ path, changes });
    this.#byLevel.set(level, ofLevel);
  }

  /** From the bottom, as a directory's mode may forbid the way to those below. */
  async apply(
    slots: Window,
    guard: (path: Buffer, work: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { signal } = this.#options;
    for (const [, ofLevel] of [...this.#byLevel].sort(([left], [right]) => right - left)) {
      const tasks = new TaskGroup(signal);
      for (const { path, changes } of ofLevel) {
        await slots.acquire(1, tasks.signal);
        const change = () => this.#fileSystem.setAttributes(path, changes, { signal });
        tasks.add(guard(path, change).finally(() => slots.release(1)));
      }
      await tasks.settle();
    }
  }
}
