/**
 * Another user of this machine, without rights, who means harm: a program of his runs in his name while a test runs.
 * He needs root, to be made.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { addUser } from './sshd.js';

/** The reason to skip a suite, or `false`. */
export const needsRoot =
  process.getuid?.() === 0 ? false : 'needs root, to make a user without rights who attacks';

/** How long an attack that depends on chance goes on: `npm run attacks -- --minutes 10` makes it longer. */
export function attackMs(usualMs: number): number {
  const minutes = Number(process.env.TSFTP_ATTACK_MINUTES ?? 0);
  return minutes > 0 ? (minutes * 60_000) / RANDOM_ATTACKS : usualMs;
}

/** How many attacks share the minutes. */
const RANDOM_ATTACKS = 6;

export interface Attacker {
  readonly uid: number;
  readonly gid: number;
  /** Runs shell commands in his name. */
  run(script: string): void;
  /** Runs a program of Node's in his name until the result is called; resolves once it prints its first line. */
  start(program: string): Promise<() => Promise<void>>;
}

/** Removed when the test has ended. */
export function makeAttacker(t: TestContext): Attacker {
  const user = addUser();
  t.after(() => user[Symbol.dispose]());
  const [uid = 0, gid = 0] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, user.name])));
  const identity = { uid, gid, cwd: '/', env: { PATH: process.env.PATH } };
  return {
    uid,
    gid,
    run: (script) => void execFileSync('/bin/sh', ['-ec', `umask 0; ${script}`], identity),
    start: async (program) => {
      const child = spawn(process.execPath, ['-e', program], {
        ...identity,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await firstLine(child);
      const exited = once(child, 'exit');
      return async () => {
        child.kill('SIGKILL');
        await exited;
      };
    },
  };
}

async function firstLine(child: ChildProcess): Promise<void> {
  if (child.stdout === null) throw new Error('has no output');
  await once(createInterface({ input: child.stdout }), 'line');
}

/** A folder in a place that everybody can enter; `mode` is that of the folder, `owner` whose it is. */
export function makeSharedFolder(
  t: TestContext,
  { mode = 0o755, owner }: { readonly mode?: number; readonly owner?: Attacker } = {},
): string {
  const outer = mkdtempSync(join(tmpdir(), 'tsftp-attack-'));
  t.after(() => rmSync(outer, { recursive: true, force: true, maxRetries: 3 }));
  chmodSync(outer, 0o755);
  const folder = join(outer, 'shared');
  mkdirSync(folder);
  chmodSync(folder, mode);
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  return folder;
}

/** A folder that only root may enter, with files whose content is `secret …`. */
export function makePrivateFolder(t: TestContext, names: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-private-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  for (const name of names) writeFileSync(join(folder, name), `secret ${name}`, { mode: 0o600 });
  return folder;
}

/**
 * A program that exchanges each of `names` in a folder for a symbolic link that leads to where `links` says, and back,
 * as fast as it can. Each name is there all the time but for moments.
 */
export function swapper(folder: string, links: Readonly<Record<string, string>>): string {
  return `
    const { renameSync, symlinkSync } = require('node:fs');
    process.chdir(${JSON.stringify(folder)});
    const links = ${JSON.stringify(links)};
    for (const [name, target] of Object.entries(links)) symlinkSync(target, '.link-' + name);
    console.log('ready');
    const steps = (name) => [[name, '.real-' + name], ['.link-' + name, name], [name, '.link-' + name], ['.real-' + name, name]];
    for (let junk = 0; ; ) for (const name of Object.keys(links)) for (const [from, to] of steps(name)) {
      // Whoever is attacked makes what he misses: that goes out of the way.
      for (let isDone = false; !isDone; ) try {
        renameSync(from, to);
        isDone = true;
      } catch (error) {
        if (!['EISDIR', 'ENOTDIR', 'ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error;
        renameSync(to, '.junk-' + junk++);
      }
    }`;
}
