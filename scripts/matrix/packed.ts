/** The package as it is published, and npm. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function npm(words: readonly string[], cwd: string): string {
  return execFileSync('npm', [...words], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Packs the project, and gives the path of the archive, which is alone in its folder. */
export function pack(root: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-packed-'));
  npm(['pack', '--pack-destination', folder], root);
  return join(folder, readdirSync(folder)[0] ?? '');
}
