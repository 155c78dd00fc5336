/** One file from one file system to another: whole, or not at all where the copy is atomic. */
import { untilAborted } from '../abort.js';
import {
  type Attempt,
  type Copied,
  type Copy,
  type CopyOptions,
  closeSource,
  copyTo,
  openSource,
  type Sized,
} from './copy-directly.js';
import { type FileChanges, type FileInfo, hasCode, type Place, type SourcePlace } from './file-system.js';
import { type Beginning, drop, type Journal, rest } from './journal.js';
import type { Leftovers } from './leftovers.js';
import { findReasonToKeep, type KeepReason, type Overwrite, ruleFor } from './overwriting.js';
import { findBeginning } from './resumption.js';
import {
  existingFile,
  releaseTemporary,
  sourceMark,
  temporaryPath,
  UNKNOWN_SOURCE,
} from './temporary-file.js';

export interface CopyFileOptions<Confirmation extends Sized = Sized> extends CopyOptions<Confirmation> {
  /** Write under a temporary name in the same directory, and rename when all is there. */
  readonly atomic: boolean;
  readonly preserveMode?: boolean | undefined;
  /** Default: `always`. */
  readonly overwrite?: Overwrite | undefined;
  /** Goes on, where atomic, with what an earlier run has left, and leaves what a later one may go on with. */
  readonly resume?: Leftovers | undefined;
  /** That of the caller, where `signal` may abort for other reasons: it alone ends the waiting for what is tidied up. */
  readonly callerSignal?: AbortSignal | undefined;
  /** What earlier attempts of this transfer have come to, and where it is noted for the next. */
  readonly journal?: Journal | undefined;
}

export interface CopiedFile<Confirmation> extends Copied<Confirmation> {
  /** Why nothing was copied, where nothing was. */
  readonly kept?: KeepReason | undefined;
}

/**
 * Copies one regular file.
 *
 * @throws TransferError where content could not be read or written, or where sizes do not agree. An atomic
 *   copy then leaves the target as it was, and nothing beside it, save for what `resume` and `journal` keep.
 */
export async function copyFile<Confirmation extends Sized>(
  source: SourcePlace,
  target: Place,
  options: CopyFileOptions<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  const file = await openSource(source, options);
  try {
    const copy = { source, target, file, options };
    const kept = mayKeep(copy)
      ? await findReasonToKeep(file.info, target, ruleOf(options), options)
      : undefined;
    if (kept === undefined) return await (options.atomic ? copyAside(copy) : copyInPlace(copy));
    const { size = 0 } = file.info;
    options.onProgress?.(size, size);
    return { bytes: 0, confirmation: undefined, kept };
  } finally {
    await closeSource(file, options);
  }
}

/** From one file system into another. */
interface FileCopy<Confirmation extends Sized> extends Copy<Confirmation> {
  readonly target: Place;
  readonly options: CopyFileOptions<Confirmation>;
}

function mayKeep({ target, options }: FileCopy<Sized>): boolean {
  const { isFree, journal } = options;
  return ruleOf(options) !== 'always' && !isFree && !journal?.hasBegun(target);
}

function ruleOf({ overwrite, resume }: CopyFileOptions): Overwrite {
  return ruleFor(overwrite, { resumes: resume !== undefined });
}

/** The file is half-written meanwhile; only another attempt of the same transfer goes on with that. */
async function copyInPlace<Confirmation extends Sized>(
  copy: FileCopy<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  const { file, options, target } = copy;
  const { journal, signal, overwrite } = options;
  const source = sourceMark(copy.source.path, file.info);
  const isOurs = journal?.hasBegun(target) ?? false;
  const beginning =
    journal && (await findBeginning(file, source, target, { journal, leftovers: undefined, signal }));
  const attempt: Attempt = { reached: 0, closed: Promise.resolve() };
  const start = beginning?.bytes ?? 0;
  const exclusive = overwrite === 'never' && !isOurs;
  const prepare = () => modeFor(copy, undefined);
  try {
    return await copyTo({ path: target.path, start, exclusive, prepare, attempt }, copy);
  } catch (error) {
    if (journal?.goesOnAfter(error)) {
      journal.noteBeginning(target, { path: target.path, bytes: attempt.reached, source });
    }
    throw error;
  }
}

async function copyAside<Confirmation extends Sized>(
  copy: FileCopy<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  const { file, options, target } = copy;
  const { isFree, journal, resume: leftovers, signal, callerSignal = signal, overwrite } = options;
  const { fileSystem } = target;
  const source = sourceMark(copy.source.path, file.info);
  const earlier = { journal, leftovers: isFree ? undefined : leftovers };
  const beginning =
    (earlier.journal || earlier.leftovers) &&
    (await findBeginning(file, source, target, { ...earlier, signal }));
  const { path, bytes: start } = beginning ?? { path: temporaryPath(target, source), bytes: 0 };
  const attempt: Attempt = { reached: start, closed: Promise.resolve() };
  const prepare = () => (isFree ? modeFor(copy, undefined) : modeOfExisting(copy));
  const stay = leftovers === undefined ? fileSystem.removeOnExit?.(path) : undefined;
  try {
    const exclusive = beginning === undefined;
    const copied = await copyTo({ path, start, exclusive, prepare, attempt }, copy);
    if (overwrite === 'never') await fileSystem.rename(path, target.path);
    else await fileSystem.replace(path, target.path);
    releaseTemporary(target, path);
    return copied;
  } catch (error) {
    const leaving = leave({ path, bytes: attempt.reached, source }, error, attempt.closed, copy);
    leftovers?.noteSettling(target, leaving);
    await untilAborted(leaving, fileSystem.isLocal ? undefined : callerSignal).catch(() => {});
    throw error;
  } finally {
    stay?.();
  }
}

/** What becomes of the content of a copy that has failed. */
async function leave(
  beginning: Beginning,
  error: unknown,
  closed: Promise<unknown>,
  { target, options: { journal, resume } }: FileCopy<Sized>,
): Promise<void> {
  if (journal?.goesOnAfter(error)) return journal.noteBeginning(target, beginning);
  // What was sent before the failure may arrive until then.
  await closed.catch(() => {});
  if (!target.fileSystem.isReachable) {
    releaseTemporary(target, beginning.path);
    resume?.forget(target);
  } else if (resume === undefined || !isWorthKeeping(beginning, error))
    await drop(target, beginning.path, journal);
  else {
    await rest(target, beginning);
    resume.forget(target);
  }
}

function isWorthKeeping({ bytes, source }: Beginning, error: unknown): boolean {
  return bytes > 0 && source !== UNKNOWN_SOURCE && !hasCode(error, 'SOURCE_CHANGED');
}

async function modeOfExisting(copy: FileCopy<Sized>): Promise<FileChanges> {
  return modeFor(copy, await existingFile(copy.source, copy.target, copy.options.signal));
}

/** That of the file that is replaced, or of the source where it is to be kept; never a right beyond the usual ones. */
function modeFor({ file, target, options }: FileCopy<Sized>, existing: FileInfo | undefined): FileChanges {
  const { mode } = file.info;
  if (options.preserveMode && mode !== undefined) return { mode: target.fileSystem.permitted(mode) };
  return existing?.mode === undefined ? {} : { mode: existing.mode & 0o777 };
}
