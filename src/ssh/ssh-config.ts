/**
 * What the user's ssh configuration says about one host, as ssh_config(5) tells: the files are read from top to
 * bottom, and for each keyword the first value wins. It agrees with `ssh -G` for the keywords that it knows; others
 * are passed over. Nothing is ever executed: a `Match exec` does not match, and a warning says so.
 */
import { homedir, hostname, userInfo } from 'node:os';
import { SshError } from '../errors.js';
import { printable } from '../printable.js';
import { expandHome } from './home-path.js';
import { matchesWildcards } from './host-pattern.js';
import { type ConfigFile, configFiles, findIncluded, readConfigFile } from './ssh-config-files.js';
import { parseConfigLine } from './ssh-config-line.js';
import {
  type HostKeyChecking,
  isNone,
  isNotFollowed,
  type RawSshConfig,
  setValue,
} from './ssh-config-value.js';

const MAXIMUM_DEPTH = 16;

/** Which settings are asked for. */
export interface SshConfigQuery {
  /** As the user wrote it: often an alias. */
  readonly host: string;
  /** What the program gave wins over the files, and `Match user` goes by it. */
  readonly user?: string | undefined;
  readonly port?: number | undefined;
}

/** The settings for a host; what is not set is `undefined`. Tokens, `~` and variables are expanded. */
export interface SshConfig {
  /** Where to connect to; the host itself where nothing else is said. */
  readonly hostName: string;
  readonly user: string | undefined;
  readonly port: number | undefined;
  /** An empty list: no file is to be used (`IdentityFile none`). */
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
  const hostName = finalHostName(query, first.values);
  if (first.wantsFinalPass) {
    const last = new Pass(query, {
      host: hostName,
      final: true,
      values: { ...first.values, hostname: hostName },
    });
    last.readAll(files);
    return expand(query, last.values, hostName, [...first.warnings, ...last.warnings]);
  }
  return expand(query, first.values, hostName, [...first.warnings]);
}

function finalHostName({ host }: SshConfigQuery, { hostname: name }: RawSshConfig): string {
  return (name === undefined ? host : expandTokens(name, { '%': '%', h: host })).toLowerCase();
}

interface PassOptions {
  /** What `Host` is compared with. */
  readonly host: string;
  readonly final: boolean;
  readonly values?: RawSshConfig;
}

/** One reading of all files. `Match final` asks for a second one, with the host's name as the first one left it. */
class Pass {
  readonly values: RawSshConfig;
  readonly warnings = new Set<string>();
  wantsFinalPass = false;
  readonly #query: SshConfigQuery;
  readonly #options: PassOptions;
  #active = true;

  constructor(query: SshConfigQuery, options: PassOptions) {
    this.#query = query;
    this.#options = options;
    this.values = options.values ?? {};
    if (query.user !== undefined) this.values.user = query.user;
    if (query.port !== undefined) this.values.port = query.port;
  }

  readAll(files: readonly ConfigFile[]): void {
    for (const file of files) {
      this.#active = true;
      this.#read(file, { depth: 0, never: false });
    }
  }

  #read(file: ConfigFile, scope: { depth: number; never: boolean }): void {
    const text = readConfigFile(file);
    for (const [index, content] of (text ?? '').split('\n').entries()) {
      try {
        this.#readLine(content, file, scope);
      } catch (cause) {
        if (!(cause instanceof SyntaxError)) throw cause;
        const where = `${file.path}, line ${index + 1}`;
        throw new SshError(
          'CONFIG_INVALID',
          `${where}: ${printable(content.trim(), 100)}: ${cause.message}`,
          {
            cause,
          },
        );
      }
    }
  }

  #readLine(content: string, file: ConfigFile, scope: { depth: number; never: boolean }): void {
    const line = parseConfigLine(content);
    if (line === undefined) return;
    const { keyword, values } = line;
    if (keyword === 'host') {
      this.#active = !scope.never && matchesHost(values, this.#options.host);
    } else if (keyword === 'match') {
      this.#active = this.#matches(values, `${file.path}: Match ${values.join(' ')}`) && !scope.never;
    } else if (keyword === 'include') {
      this.#include(values, file, scope);
    } else if (this.#active) {
      setValue(this.values, line);
      if (isNotFollowed(line)) {
        const text = `${file.path}: ${printable(content.trim(), 100)} is not followed; transport: 'openssh' does`;
        this.warnings.add(text);
      }
    }
  }

  /** What an included file leaves active does not go on in the one that includes it. */
  #include(patterns: readonly string[], file: ConfigFile, scope: { depth: number; never: boolean }): void {
    const active = this.#active;
    if (scope.depth >= MAXIMUM_DEPTH) {
      throw new SyntaxError(`files include each other more than ${MAXIMUM_DEPTH} deep`);
    }
    for (const included of patterns.flatMap((pattern) => findIncluded(pattern, file))) {
      this.#read(included, { depth: scope.depth + 1, never: scope.never || !active });
      this.#active = active;
    }
  }

  #matches(values: readonly string[], where: string): boolean {
    let matches = true;
    for (let at = 0; at < values.length; at++) {
      const [, not, name = ''] = /^(!?)(.*)$/s.exec(values[at] ?? '') ?? [];
      const attribute = name.toLowerCase();
      const flag = this.#flag(attribute);
      if (flag !== undefined) {
        matches = matches && flag !== (not === '!');
        continue;
      }
      const value = values[++at];
      if (value === undefined) {
        throw new SyntaxError(`${printable(name)} has no value`);
      }
      const found = this.#criterion(attribute, value);
      if (found === undefined && matches) {
        this.warnings.add(
          `${where}: the condition ${printable(attribute)} is not known here, so it does not apply`,
        );
      }
      matches = matches && found !== undefined && found !== (not === '!');
    }
    return matches;
  }

  #flag(attribute: string): boolean | undefined {
    if (attribute === 'final' || attribute === 'canonical') {
      this.wantsFinalPass ||= attribute === 'final' && !this.#options.final;
      return this.#options.final;
    }
    return attribute === 'all' ? true : undefined;
  }

  /** `undefined` for a condition that is not known, or that would run a command. */
  #criterion(attribute: string, value: string): boolean | undefined {
    return CRITERIA.get(attribute)?.(value, this.#query, this.values);
  }
}

type Criterion = (value: string, query: SshConfigQuery, values: RawSshConfig) => boolean;

const CRITERIA: ReadonlyMap<string, Criterion> = new Map<string, Criterion>([
  ['host', (value, query, values) => matchesList(value.toLowerCase(), finalHostName(query, values))],
  ['originalhost', (value, { host }) => matchesList(value.toLowerCase(), host.toLowerCase())],
  ['user', (value, _query, { user }) => matchesList(value, user ?? userInfo().username)],
  ['localuser', (value) => matchesList(value, userInfo().username)],
]);

/** The patterns of `Host`: one that is negated and fits rules the block out. */
function matchesHost(patterns: readonly string[], host: string): boolean {
  const isNot = (pattern: string): boolean => pattern.startsWith('!');
  const fits = (pattern: string): boolean => matchesWildcards(host, pattern);
  return (
    patterns.some((pattern) => !isNot(pattern) && fits(pattern)) &&
    !patterns.some((pattern) => isNot(pattern) && fits(pattern.slice(1)))
  );
}

function matchesList(list: string, text: string): boolean {
  return matchesHost(list.split(','), text);
}

function expand(
  query: SshConfigQuery,
  values: RawSshConfig,
  hostName: string,
  warnings: readonly string[],
): SshConfig {
  const tokens = makeTokens(query, values, hostName);
  const path = (text: string): string => expandHome(expandVariables(expandTokens(text, tokens)));
  const files = (list: readonly string[] | undefined): readonly string[] | undefined =>
    list?.filter((text) => !isNone(text)).map(path);
  const time = (seconds: number | undefined): number | undefined =>
    seconds === undefined ? undefined : seconds * 1000;
  const unlessNone = (text: string | undefined): string | undefined =>
    text === undefined || isNone(text) ? undefined : text;
  return {
    hostName,
    user: values.user,
    port: values.port,
    identityFiles: files(values.identityfile),
    identitiesOnly: values.identitiesonly,
    identityAgent: expandAgent(values.identityagent, path),
    userKnownHostsFiles: files(values.userknownhostsfile),
    globalKnownHostsFiles: values.globalknownhostsfile?.filter((text) => !isNone(text)).map(expandHome),
    hostKeyAlias: values.hostkeyalias,
    proxyJump: unlessNone(values.proxyjump),
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

/** `none`, the name of a variable, or a path. */
function expandAgent(text: string | undefined, path: (text: string) => string): string | false | undefined {
  if (text === undefined) return undefined;
  if (isNone(text)) return false;
  const variable = text === 'SSH_AUTH_SOCK' ? text : /^\$(\w+)$/.exec(text)?.[1];
  return variable === undefined ? path(text) : (process.env[variable] ?? false);
}

type Tokens = Readonly<Record<string, string>>;

/** ssh_config(5), "TOKENS", but for the few that need what is not known here. */
function makeTokens(query: SshConfigQuery, values: RawSshConfig, hostName: string): Tokens {
  const local = userInfo();
  return {
    '%': '%',
    d: homedir(),
    h: hostName,
    i: String(local.uid),
    k: values.hostkeyalias ?? query.host,
    L: hostname().replace(/\..*$/, ''),
    l: hostname(),
    n: query.host,
    p: String(values.port ?? 22),
    r: values.user ?? local.username,
    u: local.username,
  };
}

function expandTokens(text: string, tokens: Tokens): string {
  return text.replace(/%(.?)/gs, (_all, name: string) => {
    const value = Object.hasOwn(tokens, name) ? tokens[name] : undefined;
    if (value === undefined) {
      throw new SshError(
        'CONFIG_INVALID',
        `ssh configuration: %${printable(name)} cannot be used in ${printable(text, 100)}`,
      );
    }
    return value;
  });
}

function expandVariables(text: string): string {
  return text.replace(/\$\{(\w+)\}/g, (_all, name: string) => {
    const value = process.env[name];
    if (value === undefined) {
      throw new SshError(
        'CONFIG_INVALID',
        `ssh configuration: the variable ${name} in ${printable(text, 100)} is not set`,
      );
    }
    return value;
  });
}
