/** What a mirror does with one name of a directory, worked out from what lies on both sides. */
import { Buffer } from 'node:buffer';
import { type PathKey, pathOfKey } from '../../shared/remote-path.js';
import type { FileType } from '../../wire/attributes.js';
import type { PackedEntry } from '../../wire/packed-entries.js';
import { isCopied, type MirrorReason, type MirrorStep } from './mirror-step.js';
import type { MirrorDirectory } from './mirror-tree.js';

export interface PlanOptions {
  readonly delete: boolean;
  /** What of a mode may be set on the target; only given if permissions shall become equal. */
  readonly permitted?: ((mode: number) => number) | undefined;
}

/** What else has a say. */
export interface Circumstances {
  /** The directory makes room for what the source has there. */
  readonly isReplaced?: boolean | undefined;
  /** Something below may not be deleted. */
  readonly isHeld?: boolean | undefined;
  /** Different times say nothing, as the server lets none be set. */
  readonly areTimesRefused?: boolean | undefined;
}

type Action = MirrorStep['action'];
export type Decision = readonly [Action, MirrorReason];

/** Else everything below is left alone. */
export function goesOnBelow(decisions: readonly Decision[]): boolean {
  const goesOn = ([action, reason]: Decision) =>
    action === 'delete' || (action !== 'skip' && reason !== 'extra');
  return decisions.length > 0 && decisions.every(goesOn);
}

/** No decision for what the filter leaves out; two for what makes room. */
export function decide(
  directory: MirrorDirectory,
  index: number,
  options: PlanOptions & Circumstances,
): readonly Decision[] {
  const [from, to] = [directory.sourceType(index), directory.targetType(index)];
  const leftOut = directory.leftOut(index);
  if (leftOut !== undefined) return leftOut === 'filtered' ? [] : [['skip', leftOut]];
  if (to === undefined) return [['create', 'missing']];
  if (from === to) return [decideOnPair(directory, index, options)];
  const { delete: mayDelete, isHeld, isReplaced } = options;
  if (from === undefined) {
    if (!mayDelete) return [['keep', 'extra']];
    return [isHeld ? ['keep', 'not-empty'] : ['delete', isReplaced ? 'type' : 'extra']];
  }
  if (!mayDelete || isHeld) return [['skip', 'type']];
  return [
    ['delete', 'type'],
    ['create', 'type'],
  ];
}

function decideOnPair(
  directory: MirrorDirectory,
  index: number,
  { areTimesRefused, permitted }: PlanOptions & Circumstances,
): Decision {
  const [from, to] = [directory.source(index), directory.target(index)];
  const told = directory.difference(index) ?? linkDifference(from, to);
  const difference = told === 'mtime' && areTimesRefused ? 'times-refused' : told;
  if (difference !== undefined && difference !== 'times-refused') return ['update', difference];
  if (hasOtherMode(to, modeFor(from, to, permitted))) return ['update', 'mode'];
  return ['keep', difference ?? 'same'];
}

/** What one side has where a step is. */
export interface StepSide {
  readonly type: FileType;
  readonly size: number | undefined;
  readonly mtime: number | undefined;
}

interface StepValues {
  readonly directory: MirrorDirectory;
  readonly index: number;
  readonly permitted: PlanOptions['permitted'];
}

/** Knows where it stands in its directory, and no more: a million steps take 70 MiB with their list. */
export class PlannedStep implements MirrorStep {
  readonly action: Action;
  readonly reason: MirrorReason;
  readonly #directory: MirrorDirectory;
  readonly #index: number;
  readonly #permitted: PlanOptions['permitted'];

  constructor([action, reason]: Decision, { directory, index, permitted }: StepValues) {
    this.action = action;
    this.reason = reason;
    this.#directory = directory;
    this.#index = index;
    this.#permitted = permitted;
  }

  get path(): string {
    return pathOfKey(this.#directory.keyAt(this.#index)).toString();
  }

  /** JSON writes them as the key and not as a list of numbers. */
  get pathBytes(): Buffer {
    return bytesOf(this.#directory.keyAt(this.#index));
  }

  get type(): FileType {
    return this.#entry?.type ?? 'unknown';
  }

  get bytes(): number {
    const entry = this.#entry;
    return entry?.type === 'file' && isCopied(this) ? (entry.attributes.size ?? 0) : 0;
  }

  get mode(): number | undefined {
    if (this.action === 'delete' || this.action === 'skip') return undefined;
    const [from, to] = [this.#directory.source(this.#index), this.#directory.target(this.#index)];
    return modeFor(from, to, this.#permitted);
  }

  get #entry(): PackedEntry | undefined {
    const source = this.action === 'delete' ? undefined : this.#directory.source(this.#index);
    return source ?? this.#directory.target(this.#index);
  }

  toJSON(): MirrorStep {
    const { action, path, pathBytes, type, reason, bytes, mode } = this;
    const step = { action, path, pathBytes, type, reason, bytes };
    return mode === undefined ? step : { ...step, mode };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): MirrorStep {
    return this.toJSON();
  }

  /** What both sides have there. */
  static sidesOf(step: PlannedStep): {
    readonly from?: StepSide | undefined;
    readonly to?: StepSide | undefined;
  } {
    const [from, to] = [step.#directory.source(step.#index), step.#directory.target(step.#index)];
    return { from: from && sideOf(from), to: to && sideOf(to) };
  }
}

function sideOf({ type, attributes: { size, mtime } }: PackedEntry): StepSide {
  return { type, size, mtime };
}

function bytesOf(key: PathKey): Buffer {
  return Object.defineProperty(pathOfKey(key), 'toJSON', { value: () => key });
}

/** A directory keeps its set-group-ID and sticky bits: they say who may do what with files to come. */
function modeFor(
  from: PackedEntry | undefined,
  to: PackedEntry | undefined,
  permitted: PlanOptions['permitted'],
): number | undefined {
  const mode = from?.attributes.mode;
  if (permitted === undefined || mode === undefined || from?.type === 'symlink') return undefined;
  const isMerged = from?.type === 'directory' && to?.type === 'directory';
  return permitted(mode) | (isMerged ? (to.attributes.mode ?? 0) & 0o7000 : 0);
}

/** Bits beyond the permissions are not compared: they are never set. */
function hasOtherMode(to: PackedEntry | undefined, wanted: number | undefined): boolean {
  const mode = to?.attributes.mode;
  return mode !== undefined && wanted !== undefined && ((mode ^ wanted) & 0o777) !== 0;
}

/** What links say stands where listings have their long names. */
function linkDifference(
  from: PackedEntry | undefined,
  to: PackedEntry | undefined,
): MirrorReason | undefined {
  if (from?.type !== 'symlink') return undefined;
  const [text, other] = [from.longname, to?.longname];
  return text !== undefined && other !== undefined && Buffer.compare(text, other) === 0 ? undefined : 'link';
}
