/** What is told about the program, against the program itself. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withTables } from '../../../scripts/command-line.js';
import { COMMANDS } from '../../../src/cli/commands/table.js';
import { makeFolder } from '../../support/folder.js';
import { builtProgram, runProgram } from '../../support/program.js';

function tsftp(...words: readonly string[]) {
  return runProgram([process.execPath, builtProgram(), ...words], { env: { ...process.env, NO_COLOR: '1' } });
}

describe('What is told about tsftp', { timeout: 120_000 }, () => {
  test('has in docs/command-line.md the tables of the code', () => {
    const document = readFileSync('docs/command-line.md', 'utf8');
    assert.equal(document, withTables(document), 'npm run command-line');
  });

  test('lists every command in its help, and every option with examples in that of a command', async () => {
    const { stdout, status } = await tsftp('--help');
    assert.equal(status, 0);
    for (const { name, isHidden } of COMMANDS) {
      if (isHidden !== true) assert.match(stdout, new RegExp(`^ {2}${name} `, 'm'), name);
    }
    const help = await tsftp('mirror', '--help');
    assert.match(
      help.stdout,
      /--max-delete <n>[\s\S]*Examples:\n {2}tsftp mirror example\.org:\/var\/www backup\n/,
    );
  });

  test('has a manual page that man reads without complaint', async () => {
    const { stdout } = await tsftp('manual');
    assert.match(stdout, /^\.TH TSFTP 1 /);
    for (const { name, isHidden } of COMMANDS)
      if (isHidden !== true) assert.ok(stdout.includes(`\n.SS ${name} `), name);
    const groff = spawnSync('groff', ['-man', '-ww', '-Tutf8', '-z'], { input: stdout, encoding: 'utf8' });
    if (groff.error === undefined) assert.equal(groff.stderr, '');
  });

  test('has scripts for completion that the shells accept', async (t) => {
    const folder = makeFolder(t);
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { stdout, status } = await tsftp('completion', shell);
      assert.equal(status, 0);
      assert.match(stdout, /mirror/);
      const file = join(folder, shell);
      writeFileSync(file, stdout);
      const checked = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
      if (checked.error === undefined) assert.deepEqual([checked.status, checked.stderr], [0, ''], shell);
    }
    const wrong = await tsftp('completion', 'tcsh');
    assert.equal(wrong.status, 2);
  });

  test('completes commands and options in bash', async () => {
    const { stdout } = await tsftp('completion', 'bash');
    const ask = (line: string): string[] => {
      const words = line.split(' ');
      const script = `${stdout}\nCOMP_LINE='${line}' COMP_POINT=${line.length} COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}) COMP_CWORD=${words.length - 1}\ncompopt() { :; }\n_tsftp tsftp '${words.at(-1)}'\nprintf '%s\\n' "\${COMPREPLY[@]}"`;
      return spawnSync('bash', ['-c', script], {
        encoding: 'utf8',
        env: { ...process.env, HOME: '/nonexistent' },
      })
        .stdout.trim()
        .split('\n');
    };
    assert.deepEqual(ask('tsftp mir'), ['mirror']);
    assert.deepEqual(ask('tsftp mirror --max-d'), ['--max-delete']);
    assert.deepEqual(ask('tsftp completion f'), ['fish']);
  });
});
