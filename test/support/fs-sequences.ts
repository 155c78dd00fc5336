/** Random sequences of calls of node:fs, for two file systems that have to do the same. */
import { Buffer } from 'node:buffer';
import nodeFs from 'node:fs';
import { promisify } from 'node:util';
import { Random } from '../fuzz/random.js';

export type FsLike = Pick<typeof nodeFs, 'promises'> & typeof nodeFs;

/** What came of a call: what it gave, or the fields of its error. */
export type Outcome = Readonly<Record<string, unknown>>;

interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
  /** Whether the promise, or the callback function, is called. */
  readonly isPromise: boolean;
}

const NAMES = ['a', 'b', 'c', 'd'] as const;
const ODD_PATHS = ['', '.', 'a/', 'b/', 'a/../b', './c', 'a//b', 'n'.repeat(256), 'b/c/d/a', '..a'] as const;
const TARGETS = ['a', 'b', 'c', '../b', '../a', 'missing', '.', '..', 'a/b', 'd', ''] as const;
const TIME = 1_000_000_000;

function pathIn(random: Random): string {
  if (random.chance(10)) return random.pick(ODD_PATHS);
  const depth = random.pick([1, 1, 1, 2, 2, 3]);
  return Array.from({ length: depth }, () => random.pick(NAMES)).join('/');
}

type Maker = (random: Random, path: () => string) => readonly [name: string, ...args: unknown[]];

/** Each kind of call, with how often it comes. */
const MAKERS: readonly (readonly [weight: number, make: Maker])[] = [
  [5, (r, path) => ['mkdir', path(), r.pick([null, { recursive: true }, { mode: 0o750 }])]],
  [
    6,
    (r, path) => [
      'writeFile',
      path(),
      'x'.repeat(r.below(50)),
      { flag: r.pick(['w', 'w', 'wx', 'a', 'r+']) },
    ],
  ],
  [2, (r, path) => ['writeFile', path(), Buffer.from('mode'), { mode: r.pick([0o600, 0o755]) }]],
  [2, (_, path) => ['appendFile', path(), 'more']],
  [4, (r, path) => ['symlink', r.pick(TARGETS), path()]],
  [2, (_, path) => ['link', path(), path()]],
  [4, (r, path) => ['stat', path(), r.pick([null, { bigint: true }])]],
  [4, (r, path) => ['lstat', path(), r.pick([null, { bigint: true }])]],
  [3, (_, path) => ['readdir', path()]],
  [2, (_, path) => ['readdir', path(), { withFileTypes: true }]],
  [1, (_, path) => ['readdir', path(), { withFileTypes: true, recursive: true }]],
  [1, (_, path) => ['readdir', path(), 'buffer']],
  [3, (r, path) => ['readFile', path(), r.pick([null, 'utf8'])]],
  [3, (_, path) => ['unlink', path()]],
  [2, (_, path) => ['rmdir', path()]],
  [
    2,
    (r, path) => [
      'rm',
      path(),
      r.pick([null, { force: true }, { recursive: true }, { recursive: true, force: true }]),
    ],
  ],
  [5, (_, path) => ['rename', path(), path()]],
  [3, (r, path) => ['copyFile', path(), path(), r.pick([0, 0, nodeFs.constants.COPYFILE_EXCL])]],
  [3, (_, path) => ['readlink', path()]],
  [2, (_, path) => ['realpath', path()]],
  [2, (r, path) => ['chmod', path(), r.pick([0o644, 0o755, '700', 0o4711])]],
  [1, (_, path) => ['chown', path(), 1000, 1001]],
  [1, (_, path) => ['lchown', path(), 1000, -1]],
  [2, (r, path) => ['utimes', path(), TIME + r.below(1000), new Date((TIME + r.below(1000)) * 1000)]],
  [1, (r, path) => ['lutimes', path(), TIME, TIME + r.below(1000)]],
  [2, (r, path) => ['truncate', path(), r.below(60)]],
  [1, (_, path) => ['access', path()]],
  [1, (_, path) => ['exists', path()]],
  [2, (r, path) => ['useHandle', path(), r.pick(['r', 'r+', 'w', 'w+', 'a', 'a+', 'wx', 'ax']), r.below(4)]],
  [1, (_, path) => ['opendir', path()]],
];

const TOTAL = MAKERS.reduce((sum, [weight]) => sum + weight, 0);

export function makeSequence(seed: number, length: number): readonly Call[] {
  const random = new Random(seed);
  return Array.from({ length }, () => {
    let at = random.below(TOTAL);
    const found = MAKERS.find(([weight]) => {
      at -= weight;
      return at < 0;
    });
    const [name = '', ...args] = found?.[1](random, () => pathIn(random)) ?? [];
    const isPromise = random.chance(50) || ['realpath', 'useHandle', 'opendir'].includes(name);
    return { name: String(name), args, isPromise: isPromise && name !== 'exists' };
  });
}

/** Makes one call below a folder, and tells what came of it, with the folder's own name left out. */
export async function carryOut(fs: FsLike, folder: string, call: Call): Promise<Outcome> {
  const { name } = call;
  const count = ['rename', 'link', 'copyFile'].includes(name) ? 2 : name === 'symlink' ? 0 : 1;
  const args = call.args.map((arg, index) => {
    const isPath = index < count || (name === 'symlink' && index === 1);
    // Of two paths an empty one is seen before the other is looked at.
    const isEmpty = arg === '' && count === 1;
    return isPath ? (isEmpty ? '' : `${folder}/${String(arg)}`) : arg;
  });
  try {
    // libuv removes what is at the target then, even what was there before; a view leaves it.
    if (name === 'copyFile' && (await isDirectory(fs, args[0]))) return {};
    if (name === 'useHandle') return { result: await useHandle(fs, args, folder) };
    if (name === 'opendir') {
      const entries: string[] = [];
      for await (const entry of await fs.promises.opendir(String(args[0]))) entries.push(entry.name);
      return { result: entries.sort() };
    }
    const functions = (call.isPromise ? fs.promises : fs) as unknown as Record<
      string,
      (...all: unknown[]) => unknown
    >;
    const called = functions[name];
    if (called === undefined) throw new Error(`There is no ${name}`);
    const given = args.filter((arg) => arg !== null);
    const result = call.isPromise
      ? await called(...given)
      : await (promisify(called) as (...all: unknown[]) => Promise<unknown>)(...given);
    return { result: told(result, folder) };
  } catch (error) {
    return { error: toldError(error, folder) };
  }
}

function isDirectory(fs: FsLike, path: unknown): Promise<boolean> {
  return fs.promises.stat(String(path)).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

async function useHandle(
  fs: FsLike,
  [path, flags, kind]: readonly unknown[],
  folder: string,
): Promise<unknown> {
  const handle = await fs.promises.open(String(path), String(flags));
  const outcomes: unknown[] = [];
  const step = async (doing: () => Promise<unknown>) => {
    outcomes.push(
      await doing().then(
        (result) => told(result, folder),
        (error) => toldError(error, folder),
      ),
    );
  };
  await step(async () => (await handle.read(Buffer.alloc(8), 0, 8, null)).bytesRead);
  await step(async () => (await handle.write('0123456789')).bytesWritten);
  await step(async () => (await handle.write(Buffer.from('at'), 0, 2, 3)).bytesWritten);
  await step(async () => (await handle.read({ buffer: Buffer.alloc(4), position: 1 })).buffer.toString());
  if (kind === 1) await step(() => handle.truncate(5));
  if (kind === 2) await step(() => handle.writeFile('whole'));
  if (kind === 3) await step(async () => (await handle.readv([Buffer.alloc(2), Buffer.alloc(3)])).bytesRead);
  await step(() => handle.readFile('utf8'));
  await step(async () => (await handle.stat()).size);
  await handle.close();
  await step(() => handle.stat());
  return outcomes;
}

/** Links may lead to a directory above the folder, which is another one on each side too. */
function withoutFolder(text: string, folder: string): string {
  return text.replaceAll(folder, '<folder>').replaceAll(/\/(?:local|remote)\//g, '/<side>/');
}

function toldError(error: unknown, folder: string): Outcome {
  if (!(error instanceof Error)) return { error };
  const { code, errno, syscall, path, dest } = error as NodeJS.ErrnoException & { dest?: string };
  const without = (text: string | undefined) => text && withoutFolder(text, folder);
  const fields = { code, errno, syscall, path: without(path), dest: without(dest) };
  return { ...fields, message: without(error.message) };
}

function told(result: unknown, folder: string): unknown {
  if (typeof result === 'string') return withoutFolder(result, folder);
  if (Array.isArray(result)) {
    return result.map((each) => JSON.stringify(told(each, folder), bigIntAsText)).sort();
  }
  if (result instanceof nodeFs.Dirent) {
    const kind = [result.isFile(), result.isDirectory(), result.isSymbolicLink()];
    return { name: result.name, parentPath: withoutFolder(result.parentPath, folder), kind };
  }
  if (typeof result === 'object' && result !== null && 'isDirectory' in result)
    return toldStats(result as nodeFs.Stats);
  return result;
}

function bigIntAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

/** All but what SFTP does not tell: numbers of the device, links and blocks, and times that were not set. */
function toldStats(stats: nodeFs.Stats): unknown {
  const isSet = Number(stats.mtimeMs) < (TIME + 2000) * 1000;
  const isDirectory = stats.isDirectory();
  return {
    mode: stats.mode,
    uid: stats.uid,
    gid: stats.gid,
    size: isDirectory ? 0 : stats.size,
    rdev: stats.rdev,
    blksize: stats.blksize,
    kind: [stats.isFile(), isDirectory, stats.isSymbolicLink(), stats.isFIFO(), stats.isSocket()],
    times: isSet ? [stats.mtimeMs, stats.mtime.toISOString()] : 'now',
    fields: Object.keys(stats).sort(),
  };
}
