/** The declarations of the built package, with the oldest and the newest TypeScript that are supported. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { makeFolder } from '../support/folder.js';

const COMPILERS = ['typescript-5.4', 'typescript-7'] as const;

/** How else TypeScript finds declarations, for programs of which kind. TypeScript 7 has no node10. */
const MODES = [
  ['node16', { module: 'node16' }, ['mts', 'cts'], COMPILERS],
  ['bundler', { module: 'esnext', moduleResolution: 'bundler' }, ['ts'], COMPILERS],
  ['node10', { module: 'commonjs', moduleResolution: 'node10' }, ['ts'], ['typescript-5.4']],
] as const;

type Compiler = (typeof COMPILERS)[number];

const CONFIG = {
  compilerOptions: {
    target: 'es2022',
    lib: ['es2022', 'esnext.disposable'],
    esModuleInterop: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
  },
  include: ['*'],
};

const skip = !existsSync('dist/index.d.mts') && 'needs `npm run build`';

/** What the compiler says of a program of the tests that has the built package installed. */
async function compile(
  t: TestContext,
  compiler: Compiler,
  { program, settings, endings }: { program: string; settings: object; endings: readonly string[] },
): Promise<string> {
  const folder = makeFolder(t);
  const modules = join(folder, 'node_modules');
  await mkdir(join(modules, '@types'), { recursive: true });
  for (const name of ['@types/node', 'undici-types']) {
    await symlink(resolve('node_modules', name), join(modules, name));
  }
  await cp('dist', join(modules, 'tsftp', 'dist'), { recursive: true });
  await cp('package.json', join(modules, 'tsftp', 'package.json'));
  const text = await readFile(`test/types/${program}.ts`, 'utf8');
  for (const ending of endings) {
    await writeFile(join(folder, `${program}.${ending}`), text.replace("'../../src/index.js'", "'tsftp'"));
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  const compilerOptions = { ...CONFIG.compilerOptions, ...settings };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ ...CONFIG, compilerOptions }));
  const tsc = resolve('node_modules', compiler, 'bin', 'tsc');
  const run = promisify(execFile)(process.execPath, [tsc, '-p', folder]);
  return run.then(
    ({ stdout }) => stdout,
    ({ stdout }) => stdout,
  );
}

describe('every option, right and wrong', { skip }, () => {
  for (const compiler of COMPILERS) {
    test(`compiles as it should with ${compiler} and the declarations of the package`, async (t) => {
      const settings = { module: 'nodenext' };
      assert.equal(await compile(t, compiler, { program: 'options', settings, endings: ['ts'] }), '');
    });
  }
});

describe('every entry point', { skip }, () => {
  for (const [mode, settings, endings, compilers] of MODES) {
    for (const compiler of compilers) {
      test(`is found with its types by ${compiler} with ${mode}`, async (t) => {
        assert.equal(await compile(t, compiler, { program: 'entry-points', settings, endings }), '');
      });
    }
  }
});
