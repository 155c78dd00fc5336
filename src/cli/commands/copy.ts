/** `cp`: on one server, between two, or to and from this computer. */
import { copyBetween } from '../../index.js';
import type { OptionValues } from '../options/option-table.js';
import { UsageError } from '../output/usage-error.js';
import type { CommandRun, Context, RemotePlace } from './command.js';
import { runGet } from './get.js';
import { joinRemote, lastName, matchesOf } from './places.js';
import { runPut } from './put.js';
import { requireOperands } from './targets.js';
import {
  isDirectoryError,
  isRemoteDirectory,
  tellsInPlace,
  tellTree,
  transferFile,
  transferOptions,
  wantsRecursion,
} from './transfers.js';

export const runCopy: CommandRun = async (context, operands, values) => {
  requireOperands(operands, 2);
  const [sources, last] = [operands.slice(0, -1), operands.at(-1) ?? ''];
  const target = await context.place(last, 'any');
  const areRemote = new Set(sources.map((source) => context.isRemote(source) ?? true));
  if (areRemote.size > 1) throw new UsageError('The sources must be all on servers, or all on this computer');
  const [isFromServer = true] = areRemote;
  if (target.kind !== 'remote') {
    if (!isFromServer) throw new UsageError('There is no server among the arguments: use cp of your system');
    await runGet(context, operands, values);
  } else if (!isFromServer) await runPut(context, operands, values);
  else await copyRemote(context, sources, target, values);
};

async function copyRemote(
  context: Context,
  sources: readonly string[],
  target: RemotePlace,
  values: OptionValues,
): Promise<void> {
  const isDirectory = await isRemoteDirectory(target.connection, target.path, context.signal);
  for (const source of sources) {
    const place = await context.place(source, 'any');
    if (place.kind !== 'remote') throw new UsageError(`'${source}' is not on a server`);
    const matches = await matchesOf(place, context.signal);
    if (!isDirectory && (matches.length > 1 || sources.length > 1)) {
      throw new UsageError(`${target.show(target.path)} is not a directory: several files go into one`);
    }
    for (const { path, text } of matches) {
      const to = isDirectory ? joinRemote(target.path, lastName(text)) : target.path;
      await context.outcome.attempt(place.show(text), () =>
        copyOne(context, { ...place, path: text, bytes: path }, { ...target, path: to }, values),
      );
    }
  }
}

async function copyOne(
  context: Context,
  from: RemotePlace & { readonly bytes: string | Uint8Array },
  to: RemotePlace,
  values: OptionValues,
): Promise<void> {
  const { signal, progress } = context;
  const attributes = await from.connection.stat(from.bytes, { signal });
  const job = { source: from.show(from.path), target: to.show(to.path) };
  if (attributes.isDirectory() && !wantsRecursion(values)) throw isDirectoryError(from.path);
  const atomic = values.inPlace === true ? false : 'preferred';
  if (!attributes.isDirectory() && from.connection === to.connection && values.preserve !== true) {
    progress.expect(1, attributes.size ?? 0);
    await transferFile(context, 'cp', job, (callback) =>
      from.connection.copy(from.bytes, to.path, { signal, atomic, ...tellsInPlace(context), callback }),
    );
    return;
  }
  const { retry, concurrency } = transferOptions(context, values);
  const task = progress.begin(job.source);
  try {
    const report = await copyBetween(from.connection, from.bytes, to.connection, to.path, {
      signal,
      atomic,
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(retry === undefined ? {} : { retry }),
      preserveMtime: values.preserve === true,
      preserveMode: true,
      symlinks: values.links === 'follow' ? 'follow' : 'skip',
      callback: task.callback,
    });
    for (const { path, target, bytes } of report.done) {
      context.output.json({
        type: 'result',
        command: 'cp',
        action: 'copied',
        source: from.show(path),
        target: to.show(target),
        bytes,
      });
    }
    tellTree(context, 'cp', report);
  } finally {
    task.end();
  }
}
