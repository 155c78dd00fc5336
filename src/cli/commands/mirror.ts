/** `mirror` */
import type { MirrorEntry, MirrorOptions, MirrorReport, MirrorStep } from '../../index.js';
import { printable } from '../../shared/printable.js';
import { canAsk, confirm } from '../connecting/prompt.js';
import { entryFilter } from '../options/filter-rules.js';
import type { OptionValues } from '../options/option-table.js';
import { pathJson } from '../output/entries.js';
import { count, humanBytes } from '../output/human.js';
import { UsageError } from '../output/usage-error.js';
import type { CommandRun, Context, RemotePlace } from './command.js';
import { sidesOf } from './places.js';
import { requireOperands } from './targets.js';

export const runMirror: CommandRun = async (context, operands, values) => {
  requireOperands(operands, 2);
  if (operands.length > 2) throw new UsageError('mirror takes two directories: SOURCE TARGET');
  const [from = '', to = ''] = operands;
  const isUp = context.isRemote(from) === undefined ? values.up === true : undefined;
  const source = await context.place(from, isUp === undefined ? 'any' : isUp ? 'local' : 'remote');
  const target = await context.place(to, isUp === undefined ? 'any' : isUp ? 'remote' : 'local');
  const sides = sidesOf(source, target);
  if (sides === undefined) {
    throw new UsageError(
      source.kind === 'remote'
        ? 'mirror goes between this computer and a server; from one server to another use cp -r'
        : 'One of the two directories must be on a server: write host:path',
    );
  }
  if (values.checksum === true && values.sizeOnly === true)
    throw new UsageError('Give one of --checksum and --size-only');
  await mirrorBetween(context, sides, values);
};

interface Sides {
  readonly isUp: boolean;
  readonly local: string;
  readonly remote: RemotePlace;
}

async function mirrorBetween(
  context: Context,
  { isUp, local, remote }: Sides,
  values: OptionValues,
): Promise<void> {
  const where = isUp ? remote.show(remote.path) : local;
  const task = context.progress.begin(isUp ? local : remote.show(remote.path));
  const options: MirrorOptions = {
    ...mirrorOptions(context, values),
    direction: isUp ? 'up' : 'down',
    delete: values.delete === true,
    dryRun: values.dryRun === true,
    callback: task.callback,
    confirm: (plan) => mayRemove(context, plan, { values, where }),
    ...(typeof values.maxDelete === 'number' ? { maxDelete: values.maxDelete } : {}),
  };
  try {
    const report = isUp
      ? await remote.connection.mirror(local, remote.path, options)
      : await remote.connection.mirror(remote.path, local, options);
    // The totals are those of the report.
    await context.progress.end({ isDone: false });
    tellReport(context, report, values);
  } finally {
    task.end();
  }
}

function mirrorOptions(
  { settings, signal }: Context,
  values: OptionValues,
): Omit<MirrorOptions, 'direction'> {
  const filter = entryFilter(values);
  return {
    signal,
    compare: values.checksum === true ? 'checksum' : values.sizeOnly === true ? 'size' : 'size-mtime',
    symlinks: (values.links ?? 'skip') as 'skip' | 'follow' | 'copy',
    preserveMode: values.preserve === true,
    atomic: values.inPlace === true ? false : 'preferred',
    continueOnError: !settings.failFast,
    ...(filter === undefined
      ? {}
      : {
          filter: ({ path, type, size, mtime }: MirrorEntry) =>
            filter({ path, isDirectory: type === 'directory', isFile: type === 'file', size, mtime }),
        }),
    ...(typeof values.jobs === 'number' ? { concurrency: values.jobs } : {}),
    retry: settings.retries === 0 ? false : { attempts: settings.retries },
  };
}

/** Nothing is removed without a person's yes, or `--yes`. */
async function mayRemove(
  { settings, signal, output }: Context,
  plan: readonly MirrorStep[],
  { values, where }: { readonly values: OptionValues; readonly where: string },
): Promise<boolean> {
  const doomed = deletionsOf(plan);
  if (doomed.length === 0 || values.yes === true) return true;
  const many = `${count(doomed.length, 'entry', 'entries')} ${settings.batch || !canAsk() ? 'would' : 'will'} be removed from ${printable(where)}`;
  if (settings.batch || !canAsk()) {
    throw new UsageError(`${many}. Give --yes to allow it, or look with --dry-run. Nothing was done`);
  }
  const shown = doomed.slice(0, 10).map(({ path }) => `  ${printable(path)}`);
  const more = doomed.length > shown.length ? [`  … and ${doomed.length - shown.length} more`] : [];
  output.complain([`${many}:`, ...shown, ...more].join('\n'));
  if (await confirm('Remove them?', signal)) return true;
  throw new UsageError('Nothing was done');
}

/** Where a directory could not be listed, nothing is deleted but what makes room for something else. */
function deletionsOf(plan: readonly MirrorStep[]): readonly MirrorStep[] {
  const isIncomplete = plan.some(({ reason }) => reason === 'unreadable');
  return plan.filter(({ action, reason }) => action === 'delete' && (!isIncomplete || reason === 'type'));
}

const MARKS: Readonly<Record<MirrorStep['action'], string>> = {
  create: '+',
  update: '*',
  delete: '-',
  keep: '=',
  skip: '!',
};

function tellReport(context: Context, report: MirrorReport, values: OptionValues): void {
  const { output, outcome } = context;
  const doomed = new Set(deletionsOf(report.plan));
  const steps = report.plan.filter((step) => step.action !== 'delete' || doomed.has(step));
  for (const step of steps) tellStep(context, step, report.dryRun);
  const { created, updated, deleted, kept, bytes } = report;
  outcome.did(created + updated + deleted, bytes);
  outcome.noteInPlace(report.overwrittenInPlace);
  for (const { step, error } of report.notPreserved) {
    output.say(
      `${printable(step.path)}: copied, but ${printable(error instanceof Error ? error.message : String(error))}`,
    );
  }
  const will = report.dryRun ? ' would be' : '';
  const figures = [
    `${created}${will} created`,
    `${updated}${will} updated`,
    ...(values.delete === true ? [`${deleted}${will} removed`] : []),
    `${kept} unchanged`,
    ...(report.skipped.length > 0 ? [`${report.skipped.length} left out`] : []),
  ];
  output.say(`${figures.join(', ')}; ${humanBytes(bytes)}${report.dryRun ? ' to copy' : ' copied'}`);
  output.json({
    type: 'totals',
    command: 'mirror',
    dryRun: report.dryRun,
    created,
    updated,
    deleted,
    kept,
    skipped: report.skipped.length,
    bytes,
  });
  for (const { step, error } of report.failed) outcome.fail(step.path, error);
}

/** A dry run shows all that would change; a real one with `-v`. */
function tellStep({ output }: Context, step: MirrorStep, isDryRun: boolean): void {
  const { action, path, pathBytes, type, reason, bytes } = step;
  const isNews = action !== 'keep';
  if (isNews) {
    output.json({
      type: 'step',
      command: 'mirror',
      action,
      ...pathJson({ text: path, bytes: pathBytes }),
      kind: type,
      reason,
      bytes,
    });
  }
  if (!isNews && output.settings.level < 3) return;
  const size =
    type === 'file' && (action === 'create' || action === 'update') ? `, ${humanBytes(bytes)}` : '';
  const text = `${MARKS[action]} ${output.name(path)}${type === 'directory' ? '/' : ''} (${reason}${size})`;
  if (isDryRun) output.line(text);
  else output.say(printable(text, 4096), 2);
}
