/**
 * Every call beside what `node:fs` does on the same tree: which code comes of a name that is missing, taken, denied …
 * Runs as a user without privileges, as nothing is denied to root.
 */
import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import type { Connection } from '../../src/index.js';

/** Names below the root of a tree, by what is special about them. */
export const SITUATIONS = {
  missing: 'missing',
  'below a missing directory': 'missing/x',
  file: 'file',
  'below a file': 'file/x',
  directory: 'dir',
  'empty directory': 'empty',
  'denied file': 'closed',
  'below a denied directory': 'denied/x',
  'name too long': 'n'.repeat(256),
  'dangling link': 'dangling',
  'below a dangling link': 'dangling/x',
  loop: 'loop',
  'below a loop': 'loop/x',
  'missing on a read-only disk': 'read-only/missing',
  'file on a read-only disk': 'read-only/file',
  'directory on a read-only disk': 'read-only/dir',
  'missing on a full disk': 'full/missing',
  'file on a full disk': 'full/file',
  'directory on a full disk': 'full/dir',
} as const;

export type Situation = keyof typeof SITUATIONS;

/** More than the small disk has room for. */
const CONTENT = Buffer.alloc(200_000, 'x');
const DISK_OPTIONS = 'size=64k,nr_inodes=16,mode=777';

/** A tree in a new folder; the disks are mounted where that is allowed. */
export interface Tree {
  readonly root: string;
  readonly local: string;
  readonly hasDisks: boolean;
  /** Makes everything what it was, as far as a situation has to do with it. */
  restore(situation: Situation): void;
  remove(): void;
}

/** @param owner who is to work in it */
export function plantTree(owner: number): Tree {
  const root = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'tsftp-codes-')));
  const local = fs.mkdtempSync(join(tmpdir(), 'tsftp-codes-local-'));
  for (const folder of [root, local]) fs.chownSync(folder, owner, owner);
  const disks = ['read-only', 'full'].map((name) => join(root, name));
  // All is made anew many times, which takes long on a real disk.
  const mounted = [root, ...disks].filter((disk) =>
    mount(disk, disk === root ? 'size=8m,mode=777' : DISK_OPTIONS),
  );
  const hasDisks = mounted.length > disks.length;
  const [readOnly = '', full = ''] = disks;
  fs.writeFileSync(join(local, 'content'), CONTENT);
  fs.mkdirSync(join(local, 'tree'));
  fs.writeFileSync(join(local, 'tree', 'content'), CONTENT);
  if (hasDisks) {
    plantFiles(readOnly);
    execFileSync('mount', ['-o', 'remount,ro', readOnly]);
  }
  return {
    root,
    local,
    hasDisks,
    restore: (situation) => {
      if (situation.endsWith('full disk')) fill(full);
      else if (!situation.endsWith('disk')) plantFolder(root);
    },
    remove: () => {
      for (const disk of mounted.toReversed()) execFileSync('umount', [disk]);
      for (const folder of [root, local]) {
        if (fs.existsSync(join(folder, 'denied'))) fs.chmodSync(join(folder, 'denied'), 0o700);
        fs.rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

function mount(disk: string, options: string): boolean {
  fs.mkdirSync(disk, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', disk], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function plantFiles(folder: string): void {
  fs.writeFileSync(join(folder, 'file'), 'content');
  fs.mkdirSync(join(folder, 'dir'));
  fs.writeFileSync(join(folder, 'dir', 'file'), 'content');
  fs.writeFileSync(join(folder, 'other'), 'other content');
  fs.mkdirSync(join(folder, 'other-dir'));
}

function plantFolder(root: string): void {
  const denied = join(root, 'denied');
  if (fs.existsSync(denied)) fs.chmodSync(denied, 0o700);
  clear(root, ['read-only', 'full']);
  plantFiles(root);
  fs.mkdirSync(join(root, 'empty'));
  fs.writeFileSync(join(root, 'closed'), 'content', { mode: 0 });
  fs.mkdirSync(denied);
  fs.writeFileSync(join(denied, 'x'), 'content');
  fs.chmodSync(denied, 0);
  fs.symlinkSync('nowhere/at/all', join(root, 'dangling'));
  fs.symlinkSync('loop', join(root, 'loop'));
}

/** No room for a byte, and none for another file. */
function fill(disk: string): void {
  clear(disk, []);
  plantFiles(disk);
  for (let count = 0; ; count += 1) {
    try {
      fs.writeFileSync(join(disk, `filler${count}`), CONTENT);
    } catch (error) {
      if (count > 16 || !isFull(error)) throw error;
      // The first fills the disk, the last is one file too many.
      if (!fs.existsSync(join(disk, `filler${count}`))) return;
    }
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOSPC';
}

function clear(folder: string, kept: readonly string[]): void {
  for (const name of fs.readdirSync(folder)) {
    if (!kept.includes(name)) fs.rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** One call, over SFTP and as Node has it. */
export interface Row {
  readonly changes: boolean;
  readonly ours: (sftp: Connection, path: string, more: More) => unknown;
  readonly node: (path: string, more: More) => unknown;
}

export interface More {
  /** A file on the disk of the path; with `-dir` behind it, an empty directory. */
  readonly other: string;
  readonly fresh: string;
  /** A free name on another disk. */
  readonly away: string;
  readonly local: string;
}

const to = (stream: Readable) => finished(stream.resume());
const from = (stream: Writable) => pipeline([CONTENT], stream);
const reading = (row: Omit<Row, 'changes'>): Row => ({ ...row, changes: false });
const changing = (row: Omit<Row, 'changes'>): Row => ({ ...row, changes: true });
const open = (mode: string): Row => ({
  changes: !mode.startsWith('r'),
  ours: async (sftp, path) => (await sftp.open(path, mode)).close(),
  node: (path) => fs.closeSync(fs.openSync(path, mode)),
});

export const ROWS: Readonly<Record<string, Row>> = {
  stat: reading({ ours: (sftp, path) => sftp.stat(path), node: (path) => fs.statSync(path) }),
  lstat: reading({ ours: (sftp, path) => sftp.lstat(path), node: (path) => fs.lstatSync(path) }),
  readlink: reading({ ours: (sftp, path) => sftp.readlink(path), node: (path) => fs.readlinkSync(path) }),
  normalize: reading({ ours: (sftp, path) => sftp.normalize(path), node: (path) => fs.realpathSync(path) }),
  statvfs: reading({ ours: (sftp, path) => sftp.statvfs(path), node: (path) => fs.statfsSync(path) }),
  listdir: reading({ ours: (sftp, path) => sftp.listdir(path), node: (path) => fs.readdirSync(path) }),
  listdirAttr: reading({
    ours: (sftp, path) => sftp.listdirAttr(path),
    node: (path) => fs.readdirSync(path),
  }),
  walk: reading({
    ours: async (sftp, path) => {
      for await (const _ of sftp.walk(path)) break;
    },
    node: (path) => fs.readdirSync(path),
  }),
  chdir: reading({ ours: (sftp, path) => sftp.cd(path, () => {}), node: changeDirectory }),
  mkdir: changing({ ours: (sftp, path) => sftp.mkdir(path), node: (path) => fs.mkdirSync(path) }),
  makedirs: changing({
    ours: (sftp, path) => sftp.makedirs(path),
    node: (path) => fs.mkdirSync(path, { recursive: true }),
  }),
  rmdir: changing({ ours: (sftp, path) => sftp.rmdir(path), node: (path) => fs.rmdirSync(path) }),
  remove: changing({ ours: (sftp, path) => sftp.remove(path), node: (path) => fs.unlinkSync(path) }),
  rmtree: changing({
    ours: (sftp, path) => sftp.rmtree(path),
    node: (path) => fs.rmSync(path, { recursive: true }),
  }),
  chmod: changing({ ours: (sftp, path) => sftp.chmod(path, 755), node: (path) => fs.chmodSync(path, 0o755) }),
  chown: changing({
    ours: (sftp, path) => sftp.chown(path, process.geteuid?.() ?? 0, process.geteuid?.() ?? 0),
    node: (path) => fs.chownSync(path, process.geteuid?.() ?? 0, process.geteuid?.() ?? 0),
  }),
  utime: changing({
    ours: (sftp, path) => sftp.utime(path, [1, 1]),
    node: (path) => fs.utimesSync(path, 1, 1),
  }),
  truncate: changing({
    ours: (sftp, path) => sftp.truncate(path, 1),
    node: (path) => fs.truncateSync(path, 1),
  }),
  touch: changing({ ours: (sftp, path) => sftp.touch(path), node: touch }),
  'rename from': changing({
    ours: (sftp, path, { fresh }) => sftp.rename(path, fresh),
    node: (path, { fresh }) => fs.renameSync(path, fresh),
  }),
  // Node has no rename that replaces nothing; a link replaces nothing either.
  'rename to': changing({
    ours: (sftp, path, { other }) => sftp.rename(other, path),
    node: (path, { other }) => fs.linkSync(other, path),
  }),
  'posixRename from': changing({
    ours: (sftp, path, { fresh }) => sftp.posixRename(path, fresh),
    node: (path, { fresh }) => fs.renameSync(path, fresh),
  }),
  'posixRename of a file to': changing({
    ours: (sftp, path, { other }) => sftp.posixRename(other, path),
    node: (path, { other }) => fs.renameSync(other, path),
  }),
  'posixRename of a directory to': changing({
    ours: (sftp, path, { other }) => sftp.posixRename(`${other}-dir`, path),
    node: (path, { other }) => fs.renameSync(`${other}-dir`, path),
  }),
  'rename to another disk': changing({
    ours: (sftp, path, { away }) => sftp.rename(path, away),
    node: (path, { away }) => fs.renameSync(path, away),
  }),
  'posixRename to another disk': changing({
    ours: (sftp, path, { away }) => sftp.posixRename(path, away),
    node: (path, { away }) => fs.renameSync(path, away),
  }),
  'hardlink to another disk': changing({
    ours: (sftp, path, { away }) => sftp.hardlink(path, away),
    node: (path, { away }) => fs.linkSync(path, away),
  }),
  symlink: changing({
    ours: (sftp, path) => sftp.symlink('text', path),
    node: (path) => fs.symlinkSync('text', path),
  }),
  'hardlink from': changing({
    ours: (sftp, path, { fresh }) => sftp.hardlink(path, fresh),
    node: (path, { fresh }) => fs.linkSync(path, fresh),
  }),
  'hardlink to': changing({
    ours: (sftp, path, { other }) => sftp.hardlink(other, path),
    node: (path, { other }) => fs.linkSync(other, path),
  }),
  'open r': open('r'),
  'open r+': open('r+'),
  'open w': open('w'),
  'open wx': open('wx'),
  'open a': open('a'),
  readFile: reading({ ours: (sftp, path) => sftp.readFile(path), node: (path) => fs.readFileSync(path) }),
  'open and read': reading({
    ours: async (sftp, path) => {
      await using file = await sftp.open(path);
      await file.read();
    },
    node: (path) => fs.readFileSync(path),
  }),
  writeFile: changing({
    ours: (sftp, path) => sftp.writeFile(path, CONTENT),
    node: (path) => fs.writeFileSync(path, CONTENT),
  }),
  appendFile: changing({
    ours: (sftp, path) => sftp.appendFile(path, CONTENT),
    node: (path) => fs.appendFileSync(path, CONTENT),
  }),
  createReadStream: reading({
    ours: (sftp, path) => to(sftp.createReadStream(path)),
    node: (path) => fs.readFileSync(path),
  }),
  createWriteStream: changing({
    ours: (sftp, path) => from(sftp.createWriteStream(path)),
    node: (path) => fs.writeFileSync(path, CONTENT),
  }),
  get: reading({
    ours: (sftp, path, { local }) => sftp.get(path, join(local, 'got')),
    node: (path) => fs.readFileSync(path),
  }),
  getfo: reading({
    ours: (sftp, path) => sftp.getfo(path, { write: () => {} }),
    node: (path) => fs.readFileSync(path),
  }),
  checksum: reading({ ours: (sftp, path) => sftp.checksum(path), node: (path) => fs.readFileSync(path) }),
  getR: reading({
    ours: (sftp, path, { local }) => sftp.getR(path, local),
    node: (path) => fs.readdirSync(path),
  }),
  getD: reading({
    ours: (sftp, path, { local }) => sftp.getD(path, local),
    node: (path) => fs.readdirSync(path),
  }),
  'mirror down': reading({
    ours: (sftp, path, { local }) => sftp.mirror(path, join(local, 'mirror'), { direction: 'down' }),
    node: (path) => fs.readdirSync(path),
  }),
  // A file that exists is replaced by a new one that was written beside it.
  put: changing({
    ours: (sftp, path, { local }) => sftp.put(join(local, 'content'), path),
    node: replaceFile,
  }),
  'put, in place': changing({
    ours: (sftp, path, { local }) => sftp.put(join(local, 'content'), path, { atomic: false }),
    node: (path) => fs.writeFileSync(path, CONTENT),
  }),
  putfo: changing({
    ours: (sftp, path) => sftp.putfo(CONTENT, path),
    node: (path) => fs.writeFileSync(path, CONTENT),
  }),
  'put, atomic': changing({
    ours: (sftp, path, { local }) => sftp.put(join(local, 'content'), path, { atomic: true }),
    node: replaceFile,
  }),
  'copy from': changing({
    ours: (sftp, path, { fresh }) => sftp.copy(path, fresh),
    node: (path, { fresh }) => fs.writeFileSync(fresh, fs.readFileSync(path)),
  }),
  'copy to': changing({ ours: (sftp, path, { other }) => sftp.copy(other, path), node: replaceFile }),
  putR: changing({
    ours: (sftp, path, { local }) => sftp.putR(join(local, 'tree'), path),
    node: copyTreeTo,
  }),
  putD: changing({
    ours: (sftp, path, { local }) => sftp.putD(join(local, 'tree'), path),
    node: (path) => {
      fs.readdirSync(path);
      fs.writeFileSync(join(path, 'content'), CONTENT);
    },
  }),
  'mirror up': changing({
    ours: (sftp, path, { local }) => sftp.mirror(join(local, 'tree'), path, { direction: 'up' }),
    node: copyTreeTo,
  }),
};

function changeDirectory(path: string): void {
  const before = process.cwd();
  process.chdir(path);
  process.chdir(before);
}

function touch(path: string): void {
  try {
    fs.utimesSync(path, 1, 1);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    fs.closeSync(fs.openSync(path, 'a'));
  }
}

function replaceFile(path: string): void {
  const aside = join(path, '..', 'aside');
  if (fs.lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) fs.openSync(path, 'w');
  fs.writeFileSync(aside, CONTENT);
  fs.renameSync(aside, path);
}

function copyTreeTo(path: string): void {
  fs.mkdirSync(path, { recursive: true });
  fs.writeFileSync(join(path, 'content'), CONTENT);
}

/** `ok`, or the code of the failure. */
export async function codeOf(call: () => unknown): Promise<string> {
  try {
    await call();
    return 'ok';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}
