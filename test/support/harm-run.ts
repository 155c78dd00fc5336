/**
 * Trees onto trees that exist, with a failure in the middle, seed by seed: whatever fails, a file that was there holds
 * its whole old or its whole new content. The server is OpenSSH's `sftp-server` on pipes.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Connection } from '../../src/index.js';
import { withinTime } from '../../src/shared/abort.js';
import { snapshot } from './folder.js';
import { type HarmCase, makeCase, NOBODY, removeCase, runCase } from './harm-case.js';
import { type PipeServer, startPipeServer } from './pipe-server.js';
import { openConnection } from './stream-connection.js';

/** Cases side by side. */
const WORKERS = 4;
const CHILD = fileURLToPath(new URL('harm-child.ts', import.meta.url));
/** What the bundle of that program needs, whose packages are CommonJS. */
const REQUIRE = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`;

export interface HarmOptions {
  readonly cases: number;
  readonly seed: number;
  /** Further cases, in which the program itself is killed. */
  readonly kills: number;
}

export interface HarmFigures {
  readonly cases: number;
  /** Calls that have rejected. */
  failed: number;
  /** Programs that were killed before they were through. */
  killed: number;
}

/** @throws AssertionError that names the seed where anything was harmed. */
export async function runHarm({ cases, seed, kills }: HarmOptions): Promise<HarmFigures> {
  const figures = { cases: cases + kills, failed: 0, killed: 0 };
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-harm-'));
  const program = join(folder, 'child.mjs');
  if (kills > 0) await bundle(program);
  let next = 0;
  const work = async () => {
    await using sessions = new Sessions();
    for (let index = next; index < cases + kills; index = next) {
      next += 1;
      if (index < cases) {
        if (await failOnce(seed + index, sessions)) figures.failed += 1;
      } else if (await killOnce(seed + index, program)) figures.killed += 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: WORKERS }, work));
  } finally {
    rmSync(folder, { recursive: true });
  }
  return figures;
}

/** In one file it starts at once. */
async function bundle(outfile: string): Promise<void> {
  await build({
    entryPoints: [CHILD],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['cpu-features', '*.node'],
    banner: { js: REQUIRE },
  });
}

interface Session {
  readonly server: PipeServer;
  readonly sftp: Connection;
}

/** Servers and connections that serve one case after the other, as long as they last. */
class Sessions implements AsyncDisposable {
  readonly #usual: Session[] = [];

  /** For one case, which may end them. */
  async use<T>(
    options: readonly string[],
    work: (sessions: readonly [Session, Session]) => Promise<T>,
  ): Promise<T> {
    const pool = options.length === 0 ? this.#usual : [];
    const pair = [pool.pop() ?? (await start(options)), pool.pop() ?? (await start(options))] as const;
    try {
      return await work(pair);
    } finally {
      for (const session of pair) {
        const isAlive = await session.sftp.stat('/').then(
          () => true,
          () => false,
        );
        if (isAlive && options.length === 0) this.#usual.push(session);
        else await end(session);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#usual) await end(session);
  }
}

async function start(options: readonly string[]): Promise<Session> {
  const server = startPipeServer('/', options, NOBODY);
  return { server, sftp: await openConnection(server.stream) };
}

async function end({ server, sftp }: Session): Promise<void> {
  await sftp.close();
  await server[Symbol.asyncDispose]();
}

/** Whether the call has rejected. */
async function failOnce(seed: number, sessions: Sessions): Promise<boolean> {
  const one = makeCase(seed);
  const label = `seed ${seed}, ${one.kind}, ${one.failure}`;
  const isUp = one.kind !== 'getR' && one.kind !== 'getD' && one.kind !== 'mirror down';
  const options = one.failure === 'no file can be renamed' && isUp ? ['-P', 'rename,posix-rename'] : [];
  try {
    return await sessions.use(options, (pair) => judge(one, label, pair));
  } finally {
    removeCase(one);
  }
}

async function judge(
  one: HarmCase,
  label: string,
  [first, second]: readonly [Session, Session],
): Promise<boolean> {
  const isWhole = watch(one, label);
  const kill = () => void first.server.process.kill('SIGKILL');
  const outcome = await runCase(one, [first.sftp, second.sftp], kill).then(
    () => 'done',
    (error) => error,
  );
  const settled = snapshot(one.target);
  // Whatever was under way would have been carried out before the answer to this.
  for (const { sftp } of [first, second]) await sftp.stat('/').catch(() => {});
  const after = isWhole(String(outcome));
  if (!['close()', 'the server is killed'].includes(one.failure)) {
    assert.deepEqual(after, settled, `${label}: written after the promise had settled`);
    const left = [...after.keys()].filter((path) => /(^|\/)\.tsftp-/.test(path));
    assert.deepEqual(left, [], `${label}: left over`);
  }
  return outcome !== 'done';
}

/** What gives the target as it is then, and throws where a file that is there now holds something else than old or new. */
function watch({ source, target }: HarmCase, label: string): (outcome: string) => Map<string, string> {
  const [wanted, before] = [snapshot(source), snapshot(target)];
  return (outcome) => {
    const after = snapshot(target);
    const harmed = [...before].filter(
      ([path, old]) => old !== 'directory' && ![old, wanted.get(path)].includes(after.get(path)),
    );
    assert.deepEqual(harmed, [], `${label}: ${outcome}`);
    return after;
  };
}

/** Whether the program was killed before it was through. What it has sent still reaches the servers. */
async function killOnce(seed: number, program: string): Promise<boolean> {
  const one = makeCase(seed, 'kill -9');
  const servers = [startPipeServer('/', [], NOBODY), startPipeServer('/', [], NOBODY)] as const;
  const ends = servers.map(({ process }) => once(process, 'exit'));
  let child: ChildProcess | undefined;
  try {
    const isWhole = watch(one, `seed ${seed}, ${one.kind}, kill -9`);
    const running = spawn(process.execPath, [program, JSON.stringify(one)], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'pipe'],
    });
    child = running;
    let bytes = 0;
    const limit = one.at * BYTES_PER_STEP;
    const count = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limit) running.kill('SIGKILL');
    };
    for (const [index, { stream }] of servers.entries())
      connect(running.stdio[3 + index] as Duplex, stream, count);
    const exit = once(running, 'exit') as Promise<[number | null, string | null]>;
    const ways = servers.map(({ stream }, index) => [running.stdio[3 + index] as Duplex, stream]);
    const [code, signal] = await inTime(
      exit,
      () => `seed ${seed}: the program runs on, ${stateOf(bytes, ways)}`,
    );
    assert.ok(code === 0 || signal === 'SIGKILL', `seed ${seed}: ended with ${code ?? signal}`);
    await inTime(Promise.all(ends), () => `seed ${seed}: a server runs on, ${stateOf(bytes, ways)}`);
    isWhole(`ended with ${signal ?? code}`);
    return signal === 'SIGKILL';
  } finally {
    child?.kill('SIGKILL');
    for (const server of servers) await server[Symbol.asyncDispose]();
    removeCase(one);
  }
}

/** Far beyond what a busy machine takes. */
const PATIENCE_MS = 120_000;

/** Tells what stands still before the test runner ends it without a word. */
async function inTime<T>(work: Promise<T>, describe: () => string): Promise<T> {
  assert.ok(await withinTime(work, PATIENCE_MS), describe());
  return work;
}

function stateOf(bytes: number, ways: readonly (readonly Duplex[])[]): string {
  const state = ({ readableLength, writableLength, readableFlowing, destroyed }: Duplex) =>
    `${readableLength} to read, ${writableLength} to write, flows ${readableFlowing}, destroyed ${destroyed}`;
  return `after ${bytes} bytes: ${ways.map((way) => way.map(state).join(' | ')).join('; ')}`;
}

/** A program is killed once so many bytes have passed, times the step of its case. */
const BYTES_PER_STEP = 128 * 1024;

/** Passes on what either says; the server's side ends with the program's. */
function connect(program: Duplex, server: Duplex, count: (chunk: Buffer) => void): void {
  program.on('error', () => {});
  program.on('close', () => {
    server.end();
    // Nobody reads the rest of what the server says.
    server.unpipe(program).resume();
  });
  program.on('data', count).pipe(server);
  server.on('data', count).pipe(program);
}
