/** A connection that the user's own ssh holds already (ControlMaster in ssh_config), found and gone through. */
import { execFile } from 'node:child_process';
import { quotePath } from './openssh-arguments.js';
import type { Resolution } from './openssh-resolution.js';

/** The arguments of a process that shares the connection behind a control socket; it must not connect by itself. */
export function throughMaster(what: string, path: string): readonly string[] {
  const control = `-oControlPath=${quotePath(what, path)}`;
  return ['-F', 'none', '-T', '-oControlMaster=no', control, '-oProxyCommand=false'];
}

/**
 * The control socket of the configuration, where a master answers on it. Its server's key was verified when it was
 * made, by ssh's own known hosts: it is not for those who want it verified by anything else.
 */
export async function findMaster(
  { controlPath }: Resolution,
  { program, signal }: { readonly program: string; readonly signal: AbortSignal },
): Promise<string | undefined> {
  if (controlPath === undefined || process.platform === 'win32') return undefined;
  const args = [...throughMaster('ControlPath', controlPath), '-O', 'check', '--', 'master'];
  const answers = await new Promise<boolean>((resolve) => {
    execFile(program, args, { signal, windowsHide: true }, (error) => resolve(error === null));
  });
  signal.throwIfAborted();
  return answers ? controlPath : undefined;
}
