/** The configuration that ssh is to read. */
import { access, constants, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SshError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import { expandHome } from '../home-path.js';

/**
 * ssh takes one file; several are included from one of our own. So is one whose path a shell would not leave alone:
 * before OpenSSH 10 ssh writes it into the command for a hop as it is.
 */
export async function prepareConfig(
  config: boolean | string | readonly string[],
  folder: string,
): Promise<boolean | string> {
  if (typeof config === 'boolean') return config;
  if (typeof config === 'string') {
    await checkConfig(config);
    if (/^[\w@+=:,./~\\-]+$/.test(config)) return config;
  }
  const path = join(folder, 'config');
  const lines = [config].flat().map((file) => {
    // Else a relative path would begin in ~/.ssh.
    const whole = resolve(expandHome(file));
    return `Include "${whole.replace(/["\\\n]/g, '\\$&')}"\nMatch all\n`;
  });
  await writeFile(path, lines.join(''), { mode: 0o600 });
  return path;
}

/** A file that is included may be missing, and one that was named may not. */
async function checkConfig(path: string): Promise<void> {
  try {
    await access(expandHome(path), constants.R_OK);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'error';
    const text = `Cannot use the ssh configuration ${printable(path)}: ${reason}`;
    throw new SshError('CONFIG_UNUSABLE', text, { cause });
  }
}
