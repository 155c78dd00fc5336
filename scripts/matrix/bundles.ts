/**
 * Does what docs/bundlers.md says: installs the packed package and a tool in an empty project, bundles a program with the
 * snippets of the page, and runs the result against the embedded server. It has to run without `node_modules` where all is
 * in the bundle, and with and without ssh2's native code where it is made.
 */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startServer } from '../../src/testing/index.js';
import { npm } from './packed.js';
import { type TableRow, writeTable } from './platforms.js';

const APP = readFileSync(fileURLToPath(new URL('app.mjs', import.meta.url)), 'utf8');
const STEP_MS = 180_000;
/** Tools that are tried side by side. */
const AT_ONCE = 2;
/** More than one request, and no whole number of them. */
const SENT_BYTES = 3_000_001;

/** What ssh2 compiles where it is installed. */
const NATIVE_CODE = ['ssh2/lib/protocol/crypto/build', 'cpu-features/build'];

/** No bundle, but tried like one: docs/platforms.md has the line that installs with it. */
const PNPM = 'installed with pnpm';

interface Tool {
  readonly name: string;
  /** The package whose version counts; left out: Node.js itself. */
  readonly version?: string;
  /** The headings of the page whose files and commands are taken, in this order. */
  readonly sections: readonly string[];
  /** In place of a section that only has a row in the table of those that leave tsftp out. */
  readonly outside?: Outside;
  /** What is run in the end. */
  readonly result: string;
  /** Without node_modules. */
  readonly isWhole: boolean;
}

interface Outside {
  readonly file: string;
  readonly text: (options: string) => string;
  readonly commands: readonly string[];
}

const whole = (name: string, version: string, result: string): Tool => ({
  name,
  version,
  sections: [name],
  result,
  isWhole: true,
});
const outside = (name: string, result: string, row?: Outside): Tool => ({
  name: `${name}, tsftp outside`,
  version: name,
  sections: row === undefined ? ['Leave tsftp out of the bundle'] : [],
  ...(row && { outside: row }),
  result,
  isWhole: false,
});

/** Those that take long come first, as several are tried at once. */
const TOOLS: readonly Tool[] = [
  whole('webpack', 'webpack', 'dist/app.cjs'),
  whole('ncc', '@vercel/ncc', 'dist/index.cjs'),
  whole('rollup', 'rollup', 'dist/app.cjs'),
  { name: 'single executable of Node.js', sections: ['esbuild', 'Node.js'], result: 'app', isWhole: true },
  { name: PNPM, version: 'pnpm', sections: ['Installing'], result: 'app.mjs', isWhole: false },
  whole('vite', 'vite', 'dist/app.cjs'),
  whole('esbuild', 'esbuild', 'dist/esbuild.cjs'),
  whole('esbuild, ES module', 'esbuild', 'dist/esbuild.mjs'),
  outside('esbuild', 'dist/app.cjs', {
    file: 'build.mjs',
    text: (options) => `import { build } from 'esbuild';
      await build({ entryPoints: ['app.mjs'], bundle: true, platform: 'node', outfile: 'dist/app.cjs', ${options} });`,
    commands: ['npm install --save-dev esbuild', 'node build.mjs'],
  }),
  outside('rollup', 'dist/rollup.mjs'),
  outside('vite', 'dist/app.mjs', {
    file: 'vite.config.mjs',
    text: () => "export default { build: { ssr: 'app.mjs' } };",
    commands: ['npm install --save-dev vite', 'npx vite build'],
  }),
  outside('webpack', 'dist/app.cjs', {
    file: 'webpack.config.cjs',
    text: (options) =>
      `module.exports = { mode: 'production', target: 'node20', entry: './app.mjs', output: { filename: 'app.cjs' }, ${options} };`,
    commands: ['npm install --save-dev webpack webpack-cli', 'npx webpack'],
  }),
];

/** How a tool's bundles ran. */
export interface BundleRow {
  readonly name: string;
  readonly version: string;
  readonly error?: string;
}

/** Writes the table of docs/platforms.md. */
export function writeBundles(rows: readonly BundleRow[], file: string): void {
  const lines = rows.map(
    ({ name, version, error }): TableRow => [name, version, error?.slice(0, 160) ?? 'runs'],
  );
  writeTable(lines, { file, made: 'npm run matrix -- --bundlers', header: ['Bundle', 'Version', 'Result'] });
}

interface BundleRun {
  /** The packed package. */
  readonly archive: string;
  /** What names of tools begin with; none: all tools. */
  readonly words: readonly string[];
  /** Without ssh2's native code too. */
  readonly isThorough: boolean;
}

export async function runBundles(root: string, run: BundleRun): Promise<readonly BundleRow[]> {
  const { archive, words, isThorough } = run;
  const [page, pnpmPage] = ['bundlers.md', 'platforms.md'].map((name) =>
    readFileSync(join(root, 'docs', name), 'utf8'),
  ) as [string, string];
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-bundles-'));
  try {
    const packages = join(folder, 'packages');
    mkdirSync(packages);
    writeFileSync(join(packages, 'package.json'), '{ "private": true }\n');
    npm(['install', '--no-audit', '--no-fund', archive], packages);
    const isCompiled = NATIVE_CODE.every((path) => existsSync(join(packages, 'node_modules', path)));
    if (!isCompiled) console.log("Bundles are tried without ssh2's native code, which was not compiled");
    const projects = new Projects(folder, packages);
    const wanted = TOOLS.filter(
      ({ name }) => words.length === 0 || words.some((word) => name.startsWith(word)),
    );
    const waiting = [...wanted.entries()];
    const rows: BundleRow[] = [];
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [at, tool] = next;
        const startMs = performance.now();
        const row =
          tool.name === PNPM
            ? await tryPnpm(tool, { page: pnpmPage, archive, folder: join(folder, 'pnpm') })
            : await tryTool(tool, { page, projects, isThorough });
        const seconds = Math.round((performance.now() - startMs) / 1000);
        console.log(`${row.name} ${row.version}: ${row.error ?? 'runs'}, ${seconds} s`);
        rows[at] = row;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Projects with the packed package and tools. What is installed by the same commands is installed once, and copied. */
class Projects {
  readonly #folder: string;
  readonly #packages: string;
  readonly #installed = new Map<string, Promise<string>>();
  #count = 0;

  constructor(folder: string, packages: string) {
    this.#folder = folder;
    this.#packages = packages;
  }

  async make(commands: readonly string[]): Promise<string> {
    const key = commands.join('\n');
    const installing = this.#installed.get(key) ?? this.#install(commands);
    this.#installed.set(key, installing);
    const [installed, folder] = [await installing, this.#newFolder()];
    // Hard links, as nothing of it is written to.
    execFileSync('cp', ['-al', installed, folder]);
    return folder;
  }

  async #install(commands: readonly string[]): Promise<string> {
    const folder = this.#newFolder();
    cpSync(this.#packages, folder, { recursive: true, verbatimSymlinks: true });
    for (const command of commands) await shell(command, folder);
    return folder;
  }

  #newFolder(): string {
    this.#count += 1;
    return join(this.#folder, `project-${this.#count}`);
  }
}

async function tryPnpm(
  tool: Tool,
  { page, archive, folder }: { readonly page: string; readonly archive: string; readonly folder: string },
): Promise<BundleRow> {
  let version = '';
  try {
    const project = join(folder, 'project');
    mkdirSync(project, { recursive: true });
    for (const each of [folder, project]) writeFileSync(join(each, 'package.json'), '{ "private": true }\n');
    npm(['install', '--no-audit', '--no-fund', 'pnpm'], folder);
    version = versionOf(tool, folder);
    writeFileSync(join(project, 'app.mjs'), APP);
    for (const command of fromSections(page, tool).commands) {
      const words = command.replace(' tsftp ', ` '${archive}' --store-dir '${join(folder, 'store')}' `);
      await shell(words.replace(/^pnpm/, `'${join(folder, 'node_modules', '.bin', 'pnpm')}'`), project);
    }
    await runResult(tool, project);
    return { name: tool.name, version };
  } catch (error) {
    return failed(tool, version, error);
  }
}

function failed({ name }: Tool, version: string, error: unknown): BundleRow {
  const { message, stderr = '', stdout = '' } = error as Error & { stderr?: string; stdout?: string };
  return { name, version, error: `${message}\n${stdout}\n${stderr}`.slice(-2_000) };
}

async function tryTool(
  tool: Tool,
  {
    page,
    projects,
    isThorough,
  }: { readonly page: string; readonly projects: Projects; readonly isThorough: boolean },
): Promise<BundleRow> {
  let version = '';
  try {
    const { files, commands } = tool.outside ? fromTable(page, tool, tool.outside) : fromSections(page, tool);
    const isInstall = (command: string): boolean => command.startsWith('npm install ');
    const folder = await projects.make(commands.filter(isInstall));
    version = versionOf(tool, folder);
    writeFileSync(join(folder, 'app.mjs'), APP);
    writeFileSync(
      join(folder, 'app.cjs'),
      APP.replace(/^import (.*) from ('.*');$/m, 'const $1 = require($2);'),
    );
    for (const { name, text } of files) writeFileSync(join(folder, name), text);
    for (const hasNativeCode of isThorough ? [true, false] : [true]) {
      if (!hasNativeCode) {
        for (const path of NATIVE_CODE)
          rmSync(join(folder, 'node_modules', path), { recursive: true, force: true });
      }
      for (const path of ['dist', 'app']) rmSync(join(folder, path), { recursive: true, force: true });
      for (const command of commands.filter((each) => !isInstall(each))) await shell(command, folder);
      await runResult(tool, folder);
    }
    return { name: tool.name, version };
  } catch (error) {
    return failed(tool, version, error);
  }
}

interface Instructions {
  readonly files: readonly { readonly name: string; readonly text: string }[];
  readonly commands: readonly string[];
}

/** A file begins with its name in a comment, or a comment of the page above it says that. */
function fromSections(page: string, { sections }: Tool): Instructions {
  const files: { readonly name: string; readonly text: string }[] = [];
  const commands: string[] = [];
  for (const title of sections) {
    const [, after = ''] = page.split(new RegExp(`^#+ ${title}$`, 'm'));
    const [section = ''] = after.split(/^#+ /m);
    const blocks = [...section.matchAll(/(?:^<!-- excerpt: (\S+)[^\n]*-->\n)?^```(\w+)\n(.*?)^```$/gms)];
    if (blocks.length === 0) throw new Error(`There is nothing to do under "${title}"`);
    for (const [, above = '', language, text = ''] of blocks) {
      const name = /^\/\/ (\S+)\n/.exec(text)?.[1] ?? above;
      if (language === 'sh') commands.push(...text.trim().split('\n'));
      else files.push({ name, text });
    }
  }
  return { files, commands };
}

function fromTable(page: string, { version = '' }: Tool, { file, text, commands }: Outside): Instructions {
  const row = new RegExp(`^\\| ${version} \\| (.*) \\|$`, 'm').exec(page);
  if (row === null) throw new Error(`docs/bundlers.md has no row for ${version}`);
  const [, options = ''] = /^`(.*)`$/.exec(row[1] ?? '') ?? [];
  return { files: [{ name: file, text: text(options) }], commands };
}

async function shell(command: string, cwd: string): Promise<void> {
  // Without the settings of this project, which npm hands on.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const quiet = { npm_config_audit: 'false', npm_config_fund: 'false', npm_config_yes: 'true' };
  await promisify(execFile)('bash', ['-c', command], { cwd, env: { ...env, ...quiet }, timeout: STEP_MS });
}

function versionOf({ version }: Tool, folder: string): string {
  if (version === undefined) return process.version;
  const file = join(folder, 'node_modules', version, 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** What is whole runs from a folder of its own. */
async function runResult({ result, isWhole }: Tool, folder: string): Promise<void> {
  const elsewhere = mkdtempSync(join(tmpdir(), 'tsftp-bundle-'));
  const path = result.includes('/') ? dirname(result) : result;
  await using server = await startServer({ files: {} }, { users: { me: 'secret' } });
  try {
    const place = isWhole ? elsewhere : folder;
    if (isWhole) cpSync(join(folder, path), join(elsewhere, path), { recursive: true });
    const [sent, fetched] = [join(elsewhere, 'sent'), join(elsewhere, 'fetched')];
    const bytes = randomBytes(SENT_BYTES);
    writeFileSync(sent, bytes);
    const env = {
      ...process.env,
      SFTP_PORT: String(server.port),
      SFTP_FINGERPRINT: server.hostKey.fingerprint,
      SENT: sent,
      FETCHED: fetched,
    };
    const file = join(place, result);
    const [program, ...words] = /js$/.test(result) ? [process.execPath, file] : [file];
    await promisify(execFile)(program, words, { cwd: place, env, timeout: STEP_MS });
    if (!server.readFile('/sent').equals(bytes)) throw new Error('What has been sent is not what it was');
    if (!readFileSync(fetched).equals(bytes)) throw new Error('What was fetched is not what was sent');
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
}
