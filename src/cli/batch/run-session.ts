/** `tsftp HOST`: a batch, or the shell. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { parseRemote } from '../addresses/address.js';
import { findCommand } from '../commands/table.js';
import type { OptionValues } from '../options/option-table.js';
import { Outcome } from '../output/outcome.js';
import { UsageError } from '../output/usage-error.js';
import { beginRun } from '../run.js';
import { abortOnSignals } from '../signals.js';
import { runBatch } from './batch.js';
import { nearestCommand } from './nearest.js';
import { InteractiveSession } from './session.js';

const SHARED = ['recursive', 'preserve', 'resume', 'fsync'] as const;

export async function runSession(operands: readonly string[], values: OptionValues): Promise<number> {
  const [destination, local, ...more] = operands;
  if (destination === undefined) throw new UsageError('There is no command and no server');
  const address = addressOf(destination, local);
  if (more.length > 0) throw new UsageError('There are too many arguments: HOST[:PATH] [LOCAL]');
  const batchFile = values.batchFile as string | undefined;
  const isBatch = batchFile !== undefined || process.stdin.isTTY !== true;
  // Found before anything is sent.
  if (batchFile !== undefined && batchFile !== '-') await (await open(batchFile)).close();
  const signal = isBatch ? abortOnSignals() : new AbortController().signal;
  const run = beginRun(values, signal);
  const defaults = Object.fromEntries(SHARED.map((name) => [name, values[name] === true]));
  const session = new InteractiveSession(run, address, defaults);
  const outcome = new Outcome(run.output, { command: 'connect', failFast: true, errorOnNothing: false });
  try {
    await session.connection();
    const file = address.path === '' ? undefined : await enter(session, address.path, { outcome, signal });
    if (file !== undefined) await fetchFile(session, [file, local], { outcome, signal });
    else if (isBatch) return await runBatch(session, linesOf(batchFile, signal));
    else return await (await import('../shell/shell.js')).runShell(session);
  } catch (error) {
    outcome.end(signal.aborted ? signal.reason : error);
  } finally {
    run.output.flush();
    await run.connections.end();
  }
  return outcome.exitCode;
}

interface Start {
  readonly outcome: Outcome;
  readonly signal: AbortSignal;
}

/** Goes to the directory that the address names, or gives the path of a file, as for `sftp`. */
async function enter(
  session: InteractiveSession,
  written: string,
  { outcome, signal }: Start,
): Promise<string | undefined> {
  const place = await session.context(outcome, signal).place(written, 'remote');
  const path = place.kind === 'remote' ? place.path : written;
  const connection = await session.connection();
  if (!(await connection.stat(path, { signal })).isDirectory()) return path;
  await session.changeDirectory(path, signal);
  return undefined;
}

async function fetchFile(
  session: InteractiveSession,
  [file = '', local]: readonly (string | undefined)[],
  { outcome, signal }: Start,
): Promise<void> {
  const spec = findCommand('get');
  if (spec === undefined) return;
  await session.runSpec(spec, local === undefined ? [file] : [file, local], session.context(outcome, signal));
  await session.run.progress.end({ isDone: outcome.failed === 0 });
}

/** A word that looks like a command is more likely one that is misspelt than a server. */
function addressOf(destination: string, local: string | undefined) {
  const isBare = /^[a-z]+$/.test(destination);
  if (isBare && local !== undefined) {
    throw new UsageError(`There is no command '${destination}'${nearestCommand(destination)}`);
  }
  return parseRemote(destination);
}

function linesOf(batchFile: string | undefined, signal: AbortSignal): AsyncIterable<string> {
  const input = batchFile === undefined || batchFile === '-' ? process.stdin : createReadStream(batchFile);
  return createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY, terminal: false, signal });
}
