/** What is measured, and which figures are to be reached. */
import { type Data, deepTree, file, MIB, nothing, sameFiles, smallFiles, wideDirectory } from './data.js';
import type { Job } from './peers.js';

/** A figure to reach. */
export type Goal =
  /** How many times faster than a peer. */
  | { readonly peer: string; readonly atLeast: number }
  /** At most so many times the CPU seconds of a peer. */
  | { readonly peer: string; readonly cpuAtMost: number }
  /** At most a number of the run's own, or so many times that of another contestant. */
  | { readonly figure: string; readonly atMost: number; readonly timesThatOf?: string };

export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly job: Job;
  readonly roundTripMs: number;
  /** Peers that would take all day are left out. */
  readonly without?: readonly string[];
  readonly data: Data;
  /** Ours once more with other data, to see what depends on that. */
  readonly also?: { readonly name: string; readonly data: Data };
  readonly goals: readonly Goal[];
}

const HALF_GIB = 512 * MIB;
const ONE_GIB = 'tsftp, 1 GiB';

export const scenarios: readonly Scenario[] = [
  {
    id: 'S0',
    title: 'start, connect and leave, loopback: a part of each of the others',
    job: 'connect',
    roundTripMs: 0,
    data: nothing,
    goals: [],
  },
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
      { peer: 'sftp', cpuAtMost: 1.3 },
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
      { peer: 'sftp', cpuAtMost: 1.3 },
    ],
  },
  {
    id: 'S3',
    title: '512 MiB get, round trip 50 ms',
    job: 'get',
    roundTripMs: 50,
    without: ['ssh2', 'lftp'],
    data: file(HALF_GIB),
    goals: [{ peer: 'sftp', atLeast: 6 }],
  },
  {
    id: 'S3',
    title: '512 MiB put, round trip 50 ms',
    job: 'put',
    roundTripMs: 50,
    without: ['ssh2', 'lftp'],
    data: file(HALF_GIB),
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
    title: '512 MiB createReadStream into a file stream of 256 KiB, loopback',
    job: 'getStream',
    roundTripMs: 0,
    data: file(HALF_GIB),
    goals: [{ peer: 'tsftp get', atLeast: 0.9 }],
  },
  {
    id: 'S6',
    title: '512 MiB createWriteStream from a file stream of 256 KiB, loopback',
    job: 'putStream',
    roundTripMs: 0,
    data: file(HALF_GIB),
    goals: [{ peer: 'tsftp put', atLeast: 0.9 }],
  },
  {
    id: 'S6',
    title: "512 MiB createReadStream into Node's file stream as it is, loopback",
    job: 'getStreamSmall',
    roundTripMs: 0,
    data: file(HALF_GIB),
    goals: [],
  },
  {
    id: 'S6',
    title: "512 MiB createWriteStream from Node's file stream as it is, loopback",
    job: 'putStreamSmall',
    roundTripMs: 0,
    data: file(HALF_GIB),
    goals: [],
  },
  {
    id: 'S7',
    title: '4 GiB get, loopback: peak memory, and whether it grows with the size',
    job: 'get',
    roundTripMs: 0,
    without: ['ssh cat', 'ssh2', 'lftp'],
    data: file(4096 * MIB),
    also: { name: ONE_GIB, data: file(1024 * MIB) },
    goals: [
      { figure: 'rssMiB', atMost: 120 },
      { figure: 'rssMiB', atMost: 1.1, timesThatOf: ONE_GIB },
    ],
  },
  {
    id: 'S7',
    title: '4 GiB put, loopback: peak memory, and whether it grows with the size',
    job: 'put',
    roundTripMs: 0,
    without: ['ssh cat', 'ssh2', 'lftp'],
    data: file(4096 * MIB),
    also: { name: ONE_GIB, data: file(1024 * MIB) },
    goals: [
      { figure: 'rssMiB', atMost: 120 },
      { figure: 'rssMiB', atMost: 1.1, timesThatOf: ONE_GIB },
    ],
  },
  {
    id: 'S8',
    title: '512 MiB get, loopback: how long the event loop of the application is held up',
    job: 'get',
    roundTripMs: 0,
    without: ['ssh cat', 'ssh2', 'lftp'],
    data: file(HALF_GIB),
    goals: [{ figure: 'loopDelayP99Ms', atMost: 15 }],
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
  {
    id: 'S11',
    title: '64 files of 4 MiB get, round trip 50 ms',
    job: 'getTree',
    roundTripMs: 50,
    data: sameFiles(64, 4 * MIB),
    goals: [],
  },
  {
    id: 'S11',
    title: '64 files of 4 MiB put, round trip 50 ms',
    job: 'putTree',
    roundTripMs: 50,
    data: sameFiles(64, 4 * MIB),
    goals: [],
  },
];
