/** `chmod`, `chown` */
import type { FileAttributes, RemotePath } from '../../index.js';
import type { OptionValues } from '../options/option-table.js';
import { UsageError } from '../output/usage-error.js';
import type { CommandRun, Context } from './command.js';
import type { RemoteMatch } from './places.js';
import { remoteTargets, requireOperands } from './targets.js';

type Change = (
  target: RemoteMatch,
  path: RemotePath,
  attributes: () => Promise<FileAttributes>,
) => Promise<void>;

export const runChmod: CommandRun = async (context, operands, values) => {
  requireOperands(operands, 2);
  const [mode = '', ...paths] = operands;
  const modeFor = parseMode(mode);
  await changeAll(context, ['chmod', paths], values, async ({ place }, path, attributes) => {
    const before = /^[0-7]+$/.test(mode) ? undefined : await attributes();
    const bits = modeFor((before?.mode ?? 0) & 0o7777, before?.isDirectory() ?? false);
    await place.connection.chmod(path, bits.toString(8).padStart(4, '0'), { signal: context.signal });
  });
};

export const runChown: CommandRun = async (context, operands, values) => {
  requireOperands(operands, 2);
  const [owner = '', ...paths] = operands;
  const [, uid, gid] = /^(\d*)(?:[:.](\d+))?$/.exec(owner) ?? [];
  if (uid === undefined || (uid === '' && gid === undefined)) {
    throw new UsageError(
      `'${owner}' is not a number: SFTP knows users and groups by number only, as 1000 or 1000:100`,
    );
  }
  const number = (text: string | undefined) => (text === undefined || text === '' ? undefined : Number(text));
  await changeAll(context, ['chown', paths], values, ({ place }, path) =>
    place.connection.chown(path, number(uid), number(gid), { signal: context.signal }),
  );
};

async function changeAll(
  context: Context,
  [command, operands]: readonly [string, readonly string[]],
  values: OptionValues,
  change: Change,
): Promise<void> {
  const { outcome, output, signal } = context;
  for await (const target of remoteTargets(context, operands, values)) {
    const { place } = target;
    const changeOne = async (path: RemotePath, text: string): Promise<void> => {
      await outcome.attempt(place.show(text), async () => {
        await change(target, path, () => place.connection.stat(path, { signal }));
        outcome.did();
        output.json({ type: 'result', command, action: 'changed', target: place.show(text) });
      });
    };
    await changeOne(target.path, target.text);
    if (values.recursive !== true || !(await place.connection.isdir(target.path, { signal }))) continue;
    for await (const { path, pathBytes } of place.connection.walk(target.path, {
      signal,
      symlinks: 'skip',
    })) {
      await changeOne(pathBytes, path);
    }
  }
}

const WHO: Readonly<Record<string, number>> = { u: 0o700, g: 0o070, o: 0o007, a: 0o777 };

/** Octal digits, or clauses such as `u+rwX,go-w`. */
function parseMode(text: string): (before: number, isDirectory: boolean) => number {
  if (/^[0-7]{1,5}$/.test(text)) {
    const bits = Number.parseInt(text, 8);
    if (bits > 0o7777) throw new UsageError(`'${text}' is not a mode: write octal digits as 644, or u+x`);
    return () => bits;
  }
  const clauses = text.split(',').map((clause) => /^([ugoa]*)([-+=])([rwxX]*)$/.exec(clause));
  if (clauses.some((clause) => clause === null)) {
    throw new UsageError(`'${text}' is not a mode: write octal digits as 644, or u+x`);
  }
  return (before, isDirectory) =>
    clauses.reduce((mode, clause) => {
      const [, who = '', how = '+', what = ''] = clause ?? [];
      const mask = [...(who === '' ? 'a' : who)].reduce((all, one) => all | (WHO[one] ?? 0), 0);
      const mayExecute = isDirectory || (mode & 0o111) !== 0;
      const bits = [...what].reduce((all, one) => all | bitsOf(one, mayExecute), 0) & mask;
      if (how === '+') return mode | bits;
      return how === '-' ? mode & ~bits : (mode & ~mask) | bits;
    }, before);
}

function bitsOf(letter: string, mayExecute: boolean): number {
  if (letter === 'r') return 0o444;
  if (letter === 'w') return 0o222;
  return letter === 'x' || mayExecute ? 0o111 : 0;
}
