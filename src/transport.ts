/** Which program speaks SSH: our own client, or the system's. And what the user's ssh configuration adds. */
import { userInfo } from 'node:os';
import { CnOpts } from './cnopts.js';
import { checkCnOpts } from './cnopts-check.js';
import type { JumpHost } from './cnopts-fields.js';
import { CredentialError, SshError } from './errors.js';
import type { Log } from './log.js';
import type { ResolvedOptions } from './options.js';
import { printable } from './printable.js';
import { loadCredentials } from './ssh/credentials.js';
import type { Deadline } from './ssh/deadline.js';
import type { HostKeyRules } from './ssh/host-key.js';
import type { HostKeys } from './ssh/known-hosts.js';
import { connectOpenssh } from './ssh/openssh.js';
import { checkHop, connectThrough, parseProxyJump, writeHop } from './ssh/proxy-jump.js';
import { resolveSshConfig } from './ssh/ssh-config.js';
import type { SshConnection } from './ssh/ssh-connection.js';
import type { Ssh2Options } from './ssh/ssh2.js';
import {
  algorithms,
  configWarnings,
  hostKeyRules,
  identitySettings,
  refuseUnsupported,
} from './ssh-settings.js';

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

async function openWithSsh2(opening: Opening): Promise<SshConnection> {
  const { options, deadline, log, pinned } = opening;
  const { host, port, username, password, privateKey, privateKeyPass, cnopts, config, signal, timeout } =
    options;
  refuseUnsupported(config);
  for (const warning of configWarnings(cnopts, config)) log.write('warn', warning);
  const onPrompt = pausing(deadline, cnopts.onPrompt);
  const { verify, ...rules } = hostKeyRules(cnopts, config);
  const target: Ssh2Options = {
    host,
    port,
    username,
    credentials: await loadCredentials({
      password,
      privateKey,
      privateKeyPass,
      ...identitySettings(cnopts, config),
      onPrompt,
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
  const hops = await readHops(opening, target);
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
 * A hop is looked up in the configuration as ssh would. Unless it brings its own, it gets the keys that were given,
 * but never the password: that is for the server alone.
 */
async function readHops(opening: Opening, target: Ssh2Options): Promise<readonly Ssh2Options[]> {
  const { cnopts, config } = opening.options;
  const hops: Ssh2Options[] = [];
  for (const hop of readProxyJump(cnopts.proxyJump ?? config?.proxyJump ?? [])) {
    hops.push(await readHop(hop, opening, target));
  }
  return hops;
}

async function readHop(hop: JumpHost, opening: Opening, target: Ssh2Options): Promise<Ssh2Options> {
  const { options, deadline, log } = opening;
  const query = { host: hop.host, user: hop.username, port: hop.port };
  const config = options.cnopts.config ? resolveSshConfig(query, options.cnopts.config) : undefined;
  refuseUnsupported(config);
  const cnopts = hopCnOpts(hop, options.cnopts);
  for (const warning of configWarnings(cnopts, config)) log.write('warn', warning);
  const { verify, ...rules } = hostKeyRules(cnopts, config);
  const { password, privateKey, privateKeyPass } = hop;
  const bringsOwn = password !== undefined || privateKey !== undefined;
  const keys = bringsOwn
    ? { password, privateKey, privateKeyPass }
    : { privateKey: options.privateKey, privateKeyPass: privateKeyPass ?? options.privateKeyPass };
  const { onPrompt } = target;
  return {
    ...target,
    host: config?.hostName ?? hop.host,
    port: hop.port ?? config?.port ?? 22,
    username: hop.username ?? config?.user ?? userInfo().username,
    credentials: await loadCredentials({ ...keys, ...identitySettings(cnopts, config), onPrompt }).catch(
      (error) => {
        throw error instanceof CredentialError && error.code === 'NO_CREDENTIALS'
          ? nothingFor(hop, error)
          : error;
      },
    ),
    hostKeys: { ...rules, verify: pausing(deadline, verify) },
    algorithms: algorithms(cnopts, config),
  };
}

function nothingFor({ host }: JumpHost, cause: CredentialError): CredentialError {
  const text =
    `there is nothing to log in to the hop ${printable(host, 300)} with, and the password of the server is not for it: ` +
    'give the hop a password or a privateKey in proxyJump';
  return new CredentialError('NO_CREDENTIALS', text, { cause });
}

/** A pin is of the server's key: a hop without its own must be known, also where the pin made the check needless. */
function hopCnOpts({ cnopts: own }: JumpHost, ofTheServer: CnOpts): CnOpts {
  const { fingerprint, hostkeys, trustsDefaultHosts, algorithms: preset, ciphers, kex, macs } = ofTheServer;
  if (own === undefined && fingerprint === undefined) return ofTheServer;
  const isOwn = [own?.knownhosts, own?.hostkeys, own?.fingerprint].some((trust) => trust !== undefined);
  const isPinOnly = hostkeys === null && fingerprint !== undefined;
  const cnopts = new CnOpts({
    algorithms: preset,
    ciphers,
    kex,
    macs,
    hostKeyAlgorithms: ofTheServer.hostKeyAlgorithms,
    agent: ofTheServer.agent,
    verifyHostKey: ofTheServer.verifyHostKey,
    hostKeyPolicy: ofTheServer.givenHostKeyPolicy,
    ...(!isOwn && !trustsDefaultHosts && !isPinOnly && { hostkeys }),
    ...own,
  });
  checkCnOpts(cnopts);
  return cnopts;
}

async function openWithOpenssh({ options, deadline, log, pinned }: Opening): Promise<SshConnection> {
  const { given, cnopts, password, privateKey, privateKeyPass, signal, timeout } = options;
  if (cnopts.verifyHostKey !== undefined) {
    throw new SshError('UNSUPPORTED_OPTION', 'verifyHostKey needs transport "ssh2": ssh decides by itself');
  }
  const { algorithms: preset, kex, hostKeyAlgorithms, ciphers, macs, compression, agent, proxyJump } = cnopts;
  const { acceptNewIn } = cnopts.hostKeyRules();
  return connectOpenssh({
    ...given,
    config: cnopts.config ?? true,
    password,
    privateKey,
    privateKeyPass,
    agent,
    proxyJump: proxyJump === undefined ? undefined : writeProxyJump(proxyJump),
    onPrompt: pausing(deadline, cnopts.onPrompt),
    hostKeys: pinned ? [pinned.fingerprint] : acceptNewIn ? undefined : opensshTrust(cnopts, options),
    acceptNewIn: pinned ? undefined : acceptNewIn,
    revokedIn: cnopts.hostkeys ?? undefined,
    algorithms: {
      preset,
      kex,
      hostKeyAlgorithms,
      ciphers,
      macs,
      compression: compression ? true : undefined,
    },
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

type ProxyJump = NonNullable<CnOpts['proxyJump']>;

function readProxyJump(jump: ProxyJump): readonly JumpHost[] {
  if (jump === 'none') return [];
  return [jump].flat().flatMap((hop) => (typeof hop === 'string' ? parseProxyJump(hop) : [checkHop(hop)]));
}

/** What is on ssh's command line cannot bring a password or a key of its own. */
function writeProxyJump(jump: ProxyJump): string {
  const own = ['password', 'privateKey', 'privateKeyPass', 'cnopts'] as const;
  const hops = readProxyJump(jump);
  for (const hop of hops) {
    const name = own.find((key) => hop[key] !== undefined);
    if (name === undefined) continue;
    const text = `a hop with ${name} needs transport "ssh2"; for "openssh" write it into the ssh configuration`;
    throw new SshError('UNSUPPORTED_OPTION', text);
  }
  return hops.length === 0 ? 'none' : hops.map(writeHop).join(',');
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

/** The time in which somebody is asked does not count. */
function pausing<Question, Answer>(
  deadline: Deadline,
  ask: ((question: Question) => Answer | Promise<Answer>) | undefined,
): ((question: Question) => Promise<Answer>) | undefined {
  return ask && ((question) => deadline.whileAsking(() => ask(question)));
}
