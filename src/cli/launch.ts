/**
 * Starts the program, which is the file `program.cjs` beside this one, with the code that V8 has compiled for it before:
 * that saves a third of the time of a short command. Without a directory that is ours alone, it is compiled each time.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Script } from 'node:vm';

const program = join(__dirname, 'program.cjs');

/** Newer versions of Node do it by themselves. */
const { enableCompileCache } = nodeModule as { readonly enableCompileCache?: (folder: string) => unknown };

const folder = cacheFolder();
if (folder !== undefined && enableCompileCache === undefined) runCached(folder);
else {
  if (folder !== undefined) enableCompileCache?.(folder);
  nodeModule.createRequire(__filename)(program);
}

/** Where compiled code may lie: who could write there could run code as us. */
function cacheFolder(): string | undefined {
  if (process.platform === 'win32' || process.env.NODE_DISABLE_COMPILE_CACHE !== undefined) return undefined;
  try {
    const path = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tsftp');
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { uid, mode } = statSync(path);
    return uid === process.getuid?.() && (mode & 0o077) === 0 ? path : undefined;
  } catch {
    return undefined;
  }
}

/** V8 itself refuses what another version has compiled, or from another source. */
function runCached(path: string): void {
  const { mtimeMs, size } = statSync(program);
  const file = join(path, `${process.version}-${process.arch}-${size}-${Math.round(mtimeMs)}`);
  const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(program, 'utf8')}\n})`;
  const cachedData = readIfThere(file);
  const script = new Script(source, {
    filename: program,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  if (cachedData === undefined || script.cachedDataRejected === true) {
    // At the end the functions that were used are compiled too.
    process.once('exit', () => keep(file, script));
  }
  const module = { exports: {} };
  const run = script.runInThisContext() as (...values: readonly unknown[]) => void;
  run.call(
    module.exports,
    module.exports,
    nodeModule.createRequire(program),
    module,
    program,
    dirname(program),
  );
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** At best effort: nothing depends on it. */
function keep(file: string, script: Script): void {
  try {
    const temporary = `${file}.${process.pid}`;
    writeFileSync(temporary, script.createCachedData(), { mode: 0o600 });
    renameSync(temporary, file);
    // Of other versions and builds.
    for (const name of readdirSync(dirname(file))) {
      if (name !== basename(file)) rmSync(join(dirname(file), name), { force: true, recursive: true });
    }
  } catch {
    // The next start tries again.
  }
}
