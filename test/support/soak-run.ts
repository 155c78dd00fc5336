/**
 * A connection in use for a long time: calls of every kind side by side, some of them aborted, while the server is
 * restarted and SFTP servers are killed. After each round nothing may be left of it, here or there.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Connection, ConnectionError, ConnectionLostError, SshError } from '../../src/index.js';
import { Random } from '../fuzz/random.js';
import { connectToSshd } from './login.js';
import { openBelow } from './processes.js';
import { renew, type SoakCall, soakCalls } from './soak-calls.js';
import { type Sshd, startSshd } from './sshd.js';

export interface SoakOptions {
  readonly durationMs: number;
  readonly seed: number;
  readonly onRound?: (round: SoakRound) => void;
}

/** What is there when everything of a round has settled. */
export interface SoakRound {
  readonly calls: number;
  readonly unsettled: number;
  readonly heapBytes: number;
  /** Of this process. */
  readonly descriptors: number;
  /** Open on the server below the soak's folder. */
  readonly handles: number;
  /** Processes of SFTP sessions. */
  readonly servers: number;
  /** Temporary files, here and there. */
  readonly leftovers: number;
}

export interface SoakFigures {
  readonly rounds: readonly SoakRound[];
  readonly calls: number;
  /** How calls have ended: `done`, or the kind of the failure. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** What no disturbance explains. */
  readonly problems: readonly string[];
}

const ROUND_MS = 4000;
const WORKERS = 8;
/** For what is under way when a round ends: a server may be silent for 60 s, and then comes another attempt. */
const SETTLE_MS = 90_000;
const RETRY = { attempts: 10, delay: 20, factor: 1.5, maxDelay: 500 };

export async function runSoak({ durationMs, seed, onRound = () => {} }: SoakOptions): Promise<SoakFigures> {
  const command = 'ulimit -n 1024 && exec /usr/lib/openssh/sftp-server';
  await using sshd = await startSshd({ hostKeyTypes: ['ed25519'], sftpCommand: command });
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-soak-'));
  await using sftp = await connectToSshd(sshd, { retry: RETRY });
  const soak = new Soak(sshd, sftp, folder, new Random(seed));
  try {
    const rounds: SoakRound[] = [];
    const end = performance.now() + durationMs;
    while (performance.now() < end) {
      await soak.round();
      const round = await soak.measure();
      rounds.push(round);
      onRound(round);
    }
    const calls = rounds.reduce((sum, round) => sum + round.calls, 0);
    return { rounds, calls, outcomes: soak.outcomes, problems: soak.problems };
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

class Soak {
  readonly outcomes: Record<string, number> = {};
  readonly problems: string[] = [];
  readonly #sshd: Sshd;
  readonly #sftp: Connection;
  readonly #folder: string;
  readonly #random: Random;
  readonly #collect: () => void;
  readonly #pending = new Set<string>();
  #calls = 0;

  constructor(sshd: Sshd, sftp: Connection, folder: string, random: Random) {
    this.#sshd = sshd;
    this.#sftp = sftp;
    this.#folder = folder;
    this.#random = random;
    setFlagsFromString('--expose_gc');
    this.#collect = runInNewContext('gc') as () => void;
  }

  async round(): Promise<void> {
    this.#calls = 0;
    const end = performance.now() + ROUND_MS;
    const workers = Array.from({ length: WORKERS }, (_, index) => this.#work(index, end));
    await this.#disturb(end);
    const all = Promise.all(workers);
    const ended = await Promise.race([all.then(() => true), sleep(SETTLE_MS, false, { ref: false })]);
    if (!ended) this.problems.push(`unsettled: ${[...this.#pending].join(', ')}`);
  }

  async #work(worker: number, end: number): Promise<void> {
    for (let count = 0; performance.now() < end; count += 1) {
      const name = this.#random.pick(Object.keys(soakCalls));
      // What a call asked for before it was aborted may be done when it has settled: the next one is elsewhere.
      const [local, remote] = ['local', 'remote'].map((side) =>
        join(this.#folder, side, `${worker}-${count % 50}`),
      );
      if (local === undefined || remote === undefined) return;
      for (const each of [local, remote]) renew(each);
      const abort = new AbortController();
      const aborting = this.#random.chance(25)
        ? setTimeout(() => abort.abort(), this.#random.below(100))
        : undefined;
      await this.#call(name, { sftp: this.#sftp, local, remote, signal: abort.signal });
      clearTimeout(aborting);
    }
  }

  async #call(name: string, call: SoakCall): Promise<void> {
    this.#calls += 1;
    this.#pending.add(name);
    let outcome = 'done';
    try {
      await soakCalls[name]?.(call);
    } catch (error) {
      outcome = explain(error, call.signal);
      if (outcome === 'problem') this.problems.push(`${name}: ${String(error)}`);
    } finally {
      this.#pending.delete(name);
    }
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
  }

  /** Ends what serves, once or twice in a round. */
  async #disturb(end: number): Promise<void> {
    while (performance.now() < end - 1500) {
      await sleep(500 + this.#random.below(2000));
      const isRestart = this.#random.chance(40);
      const victims = isRestart ? this.#sshd.children() : this.#servers();
      // It begins again by itself, on the same port.
      if (isRestart) process.kill(this.#sshd.pid, 'SIGHUP');
      for (const pid of victims) killIfThere(pid);
    }
  }

  #servers(): readonly number[] {
    return this.#sshd.children().filter((pid) => commandOf(pid) === 'sftp-server');
  }

  #leftovers(folder: string): number {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => name.includes('.tsftp-')).length;
  }

  async measure(): Promise<SoakRound> {
    // The last kill of a round may not have been noticed yet.
    await this.#sftp.stat('.').catch(() => this.#sftp.stat('.'));
    this.#collect();
    const servers = this.#servers();
    return {
      calls: this.#calls,
      unsettled: this.#pending.size,
      heapBytes: process.memoryUsage().heapUsed,
      descriptors: readdirSync('/proc/self/fd').length,
      handles: servers.reduce((sum, pid) => sum + openBelow(this.#folder, pid), 0),
      servers: servers.length,
      leftovers: this.#leftovers(this.#folder),
    };
  }
}

/** Aborted, or lost with the server; everything else is a defect. */
function explain(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'aborted';
  if (error instanceof ConnectionLostError || error instanceof ConnectionError) return 'lost';
  if (error instanceof SshError && error.code === 'CHANNEL_CLOSED') return 'lost';
  return 'problem';
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trim();
  } catch {
    return '';
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** What must be true of a soak, however long it was. */
export function assertFlat({ rounds, problems }: SoakFigures): void {
  assert.deepEqual(problems, []);
  for (const { unsettled, handles } of rounds)
    assert.deepEqual({ unsettled, handles }, { unsettled: 0, handles: 0 });
  // The first round loads and compiles.
  const [begin, end] = [rounds.slice(1, 3), rounds.slice(-2)];
  const most = (some: readonly SoakRound[], key: keyof SoakRound) =>
    Math.max(...some.map((round) => round[key]));
  const least = (some: readonly SoakRound[], key: keyof SoakRound) =>
    Math.min(...some.map((round) => round[key]));
  const flat = { descriptors: 4, servers: 8, leftovers: 8, heapBytes: 16 * 1024 * 1024 } as const;
  for (const [key, more] of Object.entries(flat) as [keyof typeof flat, number][]) {
    const [before, after] = [most(begin, key), least(end, key)];
    assert.ok(after <= before + more, `${key}: ${before} at the beginning, ${after} at the end`);
  }
}
