/**
 * The package as programs of users find it: built once for a test file, so that each program starts in a fraction of a
 * second. What is built lies below the project's own node_modules, where its dependencies are found.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { after } from 'node:test';
import { pathToFileURL } from 'node:url';
import { build, transform } from 'esbuild';

/** The names under which programs import it, each with its source. */
const ENTRY_POINTS = {
  '.': 'src/index.ts',
  './testing': 'src/testing/index.ts',
  './terminal': 'src/terminal/index.ts',
  './jobs': 'src/jobs/index.ts',
  './fs': 'src/fs/index.ts',
  './ssh2-sftp-client': 'src/ssh2-sftp-client/index.ts',
} as const;

export interface ProgramResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface BuiltPackage {
  /** The URL of an entry point's JavaScript. */
  urlOf(entryPoint: keyof typeof ENTRY_POINTS): string;
  /** Installs it as `tsftp` in a folder. `index`: JavaScript in place of the first entry point. */
  install(folder: string, index?: string): Promise<void>;
}

/** Builds it; removed after the tests of the file. */
export async function buildPackage(): Promise<BuiltPackage> {
  await mkdir('node_modules/.cache', { recursive: true });
  const out = await mkdtemp(resolve('node_modules/.cache', 'tsftp-'));
  after(() => rm(out, { recursive: true, force: true }));
  await build({
    entryPoints: Object.values(ENTRY_POINTS),
    outbase: 'src',
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'warning',
  });
  const urlOf = (entryPoint: keyof typeof ENTRY_POINTS): string =>
    pathToFileURL(join(out, ENTRY_POINTS[entryPoint].replace(/^src\//, '').replace(/\.ts$/, '.mjs'))).href;
  return {
    urlOf,
    install: async (folder, index) => {
      const root = join(folder, 'node_modules', 'tsftp');
      const names = Object.keys(ENTRY_POINTS) as (keyof typeof ENTRY_POINTS)[];
      const files = names.map((name) => [name, name === '.' ? './index.mjs' : `${name}.mjs`] as const);
      await write(
        join(root, 'package.json'),
        JSON.stringify({ name: 'tsftp', exports: Object.fromEntries(files) }),
      );
      for (const [name, file] of files) {
        const url = JSON.stringify(urlOf(name));
        const named = `export * from ${url};\n`;
        // `*` does not stand for what an import without braces and `require` give.
        const code =
          name === './ssh2-sftp-client'
            ? `${named}export { default, default as 'module.exports' } from ${url};\n`
            : named;
        await write(join(root, file), name === '.' && index !== undefined ? index : code);
      }
    },
  };
}

/** Compiles a program into a folder and runs it there with plain Node. */
export async function runProgram(
  folder: string,
  source: { readonly file: string; readonly code?: string },
  env: NodeJS.ProcessEnv = {},
): Promise<ProgramResult> {
  const { file, code = await readFile(file, 'utf8') } = source;
  const isCommonJs = file.endsWith('.cjs');
  const name = basename(file).replace(/\.\w+$/, isCommonJs ? '.cjs' : '.mjs');
  const options = { loader: 'ts', target: 'node20.19', format: isCommonJs ? 'cjs' : 'esm' } as const;
  await write(join(folder, name), (await transform(code, options)).code);
  const child = spawn(process.execPath, [name], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { status: child.exitCode, stdout, stderr };
}

async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}
