/**
 * One directory made like another, whichever side either is on: both are listed, a plan is made, and the plan is
 * carried out.
 */
import type { Buffer } from 'node:buffer';
import type { Place } from './file-system.js';
import type { Journal } from './journal.js';
import { findDifferences, type MirrorComparison } from './mirror-comparison.js';
import {
  Execution,
  type ExecutionOptions,
  type MirrorFailure,
  type MirrorFigures,
} from './mirror-execution.js';
import { listBoth } from './mirror-listing.js';
import { byDepthFirst, keyOf, type MirrorEntry, type MirrorStep, planMirror } from './mirror-plan.js';

export interface MirrorTreeOptions extends ExecutionOptions {
  readonly delete: boolean;
  readonly dryRun: boolean;
  readonly compare: MirrorComparison;
  readonly symlinks: 'follow' | 'copy' | 'skip';
  readonly filter?: ((entry: MirrorEntry) => boolean) | undefined;
  /** Whether the target is there. */
  readonly hasTarget: boolean;
  /** Tries again what only the connection has kept from working; what is done is not done again. */
  readonly persist?: (<T>(attempt: (journal: Journal | undefined) => Promise<T>) => Promise<T>) | undefined;
}

/** What a mirror has done, or would do. */
export interface MirrorReport {
  /** Nothing was changed: this is what would be. */
  readonly dryRun: boolean;
  /** Every path, sorted, with what was planned for it and why. */
  readonly plan: readonly MirrorStep[];
  /** Files, directories and links that were made anew. */
  readonly created: number;
  /** Files and links that were there already, and have been replaced. */
  readonly updated: number;
  readonly deleted: number;
  /** What stays as it is. */
  readonly kept: number;
  /** What was left alone; `reason` tells why. */
  readonly skipped: readonly MirrorStep[];
  /** What could not be done, where the mirror went on in spite of it. */
  readonly failed: readonly MirrorFailure[];
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
  const { persist = (attempt) => attempt(undefined) } = options;
  const { plan, abandoned } = await persist(() => makePlan(source, target, options));
  if (!options.dryRun) await removeAbandoned(target, abandoned, options);
  const execution = new Execution({ source, target, hasTarget: options.hasTarget }, plan, options);
  const done = options.dryRun ? promised(plan) : await persist((journal) => execution.run(journal));
  return {
    dryRun: options.dryRun,
    plan,
    kept: plan.filter(({ action }) => action === 'keep').length,
    skipped: plan.filter(({ action }) => action === 'skip'),
    ...done,
    duration: Math.round(performance.now() - startMs),
  };
}

async function makePlan(
  source: Place,
  target: Place,
  options: MirrorTreeOptions,
): Promise<{ readonly plan: readonly MirrorStep[]; readonly abandoned: readonly Buffer[] }> {
  const { delete: mayDelete, hasTarget, symlinks, filter, signal, line, compare } = options;
  const listings = await listBoth(source, target, {
    signal,
    symlinks,
    withExtras: mayDelete,
    hasTarget,
    filter,
  });
  const sides = { source, target, line, signal };
  const differences = await findDifferences(listings.source, listings.target, compare, sides);
  const steps = planMirror(listings.source, listings.target, {
    delete: mayDelete,
    differences,
    held: listings.held,
  });
  const plan = [...steps, ...listings.refused].sort((left, right) => byDepthFirst(keyOf(left), keyOf(right)));
  return { plan, abandoned: listings.abandoned };
}

/** At best effort: what cannot be removed is found again. */
async function removeAbandoned(
  { fileSystem }: Place,
  abandoned: readonly Buffer[],
  { signal }: MirrorTreeOptions,
): Promise<void> {
  for (const path of abandoned) await fileSystem.removeFile(path, { signal }).catch(() => {});
}

function promised(plan: readonly MirrorStep[]): MirrorFigures {
  const count = (action: MirrorStep['action']) => plan.filter((step) => step.action === action).length;
  return {
    created: count('create'),
    updated: count('update'),
    deleted: count('delete'),
    failed: [],
    bytes: plan.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
