/**
 * One reading of the files of ssh_config(5) for one host: from top to bottom, as far as `Host`, `Match` and `Include`
 * let it. Nothing is ever executed: a `Match exec` does not match, and a warning says so.
 */
import { SshError } from '../../errors.js';
import { matches, parseWildcards } from '../../shared/pattern.js';
import { printable } from '../../shared/printable.js';
import { userName } from '../home-path.js';
import { type ConfigFile, findIncluded, readConfigFile } from './ssh-config-files.js';
import { parseConfigLine } from './ssh-config-line.js';
import { expandTokens } from './ssh-config-tokens.js';
import { isNotFollowed, type RawSshConfig, setValue } from './ssh-config-value.js';

const MAXIMUM_DEPTH = 16;

/** Which settings are asked for. */
export interface SshConfigQuery {
  /** As the user wrote it: often an alias. */
  readonly host: string;
  /** What the program gave wins over the files, and `Match user` goes by it. */
  readonly user?: string | undefined;
  readonly port?: number | undefined;
}

interface PassOptions {
  /** What `Host` is compared with. */
  readonly host: string;
  readonly final: boolean;
  readonly values?: RawSshConfig;
}

/** One reading of all files. `Match final` asks for a second one, with the host's name as the first one left it. */
export class Pass {
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

  /** Where to connect to, as far as it is known; the host itself where nothing else is said. */
  get hostName(): string {
    return finalHostName(this.#query, this.values);
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
        const text = `${file.path}: ${printable(content.trim(), 100)} is not followed; use transport: 'openssh'`;
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

function finalHostName({ host }: SshConfigQuery, { hostname: name }: RawSshConfig): string {
  return (name === undefined ? host : expandTokens(name, { '%': '%', h: host })).toLowerCase();
}

type Criterion = (value: string, query: SshConfigQuery, values: RawSshConfig) => boolean;

const CRITERIA: ReadonlyMap<string, Criterion> = new Map<string, Criterion>([
  ['host', (value, query, values) => matchesList(value.toLowerCase(), finalHostName(query, values))],
  ['originalhost', (value, { host }) => matchesList(value.toLowerCase(), host.toLowerCase())],
  ['user', (value, _query, { user }) => matchesList(value, user ?? userName())],
  ['localuser', (value) => matchesList(value, userName())],
]);

/** The patterns of `Host`: one that is negated and fits rules the block out. */
function matchesHost(patterns: readonly string[], host: string): boolean {
  const isNot = (pattern: string): boolean => pattern.startsWith('!');
  const fits = (pattern: string): boolean => matches(parseWildcards(pattern), host);
  return (
    patterns.some((pattern) => !isNot(pattern) && fits(pattern)) &&
    !patterns.some((pattern) => isNot(pattern) && fits(pattern.slice(1)))
  );
}

function matchesList(list: string, text: string): boolean {
  return matchesHost(list.split(','), text);
}
