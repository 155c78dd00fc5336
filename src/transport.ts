/** Which program speaks SSH: our own client, or the system's. And what the user's ssh configuration adds. */
import { userInfo } from 'node:os';
import type { CnOpts } from './cnopts.js';
import { SshError } from './errors.js';
import type { Log } from './log.js';
import type { ResolvedOptions } from './options.js';
import { DEFAULT_OFFER } from './ssh/algorithms.js';
import { loadCredentials } from './ssh/credentials.js';
import type { Deadline } from './ssh/deadline.js';
import type { HostKeyRules } from './ssh/host-key.js';
import { HostKeys } from './ssh/known-hosts.js';
import { connectOpenssh } from './ssh/openssh.js';
import { connectThrough, parseProxyJump } from './ssh/proxy-jump.js';
import { resolveSshConfig, type SshConfig } from './ssh/ssh-config.js';
import { applyAlgorithmList } from './ssh/ssh-config-algorithms.js';
import type { SshConnection } from './ssh/ssh-connection.js';
import type { PromptHandler, Ssh2Options } from './ssh/ssh2.js';

/** What speaks SSH. */
export type Transport = 'ssh2' | 'openssh';

interface Opening {
  readonly options: ResolvedOptions;
  /** Stands still while somebody is asked. */
  readonly deadline: Deadline;
  readonly log: Log;
  /** What the server has shown before: then nothing else counts. */
  readonly pinned?: PinnedKey | undefined;
}

/** The host key of a server that we have been connected to. */
export interface PinnedKey {
  /** `SHA256:…` */
  readonly fingerprint: string;
  readonly algorithm: string;
}

const TRANSPORTS: Readonly<Record<Transport, (opening: Opening) => Promise<SshConnection>>> = {
  ssh2: openWithSsh2,
  openssh: openWithOpenssh,
};

/** Connects and logs in, with the transport that was asked for. */
export async function openTransport(opening: Opening): Promise<SshConnection> {
  return await TRANSPORTS[opening.options.cnopts.transport](opening);
}

async function openWithSsh2({ options, deadline, log, pinned }: Opening): Promise<SshConnection> {
  const { host, port, username, password, privateKey, privateKeyPass, cnopts, config, signal, timeout } =
    options;
  refuseUnsupported(config);
  for (const warning of config?.warnings ?? []) log.write('warn', warning);
  const onPrompt = pausing(deadline, cnopts.onPrompt);
  const agent = cnopts.agent ?? (config?.identitiesOnly === true ? false : config?.identityAgent);
  const identityFiles = config?.identityFiles;
  const { verify, ...rules } = hostKeyRules(cnopts, config);
  const target: Ssh2Options = {
    host,
    port,
    username,
    credentials: await loadCredentials({
      password,
      privateKey,
      privateKeyPass,
      agent,
      onPrompt,
      identityFiles,
    }),
    hostKeys: { ...rules, verify: pausing(deadline, verify) },
    algorithms: algorithms(cnopts, config),
    connectTimeout: timeout ?? cnopts.connectTimeout ?? config?.connectTimeoutMs,
    keepaliveInterval: cnopts.keepaliveInterval ?? config?.serverAliveIntervalMs,
    keepaliveCountMax: cnopts.keepaliveCountMax ?? config?.serverAliveCountMax,
    signal,
    onPrompt,
    debug: log.isOn ? (line) => log.write('debug', line) : undefined,
  };
  const hops = await readHops(options, target, onPrompt, deadline);
  const last = pinned === undefined ? target : withPin(target, pinned, rules);
  const [first = last, ...others] = [...hops, last];
  return connectThrough([first, ...others]);
}

/** Of the server alone: its hops are known by themselves. */
function withPin(
  target: Ssh2Options,
  { fingerprint, algorithm }: PinnedKey,
  rules: HostKeyRules,
): Ssh2Options {
  return {
    ...target,
    hostKeys: { ...rules, pins: [fingerprint], acceptNewIn: undefined },
    algorithms: { ...target.algorithms, hostKeyAlgorithms: [algorithm] },
  };
}

/**
 * A hop is looked up in the configuration as ssh would, and gets the keys that were given, but never the password:
 * that is for the server alone.
 */
async function readHops(
  { cnopts, privateKey, privateKeyPass, config: serverConfig }: ResolvedOptions,
  target: Ssh2Options,
  onPrompt: PromptHandler | undefined,
  deadline: Deadline,
): Promise<readonly Ssh2Options[]> {
  const jump = cnopts.proxyJump ?? serverConfig?.proxyJump;
  const hops: Ssh2Options[] = [];
  for (const hop of jump === undefined ? [] : parseProxyJump(jump)) {
    const query = { host: hop.host, user: hop.username, port: hop.port };
    const config = cnopts.config ? resolveSshConfig(query, cnopts.config) : undefined;
    refuseUnsupported(config);
    const agent = cnopts.agent ?? (config?.identitiesOnly === true ? false : config?.identityAgent);
    // A pin is of the server's key; a hop must be known.
    const { verify, pins: _ofTheServer, ...rules } = hostKeyRules(cnopts, config);
    const identityFiles = config?.identityFiles;
    hops.push({
      ...target,
      host: config?.hostName ?? hop.host,
      port: hop.port ?? config?.port ?? 22,
      username: hop.username ?? config?.user ?? userInfo().username,
      credentials: await loadCredentials({ privateKey, privateKeyPass, agent, onPrompt, identityFiles }),
      hostKeys: { ...rules, verify: pausing(deadline, verify) },
    });
  }
  return hops;
}

async function openWithOpenssh({ options, deadline, log, pinned }: Opening): Promise<SshConnection> {
  const { given, cnopts, password, privateKey, privateKeyPass, signal, timeout } = options;
  if (cnopts.verifyHostKey !== undefined) {
    throw new SshError('UNSUPPORTED_OPTION', 'verifyHostKey needs transport "ssh2": ssh decides by itself');
  }
  const { kex, hostKeyAlgorithms, ciphers, macs, compression, agent, proxyJump } = cnopts;
  const { acceptNewIn } = cnopts.hostKeyRules();
  return connectOpenssh({
    ...given,
    config: cnopts.config ?? true,
    password,
    privateKey,
    privateKeyPass,
    agent,
    proxyJump,
    onPrompt: pausing(deadline, cnopts.onPrompt),
    hostKeys: pinned ? [pinned.fingerprint] : acceptNewIn ? undefined : opensshTrust(cnopts, options),
    acceptNewIn: pinned ? undefined : acceptNewIn,
    algorithms: { kex, hostKeyAlgorithms, ciphers, macs, compression: compression ? true : undefined },
    connectTimeout: timeout ?? cnopts.connectTimeout,
    keepaliveInterval: cnopts.keepaliveInterval,
    keepaliveCountMax: cnopts.keepaliveCountMax,
    request:
      cnopts.serverCommand === undefined
        ? { type: 'subsystem', name: cnopts.subsystem }
        : { type: 'exec', command: cnopts.serverCommand },
    signal,
    debug: log.isOn ? (line) => log.write('debug', line) : undefined,
  });
}

/** `undefined`, and so ssh's own known hosts, where the program has said nothing about them. */
function opensshTrust(
  cnopts: CnOpts,
  { host, port }: ResolvedOptions,
): HostKeys | readonly string[] | null | undefined {
  const { fingerprint, hostkeys } = cnopts;
  if (fingerprint !== undefined) return [fingerprint].flat();
  if (hostkeys === null) return null;
  const added = hostkeys.lookup(host, port).some(({ file }) => file === undefined);
  return cnopts.trustsDefaultHosts && !added ? undefined : hostkeys;
}

/** Where the program has said nothing about known hosts, the configuration's files count. */
function hostKeyRules(cnopts: CnOpts, config: SshConfig | undefined): HostKeyRules {
  const rules = { ...cnopts.hostKeyRules(), alias: config?.hostKeyAlias };
  if (config === undefined || !cnopts.trustsDefaultHosts || rules.keys === null) return rules;
  const { userKnownHostsFiles, globalKnownHostsFiles } = config;
  const files = [...(userKnownHostsFiles ?? []), ...(globalKnownHostsFiles ?? [])];
  const keys = userKnownHostsFiles === undefined ? rules.keys : new HostKeys();
  for (const file of files) {
    try {
      keys.load(file);
    } catch {
      // As for ssh: a file that is not there knows no host.
    }
  }
  return { ...rules, keys };
}

function algorithms(cnopts: CnOpts, config: SshConfig | undefined) {
  const list = (given: readonly string[] | undefined, written: string | undefined, ours: readonly string[]) =>
    given ?? (written === undefined ? undefined : applyAlgorithmList(written, ours));
  return {
    preset: cnopts.algorithms,
    kex: list(cnopts.kex, config?.kexAlgorithms, DEFAULT_OFFER.kex),
    hostKeyAlgorithms: list(
      cnopts.hostKeyAlgorithms,
      config?.hostKeyAlgorithms,
      DEFAULT_OFFER.hostKeyAlgorithms,
    ),
    ciphers: list(cnopts.ciphers, config?.ciphers, DEFAULT_OFFER.ciphers),
    macs: list(cnopts.macs, config?.macs, DEFAULT_OFFER.macs),
    compression: cnopts.compression || config?.compression === true,
  };
}

/** To go another way than the configuration says, or to pass over a revocation, would be less safe than ssh. */
function refuseUnsupported(config: SshConfig | undefined): void {
  const { proxyCommand, revokedHostKeys } = config ?? {};
  const keyword =
    proxyCommand !== undefined ? 'ProxyCommand' : revokedHostKeys !== undefined ? 'RevokedHostKeys' : '';
  if (keyword !== '') {
    const text = `the ssh configuration has ${keyword} for this host, which only transport: 'openssh' can do`;
    throw new SshError('CONFIG_UNSUPPORTED', text);
  }
}

/** The time in which somebody is asked does not count. */
function pausing<Question, Answer>(
  deadline: Deadline,
  ask: ((question: Question) => Answer | Promise<Answer>) | undefined,
): ((question: Question) => Promise<Answer>) | undefined {
  return ask && ((question) => deadline.whileAsking(() => ask(question)));
}
