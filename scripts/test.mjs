// Runs the test files with Node's own runner: all of them, or those whose path contains one of the arguments.
// The list is made here because the runner of Node 20 finds no TypeScript by itself, and is content with none.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const files = readdirSync('test', { recursive: true })
  .map((name) => join('test', name))
  .filter((name) => name.endsWith('.test.ts'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.replaceAll('\\', '/').includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`No test file matches ${wanted.join(', ') || 'test/**/*.test.ts'}.`);
  process.exit(1);
}

const reporters = ['spec', './scripts/closing-summary.mjs'].flatMap((reporter) => [
  `--test-reporter=${reporter}`,
  '--test-reporter-destination=stdout',
]);
const { status } = spawnSync(
  process.execPath,
  ['--import', 'tsx', '--test', '--test-timeout=300000', ...reporters, ...flags, ...files],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);
