/** `rm`, `mv`, `mkdir`, `rmdir`, `ln`, `touch` */
import { type Connection, type RemotePath, SftpStatusError, UnsupportedError } from '../../index.js';
import { printable } from '../../shared/printable.js';
import { parseAddress } from '../addresses/address.js';
import { UsageError } from '../output/usage-error.js';
import type { CommandRun, Context } from './command.js';
import { allMatches, joinRemote, lastName, remoteFile, remotePlace } from './places.js';
import { remoteTargets, requireOperands } from './targets.js';
import { isDirectoryError, isRemoteDirectory } from './transfers.js';

/** Does one thing for every target, and tells of each. */
async function forEachTarget(
  context: Context,
  [command, action]: readonly [string, string],
  [operands, values]: readonly [readonly string[], Readonly<Record<string, unknown>>],
  work: (connection: Connection, path: RemotePath, text: string) => Promise<void>,
): Promise<void> {
  const { outcome, output } = context;
  for await (const { place, path, text } of remoteTargets(context, operands, values)) {
    await outcome.attempt(place.show(text), async () => {
      await work(place.connection, path, text);
      outcome.did();
      output.json({ type: 'result', command, action, target: place.show(text) });
      output.say(`${action} ${printable(place.show(text))}`, 2);
    });
  }
}

export const runRm: CommandRun = async (context, operands, values) => {
  const { signal } = context;
  for (const operand of operands)
    await remoteFile(context, values.filesFrom === undefined ? operand : '.').catch((error) => {
      if (values.filesFrom === undefined) throw error;
    });
  await forEachTarget(context, ['rm', 'removed'], [operands, values], async (connection, path, text) => {
    try {
      const attributes = await connection.lstat(path, { signal });
      if (!attributes.isDirectory()) await connection.remove(path, { signal });
      else if (values.recursive === true) await connection.rmtree(path, { signal });
      else throw isDirectoryError(text);
    } catch (error) {
      const isMissing = error instanceof SftpStatusError && error.code === 'ENOENT';
      if (values.force !== true || !isMissing) throw error;
    }
  });
};

export const runMkdir: CommandRun = async (context, operands, values) => {
  const { signal, outcome, output } = context;
  requireOperands(operands, 1);
  const mode = typeof values.mode === 'string' ? values.mode : 777;
  for (const operand of operands) {
    await outcome.attempt(operand, async () => {
      const { connection, path, show } = await remoteFile(context, operand);
      if (values.parents === true) await connection.makedirs(path, mode, { signal });
      else await connection.mkdir(path, mode, { signal });
      outcome.did();
      output.json({ type: 'result', command: 'mkdir', action: 'created', target: show(path) });
    });
  }
};

export const runRmdir: CommandRun = async (context, operands, values) => {
  await forEachTarget(context, ['rmdir', 'removed'], [operands, values], (connection, path) =>
    connection.rmdir(path, { signal: context.signal }),
  );
};

export const runTouch: CommandRun = async (context, operands, values) => {
  await forEachTarget(context, ['touch', 'touched'], [operands, values], (connection, path) =>
    connection.touch(path, { signal: context.signal }),
  );
};

export const runMv: CommandRun = async (context, operands, values) => {
  const { outcome, output, signal } = context;
  requireOperands(operands, 2);
  const target = await remotePlace(context, operands.at(-1) ?? '');
  const sources = await allMatches(context, operands.slice(0, -1));
  const isDirectory = await isRemoteDirectory(target.connection, target.path, signal);
  if (sources.length > 1 && !isDirectory) {
    throw new UsageError(`${target.show(target.path)} is not a directory: several files go into one`);
  }
  for (const { place, path, text } of sources) {
    await outcome.attempt(place.show(text), async () => {
      if (place.connection !== target.connection) {
        throw new UsageError('mv works on one server: copy with cp, then remove with rm');
      }
      const to = isDirectory ? joinRemote(target.path, lastName(text)) : target.path;
      await move(target.connection, path, to, { signal, replaces: values.clobber !== false });
      outcome.did();
      output.json({
        type: 'result',
        command: 'mv',
        action: 'moved',
        source: place.show(text),
        target: target.show(to),
      });
    });
  }
};

/** Renames in one step where the server can; one that cannot, replaces nothing. */
export async function move(
  connection: Connection,
  from: RemotePath,
  to: RemotePath,
  { signal, replaces }: { readonly signal: AbortSignal; readonly replaces: boolean },
): Promise<void> {
  if (!replaces) return connection.rename(from, to, { signal });
  try {
    await connection.posixRename(from, to, { signal });
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
    await connection.rename(from, to, { signal });
  }
}

export const runLn: CommandRun = async (context, operands, values) => {
  const { outcome, output, signal } = context;
  requireOperands(operands, 2);
  const [target = '', link = ''] = operands;
  if (operands.length > 2) throw new UsageError('ln takes two arguments: TARGET LINK');
  const { connection, path, show } = await remoteFile(context, link);
  const address = context.isRemote(target) === true ? parseAddress(target) : undefined;
  const held = address?.kind === 'remote' ? address.path : target;
  const to = (await isRemoteDirectory(connection, path, signal)) ? joinRemote(path, lastName(held)) : path;
  if (values.force === true && (await connection.lexists(to, { signal })))
    await connection.remove(to, { signal });
  if (values.symbolic === true) await connection.symlink(held, to, { signal });
  else await connection.hardlink(held, to, { signal });
  outcome.did();
  output.json({ type: 'result', command: 'ln', action: 'linked', source: held, target: show(to) });
};
