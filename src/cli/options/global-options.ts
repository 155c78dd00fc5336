/** The options that every command knows. The letters mean what they mean to `sftp`. */
import { humanBytes, parseCount, parseDuration, parseSize } from '../output/human.js';
import type { ProgressMode } from '../output/run-figures.js';
import { UsageError } from '../output/usage-error.js';
import { collect, type OptionSpec, type OptionValues } from './option-table.js';

/** How to connect. */
export const CONNECTION_OPTIONS: readonly OptionSpec[] = [
  { flags: '-P, --port <port>', text: 'port of the server', parse: parsePort },
  {
    flags: '-i, --identity <file>',
    text: 'private key; may be given several times',
    parse: collect,
    isFile: true,
  },
  { flags: '-J, --jump <host>', text: 'go through a jump host: user@host:port, or several with commas' },
  { flags: '-F, --config <file>', text: 'ssh configuration; none: no configuration', isFile: true },
  { flags: '-o, --option <name=value>', text: 'an option of ssh_config(5), as for ssh', parse: collect },
  { flags: '-c, --cipher <list>', text: 'ciphers to offer, best first' },
  { flags: '-C, --compress', text: 'compress what is sent' },
  { flags: '-s, --subsystem <name>', text: 'subsystem, or a command with a slash, that speaks SFTP' },
  { flags: '--transport <name>', text: 'what speaks SSH', choices: ['auto', 'ssh2', 'openssh'] },
  { flags: '--fingerprint <sha256>', text: 'trust only this host key (SHA256:…)', parse: collect },
  { flags: '--accept-new', text: 'add the keys of new servers to known_hosts without asking' },
  { flags: '--known-hosts <file>', text: 'known_hosts file in place of the usual ones', isFile: true },
  { flags: '--password-file <file>', text: 'read the password from the first line of a file', isFile: true },
  { flags: '--password-stdin', text: 'read the password from the first line of standard input' },
  { flags: '--legacy', text: 'accept algorithms that are no longer safe, for old servers' },
  { flags: '--batch', text: 'ask nothing, also on a terminal' },
  {
    flags: '--timeout <time>',
    text: 'how long connecting and one call may take (30s)',
    parse: parseDuration,
  },
  {
    flags: '--retry <n>',
    text: 'how often to reconnect after a loss (5); 0: never',
    parse: (text) => parseCount(text, 0),
  },
  {
    flags: '-l, --limit <kbit/s>',
    text: 'bandwidth limit as of sftp, in Kbit/s',
    parse: (text) => parseCount(text),
  },
  {
    flags: '--bwlimit <rate>',
    text: 'bandwidth limit in bytes per second, for instance 2M',
    parse: parseSize,
  },
  {
    flags: '--connections <n>',
    text: 'SSH connections for each transfer, 1 to 16, or auto (1)',
    parse: parseConnections,
  },
  {
    flags: '-R, --requests <n>',
    text: 'requests in flight for each file',
    parse: (text) => parseCount(text),
  },
  { flags: '-B, --buffer <bytes>', text: 'ignored, as the length of requests is adapted', isHidden: true },
];

/** What is shown, and how. */
export const OUTPUT_OPTIONS: readonly OptionSpec[] = [
  { flags: '-q, --quiet', text: 'no progress and no words but errors' },
  { flags: '-v, --verbose', text: 'say more; -vv: also the log of the connection', parse: counted },
  { flags: '--json', text: 'one JSON object per line on standard output' },
  {
    flags: '--progress <how>',
    text: 'how progress is shown on standard error',
    choices: ['auto', 'bar', 'log', 'json', 'none'],
  },
  { flags: '--fail-fast', text: 'stop at the first failure' },
  { flags: '--error-on-nothing', text: 'exit code 9 if there was nothing to do' },
];

export const GLOBAL_OPTIONS: readonly OptionSpec[] = [...CONNECTION_OPTIONS, ...OUTPUT_OPTIONS];

/** The options of every command, with their types. */
export interface Settings {
  readonly port: number | undefined;
  readonly identities: readonly string[];
  readonly jump: string | undefined;
  readonly config: string | undefined;
  readonly sshOptions: readonly string[];
  readonly cipher: string | undefined;
  readonly compress: boolean;
  readonly subsystem: string | undefined;
  readonly transport: 'auto' | 'ssh2' | 'openssh';
  readonly fingerprints: readonly string[];
  readonly acceptNew: boolean;
  readonly knownHosts: string | undefined;
  readonly passwordFile: string | undefined;
  readonly passwordStdin: boolean;
  readonly legacy: boolean;
  readonly batch: boolean;
  readonly timeoutMs: number | undefined;
  readonly retries: number;
  readonly bytesPerSecond: number | undefined;
  readonly connections: number | 'auto' | undefined;
  readonly requests: number | undefined;
  readonly quiet: boolean;
  readonly verbosity: number;
  readonly json: boolean;
  readonly progress: ProgressMode;
  readonly failFast: boolean;
  readonly errorOnNothing: boolean;
}

const DEFAULT_RETRIES = 5;

/** @throws UsageError for options that contradict each other */
export function readSettings(values: OptionValues): Settings {
  const text = (name: string) => values[name] as string | undefined;
  const number = (name: string) => values[name] as number | undefined;
  const list = (name: string) => (values[name] ?? []) as readonly string[];
  const is = (name: string) => values[name] === true;
  if (is('passwordStdin') && text('passwordFile') !== undefined) {
    throw new UsageError('Give one of --password-stdin and --password-file');
  }
  return {
    port: number('port'),
    identities: list('identity'),
    jump: text('jump'),
    config: text('config'),
    sshOptions: list('option'),
    cipher: text('cipher'),
    compress: is('compress'),
    subsystem: text('subsystem'),
    transport: (text('transport') ?? 'auto') as Settings['transport'],
    fingerprints: list('fingerprint'),
    acceptNew: is('acceptNew'),
    knownHosts: text('knownHosts'),
    passwordFile: text('passwordFile'),
    passwordStdin: is('passwordStdin'),
    legacy: is('legacy'),
    batch: is('batch') || text('batchFile') !== undefined,
    timeoutMs: number('timeout'),
    retries: number('retry') ?? DEFAULT_RETRIES,
    bytesPerSecond: rateOf(number('bwlimit'), number('limit')),
    connections: values.connections as number | 'auto' | undefined,
    requests: number('requests'),
    quiet: is('quiet'),
    verbosity: (values.verbose as number | undefined) ?? 0,
    json: is('json'),
    progress: (text('progress') ?? 'auto') as ProgressMode,
    failFast: is('failFast'),
    errorOnNothing: is('errorOnNothing'),
  };
}

/** `-l` counts in Kbit, as for `sftp`. */
function rateOf(bytes: number | undefined, kilobits: number | undefined): number | undefined {
  const rate = bytes ?? (kilobits === undefined ? undefined : (kilobits * 1024) / 8);
  if (rate !== undefined && rate < 1) throw new UsageError(`${humanBytes(rate)} per second is too little`);
  return rate;
}

function parseConnections(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const connections = parseCount(text);
  if (connections > 16) throw new UsageError('--connections takes 1 to 16, or auto');
  return connections;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) {
    throw new UsageError(`The port must be a number between 1 and 65535, not '${text}'`);
  }
  return port;
}

/** How often an option was given. */
function counted(_text: string, before = 0): number {
  return before + 1;
}
