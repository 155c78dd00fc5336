/** What is measured, and which figures are to be reached. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Job } from './peers.js';

/** A figure to reach: how many times faster than a peer, or at most a number of the run's own. */
export type Goal =
  | { readonly peer: string; readonly atLeast: number }
  | { readonly figure: string; readonly atMost: number };

export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly job: Job;
  readonly roundTripMs: number;
  /** Peers that would take all day are left out. */
  readonly without?: readonly string[];
  readonly data: Data;
  readonly goals: readonly Goal[];
}

/** What is copied. */
export interface Data {
  /** Makes it where the job reads it. */
  make(path: string): void;
  /** Throws where `copy` is not the same as `original`. */
  compare?(original: string, copy: string): void;
}

const MIB = 1024 * 1024;

/** A file of noise: nothing on the way can make it smaller. */
function file(bytes: number): Data {
  return {
    make: (path) => {
      mkdirSync(dirname(path), { recursive: true });
      const descriptor = openSync(path, 'w');
      for (let at = 0; at < bytes; at += MIB) {
        writeSync(descriptor, noise(at, Math.min(MIB, bytes - at)));
      }
      closeSync(descriptor);
    },
    compare: (original, copy) => void execFileSync('cmp', [original, copy]),
  };
}

/** Bytes that look random and are the same every time. */
function noise(seed: number, length: number): Buffer {
  const block = createHash('sha512').update(String(seed)).digest();
  const bytes = Buffer.alloc(length, block);
  for (let at = 0; at < length; at += 64) bytes.writeUInt32LE((seed + at) >>> 0, at > length - 4 ? 0 : at);
  return bytes;
}

/** Small files in directories of twenty, 200 to 8,000 bytes each. */
function smallFiles(count: number): Data {
  return {
    make: (path) => {
      for (let index = 0; index < count; index += 1) {
        const directory = join(path, `directory-${Math.floor(index / 20)}`);
        if (index % 20 === 0) mkdirSync(directory, { recursive: true });
        writeFileSync(join(directory, `file-${index}.dat`), noise(index, 200 + ((index * 7919) % 7800)));
      }
    },
    compare: (original, copy) => void execFileSync('diff', ['-r', original, copy]),
  };
}

/** Empty files in one directory. */
function wideDirectory(count: number): Data {
  return {
    make: (path) => {
      mkdirSync(path, { recursive: true });
      for (let index = 0; index < count; index += 1) {
        writeFileSync(join(path, `entry-${String(index).padStart(6, '0')}`), '');
      }
    },
  };
}

/** Ten entries in each of many directories. */
function deepTree(directories: number): Data {
  return {
    make: (path) => {
      for (let index = 0; index < directories; index += 1) {
        const directory = join(path, `a${index % 20}`, `b${Math.floor(index / 20) % 10}`, `c${index}`);
        mkdirSync(directory, { recursive: true });
        for (let entry = 0; entry < 9; entry += 1) writeFileSync(join(directory, `f${entry}`), '');
      }
    },
  };
}

const HALF_GIB = 512 * MIB;
const S3_BYTES = 512 * MIB;

export const scenarios: readonly Scenario[] = [
  {
    id: 'S1',
    title: '512 MiB get, loopback',
    job: 'get',
    roundTripMs: 0,
    data: file(HALF_GIB),
    goals: [
      { peer: 'sftp', atLeast: 1.2 },
      { peer: 'ssh2', atLeast: 4 },
      { peer: 'ssh cat', atLeast: 1 / 1.4 },
      { figure: 'loopDelayP99Ms', atMost: 15 },
    ],
  },
  {
    id: 'S2',
    title: '512 MiB put, loopback',
    job: 'put',
    roundTripMs: 0,
    data: file(HALF_GIB),
    goals: [
      { peer: 'sftp', atLeast: 1.2 },
      { peer: 'ssh2', atLeast: 1.3 },
    ],
  },
  {
    id: 'S3',
    title: '512 MiB get, round trip 50 ms',
    job: 'get',
    roundTripMs: 50,
    without: ['ssh2', 'lftp'],
    data: file(S3_BYTES),
    goals: [{ peer: 'sftp', atLeast: 6 }],
  },
  {
    id: 'S3',
    title: '512 MiB put, round trip 50 ms',
    job: 'put',
    roundTripMs: 50,
    without: ['ssh2', 'lftp'],
    data: file(S3_BYTES),
    goals: [{ peer: 'sftp', atLeast: 6 }],
  },
  {
    id: 'S4',
    title: '2,000 small files get, loopback',
    job: 'getTree',
    roundTripMs: 0,
    data: smallFiles(2000),
    goals: [
      { peer: 'sftp', atLeast: 4 },
      { peer: 'ssh2-sftp-client', atLeast: 2.5 },
    ],
  },
  {
    id: 'S4',
    title: '2,000 small files put, loopback',
    job: 'putTree',
    roundTripMs: 0,
    data: smallFiles(2000),
    goals: [
      { peer: 'sftp', atLeast: 4 },
      { peer: 'ssh2-sftp-client', atLeast: 2.5 },
    ],
  },
  {
    id: 'S5',
    title: '2,000 small files get, round trip 50 ms',
    job: 'getTree',
    roundTripMs: 50,
    without: ['sftp', 'lftp', 'rclone'],
    data: smallFiles(2000),
    goals: [
      { peer: 'ssh2-sftp-client', atLeast: 35 },
      { figure: 'seconds', atMost: 2 },
    ],
  },
  {
    id: 'S5',
    title: '2,000 small files put, round trip 50 ms',
    job: 'putTree',
    roundTripMs: 50,
    without: ['sftp', 'lftp', 'rclone'],
    data: smallFiles(2000),
    goals: [
      { peer: 'ssh2-sftp-client', atLeast: 35 },
      { figure: 'seconds', atMost: 2 },
    ],
  },
  {
    id: 'S6',
    title: '512 MiB createReadStream, loopback',
    job: 'getStream',
    roundTripMs: 0,
    data: file(HALF_GIB),
    goals: [{ peer: 'tsftp get', atLeast: 0.9 }],
  },
  {
    id: 'S6',
    title: '512 MiB createWriteStream, loopback',
    job: 'putStream',
    roundTripMs: 0,
    data: file(HALF_GIB),
    goals: [{ peer: 'tsftp put', atLeast: 0.9 }],
  },
  {
    id: 'S7',
    title: '4 GiB get, memory',
    job: 'get',
    roundTripMs: 0,
    without: ['sftp', 'ssh cat', 'ssh2', 'lftp'],
    data: file(4096 * MIB),
    goals: [{ figure: 'rssMiB', atMost: 120 }],
  },
  {
    id: 'S7',
    title: '4 GiB put, memory',
    job: 'put',
    roundTripMs: 0,
    without: ['sftp', 'ssh cat', 'ssh2', 'lftp'],
    data: file(4096 * MIB),
    goals: [{ figure: 'rssMiB', atMost: 120 }],
  },
  {
    id: 'S9',
    title: 'list 100,000 entries, loopback',
    job: 'list',
    roundTripMs: 0,
    data: wideDirectory(100_000),
    goals: [
      { peer: 'sftp', atLeast: 2 },
      { figure: 'seconds', atMost: 10 },
    ],
  },
  {
    id: 'S10',
    title: 'walk 20,000 entries in 2,000 directories, round trip 50 ms',
    job: 'walk',
    roundTripMs: 50,
    data: deepTree(2000),
    goals: [{ figure: 'seconds', atMost: 3 }],
  },
];

/** Removes what a run has made; the data itself stays for the next run. */
export function removeCopy(path: string): void {
  rmSync(path, { recursive: true, force: true });
}
