/**
 * Transfers through a line that breaks at random places, seed by seed: what a user must find afterwards is counted.
 * The same seed gives the same operations, faults and places.
 */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CnOptsFields,
  type Connection,
  ConnectionLostError,
  type ConnectOptions,
  SftpError,
} from '../../src/index.js';
import { type FaultProxy, type LineFault, startFaultProxy } from './fault-proxy.js';
import { snapshot } from './folder.js';
import type { ServerUnderTest } from './servers.js';

export interface FaultFigures {
  readonly cuts: number;
  /** After which everything was identical in the end. */
  identical: number;
  /** Final names that held a part of a file where the transfer was atomic. */
  truncated: number;
  /** Temporary files that were still there in the end. */
  leftovers: number;
  hangs: number;
  unhandled: number;
  /** Connections that were made again. */
  reconnects: number;
  /** What went wrong, with the seed to see it again. */
  readonly problems: string[];
}

export interface FaultRunOptions {
  readonly cuts: number;
  readonly seed: number;
  /** Over how many connections each transfer goes. Default: 1. */
  readonly connections?: number | undefined;
  readonly onCut?: ((done: number, figures: FaultFigures) => void) | undefined;
}

const FILES = 200;
/** Far beyond what anything here takes, also on a machine that is busy with something else. */
const HANG_MS = 180_000;
/** Small figures, so that silence is noticed soon. */
const PATIENCE = {
  keepaliveInterval: 700,
  keepaliveCountMax: 2,
  noProgressTimeout: 1500,
  connectTimeout: 4000,
};

/** Numbers from 0 to 1, the same for the same seed. */
function randomFrom(seed: number): () => number {
  let count = 0;
  return () => {
    count += 1;
    const digest = createHash('sha256').update(`${seed}:${count}`).digest();
    return digest.readUInt32BE(0) / 2 ** 32;
  };
}

/** 200 files in 20 directories, most of them small, some larger than a chunk. */
function makeTree(folder: string): void {
  const random = randomFrom(0);
  for (let index = 0; index < FILES; index += 1) {
    const directory = join(folder, `d${index % 5}`, `e${index % 4}`);
    mkdirSync(directory, { recursive: true });
    const length = index % 20 === 0 ? 300_000 + index : Math.floor(random() * 9000);
    const pattern = createHash('sha256').update(`file ${index}`).digest();
    const content = Buffer.alloc(length, pattern);
    writeFileSync(join(directory, `file ${index}`), content);
  }
}

/** What a mirror finds: some of the files as they were before, others in the way, and some too many. */
function makeOldTree(folder: string): void {
  for (let index = 0; index < FILES; index += 8) {
    const directory = join(folder, `d${index % 5}`, `e${index % 4}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file ${index}`), `old ${index}`.repeat(500));
    writeFileSync(join(directory, `extra ${index}`), 'extra');
  }
  mkdirSync(join(folder, 'extra', 'deep'), { recursive: true });
  writeFileSync(join(folder, 'extra', 'deep', 'file'), 'extra');
  mkdirSync(join(folder, 'd1', 'e1', 'file 1', 'in the way'), { recursive: true });
}

/** What a tree finds: half of its files as they were before. */
function makeOldFiles(folder: string): void {
  for (let index = 0; index < FILES; index += 2) {
    const directory = join(folder, `d${index % 5}`, `e${index % 4}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file ${index}`), `old ${index}`.repeat(500));
  }
}

interface Work {
  readonly name: string;
  /** Everything that is final is whole at any time. */
  readonly isAtomic: boolean;
  readonly from: string;
  /** Where it arrives, as a path of this machine. */
  readonly to: string;
  /** What was there before. */
  readonly before: ReadonlyMap<string, string>;
  run(sftp: Connection, resume: boolean): Promise<unknown>;
}

export async function runFaults(
  server: ServerUnderTest,
  { cuts, seed, connections = 1, onCut }: FaultRunOptions,
): Promise<FaultFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-faults-'));
  const cleanUp: (() => unknown)[] = [];
  const figures: FaultFigures = {
    cuts,
    identical: 0,
    truncated: 0,
    leftovers: 0,
    hangs: 0,
    unhandled: 0,
    reconnects: 0,
    problems: [],
  };
  const onUnhandled = (reason: unknown) => {
    figures.unhandled += 1;
    figures.problems.push(`unhandled: ${String(reason)}`);
  };
  process.on('unhandledRejection', onUnhandled);
  try {
    const proxy = await startFaultProxy(
      { after: (end) => void cleanUp.push(end as () => void) },
      server.port,
      server.host,
    );
    const connect = await makeConnect(server, proxy.port, connections);
    const run = new FaultRun(server, proxy, connect, folder, figures);
    await run.measure();
    const measured = proxy.connections;
    for (let cut = 0; cut < cuts; cut += 1) {
      await run.cut(seed + cut);
      onCut?.(cut + 1, figures);
    }
    figures.reconnects = proxy.connections - measured - cuts;
  } finally {
    process.off('unhandledRejection', onUnhandled);
    for (const end of cleanUp) await end();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
  return figures;
}

type Connect = (fields: CnOptsFields, options?: ConnectOptions) => Promise<Connection>;

/** Through the proxy, whose port no known_hosts file knows. */
async function makeConnect(server: ServerUnderTest, port: number, connections: number): Promise<Connect> {
  const direct = await server.connect();
  const { fingerprint } = direct.remoteServerKey;
  await direct.close();
  return (fields, options = {}) => {
    const cnopts: CnOptsFields = { fingerprint, hostkeys: null, agent: false, ...fields };
    return server.connect({ ...options, port, connections, cnopts });
  };
}

class FaultRun {
  readonly #server: ServerUnderTest;
  readonly #proxy: FaultProxy;
  readonly #connect: Connect;
  readonly #folder: string;
  readonly #figures: FaultFigures;
  readonly #tree: string;
  readonly #file: string;
  readonly #remoteTree: string;
  /** What passes in each direction, by kind of work. */
  readonly #bytes = new Map<string, { readonly toServer: number; readonly toClient: number }>();

  constructor(
    server: ServerUnderTest,
    proxy: FaultProxy,
    connect: Connect,
    folder: string,
    figures: FaultFigures,
  ) {
    this.#server = server;
    this.#proxy = proxy;
    this.#connect = connect;
    this.#folder = folder;
    this.#figures = figures;
    this.#tree = join(folder, 'tree');
    this.#file = join(folder, 'large');
    this.#remoteTree = join(server.folder, 'tree');
    makeTree(this.#tree);
    writeFileSync(this.#file, Buffer.alloc(2_500_003, createHash('sha256').update('large').digest()));
    makeTree(this.#remoteTree);
    writeFileSync(
      join(server.folder, 'large'),
      Buffer.alloc(2_500_003, createHash('sha256').update('large').digest()),
    );
  }

  /** Once without a fault, to know how many bytes there are to break. */
  async measure(): Promise<void> {
    for (const kind of KINDS) {
      const before = { ...this.#proxy.passed };
      const work = this.#work(kind, false);
      const sftp = await this.#connect({});
      await work.run(sftp, false);
      await sftp.close();
      this.#bytes.set(kind, {
        toServer: this.#proxy.passed.toServer - before.toServer,
        toClient: this.#proxy.passed.toClient - before.toClient,
      });
      rmSync(work.to, { recursive: true, force: true });
    }
  }

  async cut(seed: number): Promise<void> {
    const random = randomFrom(seed);
    const kind = KINDS[Math.floor(random() * KINDS.length)] ?? 'put';
    const isAtomic = kind === 'get' || kind === 'getR' || kind === 'mirrorDown' || random() < 0.6;
    const faults = Array.from({ length: random() < 0.3 ? 2 : 1 }, () => this.#fault(kind, random));
    const isRepeated = random() < 0.25;
    const label = `seed ${seed}: ${isAtomic ? 'atomic ' : ''}${kind}, ${faults.map(describeFault).join(', ')}`;
    const work = this.#work(kind, isAtomic);
    this.#proxy.queue.push(...faults);
    try {
      const task = isRepeated ? this.#twice(work, label) : this.#withRetry(work);
      if ((await within(task, HANG_MS)) === 'hangs') {
        this.#figures.hangs += 1;
        throw new Error(`did not settle within ${HANG_MS} ms`);
      }
      this.#judge(work);
      this.#figures.identical += 1;
    } catch (error) {
      this.#figures.problems.push(`${label}${isRepeated ? ', two runs' : ''}: ${String(error)}`);
    } finally {
      this.#proxy.queue.length = 0;
      rmSync(work.to, { recursive: true, force: true });
    }
  }

  #fault(kind: Kind, random: () => number): LineFault {
    const direction = random() < 0.5 ? 'toServer' : 'toClient';
    const { [direction]: bytes = 0 } = this.#bytes.get(kind) ?? {};
    const kinds = ['reset', 'finish', 'silence'] as const;
    return {
      kind: kinds[Math.floor(random() * kinds.length)] ?? 'reset',
      direction,
      atByte: Math.floor(random() * bytes),
    };
  }

  async #withRetry(work: Work): Promise<void> {
    const retry = { attempts: 8, delay: 20, factor: 1.5, jitter: 0.5 };
    const sftp = await this.#connect(PATIENCE, { retry });
    try {
      await work.run(sftp, false);
    } finally {
      await sftp.close();
    }
  }

  /** A run that may fail, whose final names are looked at, and another that completes it. */
  async #twice(work: Work, label: string): Promise<void> {
    try {
      const sftp = await this.#connect(PATIENCE);
      try {
        await work.run(sftp, work.isAtomic);
      } finally {
        await sftp.close();
      }
    } catch (error) {
      if (!(error instanceof SftpError)) throw error;
    }
    this.#checkFinalNames(work, label);
    this.#proxy.queue.length = 0;
    const sftp = await this.#connect(PATIENCE, { retry: { attempts: 8, delay: 20 } });
    try {
      await work.run(sftp, work.isAtomic);
    } finally {
      await sftp.close();
    }
  }

  #checkFinalNames(work: Work, label: string): void {
    const wanted = snapshotOf(work.from);
    for (const [path, what] of snapshotOf(work.to)) {
      if (isTemporary(path) || what === 'directory') continue;
      // A new name may hold a part of a file where nobody asked for more.
      if (!work.isAtomic && !work.before.has(path)) continue;
      if (wanted.get(path) === what || work.before.get(path) === what) continue;
      this.#figures.truncated += 1;
      this.#figures.problems.push(`${label}: ${path} is not whole`);
    }
  }

  #judge(work: Work): void {
    const found = snapshotOf(work.to);
    const leftovers = [...found.keys()].filter(isTemporary);
    this.#figures.leftovers += leftovers.length;
    if (leftovers.length > 0) throw new Error(`left over: ${leftovers.join(', ')}`);
    const wanted = snapshotOf(work.from);
    const wrong = [...new Set([...wanted.keys(), ...found.keys()])].filter(
      (path) => wanted.get(path) !== found.get(path),
    );
    if (wrong.length > 0) throw new Error(`not identical: ${wrong.slice(0, 5).join(', ')}`);
  }

  #work(kind: Kind, atomic: boolean): Work {
    const name = randomUUID();
    const isDown = kind === 'get' || kind === 'getR' || kind === 'mirrorDown';
    const isTree = kind !== 'get' && kind !== 'put';
    const folder = join(isDown ? this.#folder : this.#server.folder, name);
    mkdirSync(folder);
    const remote = (...names: readonly string[]) => this.#server.path(join(...names));
    const from = isDown
      ? join(this.#server.folder, isTree ? 'tree' : 'large')
      : isTree
        ? this.#tree
        : this.#file;
    if (kind === 'mirrorUp' || kind === 'mirrorDown') makeOldTree(folder);
    else if (isTree) makeOldFiles(folder);
    else writeFileSync(join(folder, 'large'), 'old'.repeat(400_000));
    const before = snapshotOf(folder);
    // Without the option what exists is replaced all the same.
    const careful = atomic ? { atomic } : {};
    const run: Record<Kind, Work['run']> = {
      put: (sftp, resume) => sftp.put(this.#file, remote(name, 'large'), { ...careful, resume }),
      get: (sftp, resume) => sftp.get(remote('large'), join(folder, 'large'), { resume }),
      putR: (sftp, resume) => sftp.putR(this.#tree, remote(name), { ...careful, resume }),
      getR: async (sftp, resume) => {
        await changeDirectory(sftp, remote('tree'));
        await sftp.getR('.', folder, { resume });
      },
      mirrorUp: (sftp) =>
        sftp.mirror(this.#tree, remote(name), { direction: 'up', delete: true, ...careful }),
      mirrorDown: (sftp) => sftp.mirror(remote('tree'), folder, { direction: 'down', delete: true }),
    };
    return { name, isAtomic: atomic || isDown, from, to: folder, before, run: run[kind] };
  }
}

/** This is no transfer, so that it is not repeated when the line breaks; whoever wants that asks again. */
async function changeDirectory(sftp: Connection, path: string): Promise<void> {
  try {
    await sftp.chdir(path);
  } catch (error) {
    if (!(error instanceof ConnectionLostError)) throw error;
    await sftp.chdir(path);
  }
}

const KINDS = ['put', 'get', 'putR', 'getR', 'mirrorUp', 'mirrorDown'] as const;
type Kind = (typeof KINDS)[number];

/** Of a folder, or of a folder that would hold only the file. */
function snapshotOf(path: string): Map<string, string> {
  if (!existsSync(path)) return new Map();
  if (statSync(path).isDirectory()) return snapshot(path);
  const parent = snapshot(join(path, '..'));
  return new Map([...parent].filter(([name]) => name === 'large'));
}

function isTemporary(path: string): boolean {
  return /(^|\/)\.tsftp-/.test(path);
}

function describeFault({ kind, direction, atByte }: LineFault): string {
  return `${kind} ${direction} at ${atByte}`;
}

async function within(task: Promise<unknown>, milliseconds: number): Promise<'settled' | 'hangs'> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'hangs'>((resolve) => {
    timer = setTimeout(() => resolve('hangs'), milliseconds);
  });
  try {
    return await Promise.race([task.then(() => 'settled' as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
