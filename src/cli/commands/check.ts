/** `check`: whether two directories hold the same, whichever side each of them is on. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { FileType } from '../../index.js';
import { entryFilter, type FilteredEntry } from '../options/filter-rules.js';
import type { OptionValues } from '../options/option-table.js';
import { EXIT, Verdict } from '../output/exit-codes.js';
import { UsageError } from '../output/usage-error.js';
import type { CommandRun, Context, OperandPlace } from './command.js';
import { joinRemote, noSuchLocal } from './places.js';
import { requireOperands } from './targets.js';
import { forEachAtOnce } from './transfers.js';

/** What is compared of an entry. */
interface Entry {
  readonly type: FileType;
  readonly size: number | undefined;
  readonly mtime: number | undefined;
}

/** One side. */
interface CheckedSide {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly digest: (path: string) => Promise<string>;
}

type Filter = ((entry: FilteredEntry) => boolean) | undefined;

/** The name of the entry where a single file is compared. */
const ITSELF = '';

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
    const shown = path === ITSELF ? (operands[0] ?? '') : path;
    context.output.json({ type: 'difference', command: 'check', mark, path: shown });
    if (mark !== '=' || values.differences !== true)
      context.output.line(`${mark} ${context.output.name(shown)}`);
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
): Promise<ReadonlyMap<string, Mark>> {
  const marks = new Map<string, Mark>();
  for (const path of target.entries.keys()) if (!source.entries.has(path)) marks.set(path, '-');
  await forEachAtOnce([...source.entries], async ([path, entry]) => {
    const other = target.entries.get(path);
    if (other === undefined) marks.set(path, '+');
    else {
      await outcome.attempt(path, async () => {
        marks.set(path, (await areSame(path, [entry, other], [source, target], values)) ? '=' : '*');
      });
    }
  });
  return marks;
}

async function areSame(
  path: string,
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
  const entries = new Map<string, Entry>();
  const itself = await connection.stat(path, { signal });
  const at = (below: string): string => (below === ITSELF ? path : joinRemote(path, below));
  const digest = (below: string): Promise<string> => connection.checksum(at(below), 'sha256', { signal });
  if (!itself.isDirectory()) return { entries: new Map([[ITSELF, itself]]), digest };
  const start = path === '.' ? 0 : path.replace(/\/+$/, '').length + 1;
  const walk = connection.walk(path, {
    signal,
    ...(filter === undefined
      ? {}
      : {
          filter: ({ path: whole, attributes: { type, size, mtime } }) =>
            filter({
              path: whole.slice(start),
              isDirectory: type === 'directory',
              isFile: type === 'file',
              size,
              mtime,
            }),
        }),
  });
  for await (const { path: whole, attributes } of walk) entries.set(whole.slice(start), attributes);
  return { entries, digest };
}

async function readLocal(path: string, filter: Filter): Promise<CheckedSide> {
  const entries = new Map<string, Entry>();
  const digest = async (below: string): Promise<string> => {
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(path, below)), hash);
    return hash.digest('hex');
  };
  const itself = await lstat(path).catch(() => undefined);
  if (itself === undefined) throw noSuchLocal(path);
  if (!itself.isDirectory()) return { entries: new Map([[ITSELF, entryOf(itself)]]), digest };
  const look = async (below: string): Promise<void> => {
    for (const name of await readdir(Buffer.from(join(path, below)), { encoding: 'utf8' })) {
      const at = below === '' ? name : `${below}/${name}`;
      const entry = entryOf(await lstat(join(path, at)));
      const [isDirectory, isFile] = [entry.type === 'directory', entry.type === 'file'];
      if (
        filter !== undefined &&
        !filter({ path: at, isDirectory, isFile, size: entry.size, mtime: entry.mtime })
      )
        continue;
      entries.set(at, entry);
      if (isDirectory) await look(at);
    }
  };
  await look('');
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
