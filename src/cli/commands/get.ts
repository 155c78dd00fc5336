/** `get` */
import type { Buffer } from 'node:buffer';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import type { FileAttributes, RemotePath } from '../../index.js';
import { forEachLimited } from '../../shared/promises.js';
import type { OptionValues } from '../options/option-table.js';
import { LocalFileError } from '../output/exit-codes.js';
import { UsageError } from '../output/usage-error.js';
import type { CommandRun, Context } from './command.js';
import { allMatches, joinBytes, lastName, type RemoteMatch, remotePlace } from './places.js';
import { namesFrom, requireOperands } from './targets.js';
import { filesAtOnce, replaceFile, transferTree } from './transfers.js';

export const runGet: CommandRun = async (context, operands, values) => {
  requireOperands(operands, 1);
  const last = operands.at(-1) ?? '';
  const hasTarget = operands.length > 1 && context.isRemote(last) !== true;
  const sources = hasTarget ? operands.slice(0, -1) : operands;
  const place = await context.place(hasTarget ? last : '.', 'local');
  const names = await namesFrom(values, context.signal);
  if (place.kind === 'stream') await getStreams(context, sources);
  else if (place.kind === 'remote')
    throw new UsageError('get writes to this computer; from server to server use cp');
  else if (names !== undefined) await getListed(context, { names, sources, target: place.path }, values);
  else await getAll(context, sources, place.path, values);
};

/** A file to be fetched, or a directory. */
interface Wanted {
  readonly match: RemoteMatch;
  readonly attributes: FileAttributes;
  readonly target: string;
}

async function getAll(
  context: Context,
  sources: readonly string[],
  target: string,
  values: OptionValues,
): Promise<void> {
  const matches: RemoteMatch[] = [];
  for (const source of sources) {
    matches.push(...((await context.outcome.attempt(source, () => allMatches(context, [source]))) ?? []));
  }
  const isDirectory = await isLocalDirectory(target);
  if (matches.length > 1 && !isDirectory) {
    throw new LocalFileError(
      'ENOTDIR',
      `${target} is not a directory on this computer: several files go into one`,
    );
  }
  if (/[/\\]$/.test(target) && !isDirectory && sep !== '\\') {
    throw new LocalFileError('ENOENT', `${target} is not a directory on this computer`);
  }
  const found: Wanted[] = [];
  await forEachLimited(matches, filesAtOnce(), async (match) => {
    await context.outcome.attempt(match.place.show(match.text), async () => {
      const attributes = await match.place.connection.stat(match.path, { signal: context.signal });
      found.push({ match, attributes, target: isDirectory ? join(target, localName(match.text)) : target });
    });
  });
  await fetchAll(context, found, values);
}

async function fetchAll(context: Context, wanted: readonly Wanted[], values: OptionValues): Promise<void> {
  for (const { attributes } of wanted) {
    if (attributes.isFile()) context.progress.expect(1, attributes.size ?? 0);
  }
  await forEachLimited(wanted, filesAtOnce(values), (each) =>
    each.attributes.isDirectory()
      ? fetchTree(context, each.match, each.target, values)
      : fetchFile(context, each, values),
  );
}

async function fetchFile(
  context: Context,
  { match, attributes, target }: Wanted,
  values: OptionValues,
): Promise<void> {
  const { place, path, text } = match;
  const existing = await stat(target).catch(() => undefined);
  const facts = existing && { size: existing.size, mtime: existing.mtimeMs / 1000 };
  const job = { source: place.show(text), target };
  await replaceFile(context, 'get', job, { values, source: attributes, existing: facts }, (options) =>
    place.connection.get(path, target, options),
  );
}

async function fetchTree(
  context: Context,
  match: RemoteMatch,
  target: string,
  values: OptionValues,
): Promise<void> {
  const { place, path, text } = match;
  await transferTree(context, 'get', { source: place.show(text), shown: text }, values, (options) =>
    place.connection.getR(path, target, { ...options, into: true }),
  );
}

/** To standard output, one after the other. */
async function getStreams(context: Context, sources: readonly string[]): Promise<void> {
  const { outcome, output, signal } = context;
  const sink = { write: (chunk: Uint8Array) => output.content(chunk) };
  for (const { place, path, text } of await allMatches(context, sources)) {
    await outcome.attempt(place.show(text), async () => {
      outcome.did(1, await place.connection.getfo(path, sink, { signal }));
    });
  }
}

/** The names of a list, each with its directories below the target. */
async function getListed(
  context: Context,
  {
    names,
    sources,
    target,
  }: { readonly names: readonly Buffer[]; readonly sources: readonly string[]; readonly target: string },
  values: OptionValues,
): Promise<void> {
  const [base = '', ...others] = sources;
  if (others.length > 0) throw new UsageError('With --files-from, give one directory on a server: host:path');
  const place = await remotePlace(context, base);
  const wanted: Wanted[] = [];
  await forEachLimited(names, filesAtOnce(), async (name) => {
    const path: RemotePath = name[0] === 0x2f ? name : joinBytes(place.path, name);
    const text = name.toString('utf8');
    await context.outcome.attempt(text, async () => {
      const attributes = await place.connection.stat(path, { signal: context.signal });
      const below = safeRelative(text);
      await mkdir(dirname(join(target, below)), { recursive: true });
      wanted.push({ match: { place, path, text: textOf(path) }, attributes, target: join(target, below) });
    });
  });
  await fetchAll(context, wanted, values);
}

function textOf(path: RemotePath): string {
  return typeof path === 'string' ? path : new TextDecoder().decode(path);
}

/** A name of a list must not lead out of the target. */
function safeRelative(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..'))
    throw new UsageError(`${name} leads out of the directory: names in a list go down only`);
  return parts.join(sep);
}

/** Names such as `..` stand for the target itself. */
function localName(path: string): string {
  const name = lastName(path);
  return name === '.' || name === '..' ? '' : name;
}

async function isLocalDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() ?? false;
}
