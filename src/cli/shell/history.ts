/** The lines of earlier shells, for the arrow keys. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

const MOST_LINES = 1000;

function historyFile(): string {
  const folder = process.env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state');
  return join(folder, 'tsftp', 'history');
}

/** The latest first, as readline has it. */
export function readHistory(): string[] {
  try {
    return readFileSync(historyFile(), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .reverse();
  } catch {
    return [];
  }
}

/** At best effort: a home that cannot be written to has no history. */
export function writeHistory(lines: readonly string[]): void {
  try {
    const file = historyFile();
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(
      file,
      [...lines]
        .slice(0, MOST_LINES)
        .reverse()
        .map((line) => `${line}\n`)
        .join(''),
      { mode: 0o600 },
    );
  } catch {
    // Nothing depends on it.
  }
}
