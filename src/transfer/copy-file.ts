/** One file from one file system to another: whole, or not at all where the copy is atomic. */
import type { Buffer } from 'node:buffer';
import { ContentCopy } from './copy-content.js';
import { explainFailure, sizeMismatch, sourceChanged, vanished } from './copy-failure.js';
import {
  type FileChanges,
  type FileInfo,
  isMissing,
  type Place,
  type SourceFile,
  type SourcePlace,
  type TargetPlace,
} from './file-system.js';
import { UNKNOWN_INFO } from './memory.js';
import { existingFile, temporaryPath } from './temporary-file.js';
import type { Window } from './window.js';

export interface CopyOptions<Confirmation extends Sized = Sized> {
  readonly window: Window;
  readonly signal?: AbortSignal | undefined;
  /** Where it is not atomic: writes through no link that lies in the target's place. */
  readonly refuseLink?: boolean | undefined;
  /** Asks what has arrived under a path; its size must agree. Left out: the target's word is enough. */
  readonly confirm?: ((path: Buffer) => Promise<Confirmation>) | undefined;
  readonly preserveMtime?: boolean | undefined;
  /** What the source is, where a listing has told it already. */
  readonly known?: FileInfo | undefined;
  /** Takes the closing of the source, where nobody need wait for it. */
  readonly inBackground?: ((closing: Promise<void>) => void) | undefined;
  /** Called at least once, the last time with `transferred === total`. */
  readonly onProgress?: ((transferred: number, total: number) => void) | undefined;
}

export interface CopyFileOptions<Confirmation extends Sized = Sized> extends CopyOptions<Confirmation> {
  /** Write under a temporary name in the same directory, and rename when all is there. */
  readonly atomic: boolean;
  /** Nothing is in the target's place, as its directory is new. */
  readonly isFree?: boolean | undefined;
}

/** A size that nobody tells is `undefined`, and no mismatch. */
interface Sized {
  readonly size: number | undefined;
}

export interface CopiedFile<Confirmation> {
  readonly bytes: number;
  readonly confirmation: Confirmation | undefined;
}

/**
 * Copies one regular file.
 *
 * @throws TransferError where content could not be read or written, or where sizes do not agree. An atomic
 *   copy then leaves the target as it was, and nothing beside it.
 */
export async function copyFile<Confirmation extends Sized>(
  source: SourcePlace,
  target: Place,
  options: CopyFileOptions<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  if (!options.atomic) return copyDirectly(source, target, options);
  const isFree = options.isFree ?? false;
  return withSource(source, options, (file) => copyAside(target, isFree, { source, target, file, options }));
}

/** As {@link copyFile} where it is not atomic; the target need not be a file system's. */
export async function copyDirectly<Confirmation extends Sized>(
  source: SourcePlace,
  target: TargetPlace,
  options: CopyOptions<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  return withSource(source, options, (file) =>
    copyTo(target.path, async () => ({}), { source, target, file, options }),
  );
}

async function withSource<T>(
  { fileSystem, path }: SourcePlace,
  { signal, known, inBackground }: Pick<CopyOptions, 'signal' | 'known' | 'inBackground'>,
  copy: (file: SourceFile) => Promise<T>,
): Promise<T> {
  const file = await fileSystem.openSource(path, { signal, known });
  try {
    return await copy(file);
  } finally {
    const closing = file.close({ signal });
    if (inBackground === undefined) await closing;
    else inBackground(closing);
  }
}

interface Copy<Confirmation extends Sized> {
  readonly source: SourcePlace;
  readonly target: TargetPlace;
  readonly file: SourceFile;
  readonly options: CopyOptions<Confirmation>;
}

async function copyAside<Confirmation extends Sized>(
  target: Place,
  isFree: boolean,
  copy: Copy<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  const { fileSystem, path } = target;
  const temporary = temporaryPath(target);
  const findMode = async () => {
    const existing = isFree ? undefined : await existingFile(copy.source, target, copy.options.signal);
    return { mode: existing?.mode };
  };
  try {
    const copied = await copyTo(temporary, findMode, copy);
    await fileSystem.replace(temporary, path);
    return copied;
  } catch (error) {
    await fileSystem.removeFile(temporary, { signal: copy.options.signal }).catch(() => {});
    throw error;
  }
}

/** @param prepare runs before the target is opened, and tells what to set on it */
async function copyTo<Confirmation extends Sized>(
  path: Buffer,
  prepare: () => Promise<FileChanges>,
  copy: Copy<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  const { source, target, file, options } = copy;
  const { window, signal, confirm, preserveMtime = false } = options;
  const exclusive = path !== target.path;
  const { atime, mtime, size } = file.info;
  const attributes: { -readonly [K in keyof FileChanges]: FileChanges[K] } = preserveMtime
    ? { atime, mtime }
    : {};
  const open = async () => {
    Object.assign(attributes, await prepare());
    return target.fileSystem.openTarget(path, { signal, exclusive, refuseLink: options.refuseLink, size });
  };
  const opening = open();
  opening.catch(() => {});
  if (source.readsOnce) await opening;
  const report = progressReport(options.onProgress, file.info.size ?? 0);
  let closing: Promise<void> | undefined;
  let confirming: Promise<Confirmation | undefined> = Promise.resolve(undefined);

  const content = new ContentCopy(file, opening, {
    chunkLength: Math.min(source.fileSystem.chunkLength.read, target.fileSystem.chunkLength.write),
    window,
    signal,
    onProgress: report.advance,
    finish: async (targetFile) => {
      const changing = targetFile.setAttributes(attributes, { signal });
      if (!targetFile.isOrdered) await changing;
      closing = targetFile.close({ signal });
      // It follows the CLOSE at once; should it overtake it, it is asked again below.
      if (confirm !== undefined) confirming = confirm(path).catch(() => undefined);
      await Promise.all([changing, closing]);
    },
  });
  let bytes: number;
  try {
    bytes = await content.run();
    report.complete(bytes);
  } catch (error) {
    const opened = await opening.catch(() => undefined);
    if (opened === undefined) throw error;
    await (closing ?? opened.close({ signal })).catch(() => {});
    throw explainFailure(error, source, target, content.contiguousBytes, signal);
  }
  if (size !== undefined && size !== 0 && bytes !== size) throw sourceChanged(source, target, bytes, size);
  if (confirm === undefined) return { bytes, confirmation: undefined };
  return { bytes, confirmation: await confirmed(bytes, path, await confirming, copy) };
}

/** Reports every advance once, and the end also where nothing was to be copied. */
function progressReport(onProgress: CopyOptions['onProgress'], size: number) {
  let isComplete = false;
  const report = (bytes: number, total: number) => {
    isComplete = bytes === total;
    onProgress?.(bytes, total);
  };
  return {
    advance: (bytes: number) => report(bytes, Math.max(bytes, size)),
    complete: (bytes: number) => {
      if (!isComplete) report(bytes, bytes);
    },
  };
}

/** Asks once more where the early answer does not agree: it may stem from before the end. */
async function confirmed<Confirmation extends Sized>(
  bytes: number,
  path: Buffer,
  early: Confirmation | undefined,
  { source, target, options }: Copy<Confirmation>,
): Promise<Confirmation | undefined> {
  const agrees = ({ size }: Confirmation) => size === undefined || size === bytes;
  if (early !== undefined && agrees(early)) return early;
  let late: Confirmation | undefined;
  try {
    late = await options.confirm?.(path);
  } catch (error) {
    throw isMissing(error) ? vanished(source, target, bytes, error) : error;
  }
  if (late === undefined || agrees(late)) return late;
  if (late.size === 0 && (await endsAt(bytes, { ...target, path }, options.signal))) return late;
  throw sizeMismatch(source, target, bytes, late.size);
}

/** There are servers on which every file has the size 0: then the last byte tells, and that none follows it. */
async function endsAt(
  bytes: number,
  { fileSystem, path }: TargetPlace,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    const file = await fileSystem.openSource?.(path, { signal, known: UNKNOWN_INFO });
    if (file === undefined) return false;
    try {
      const found = await file.read(bytes - 1, 2, { signal });
      return found?.reduce((sum, piece) => sum + piece.length, 0) === 1;
    } finally {
      await file.close({ signal });
    }
  } catch {
    return false;
  }
}
