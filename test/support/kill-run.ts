/** Programs that are killed in the middle of a transfer, and what the next run finds. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startServer, type TestServer } from '../../src/testing/index.js';
import { programOf } from './child.js';
import { snapshot } from './folder.js';
import { connectToServer } from './login.js';

const KINDS = ['get', 'put', 'getR', 'putR'] as const;

interface TransferTask {
  readonly kind: (typeof KINDS)[number];
  readonly local: string;
  readonly remote: string;
  readonly listens?: boolean;
  readonly bytesPerSecond?: number;
}

export const TRANSFER_PROGRAM = 'test/support/transfer-child.ts';

/** The argument of that program. */
export function inputFor({ port, username, password, hostKey }: TestServer, task: TransferTask): string {
  return JSON.stringify({ port, username, password, fingerprint: hostKey.fingerprint, ...task });
}

/** Starts a transfer in a process of its own; resolves once its first bytes have moved. */
export async function startTransfer(
  server: TestServer,
  task: TransferTask,
  /** A program, and its arguments, that starts another one in circumstances of its own. */
  wrapper: readonly string[] = [],
): Promise<{ readonly child: ChildProcess; readonly lines: readonly string[] }> {
  const command = [...wrapper, process.execPath, ...programOf(TRANSFER_PROGRAM), inputFor(server, task)];
  const child = spawn(command[0] ?? '', command.slice(1), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      if (line === 'moving') resolve();
    });
    child.once('exit', (code) => reject(new Error(`ended with ${code} before anything moved`)));
  });
  return { child, lines };
}

export interface KillFigures {
  readonly kills: number;
  /** Programs that were ended before they were through. */
  killed: number;
  /** Final names that were neither the old file nor the new one. */
  broken: number;
  /** The most temporary files of one target. */
  mostLeft: number;
  /** Temporary files that the next run left. */
  unswept: number;
  /** Files that the next run did not complete. */
  incomplete: number;
}

const FILES = 30;
const LENGTH = 400_000;

export async function runKills({
  kills,
  seed,
}: {
  readonly kills: number;
  readonly seed: number;
}): Promise<KillFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-kills-'));
  mkdirSync(join(folder, 'remote'));
  const server = await startServer({ root: join(folder, 'remote') });
  const figures = { kills, killed: 0, broken: 0, mostLeft: 0, unswept: 0, incomplete: 0 };
  try {
    for (let index = 0; index < kills; index += 1) await killOnce(server, folder, seed + index, figures);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
  return figures;
}

async function killOnce(
  server: TestServer,
  folder: string,
  seed: number,
  figures: KillFigures,
): Promise<void> {
  const digest = createHash('sha256').update(`kill ${seed}`).digest();
  const kind = KINDS[digest.readUInt8(0) % KINDS.length] ?? 'get';
  const isDown = kind === 'get' || kind === 'getR';
  const isTree = kind === 'getR' || kind === 'putR';
  const source = join(folder, isDown ? 'remote/new' : 'new');
  const target = join(folder, isDown ? 'old' : 'remote/old');
  fill(source, 'new', isTree);
  fill(target, 'old', isTree);
  const at = (path: string) => (isTree ? path : join(path, '0'));
  const task = isDown
    ? { kind, local: at(target), remote: at('/new') }
    : { kind, local: at(source), remote: at('/old') };
  const { child } = await startTransfer(server, task);
  const exited = once(child, 'exit');
  // Anywhere between the first bytes and the end.
  const timer = setTimeout(() => child.kill('SIGKILL'), digest.readUInt8(1) / 4);
  const [, signal] = await exited;
  clearTimeout(timer);
  if (signal === 'SIGKILL') figures.killed += 1;
  inspect(source, target, figures);
  await runAgain(server, task);
  const found = snapshot(target);
  figures.unswept += [...found.keys()].filter((path) => path.includes('.tsftp-')).length;
  for (const [path, what] of snapshot(source)) if (found.get(path) !== what) figures.incomplete += 1;
  for (const path of [source, target]) rmSync(path, { recursive: true, force: true });
}

async function runAgain(server: TestServer, { kind, local, remote }: TransferTask): Promise<void> {
  const sftp = await connectToServer(server);
  if (kind === 'get') await sftp.get(remote, local);
  if (kind === 'put') await sftp.put(local, remote, { atomic: true });
  if (kind === 'getR') await sftp.cd(remote, async () => void (await sftp.getR('.', local)));
  if (kind === 'putR') await sftp.putR(local, remote, { atomic: true });
  await sftp.close();
}

/** Every final name is the old file or the new one. */
function inspect(source: string, target: string, figures: KillFigures): void {
  const wanted = snapshot(source);
  const old = createHash('sha256').update('old').digest('hex');
  const left = new Map<string, number>();
  for (const [path, what] of snapshot(target)) {
    const owner = /\.tsftp-([0-9a-f]+)-/.exec(path)?.[1];
    if (owner !== undefined) left.set(owner, (left.get(owner) ?? 0) + 1);
    else if (what !== old && what !== wanted.get(path)) figures.broken += 1;
  }
  figures.mostLeft = Math.max(figures.mostLeft, ...left.values());
}

function fill(folder: string, text: 'old' | 'new', isTree: boolean): void {
  mkdirSync(folder, { recursive: true });
  const content = text === 'old' ? Buffer.from('old') : Buffer.alloc(isTree ? LENGTH : LENGTH * FILES, text);
  for (let index = 0; index < (isTree ? FILES : 1); index += 1) {
    writeFileSync(join(folder, `${index}`), content);
  }
}
