/** The files that a command is about: from its arguments, or from a list. */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { OptionValues } from '../options/option-table.js';
import { UsageError } from '../output/usage-error.js';
import type { Context } from './command.js';
import { allMatches, joinBytes, type RemoteMatch, remotePlace } from './places.js';

/** Every path of the arguments, or of `--files-from` below the one argument that says where. */
export async function* remoteTargets(
  context: Context,
  operands: readonly string[],
  values: OptionValues,
): AsyncGenerator<RemoteMatch, void, undefined> {
  const names = await namesFrom(values, context.signal);
  if (names === undefined) {
    requireOperands(operands, 1);
    for (const operand of operands) {
      // A server that cannot be reached ends all; what is wrong with one path does not.
      const found = await context.outcome.attempt(operand, () => allMatches(context, [operand]));
      yield* found ?? [];
    }
    return;
  }
  const [base, ...others] = operands;
  if (base === undefined || others.length > 0) {
    throw new UsageError(
      'With --files-from, give one directory on a server, from which the names count: host:path',
    );
  }
  const place = await remotePlace(context, base);
  for (const name of names) {
    const path = name[0] === 0x2f ? name : joinBytes(place.path, name);
    yield { place, path, text: Buffer.from(path).toString('utf8') };
  }
}

/** The names of `--files-from`, as bytes; `undefined` without it. */
export async function namesFrom(
  values: OptionValues,
  signal: AbortSignal,
): Promise<readonly Buffer[] | undefined> {
  const file = values.filesFrom;
  if (typeof file !== 'string') return undefined;
  const content = file === '-' ? await readInput(signal) : readFileSync(file);
  const end = values.null === true ? 0 : 0x0a;
  const names: Buffer[] = [];
  for (let at = 0; at < content.length; ) {
    const next = content.indexOf(end, at);
    const stop = next === -1 ? content.length : next;
    const isWindows = end === 0x0a && content[stop - 1] === 0x0d;
    const name = content.subarray(at, isWindows ? stop - 1 : stop);
    if (name.length > 0) names.push(name);
    at = stop + 1;
  }
  return names;
}

/** All of standard input; a signal ends the waiting for it. */
export function readInput(signal: AbortSignal): Promise<Buffer> {
  return buffer(addAbortSignal(signal, process.stdin));
}

/** @throws UsageError where there are fewer than so many */
export function requireOperands(operands: readonly string[], least: number): void {
  if (operands.length < least) {
    throw new UsageError(
      least === 1 ? 'There is no path: see --help' : 'There are too few arguments: see --help',
    );
  }
}
