/** `put` */

import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { printable } from '../../shared/printable.js';
import { forEachLimited } from '../../shared/promises.js';
import { localMatches } from '../addresses/local-names.js';
import type { OptionValues } from '../options/option-table.js';
import { LocalFileError } from '../output/exit-codes.js';
import { UsageError } from '../output/usage-error.js';
import type { CommandRun, Context, RemotePlace } from './command.js';
import { joinRemote, noSuchLocal, remotePlace } from './places.js';
import { namesFrom, requireOperands } from './targets.js';
import {
  filesAtOnce,
  isRemoteDirectory,
  lookIfThere,
  replaceFile,
  tellsInPlace,
  transferFile,
  transferOptions,
  transferTree,
} from './transfers.js';

export const runPut: CommandRun = async (context, operands, values) => {
  requireOperands(operands, 1);
  const names = await namesFrom(values, context.signal);
  const { sources, target } = split(context, operands, names !== undefined);
  const place = await remotePlace(context, target);
  if (names !== undefined) await putListed(context, { names, base: sources[0] ?? '.' }, place, values);
  else if (sources.includes('-')) await putStream(context, sources, place, values);
  else await putAll(context, sources, place, values);
};

/** On the command line the target is the one with a server; in the shell it may be left out. */
function split(
  context: Context,
  operands: readonly string[],
  isListed: boolean,
): { readonly sources: readonly string[]; readonly target: string } {
  const last = operands.at(-1) ?? '';
  const isRemote = context.isRemote(last) ?? operands.length > 1;
  if (isRemote && (operands.length > 1 || isListed)) return { sources: operands.slice(0, -1), target: last };
  if (context.isRemote(last) !== undefined) {
    throw new UsageError('There is no server to upload to: put FILE host:path');
  }
  return { sources: operands, target: '.' };
}

/** A file or directory to be sent. */
interface Sent {
  readonly source: string;
  readonly facts: Stats;
  readonly target: string;
}

async function putAll(
  context: Context,
  sources: readonly string[],
  place: RemotePlace,
  values: OptionValues,
): Promise<void> {
  const { outcome, signal } = context;
  const paths = sources.flatMap(localMatches);
  const isDirectory = await isRemoteDirectory(place.connection, place.path, signal);
  if (!isDirectory && (paths.length > 1 || place.path.endsWith('/'))) {
    // The server says best what is wrong with it.
    await place.connection.listdir(place.path, { signal });
  }
  const sent: Sent[] = [];
  for (const source of paths) {
    await outcome.attempt(source, async () => {
      const facts = await factsOf(source);
      const target = isDirectory ? joinRemote(place.path, basename(resolve(source))) : place.path;
      sent.push({ source, facts, target });
    });
  }
  await sendAll(context, place, sent, values);
}

async function sendAll(
  context: Context,
  place: RemotePlace,
  sent: readonly Sent[],
  values: OptionValues,
): Promise<void> {
  for (const { facts } of sent) if (facts.isFile()) context.progress.expect(1, facts.size);
  await forEachLimited(sent, filesAtOnce(values), (each) =>
    each.facts.isDirectory()
      ? sendTree(context, place, each, values)
      : sendFile(context, place, each, values),
  );
}

async function sendFile(
  context: Context,
  place: RemotePlace,
  { source, facts, target }: Sent,
  values: OptionValues,
): Promise<void> {
  const { connection } = place;
  const existing = await context.outcome.attempt(source, async () => ({
    attributes: await lookIfThere(connection, target, context.signal),
  }));
  if (existing === undefined) return;
  const job = { source, target: place.show(target) };
  const own = { size: facts.size, mtime: facts.mtimeMs / 1000 };
  const sides = { values, source: own, existing: existing.attributes };
  await replaceFile(context, 'put', job, sides, (options) => connection.put(source, target, options));
}

async function sendTree(
  context: Context,
  place: RemotePlace,
  { source, target }: Sent,
  values: OptionValues,
): Promise<void> {
  await transferTree(context, 'put', { source, shown: source }, values, (options) =>
    place.connection.putR(source, target, options),
  );
}

/** What standard input gives, under the name that the target says. */
async function putStream(
  context: Context,
  sources: readonly string[],
  { connection, path, show }: RemotePlace,
  values: OptionValues,
): Promise<void> {
  if (sources.length > 1) throw new UsageError('Standard input (-) can be the only source');
  if (await isRemoteDirectory(connection, path, context.signal)) {
    throw new UsageError(
      `Standard input has no name: write the name of the file too, as in ${show(joinRemote(path, 'name'))}`,
    );
  }
  const {
    signal,
    resume: _resume,
    preserveMtime: _mtime,
    preserveMode: _mode,
    ...others
  } = transferOptions(context, values);
  const { atomic, concurrency } = others;
  const options = { signal, atomic, ...(concurrency === undefined ? {} : { concurrency }) };
  await transferFile(context, 'put', { source: '-', target: show(path) }, (callback) =>
    connection.putfo(process.stdin, path, { ...options, ...tellsInPlace(context), callback }),
  );
}

/** The names of a list, each with its directories below the target. */
async function putListed(
  context: Context,
  { names, base }: { readonly names: readonly Uint8Array[]; readonly base: string },
  place: RemotePlace,
  values: OptionValues,
): Promise<void> {
  const sent: Sent[] = [];
  const directories = new Set<string>();
  for (const bytes of names) {
    const name = new TextDecoder().decode(bytes);
    await context.outcome.attempt(name, async () => {
      if (!isUtf8(bytes)) {
        const why = 'a name in a list is UTF-8; put -r of its directory sends any name';
        throw new LocalFileError('EILSEQ', `${printable(name)} is not UTF-8: ${why}`);
      }
      const parts = name.split(/[/\\]/u).filter((part) => part !== '' && part !== '.');
      if (parts.includes('..'))
        throw new UsageError(`${name} leads out of the directory: names in a list go down only`);
      const source = resolve(base, name);
      const facts = await factsOf(source);
      const target = joinRemote(place.path, parts.join('/'));
      if (parts.length > 1) directories.add(target.slice(0, target.lastIndexOf('/')));
      sent.push({ source: join(base, name), facts, target });
    });
  }
  for (const directory of directories)
    await place.connection.makedirs(directory, 777, { signal: context.signal });
  await sendAll(context, place, sent, values);
}

async function factsOf(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? noSuchLocal(path) : error;
  }
}
