/** `find`, `tree`, `du`: what lies below a directory. */
import { Buffer } from 'node:buffer';
import picomatch from 'picomatch';
import type { WalkEntry, WalkOptions } from '../../index.js';
import { entryFilter } from '../options/filter-rules.js';
import type { OptionValues } from '../options/option-table.js';
import { alignColumns, coloured, entryJson, longColumns, pathJson } from '../output/entries.js';
import { count, shortBytes } from '../output/human.js';
import type { CommandRun, Context } from './command.js';
import { lastName, type RemoteMatch } from './places.js';
import { remoteTargets } from './targets.js';

const KINDS: Readonly<Record<string, string>> = { f: 'file', d: 'directory', l: 'symlink' };

/** Directories that cannot be listed are failures, and the rest goes on. */
function walk({ place, path }: RemoteMatch, { signal, outcome }: Context, options: WalkOptions = {}) {
  return place.connection.walk(path, {
    ...options,
    signal,
    onError: (error, at) => outcome.fail(at, error),
  });
}

export const runFind: CommandRun = async (context, operands, values) => {
  const { outcome, output } = context;
  const fits = fitting(values);
  for await (const target of remoteTargets(context, operands, values)) {
    await outcome.attempt(target.place.show(target.text), async () => {
      const base = target.text === '.' ? 0 : target.text.replace(/\/+$/, '').length + 1;
      for await (const entry of walk(target, context, depth(values.maxDepth))) {
        const { path, pathBytes, attributes } = entry;
        if (!fits(entry, path.slice(base))) continue;
        outcome.did();
        output.json(entryJson('find', { text: path, bytes: pathBytes }, attributes));
        if (values.long !== true) output.path(path, pathBytes);
        else
          output.line(
            `${alignColumns([longColumns(attributes, { human: false, numeric: false })])[0]} ${output.name(path)}`,
          );
      }
    });
  }
};

function depth(levels: unknown): WalkOptions {
  return typeof levels === 'number' ? { maxDepth: levels } : {};
}

function fitting(values: OptionValues): (entry: WalkEntry, below: string) => boolean {
  const byName = typeof values.name === 'string' ? picomatch(values.name, { dot: true }) : () => true;
  const kind = KINDS[String(values.type ?? '')];
  const filter = entryFilter(values);
  return ({ path, attributes }, below) => {
    if (kind !== undefined && attributes.type !== kind) return false;
    if (!byName(lastName(path))) return false;
    const { size, mtime } = attributes;
    const [isDirectory, isFile] = [attributes.isDirectory(), attributes.isFile()];
    return filter === undefined || (isFile && filter({ path: below, isDirectory, isFile, size, mtime }));
  };
}

export const runTree: CommandRun = async (context, operands, values) => {
  const { outcome, output } = context;
  for await (const target of remoteTargets(context, operands.length === 0 ? ['.'] : operands, values)) {
    await outcome.attempt(target.place.show(target.text), async () => {
      output.line(output.name(target.text));
      const filter =
        values.all === true ? {} : { filter: ({ path }: WalkEntry) => !lastName(path).startsWith('.') };
      const figures = await drawTree(walk(target, context, { ...depth(values.levels), ...filter }), context);
      output.line(
        `\n${count(figures.directories, 'directory', 'directories')}, ${count(figures.files, 'file')}`,
      );
    });
  }
};

/** Whether an entry is the last of its directory is known when the next one comes. */
async function drawTree(entries: AsyncIterable<WalkEntry>, { output, outcome }: Context) {
  const figures = { directories: 0, files: 0 };
  const all: WalkEntry[] = [];
  for await (const entry of entries) all.push(entry);
  const lastAt = new Map<number, boolean>();
  const isLast = lastOnes(all);
  for (const [index, { path, pathBytes, attributes, depth: level }] of all.entries()) {
    outcome.did();
    if (attributes.isDirectory()) figures.directories += 1;
    else figures.files += 1;
    output.json(entryJson('tree', { text: path, bytes: pathBytes }, attributes));
    lastAt.set(level, isLast[index] ?? true);
    const above = Array.from({ length: level - 1 }, (_, at) => (lastAt.get(at + 1) ? '    ' : '│   ')).join(
      '',
    );
    const name = coloured(output, output.name(lastName(path)), attributes);
    output.line(`${above}${isLast[index] ? '└── ' : '├── '}${name}`);
  }
  return figures;
}

/** From the end: an entry is the last where no later one of its depth comes before one that is less deep. */
function lastOnes(entries: readonly WalkEntry[]): readonly boolean[] {
  const last: boolean[] = [];
  const seen = new Set<number>();
  for (let index = entries.length - 1; index >= 0; index -= 1) {
    const level = entries[index]?.depth ?? 1;
    for (const deeper of [...seen]) if (deeper > level) seen.delete(deeper);
    last[index] = !seen.has(level);
    seen.add(level);
  }
  return last;
}

export const runDu: CommandRun = async (context, operands, values) => {
  const { outcome, output } = context;
  for await (const target of remoteTargets(context, operands.length === 0 ? ['.'] : operands, values)) {
    await outcome.attempt(target.place.show(target.text), async () => {
      const tell = (text: string, bytes: number, files: number) => {
        const shown = { text, bytes: Buffer.from(text) };
        output.json({ type: 'usage', command: 'du', ...pathJson(shown), bytes, files });
        const size = values.human === true ? shortBytes(bytes) : String(Math.ceil(bytes / 1024));
        output.line(`${size}\t${output.name(text)}`);
      };
      await addUp(target, context, { tell, values });
      outcome.did();
    });
  }
};

interface Sum {
  readonly text: string;
  bytes: number;
  files: number;
}

/** A directory is told when the walk has left it. */
async function addUp(
  target: RemoteMatch,
  context: Context,
  {
    tell,
    values,
  }: { readonly tell: (text: string, bytes: number, files: number) => void; readonly values: OptionValues },
): Promise<void> {
  const itself = await target.place.connection.lstat(target.path, { signal: context.signal });
  if (!itself.isDirectory()) {
    tell(target.text, itself.size ?? 0, 1);
    return;
  }
  const open: Sum[] = [{ text: target.text, bytes: 0, files: 0 }];
  const close = (level: number): void => {
    while (open.length > level) {
      const done = open.pop();
      const above = open.at(-1);
      if (done === undefined) return;
      if (above !== undefined) {
        above.bytes += done.bytes;
        above.files += done.files;
      }
      if (values.summarize !== true || above === undefined) tell(done.text, done.bytes, done.files);
    }
  };
  for await (const { path, attributes, depth: level } of walk(target, context)) {
    close(level);
    const current = open.at(-1);
    if (attributes.isDirectory()) open.push({ text: path, bytes: 0, files: 0 });
    else if (current !== undefined) {
      current.bytes += attributes.size ?? 0;
      current.files += 1;
      if (values.all === true) tell(path, attributes.size ?? 0, 1);
    }
  }
  close(0);
}
