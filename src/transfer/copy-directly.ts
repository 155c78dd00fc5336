/** Content into one file, from its opening to the confirmation of what has arrived. */
import type { Buffer } from 'node:buffer';
import { SftpStatusError } from '../errors.js';
import {
  explainFailure,
  sizeMismatch,
  sourceChanged,
  unconfirmed,
  vanished,
  withNameOf,
} from './copy-failure.js';
import { contentCopy } from './copy-whole.js';
import type { ContentOptions, LineUse } from './engine/copy-content.js';
import { together } from './engine/task-group.js';
import {
  type FileChanges,
  type FileInfo,
  isMissing,
  type ReopenedFile,
  type SourceFile,
  type SourcePlace,
  type TargetFile,
  type TargetPlace,
} from './file-system.js';
import { UNKNOWN_INFO } from './memory.js';
import { keepOwner, type Replaced } from './ownership.js';

export interface DirectCopyOptions<Confirmation extends Sized = Sized> extends LineUse {
  readonly signal?: AbortSignal | undefined;
  readonly carefulLength?: ContentOptions['carefulLength'];
  /** Where it is not atomic: writes through no link that lies in the target's place. */
  readonly refuseLink?: boolean | undefined;
  /** Asks what has arrived under a path; its size must agree. Left out: the target's word is enough. */
  readonly confirm?: ((path: Buffer) => Promise<Confirmation>) | undefined;
  readonly preserveMtime?: boolean | undefined;
  /** Nothing is in the target's place, as its directory is new. */
  readonly isFree?: boolean | undefined;
  /** Called where the copy is complete, but for attributes that the target refuses. */
  readonly onRefusal?: ((error: Error) => void) | undefined;
  /** Takes what the source held when it was opened, although more comes to it meanwhile. */
  readonly allowGrowth?: boolean | undefined;
  /** The content is on the target's disk when the copy is complete, where the target can do that. */
  readonly fsync?: boolean | undefined;
  /** What the source is, where a listing has told it already. */
  readonly known?: FileInfo | undefined;
  /** Takes the closing of the source, where nobody need wait for it. */
  readonly inBackground?: ((closing: Promise<void>) => void) | undefined;
  /** Called at least once, the last time with `transferred === total`. */
  readonly onProgress?: ((transferred: number, total: number) => void) | undefined;
}

/** A size that nobody tells is `undefined`, and no mismatch. */
export interface Sized {
  readonly size: number | undefined;
  /** Seconds since 1970, where it is told. */
  readonly mtime?: number | undefined;
}

export interface Copied<Confirmation> {
  readonly bytes: number;
  readonly confirmation: Confirmation | undefined;
}

/** A copy into a target that need not be a file system's. */
export async function copyDirectly<Confirmation extends Sized>(
  source: SourcePlace,
  target: TargetPlace,
  options: DirectCopyOptions<Confirmation>,
): Promise<Copied<Confirmation>> {
  const file = await openSource(source, options);
  try {
    const copy = { source, target, file, options };
    const open = () => openPath(copy, { path: target.path, changes: {} });
    return await copyTo({ start: 0, open }, copy);
  } finally {
    await closeSource(file, options);
  }
}

export function openSource(
  { fileSystem, path }: SourcePlace,
  { signal, known }: Pick<DirectCopyOptions, 'signal' | 'known'>,
): Promise<SourceFile> {
  return fileSystem.openSource(path, { signal, known });
}

/** Resolves when it is closed, or at once where somebody else waits for that. */
export function closeSource(
  file: SourceFile,
  { signal, inBackground }: Pick<DirectCopyOptions, 'signal' | 'inBackground'>,
): Promise<void> | undefined {
  const closing = file.close({ signal });
  if (inBackground === undefined) return closing;
  inBackground(closing);
  return undefined;
}

export interface Copy<Confirmation extends Sized> {
  readonly source: SourcePlace;
  readonly target: TargetPlace;
  readonly file: SourceFile;
  readonly options: DirectCopyOptions<Confirmation>;
}

/** A target that has been opened. */
export interface Opened {
  readonly file: TargetFile;
  readonly path: Buffer;
  /** What to set on it once its content is there. */
  readonly changes: TargetChanges;
}

export interface TargetChanges extends FileChanges, Replaced {
  /** The caller has chosen the mode: there is no moment in which somebody else may do more. */
  readonly isModeGiven?: boolean | undefined;
}

/** Where to write, and from which byte on. */
export interface Destination {
  readonly start: number;
  readonly open: () => Promise<Opened>;
  /** Where this is noted also after a failure. */
  readonly attempt?: { reached: number } | undefined;
}

export interface OpenPathOptions {
  readonly path: Buffer;
  readonly changes: TargetChanges;
  /** Whatever is there already is an error. */
  readonly exclusive?: boolean | undefined;
  /** And that can be expected. */
  readonly mayExist?: boolean | undefined;
  /** The bytes of it that are kept. */
  readonly keep?: number | undefined;
  /** What is gone on with; left out: it is opened by its path. */
  readonly reopened?: ReopenedFile | undefined;
}

/** Opens the target of a copy, under its own name or another one. */
export async function openPath(
  { target, file, options }: Copy<Sized>,
  { path, changes, exclusive, mayExist, keep, reopened }: OpenPathOptions,
): Promise<Opened> {
  const { signal, isFree, refuseLink, channels } = options;
  const { mode, isModeGiven } = changes;
  const { size } = file.info;
  const openAnew = () =>
    target.fileSystem.openTarget(path, {
      signal,
      isFree,
      exclusive,
      mayExist,
      refuseLink: refuseLink === true || path !== target.path,
      size,
      channels,
      keep,
      // The rights to read and to write are needed where the copy is resumed later.
      mode: mode === undefined ? undefined : mode | 0o600,
      isModeGiven,
    });
  try {
    const opening = reopened?.writeFrom(path, keep ?? 0, { signal, size, channels }) ?? openAnew();
    return { file: await opening, path, changes };
  } catch (error) {
    throw withNameOf(target, path, error);
  }
}

export async function copyTo<Confirmation extends Sized>(
  { start, open, attempt }: Destination,
  copy: Copy<Confirmation>,
): Promise<Copied<Confirmation>> {
  const { source, target, file, options } = copy;
  const { window, signal, confirm, preserveMtime = false } = options;
  const { atime, mtime, size } = file.info;
  const attributes: { -readonly [K in keyof FileChanges]: FileChanges[K] } = preserveMtime
    ? { atime, mtime }
    : {};
  let path = target.path;
  let changes: TargetChanges = {};
  let ownerRefusal: Error | undefined;
  const opening = open().then((opened) => {
    ({ path, changes } = opened);
    return opened.file;
  });
  opening.catch(() => {});
  await untilMayRead(source, target, opening);
  const report = progressReport(options.onProgress, size ?? 0);
  let closing: Promise<void> | undefined;
  let confirming: Promise<Confirmation | undefined> | undefined;

  const reading = options.allowGrowth ? upToSize(file) : file;
  const content = contentCopy(reading, opening, {
    chunkLength: () => Math.min(source.fileSystem.chunkLength.read, target.fileSystem.chunkLength.write),
    inBlocks: source.fileSystem.takesBlocks === true && target.fileSystem.takesBlocks === true,
    carefulLength: options.carefulLength,
    window,
    throttle: options.throttle,
    concurrency: options.concurrency,
    signal,
    start,
    onProgress: report.advance,
    finish: async (targetFile) => {
      const keeping = keepOwner(targetFile, { ...target, path }, changes, { signal });
      const kept = keeping instanceof Promise ? await keeping : keeping;
      attributes.mode = kept.mode;
      ownerRefusal = kept.refusal;
      const isChanged = attributes.mode !== undefined || attributes.mtime !== undefined;
      const changing = isChanged ? targetFile.setAttributes(attributes, { signal }) : undefined;
      if (changing && !targetFile.isOrdered) await changing;
      const syncing = options.fsync ? targetFile.sync?.({ signal }) : undefined;
      if (syncing && !targetFile.isOrdered) await syncing;
      closing = targetFile.close({ signal });
      // It follows the CLOSE at once; should it overtake it, it is asked again below.
      if (confirm !== undefined) confirming = confirm(path).catch(() => undefined);
      await (changing || syncing ? together([changing, syncing, closing].filter(isGiven)) : closing);
      signal?.throwIfAborted();
    },
  });
  let bytes: number;
  try {
    bytes = await content.run();
    report.complete(bytes);
  } catch (error) {
    const opened = await opening.catch(() => undefined);
    if (opened === undefined) throw error;
    if (attempt !== undefined) attempt.reached = content.contiguousBytes;
    await Promise.allSettled([closing ?? opened.close({ signal }), confirming]);
    throw await explainFailure(withNameOf(target, path, error), copy, content.contiguousBytes, signal);
  }
  if (size !== undefined && size !== 0 && bytes !== size) throw sourceChanged(copy, bytes, size);
  for (const refusal of [ownerRefusal, (await opening).refusal]) {
    if (refusal !== undefined) options.onRefusal?.(withNameOf(target, path, refusal));
  }
  if (confirm === undefined) return { bytes, confirmation: undefined };
  const early = (await opening).isChangedLate ? undefined : await confirming;
  return { bytes, confirmation: await confirmed(bytes, path, early, copy) };
}

function isGiven<T>(value: T | undefined): value is T {
  return value !== undefined;
}

/** A file that is taken for complete where it ended when it was opened; a size of 0 says nothing. */
function upToSize(file: SourceFile): SourceFile {
  const size = file.info.size || Number.POSITIVE_INFINITY;
  return {
    info: file.info,
    maxRequests: file.maxRequests,
    ...(file.isSpread && { isSpread: true }),
    read: async (offset, length, options) =>
      offset < size ? file.read(offset, Math.min(length, size - offset), options) : null,
    release: (pieces) => file.release?.(pieces),
    close: (options) => file.close(options),
  };
}

/** Reports every advance once, and the end also where nothing was to be copied. */
function progressReport(onProgress: DirectCopyOptions['onProgress'], size: number) {
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
  copy: Copy<Confirmation>,
): Promise<Confirmation | undefined> {
  const { target, options } = copy;
  const agrees = ({ size }: Confirmation) => size === undefined || size === bytes;
  if (early !== undefined && agrees(early)) return early;
  let late: Confirmation | undefined;
  try {
    late = await options.confirm?.(path);
  } catch (error) {
    withNameOf(target, path, error);
    if (isMissing(error)) throw vanished(copy, bytes, error);
    if (!(error instanceof SftpStatusError)) throw error;
    throw unconfirmed(copy, { bytes, isAside: path !== target.path }, error);
  }
  if (late === undefined || agrees(late)) return late;
  if (late.size === 0 && (await endsAt(bytes, { ...target, path }, options.signal))) return late;
  throw sizeMismatch(copy, bytes, late.size);
}

/** A copy that waits for one of the server's few handles must not hold a part of the window that a copy with a handle needs. */
function untilMayRead(
  source: SourcePlace,
  target: TargetPlace,
  opening: Promise<unknown>,
): Promise<unknown> | undefined {
  if (source.readsOnce) return opening;
  return target.fileSystem.isLocal ? undefined : opening.catch(() => {});
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
