/** Whether a file takes the place of another. */

import { Window } from './engine/window.js';
import { type Cancellable, type FileInfo, type Place, unlessCode } from './file-system.js';
import { sftpTime } from './sftp-time.js';

/**
 * What happens to a file that exists already: it is always replaced, never, only by one that was changed later,
 * or only by one whose size or time differs.
 */
export type Overwrite = 'always' | 'never' | 'newer' | 'different';

export interface InPlaceOptions {
  /** Called when such a file has been opened, as from then on it is no longer what it was. */
  readonly note: (target: string) => void;
  readonly signal: AbortSignal | undefined;
  /** Throws where the target must not be written to. */
  readonly check?: (() => Promise<void>) | undefined;
}

/**
 * Writes in place what cannot be replaced. Files that exist are overwritten one at a time: a failure in the middle of that
 * harms no more than one.
 */
export class InPlace {
  /** A new file was refused a temporary name or its renaming, and so will others be. */
  refusesNew = false;
  readonly #options: InPlaceOptions;
  readonly #turn = new Window({ max: 1 });

  constructor(options: InPlaceOptions) {
    this.#options = options;
  }

  note({ fileSystem, path }: Place): void {
    this.#options.note(fileSystem.textOf(path));
  }

  async write<T>(write: () => Promise<T>, { isNew }: { readonly isNew: boolean }): Promise<T> {
    const { signal, check } = this.#options;
    this.refusesNew ||= isNew;
    await check?.();
    if (isNew) return write();
    return this.#turn.use(1, signal, write);
  }
}

/** Why a file is left as it is. */
export type KeepReason = 'EXISTS' | 'NOT_NEWER' | 'SAME';

export const KEEP_REASONS: Readonly<Record<KeepReason, string>> = {
  EXISTS: 'it exists already',
  NOT_NEWER: 'what is there is as new or newer',
  SAME: 'size and time are the same',
};

const RULES: Readonly<Record<Overwrite, (source: FileInfo, existing: FileInfo) => KeepReason | undefined>> = {
  always: () => undefined,
  never: () => 'EXISTS',
  // The time of a directory or a link tells nothing about a file.
  newer: (source, existing) => {
    if (existing.type !== 'file' && existing.type !== 'unknown') return undefined;
    const [ours, theirs] = [seconds(source), seconds(existing)];
    return ours !== undefined && theirs !== undefined && ours <= theirs ? 'NOT_NEWER' : undefined;
  },
  different: (source, existing) => (isSame(source, existing) ? 'SAME' : undefined),
};

/** A transfer that resumes does not copy again what is complete. */
export function ruleFor(
  overwrite: Overwrite = 'always',
  { resumes }: { readonly resumes: boolean },
): Overwrite {
  return overwrite === 'always' && resumes ? 'different' : overwrite;
}

/** Looks at what is there: the reason to leave it, or `undefined` where there is none, or nothing. */
export async function findReasonToKeep(
  source: FileInfo,
  { fileSystem, path }: Place,
  overwrite: Overwrite,
  { signal }: Cancellable,
): Promise<KeepReason | undefined> {
  const existing = await unlessCode(fileSystem.lstat(path, { signal }), 'ENOENT');
  return existing && reasonToKeep(source, existing, overwrite);
}

/** The reason to keep the existing file, or `undefined` if it will be replaced. */
function reasonToKeep(source: FileInfo, existing: FileInfo, overwrite: Overwrite): KeepReason | undefined {
  return RULES[overwrite](source, existing);
}

/** By size and time, to the second: SFTP tells no more. What nobody tells is not the same. */
function isSame(source: FileInfo, existing: FileInfo): boolean {
  const time = seconds(source);
  return (
    existing.type === 'file' &&
    source.size !== undefined &&
    source.size === existing.size &&
    time !== undefined &&
    time === seconds(existing)
  );
}

function seconds({ mtime }: FileInfo): number | undefined {
  return mtime === undefined ? undefined : sftpTime(mtime);
}
