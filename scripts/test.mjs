// Runs the test files with Node's own runner: all of them, or those whose path contains one of the arguments.
// The list is made here because the runner of Node 20 finds no TypeScript by itself, and is content with none.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { buildTests } from './built-tests.mjs';

/** What tests start as processes of their own. */
const PROGRAMS = [
  'src/index.ts',
  'src/ssh2-sftp-client/index.ts',
  'src/jobs/index.ts',
  'test/support/transfer-child.ts',
  'test/support/step-child.ts',
  'test/integration/ssh/connect-and-close.ts',
  'examples/queue/lister.ts',
  'examples/queue/worker.ts',
];

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

// Most of a test's time is waiting for programs and for time-outs: one file more at once than there are processors.
const concurrency = `--test-concurrency=${availableParallelism() + 1}`;
const reporters = ['spec', './scripts/closing-summary.mjs'].flatMap((reporter) => [
  `--test-reporter=${reporter}`,
  '--test-reporter-destination=stdout',
]);
const { built, folder, remove } = await buildTests([...files, ...PROGRAMS]);
const { status } = spawnSync(
  process.execPath,
  [
    '--enable-source-maps',
    '--test',
    '--test-timeout=300000',
    concurrency,
    ...reporters,
    ...flags,
    ...files.map(built),
  ],
  { stdio: 'inherit', env: { ...process.env, TSFTP_TEST_BUILD: folder } },
);
remove();
process.exit(status ?? 1);
