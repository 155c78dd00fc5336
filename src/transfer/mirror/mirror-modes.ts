/** Which permissions a mirror sets beside copying, and when: what a read-only directory holds is changed all the same. */
import { keyOf, type MirrorStep } from './mirror-step.js';

/** What it takes to change what is in a directory. */
export const OWNERS_RIGHTS = 0o700;

export interface ModeSteps {
  /** Directories that are there and change, or must let us in meanwhile: before anything in them is changed. */
  readonly opened: readonly MirrorStep[];
  /** Files that stay as they are otherwise. */
  readonly files: readonly MirrorStep[];
  /** Directories that get their permissions when everything in them is as it should be. */
  readonly closed: readonly MirrorStep[];
}

export function modeStepsOf(plan: readonly MirrorStep[]): ModeSteps {
  const directories = plan.filter(({ type, mode }) => type === 'directory' && mode !== undefined);
  const changed = directories.some(isRestricted) ? parentsOfChanges(plan) : new Set<string>();
  const opened = directories.filter(
    (step) =>
      step.reason === 'mode' || (step.action === 'keep' && isRestricted(step) && changed.has(keyOf(step))),
  );
  const restricted = new Set(opened.filter(isRestricted));
  return {
    opened,
    files: plan.filter(({ type, reason }) => type === 'file' && reason === 'mode'),
    closed: directories.filter((step) => step.action === 'create' || restricted.has(step)),
  };
}

/** The owner may not change what is in it. */
export function isRestricted({ mode = OWNERS_RIGHTS }: MirrorStep): boolean {
  return (mode & OWNERS_RIGHTS) !== OWNERS_RIGHTS;
}

function parentsOfChanges(plan: readonly MirrorStep[]): ReadonlySet<string> {
  const changes = plan.filter(({ action }) => action !== 'keep' && action !== 'skip').map(keyOf);
  return new Set(changes.map((key) => key.slice(0, Math.max(0, key.lastIndexOf('/')))));
}
