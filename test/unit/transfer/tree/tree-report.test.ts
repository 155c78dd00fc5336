import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReportWriter } from '../../../../src/transfer/tree/tree-report.js';

test('X8: a report lists as much as its limits in bytes allow, counts all, and tells how many it left out', () => {
  const report = new ReportWriter();
  const path = 'x'.repeat(100_000);
  for (let index = 0; index < 2000; index += 1) {
    report.noteCopied({ type: index % 2 === 0 ? 'file' : 'symlink', path, target: 'y', bytes: 3 });
    report.noteFailed(path, new Error('no'));
  }
  const { files, links, bytes, done, failed, skipped, omitted } = report.finish();
  assert.deepEqual([files, links, bytes, skipped.length], [1000, 1000, 3000, 0]);
  // 32 MiB and 10 MiB.
  assert.deepEqual([done.length, failed.length], [335, 102]);
  assert.equal(omitted, 4000 - done.length - failed.length);
});
