/** A temporary folder for one test, and what is in it. */
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { TestContext } from 'node:test';

/** Removed when the test has ended. */
export function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

export async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/**
 * Every path below a folder, as bytes in latin1, with what is there: a hash of the content, `directory`, or what
 * a link leads to. Two folders with equal snapshots are identical.
 */
export function snapshot(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (directory: Buffer, prefix: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true, encoding: 'buffer' as 'utf8' })) {
      const name = entry.name as unknown as Buffer;
      const path = Buffer.concat([directory, Buffer.from('/'), name]);
      const shown = `${prefix}${name.toString('latin1')}`;
      if (entry.isDirectory()) {
        found.set(shown, 'directory');
        visit(path, `${shown}/`);
      } else if (entry.isSymbolicLink()) found.set(shown, `-> ${readlinkSync(path)}`);
      else if (entry.isFile()) {
        found.set(shown, createHash('sha256').update(readFileSync(path)).digest('hex'));
      } else found.set(shown, 'special');
    }
  };
  visit(Buffer.from(folder), '');
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}
