/** The whole plan of a mirror before anything is done: its figures, and its steps as far as memory allows. */
import { withJson } from '../../errors/error-json.js';
import { readable } from '../../errors/readable-error.js';
import { SftpError } from '../../errors.js';
import type { PathKey } from '../../shared/remote-path.js';
import { Budget, ERROR_BYTES, MAX_ERROR_BYTES } from '../tree/report-budget.js';
import type { MirrorFailure, MirrorFigures } from './mirror-execution.js';
import { isCopied, type MirrorStep } from './mirror-step.js';
import type { MirrorWalk, MirrorWalkOptions } from './mirror-walk.js';

/** What a plan comes to. */
interface MirrorTally {
  /** All, or the first of them. */
  readonly steps: readonly MirrorStep[];
  readonly omitted: number;
  readonly kept: number;
  readonly skipped: readonly MirrorStep[];
  /** What would have been done. */
  readonly promised: MirrorFigures;
  readonly firstDeletion: MirrorStep | undefined;
  /** Files that are copied, and their content. */
  readonly expected: { readonly files: number; readonly bytes: number };
}

export interface MirrorPlan extends MirrorTally {
  /** It can be carried out from memory. */
  readonly isKept: boolean;
  /** Directories of the target in which programs that were killed have left something. */
  readonly abandoned: readonly PathKey[];
  /** Directories that cannot be listed, and how many more there are. */
  readonly unreadable: readonly MirrorFailure[];
  readonly unlisted: number;
}

/** What the steps may take, with what was listed for them, where they are carried out from memory. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** And of a server's entries, where the caller is given them all. */
const MAX_GIVEN_BYTES = 168 * 1024 * 1024;
/** The first ones, which a report has in any case. */
const FIRST_STEPS = 1000;
const MAX_SKIPPED = 10_000;
const MAX_ABANDONED = 10_000;

interface SurveyOptions {
  /** The caller wants every step. */
  readonly keepsAll: boolean;
  readonly keptBytes?: number | undefined;
}

/** @throws SftpError (`LIMIT`) all steps are wanted, and they are more than memory allows */
export async function planAll(
  make: (hooks: Required<Pick<MirrorWalkOptions, 'onAbandoned' | 'onUnreadable'>>) => MirrorWalk,
  { keepsAll, keptBytes = MAX_KEPT_BYTES }: SurveyOptions,
): Promise<MirrorPlan> {
  const abandoned: PathKey[] = [];
  const unreadable: MirrorFailure[] = [];
  const budget = new Budget(MAX_ERROR_BYTES);
  const walk = make({
    onAbandoned: (key) => void (abandoned.length < MAX_ABANDONED && abandoned.push(key)),
    onUnreadable: (step, error) => {
      if (!budget.takes(ERROR_BYTES + step.pathBytes.length)) return;
      unreadable.push({ step: detached(step), error: withJson(readable(error)) });
    },
  });
  const tally = new Tally();
  for await (const steps of walk.batches()) {
    for (const step of steps) tally.add(step);
    const { listedBytes, serverBytes } = walk.taken;
    if (keepsAll && serverBytes > MAX_GIVEN_BYTES) throw tooLong();
    if (!keepsAll && listedBytes > keptBytes) tally.forget();
  }
  return { ...tally.result, isKept: tally.isKept, abandoned, unreadable, unlisted: budget.omitted };
}

export function tallyOf(steps: readonly MirrorStep[]): MirrorTally {
  const tally = new Tally();
  for (const step of steps) tally.add(step);
  return tally.result;
}

class Tally {
  isKept = true;
  readonly #counts = { create: 0, update: 0, delete: 0, keep: 0, skip: 0 };
  #steps: MirrorStep[] = [];
  #skipped: MirrorStep[] = [];
  #omitted = 0;
  /** What makes room is deleted in any case, and what is extra only where all has been listed. */
  #makingRoom = 0;
  #isIncomplete = false;
  #files = 0;
  #bytes = 0;
  #firstDeletion: MirrorStep | undefined;

  add(step: MirrorStep): void {
    const { action } = step;
    this.#counts[action] += 1;
    if (this.isKept) this.#steps.push(step);
    else if (this.#steps.length < FIRST_STEPS) this.#steps.push(detached(step));
    else this.#omitted += 1;
    if (action === 'skip' && (this.isKept || this.#skipped.length < MAX_SKIPPED)) {
      this.#skipped.push(this.isKept ? step : detached(step));
    }
    if (action === 'delete') this.#firstDeletion ??= detached(step);
    if (action === 'delete' && step.reason === 'type') this.#makingRoom += 1;
    if (step.reason === 'unreadable') this.#isIncomplete = true;
    if (!isCopied(step) || step.type !== 'file') return;
    this.#files += 1;
    this.#bytes += step.bytes;
  }

  /** Keeps the first steps, and nothing of their directories. */
  forget(): void {
    if (!this.isKept) return;
    this.isKept = false;
    this.#omitted = Math.max(0, this.#steps.length - FIRST_STEPS);
    this.#steps = this.#steps.slice(0, FIRST_STEPS).map(detached);
    this.#skipped = this.#skipped.slice(0, MAX_SKIPPED).map(detached);
  }

  get result(): MirrorTally {
    const { create: created, update: updated, keep: kept } = this.#counts;
    const deleted = this.#isIncomplete ? this.#makingRoom : this.#counts.delete;
    const lists = { failed: [], overwrittenInPlace: [], notPreserved: [], unlisted: 0 };
    return {
      steps: this.#steps,
      omitted: this.#omitted,
      kept,
      skipped: this.#skipped,
      promised: { created, updated, deleted, bytes: this.#bytes, ...lists },
      firstDeletion: this.#firstDeletion,
      expected: { files: this.#files, bytes: this.#bytes },
    };
  }
}

/** A step that keeps nothing of its directory. */
function detached(step: MirrorStep): MirrorStep {
  const { action, path, pathBytes, type, reason, bytes, mode } = step;
  return { action, path, pathBytes, type, reason, bytes, ...(mode !== undefined && { mode }) };
}

function tooLong(): SftpError {
  return new SftpError(
    'LIMIT',
    'The plan of this mirror has more steps than memory allows: take them one by one with planMirror of tsftp/jobs',
  );
}
