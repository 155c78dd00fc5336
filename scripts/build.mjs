// The package as it is published: the program in one file, and the library. The library's code is CommonJS, in one file for each entry point and a few that they share, and
// ES modules are thin: they name what the CommonJS file has. So a program that uses both has one copy of every class, and
// every tool that knows `require` alone works. The types are one file for each entry point too.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
import { bundleProgram } from './bundle-program.mjs';

const ENTRY_POINTS = {
  index: 'index.ts',
  testing: 'testing/index.ts',
  terminal: 'terminal/index.ts',
  jobs: 'jobs/index.ts',
  fs: 'fs/index.ts',
  'ssh2-sftp-client': 'ssh2-sftp-client/entry.ts',
};
/** Its CommonJS module is the class itself, as programs expect that were written for the package of that name. */
const CLASS_ITSELF = 'ssh2-sftp-client';
const TYPES = 'dist/types';

function write(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** CommonJS from one build of all entry points, so that what they share is there once. Gives the names that each exports. */
async function buildCode() {
  const { outputFiles, metafile } = await build({
    entryPoints: Object.entries(ENTRY_POINTS).map(([out, source]) => ({ out, in: `src/${source}` })),
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    chunkNames: 'shared/[name]-[hash]',
    bundle: true,
    splitting: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'warning',
    metafile: true,
    write: false,
  });
  for (const { path, text } of outputFiles) {
    const { code } = await transform(text, { format: 'cjs', platform: 'node', target: 'node20.19' });
    write(join('dist', path.slice(path.lastIndexOf(`${join('dist', '/')}`) + 'dist/'.length)), code);
  }
  return (name) => metafile.outputs[`dist/${name}.cjs`].exports;
}

/**
 * Before 5.7, TypeScript knows no kinds of Uint8Array. And a type in a namespace that has the name of the one that it
 * stands for, in another file of the source, would stand for itself where both are in one.
 */
function forEveryCompiler(declarations) {
  const itself = /^( +(?:export )?type (\w+)) = \2;$/gm;
  const aliases = [...declarations.matchAll(itself)].map(([, , name]) => `type ${name}_ = ${name};\n`);
  return declarations
    .replaceAll(/\b(Uint8Array|Buffer(?:\$1)?)<ArrayBufferLike>/g, '$1')
    .replaceAll(itself, '$1 = $2_;')
    .concat(...aliases);
}

/** One declaration file for each entry point, without anything that the source has beside it. */
async function buildTypes() {
  const compiler = fileURLToPath(import.meta.resolve('typescript/lib/tsc.js'));
  const words = ['-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--outDir', TYPES];
  execFileSync(process.execPath, [compiler, ...words], { stdio: 'inherit' });
  const input = Object.fromEntries(
    Object.entries(ENTRY_POINTS).map(([name, source]) => [
      name,
      join(TYPES, source.replace(/\.ts$/, '.d.ts')),
    ]),
  );
  const bundle = await rollup({
    input,
    plugins: [dts()],
    external: (name) => /^[\w@]/.test(name) && !name.startsWith('dist'),
  });
  for (const [module, ending] of [
    ['mts', '.mjs'],
    ['cts', '.cjs'],
  ]) {
    const { output } = await bundle.generate({
      entryFileNames: `[name].d.${module}`,
      chunkFileNames: ({ name }) => `shared/${name.replace(/\.d$/, '')}.d.${module}`,
    });
    for (const { fileName, code } of output) {
      const linked = code.replaceAll(/(from '\.[^']*)\.(?:js|mjs|cjs|d\.mts|d\.cts)'/g, `$1${ending}'`);
      write(join('dist', fileName), forEveryCompiler(linked));
    }
  }
  await bundle.close();
  rmSync(TYPES, { recursive: true });
}

/** The program, with its manual and the licenses of what it contains. */
async function buildProgram() {
  const inputs = await bundleProgram('dist');
  write('dist/tsftp.1', execFileSync(process.execPath, ['dist/program.cjs', 'manual']));
  write('dist/program.licenses.txt', licensesOf(inputs));
}

/** Of the packages that the program contains. */
function licensesOf(files) {
  const names = files.map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]);
  const packages = [...new Set(names.filter((name) => name !== undefined))].sort();
  return packages
    .map((name) => {
      const folder = `node_modules/${name}`;
      const license = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
      const { version, license: id } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
      const text = license === undefined ? '' : `\n${readFileSync(`${folder}/${license}`, 'utf8').trim()}\n`;
      return `${name} ${version} (${id})\n${text}`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

rmSync('dist', { recursive: true, force: true });
await buildProgram();
const namesOf = await buildCode();
await buildTypes();
for (const name of Object.keys(ENTRY_POINTS)) {
  const names = namesOf(name).filter((each) => each !== 'default');
  const file = `./${name}.cjs`;
  if (name === CLASS_ITSELF) {
    for (const ending of ['.cjs', '.d.cts']) {
      const text = readFileSync(`dist/${name}${ending}`, 'utf8');
      const moved = text.replaceAll(
        /(['"])\.\/(shared\/)?([\w-]+\.cjs\1)/g,
        (_, quote, shared, file) => `${quote}${shared ? './' : '../'}${file}`,
      );
      write(`dist/shared/${name}${ending}`, moved);
    }
    write(
      `dist/${name}.cjs`,
      `'use strict';\nconst { SftpClient } = require('./shared/${name}.cjs');\nmodule.exports = SftpClient;\nmodule.exports.SftpClient = SftpClient;\nmodule.exports.default = SftpClient;\n`,
    );
    write(
      `dist/${name}.d.cts`,
      `import entry = require('./shared/${name}.cjs');\nimport SftpClient = entry.SftpClient;\nexport = SftpClient;\n`,
    );
    write(
      `dist/${name}.mjs`,
      `import SftpClient from '${file}';\nexport { SftpClient, SftpClient as default };\n`,
    );
  } else {
    write(`dist/${name}.mjs`, `import all from '${file}';\nexport const { ${names.join(', ')} } = all;\n`);
  }
}
