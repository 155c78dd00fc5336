// The test files as plain JavaScript. Compiling the whole library again in each of some two hundred processes would
// take most of their time: one build of all of them takes two seconds.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const FOLDER = '.test-build';

/** Modules keep the place of their source: what they read or start beside themselves is there. */
const inPlace = {
  name: 'in-place',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (path.includes('node_modules') || !text.includes('import.meta.')) return undefined;
      const contents = text
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)));
      return { contents, loader: 'ts' };
    });
  },
};

/** Builds the files. Gives the folder, for each file the path of what was built, and a function that removes all of it. */
export async function buildTests(files) {
  mkdirSync(FOLDER, { recursive: true });
  const folder = mkdtempSync(join(FOLDER, 'run-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    await build({
      entryPoints: files,
      outdir: folder,
      outbase: '.',
      outExtension: { '.js': '.mjs' },
      chunkNames: 'shared/[name]-[hash]',
      bundle: true,
      splitting: true,
      packages: 'external',
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      sourcemap: 'linked',
      sourcesContent: false,
      plugins: [inPlace],
      logLevel: 'warning',
    });
  } catch (error) {
    remove();
    throw error;
  }
  const built = (file) => resolve(folder, `${file.slice(0, -extname(file).length)}.mjs`);
  return { built, folder: resolve(folder), remove };
}
