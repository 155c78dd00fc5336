/** What anybody on this machine can see of the processes that a test has started. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** The processes below this one, with their command lines. */
export function ownProcesses(): readonly { pid: number; commandLine: string; environment: string }[] {
  const read = (path: string): string => attempt(() => readFileSync(path, 'latin1'), '');
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map(
    all.map((pid) => [pid, / \d+ \(.*\) . (\d+)/.exec(` ${read(`/proc/${pid}/stat`)}`)?.[1]]),
  );
  const isOurs = (pid: string | undefined): boolean =>
    pid !== undefined && (pid === String(process.pid) || isOurs(parents.get(pid)));
  return all
    .filter((pid) => pid !== String(process.pid) && isOurs(pid))
    .map((pid) => ({
      pid: Number(pid),
      commandLine: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' '),
      environment: read(`/proc/${pid}/environ`),
    }));
}

/** How many descriptors of a process lead into a folder; 0 of one that has ended. */
export function openBelow(folder: string, pid: number): number {
  const directory = `/proc/${pid}/fd`;
  const isBelow = (fd: string) => readlinkSync(join(directory, fd)).startsWith(folder);
  return attempt(() => readdirSync(directory), []).filter((fd) => attempt(() => isBelow(fd), false)).length;
}

/** Processes and what they have open may be gone in the next moment. */
function attempt<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}
