import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Makes a folder that is gone when the process ends, however it ends by itself. */
export function makeTemporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-demo-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}
