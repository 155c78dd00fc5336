/** Content into one file, from its opening to the confirmation of what has arrived. */
import type { Buffer } from 'node:buffer';
import { untilAborted } from '../abort.js';
import type { LineUse } from './copy-content.js';
import { explainFailure, sizeMismatch, sourceChanged, vanished } from './copy-failure.js';
import { contentCopy } from './copy-whole.js';
import {
  type FileChanges,
  type FileInfo,
  isMissing,
  type SourceFile,
  type SourcePlace,
  type TargetPlace,
} from './file-system.js';
import { UNKNOWN_INFO } from './memory.js';

export interface CopyOptions<Confirmation extends Sized = Sized> extends LineUse {
  readonly signal?: AbortSignal | undefined;
  /** Where it is not atomic: writes through no link that lies in the target's place. */
  readonly refuseLink?: boolean | undefined;
  /** Asks what has arrived under a path; its size must agree. Left out: the target's word is enough. */
  readonly confirm?: ((path: Buffer) => Promise<Confirmation>) | undefined;
  readonly preserveMtime?: boolean | undefined;
  /** Nothing is in the target's place, as its directory is new. */
  readonly isFree?: boolean | undefined;
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
}

export interface Copied<Confirmation> {
  readonly bytes: number;
  readonly confirmation: Confirmation | undefined;
}

/** A copy into a target that need not be a file system's. */
export async function copyDirectly<Confirmation extends Sized>(
  source: SourcePlace,
  target: TargetPlace,
  options: CopyOptions<Confirmation>,
): Promise<Copied<Confirmation>> {
  const file = await openSource(source, options);
  try {
    const destination = { path: target.path, start: 0, prepare: () => ({}) };
    return await copyTo(destination, { source, target, file, options });
  } finally {
    await closeSource(file, options);
  }
}

export function openSource(
  { fileSystem, path }: SourcePlace,
  { signal, known }: Pick<CopyOptions, 'signal' | 'known'>,
): Promise<SourceFile> {
  return fileSystem.openSource(path, { signal, known });
}

/** Resolves when it is closed, or at once where somebody else waits for that. */
export function closeSource(
  file: SourceFile,
  { signal, inBackground }: Pick<CopyOptions, 'signal' | 'inBackground'>,
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
  readonly options: CopyOptions<Confirmation>;
}

/** Where to write, and from which byte on. */
export interface Destination {
  readonly path: Buffer;
  readonly start: number;
  /** Whatever is there already is an error. */
  readonly exclusive?: boolean | undefined;
  /** Runs before the target is opened, and tells what to set on it. */
  readonly prepare: () => FileChanges | Promise<FileChanges>;
  /** How far it has come, and when the file is closed, also after a failure. */
  readonly attempt?: Attempt | undefined;
}

export interface Attempt {
  reached: number;
  closed: Promise<unknown>;
}

export async function copyTo<Confirmation extends Sized>(
  { path, start, exclusive, prepare, attempt }: Destination,
  copy: Copy<Confirmation>,
): Promise<Copied<Confirmation>> {
  const { source, target, file, options } = copy;
  const { window, signal, confirm, preserveMtime = false } = options;
  const { atime, mtime, size } = file.info;
  const attributes: { -readonly [K in keyof FileChanges]: FileChanges[K] } = preserveMtime
    ? { atime, mtime }
    : {};
  const open = (changes: FileChanges) => {
    Object.assign(attributes, changes);
    const { mode } = changes;
    return target.fileSystem.openTarget(path, {
      signal,
      isFree: options.isFree,
      exclusive,
      refuseLink: options.refuseLink === true || path !== target.path,
      size,
      channels: options.channels,
      keep: start > 0 ? start : undefined,
      // The right to write is needed where it is gone on with later.
      mode: mode === undefined ? undefined : mode | 0o200,
    });
  };
  const changes = prepare();
  const opening = changes instanceof Promise ? changes.then(open) : open(changes);
  opening.catch(() => {});
  if (source.readsOnce) await opening;
  const report = progressReport(options.onProgress, size ?? 0);
  let closing: Promise<void> | undefined;
  let confirming: Promise<Confirmation | undefined> | undefined;

  const content = contentCopy(file, opening, {
    chunkLength: () => Math.min(source.fileSystem.chunkLength.read, target.fileSystem.chunkLength.write),
    inBlocks: source.fileSystem.takesBlocks === true && target.fileSystem.takesBlocks === true,
    window,
    throttle: options.throttle,
    concurrency: options.concurrency,
    signal,
    start,
    onProgress: report.advance,
    finish: async (targetFile) => {
      const isChanged = attributes.mode !== undefined || attributes.mtime !== undefined;
      const changing = isChanged ? targetFile.setAttributes(attributes, { signal }) : undefined;
      if (changing && !targetFile.isOrdered) await changing;
      const syncing = options.fsync ? targetFile.sync?.({ signal }) : undefined;
      if (syncing && !targetFile.isOrdered) await syncing;
      closing = targetFile.close({});
      // It follows the CLOSE at once; should it overtake it, it is asked again below.
      if (confirm !== undefined) confirming = confirm(path).catch(() => undefined);
      const isAlone = changing === undefined && syncing === undefined;
      await untilAborted<unknown>(isAlone ? closing : Promise.all([changing, syncing, closing]), signal);
    },
  });
  let bytes: number;
  try {
    bytes = await content.run();
    report.complete(bytes);
  } catch (error) {
    const opened = await opening.catch(() => undefined);
    if (opened === undefined) throw error;
    const closed = closing ?? opened.close({});
    if (attempt !== undefined) Object.assign(attempt, { reached: content.contiguousBytes, closed });
    await untilAborted(closed, signal).catch(() => {});
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
