/** Which ssh configuration is read, with what the command line puts before it. */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalFileError } from '../output/exit-codes.js';
import { UsageError } from '../output/usage-error.js';

/** What the command line says about the configuration. */
interface Given {
  readonly config: string | undefined;
  readonly sshOptions: readonly string[];
  readonly identities: readonly string[];
  readonly cipher: string | undefined;
}

/** For the option `config` of `connect`. */
export function sshConfiguration(given: Given): boolean | string | readonly string[] {
  const lines = [
    ...given.sshOptions.map(optionLine),
    ...given.identities.map((path) => `IdentityFile "${quoted(path, '-i')}"`),
    ...(given.cipher === undefined ? [] : [`Ciphers ${quoted(given.cipher, '-c')}`]),
  ];
  const { config } = given;
  if (lines.length === 0) return config === 'none' ? false : (config ?? true);
  const files = config === 'none' ? [] : config === undefined ? usualFiles() : [config];
  return [temporaryFile(`${lines.join('\n')}\n`), ...files];
}

/** The value of an option that `-o` gives, in lower case; the first counts. */
export function givenSshOption(sshOptions: readonly string[], name: string): string | undefined {
  for (const text of sshOptions) {
    const [, key = '', value = ''] = OPTION.exec(text.trim()) ?? [];
    if (key.toLowerCase() === name.toLowerCase()) return value.trim().toLowerCase();
  }
  return undefined;
}

const OPTION = /^([a-z]\w*)(?:\s*=\s*|\s+)(.+)$/i;

/** `Name=value` and `Name value` are the same. */
function optionLine(text: string): string {
  const match = OPTION.exec(text.trim());
  if (match === null || /[\n\r\0]/.test(text)) {
    throw new UsageError(`-o '${text}' is not an option of ssh: write -o Name=value`);
  }
  return `${match[1]} ${match[2]}`;
}

function quoted(text: string, option: string): string {
  if (/["\n\r\0]/.test(text)) throw new UsageError(`${option} cannot have a quote or a line break in it`);
  return text;
}

/** As ssh reads them. */
function usualFiles(): readonly string[] {
  const own = join(homedir(), '.ssh', 'config');
  if (existsSync(own)) {
    const { mode, uid } = statSync(own);
    const isOpen =
      process.platform !== 'win32' && ((mode & 0o022) !== 0 || (uid !== 0 && uid !== process.getuid?.()));
    if (isOpen) throw new LocalFileError('EACCES', `Others can write to ${own}: chmod 600 ${own}`);
  }
  const system = process.platform === 'win32' ? 'C:\\ProgramData\\ssh\\ssh_config' : '/etc/ssh/ssh_config';
  return [own, system].filter((path) => existsSync(path));
}

/** Read each time the connection is made, so that it stays as long as the process. */
function temporaryFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'config');
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}
