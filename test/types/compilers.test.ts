/** The declarations of the built package, with the oldest and the newest TypeScript that are supported. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { makeFolder } from '../support/folder.js';

const COMPILERS = ['typescript-5.4', 'typescript-7'] as const;

const CONFIG = {
  compilerOptions: {
    target: 'es2022',
    lib: ['es2022', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    types: ['node'],
  },
  include: ['*.ts'],
};

const skip = !existsSync('dist/index.d.mts') && 'needs `npm run build`';

describe('every option, right and wrong', { skip }, () => {
  for (const compiler of COMPILERS) {
    test(`compiles as it should with ${compiler} and the declarations of the package`, async (t) => {
      const folder = makeFolder(t);
      const modules = join(folder, 'node_modules');
      await mkdir(join(modules, '@types'), { recursive: true });
      for (const name of ['@types/node', 'undici-types']) {
        await symlink(resolve('node_modules', name), join(modules, name));
      }
      await cp('dist', join(modules, 'tsftp', 'dist'), { recursive: true });
      await cp('package.json', join(modules, 'tsftp', 'package.json'));
      const program = await readFile('test/types/options.ts', 'utf8');
      await writeFile(join(folder, 'options.ts'), program.replace("'../../src/index.js'", "'tsftp'"));
      await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
      await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(CONFIG));
      const tsc = resolve('node_modules', compiler, 'bin', 'tsc');
      const { stdout } = await promisify(execFile)(process.execPath, [tsc, '-p', folder]).catch(
        (error) => error,
      );
      assert.equal(stdout, '');
    });
  }
});
