/**
 * Who writes a temporary file, and whether nobody does any more. A number of a process means something only within one
 * PID namespace of one start of one machine, and only as long as nobody else has got it: containers have the same host
 * name and the same numbers, and a container that is started again has them as well.
 */
import * as crypto from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { hasCode } from '../file-system.js';

export interface Writer {
  /** Where its number means something, 12 digits. */
  readonly place: string;
  /** On Linux that of the thread, which is a number like a process's. */
  readonly number: number;
  /** When it began, 8 digits: others may get its number later. */
  readonly start: string;
  /** Tells apart what has the same number where nobody tells when it began: threads of one process. */
  readonly run: string;
}

let writer: Writer | undefined;

/** This very thread. Looked up when it is first asked for: a program may have been started from a snapshot of itself. */
export function ownWriter(): Writer {
  writer ??= { ...(linuxThread() ?? elsewhere()), run: crypto.randomBytes(4).toString('hex') };
  return writer;
}

function isOwnWriter(other: Writer): boolean {
  const own = ownWriter();
  return fieldsOf(own) === fieldsOf(other);
}

/** Eight digits are the last of its number and of its start. */
export function fieldsOf({ place, number, start, run }: Writer): string {
  return `${place}${number.toString(16).padStart(8, '0')}${start}${run}`;
}

/** What is known of a writer: `undefined` where it is out of sight. */
export function isRunning(other: Writer): boolean | undefined {
  const { place, start } = ownWriter();
  if (other.place !== place) return undefined;
  if (isOwnWriter(other)) return true;
  if (!isTaken(other.number)) return false;
  if (other.start === NO_START || start === NO_START) return undefined;
  const actual = startOf(other.number);
  // Where /proc hides the processes of others, nobody tells whether it is still the same.
  return actual === undefined ? undefined : actual === other.start;
}

/** `kill` takes the numbers of threads too (kill(2)). */
function isTaken(number: number): boolean {
  try {
    process.kill(number, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

const NO_START = '0'.repeat(8);

/** A boot, and a PID namespace in it. A worker that is terminated is no process, so that threads are told apart. */
function linuxThread(): Omit<Writer, 'run'> | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
    const namespace = readlinkSync('/proc/self/ns/pid');
    const number = Number(/\/task\/(\d+)$/.exec(readlinkSync('/proc/thread-self'))?.[1]);
    const start = startOf(number);
    return start === undefined ? undefined : { place: hash(`${boot}\0${namespace}`), number, start };
  } catch {
    return undefined;
  }
}

/** The 22nd field of its `stat`, in ticks since the machine was started (proc(5)). The second may hold anything. */
function startOf(number: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${number}/stat`, 'utf8');
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
    return (ticks % 2 ** 32).toString(16).padStart(8, '0');
  } catch {
    return undefined;
  }
}

/** Without namespaces a machine is known by its name and its network cards; a Linux without /proc by nothing. */
function elsewhere(): Omit<Writer, 'run'> {
  const cards = Object.values(networkInterfaces()).flatMap(
    (addresses) => addresses?.map(({ mac }) => mac) ?? [],
  );
  const machine =
    process.platform === 'linux'
      ? crypto.randomBytes(16).toString('hex')
      : [process.platform, hostname(), ...new Set(cards.sort())].join('\0');
  return { place: hash(machine), number: process.pid, start: NO_START };
}

function hash(text: string): string {
  return crypto.hash('sha256', text).slice(0, 12);
}
