/** The demo's job on an open connection: up, list, down, compare; nothing stays on the server. */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Connection, SftpStatusError } from '../../index.js';
import { printable } from '../../shared/printable.js';
import { humanBytes } from '../output/human.js';
import type { Progress } from './progress.js';
import type { Leg } from './table.js';
import { compareTrees, makeFile, makeTree, type Tree } from './tree.js';

export interface RoundTripOptions {
  /** A local folder to work in. */
  readonly folder: string;
  /** How many small files. */
  readonly files: number;
  readonly largeBytes: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const LARGE_NAME = 'large.bin';
const CLEAN_UP_MS = 30_000;

/**
 * @throws Error where something came back that differs, and whatever the transfers reject with.
 */
export async function makeRoundTrip(sftp: Connection, options: RoundTripOptions): Promise<readonly Leg[]> {
  const { folder, largeBytes, progress, signal } = options;
  const sent = join(folder, 'sent');
  await mkdir(sent);
  const tree = await makeTree(join(sent, 'tree'), options.files, signal);
  const remote = `tsftp-demo-${randomBytes(6).toString('hex')}`;
  await sftp.mkdir(remote, 700, { signal });
  try {
    await step(progress, 'Make the large file', largeBytes, (onProgress) =>
      makeFile(join(sent, LARGE_NAME), largeBytes, { signal, onProgress }),
    );
    return await sftp.cd(remote, () => travel(sftp, tree, options));
  } finally {
    await removeRemote(sftp, remote, tree, progress);
  }
}

async function travel(sftp: Connection, tree: Tree, options: RoundTripOptions): Promise<readonly Leg[]> {
  const { folder, largeBytes, progress, signal } = options;
  const [sent, back] = [join(folder, 'sent'), join(folder, 'back')];
  await mkdir(back);
  const run = async (label: string, files: number, bytes: number, work: Work): Promise<Leg> => {
    const seconds = await step(progress, label, bytes, work);
    return { label, files, bytes, seconds };
  };
  const count = tree.files.length;
  const large = join(sent, LARGE_NAME);
  const legs = [
    await run('Upload, small files', count, tree.bytes, async (callback) => {
      await sftp.putR(join(sent, 'tree'), 'tree', { callback, signal });
    }),
    await run('Upload, large file', 1, largeBytes, async (callback) => {
      await sftp.put(large, LARGE_NAME, { callback, signal });
    }),
  ];
  progress.note(
    `Listed ${await checkListing(sftp, tree, largeBytes, signal)} entries: names and sizes as sent`,
  );
  legs.push(
    await run('Download, small files', count, tree.bytes, async (callback) => {
      await sftp.getR('tree', back, { callback, signal });
    }),
    await run('Download, large file', 1, largeBytes, (callback) =>
      sftp.get(LARGE_NAME, join(back, LARGE_NAME), { callback, signal }),
    ),
  );
  const compared = await run('Compare every byte', count + 1, tree.bytes + largeBytes, (onProgress) =>
    compareTrees(sent, back, { signal, onProgress }),
  );
  return [...legs, { ...compared, verdict: 'identical' }];
}

type Work = (callback: (bytes: number) => void) => Promise<void>;

/** Runs one step with its bar, and gives the seconds that it took. */
async function step(progress: Progress, label: string, bytes: number, work: Work): Promise<number> {
  const bar = progress.start(label, bytes);
  const start = performance.now();
  try {
    await work((done) => bar.update(done));
  } catch (error) {
    bar.fail();
    throw error;
  }
  const seconds = (performance.now() - start) / 1000;
  bar.end(`${humanBytes(bytes).padStart(10)} in ${seconds.toFixed(2).padStart(5)} s`);
  return seconds;
}

/** Every file with its size, every directory, and nothing else; gives the number of entries. */
async function checkListing(
  sftp: Connection,
  tree: Tree,
  largeBytes: number,
  signal: AbortSignal,
): Promise<number> {
  const expected = new Set([
    'tree/',
    `${LARGE_NAME} ${largeBytes}`,
    ...tree.directories.map((path) => `tree/${path}/`),
    ...tree.files.map(({ path, bytes }) => `tree/${path} ${bytes}`),
  ]);
  const found: string[] = [];
  for (const directory of ['', 'tree/', ...tree.directories.map((path) => `tree/${path}/`)]) {
    const entries = await sftp.listdirAttr(directory === '' ? '.' : directory, { signal });
    found.push(
      ...entries.map((entry) => directory + entry.filename + (entry.isDirectory() ? '/' : ` ${entry.size}`)),
    );
  }
  const strange = found.find((line) => !expected.delete(line)) ?? [...expected][0];
  if (strange !== undefined) throw new Error(`the server's listing is not what was sent: see ${strange}`);
  return found.length;
}

/** Removes what was sent, and nothing that was not; after an abort too, but not for ever. */
async function removeRemote(sftp: Connection, remote: string, tree: Tree, progress: Progress): Promise<void> {
  const signal = AbortSignal.timeout(CLEAN_UP_MS);
  const files = [LARGE_NAME, ...tree.files.map(({ path }) => `tree/${path}`)];
  const directories = ['', 'tree', ...tree.directories.map((path) => `tree/${path}`)].reverse();
  try {
    await Promise.all(files.map((path) => unlessMissing(sftp.remove(`${remote}/${path}`, { signal }))));
    for (const path of directories) await unlessMissing(sftp.rmdir(`${remote}/${path}`, { signal }));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    progress.note(`The directory ${remote} is still on the server: ${printable(reason, 300)}`);
  }
}

async function unlessMissing(removing: Promise<void>): Promise<void> {
  try {
    await removing;
  } catch (error) {
    if (!(error instanceof SftpStatusError && error.code === 'ENOENT')) throw error;
  }
}
