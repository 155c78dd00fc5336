/** What ssh makes of its configuration for a host: where it will go, and as whom (`ssh -G`). */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { SshError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import type { SecurityOptions } from '../algorithms.js';
import { expandHome } from '../home-path.js';

const MAXIMUM_ANSWER = 1024 * 1024;

export interface Resolution {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  /** The name under which the host's keys are known. */
  readonly hostKeyAlias: string | undefined;
  /** `user@host:port,…` */
  readonly proxyJump: string | undefined;
  /** Is there nothing on the way: no other host, no command? */
  readonly isDirect: boolean;
  readonly acceptsNew: boolean;
  readonly userKnownHostsFiles: readonly string[];
  readonly globalKnownHostsFiles: readonly string[];
  readonly hasKnownHostsCommand: boolean;
  readonly serverAliveIntervalSeconds: number;
  /** Where a connection would be shared that ssh holds already. */
  readonly controlPath: string | undefined;
  readonly securityOptions: SecurityOptions;
}

/** Rejects with `SshError` (`SSH_NOT_FOUND`, `CONFIG_INVALID`), or with the signal's reason. */
export async function resolveHost(
  host: string,
  args: readonly string[],
  { program, signal }: { readonly program: string; readonly signal: AbortSignal },
): Promise<Resolution> {
  const text = await new Promise<string>((resolve, reject) => {
    const options = { signal, maxBuffer: MAXIMUM_ANSWER, windowsHide: true };
    execFile(program, ['-G', ...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(signal.aborted ? signal.reason : startError(error, stderr));
    });
  });
  return readResolution(text, host);
}

/** ssh did not run, or would not. */
export function startError(error: Error, stderr: string): SshError {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
    const text = "Cannot find the program ssh: install the OpenSSH client, or use transport: 'ssh2'";
    return new SshError('SSH_NOT_FOUND', text, { cause: error });
  }
  const words = printable(stderr.trim() || error.message);
  return new SshError('CONFIG_INVALID', `ssh rejects its configuration: ${words}`, { cause: error });
}

export function readResolution(text: string, host: string): Resolution {
  const answers = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const at = line.indexOf(' ');
    if (at > 0 && !answers.has(line.slice(0, at))) answers.set(line.slice(0, at), line.slice(at + 1));
  }
  const split = (keyword: string, separator: string): readonly string[] =>
    (answers.get(keyword) ?? '').split(separator).filter((part) => part !== '');
  const isSet = (keyword: string): boolean => (answers.get(keyword) ?? 'none') !== 'none';
  return {
    host: answers.get('hostname') ?? host,
    port: Number(answers.get('port') ?? 22),
    username: answers.get('user') ?? '',
    hostKeyAlias: answers.get('hostkeyalias'),
    proxyJump: answers.get('proxyjump'),
    isDirect: !isSet('proxyjump') && !isSet('proxycommand'),
    acceptsNew: answers.get('stricthostkeychecking') === 'accept-new',
    userKnownHostsFiles: fileNames(answers.get('userknownhostsfile')),
    globalKnownHostsFiles: fileNames(answers.get('globalknownhostsfile')),
    hasKnownHostsCommand: isSet('knownhostscommand'),
    controlPath: isSet('controlpath') ? answers.get('controlpath') : undefined,
    serverAliveIntervalSeconds: Number(answers.get('serveraliveinterval') ?? 0),
    securityOptions: {
      ciphers: split('ciphers', ','),
      digests: split('macs', ','),
      keyTypes: split('hostkeyalgorithms', ','),
      kex: split('kexalgorithms', ','),
    },
  };
}

/** They are printed with spaces between them, also if one has a space in its name: the longest that exists counts. */
function fileNames(text = ''): readonly string[] {
  const join = (parts: readonly string[]): readonly string[] => {
    const [first] = parts;
    if (first === undefined) return [];
    const whole = parts.map((_part, index) => parts.slice(0, parts.length - index).join(' ')).find(isThere);
    const name = whole ?? first;
    return [name, ...join(parts.slice(name.split(' ').length))];
  };
  const isThere = (name: string): boolean => existsSync(expandHome(name));
  return join(text.split(' ').filter((part) => part !== '' && part !== 'none')).map(expandHome);
}
