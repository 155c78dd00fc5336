/** What stands between a plan and its execution: a plan that was given, a limit of deletions, and the caller's consent. */
import { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import { untilAborted } from '../../shared/abort.js';
import { kindOf } from '../../shared/arguments.js';
import { quote } from '../../shared/remote-path.js';
import { CallerError } from '../caller-error.js';
import { keyOf, type MirrorStep } from './mirror-step.js';

/** A step of an earlier plan: one of a report, or what `JSON.parse` gives of it. */
export interface PlannedMirrorStep extends Pick<MirrorStep, 'action' | 'path' | 'type'> {
  readonly pathBytes?: Uint8Array | string | undefined;
}

export interface Approval {
  /** What alone may be done; the present plan must still allow it. */
  readonly given?: readonly PlannedMirrorStep[] | undefined;
  readonly maxDelete?: number | undefined;
  /** Asked once, where there is anything to do. */
  readonly ask?: ((plan: readonly MirrorStep[]) => boolean | Promise<boolean>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Action = MirrorStep['action'];

const CHANGES: ReadonlySet<Action> = new Set(['create', 'update', 'delete']);

/** Whether a step touches the target. */
function isChange({ action }: Pick<MirrorStep, 'action'>): boolean {
  return CHANGES.has(action);
}

/**
 * The plan without what a given one does not have.
 *
 * @throws SftpError (`PLAN_OUTDATED`) the given plan has a step that the files no longer allow
 */
export function limitToGiven(
  plan: readonly MirrorStep[],
  given: readonly PlannedMirrorStep[] | undefined,
): readonly MirrorStep[] {
  if (given === undefined) return plan;
  const changes = given.filter(isChange);
  const wanted = new Map<string, Set<Action>>();
  for (const step of changes) {
    const key = givenKey(step);
    wanted.set(key, (wanted.get(key) ?? new Set()).add(step.action));
  }
  const present = new Map<string, MirrorStep[]>();
  for (const step of plan) {
    const key = keyOf(step);
    if (wanted.has(key)) present.set(key, [...(present.get(key) ?? []), step]);
  }
  for (const step of changes) {
    const key = givenKey(step);
    if (!isAllowed(step, present.get(key) ?? [], wanted.get(key) ?? new Set())) throw outdated(step);
  }
  return plan.filter((step) => !isChange(step) || wanted.get(keyOf(step))?.has(step.action));
}

/** It is planned again, or somebody has done it meanwhile. */
function isAllowed(
  { action, type }: PlannedMirrorStep,
  present: readonly MirrorStep[],
  wanted: ReadonlySet<Action>,
): boolean {
  if (present.some((step) => step.action === action && step.type === type)) return true;
  if (action !== 'delete') return present.some((step) => step.action === 'keep' && step.reason === 'same');
  const others = present.filter((step) => !(step.action === 'keep' && wanted.has('create')));
  return others.every((step) => step.action === 'create' && wanted.has('create'));
}

/** @throws SftpError (`TOO_MANY_DELETIONS`) the plan deletes more than it may; nothing has been done then */
export function checkDeletions(
  { count, first }: { readonly count: number; readonly first: MirrorStep | undefined },
  max: number | undefined,
): void {
  if (max === undefined || count <= max) return;
  const text =
    `The mirror would delete ${count} entries, and maxDelete allows ${max}: nothing was changed ` +
    `(the first is ${quote(Buffer.from(first?.pathBytes ?? []))}; dryRun shows all of them)`;
  throw new SftpError('TOO_MANY_DELETIONS', text);
}

/** Whether the plan may be carried out. */
export async function isApproved(plan: readonly MirrorStep[], { ask, signal }: Approval): Promise<boolean> {
  if (ask === undefined || !plan.some(isChange)) return true;
  const answer: unknown = await untilAborted(asked(ask, plan), signal);
  if (typeof answer === 'boolean') return answer;
  const text = `confirm must return true or false, or a promise of one of them, not ${kindOf(answer)}`;
  throw new CallerError(new TypeError(text));
}

async function asked(ask: NonNullable<Approval['ask']>, plan: readonly MirrorStep[]): Promise<unknown> {
  try {
    return await ask(plan);
  } catch (error) {
    throw new CallerError(error);
  }
}

/** @throws TypeError it is no plan, or deletes where nothing may be deleted */
export function checkPlan(plan: unknown, { delete: mayDelete }: { readonly delete: boolean }): void {
  if (plan === undefined) return;
  if (!Array.isArray(plan)) {
    throw new TypeError(`plan must be a list of steps, as a report of mirror has it, not ${kindOf(plan)}`);
  }
  for (const step of plan as readonly unknown[]) {
    const { action, path, pathBytes } = (step ?? {}) as Partial<PlannedMirrorStep>;
    const hasBytes =
      pathBytes === undefined || typeof pathBytes === 'string' || ArrayBuffer.isView(pathBytes);
    if (typeof action !== 'string' || typeof path !== 'string' || !hasBytes) {
      throw new TypeError('plan must be a list of steps, each with action, path and type');
    }
    if (action === 'delete' && !mayDelete) {
      throw new TypeError(`plan deletes ${quote(path)}, and the option delete is not true`);
    }
  }
}

/** Byte by byte (latin1), as JSON has it too. */
function givenKey({ path, pathBytes }: PlannedMirrorStep): string {
  if (typeof pathBytes === 'string') return pathBytes;
  return Buffer.from(pathBytes ?? Buffer.from(path)).toString('latin1');
}

function outdated({ action, path }: PlannedMirrorStep): SftpError {
  const text =
    `The plan no longer fits: it says ${action} ${quote(path)}, and the files there have changed since; ` +
    'nothing was changed: make a new plan with dryRun';
  return new SftpError('PLAN_OUTDATED', text);
}
