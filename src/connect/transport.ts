/** Which program speaks SSH: our own client, or the system's. And what the user's ssh configuration adds. */

import { ConnectionError, CredentialError, SshError } from '../errors.js';
import { checkOptions } from '../shared/option-checks.js';
import { printable } from '../shared/printable.js';
import type { Redaction } from '../shared/redaction.js';
import { connectThrough } from '../ssh/builtin/jump-hosts.js';
import type { Ssh2Options } from '../ssh/builtin/ssh2-options.js';
import { checkHop, parseProxyJump, writeHop } from '../ssh/config/proxy-jump.js';
import { resolveSshConfig } from '../ssh/config/ssh-config.js';
import { makeTokens } from '../ssh/config/ssh-config-tokens.js';
import { loadCredentials } from '../ssh/credentials/credentials.js';
import {
  askFor,
  type PromptHandler,
  type PromptSource,
  type QuestionHandler,
} from '../ssh/credentials/prompts.js';
import type { Deadline } from '../ssh/deadline.js';
import { userName } from '../ssh/home-path.js';
import type { HostKeyRules } from '../ssh/host-keys/host-key.js';
import { HostKeys } from '../ssh/host-keys/known-hosts.js';
import { connectOpenssh } from '../ssh/openssh/openssh.js';
import type { TrustOptions } from '../ssh/openssh/openssh-host-key.js';
import type { SshConnection } from '../ssh/ssh-connection.js';
import { CnOpts } from './cnopts.js';
import { checkCnOpts } from './cnopts-check.js';
import {
  FOREIGN_OPTIONS,
  gatherFields,
  HOP_FIELDS,
  JUMP_HOST_OPTIONS,
  type JumpHost,
} from './cnopts-fields.js';
import { openSocket } from './given-socket.js';
import type { Log } from './log.js';
import type { ResolvedOptions } from './options.js';
import { expandCommand, ProxyCommand } from './proxy-command.js';
import {
  algorithms,
  configWarnings,
  givenAlgorithms,
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
  /** What must not be shown, to which prompts add. */
  readonly secrets: Redaction;
  /** What the server has shown before: then it must be that again. */
  readonly pinned?: PinnedKey | undefined;
  /** Who answers questions: the program's handler, or what it has answered before. */
  readonly onPrompt: PromptHandler | undefined;
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
  const { options, deadline, log, secrets, pinned } = opening;
  const { host, port, username, password, privateKey, privateKeyPass, cnopts, config, signal } = options;
  const hasOwnWay = options.socket !== undefined || cnopts.proxyCommand !== undefined;
  refuseUnsupported(config, { hasOwnWay });
  for (const warning of configWarnings(cnopts, config)) log.write('warn', warning);
  const onPrompt = asking(deadline, opening.onPrompt, { host, port, username, isJumpHost: false });
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
    connectTimeout: cnopts.connectTimeout ?? config?.connectTimeoutMs,
    leftMs: () => deadline.leftMs,
    family: cnopts.family,
    localAddress: cnopts.localAddress,
    authMethods: cnopts.authMethods,
    keepaliveInterval: cnopts.keepaliveInterval ?? config?.serverAliveIntervalMs,
    keepaliveCountMax: cnopts.keepaliveCountMax ?? config?.serverAliveCountMax,
    signal,
    onPrompt,
    secrets,
    debug: log.isOn ? (line) => log.write('debug', line) : undefined,
  };
  const hops = cnopts.proxyCommand === undefined ? await readHops(opening, target) : [];
  const last = pinned === undefined ? target : withPin(target, pinned, rules);
  const [first = last, ...others] = [...hops, last];
  if (cnopts.proxyCommand !== undefined) return connectByCommand(cnopts.proxyCommand, options, first);
  if (options.socket === undefined) return connectThrough([first, ...others]);
  const stream = await openSocket(options.socket, { host, port, timeoutMs: deadline.leftMs, signal });
  return connectThrough([{ ...first, stream }, ...others]);
}

async function connectByCommand(
  command: string,
  { given, host, port, username }: ResolvedOptions,
  target: Ssh2Options,
): Promise<SshConnection> {
  target.signal?.throwIfAborted();
  const facts = { host: given.host, hostName: host, port, user: username };
  const stream = new ProxyCommand(expandCommand(command, facts));
  try {
    return await connectThrough([{ ...target, stream }]);
  } catch (error) {
    stream.destroy();
    // A server that was reached has given the reason itself.
    const isOfTheWay =
      error instanceof ConnectionError || (error instanceof SshError && error.code === 'NOT_SSH');
    throw isOfTheWay && !target.signal?.aborted
      ? await stream.explain(error, `${printable(host)}:${port}`)
      : error;
  }
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
  for (const hop of readProxyJump(cnopts.proxyJump ?? config?.proxyJump ?? [], opening.options)) {
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
  const address = {
    host: config?.hostName ?? hop.host,
    port: hop.port ?? config?.port ?? 22,
    username: hop.username ?? config?.user ?? userName(),
  };
  const onPrompt = asking(deadline, opening.onPrompt, { ...address, isJumpHost: true });
  return {
    ...target,
    ...address,
    onPrompt,
    credentials: await loadCredentials({ ...keys, ...identitySettings(cnopts, config), onPrompt }).catch(
      (error) => {
        throw error instanceof CredentialError && error.code === 'NO_CREDENTIALS'
          ? nothingFor(hop, error)
          : error;
      },
    ),
    hostKeys: { ...rules, isJumpHost: true, verify: pausing(deadline, verify) },
    algorithms: algorithms(cnopts, config),
  };
}

function nothingFor({ host }: JumpHost, cause: CredentialError): CredentialError {
  const text =
    `There are no credentials for the jump host ${printable(host, 300)}, and the password of the server is not sent to it: ` +
    'give the jump host a password or a privateKey in proxyJump';
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
    identityFiles: ofTheServer.identityFiles,
    verifyHostKey: ofTheServer.verifyHostKey,
    hostKeyPolicy: ofTheServer.givenHostKeyPolicy,
    ...(!isOwn && !trustsDefaultHosts && !isPinOnly && { hostkeys }),
    ...own,
  });
  if (!isOwn && trustsDefaultHosts) cnopts.hostkeys?.include(ofTheServer.ownHostKeys ?? new HostKeys());
  checkCnOpts(cnopts);
  return cnopts;
}

async function openWithOpenssh(opening: Opening): Promise<SshConnection> {
  const { options, deadline, log, secrets, pinned } = opening;
  const { given, cnopts, password, privateKey, privateKeyPass, signal, socket } = options;
  if (cnopts.verifyHostKey !== undefined) {
    throw new SshError('UNSUPPORTED_OPTION', "verifyHostKey needs transport 'ssh2': ssh decides by itself");
  }
  const { identityFiles, proxyCommand } = cnopts;
  for (const [name, value] of Object.entries({ socket, identityFiles, proxyCommand })) {
    if (value === undefined) continue;
    throw new SshError(
      'UNSUPPORTED_OPTION',
      `${name} needs transport "ssh2": write it into the ssh configuration`,
    );
  }
  const { algorithms: preset, compression, agent, proxyJump, family, localAddress, authMethods } = cnopts;
  return connectOpenssh({
    ...given,
    config: cnopts.config ?? true,
    password,
    privateKey,
    privateKeyPass,
    agent,
    proxyJump: proxyJump === undefined ? undefined : writeProxyJump(proxyJump, options),
    onPrompt: pausing(deadline, opening.onPrompt),
    ...opensshTrust(cnopts, pinned),
    algorithms: {
      preset,
      ...givenAlgorithms(cnopts),
      compression: compression ? true : undefined,
    },
    family,
    localAddress,
    authMethods,
    connectTimeout: cnopts.connectTimeout,
    keepaliveInterval: cnopts.keepaliveInterval,
    keepaliveCountMax: cnopts.keepaliveCountMax,
    request:
      cnopts.serverCommand === undefined
        ? { type: 'subsystem', name: cnopts.subsystem }
        : { type: 'exec', command: cnopts.serverCommand },
    signal,
    secrets,
    debug: log.isOn ? (line) => log.write('debug', line) : undefined,
  });
}

type ProxyJump = NonNullable<CnOpts['proxyJump']>;

function readProxyJump(
  jump: ProxyJump,
  { given, host, port, username }: ResolvedOptions,
): readonly JumpHost[] {
  if (jump === 'none') return [];
  const tokens = makeTokens({ host: given.host, hostName: host, port, user: username });
  return [jump]
    .flat()
    .flatMap((hop) => (typeof hop === 'string' ? parseProxyJump(hop, tokens) : [gatherHop(checkHop(hop))]));
}

/** Settings that have been given as options of their own, together with those of `cnopts`. */
function gatherHop(hop: JumpHost): JumpHost {
  checkOptions(hop, JUMP_HOST_OPTIONS, { of: 'a hop', elsewhere: FOREIGN_OPTIONS });
  checkOptions(hop.cnopts ?? {}, HOP_FIELDS, { of: 'the cnopts of a hop', elsewhere: FOREIGN_OPTIONS });
  const own = gatherFields(hop, hop.cnopts, Object.keys(HOP_FIELDS) as (keyof typeof HOP_FIELDS)[]);
  return { ...hop, cnopts: Object.keys(own).length === 0 ? undefined : own };
}

/** What is on ssh's command line cannot bring a password or a key of its own. */
function writeProxyJump(jump: ProxyJump, options: ResolvedOptions): string {
  const own = ['password', 'privateKey', 'privateKeyPass', 'cnopts'] as const;
  const hops = readProxyJump(jump, options);
  for (const hop of hops) {
    const name = own.find((key) => hop[key] !== undefined);
    if (name === undefined) continue;
    const text = `A jump host with ${name} needs transport 'ssh2'; for 'openssh', write it into the ssh configuration`;
    throw new SshError('UNSUPPORTED_OPTION', text);
  }
  return hops.length === 0 ? 'none' : hops.map(writeHop).join(',');
}

/** The same sources as for our own client; where the program has given none, ssh reads those of its configuration. */
function opensshTrust(cnopts: CnOpts, pinned: PinnedKey | undefined): TrustOptions {
  const { pins, acceptNewIn } = cnopts.hostKeyRules();
  return {
    pins: pinned === undefined ? pins : [pinned.fingerprint],
    hostKeys: cnopts.ownHostKeys,
    readsOwnFiles: cnopts.trustsDefaultHosts,
    policy: cnopts.givenHostKeyPolicy,
    acceptNewIn,
  };
}

function asking(
  deadline: Deadline,
  handler: PromptHandler | undefined,
  source: PromptSource,
): QuestionHandler | undefined {
  return pausing(deadline, handler && askFor(source, handler));
}

/** The time in which somebody is asked does not count. */
function pausing<Question, Answer>(
  deadline: Deadline,
  ask: ((question: Question) => Answer | Promise<Answer>) | undefined,
): ((question: Question) => Promise<Answer>) | undefined {
  return ask && ((question) => deadline.whileAsking(() => ask(question)));
}
