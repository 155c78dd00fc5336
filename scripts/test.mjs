// Runs the test files with Node's own runner: all of them, or those whose path
// contains one of the arguments. A run without tests fails. Suites that need
// OpenSSH are left out where it is missing, and the last lines say so; under CI
// a missing OpenSSH is a failure instead.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const files = testFiles('test').filter(
  (file) => wanted.length === 0 || wanted.some((part) => file.includes(part)),
);
if (files.length === 0) {
  console.error(`No test file matches ${wanted.join(', ') || 'test/**/*.test.ts'}.`);
  process.exit(1);
}

const missing = ['/usr/sbin/sshd', '/usr/lib/openssh/sftp-server'].filter((path) => !existsSync(path));
if (missing.length > 0 && process.env.CI) {
  console.error(`Under CI the suites against OpenSSH must run, but ${missing.join(' and ')} is missing.`);
  process.exit(1);
}

const { status } = spawnSync(
  process.execPath,
  ['--import', 'tsx', '--test', '--test-timeout=300000', ...flags, ...files],
  { stdio: 'inherit' },
);
if (missing.length > 0) {
  console.log(
    `\nLeft out: the suites against OpenSSH (${missing.join(', ')} not found).` +
      '\nTo run them too: apt-get install openssh-server openssh-client',
  );
}
process.exit(status ?? 1);

function testFiles(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((name) => name.endsWith('.test.ts'))
    .sort();
}
