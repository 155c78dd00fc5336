/** Passwords: from a file, from standard input or from the environment, never from the arguments. */
import { Buffer } from 'node:buffer';
import { readFileSync, readSync } from 'node:fs';
import { LocalFileError } from '../output/exit-codes.js';

/** The variable that may hold a password. */
const VARIABLE = 'TSFTP_PASSWORD';

interface PasswordSources {
  readonly passwordFile: string | undefined;
  readonly passwordStdin: boolean;
}

/** The password that was given; `undefined` where the keys, the agent or a question are meant to do. */
export function readPassword({ passwordFile, passwordStdin }: PasswordSources): string | undefined {
  const { [VARIABLE]: inherited } = process.env;
  // Programs that are started from here have no use for it.
  delete process.env[VARIABLE];
  if (passwordFile !== undefined) return firstLine(readFileSync(passwordFile, 'utf8'), passwordFile);
  if (passwordStdin) return firstLine(readLine(), 'standard input');
  return inherited === '' ? undefined : inherited;
}

function firstLine(text: string, from: string): string {
  const [line = ''] = text.split(/\r?\n/, 1);
  if (line === '') throw new LocalFileError('EMPTY', `There is no password in the first line of ${from}`);
  return line;
}

/** One line, and no byte more: what follows may be the content of an upload. */
function readLine(): string {
  const byte = Buffer.alloc(1);
  const bytes: number[] = [];
  while (bytes.length < 4096 && readByte(byte)) {
    if (byte[0] === 0x0a) break;
    bytes.push(byte[0] ?? 0);
  }
  return Buffer.from(bytes).toString('utf8');
}

function readByte(byte: Buffer): boolean {
  for (;;) {
    try {
      return readSync(0, byte, 0, 1, null) === 1;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return false;
      if (code !== 'EAGAIN') throw error;
      // Somebody has made it non-blocking: a moment later there may be more.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
