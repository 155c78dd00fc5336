/** What the commands that transfer files share: options for the library, results, and several files at once. */
import type {
  Connection,
  FileAttributes,
  Overwrite,
  PutOptions,
  TransferOptions,
  TreeOptions,
  TreeReport,
} from '../../index.js';
import { SftpError } from '../../index.js';
import { printable } from '../../shared/printable.js';
import type { OptionValues } from '../options/option-table.js';
import { UsageError } from '../output/usage-error.js';
import type { Context } from './command.js';

/** Files of one command that are under way at once; each has many requests in flight. */
const FILES_AT_ONCE = 8;

/** The library's options for one transfer. */
export function transferOptions({ settings, signal }: Context, values: OptionValues): TransferOptions {
  const resumes = values.resume === true;
  const inPlace = values.inPlace === true;
  if (resumes && inPlace) throw new UsageError('Give one of --resume and --in-place');
  return {
    signal,
    resume: resumes,
    fsync: values.fsync === true,
    ...(values.preserve === true ? { preserveMtime: true, preserveMode: true } : {}),
    atomic: inPlace ? false : 'preferred',
    ...(typeof values.overwrite === 'string' ? { overwrite: values.overwrite as Overwrite } : {}),
    ...(typeof values.jobs === 'number' ? { concurrency: values.jobs } : {}),
    retry: settings.retries === 0 ? false : { attempts: settings.retries },
  };
}

/** The same for a directory. Without `-p`, new files have the permissions of their sources, as `sftp` makes them. */
function treeOptions(context: Context, values: OptionValues): TreeOptions {
  return {
    preserveMode: true,
    ...transferOptions(context, values),
    symlinks: (values.links ?? 'skip') as 'skip' | 'follow' | 'copy',
    continueOnError: !context.settings.failFast,
  };
}

/** Is it a directory that other files go into? Nothing is there for most targets. */
export async function isRemoteDirectory(
  connection: Connection,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  return connection.isdir(path, { signal });
}

export function wantsRecursion(values: OptionValues): boolean {
  return values.recursive === true || values.recursiveToo === true;
}

/** The failure of a directory that was named without `-r`. */
export function isDirectoryError(text: string): SftpError {
  return new SftpError(
    'EISDIR',
    `${printable(text)} is a directory: give -r to take it with everything below it`,
  );
}

/** One file or tree that is transferred. */
export interface Job {
  readonly source: string;
  readonly target: string;
}

/** What a transfer of one file tells when it has written in place. */
export function tellsInPlace({ outcome }: Context): Pick<PutOptions, 'onInPlace'> {
  return { onInPlace: (path) => outcome.noteInPlace([path]) };
}

/** Runs one transfer of a file, and tells of it. */
export async function transferFile(
  { outcome, output, progress }: Context,
  command: string,
  { source, target }: Job,
  transfer: (callback: ProgressCallback) => Promise<unknown>,
): Promise<void> {
  await outcome.attempt(source, async () => {
    const task = progress.begin(source);
    let bytes = 0;
    try {
      await transfer((transferred, total) => {
        bytes = transferred;
        task.callback(transferred, total);
      });
    } finally {
      task.end();
    }
    outcome.did(1, bytes);
    output.json({ type: 'result', command, action: 'copied', source, target, bytes });
    output.say(`${printable(source)} -> ${printable(target)}`, 2);
  });
}

type ProgressCallback = (transferred: number, total: number) => void;

/** Options for one file, with its progress. */
interface FileOptions extends TransferOptions, Pick<PutOptions, 'onInPlace'> {
  readonly callback: ProgressCallback;
}

/** Runs one transfer of a file, unless `--overwrite` has what is there stay. */
export async function replaceFile(
  context: Context,
  command: string,
  job: Job,
  {
    values,
    source,
    existing,
  }: { readonly values: OptionValues; readonly source: Facts; readonly existing: Facts | undefined },
  transfer: (options: FileOptions) => Promise<unknown>,
): Promise<void> {
  const reason = reasonToKeep(values, source, existing);
  if (reason !== undefined) return keep(context, command, job, reason);
  // As sftp does it: a new file has the permissions of its source, and one that is replaced keeps its own.
  const preserveMode = existing === undefined;
  const options = { preserveMode, ...transferOptions(context, values), ...tellsInPlace(context) };
  await transferFile(context, command, job, (callback) => transfer({ ...options, callback }));
}

/** Runs one transfer of a tree, and tells of it; `shown` is its source as the command names it. */
export async function transferTree(
  context: Context,
  command: string,
  { source, shown }: { readonly source: string; readonly shown: string },
  values: OptionValues,
  transfer: (options: TreeOptions) => Promise<TreeReport>,
): Promise<void> {
  await context.outcome.attempt(source, async () => {
    if (!wantsRecursion(values)) throw isDirectoryError(shown);
    const { callback, end } = context.progress.begin(shown);
    try {
      const options = { ...treeOptions(context, values), ...tellsFiles(context, command), callback };
      tellTree(context, command, await transfer(options));
    } finally {
      end();
    }
  });
}

/** Tells that a file stays as it is. */
function keep({ outcome, output }: Context, command: string, { source, target }: Job, reason: string): void {
  outcome.did(0);
  output.json({ type: 'result', command, action: 'kept', source, target, bytes: 0, reason });
  output.say(`${printable(target)} stays as it is: ${reason}`, 1);
}

/** What the report of a tree tells, beside what was told file by file. */
export function tellTree({ outcome, output }: Context, command: string, report: TreeReport): void {
  outcome.did(report.files + report.links + (report.files === 0 ? report.directories : 0), report.bytes);
  outcome.noteInPlace(report.overwrittenInPlace);
  for (const { path, code, reason } of report.skipped) {
    output.json({ type: 'result', command, action: 'skipped', source: path, bytes: 0, reason: code });
    output.say(
      `${printable(path)} was left out: ${reason}`,
      code === 'SPECIAL' || code === 'OUTSIDE' ? 1 : 2,
    );
  }
  for (const { path, error } of report.notPreserved) {
    output.say(
      `${printable(path)}: copied, but ${printable(error instanceof Error ? error.message : String(error))}`,
    );
  }
  if (report.omitted > 0) output.say(`${report.omitted} more entries are not listed`);
  for (const { path, error } of report.failed) outcome.fail(path, error);
}

/** What a transfer of a tree tells of each file while it runs. */
function tellsFiles({ output }: Context, command: string): Pick<TreeOptions, 'onFile'> {
  return {
    onFile: ({ path, target, bytes }) => {
      output.json({ type: 'result', command, action: 'copied', source: path, target, bytes });
      output.say(`${printable(path)} -> ${printable(target)}`, 2);
    },
  };
}

interface Facts {
  readonly size: number | undefined;
  /** Seconds since 1970. */
  readonly mtime: number | undefined;
}

/** Why a file that is there stays, by `--overwrite`. */
function reasonToKeep(values: OptionValues, source: Facts, existing: Facts | undefined): string | undefined {
  if (existing === undefined) return undefined;
  const isSameTime = Math.floor(source.mtime ?? -1) === Math.floor(existing.mtime ?? -2);
  switch (values.overwrite) {
    case 'never':
      return 'it exists already';
    case 'newer':
      return Math.floor(source.mtime ?? 0) <= Math.floor(existing.mtime ?? 0)
        ? 'it is as new or newer'
        : undefined;
    case 'different':
      return source.size === existing.size && isSameTime ? 'size and time are the same' : undefined;
    default:
      return undefined;
  }
}

/** Attributes, or `undefined` where nothing is there. */
export async function lookIfThere(
  connection: Connection,
  path: string | Uint8Array,
  signal: AbortSignal,
): Promise<FileAttributes | undefined> {
  return (await connection.exists(path, { signal })) ? connection.stat(path, { signal }) : undefined;
}

/** How many files are under way at once, by `--jobs`. */
export function filesAtOnce({ jobs }: OptionValues = {}): number {
  return typeof jobs === 'number' ? jobs : FILES_AT_ONCE;
}
