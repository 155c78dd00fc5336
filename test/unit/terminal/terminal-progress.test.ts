import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import type { FileProgress } from '../../../src/index.js';
import { terminalProgress } from '../../../src/terminal/index.js';

const ESCAPE = '\u001b';

function terminal(columns = 100) {
  return Object.assign(new PassThrough(), { isTTY: true, columns });
}

function written(stream: PassThrough): string {
  // From Node.js 26 on, one call gives one chunk.
  let text = '';
  for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) text += chunk;
  return text;
}

function fileAt(path: string, filesDone: number, filesKnown: number): FileProgress {
  return { path, bytes: 0, filesDone, filesKnown };
}

function asTerminal(t: TestContext): void {
  const before = process.env.TERM;
  process.env.TERM = 'xterm';
  t.after(() => {
    if (before === undefined) delete process.env.TERM;
    else process.env.TERM = before;
  });
}

const MIB = 1024 * 1024;

describe('terminalProgress', () => {
  test('draws a bar on one line of a terminal, and leaves it when all is done', (t) => {
    asTerminal(t);
    const stream = terminal();
    const callback = terminalProgress({ stream });
    callback(0, 2 * MIB, fileAt('a.txt', 0, 1));
    const first = written(stream);
    assert.match(first, /░{24} {3}0% {2}0 B of 2\.0 MiB {2}0\/1 files {2}a\.txt/);
    callback(1, 2 * MIB, fileAt('a.txt', 0, 1));
    assert.equal(written(stream), '', 'not drawn again at once');
    callback(2 * MIB, 2 * MIB, fileAt('a.txt', 1, 1));
    const last = written(stream);
    assert.match(last, /█{24} 100% {2}2\.0 MiB of 2\.0 MiB {2}1\/1 files {2}[\d.]+ [KMG]iB\/s/);
    assert.ok(last.endsWith('\n'));
    callback.end();
    assert.equal(written(stream), '');
  });

  test('goes back to its line where a tree that looked complete has grown', (t) => {
    asTerminal(t);
    const stream = terminal();
    const callback = terminalProgress({ stream });
    callback(1, 1, fileAt('a', 1, 1));
    assert.ok(written(stream).endsWith('\n'));
    callback(2, 2, fileAt('b', 2, 2));
    const again = written(stream);
    assert.ok(again.startsWith(`${ESCAPE}[1A`), JSON.stringify(again));
    assert.equal(again.match(/\n/g)?.length, 1);
  });

  test('after a failure, the end of the block leaves the line, once', (t) => {
    asTerminal(t);
    const stream = terminal();
    {
      using callback = terminalProgress({ stream });
      callback(1, 10);
      assert.ok(!written(stream).includes('\n'));
    }
    assert.equal(written(stream), '\n');
    terminalProgress({ stream }).end();
    assert.equal(written(stream), '');
  });

  test('N4: names are escaped, and no line is wider than the terminal', (t) => {
    asTerminal(t);
    const stream = terminal(90);
    const callback = terminalProgress({ stream });
    callback(0, 10, fileAt(`\u001b[2J\u202e漢字${'漢'.repeat(100)}`, 0, 1));
    const text = written(stream).replaceAll(`${ESCAPE}[1G`, '').replaceAll(`${ESCAPE}[0K`, '');
    assert.ok(text.includes('\\x1b[2J\\u202e漢'));
    assert.ok(!text.includes(ESCAPE), JSON.stringify(text));
    const width = [...text].reduce((sum, character) => sum + (/\p{sc=Han}/u.test(character) ? 2 : 1), 0);
    assert.ok(width < 90, `${width} columns`);
  });

  test('without a terminal it writes a plain line at the end only, and one in a while before', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let nowMs = 0;
    t.mock.method(performance, 'now', () => nowMs);
    const stream = new PassThrough();
    const callback = terminalProgress({ stream, label: 'tree' });
    callback(MIB, MIB, fileAt('a', 1, 1));
    nowMs = 1000;
    callback(MIB, 4 * MIB, fileAt('b', 1, 2));
    t.mock.timers.tick(1000);
    assert.equal(written(stream), '');
    nowMs = 5000;
    callback(2 * MIB, 4 * MIB, fileAt('b', 1, 2));
    assert.equal(written(stream), '50%  2.0 MiB of 4.0 MiB  1/2 files  205 KiB/s  0:10 left  tree\n');
    callback(4 * MIB, 4 * MIB, fileAt('b', 2, 2));
    assert.equal(written(stream), '');
    t.mock.timers.tick(1000);
    assert.equal(written(stream), '100%  4.0 MiB of 4.0 MiB  2/2 files  614 KiB/s  tree\n');
    callback.end();
    assert.equal(written(stream), '');
  });

  test('shows the rate of the last seconds, and at the end that of the whole transfer', (t) => {
    asTerminal(t);
    let nowMs = 0;
    t.mock.method(performance, 'now', () => nowMs);
    const stream = terminal();
    const callback = terminalProgress({ stream });
    callback(0, 100 * MIB);
    for (let second = 1; second <= 69; second += 1) {
      nowMs = second * 1000;
      written(stream);
      callback(second <= 60 ? second * MIB : 60 * MIB + (second - 60) * 4 * MIB, 100 * MIB);
    }
    assert.match(written(stream), / {2}96\.0 MiB of 100 MiB {2}4\.0 MiB\/s {2}0:01 left/);
    nowMs = 70_000;
    callback(100 * MIB, 100 * MIB);
    assert.match(written(stream), / {2}100 MiB of 100 MiB {2}1\.4 MiB\/s\W/);
  });

  test('a file without content is complete', () => {
    const stream = new PassThrough();
    const callback = terminalProgress({ stream });
    callback(0, 0);
    callback.end();
    assert.equal(written(stream), '100%  0 B of 0 B\n');
  });
});
