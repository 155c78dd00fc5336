/** The map of the house: what each folder may import, told once and kept everywhere; see docs/architecture.md. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, posix, relative, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { readLayers, withRules, withTable } from '../../scripts/layers.js';

const MAX_FILES = 16;
const layers = readLayers();

/** Every file of `src/`, as `wire/codec`. */
const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -'.ts'.length));

/** What a file imports of ours, types as well. */
function importsOf(file: string): readonly string[] {
  const text = readFileSync(`src/${file}.ts`, 'utf8');
  return [...text.matchAll(/(?:from|import\() ?'(\.[^']+)\.js'/g)].map(([, name = '']) =>
    posix.join(posix.dirname(file), name),
  );
}

function folderOf(file: string): string {
  return posix.dirname(file);
}

describe('The map of the source', () => {
  test('has a row for every folder, and for every file beside the folders', () => {
    const wanted = new Set(
      files.map((file) => (folderOf(file) === '.' ? `src/${file}.ts` : `src/${folderOf(file)}`)),
    );
    assert.deepEqual(layers.map(({ where }) => where).sort(), [...wanted].sort());
  });

  test('is what the linter has as rules and the documentation shows as a table', () => {
    const config = readFileSync('biome.json', 'utf8');
    assert.deepEqual(JSON.parse(config), withRules(config), 'npm run layers');
    const document = readFileSync('docs/architecture.md', 'utf8');
    assert.equal(document, withTable(document), 'npm run layers');
  });

  test('is told with names of files that exist', () => {
    const document = readFileSync('docs/architecture.md', 'utf8');
    const named = [...document.matchAll(/`([\w/-]+)\.ts`/g)].map(([, name = '']) => name);
    const paths = [
      ...files,
      ...readdirSync('test', { recursive: true, encoding: 'utf8' }).map(
        (name) => `test/${name.replace(/\.ts$/, '')}`,
      ),
    ];
    const missing = named.filter((name) => !paths.some((path) => path === name || path.endsWith(`/${name}`)));
    assert.deepEqual(missing, []);
  });

  test(`has no folder with more than ${MAX_FILES} files beside each other`, () => {
    const full = [...new Set(files.map(folderOf))].filter(
      (folder) => files.filter((file) => folderOf(file) === folder).length > MAX_FILES,
    );
    assert.deepEqual(full, []);
  });

  test('has no cycle of imports, not even of types', () => {
    const done = new Set<string>();
    const walk = (file: string, way: readonly string[]): void => {
      assert.ok(!way.includes(file), [...way, file].join(' → '));
      if (done.has(file)) return;
      for (const next of importsOf(file)) walk(next, [...way, file]);
      done.add(file);
    };
    for (const file of files) walk(file, []);
  });
});

/** Imports to try in a file of a row: of each other folder one file, and some packages. */
function tries({
  where,
  imports,
  packages,
}: (typeof layers)[number]): Record<'allowed' | 'refused', string[]> {
  const file = where.endsWith('.ts') ? where.slice('src/'.length) : `${where.slice('src/'.length)}/any.ts`;
  const own = folderOf(file);
  const isAllowed = (name: string): boolean =>
    (own !== '.' && folderOf(name) === own) ||
    imports.some((entry) =>
      entry.endsWith('/') ? new RegExp(`^${entry.replace('*', '[^/]+')}[^/]+$`).test(name) : entry === name,
    );
  const specifier = (name: string): string => {
    const path = posix.relative(own, `${name}.js`);
    return path.startsWith('.') ? path : `./${path}`;
  };
  const known = ['node:fs', 'node:fs/promises', 'node:buffer', 'ssh2', 'cli-progress'];
  const mayTake = (name: string): boolean =>
    packages.includes(name) || (name.startsWith('node:') && packages.includes('node:*'));
  return {
    allowed: [...files.filter(isAllowed).map(specifier), ...known.filter(mayTake)],
    refused: [
      ...files.filter((name) => !isAllowed(name)).map(specifier),
      ...known.filter((name) => !mayTake(name)),
    ],
  };
}

test('The linter lets imports follow the map, and refuses every other one', (t) => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'tsftp-layers-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync('biome.json', join(folder, 'biome.json'));
  const refused: string[] = [];
  const written = new Map<string, readonly string[]>();
  for (const layer of layers) {
    const file = layer.where.endsWith('.ts') ? layer.where : `${layer.where}/any.ts`;
    const names = tries(layer);
    const imports = [...names.allowed, ...names.refused];
    write(join(folder, file), imports.map((name) => `import '${name}';\n`).join(''));
    written.set(file, imports);
    refused.push(...names.refused.map((name) => `${file} ${name}`));
  }
  assert.deepEqual(lint(folder, written), refused.sort());
});

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Which imports the linter refuses: file and name. */
function lint(folder: string, written: ReadonlyMap<string, readonly string[]>): string[] {
  const biome = resolve('node_modules/@biomejs/biome/bin/biome');
  const words = ['lint', '--only=style/noRestrictedImports', '--vcs-enabled=false', '--max-diagnostics=none'];
  const { stdout } = spawnSync(process.execPath, [biome, ...words, '--reporter=github', '.'], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return [...stdout.matchAll(/file=([^,]+),line=(\d+)/g)]
    .map(([, file = '', line = '']) => {
      const path = relative(folder, resolve(folder, file)).replaceAll('\\', '/');
      return `${path} ${written.get(path)?.[Number(line) - 1]}`;
    })
    .sort();
}
