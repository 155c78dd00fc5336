/** A disk that is soon full. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A file system of 1 MiB, or `undefined` where the test may not mount. */
export function mountSmallDisk(t: TestContext): string | undefined {
  const disk = mkdtempSync(join(tmpdir(), 'tsftp-disk-'));
  let isMounted = false;
  t.after(() => {
    if (isMounted) execFileSync('umount', [disk]);
    rmdirSync(disk);
  });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  isMounted = true;
  return disk;
}
