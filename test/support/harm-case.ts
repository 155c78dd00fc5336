/** Trees that are copied onto trees that exist, and what may fail meanwhile: by the seed, the same for the same. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Connection, copyBetween } from '../../src/index.js';

const KINDS = ['putR', 'putD', 'getR', 'getD', 'mirror up', 'mirror down', 'copyBetween'] as const;
type Kind = (typeof KINDS)[number];

const FAILURES = [
  'none',
  'a directory is in the way of a file',
  'a file is in the way of a directory',
  'a file cannot be read',
  'a directory of the target cannot be written',
  'no file can be renamed',
  'the disk is full',
  'a callback throws',
  'a filter throws',
  'an abort',
  'close()',
  'the server is killed',
] as const;
/** The end of the program comes from outside. */
type Failure = (typeof FAILURES)[number] | 'kill -9';

/** Whom the server runs as where the tests may choose, so that permissions count. */
export const NOBODY = process.getuid?.() === 0 ? 65534 : undefined;

export interface HarmCase {
  readonly folder: string;
  readonly kind: Kind;
  readonly failure: Failure;
  readonly source: string;
  readonly target: string;
  /** When the failure comes, where that is a matter of time: as a count of calls of the caller's code. */
  readonly at: number;
  /** The path, below both directories, that the failure concerns. */
  readonly victim: string;
}

/** In memory where that is a disk: it is the cases that should take the time. */
const FOLDER = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
/** What is left on a disk for what is new, by the case. */
const ROOM_PER_STEP = 16 * 1024;

/** Makes a case; {@link removeCase} takes it away. */
export function makeCase(seed: number, given?: Failure): HarmCase {
  const random = randomFrom(seed);
  const kind = KINDS[random(KINDS.length)] ?? 'putR';
  const failure = given ?? FAILURES[random(FAILURES.length)] ?? 'none';
  const folder = mkdtempSync(join(FOLDER, 'tsftp-harm-'));
  const isFlat = kind === 'putD' || kind === 'getD';
  // A program is killed in the middle of a file the more likely, the longer the files are.
  const trees = makeTrees(folder, random, { isFlat, longOneIn: failure === 'kill -9' ? 2 : 8 });
  const one = { folder, kind, failure, ...trees, at: 1 + random(20) };
  prepare(one);
  if (NOBODY !== undefined) giveTo(NOBODY, folder);
  return one;
}

export function removeCase({ folder, failure, target }: HarmCase): void {
  if (failure === 'the disk is full' && NOBODY !== undefined) execFileSync('umount', [target]);
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

function randomFrom(seed: number): (below: number) => number {
  let count = 0;
  return (below) => {
    count += 1;
    const digest = createHash('sha256').update(`${seed}:${count}`).digest();
    return Math.floor((digest.readUInt32BE(0) / 2 ** 32) * below);
  };
}

/** Up to 24 files, some of them in directories, some longer than one request. */
function makeTrees(
  folder: string,
  random: (below: number) => number,
  { isFlat, longOneIn }: { readonly isFlat: boolean; readonly longOneIn: number },
) {
  const [source, target] = [join(folder, 'source'), join(folder, 'target')];
  const names: string[] = [];
  for (let index = 0, count = 4 + random(20); index < count; index += 1) {
    const directory = isFlat ? '' : (['', 'd', 'd/e', 'f'][random(4)] ?? '');
    const name = join(directory, `${index}`);
    const length = random(longOneIn) === 0 ? 100_000 + random(500_000) : random(5000);
    write(join(source, name), `new ${index}`, length);
    if (random(4) > 0) write(join(target, name), `old ${index}`, random(6) === 0 ? 300_000 : random(5000));
    names.push(name);
  }
  mkdirSync(target, { recursive: true });
  return { source, target, victim: names[random(names.length)] ?? '0' };
}

function giveTo(uid: number, folder: string): void {
  const names = readdirSync(folder, { recursive: true }) as string[];
  for (const name of ['.', ...names]) chownSync(join(folder, name), uid, uid);
}

function write(path: string, text: string, length: number): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, Buffer.alloc(length, `${text} `));
}

function prepare({ failure, source, target, victim, at }: HarmCase): void {
  const [from, to] = [join(source, victim), join(target, victim)];
  if (failure === 'a directory is in the way of a file') {
    rmSync(to, { force: true });
    mkdirSync(join(to, 'x'), { recursive: true });
  }
  if (failure === 'a file is in the way of a directory') {
    mkdirSync(`${from}.d`);
    writeFileSync(join(`${from}.d`, 'f'), 'new');
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(`${to}.d`, 'old');
  }
  if (failure === 'a file cannot be read') chmodSync(from, 0);
  if (NOBODY !== undefined && failure === 'the disk is full') moveToDisk(target, at * ROOM_PER_STEP);
  // Files can be written there, and no temporary one can be made.
  if (NOBODY !== undefined && failure === 'a directory of the target cannot be written') {
    mkdirSync(dirname(to), { recursive: true });
    chmodSync(dirname(to), 0o555);
  }
}

/** Puts what is there on a disk of its own, with so much room beside it. */
function moveToDisk(folder: string, room: number): void {
  const old = `${folder}.old`;
  renameSync(folder, old);
  mkdirSync(folder);
  const kilobytes = Number(execFileSync('du', ['-sk', old], { encoding: 'utf8' }).split('\t')[0]);
  const options = `size=${kilobytes * 1024 + room}`;
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  cpSync(old, folder, { recursive: true });
  rmSync(old, { recursive: true });
}

type Callback = () => void;

/** @param killServer ends the server of the first connection at once */
export async function runCase(
  { kind, failure, source, target, at }: HarmCase,
  [sftp, other]: readonly [Connection, Connection],
  killServer: () => void = () => {},
): Promise<unknown> {
  const abort = new AbortController();
  const { signal } = abort;
  let calls = 0;
  const when =
    (wanted: Failure, act: Callback): Callback =>
    () => {
      if (failure !== wanted) return;
      calls += 1;
      if (calls === at) act();
    };
  const fail = () => {
    throw new Error('mine');
  };
  const steps: readonly Callback[] = [
    when('a callback throws', fail),
    when('an abort', () => abort.abort('enough')),
    when('close()', () => void sftp.close()),
    when('the server is killed', killServer),
  ];
  const callback = () => {
    for (const step of steps) step();
  };
  const filterStep = when('a filter throws', fail);
  const filter = () => {
    filterStep();
    return true;
  };
  const down = { signal, callback, filter };
  const work: Record<Kind, () => Promise<unknown>> = {
    putR: () => sftp.putR(source, target, down),
    putD: () => sftp.putD(source, target, down),
    getR: () => sftp.cd(source, () => sftp.getR('.', target, down)),
    getD: () => sftp.getD(source, target, down),
    'mirror up': () => sftp.mirror(source, target, { ...down, direction: 'up' }),
    'mirror down': () => sftp.mirror(source, target, { ...down, direction: 'down' }),
    copyBetween: () => copyBetween(sftp, source, other, target, { signal, callback }),
  };
  return work[kind]();
}
