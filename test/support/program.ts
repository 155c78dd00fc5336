/** The program `tsftp` as it is published, built once for all test files, and a server of OpenSSH for it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Sshd, type SshdOptions, startSshd } from './sshd.js';

export interface ProgramRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** The path of the program. The first test file that asks for it builds it. */
export function builtProgram(): string {
  const all = process.env.TSFTP_TEST_BUILD ?? resolve('node_modules/.cache');
  const folder = join(
    all,
    process.env.TSFTP_TEST_BUILD === undefined ? `tsftp-program-${process.pid}` : 'program',
  );
  const program = join(folder, 'cli.cjs');
  if (existsSync(program)) return program;
  mkdirSync(all, { recursive: true });
  const out = mkdtempSync(join(all, 'program-'));
  const code =
    "const { bundleProgram } = await import('./scripts/bundle-program.mjs'); await bundleProgram(process.argv[1]);";
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code, out], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`The program cannot be built: ${stderr}`);
  try {
    renameSync(out, folder);
  } catch {
    // Another test file was faster.
    rmSync(out, { recursive: true });
  }
  if (process.env.TSFTP_TEST_BUILD === undefined)
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return program;
}

/** A folder with an ssh configuration for a server, and the program run with it. */
export interface ProgramWorld extends AsyncDisposable {
  readonly folder: string;
  readonly sshd: Sshd;
  /** The ssh configuration, in which the server is called `box`. */
  readonly config: string;
  readonly env: NodeJS.ProcessEnv;
  run(words: readonly string[], options?: ProgramOptions): Promise<ProgramRun>;
}

export async function startWorld(options: SshdOptions = {}): Promise<ProgramWorld> {
  const program = builtProgram();
  const sshd = await startSshd({ hostKeyTypes: ['ed25519'], ...options });
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-program-test-'));
  const config = join(folder, 'config');
  const lines = [
    'Host box',
    `HostName ${sshd.host}`,
    `Port ${sshd.port}`,
    `User ${sshd.user}`,
    `IdentityFile ${sshd.privateKeyPath}`,
    'IdentitiesOnly yes',
    `UserKnownHostsFile ${sshd.knownHosts}`,
    `ControlPath ${join(folder, 'control')}`,
    '',
  ];
  await writeFile(config, lines.join('\n'), { mode: 0o600 });
  await mkdir(join(folder, 'home'));
  const env = {
    ...process.env,
    HOME: join(folder, 'home'),
    XDG_CACHE_HOME: join(folder, 'cache'),
    XDG_STATE_HOME: join(folder, 'state'),
    SSH_AUTH_SOCK: '',
    NO_COLOR: '1',
  };
  return {
    folder,
    sshd,
    config,
    env,
    run: (words, more = {}) =>
      runProgram([process.execPath, program, '-F', config, ...words], {
        ...more,
        cwd: more.cwd ?? folder,
        env: { ...env, ...more.env },
      }),
    [Symbol.asyncDispose]: async () => {
      await sshd.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs any program to its end. Without `input`, its standard input is empty. */
export async function runProgram(
  [program = '', ...words]: readonly string[],
  { input, cwd, env }: ProgramOptions = {},
): Promise<ProgramRun> {
  const child = spawn(program, words, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], timeout: 60_000 });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { status: child.exitCode, stdout, stderr };
}
