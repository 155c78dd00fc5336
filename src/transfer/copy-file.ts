/** One file from one file system to another: whole, or not at all where the copy is atomic. */
import type { Buffer } from 'node:buffer';
import { anew, handleTwice, isGivenTwice } from '../session/quirks/repeated-handle.js';
import { quote } from '../shared/remote-path.js';
import {
  type Copied,
  type Copy,
  closeSource,
  copyTo,
  type DirectCopyOptions,
  type Opened,
  openPath,
  openSource,
  type Sized,
  type TargetChanges,
} from './copy-directly.js';
import { contentLeft, isAnswer, isRefusal, NotReplaceable, withNameOf } from './copy-failure.js';
import {
  type FileInfo,
  hasCode,
  isMissing,
  type Place,
  type SourcePlace,
  unlessCode,
} from './file-system.js';
import { findReasonToKeep, type InPlace, type KeepReason, type Overwrite, ruleFor } from './overwriting.js';
import { replacedBy } from './ownership.js';
import type { Journal, LostRename } from './resume/journal.js';
import type { Leftovers } from './resume/leftovers.js';
import { drop, type PartialFile } from './resume/partial-file.js';
import { findPartial, leavePartial } from './resume/partial-files.js';
import { existingFile, notReplaceable, sourceMark, temporaryPath } from './resume/temporary-file.js';

/**
 * Whether content is gathered under a temporary name in the same directory, and renamed when it is complete: always, never,
 * or only to replace a file that exists.
 */
export type Atomic = boolean | 'existing';

export interface CopyFileOptions<Confirmation extends Sized = Sized> extends DirectCopyOptions<Confirmation> {
  readonly atomic: Atomic;
  /** Where the target allows no temporary name or no renaming. Left out: that is an error. */
  readonly inPlace?: InPlace | undefined;
  readonly preserveMode?: boolean | undefined;
  /** The permissions of the copy, whatever those of the source or of what is replaced are. */
  readonly mode?: number | undefined;
  /** Where the target is a link to a file, that file is replaced. Default: the link itself is. */
  readonly followLink?: boolean | undefined;
  /** Default: `always`. */
  readonly overwrite?: Overwrite | undefined;
  /** Goes on, where atomic, with what an earlier run has left, and leaves what a later one may go on with. */
  readonly resume?: Leftovers | undefined;
  /** What the caller calls himself: what he has left, he goes on with wherever he is. */
  readonly owner?: string | undefined;
  /** A last look before the file gets its name: what it throws ends the copy, and leaves the target as it was. */
  readonly beforeRename?: (() => Promise<void>) | undefined;
  /** What earlier attempts of this transfer have come to, and where it is noted for the next. */
  readonly journal?: Journal | undefined;
}

export interface CopiedFile<Confirmation> extends Copied<Confirmation> {
  /** Why nothing was copied, where nothing was. */
  readonly kept?: KeepReason | undefined;
  /** Whether it has taken the place of a file. */
  readonly hasReplaced?: boolean | undefined;
}

/**
 * Copies one regular file.
 *
 * @throws TransferError where content could not be read or written, or where sizes do not agree. An atomic
 *   copy then leaves the target as it was, and nothing beside it, save for what `resume` and `journal` keep.
 */
export function copyFile<Confirmation extends Sized>(
  source: SourcePlace,
  target: Place,
  options: CopyFileOptions<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  const repeatsOf = ({ fileSystem }: SourcePlace | Place) => fileSystem.repeatedHandles ?? 0;
  const tries = new Tries(() => repeatsOf(source) + repeatsOf(target));
  if (source.readsOnce) return copyOnce(source, target, options, tries);
  return anew(
    (isFirst) => {
      tries.begin();
      return copyOnce(source, target, isFirst ? options : optionsAgain(options, tries), tries);
    },
    () => tries.repeats,
  );
}

function optionsAgain<Confirmation extends Sized>(
  options: CopyFileOptions<Confirmation>,
  { isOurs }: Tries,
): CopyFileOptions<Confirmation> {
  const again = { ...options, onProgress: onlyEnd(options.onProgress) };
  // A link is none that we have made.
  if (!isOurs) return again;
  return { ...again, overwrite: 'always', refuseLink: options.refuseLink || options.overwrite === 'never' };
}

/** What the attempts to copy one file know of each other, where a server gives handles twice. */
class Tries {
  /** What has the target's name was made by one of them. */
  isOurs = false;
  /** It is complete, and whatever happens to other files does not concern it any more. */
  isComplete = false;
  readonly #count: () => number;
  #atBeginning = 0;

  constructor(count: () => number) {
    this.#count = count;
  }

  begin(): void {
    this.#atBeginning = this.#count();
  }

  /** How many handles have been given twice that may be one of its own. */
  get repeats(): number {
    return this.isComplete ? this.#atBeginning : this.#count();
  }

  /** @throws SftpError (`HANDLE_TWICE`) its bytes may have gone elsewhere */
  check(subject: string): void {
    if (this.#count() !== this.#atBeginning) throw handleTwice(subject);
  }
}

/** A copy that is made anew tells nothing of what had been told, until it is complete. */
function onlyEnd(onProgress: DirectCopyOptions['onProgress']): DirectCopyOptions['onProgress'] {
  return (bytes, total) => {
    if (bytes === total) onProgress?.(bytes, total);
  };
}

async function copyOnce<Confirmation extends Sized>(
  source: SourcePlace,
  target: Place,
  options: CopyFileOptions<Confirmation>,
  tries: Tries,
): Promise<CopiedFile<Confirmation>> {
  const file = await openSource(source, options);
  try {
    const copy = { source, target, file, options, tries };
    const kept = mayKeep(copy)
      ? await findReasonToKeep(file.info, target, ruleOf(options), options)
      : undefined;
    if (kept === undefined) {
      const copied = await copyOrOverwrite(copy);
      tries.isOurs = true;
      return copied;
    }
    const { size = 0 } = file.info;
    options.onProgress?.(size, size);
    return { bytes: 0, confirmation: undefined, kept };
  } finally {
    const closing = closeSource(file, options);
    if (closing !== undefined) await closing;
  }
}

/** From one file system into another. */
interface FileCopy<Confirmation extends Sized> extends Copy<Confirmation> {
  readonly target: Place;
  readonly options: CopyFileOptions<Confirmation>;
  readonly tries: Tries;
}

function mayKeep({ target, options }: FileCopy<Sized>): boolean {
  const { isFree, journal } = options;
  return ruleOf(options) !== 'always' && !isFree && !journal?.hasPartial(target);
}

function ruleOf({ overwrite, resume }: CopyFileOptions): Overwrite {
  return ruleFor(overwrite, { resumes: resume !== undefined });
}

async function copyOrOverwrite<Confirmation extends Sized>(
  copy: FileCopy<Confirmation>,
): Promise<CopiedFile<Confirmation>> {
  const { target, options } = copy;
  const { inPlace } = options;
  const onOpen = inPlace && (() => inPlace.note(target));
  const atomic = atomicOf(options);
  const isNewInPlace = atomic === true && inPlace?.refusesNew === true;
  try {
    const writing = isNewInPlace ? new FileWriting(copy, 'existing', onOpen) : new FileWriting(copy, atomic);
    return await writing.run();
  } catch (error) {
    if (!(error instanceof NotReplaceable)) throw error;
    if (inPlace === undefined) throw error.explain(copy.source, target);
    const again = { ...copy, options: { ...options, onProgress: onlyEnd(options.onProgress) } };
    const { written } = error;
    return written === undefined
      ? inPlace.write(() => new FileWriting(again, false, onOpen).run(), error)
      : overwriteWith(written, again, inPlace, error);
  }
}

/** @param written the whole content of a stream, which the server has taken but not renamed */
async function overwriteWith<Confirmation extends Sized>(
  written: Buffer,
  copy: FileCopy<Confirmation>,
  inPlace: InPlace,
  refusal: NotReplaceable,
): Promise<CopiedFile<Confirmation>> {
  const { target, options } = copy;
  let isOpened = false;
  let isLeft = false;
  const noteOpened = () => {
    isOpened = true;
    inPlace.note(target);
  };
  try {
    return await inPlace.write(() => copyBack(copy, written, noteOpened), refusal);
  } catch (failure) {
    // What was there is lost, and of the new content nothing else is left.
    isLeft = isOpened && !refusal.isNew;
    throw isLeft ? contentLeft(failure, { ...target, path: written }) : failure;
  } finally {
    if (!isLeft) await drop(target, written, options);
  }
}

/** What a source gives only once is read back from the server, which has taken it under another name. */
async function copyBack<Confirmation extends Sized>(
  { target, options, tries }: FileCopy<Confirmation>,
  path: Buffer,
  onOpen: () => void,
): Promise<CopiedFile<Confirmation>> {
  const source = { fileSystem: target.fileSystem, path };
  const file = await openSource(source, options);
  try {
    return await new FileWriting({ source, target, file, options, tries }, false, onOpen).run();
  } finally {
    await closeSource(file, options);
  }
}

/** By the other rules a new file of which only a part has arrived would be kept the next time. */
function atomicOf(options: CopyFileOptions): Atomic {
  return options.atomic === 'existing' && ruleOf(options) !== 'always' ? true : options.atomic;
}

const SLASH = 0x2f;

/** The target of one copy, from its opening to the name that it has in the end. */
class FileWriting<Confirmation extends Sized> {
  readonly #copy: FileCopy<Confirmation>;
  readonly #atomic: Atomic;
  /** Where a link leads, where that is followed. */
  #target: Place;
  #sourceMark: string | undefined;
  /** Where it is written, as soon as something may be there. */
  #path: Buffer | undefined;
  /** Whether it takes the place of a file. */
  #replaces = false;
  #stay: (() => void) | undefined;
  readonly #onOpen: (() => void) | undefined;

  constructor(copy: FileCopy<Confirmation>, atomic: Atomic, onOpen?: (() => void) | undefined) {
    this.#copy = copy;
    this.#atomic = atomic;
    this.#onOpen = onOpen;
    this.#target = copy.target;
  }

  async run(): Promise<CopiedFile<Confirmation>> {
    const { journal, resume } = this.#copy.options;
    const lost = journal?.takeRename(this.#copy.target);
    const renamed = journal && lost && (await this.#findRenamed(lost, journal));
    if (renamed !== undefined) return renamed;
    // What has been left before lies beside the file.
    if (this.#atomic && (journal || resume)) await this.#existing();
    const isOurs = journal?.hasPartial(this.#target) ?? false;
    const partial = journal || resume ? await this.#findPartial() : undefined;
    const attempt = { reached: partial?.bytes ?? 0 };
    const open = () => (partial ? this.#openAgain(partial) : this.#open(isOurs));
    try {
      const copied = await copyTo({ start: attempt.reached, open, attempt }, this.#copy);
      attempt.reached = copied.bytes;
      if (this.#isBeside) await this.#rename(copied);
      return { ...copied, hasReplaced: this.#replaces };
    } catch (error) {
      const advance = attempt.reached - (partial?.bytes ?? 0);
      if (advance > 0) journal?.noteAdvance(advance);
      if (!this.#isKept(error)) await this.#leave(attempt.reached, error);
      throw error;
    } finally {
      this.#stay?.();
      await partial?.reopened?.close().catch(() => {});
    }
  }

  /** The answer of the renaming may have been lost: then all is done, and nothing need be sent again. */
  async #findRenamed(lost: LostRename, journal: Journal): Promise<CopiedFile<Confirmation> | undefined> {
    const { target, options } = this.#copy;
    const { signal, confirm, onProgress } = options;
    if (lost.source !== this.#source) return undefined;
    const { fileSystem } = target;
    const look = (path: Buffer) => unlessCode(fileSystem.lstat(path, { signal }), 'ENOENT');
    const looking = Promise.all([look(lost.path), look(lost.target)]);
    const [left, there] = await looking.catch((error) => {
      journal.noteRename(target, lost);
      throw error;
    });
    const isThere = there !== undefined && (there.type === 'file' || there.type === 'unknown');
    const isSame = isThere && there.size === lost.bytes && there.mtime === (lost.mtime ?? there.mtime);
    if (left !== undefined || !isSame) return undefined;
    journal.takePartial(target);
    onProgress?.(lost.bytes, lost.bytes);
    return { bytes: lost.bytes, confirmation: await confirm?.(lost.target), hasReplaced: true };
  }

  async #findPartial(): Promise<PartialFile | undefined> {
    const { file, options } = this.#copy;
    const { isFree, journal, resume, owner, throttle, signal } = options;
    const leftovers = isFree || !this.#atomic ? undefined : resume;
    return findPartial(file, this.#source, this.#target, { journal, leftovers, owner, throttle, signal });
  }

  async #openAgain({ path, bytes, reopened }: PartialFile): Promise<Opened> {
    // Whatever fails from here on, it is there.
    this.#note(path);
    const isInPlace = path.equals(this.#target.path);
    const changes = changesFor(this.#copy, isInPlace ? undefined : await this.#existing());
    // Not a byte of it need be good.
    return openPath(this.#copy, { path, changes, keep: bytes > 0 ? bytes : undefined, reopened });
  }

  /** @param isOurs an earlier attempt has made what is there */
  async #open(isOurs: boolean): Promise<Opened> {
    if (this.#atomic === true) return this.#openBeside(await this.#existing());
    const { options } = this.#copy;
    const { path } = this.#target;
    const exclusive = this.#atomic === 'existing' || (options.overwrite === 'never' && !isOurs);
    const mayExist = this.#atomic === 'existing';
    // It is asked at the same time, as a file that exists is the usual reason for a refusal.
    const looking = mayExist && !options.isFree ? this.#look() : undefined;
    looking?.catch(() => {});
    try {
      const changes = changesFor(this.#copy, undefined);
      const opened = await openPath(this.#copy, { path, changes, exclusive, mayExist });
      this.#path = path;
      this.#onOpen?.();
      this.#copy.tries.isOurs ||= exclusive;
      return opened;
    } catch (error) {
      // It was made, whatever its handle is.
      this.#copy.tries.isOurs ||= exclusive && isGivenTwice(error);
      if (!mayExist || !isAnswer(error)) throw error;
      return this.#openBeside(await (looking ?? this.#look()));
    }
  }

  async #openBeside(existing: FileInfo | undefined): Promise<Opened> {
    const target = this.#target;
    const path = temporaryPath(target, this.#source, this.#copy.options.owner);
    this.#note(path);
    this.#replaces = existing !== undefined;
    try {
      const changes = changesFor(this.#copy, existing);
      return await openPath(this.#copy, { path, changes, exclusive: true });
    } catch (error) {
      if (isAnswer(error)) {
        this.#path = undefined;
      }
      // Where nothing is there, a file of any other name is refused as well, for all that anybody knows.
      const hasWay = this.#replaces || this.#copy.options.inPlace !== undefined;
      throw hasWay && isRefusal(error) ? new NotReplaceable(error, { isNew: !this.#replaces }) : error;
    }
  }

  #note(path: Buffer): void {
    this.#path = path;
    if (!this.#isBeside || this.#copy.options.resume !== undefined) return;
    this.#stay = this.#target.fileSystem.removeOnExit?.(path);
  }

  /** What tells the source again in the names of temporary files, and in the journal. */
  get #source(): string {
    this.#sourceMark ??= sourceMark(this.#copy.source.path, this.#copy.file.info);
    return this.#sourceMark;
  }

  get #isBeside(): boolean {
    return this.#path !== undefined && !this.#path.equals(this.#target.path);
  }

  /** What is in the target's place, where anything can be. */
  async #existing(): Promise<FileInfo | undefined> {
    return this.#copy.options.isFree ? undefined : this.#look();
  }

  async #look(): Promise<FileInfo | undefined> {
    const { source, options } = this.#copy;
    const { signal, followLink } = options;
    const existing = await existingFile(source, this.#target, signal);
    if (existing?.type !== 'symlink') return existing;
    if (!followLink || !isOurs(this.#target)) return undefined;
    const link = this.#target;
    this.#target = await whereItLeads(link, signal);
    const found = await existingFile(source, this.#target, signal);
    const isNamed = found !== undefined && found.type !== 'symlink';
    if (isNamed || !link.fileSystem.isLocal) return found;
    // Links of the kernel, as /dev/stdout, lead to what has no path of its own.
    const itself = await link.fileSystem.stat(link.path, { signal }).catch(() => undefined);
    if (itself !== undefined) throw notReplaceable(itself, source, link);
    return found;
  }

  async #rename({ bytes, confirmation }: Copied<Confirmation>): Promise<void> {
    const target = this.#target;
    const { overwrite, signal, inPlace, beforeRename, journal } = this.#copy.options;
    if (this.#path === undefined) return;
    await beforeRename?.();
    signal?.throwIfAborted();
    // Under its name nobody could tell it from the file of somebody else.
    if (overwrite === 'never')
      this.#copy.tries.check(`write ${quote(target.fileSystem.textOf(target.path))}`);
    try {
      if (overwrite === 'never') {
        await target.fileSystem.rename(this.#path, target.path, { signal });
        this.#copy.tries.isComplete = true;
      } else await target.fileSystem.replace(this.#path, target.path, { signal });
    } catch (error) {
      if (journal?.goesOnAfter(error)) {
        const lost = { path: this.#path, target: target.path, source: this.#source };
        journal.noteRename(this.#copy.target, { ...lost, bytes, mtime: confirmation?.mtime });
      }
      const hasWay = overwrite !== 'never' || inPlace !== undefined;
      const named = withNameOf(this.#copy.target, this.#path, error);
      const isReadAgain = this.#copy.source.readsOnce && inPlace !== undefined;
      throw hasWay && isRefusal(named)
        ? new NotReplaceable(named, { isNew: !this.#replaces, written: isReadAgain ? this.#path : undefined })
        : named;
    }
  }

  /** Whether the file under the temporary name is still needed. */
  #isKept(error: unknown): boolean {
    return error instanceof NotReplaceable && error.written !== undefined;
  }

  /** What becomes of the content of a copy that has failed. */
  async #leave(bytes: number, error: unknown): Promise<void> {
    if (this.#path === undefined) return;
    const isDoubtful = hasCode(error, 'SOURCE_CHANGED') || isGivenTwice(error);
    const partial = { path: this.#path, bytes: isDoubtful ? 0 : bytes, source: this.#source };
    await leavePartial(this.#target, partial, error, this.#copy.options);
  }
}

/** A link that somebody else may have laid to lead the content elsewhere is replaced. */
function isOurs({ fileSystem, path }: Place): boolean {
  try {
    fileSystem.checkLink?.(path);
    return true;
  } catch {
    return false;
  }
}

/** Where a link leads, also where nothing is there yet. */
async function whereItLeads(link: Place, signal: AbortSignal | undefined): Promise<Place> {
  const { fileSystem, path } = link;
  try {
    return { fileSystem, path: await fileSystem.realPath(path, { signal }) };
  } catch (error) {
    if (!isMissing(error)) throw error;
    const text = await fileSystem.readLink(path, { signal });
    const isAbsolute = text[0] === SLASH;
    return { fileSystem, path: isAbsolute ? text : fileSystem.join(fileSystem.split(path).directory, text) };
  }
}

/** The mode that is given, or that of the file that is replaced, or of the source if that is kept. */
function changesFor(
  { file, target, options }: FileCopy<Sized>,
  existing: FileInfo | undefined,
): TargetChanges {
  const { mode } = file.info;
  const replaced = replacedBy(existing);
  if (options.mode !== undefined) return { owner: replaced.owner, mode: options.mode, isModeGiven: true };
  if (!options.preserveMode || mode === undefined) return replaced;
  return { owner: replaced.owner, mode: target.fileSystem.permitted(mode) };
}
