/**
 * The way to a server: a process of ssh for it, and one for each host on the way (ProxyJump). ssh would start those by
 * itself; we write the same commands, so that each has a log of its own, and asks in its own name.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SshError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import { type Hop, parseProxyJump } from '../config/proxy-jump.js';
import { makeTokens } from '../config/ssh-config-tokens.js';
import { makeToken, type Question, writeAskpass } from './askpass/openssh-askpass.js';
import { WindowsAskpass } from './askpass/openssh-askpass-windows.js';
import { type Answers, markOf, marksQuestions, shortNameOf } from './askpass/openssh-prompt.js';
import type { Stop } from './failures/openssh-diagnosis.js';
import { type ChannelAnswer, OpensshLog, type OpensshLogOptions } from './failures/openssh-log.js';
import { isLeftToSsh, prepareTrust, type TrustOptions } from './openssh-host-key.js';
import { HAS_PIPES } from './openssh-pipes.js';
import type { Resolution } from './openssh-resolution.js';
import { OpensshStation } from './openssh-station.js';

/** More than anybody has; hosts that lead to each other end here. */
const MAXIMUM_HOPS = 16;

export interface RouteOptions {
  /** Where nobody else may enter. */
  readonly folder: string;
  readonly program: string;
  readonly resolution: Resolution;
  readonly answers: Answers;
  /** May ssh have to ask? */
  readonly isInteractive: boolean;
  readonly onDebug: ((line: string) => void) | undefined;
  /** What becomes of the request for a channel to the server. */
  readonly onAnswer: (answer: ChannelAnswer) => void;
  readonly onContradiction: (error: SshError) => void;
  /** A server has begun as none of SSH does. */
  readonly onOtherProtocol: () => void;
}

export interface HopOptions {
  readonly trust: TrustOptions;
  readonly password: string | undefined;
  readonly optionsFor: (hop: Hop) => readonly string[];
  readonly resolve: (hop: Hop, args: readonly string[]) => Promise<Resolution>;
}

interface HopStop extends Stop {
  readonly station: OpensshStation;
}

export class OpensshRoute {
  /** The nearest comes first. */
  readonly hops: HopStop[] = [];
  readonly #options: RouteOptions;
  readonly #token = makeToken();
  #server: Stop | undefined;
  #station: OpensshStation | undefined;
  #windows: WindowsAskpass | undefined;
  #environment: Readonly<Record<string, string>> = { SSH_ASKPASS_REQUIRE: 'never' };

  constructor(options: RouteOptions) {
    this.#options = options;
  }

  get server(): Stop {
    if (this.#server === undefined) throw new TypeError('The route to the server is not prepared');
    return this.#server;
  }

  /** What the process for the server needs. */
  get environment(): Readonly<Record<string, string>> {
    return { ...this.#environment, ...this.#station?.environment };
  }

  get logArguments(): readonly string[] {
    return this.#station?.arguments ?? [];
  }

  get trustArguments(): readonly string[] {
    return this.server.trust?.arguments ?? [];
  }

  /** Without `trust` for a connection that somebody has verified already. */
  async prepareServer(trust: TrustOptions | undefined): Promise<void> {
    const { resolution, folder, isInteractive, answers } = this.#options;
    const decided = trust && (await prepareTrust(trust, resolution, folder));
    const { onAnswer } = this.#options;
    if (HAS_PIPES) {
      this.#station = await this.#openStation('server', resolution, { isJumpHost: false, onAnswer });
      this.#server = { resolution, log: this.#station.log, trust: decided };
      if (isInteractive) this.#environment = await writeAskpass(folder, this.#token);
      return;
    }
    const log = new OpensshLog(this.#logOptions(resolution, { isAlone: resolution.isDirect, onAnswer }));
    this.#server = { resolution, log, trust: decided };
    if (!isInteractive) return;
    const answer = answers.for({ resolution, isJumpHost: false, log });
    this.#windows = await WindowsAskpass.open(folder, (prompt) => answer(this.#asWindowsTells(prompt, log)));
    this.#environment = this.#windows.environment;
  }

  /** Gives the arguments that lead over the hops; none where ssh goes by itself. */
  async prepareHops(options: HopOptions): Promise<readonly string[]> {
    const { resolution } = this.#options;
    const hops = await findHops(resolution, (hop) => options.resolve(hop, options.optionsFor(hop)));
    if (!HAS_PIPES) {
      if (options.password !== undefined) refuseNamesake(resolution, hops);
      return [];
    }
    let way: readonly string[] = [];
    for (const hop of hops) way = await this.#prepareHop(hop, way, options);
    return way;
  }

  async #prepareHop(
    { hop, resolution }: ResolvedHop,
    way: readonly string[],
    { trust: ofTheServer, optionsFor }: HopOptions,
  ): Promise<readonly string[]> {
    const { answers, isInteractive, program } = this.#options;
    const name = `hop-${this.hops.length + 1}`;
    const station = await this.#openStation(name, resolution, { isJumpHost: true, onAnswer: () => {} });
    const folder = join(this.#options.folder, name);
    const given = trustOfHop(ofTheServer);
    const trust = await prepareTrust(given, resolution, folder);
    this.hops.push({ resolution, log: station.log, trust, station });
    return await writeHopCommand(folder, station, {
      program,
      host: hop.host,
      arguments: [
        '-vv',
        ...station.arguments,
        ...way,
        ...optionsFor(hop),
        ...(isLeftToSsh(given, resolution) ? [] : trust.arguments),
        ...(isInteractive ? answers.hopArguments : []),
      ],
    });
  }

  async #openStation(
    name: string,
    resolution: Resolution,
    {
      isJumpHost,
      onAnswer,
    }: { readonly isJumpHost: boolean; readonly onAnswer: OpensshLogOptions['onAnswer'] },
  ): Promise<OpensshStation> {
    const folder = join(this.#options.folder, name);
    await mkdir(folder, { mode: 0o700 });
    const { answers } = this.#options;
    const log = this.#logOptions(resolution, { isAlone: true, onAnswer });
    return await OpensshStation.open({ folder, resolution, isJumpHost, token: this.#token, answers, log });
  }

  #logOptions(
    { host, port }: Resolution,
    { isAlone, onAnswer }: Pick<OpensshLogOptions, 'isAlone' | 'onAnswer'>,
  ): OpensshLogOptions {
    const { answers, onDebug, onContradiction, onOtherProtocol } = this.#options;
    const text =
      `The server ${printable(host)}:${port} writes lines that look like the log of ssh, so that it cannot be told what ` +
      'was negotiated: do not trust it';
    return {
      isAlone,
      onAnswer,
      onDebug,
      redact: (line) => answers.redact(line),
      onContradiction: () => onContradiction(new SshError('SSH_PROTOCOL', text)),
      onOtherProtocol,
    };
  }

  /** There nothing but the words tells who asks, unless there is nobody else. */
  #asWindowsTells(prompt: string, { version }: OpensshLog): Question {
    const { resolution } = this.#options;
    const isNamed =
      marksQuestions(version) &&
      [markOf(resolution), `${shortNameOf(resolution)}'s password:`].some((words) =>
        prompt.startsWith(words),
      );
    return { prompt, isOwn: resolution.isDirect || isNamed };
  }

  readLogs(): void {
    this.#station?.readLog();
    for (const { station } of this.hops) station.readLog();
  }

  close(): void {
    this.#windows?.close();
    this.#station?.close();
    for (const { station } of this.hops) station.close();
  }
}

interface ResolvedHop {
  /** As it was written, for ssh to look up. */
  readonly hop: Hop;
  readonly resolution: Resolution;
}

/** The nearest comes first. As with ssh, the first host that is named may have further ones before it. */
async function findHops(
  server: Resolution,
  resolve: (hop: Hop) => Promise<Resolution>,
): Promise<readonly ResolvedHop[]> {
  let behind: Resolution | undefined = server;
  let hops: readonly ResolvedHop[] = [];
  while (behind?.proxyJump !== undefined && behind.proxyJump !== 'none') {
    const { host, port, username: user } = behind;
    const tokens = makeTokens({ host, hostName: host, port, user });
    const more: readonly ResolvedHop[] = await Promise.all(
      parseProxyJump(behind.proxyJump, tokens).map(async (hop) => ({ hop, resolution: await resolve(hop) })),
    );
    hops = [...more, ...hops];
    if (hops.length > MAXIMUM_HOPS) {
      const text = `The ssh configuration uses more than ${MAXIMUM_HOPS} jump hosts; check that they do not refer to each other`;
      throw new SshError('CONFIG_INVALID', text);
    }
    behind = more[0]?.resolution;
  }
  return hops;
}

/** A hop is known by ssh's own files, as ssh itself has it; what the program has added to them, and its policy, count too. */
function trustOfHop({
  hostKeys,
  policy,
  readsOwnFiles = hostKeys === undefined,
}: TrustOptions): TrustOptions {
  if (readsOwnFiles && hostKeys !== null) return { hostKeys, policy, readsOwnFiles: true };
  return { policy: policy === 'strict' ? policy : undefined };
}

/** Without pipes ssh asks for a password by user and host, without the port: a hop on the same host could pose as the server. */
function refuseNamesake(server: Resolution, hops: readonly ResolvedHop[]): void {
  const nameOf = ({ host, hostKeyAlias }: Resolution): string => hostKeyAlias ?? host;
  const namesake = hops.find(({ resolution }) => nameOf(resolution) === nameOf(server))?.resolution;
  if (namesake === undefined) return;
  const text =
    `the hop ${printable(namesake.host)}:${namesake.port} is on the same host as the server, and ssh does not tell them ` +
    'apart when it asks for a password: use transport "ssh2", or log in with a key';
  throw new SshError('UNSUPPORTED_OPTION', text);
}

/**
 * Writes the command that goes to a hop, and from there to the target it is called with. Returns the arguments that call it. The
 * shell keeps its number when it becomes ssh, and so the helper can tell whether that ssh asks. As with ProxyJump, and
 * unlike other commands, it never passes a descriptor on.
 */
async function writeHopCommand(
  folder: string,
  { environment }: OpensshStation,
  command: { readonly program: string; readonly arguments: readonly string[]; readonly host: string },
): Promise<readonly string[]> {
  const path = join(folder, 'run');
  const settings = Object.entries(environment).map(([name, value]) => `${name}=${quote(value)}\n`);
  const start = [command.program, ...command.arguments].map(quote).join(' ');
  const lines = [
    '#!/bin/sh\n',
    ...settings,
    'TSFTP_PID=$$\n',
    `export TSFTP_PID ${Object.keys(environment).join(' ')}\n`,
    `exec ${start} -W "[$1]:$2" -- ${quote(command.host)}\n`,
  ];
  await writeFile(path, lines.join(''), { mode: 0o600 });
  return [`-oProxyCommand=/bin/sh ${quote(path).replaceAll('%', '%%')} %h %p`, '-oProxyUseFdpass=no'];
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
