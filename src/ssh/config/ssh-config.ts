/**
 * What the user's ssh configuration says about one host, as ssh_config(5) tells: the files are read from top to
 * bottom, and for each keyword the first value wins. It agrees with `ssh -G` for the keywords that it knows; others
 * are passed over. Nothing is ever executed: a `Match exec` does not match, and a warning says so.
 */
import { expandHome } from '../home-path.js';
import { configFiles } from './ssh-config-files.js';
import { Pass, type SshConfigQuery } from './ssh-config-pass.js';
import { expandTokens, expandVariables, makeTokens, type Tokens } from './ssh-config-tokens.js';
import { type HostKeyChecking, isNone, type RawSshConfig } from './ssh-config-value.js';

export type { SshConfigQuery } from './ssh-config-pass.js';

/** The settings for a host; what is not set is `undefined`. Tokens, `~` and variables are expanded. */
export interface SshConfig {
  /** Where to connect to; the host itself where nothing else is said. */
  readonly hostName: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  /** An empty list: no file is used (`IdentityFile none`). */
  readonly identityFiles: readonly string[] | undefined;
  readonly identitiesOnly: boolean | undefined;
  /** `false`: no agent. */
  readonly identityAgent: string | false | undefined;
  readonly userKnownHostsFiles: readonly string[] | undefined;
  readonly globalKnownHostsFiles: readonly string[] | undefined;
  /** The name under which the host's keys are known. */
  readonly hostKeyAlias: string | undefined;
  /** `user@host:port,…`; `undefined` also where it says `none`. */
  readonly proxyJump: string | undefined;
  /** A command to run instead of connecting, which only the system's ssh can do. */
  readonly proxyCommand: string | undefined;
  readonly revokedHostKeys: string | undefined;
  /** Lists as written, perhaps with `+`, `-` or `^` before them. */
  readonly ciphers: string | undefined;
  readonly macs: string | undefined;
  readonly kexAlgorithms: string | undefined;
  readonly hostKeyAlgorithms: string | undefined;
  readonly pubkeyAcceptedAlgorithms: string | undefined;
  readonly connectTimeoutMs: number | undefined;
  readonly serverAliveIntervalMs: number | undefined;
  readonly serverAliveCountMax: number | undefined;
  readonly compression: boolean | undefined;
  /** The shortest RSA keys of servers that are taken. */
  readonly requiredRsaBits: number | undefined;
  readonly strictHostKeyChecking: HostKeyChecking | undefined;
  /** What could not be done as the files say, for the user. */
  readonly warnings: readonly string[];
}

/**
 * Looks a host up. Throws `SshError`: `CONFIG_UNUSABLE` for a file that cannot be read or that others can write
 * to, `CONFIG_INVALID` with file and line for what is not understood.
 */
export function resolveSshConfig(
  query: SshConfigQuery,
  config: true | string | readonly string[],
): SshConfig {
  const files = configFiles(config);
  const first = new Pass(query, { host: query.host, final: false });
  first.readAll(files);
  const { hostName } = first;
  const found = { host: query.host, hostName };
  if (!first.wantsFinalPass) return expand(first.values, { ...found, warnings: [...first.warnings] });
  const values = { ...first.values, hostname: hostName };
  const last = new Pass(query, { host: hostName, final: true, values });
  last.readAll(files);
  return expand(last.values, { ...found, warnings: [...first.warnings, ...last.warnings] });
}

interface Found {
  readonly host: string;
  readonly hostName: string;
  readonly warnings: readonly string[];
}

function expand(values: RawSshConfig, { host, hostName, warnings }: Found): SshConfig {
  const { hostkeyalias: hostKeyAlias, port, user } = values;
  const tokens = makeTokens({ host, hostName, hostKeyAlias, port, user });
  const path = (text: string): string => expandHome(expandVariables(expandTokens(text, tokens)));
  const files = (list: readonly string[] | undefined): readonly string[] | undefined =>
    list?.filter((text) => !isNone(text)).map(path);
  const time = (seconds: number | undefined): number | undefined =>
    seconds === undefined ? undefined : seconds * 1000;
  const unlessNone = (text: string | undefined): string | undefined =>
    text === undefined || isNone(text) ? undefined : text;
  return {
    hostName,
    user,
    port,
    identityFiles: files(values.identityfile),
    identitiesOnly: values.identitiesonly,
    identityAgent: expandAgent(values.identityagent, path),
    userKnownHostsFiles: files(values.userknownhostsfile),
    globalKnownHostsFiles: values.globalknownhostsfile?.filter((text) => !isNone(text)).map(expandHome),
    hostKeyAlias,
    proxyJump: expandJump(values.proxyjump, tokens),
    proxyCommand: unlessNone(values.proxycommand),
    revokedHostKeys: unlessNone(values.revokedhostkeys),
    ciphers: values.ciphers,
    macs: values.macs,
    kexAlgorithms: values.kexalgorithms,
    hostKeyAlgorithms: values.hostkeyalgorithms,
    pubkeyAcceptedAlgorithms: values.pubkeyacceptedalgorithms,
    connectTimeoutMs: time(values.connecttimeout),
    serverAliveIntervalMs: time(values.serveraliveinterval),
    serverAliveCountMax: values.serveralivecountmax,
    compression: values.compression,
    requiredRsaBits: values.requiredrsasize,
    strictHostKeyChecking: values.stricthostkeychecking,
    warnings,
  };
}

/** As ssh does it: the tokens tell of the server, not of the hosts on the way to it. */
function expandJump(text: string | undefined, tokens: Tokens): string | undefined {
  if (text === undefined || isNone(text)) return undefined;
  return expandTokens(text, tokens);
}

/** `none`, the name of a variable, or a path. */
function expandAgent(text: string | undefined, path: (text: string) => string): string | false | undefined {
  if (text === undefined) return undefined;
  if (isNone(text)) return false;
  const variable = text === 'SSH_AUTH_SOCK' ? text : /^\$(\w+)$/.exec(text)?.[1];
  return variable === undefined ? path(text) : (process.env[variable] ?? false);
}
