/**
 * `tsftp demo`: files travel to a server and back, and every byte is compared. Without an address it starts
 * the embedded server; with one it works in a new directory of a real server and removes it afterwards.
 */
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { printable } from '../../shared/printable.js';
import { connectToAddress } from './address.js';
import { SERVER_WORD, startEmbeddedServer } from './embedded-server.js';
import { createProgress } from './progress.js';
import { makeRoundTrip, type RoundTripOptions } from './round-trip.js';
import { serve } from './server-process.js';
import { type Leg, renderTable } from './table.js';
import { makeTemporaryFolder } from './temporary-folder.js';

const USAGE = `Usage: tsftp demo [options] [sftp://user@host:port/directory]

Sends a tree of small files and a large one to a server, fetches them back and compares every byte.
Without an address it starts a server of its own.

  --files N           how many small files (300)
  --size MiB          size of the large file (256)
  --key FILE          private key to log in with; else the agent, ~/.ssh/id_*, or the password
  --known-hosts FILE  trusted host keys (~/.ssh/known_hosts)`;

/** How soon a second Ctrl-C is meant; npm passes the first one on a second time. */
const IMPATIENCE_MS = 500;

interface Arguments {
  readonly address: string | undefined;
  readonly files: number;
  readonly size: number;
  readonly key: string | undefined;
  readonly knownHosts: string | undefined;
  readonly help: boolean;
}

/** Runs it, and gives the exit code. */
export async function runDemo(words: readonly string[]): Promise<number> {
  if (words[0] === SERVER_WORD) {
    await serve(words.slice(1));
    return new Promise(() => {});
  }
  const controller = new AbortController();
  stopOnSignals(controller);
  try {
    const settings = readArguments(words);
    if (settings.help) console.log(USAGE);
    else await run(settings, controller.signal);
  } catch (error) {
    if (controller.signal.aborted && error === controller.signal.reason) {
      console.error('Interrupted.');
      return Number(process.exitCode);
    }
    console.error(`Failed: ${describe(error)}`);
    return 1;
  }
  return 0;
}

async function run(settings: Arguments, signal: AbortSignal): Promise<void> {
  const folder = makeTemporaryFolder();
  const progress = createProgress(process.stdout);
  const options = { folder, progress, signal, files: settings.files, largeBytes: settings.size * 1024 ** 2 };
  const legs =
    settings.address === undefined
      ? await runEmbedded(options)
      : await runAgainst(settings.address, settings, options);
  console.log(`\n${renderTable(legs)}`);
}

async function runEmbedded(options: RoundTripOptions): Promise<readonly Leg[]> {
  await using server = await startEmbeddedServer(options.folder, options.signal);
  await using sftp = await server.connect(options.signal);
  console.log(
    `An SFTP server of our own on ${server.address}, its host key verified: ${server.fingerprint}\n`,
  );
  return await makeRoundTrip(sftp, options);
}

async function runAgainst(
  address: string,
  { key, knownHosts }: Arguments,
  options: RoundTripOptions,
): Promise<readonly Leg[]> {
  await using sftp = await connectToAddress(address, { key, knownHosts, signal: options.signal });
  const { type, fingerprint } = sftp.remoteServerKey;
  console.log(`Connected, the host key verified: ${type} ${fingerprint}\n`);
  return await makeRoundTrip(sftp, options);
}

function readArguments(words: readonly string[]): Arguments {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      files: { type: 'string', default: '300' },
      size: { type: 'string', default: '256' },
      key: { type: 'string' },
      'known-hosts': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (positionals.length > 1) throw new TypeError('one address at most: see --help');
  return {
    address: positionals[0],
    files: wholeNumber('--files', values.files),
    size: wholeNumber('--size', values.size),
    key: values.key,
    knownHosts: values['known-hosts'],
    help: values.help,
  };
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new RangeError(`${name} ${printable(text, 40)} is not a whole number`);
  return Number(text);
}

/** The first signal stops the work, which cleans up behind itself; a later one ends the process at once. */
function stopOnSignals(controller: AbortController): void {
  let firstMs: number | undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      process.exitCode = 128 + constants.signals[name];
      if (firstMs !== undefined && performance.now() - firstMs > IMPATIENCE_MS) process.exit();
      firstMs ??= performance.now();
      controller.abort();
    });
  }
}

function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text
    .split('\n')
    .map((line) => printable(line, 2000))
    .join('\n');
}
