import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mebibytesPerSecond, renderTable } from '../../../../src/cli/demo/table.js';

describe('The table', () => {
  test('puts words to the left, figures to the right, and leaves no spaces at the end', () => {
    const table = renderTable([
      { label: 'Upload', files: 300, bytes: 3_632_046, seconds: 0.4 },
      { label: 'Compare', files: 1, bytes: 0, seconds: 12, verdict: 'identical' },
    ]);
    assert.deepEqual(table.split('\n'), [
      '         files      bytes  seconds  MiB/s',
      'Upload     300  3,632,046     0.40    8.7',
      'Compare      1          0    12.00    0.0  identical',
    ]);
  });

  test('counts MiB of 1,048,576 bytes, and knows no speed without time', () => {
    assert.equal(mebibytesPerSecond(5 * 1024 * 1024, 2), '2.5');
    assert.equal(mebibytesPerSecond(5, 0), '–');
  });
});
