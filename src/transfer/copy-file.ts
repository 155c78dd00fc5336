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
  /** Called at least once, the last time with `transferred === total`. */
  readonly onProgress?: ((transferred: number, total: number) => void) | undefined;
}

export interface CopyFileOptions<Confirmation extends Sized = Sized> extends CopyOptions<Confirmation> {
  /** Write under a temporary name in the same directory, and rename when all is there. */
  readonly atomic: boolean;
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
  return withSource(source, options, (file) => copyAside(target, { source, target, file, options }));
}

/** As {@link copyFile} where it is not atomic; the target need not be a file system's. */
export async function copyDirectly<Confirmation extends Sized>(
  source: SourcePlace,
  target: TargetPlace,
  options: CopyOptions<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  return withSource(source, options, (file) => copyTo(target.path, {}, { source, target, file, options }));
}

async function withSource<T>(
  { fileSystem, path }: SourcePlace,
  { signal, known }: Pick<CopyOptions, 'signal' | 'known'>,
  copy: (file: SourceFile) => Promise<T>,
): Promise<T> {
  const file = await fileSystem.openSource(path, { signal, known });
  try {
    return await copy(file);
  } finally {
    await file.close({ signal });
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
  copy: Copy<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  const { fileSystem, path } = target;
  const existing = await existingFile(copy.source, target, copy.options.signal);
  const temporary = temporaryPath(target);
  try {
    const copied = await copyTo(temporary, { mode: existing?.mode }, copy);
    await fileSystem.replace(temporary, path);
    return copied;
  } catch (error) {
    await fileSystem.removeFile(temporary, { signal: copy.options.signal }).catch(() => {});
    throw error;
  }
}

async function copyTo<Confirmation extends Sized>(
  path: Buffer,
  changes: FileChanges,
  copy: Copy<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  const { source, target, file, options } = copy;
  const { window, signal, confirm, preserveMtime = false } = options;
  const exclusive = path !== target.path;
  const targetFile = await target.fileSystem.openTarget(path, {
    signal,
    exclusive,
    refuseLink: options.refuseLink,
    size: file.info.size,
  });
  const { atime, mtime } = file.info;
  const attributes = preserveMtime ? { ...changes, atime, mtime } : changes;
  const report = progressReport(options.onProgress, file.info.size ?? 0);
  let closing: Promise<void> | undefined;
  let confirming: Promise<Confirmation | undefined> = Promise.resolve(undefined);

  const content = new ContentCopy(file, targetFile, {
    chunkLength: Math.min(source.fileSystem.chunkLength.read, target.fileSystem.chunkLength.write),
    window,
    signal,
    onProgress: report.advance,
    finish: async () => {
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
    await (closing ?? targetFile.close({ signal })).catch(() => {});
    throw explainFailure(error, source, target, content.contiguousBytes, signal);
  }
  const { size } = file.info;
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
  if (late !== undefined && !agrees(late)) throw sizeMismatch(source, target, bytes, late.size);
  return late;
}
