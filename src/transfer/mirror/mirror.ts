/**
 * One directory made like another, whichever side either is on: both are listed, a plan is made, and the plan is
 * carried out. A plan that is too large to be kept is counted only, and made a second time while it is carried out, part
 * by part, and a third time for what is deleted at the end.
 */
import type { PathKey } from '../../shared/remote-path.js';
import type { Place } from '../file-system.js';
import type { Journal } from '../resume/journal.js';
import { Leftovers } from '../resume/leftovers.js';
import type { EntryFilter } from '../tree/entry-filter.js';
import { type Approval, checkDeletions, isApproved, limitToGiven } from './mirror-approval.js';
import type { MirrorComparison } from './mirror-comparison.js';
import {
  Execution,
  type ExecutionOptions,
  type MirrorFailure,
  type MirrorFigures,
} from './mirror-execution.js';
import { pathOf } from './mirror-listing.js';
import { isAfter, type MirrorPart, partsOf } from './mirror-parts.js';
import type { PlannedStep } from './mirror-plan.js';
import { keyOf, type MirrorEntry, type MirrorStep } from './mirror-step.js';
import { type MirrorPlan, planAll, tallyOf } from './mirror-survey.js';
import { MirrorWalk, type MirrorWalkOptions } from './mirror-walk.js';

export interface MirrorTreeOptions extends ExecutionOptions {
  readonly delete: boolean;
  readonly dryRun: boolean;
  readonly compare: MirrorComparison;
  readonly symlinks: 'follow' | 'copy' | 'skip';
  readonly filter?: EntryFilter<MirrorEntry> | undefined;
  /** What has to agree to the plan before anything is changed. */
  readonly approval?: Approval | undefined;
  /** Whether the target is there. */
  readonly hasTarget: boolean;
  /** What may be kept of the plan, in bytes, and the steps of a part of a plan that is not. Only tests change them. */
  readonly keptBytes?: number | undefined;
  readonly partSteps?: number | undefined;
  /** Tries again what only the connection has kept from working; what is done is not done again. */
  readonly persist?:
    | (<T>(
        attempt: (journal: Journal | undefined, signal: AbortSignal | undefined) => Promise<T>,
      ) => Promise<T>)
    | undefined;
}

/** What a mirror has done, or would do. */
export interface MirrorReport {
  /** Nothing was changed, as `dryRun` was set or `confirm` said no: this is what would be. */
  readonly dryRun: boolean;
  /**
   * Every path, sorted, with what was planned for it and why. Of a tree of more than some 300,000 entries that was
   * mirrored, the first 1,000 only; a dry run has them all, up to about a million.
   */
  readonly plan: readonly MirrorStep[];
  /**
   * How many steps are missing in `plan`, and entries in the other lists, as they would take too much memory: `failed` and
   * `notPreserved` hold some 4,000 each. The figures count all.
   */
  readonly omitted: number;
  /** Files, directories and links that were made anew. */
  readonly created: number;
  /** What was there already and has been replaced, or has got other permissions. */
  readonly updated: number;
  readonly deleted: number;
  /** What stays as it is. */
  readonly kept: number;
  /** What was left alone; `reason` tells why. */
  readonly skipped: readonly MirrorStep[];
  /** What could not be done, where the mirror went on in spite of it. */
  readonly failed: readonly MirrorFailure[];
  /**
   * Every target that was overwritten in place, one after the other, as the server allows no temporary name beside it or
   * no renaming: a failure in the middle of one of these leaves a part of it.
   */
  readonly overwrittenInPlace: readonly string[];
  /**
   * What has been copied, but without the time or the permissions of its source, as the target refused these, or without
   * the owner of the file that was replaced.
   */
  readonly notPreserved: readonly MirrorFailure[];
  /** Content that was copied. */
  readonly bytes: number;
  /** How long it took, in milliseconds. */
  readonly duration: number;
}

/** Makes the content of the directory `target` that of `source`. */
export async function mirrorTree(
  source: Place,
  target: Place,
  options: MirrorTreeOptions,
): Promise<MirrorReport> {
  const startMs = performance.now();
  const { persist = (attempt) => attempt(undefined, options.signal) } = options;
  const { given, ask } = options.approval ?? {};
  const keepsAll = options.dryRun || given !== undefined || ask !== undefined;
  const found = await persist((_, signal) => {
    const make: Parameters<typeof planAll>[0] = ({ onAbandoned, onUnreadable }) =>
      walkBoth(source, target, {
        ...{ ...options, signal, onAbandoned },
        onUnreadable: options.continueOnError ? onUnreadable : undefined,
      });
    return planAll(make, { keepsAll, keptBytes: options.keptBytes });
  });
  const plan = given === undefined ? found : { ...found, ...tallyOf(limitToGiven(found.steps, given)) };
  const dryRun = options.dryRun || !(await mayCarryOut(plan, options));
  if (!dryRun) await removeAbandoned(target, plan.abandoned, options);
  const promised = { ...plan.promised, failed: plan.unreadable, unlisted: plan.unlisted };
  const { unlisted, ...done } = dryRun ? promised : await carryOut({ source, target }, plan, options);
  const { steps, kept, skipped } = plan;
  const omitted = plan.omitted + unlisted;
  const duration = Math.round(performance.now() - startMs);
  return { dryRun, plan: steps, omitted, kept, skipped, ...done, duration };
}

async function mayCarryOut(
  { steps, promised: { deleted }, firstDeletion }: MirrorPlan,
  { approval = {}, signal }: MirrorTreeOptions,
): Promise<boolean> {
  checkDeletions({ count: deleted, first: firstDeletion }, approval.maxDelete);
  return isApproved(steps, { ...approval, signal });
}

/** The steps of a mirror as they are found; nothing is done. */
export function walkBoth(
  source: Place,
  target: Place,
  options: Omit<MirrorWalkOptions, 'withExtras'> & { readonly preserveMode?: boolean | undefined },
): MirrorWalk {
  const permitted = options.preserveMode ? (mode: number) => target.fileSystem.permitted(mode) : undefined;
  return new MirrorWalk(source, target, { ...options, withExtras: options.delete, permitted });
}

async function carryOut(
  { source, target }: { readonly source: Place; readonly target: Place },
  plan: MirrorPlan,
  options: MirrorTreeOptions,
): Promise<MirrorFigures> {
  const { persist = (attempt) => attempt(undefined, options.signal), hasTarget } = options;
  const execution = new Execution({ source, target, hasTarget }, plan.expected, options);
  for (const { step, error } of plan.unreadable) execution.noteUnreadable(step, error);
  const run = (part: MirrorPart) => persist((journal) => execution.run(part, journal));
  if (plan.isKept) await run({ steps: plan.steps, parents: [], work: 'all' });
  else {
    const walk = (compare: MirrorComparison | undefined) => (signal: AbortSignal | undefined) =>
      walkBoth(source, target, {
        ...{ ...options, signal, compare, hasTarget: true },
        onUnreadable: options.continueOnError
          ? (step, error) => execution.noteUnreadable(step, error)
          : undefined,
      }).steps();
    await run({ steps: [], parents: [], work: 'copy' });
    const { partSteps } = options;
    await runParts(walk(options.compare), 'copy', { run, persist, partSteps });
    const mayDelete = plan.promised.deleted > 0 && execution.figures.failed.length === 0;
    if (mayDelete) await runParts(walk(undefined), 'delete', { run, persist, partSteps });
  }
  execution.finish();
  return execution.figures;
}

/** After a loss of the connection, what comes behind the last part is found anew. */
async function runParts(
  walk: (signal: AbortSignal | undefined) => AsyncGenerator<PlannedStep, void, undefined>,
  work: 'copy' | 'delete',
  {
    run,
    persist,
    partSteps,
  }: {
    readonly run: (part: MirrorPart) => Promise<void>;
    readonly persist: NonNullable<MirrorTreeOptions['persist']>;
    readonly partSteps?: number | undefined;
  },
): Promise<void> {
  const done = { last: undefined as string | undefined };
  await persist(async (_, signal) => {
    for await (const part of partsOf(notBefore(walk(signal), done.last), work, partSteps)) {
      await run(part);
      const last = part.steps.at(-1);
      if (last !== undefined) done.last = keyOf(last);
    }
  });
}

async function* notBefore(
  steps: AsyncGenerator<PlannedStep, void, undefined>,
  last: string | undefined,
): AsyncGenerator<MirrorStep, void, undefined> {
  for await (const step of steps) {
    const isNeeded = last === undefined || step.mode !== undefined || isAfter(keyOf(step), last);
    if (isNeeded) yield step;
  }
}

/** At best effort: what cannot be removed is found again. */
async function removeAbandoned(
  target: Place,
  abandoned: Iterable<PathKey>,
  { signal }: MirrorTreeOptions,
): Promise<void> {
  const leftovers = new Leftovers();
  for (const key of abandoned) {
    await leftovers.tidy({ ...target, path: pathOf(target, key) }, { signal }).catch(() => {});
  }
}
