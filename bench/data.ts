/** What is copied, made where it is read and compared where it has arrived. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Data {
  /** The same for what is the same. */
  readonly name: string;
  /** Bytes of content. */
  readonly bytes: number;
  /** Makes it where the job reads it. */
  make(path: string): void;
  /** Throws where `copy` is not the same as `original`. */
  compare?(original: string, copy: string): void;
}

export const MIB = 1024 * 1024;

/** Nothing at all, for those who only connect. */
export const nothing: Data = { name: 'nothing', bytes: 0, make: () => {} };

/** A file of noise: nothing on the way can make it smaller. */
export function file(bytes: number): Data {
  return {
    name: `file of ${bytes}`,
    bytes,
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
export function smallFiles(count: number): Data {
  const lengthOf = (index: number) => 200 + ((index * 7919) % 7800);
  return {
    name: `${count} small files`,
    bytes: Array.from({ length: count }, (_, index) => lengthOf(index)).reduce(
      (sum, length) => sum + length,
      0,
    ),
    make: (path) => {
      for (let index = 0; index < count; index += 1) {
        const directory = join(path, `directory-${Math.floor(index / 20)}`);
        if (index % 20 === 0) mkdirSync(directory, { recursive: true });
        writeFileSync(join(directory, `file-${index}.dat`), noise(index, lengthOf(index)));
      }
    },
    compare: (original, copy) => void execFileSync('diff', ['-r', original, copy]),
  };
}

/** Files of one length in one directory. */
export function sameFiles(count: number, bytes: number): Data {
  return {
    name: `${count} files of ${bytes}`,
    bytes: count * bytes,
    make: (path) => {
      for (let index = 0; index < count; index += 1) file(bytes).make(join(path, `file-${index}.dat`));
    },
    compare: (original, copy) => void execFileSync('diff', ['-r', original, copy]),
  };
}

/** Empty files in one directory. */
export function wideDirectory(count: number): Data {
  return {
    name: `directory of ${count}`,
    bytes: 0,
    make: (path) => {
      mkdirSync(path, { recursive: true });
      for (let index = 0; index < count; index += 1) {
        writeFileSync(join(path, `entry-${String(index).padStart(6, '0')}`), '');
      }
    },
  };
}

/** Ten entries in each of many directories. */
export function deepTree(directories: number): Data {
  return {
    name: `${directories} directories`,
    bytes: 0,
    make: (path) => {
      for (let index = 0; index < directories; index += 1) {
        const directory = join(path, `a${index % 20}`, `b${Math.floor(index / 20) % 10}`, `c${index}`);
        mkdirSync(directory, { recursive: true });
        for (let entry = 0; entry < 9; entry += 1) writeFileSync(join(directory, `f${entry}`), '');
      }
    },
  };
}

/** Removes what a run has made; the data itself stays for the next run. */
export function removeCopy(path: string): void {
  rmSync(path, { recursive: true, force: true });
}
