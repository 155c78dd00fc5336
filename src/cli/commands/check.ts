/** `check`: whether two directories hold the same, whichever side each of them is on. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { FileType } from '../../index.js';
import { forEachLimited } from '../../shared/promises.js';
import { type PathKey, pathKey, pathOfKey } from '../../shared/remote-path.js';
import { entryFilter, type FilteredEntry } from '../options/filter-rules.js';
import type { OptionValues } from '../options/option-table.js';
import { pathJson } from '../output/entries.js';
import { EXIT, Verdict } from '../output/exit-codes.js';
import { UsageError } from '../output/usage-error.js';
import type { CommandRun, Context, OperandPlace } from './command.js';
import { joinBytes, noSuchLocal } from './places.js';
import { requireOperands } from './targets.js';
import { filesAtOnce } from './transfers.js';

/** What is compared of an entry. */
interface Entry {
  readonly type: FileType;
  readonly size: number | undefined;
  readonly mtime: number | undefined;
}

/** One side. */
interface CheckedSide {
  readonly entries: ReadonlyMap<PathKey, Entry>;
  readonly digest: (path: PathKey) => Promise<string>;
}

type Filter = ((entry: FilteredEntry) => boolean) | undefined;

/** The name of the entry where a single file is compared. */
const ITSELF = pathKey(Buffer.alloc(0));

function textOf(path: PathKey): string {
  return pathOfKey(path).toString('utf8');
}

export const runCheck: CommandRun = async (context, operands, values) => {
  requireOperands(operands, 2);
  if (operands.length > 2) throw new UsageError('check takes two directories or files: SOURCE TARGET');
  if (values.checksum === true && values.sizeOnly === true)
    throw new UsageError('Give one of --checksum and --size-only');
  const filter = entryFilter(values);
  const [source, target] = await Promise.all(
    operands.map(async (operand) => readSide(context, await context.place(operand, 'any'), filter)),
  );
  if (source === undefined || target === undefined) return;
  const marks = await compareAll(context, source, target, values);
  const counts = { '=': 0, '+': 0, '-': 0, '*': 0 };
  for (const [path, mark] of [...marks].sort(([a], [b]) => (a < b ? -1 : 1))) {
    counts[mark] += 1;
    const bytes = path === ITSELF ? Buffer.from(operands[0] ?? '') : pathOfKey(path);
    const text = bytes.toString('utf8');
    context.output.json({ type: 'difference', command: 'check', mark, ...pathJson({ text, bytes }) });
    if (mark !== '=' || values.differences !== true) {
      const name = context.output.isTerminal ? Buffer.from(context.output.name(text)) : bytes;
      context.output.line(Buffer.concat([Buffer.from(`${mark} `), name]));
    }
  }
  const different = counts['+'] + counts['-'] + counts['*'];
  context.outcome.did(counts['='] + different);
  if (different > 0) {
    throw new Verdict(
      'DIFFERENT',
      EXIT.different,
      `${different} of ${different + counts['=']} entries differ: ${counts['+']} only in the source, ${counts['-']} only in the target, ${counts['*']} different`,
    );
  }
  context.output.say(`${counts['=']} entries are the same`);
};

type Mark = '=' | '+' | '-' | '*';

async function compareAll(
  { outcome }: Context,
  source: CheckedSide,
  target: CheckedSide,
  values: OptionValues,
): Promise<ReadonlyMap<PathKey, Mark>> {
  const marks = new Map<PathKey, Mark>();
  for (const path of target.entries.keys()) if (!source.entries.has(path)) marks.set(path, '-');
  await forEachLimited(source.entries, filesAtOnce(), async ([path, entry]) => {
    const other = target.entries.get(path);
    if (other === undefined) marks.set(path, '+');
    else {
      await outcome.attempt(textOf(path), async () => {
        marks.set(path, (await areSame(path, [entry, other], [source, target], values)) ? '=' : '*');
      });
    }
  });
  return marks;
}

async function areSame(
  path: PathKey,
  [a, b]: readonly [Entry, Entry],
  [source, target]: readonly [CheckedSide, CheckedSide],
  values: OptionValues,
): Promise<boolean> {
  if (a.type !== b.type) return false;
  if (a.type !== 'file') return true;
  if (a.size !== b.size) return false;
  if (values.sizeOnly === true) return true;
  if (values.checksum === true) {
    const [left, right] = await Promise.all([source.digest(path), target.digest(path)]);
    return left === right;
  }
  return a.mtime === undefined || b.mtime === undefined || Math.floor(a.mtime) === Math.floor(b.mtime);
}

async function readSide(context: Context, place: OperandPlace, filter: Filter): Promise<CheckedSide> {
  if (place.kind === 'stream') throw new UsageError('check needs files: a stream can be read only once');
  return place.kind === 'local' ? readLocal(place.path, filter) : readRemote(context, place, filter);
}

async function readRemote(
  { signal }: Context,
  { connection, path }: Extract<OperandPlace, { readonly kind: 'remote' }>,
  filter: Filter,
): Promise<CheckedSide> {
  const entries = new Map<PathKey, Entry>();
  const itself = await connection.stat(path, { signal });
  const at = (below: PathKey) => (below === ITSELF ? path : joinBytes(path, pathOfKey(below)));
  const digest = (below: PathKey): Promise<string> => connection.checksum(at(below), 'sha256', { signal });
  if (!itself.isDirectory()) return { entries: new Map([[ITSELF, itself]]), digest };
  const start = path === '.' ? 0 : Buffer.byteLength(path.replace(/\/+$/, '')) + 1;
  const below = (whole: Uint8Array): Buffer => Buffer.from(whole.subarray(start));
  const walk = connection.walk(path, {
    signal,
    ...(filter === undefined
      ? {}
      : {
          filter: ({ pathBytes, attributes: { type, size, mtime } }) =>
            filter({
              path: below(pathBytes).toString('utf8'),
              isDirectory: type === 'directory',
              isFile: type === 'file',
              size,
              mtime,
            }),
        }),
  });
  for await (const { pathBytes, attributes } of walk) {
    entries.set(pathKey(below(pathBytes)), attributes);
  }
  return { entries, digest };
}

async function readLocal(path: string, filter: Filter): Promise<CheckedSide> {
  const entries = new Map<PathKey, Entry>();
  const at = (below: PathKey) => (below === ITSELF ? path : joinBytes(path, pathOfKey(below)));
  const digest = async (below: PathKey): Promise<string> => {
    const hash = createHash('sha256');
    await pipeline(createReadStream(at(below)), hash);
    return hash.digest('hex');
  };
  const itself = await lstat(path).catch(() => undefined);
  if (itself === undefined) throw noSuchLocal(path);
  if (!itself.isDirectory()) return { entries: new Map([[ITSELF, entryOf(itself)]]), digest };
  const look = async (directory: PathKey): Promise<void> => {
    for (const name of await readdir(at(directory), { encoding: 'buffer' })) {
      const bytes = directory === ITSELF ? name : joinBytes(pathOfKey(directory), name);
      const below = pathKey(bytes);
      const entry = entryOf(await lstat(at(below)));
      const { type, size, mtime } = entry;
      const [isDirectory, isFile] = [type === 'directory', type === 'file'];
      const isWanted = filter?.({ path: bytes.toString('utf8'), isDirectory, isFile, size, mtime }) ?? true;
      if (!isWanted) continue;
      entries.set(below, entry);
      if (isDirectory) await look(below);
    }
  };
  await look(ITSELF);
  return { entries, digest };
}

function entryOf(stats: Stats): Entry {
  const type = stats.isDirectory()
    ? 'directory'
    : stats.isSymbolicLink()
      ? 'symlink'
      : stats.isFile()
        ? 'file'
        : 'unknown';
  return { type, size: stats.size, mtime: stats.mtimeMs / 1000 };
}
