/**
 * The command line for ssh. There is no shell, the host stands behind `--`, and what could be taken for an option, a
 * user or a second setting is refused before anything is started. Settings that would open a way back into this
 * machine are switched off, whatever the user's configuration says.
 */
import { printable } from '../../shared/printable.js';
import { type AlgorithmOptions, checkAlgorithm, LEGACY_ADDITIONS } from '../algorithms.js';
import type { ChannelRequest } from '../established-connection.js';
import { expandHome } from '../home-path.js';
import { checkHost, checkPort } from '../host-name.js';

export interface ArgumentOptions {
  /** A host name, an address, or an alias of the configuration. */
  readonly host: string;
  readonly port?: number | undefined;
  readonly username?: string | undefined;
  /** The configuration: ssh's own choice, one file, or none at all. */
  readonly config: true | false | string;
  /** The path of a key to log in with, before all others. */
  readonly privateKey?: string | undefined;
  readonly agent?: string | false | undefined;
  readonly proxyJump?: string | undefined;
  readonly algorithms?: AlgorithmOptions | undefined;
  readonly connectTimeoutMs: number;
  readonly keepaliveIntervalMs?: number | undefined;
  readonly keepaliveCountMax?: number | undefined;
  readonly family?: 4 | 6 | undefined;
  readonly localAddress?: string | undefined;
  readonly authMethods?: readonly string[] | undefined;
  /** May ssh ask, through its askpass program? */
  readonly interactive: boolean;
}

const FIXED = [
  'ForwardAgent=no',
  'ForwardX11=no',
  'ClearAllForwardings=yes',
  'PermitLocalCommand=no',
  'Tunnel=no',
  'RemoteCommand=none',
  'RequestTTY=no',
] as const;

/** Options alone: for `ssh -G`, and with {@link targetArguments} for a connection. */
export function optionArguments(options: ArgumentOptions): readonly string[] {
  const { config, port, username, privateKey, agent, proxyJump } = options;
  const settings = [
    ...FIXED,
    `BatchMode=${options.interactive ? 'no' : 'yes'}`,
    `ConnectTimeout=${Math.max(1, Math.ceil(options.connectTimeoutMs / 1000))}`,
    ...(privateKey === undefined
      ? []
      : ['IdentitiesOnly=yes', `IdentityFile=${quotePath('privateKey', privateKey)}`]),
    ...(agent === undefined ? [] : [`IdentityAgent=${agent === false ? 'none' : quotePath('agent', agent)}`]),
    ...(proxyJump === undefined ? [] : [`ProxyJump=${checkJump(proxyJump)}`]),
    ...keepaliveSettings(options),
    ...waySettings(options),
    ...algorithmSettings(options.algorithms ?? {}),
  ];
  return [
    ...(config === true ? [] : ['-F', config === false ? 'none' : expandHome(config)]),
    '-T',
    ...(port === undefined ? [] : ['-p', String(checkPort(port))]),
    ...(username === undefined ? [] : ['-l', checkUser(username)]),
    ...settings.map((setting) => `-o${setting}`),
  ];
}

/** The host and what to start there. */
export function targetArguments(host: string, request?: ChannelRequest): readonly string[] {
  const target = checkHost(host);
  if (request === undefined) return ['--', target];
  return request.type === 'subsystem'
    ? ['-s', '--', target, checkText('subsystem', request.name)]
    : ['--', target, checkText('command', request.command)];
}

/** A path as the value of `-o`, where quotes are understood and `%` begins a token. */
export function quotePath(what: string, path: string): string {
  const text = checkText(what, expandHome(path));
  return `"${text.replace(/[\\"]/g, '\\$&').replaceAll('%', '%%')}"`;
}

function keepaliveSettings({ keepaliveIntervalMs, keepaliveCountMax }: ArgumentOptions): readonly string[] {
  return [
    ...(keepaliveIntervalMs === undefined
      ? []
      : [`ServerAliveInterval=${Math.ceil(keepaliveIntervalMs / 1000)}`]),
    ...(keepaliveCountMax === undefined ? [] : [`ServerAliveCountMax=${keepaliveCountMax}`]),
  ];
}

function waySettings({ family, localAddress, authMethods }: ArgumentOptions): readonly string[] {
  return [
    ...(family === undefined ? [] : [`AddressFamily=${family === 6 ? 'inet6' : 'inet'}`]),
    ...(localAddress === undefined ? [] : [`BindAddress=${localAddress}`]),
    ...(authMethods === undefined ? [] : [`PreferredAuthentications=${authMethods.join(',')}`]),
  ];
}

const ALGORITHM_KEYWORDS = {
  kex: 'KexAlgorithms',
  hostKeyAlgorithms: 'HostKeyAlgorithms',
  ciphers: 'Ciphers',
  macs: 'MACs',
} as const;

/**
 * A list replaces ssh's own; the preset is appended to it. To sign with ssh-rsa is allowed under the keyword's older
 * name, which every ssh knows: the newer one (PubkeyAcceptedAlgorithms) would stop those before OpenSSH 8.5.
 */
function algorithmSettings(algorithms: AlgorithmOptions): readonly string[] {
  const { preset, compression } = algorithms;
  const isLegacy = preset === 'legacy';
  const lists = (['kex', 'hostKeyAlgorithms', 'ciphers', 'macs'] as const).flatMap((list) => {
    const names = algorithms[list];
    const added = isLegacy ? [`${ALGORITHM_KEYWORDS[list]}=+${LEGACY_ADDITIONS[list].join(',')}`] : [];
    return names === undefined
      ? added
      : [`${ALGORITHM_KEYWORDS[list]}=${names.map(checkAlgorithm).join(',')}`];
  });
  return [
    ...lists,
    ...(isLegacy ? [`PubkeyAcceptedKeyTypes=+${LEGACY_ADDITIONS.hostKeyAlgorithms.join(',')}`] : []),
    ...(compression === undefined ? [] : [`Compression=${compression ? 'yes' : 'no'}`]),
  ];
}

/** What the shells of a ProxyCommand would read as their own is refused too, as ssh does. */
function checkUser(user: string): string {
  if (!/^[^\s-][^\s'"`$\\;&<>|(){}@]*$/u.test(user) || /[\p{Cc}'"`$\\;&<>|(){}@]/u.test(user)) {
    throw new TypeError(`username '${printable(user, 100)}' cannot be given to ssh`);
  }
  return user;
}

function checkJump(jump: string): string {
  const hop = /^(?:[\w.+~-]+@)?(?:[\p{L}\p{N}_.][\p{L}\p{N}_.-]*|\[[\da-f:.]+\])(?::\d{1,5})?$/iu;
  if (!jump.split(',').every((text) => hop.test(text))) {
    throw new TypeError(`proxyJump '${printable(jump, 100)}' is not of the form user@host:port,…`);
  }
  return jump;
}

function checkText(what: string, text: string): string {
  if (text === '' || /[\0]/.test(text) || (what !== 'command' && /[\r\n]/.test(text))) {
    throw new TypeError(`${what} is empty or contains a character that cannot be given to ssh`);
  }
  if (what === 'subsystem' && text.startsWith('-'))
    throw new TypeError('a subsystem cannot begin with a hyphen');
  return text;
}
