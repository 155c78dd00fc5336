/** The figures of a run, over all its transfers. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RunProgress } from '../../../src/cli/output/progress.js';
import type { RunFigures } from '../../../src/cli/output/run-figures.js';

/** Shows into a list, from the first transfer on. */
function watched() {
  const shown: RunFigures[] = [];
  const show = (figures: RunFigures) => void shown.push(figures);
  const progress = new RunProgress(async () => ({ show, clear: () => {}, end: show }));
  const last = () => {
    const { bytes, files, filesTotal } = shown.at(-1) as RunFigures;
    return { bytes, files, filesTotal };
  };
  return { progress, last };
}

describe('RunProgress', () => {
  test('counts a file that was interrupted by its bytes, and not as done', async () => {
    const { progress, last } = watched();
    progress.expect(2, 200);
    const tasks = ['done', 'broken'].map((path) => progress.begin(path));
    await Promise.resolve();
    for (const { callback } of tasks) callback(50, 100);
    tasks[0]?.callback(100, 100);
    for (const { end } of tasks) end();
    await progress.end({ isDone: false });
    assert.deepEqual(last(), { bytes: 150, files: 1, filesTotal: 2 });
  });

  test('counts the files of a tree that have arrived', async () => {
    const { progress, last } = watched();
    const { callback, end } = progress.begin('tree');
    await Promise.resolve();
    callback(150, 300, { path: 'tree/b', filesDone: 1, filesKnown: 3 });
    end();
    await progress.end({ isDone: false });
    assert.deepEqual(last(), { bytes: 150, files: 1, filesTotal: 1 });
  });

  test('counts a file of no bytes', async () => {
    const { progress, last } = watched();
    const { callback, end } = progress.begin('empty');
    callback(0, 0);
    end();
    await progress.end({ isDone: true });
    assert.deepEqual(last(), { bytes: 0, files: 1, filesTotal: 1 });
  });
});
