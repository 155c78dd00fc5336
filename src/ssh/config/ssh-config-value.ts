/** What an ssh_config keyword may be set to, as a table: a keyword that is not in it is no concern of ours. */
import { isPort } from '../host-name.js';
import type { ConfigLine } from './ssh-config-line.js';

/** StrictHostKeyChecking, its synonyms made one. */
export type HostKeyChecking = 'strict' | 'ask' | 'accept-new' | 'off';

/** Values as they stand in the files, before tokens are expanded. */
export interface RawSshConfig {
  hostname?: string;
  user?: string;
  port?: number;
  identityfile?: readonly string[];
  identitiesonly?: boolean;
  identityagent?: string;
  userknownhostsfile?: readonly string[];
  globalknownhostsfile?: readonly string[];
  hostkeyalias?: string;
  proxyjump?: string;
  proxycommand?: string;
  revokedhostkeys?: string;
  ciphers?: string;
  macs?: string;
  kexalgorithms?: string;
  hostkeyalgorithms?: string;
  pubkeyacceptedalgorithms?: string;
  /** In seconds. */
  connecttimeout?: number | undefined;
  serveraliveinterval?: number | undefined;
  serveralivecountmax?: number;
  compression?: boolean;
  /** In bits. */
  requiredrsasize?: number;
  stricthostkeychecking?: HostKeyChecking;
}

type Keyword = keyof RawSshConfig;

type Reader<K extends Keyword> = (values: readonly string[], text: string) => RawSshConfig[K];

const READERS: { readonly [K in Keyword]: Reader<K> } = {
  hostname: readOne,
  user: readOne,
  port: readPort,
  identityfile: (values) => [readOne(values)],
  identitiesonly: readFlag,
  identityagent: readOne,
  userknownhostsfile: (values) => values,
  globalknownhostsfile: (values) => values,
  hostkeyalias: (values) => readOne(values).toLowerCase(),
  proxyjump: readOne,
  proxycommand: (_values, text) => text,
  revokedhostkeys: readOne,
  ciphers: readOne,
  macs: readOne,
  kexalgorithms: readOne,
  hostkeyalgorithms: readOne,
  pubkeyacceptedalgorithms: readOne,
  connecttimeout: readTime,
  serveraliveinterval: readTime,
  serveralivecountmax: readCount,
  compression: readFlag,
  requiredrsasize: readCount,
  stricthostkeychecking: readPolicy,
};

const ALIASES: ReadonlyMap<string, Keyword> = new Map([
  ['pubkeyacceptedkeytypes', 'pubkeyacceptedalgorithms'],
  ['rsaminsize', 'requiredrsasize'],
]);

/** What changes whom ssh talks to or how it logs in, and has no effect here; with the values that change nothing. */
const NOT_FOLLOWED: ReadonlyMap<string, RegExp> = new Map([
  ['addressfamily', /^any$/i],
  ['bindaddress', /^$/],
  ['bindinterface', /^$/],
  ['canonicalizehostname', /^(?:no|false)$/i],
  ['certificatefile', /^none$/i],
  ['checkhostip', /^(?:no|false)$/i],
  ['kbdinteractiveauthentication', /^(?:yes|true)$/i],
  ['passwordauthentication', /^(?:yes|true)$/i],
  ['pkcs11provider', /^none$/i],
  ['preferredauthentications', /^$/],
  ['pubkeyauthentication', /^(?:yes|true)$/i],
]);

/** Would ssh do something that is not done here? */
export function isNotFollowed({ keyword, values }: ConfigLine): boolean {
  return NOT_FOLLOWED.get(keyword)?.test(values[0] ?? '') === false;
}

const MAXIMUM_IDENTITY_FILES = 100;

/** The first value that is found wins, but every IdentityFile counts. Throws a `SyntaxError` for an invalid value. */
export function setValue(config: RawSshConfig, { keyword: name, values, text }: ConfigLine): void {
  const keyword = ALIASES.get(name) ?? (name as Keyword);
  if (!Object.hasOwn(READERS, keyword)) {
    return;
  }
  const value = READERS[keyword](values, text);
  if (keyword === 'identityfile') {
    addIdentityFiles(config, value as readonly string[]);
  } else if (value !== undefined && !isDecided(config, keyword)) {
    Object.assign(config, { [keyword]: value });
  }
}

/** The way to the server is one decision, but that there is no jump leaves a command possible. */
function isDecided(config: RawSshConfig, keyword: Keyword): boolean {
  if (keyword === 'proxycommand' && config.proxyjump !== undefined && !isNone(config.proxyjump)) {
    return true;
  }
  return Object.hasOwn(config, keyword) || (keyword === 'proxyjump' && config.proxycommand !== undefined);
}

/** Most keywords that take a name or a path take this for "not at all". */
export function isNone(text: string): boolean {
  return text.toLowerCase() === 'none';
}

function addIdentityFiles(config: RawSshConfig, files: readonly string[]): void {
  const all = new Set([...(config.identityfile ?? []), ...files]);
  if (all.size > MAXIMUM_IDENTITY_FILES) {
    throw new SyntaxError(`there are more than ${MAXIMUM_IDENTITY_FILES} of them`);
  }
  config.identityfile = [...all];
}

function readOne(values: readonly string[]): string {
  const [value = '', ...rest] = values;
  if (value === '' || rest.length > 0) {
    throw new SyntaxError('it takes one value');
  }
  return value;
}

function readPort(values: readonly string[]): number {
  const port = readCount(values);
  if (!isPort(port)) {
    throw new SyntaxError('it takes a number from 1 to 65535');
  }
  return port;
}

function readCount(values: readonly string[]): number {
  const value = readOne(values);
  if (!/^\d{1,9}$/.test(value)) {
    throw new SyntaxError('it takes a number');
  }
  return Number(value);
}

function readFlag(values: readonly string[]): boolean {
  const flag = FLAGS[readOne(values).toLowerCase()];
  if (flag === undefined) {
    throw new SyntaxError('it takes yes or no');
  }
  return flag;
}

const FLAGS: Readonly<Record<string, boolean>> = {
  __proto__: null as never,
  yes: true,
  true: true,
  no: false,
  false: false,
};

/** sshd_config(5), "TIME FORMATS": numbers of seconds, or with a unit, one after the other. `none` leaves it open. */
function readTime(values: readonly string[]): number | undefined {
  const value = readOne(values);
  if (isNone(value)) {
    return undefined;
  }
  if (!/^(?:\d{1,9}[smhdw]?)+$/i.test(value)) {
    throw new SyntaxError('it takes a time, for instance 90 or 1m30s');
  }
  let seconds = 0;
  for (const [, digits, unit] of value.matchAll(/(\d+)([a-z]?)/gi)) {
    seconds += Number(digits) * (SECONDS[unit?.toLowerCase() ?? ''] ?? 1);
  }
  return seconds;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

function readPolicy(values: readonly string[]): HostKeyChecking {
  const policy = POLICIES[readOne(values).toLowerCase()];
  if (policy === undefined) {
    throw new SyntaxError('it takes yes, ask, accept-new, no or off');
  }
  return policy;
}

const POLICIES: Readonly<Record<string, HostKeyChecking>> = {
  __proto__: null as never,
  yes: 'strict',
  true: 'strict',
  ask: 'ask',
  'accept-new': 'accept-new',
  no: 'off',
  false: 'off',
  off: 'off',
};
