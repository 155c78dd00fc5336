/**
 * The queue of the examples with several OpenSSH servers and worker processes, while one worker is killed, one is frozen,
 * Redis is restarted and a server is away: what a user must find afterwards is counted.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { type RedisServer, startRedis } from '../../examples/queue/redis-server.js';
import { queueOf } from '../../examples/queue/settings.js';
import type { ServerDescription, StepEvent } from '../../src/jobs/index.js';
import { programOf } from './child.js';
import { snapshot } from './folder.js';
import { startSshd } from './sshd.js';

export interface QueueRunOptions {
  readonly files: number;
  readonly servers?: number;
  readonly workers?: number;
  /** To each server, from all processes. */
  readonly maxConnections?: number;
  /** After which a worker that is silent loses its job, and after which it loses its connections. */
  readonly lockMs?: number;
  readonly awayMs?: number;
  readonly deadlineMs: number;
  readonly tell?: (line: string) => void;
}

export interface QueueOutcome {
  readonly files: number;
  /** Files that are on this side as they were there. */
  readonly identical: number;
  /** Files that were not moved on the server, or more than once. */
  readonly notMovedOnce: number;
  /** Anything else: partial files, what nobody asked for. */
  readonly leftovers: readonly string[];
  /** Files whose whole content travelled more than once. */
  readonly fetchedTwice: number;
  readonly deadLetters: number;
  /** The most connections that a server had at the same time. */
  readonly mostConnections: number;
  readonly attempts: Readonly<Record<string, number>>;
  /** What the run was to survive, and did happen. */
  readonly events: readonly string[];
  readonly exitCodes: readonly (number | string | null)[];
  readonly seconds: number;
}

/** In front of a server: counts connections, and can be away. */
class Gate {
  readonly open = new Set<Socket>();
  most = 0;
  isAway = false;
  readonly #server;

  constructor(port: number) {
    this.#server = createServer((socket) => {
      socket.on('error', () => {});
      if (this.isAway) return void socket.destroy();
      this.open.add(socket);
      this.most = Math.max(this.most, this.open.size);
      const onward = dial(port, '127.0.0.1');
      onward.on('error', () => socket.destroy());
      onward.on('close', () => socket.destroy());
      socket.on('close', () => {
        this.open.delete(socket);
        onward.destroy();
      });
      socket.pipe(onward).pipe(socket);
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  leave(): void {
    this.isAway = true;
    for (const socket of this.open) socket.destroy();
  }

  close(): void {
    this.leave();
    this.#server.close();
  }
}

interface Partner {
  readonly root: string;
  readonly description: ServerDescription;
  readonly gate: Gate;
  readonly sent: Readonly<Record<string, string>>;
}

/** Sizes of mail and of images; every 25th takes long enough to be interrupted. */
function sizeOf(index: number): number {
  return index % 25 === 7 ? 1_500_000 : 500 + ((index * 7919) % 9_000);
}

function writeFiles(root: string, count: number): void {
  for (let index = 0; index < count; index += 1) {
    const folder = join(root, 'out', `d${index % 7}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, `file-${index}`),
      `${root} ${index} `.repeat(sizeOf(index)).slice(0, sizeOf(index)),
    );
  }
}

/** What is left to do at the end, the last one first. */
type Ends = (() => unknown)[];

export async function runQueue(options: QueueRunOptions): Promise<QueueOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-queue-'));
  const ends: Ends = [() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })];
  try {
    return await new QueueRun(folder, options, ends).run();
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

class QueueRun {
  readonly #folder: string;
  readonly #options: Required<QueueRunOptions>;
  readonly #ends: Ends;
  readonly #target: string;
  readonly #events: string[] = [];
  readonly #done = new Map<string, number>();
  readonly #attempts: Record<string, number> = {};
  readonly #startMs = performance.now();

  constructor(folder: string, options: QueueRunOptions, ends: Ends) {
    this.#folder = folder;
    this.#ends = ends;
    this.#target = join(folder, 'arrived');
    const usual = { servers: 3, workers: 4, maxConnections: 3, lockMs: 4_000, awayMs: 3_000, tell: () => {} };
    this.#options = { ...usual, ...options };
  }

  async run(): Promise<QueueOutcome> {
    const { files, workers: count } = this.#options;
    mkdirSync(join(this.#folder, 'redis'));
    const redis = await startRedis(join(this.#folder, 'redis'));
    this.#ends.push(() => redis[Symbol.asyncDispose]());
    const partners = await this.#startPartners();
    const env = this.#environment(redis, partners);
    const lister = this.#start('examples/queue/lister.ts', env);
    const workers = Array.from({ length: count }, () => this.#start('examples/queue/worker.ts', env));
    try {
      await this.#disturb(workers, redis, partners);
      await this.#until(() => this.#movedBy(partners) >= files, 'every file was moved');
    } catch (error) {
      await this.#tellJobs(redis, partners);
      throw error;
    }
    // Whoever was overtaken ends what he has begun.
    await wait(500);
    const children = [lister, ...workers];
    for (const child of children) child.kill('SIGTERM');
    await this.#until(() => children.every(hasEnded), 'all programs have ended');
    return this.#outcome(redis, partners, children);
  }

  async #startPartners(): Promise<readonly Partner[]> {
    const { files, servers } = this.#options;
    const partners: Partner[] = [];
    for (let index = 0; index < servers; index += 1) {
      const root = join(this.#folder, `server-${index}`);
      writeFiles(root, Math.floor(files / servers) + (index < files % servers ? 1 : 0));
      const sent = contentsOf(join(root, 'out'));
      const sshd = await startSshd({
        hostKeyTypes: ['ed25519'],
        config: ['ClientAliveInterval 1', 'ClientAliveCountMax 2'],
        sftpCommand: `/usr/lib/openssh/sftp-server -d ${root}`,
      });
      this.#ends.push(() => sshd.stop());
      const gate = new Gate(sshd.port);
      this.#ends.push(() => gate.close());
      const port = await gate.listen();
      const description = {
        v: 1,
        host: '127.0.0.1',
        port,
        username: sshd.user,
        secret: `server-${index}`,
      } as const;
      partners.push({ root, description, gate, sent });
      this.#secrets[`server-${index}`] = { privateKey: sshd.privateKeyPath, hostkeys: null };
    }
    return partners;
  }

  readonly #secrets: Record<string, object> = {};

  #environment(redis: RedisServer, partners: readonly Partner[]): NodeJS.ProcessEnv {
    const { maxConnections, lockMs } = this.#options;
    const servers = partners.map(({ description }) => description);
    const [settings, secrets] = [join(this.#folder, 'settings.json'), join(this.#folder, 'secrets.json')];
    writeFileSync(settings, JSON.stringify({ servers, source: 'out', done: 'done', target: this.#target }));
    writeFileSync(secrets, JSON.stringify(this.#secrets), { mode: 0o600 });
    return {
      ...process.env,
      ...{ REDIS_URL: redis.url, QUEUE_SETTINGS: settings, QUEUE_SECRETS: secrets },
      ...{
        MAX_CONNECTIONS: String(maxConnections),
        LOCK_MS: String(lockMs),
        LIMIT_TTL_MS: String(lockMs + 6_000),
      },
      ...{ LIST_EVERY_MS: '2000', CONNECTS_PER_MINUTE: '1000', CONNECTIONS_PER_WORKER: '2' },
    };
  }

  #start(program: string, env: NodeJS.ProcessEnv): ChildProcess {
    const child = spawn(process.execPath, [...programOf(program)], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#ends.push(() => void child.kill('SIGKILL'));
    createInterface({ input: child.stdout }).on('line', (line) => this.#note(line));
    createInterface({ input: child.stderr }).on('line', (line) =>
      this.#options.tell(`[${child.pid}] ${line}`),
    );
    return child;
  }

  #note(line: string): void {
    const { event, outcome = '', code, id } = JSON.parse(line) as StepEvent;
    if (event !== 'end') return;
    const name = outcome === 'failed' ? `failed: ${code}` : outcome;
    this.#attempts[name] = (this.#attempts[name] ?? 0) + 1;
    if (outcome === 'done') this.#done.set(id, (this.#done.get(id) ?? 0) + 1);
  }

  /** Each of it once that share of the files has been moved. */
  async #disturb(
    workers: readonly ChildProcess[],
    redis: RedisServer,
    partners: readonly Partner[],
  ): Promise<void> {
    const { files, lockMs, awayMs } = this.#options;
    const [killed, frozen] = workers;
    const [, away] = partners;
    const at = (share: number) =>
      this.#until(() => this.#movedBy(partners) >= share * files, `${100 * share} % moved`);
    await at(0.1);
    killed?.kill('SIGKILL');
    this.#say('a worker was killed');
    await at(0.2);
    frozen?.kill('SIGSTOP');
    const frozenMs = performance.now();
    this.#say('a worker was frozen');
    await at(0.4);
    await redis.restart(500);
    this.#say('Redis was restarted');
    await at(0.55);
    away?.gate.leave();
    await wait(awayMs);
    if (away !== undefined) away.gate.isAway = false;
    this.#say('a server was away');
    // By now others have its job, and its connections are gone.
    await wait(Math.max(0, frozenMs + 2.5 * lockMs - performance.now()));
    frozen?.kill('SIGCONT');
    this.#say('the frozen worker went on');
  }

  #say(event: string): void {
    this.#events.push(event);
    this.#options.tell(`${Math.round(performance.now() - this.#startMs)} ms: ${event}`);
  }

  #movedBy(partners: readonly Partner[]): number {
    return partners.reduce((sum, { root }) => sum + filesBelow(join(root, 'done')).length, 0);
  }

  async #until(isSo: () => boolean, what: string): Promise<void> {
    while (!isSo()) {
      if (performance.now() - this.#startMs > this.#options.deadlineMs) throw new Error(`In vain: ${what}`);
      await wait(this.#options.files > 1_000 ? 300 : 50);
    }
  }

  /** Why it does not go on. */
  async #tellJobs(redis: RedisServer, partners: readonly Partner[]): Promise<void> {
    const { tell } = this.#options;
    tell(`attempts: ${JSON.stringify(this.#attempts)}`);
    const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
    for (const { root, description } of partners) {
      const queue = new Queue(queueOf(description), { connection });
      tell(`${queue.name}: ${JSON.stringify(await queue.getJobCounts())}`);
      tell(`not moved: ${filesBelow(join(root, 'out')).join(' ')}`);
      const jobs = await queue.getJobs(['active', 'delayed', 'waiting', 'failed', 'paused', 'prioritized']);
      for (const { id, data, attemptsMade, attemptsStarted, failedReason, delay } of jobs)
        tell(
          JSON.stringify({ id, path: data.step.path, attemptsMade, attemptsStarted, failedReason, delay }),
        );
      await queue.close();
    }
    connection.disconnect();
  }

  async #outcome(
    redis: RedisServer,
    partners: readonly Partner[],
    children: readonly ChildProcess[],
  ): Promise<QueueOutcome> {
    const leftovers: string[] = [];
    let [identical, notMovedOnce] = [0, 0];
    for (const { root, description, sent } of partners) {
      const arrived = contentsOf(join(this.#target, queueOf(description)));
      const moved = contentsOf(join(root, 'done'));
      const files = Object.entries(sent).filter(([path]) => path.includes('file-'));
      for (const [path, content] of files) {
        if (arrived[path] === content) identical += 1;
        if (moved[path] !== content) notMovedOnce += 1;
      }
      const known = new Set(Object.keys(sent));
      for (const found of [arrived, moved])
        leftovers.push(...Object.keys(found).filter((path) => !known.has(path)));
      leftovers.push(...filesBelow(join(root, 'out')));
    }
    return {
      ...{ files: this.#options.files, identical, notMovedOnce, leftovers },
      fetchedTwice: [...this.#done.values()].filter((count) => count > 1).length,
      deadLetters: await deadLetters(redis.url, partners),
      mostConnections: Math.max(...partners.map(({ gate }) => gate.most)),
      attempts: this.#attempts,
      events: this.#events,
      exitCodes: children.map(({ exitCode, signalCode }) => exitCode ?? signalCode),
      seconds: Math.round((performance.now() - this.#startMs) / 1000),
    };
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function contentsOf(folder: string): Record<string, string> {
  return Object.fromEntries(snapshot(folder));
}

function filesBelow(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}

async function deadLetters(url: string, partners: readonly Partner[]): Promise<number> {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  try {
    let count = 0;
    for (const { description } of partners) {
      const queue = new Queue(queueOf(description), { connection: redis });
      count += await queue.getFailedCount();
      await queue.close();
    }
    return count;
  } finally {
    redis.disconnect();
  }
}
