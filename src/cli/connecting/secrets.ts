/** Passwords: from a file, from standard input or from the environment, never from the arguments. */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { LocalFileError } from '../output/exit-codes.js';

/** The variable that may hold a password. */
const VARIABLE = 'TSFTP_PASSWORD';

const LINE_FEED = 0x0a;

const LONGEST_LINE = 4096;

interface PasswordSources {
  readonly passwordFile: string | undefined;
  readonly passwordStdin: boolean;
}

/** The password that was given; `undefined` where the keys, the agent or a question are meant to do. */
export async function readPassword(
  { passwordFile, passwordStdin }: PasswordSources,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { [VARIABLE]: inherited } = process.env;
  // Programs that are started from here have no use for it.
  delete process.env[VARIABLE];
  if (passwordFile !== undefined) return firstLine(readFileSync(passwordFile, 'utf8'), passwordFile);
  if (passwordStdin) return firstLine(await readLine(process.stdin, signal), 'standard input');
  return inherited === '' ? undefined : inherited;
}

function firstLine(text: string, from: string): string {
  const [line = ''] = text.split(/\r?\n/, 1);
  if (line === '') throw new LocalFileError('EMPTY', `There is no password in the first line of ${from}`);
  return line;
}

/** One line; what follows may be the content of an upload, and stays in the stream. */
async function readLine(input: NodeJS.ReadStream, signal: AbortSignal): Promise<string> {
  let bytes = Buffer.alloc(0);
  while (!bytes.includes(LINE_FEED) && bytes.length < LONGEST_LINE) {
    const chunk: Buffer | null = input.read();
    if (chunk !== null) bytes = Buffer.concat([bytes, chunk]);
    else if (input.readableEnded || input.destroyed) break;
    else await hasMore(input, signal);
  }
  const end = bytes.indexOf(LINE_FEED);
  const length = end === -1 ? bytes.length : end + 1;
  if (length < bytes.length) input.unshift(bytes.subarray(length));
  return bytes.toString('utf8', 0, length);
}

/** Waits for more, or for the end. */
function hasMore(input: NodeJS.ReadStream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onMore = (): void => finish(resolve);
    const onAbort = (): void => finish(() => reject(signal.reason));
    const events = ['readable', 'end', 'close'] as const;
    const finish = (settle: () => void): void => {
      for (const event of events) input.off(event, onMore);
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    signal.throwIfAborted();
    for (const event of events) input.on(event, onMore);
    signal.addEventListener('abort', onAbort);
  });
}
