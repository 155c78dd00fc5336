import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { DoneFiles } from '../../../../src/transfer/resume/done-files.js';

const pathOf = (index: number) => Buffer.from(`/a/directory/with/a/name/file ${index}`);
const sourceOf = (index: number) => (index * 7919).toString(16).padStart(8, '0').padEnd(12, '0');

describe('the files of a tree that are done', () => {
  test('are known again, 20,000 of them in 384 KiB, and no others', () => {
    const done = new DoneFiles();
    for (let index = 0; index < 20_000; index += 1) {
      assert.equal(done.add(pathOf(index), sourceOf(index)), true);
    }
    assert.equal(done.byteLength, 384 * 1024);
    for (let index = 0; index < 20_000; index += 1) {
      if (!done.has(pathOf(index), sourceOf(index))) assert.fail(`${index} is forgotten`);
      if (done.has(pathOf(index), sourceOf(index + 1))) assert.fail(`${index} is known by another source`);
      if (done.has(pathOf(index + 20_000), sourceOf(index))) assert.fail(`${index} was never added`);
    }
  });

  test('take no more than their limit: what comes after is not remembered, and what was before is', () => {
    const done = new DoneFiles(2048);
    const added = Array.from({ length: 3000 }, (_, index) => done.add(pathOf(index), sourceOf(index)));
    assert.deepEqual([added.filter((one) => one).length, done.byteLength], [1536, 24 * 1024]);
    assert.deepEqual(
      [done.has(pathOf(1535), sourceOf(1535)), done.has(pathOf(1536), sourceOf(1536))],
      [true, false],
    );
    assert.equal(done.add(pathOf(7), sourceOf(8)), true);
    assert.deepEqual([done.has(pathOf(7), sourceOf(7)), done.has(pathOf(7), sourceOf(8))], [false, true]);
  });
});
