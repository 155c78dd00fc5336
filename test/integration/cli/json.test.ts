/** What `--json` writes, against the schema that is published. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { violations } from '../../support/json-schema.js';
import { type ProgramWorld, startWorld } from '../../support/program.js';
import { needsOpenSsh } from '../../support/sshd.js';

const SCHEMA: unknown = JSON.parse(readFileSync('docs/command-line.schema.json', 'utf8'));

/** The lines of a run, each of which the schema knows. */
async function linesOf(world: ProgramWorld, words: readonly string[], input?: string) {
  const { status, stdout, stderr } = await world.run(
    ['--json', '--progress=json', ...words],
    input === undefined ? {} : { input },
  );
  const lines = stdout.split('\n').filter((line) => line !== '');
  const progress = stderr.split('\n').filter((line) => line.startsWith('{'));
  for (const line of [...lines, ...progress]) {
    assert.deepEqual(violations(SCHEMA, JSON.parse(line)), [], `tsftp ${words.join(' ')}: ${line}`);
  }
  return { status, types: lines.map((line) => JSON.parse(line).type as string), lines, progress };
}

describe('The lines of --json', { skip: needsOpenSsh, timeout: 120_000 }, () => {
  test('fit the published schema in every command', async () => {
    await using world = await startWorld();
    const remote = join(world.folder, 'remote');
    mkdirSync(join(remote, 'sub'), { recursive: true });
    writeFileSync(join(remote, 'a.txt'), 'a\n');
    writeFileSync(join(remote, 'sub', 'b.txt'), 'b\n');
    writeFileSync(Buffer.concat([Buffer.from(`${remote}/`), Buffer.from([0x62, 0xe4])]), 'latin1\n');

    const listing = await linesOf(world, ['ls', `box:${remote}`]);
    assert.deepEqual(listing.types, ['entry', 'entry', 'entry', 'summary']);
    assert.match(
      listing.lines.join(),
      /"pathBase64":"[A-Za-z0-9+/=]+"/,
      'a name that is not UTF-8 has its bytes',
    );

    const batch = [
      `find ${remote}`,
      `tree ${remote}`,
      `stat ${remote}/a.txt`,
      `df ${remote}`,
      `du ${remote}`,
      'pwd',
      'lpwd',
      `get -r ${remote} fetched`,
      `put fetched/a.txt ${remote}/new.txt`,
      `cp ${remote}/a.txt ${remote}/copy.txt`,
      `mkdir ${remote}/made`,
      `touch ${remote}/made/t`,
      `chmod 600 ${remote}/a.txt`,
      `mv ${remote}/copy.txt ${remote}/made`,
      `rm -r ${remote}/made`,
      `mirror ${remote} mirrored`,
      `wait ${remote}/a.txt --stable 0`,
      'exec echo hello',
      `get ${remote}/missing`,
    ];
    const session = await linesOf(world, ['-b', '-', 'box'], batch.join('\n'));
    assert.equal(session.status, 3, 'the last line fails');
    const kinds = new Set(session.types);
    for (const type of [
      'entry',
      'filesystem',
      'usage',
      'directory',
      'result',
      'step',
      'totals',
      'output',
      'error',
    ]) {
      assert.ok(kinds.has(type), `a line of type ${type} was written`);
    }
    assert.ok(session.progress.length > 0, 'progress was written to standard error');

    const check = await linesOf(world, ['check', join(remote, 'sub'), `box:${remote}`]);
    assert.equal(check.status, 11);
    assert.ok(check.types.includes('difference'));
    const wrong = await linesOf(world, ['ls', '--frob']);
    assert.deepEqual([wrong.status, wrong.types], [2, ['error']]);
  });
});
