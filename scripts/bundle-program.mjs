// The program in one file with all that it needs: it starts faster so, and the library depends on nothing for it. Beside it
// is the file that starts it. What ssh2 compiles where it is installed stays there.
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

/** ssh2 looks for them beside itself, and does without where they are missing. */
const nativeParts = {
  name: 'native parts',
  setup({ onResolve }) {
    onResolve({ filter: /\.node$/ }, () => ({
      path: 'ssh2/lib/protocol/crypto/build/Release/sshcrypto.node',
      external: true,
    }));
    onResolve({ filter: /^cpu-features$/ }, ({ path }) => ({ path, external: true }));
  },
};

/** Writes `cli.cjs` and `program.cjs`, and gives the files that the program is made of. */
export async function bundleProgram(folder) {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const common = {
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'error',
  };
  const { metafile } = await build({
    ...common,
    entryPoints: { program: 'src/cli/main.ts' },
    minify: true,
    define: { 'process.env.TSFTP_VERSION_OF_BUILD': JSON.stringify(version) },
    plugins: [nativeParts],
    metafile: true,
  });
  await build({
    ...common,
    entryPoints: { cli: 'src/cli/launch.ts' },
    banner: { js: '#!/usr/bin/env node' },
  });
  chmodSync(join(folder, 'cli.cjs'), 0o755);
  return Object.keys(metafile.inputs);
}
