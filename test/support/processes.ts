/** What anybody on this machine can see of the processes that a test has started. */
import { readdirSync, readFileSync } from 'node:fs';

/** The processes below this one, with their command lines. */
export function ownProcesses(): readonly { pid: number; commandLine: string; environment: string }[] {
  const read = (path: string): string => {
    try {
      return readFileSync(path, 'latin1');
    } catch {
      return '';
    }
  };
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
