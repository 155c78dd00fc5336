/** The layer rules of the linter, tried on files that keep and break them; see docs/architecture.md. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';

const RULES: Readonly<
  Record<string, { readonly allowed: readonly string[]; readonly refused: readonly string[] }>
> = {
  'src/wire/any.ts': {
    allowed: ['./codec.js', '../errors.js', '../printable.js', 'node:buffer'],
    refused: [
      '../session/session.js',
      '../ssh/ssh2.js',
      '../transfer/window.js',
      '../index.js',
      'node:fs',
      'ssh2',
    ],
  },
  'src/session/any.ts': {
    allowed: ['../wire/codec.js', '../abort.js', 'node:stream'],
    refused: [
      '../ssh/ssh2.js',
      '../transfer/window.js',
      '../connection/transfers.js',
      '../options.js',
      'node:net',
      'ssh2',
    ],
  },
  'src/ssh/any.ts': {
    allowed: ['../errors.js', 'ssh2', 'node:net'],
    refused: [
      '../wire/codec.js',
      '../session/session.js',
      '../transfer/local.js',
      '../connection.js',
      '../cnopts.js',
    ],
  },
  'src/transfer/any.ts': {
    allowed: ['../session/sftp-client.js', '../wire/attributes.js', '../remote-path.js', 'node:fs/promises'],
    refused: ['../ssh/ssh-connection.js', '../connection.js', '../testing/index.js', '../cnopts.js', 'ssh2'],
  },
  'src/testing/any.ts': {
    allowed: ['../wire/codec.js', '../errors.js', 'ssh2'],
    refused: ['../session/session.js', '../ssh/known-hosts.js', '../transfer/file-system.js', '../index.js'],
  },
  'src/connection/any.ts': {
    allowed: ['../transfer/copy-file.js', '../session/sftp-client.js', '../ssh/ssh-connection.js'],
    refused: ['../ssh/ssh2.js', '../wire/codec.js', '../connect.js', '../testing/index.js', 'ssh2'],
  },
  'src/connection.ts': {
    allowed: ['./connection/transfers.js', './session/sftp-client.js', './ssh/ssh-connection.js'],
    refused: ['./ssh/ssh2.js', './connect.js', './testing/index.js', './cli/demo.js', 'ssh2'],
  },
  'src/cli/any.ts': {
    allowed: ['../index.js', '../testing/index.js', '../printable.js', 'node:fs'],
    refused: ['../connect.js', '../session/session.js', '../testing/server.js', '../wire/codec.js'],
  },
  'src/terminal/any.ts': {
    allowed: ['../index.js', '../printable.js', 'cli-progress'],
    refused: ['../connection.js', '../transfer/copy-tree.js', '../cli/progress.js', '../testing/index.js'],
  },
  'src/errors.ts': {
    allowed: ['./printable.js'],
    refused: ['./wire/codec.js', './connection.js', './index.js'],
  },
  'src/any.ts': {
    allowed: ['./errors.js', './remote-path.js', 'node:path'],
    refused: ['./wire/codec.js', './transfer/local.js', './options.js'],
  },
  'src/connect.ts': {
    allowed: ['./connection.js', './session/session.js', './ssh/ssh2.js'],
    refused: ['./testing/index.js', './terminal/index.js', './cli/demo.js'],
  },
};

test('The linter lets imports follow the arrows between the layers, and refuses every other one', (t) => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'tsftp-layers-')));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync('biome.json', join(folder, 'biome.json'));
  const refused: string[] = [];
  for (const [file, rule] of Object.entries(RULES)) {
    const imports = [...rule.allowed, ...rule.refused];
    write(join(folder, file), imports.map((name) => `import '${name}';\n`).join(''));
    refused.push(...rule.refused.map((name) => `${file} ${imports.indexOf(name) + 1} ${name}`));
  }
  assert.deepEqual(lint(folder), refused.sort());
});

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** Which imports the linter refuses: file, line and name. */
function lint(folder: string): string[] {
  const biome = resolve('node_modules/@biomejs/biome/bin/biome');
  const words = ['lint', '--only=style/noRestrictedImports', '--vcs-enabled=false', '--max-diagnostics=none'];
  const { stdout } = spawnSync(process.execPath, [biome, ...words, '--reporter=github', '.'], {
    cwd: folder,
    encoding: 'utf8',
  });
  const lines = stdout.matchAll(/file=([^,]+),line=(\d+)/g);
  return [...lines]
    .map(([, file = '', line = '']) => {
      const path = relative(folder, resolve(folder, file)).replaceAll('\\', '/');
      const { allowed = [], refused = [] } = RULES[path] ?? {};
      return `${path} ${line} ${[...allowed, ...refused][Number(line) - 1]}`;
    })
    .sort();
}
