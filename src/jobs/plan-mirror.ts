/** The plan of a mirror as a stream of steps. */
import type { Connection } from '../connection.js';
import { sidesOf } from '../connection.js';
import { checkChoice } from '../shared/arguments.js';
import { checkOptions, type OptionTable } from '../shared/option-checks.js';
import { encodePath, type RemotePath } from '../shared/remote-path.js';
import { unmarked } from '../transfer/caller-error.js';
import type { MirrorComparison } from '../transfer/mirror/mirror-comparison.js';
import { Cutter } from '../transfer/mirror/mirror-parts.js';
import { PlannedStep, type StepSide } from '../transfer/mirror/mirror-plan.js';
import type { MirrorEntry, MirrorStep } from '../transfer/mirror/mirror-step.js';
import type { MirrorWalk } from '../transfer/mirror/mirror-walk.js';
import { sftpTime } from '../transfer/sftp-time.js';
import type { EntryFilter } from '../transfer/tree/entry-filter.js';
import { idOf, jsonPath, type Step, type StepState } from './step.js';

/** Options of {@link planMirror}; those of the same names of `Connection.mirror` do the same. */
export interface PlanMirrorOptions {
  /** `up`: from a local directory to the server; `down`: from the server to a local directory. */
  readonly direction: 'up' | 'down';
  /** Also plans deletions of what the source does not have. They come at the end. Default: false. */
  readonly delete?: boolean | undefined;
  /** Also gives what stays as it is (`keep`) and what is left out (`skip`). Default: false. */
  readonly keep?: boolean | undefined;
  /** Default: `size-mtime`. */
  readonly compare?: MirrorComparison | undefined;
  /** Default: `skip`. */
  readonly symlinks?: 'follow' | 'copy' | 'skip' | undefined;
  readonly filter?: EntryFilter<MirrorEntry> | undefined;
  /** The name of the server in the ids of the steps. Default: the fingerprint of its host key. */
  readonly server?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const OPTIONS: OptionTable<PlanMirrorOptions> = {
  ...{ direction: 'checked', delete: 'boolean', keep: 'boolean', compare: 'checked', symlinks: 'checked' },
  ...{ filter: 'function', server: 'string', signal: 'signal' },
};

/**
 * The steps that make one directory like another, one after the other, without doing any of them: for a queue. Both
 * trees are walked at the same time, sorted, and merged. Memory grows with the largest directory, and not with the tree.
 *
 * What is created and updated comes first, a directory before its content. What the source does not have is found by a
 * second walk over both trees, and comes at the end, the content of a directory before the directory. So a queue that
 * works in order, or waits before the first `delete`, deletes nothing before everything else has arrived. What makes room
 * for another type is deleted just before that (`reason: 'type'`).
 *
 * A lost connection ends it with a `ConnectionLostError`: plan again, as the same steps have the same ids.
 *
 * @throws TypeError an option is invalid
 * @throws SftpStatusError or Node's own error where a directory cannot be listed
 * @throws SftpError (`LIMIT`) more than 64 levels of directories, or more than about a million entries in one of them
 *
 * @example
 * for await (const step of planMirror(sftp, '/outgoing', 'incoming', { direction: 'down' })) {
 *   await queue.add('step', step, { jobId: step.id });
 * }
 */
export async function* planMirror(
  connection: Connection,
  source: RemotePath,
  target: RemotePath,
  options: PlanMirrorOptions,
): AsyncGenerator<Step, void, undefined> {
  checkPlanOptions(options);
  const {
    direction,
    symlinks = 'skip',
    compare = 'size-mtime',
    delete: mayDelete = false,
    keep = false,
  } = options;
  using sides = sidesOf(connection, { source, target, direction, followsLinks: symlinks === 'follow' });
  const { filter, signal, server = sides.fingerprint } = options;
  const shared = { symlinks, filter, signal, preserveMtime: true };
  const toStep = stepMaker(server, [direction, textOf(source), textOf(target)]);
  const passes = mayDelete ? (['copy', 'delete'] as const) : (['copy'] as const);
  for (const pass of passes) {
    const walk = await sides.walk({
      ...shared,
      delete: mayDelete,
      compare: pass === 'copy' ? compare : undefined,
    });
    for await (const steps of ordered(walk, pass, keep)) yield* steps.map(toStep);
  }
}

/** The steps of one pass in the order in which they can be carried out, several at once. */
async function* ordered(
  walk: MirrorWalk,
  pass: 'copy' | 'delete',
  keep: boolean,
): AsyncGenerator<readonly MirrorStep[], void, undefined> {
  const cutter = new Cutter(pass);
  for await (const steps of unmarkedSteps(walk)) {
    const next: MirrorStep[] = [];
    for (const step of steps) {
      const isIdle = step.action === 'keep' || step.action === 'skip';
      if (isIdle && keep && pass === 'copy') next.push(step);
      cutter.take(step);
      if (cutter.length > 0) next.push(...cutter.part().steps);
    }
    yield next;
  }
  cutter.end();
  yield cutter.part().steps;
}

function checkPlanOptions(options: PlanMirrorOptions): void {
  checkOptions(options ?? {}, OPTIONS, { of: 'planMirror' });
  checkChoice(options?.direction, ['up', 'down'], 'direction');
  const { compare, symlinks } = options;
  if (compare !== undefined && typeof compare !== 'function')
    checkChoice(compare, ['size-mtime', 'size', 'checksum'], 'compare');
  if (symlinks !== undefined) checkChoice(symlinks, ['follow', 'copy', 'skip'], 'symlinks');
}

/** What the caller's own filter throws comes as it was thrown. */
async function* unmarkedSteps(walk: MirrorWalk): AsyncGenerator<readonly MirrorStep[], void, undefined> {
  const batches = walk.batches();
  try {
    for (let next = await unmarked(batches.next()); !next.done; next = await unmarked(batches.next())) {
      yield next.value;
    }
  } finally {
    await batches.return();
  }
}

function stepMaker(server: string, context: readonly string[]): (step: MirrorStep) => Step {
  return (step) => {
    const { action, reason, pathBytes } = step;
    const { from, to } = step instanceof PlannedStep ? PlannedStep.sidesOf(step) : {};
    const isOfTarget = action === 'delete' || from === undefined;
    const { type, size, mtime } = stateOf(isOfTarget ? to : from) ?? {
      type: step.type,
      size: null,
      mtime: null,
    };
    const was = reason === 'type' && action === 'create' ? null : stateOf(to);
    const id = idOf({ server, context: [...context, action], path: pathBytes, size, mtime });
    return { v: 1, id, action, ...jsonPath(pathBytes), type, size, mtime, was, reason };
  };
}

function stateOf(side: StepSide | undefined): StepState | null {
  if (side === undefined) return null;
  const { type, size, mtime } = side;
  return { type, size: size ?? null, mtime: mtime === undefined ? null : sftpTime(mtime) };
}

function textOf(path: RemotePath): string {
  return encodePath(path).toString('latin1');
}
